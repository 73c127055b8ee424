"""The errors that a user sees. Each is one message that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

#: The exit code of a command, and what it means. Where several apply, the last one counts.
EXIT_CODES = {
    0: "every host is in the desired state (`plan`: the plan was made)",
    1: "no host was touched: the command line, inventory or spec is wrong, or the operator answered no",
    2: "changes are pending (`plan --detailed-exitcode`)",
    3: "a host failed, was unreachable, timed out or rolled back",
    130: "interrupted by Ctrl-C",
}


class ProvisionError(Exception):
    """An error that ends a run before a host is touched; the command line exits with 1."""


class LabError(ProvisionError):
    """This machine cannot do what the lab was asked for."""


class UsageError(ProvisionError):
    """The command line, or the environment of the process, is wrong."""


class Where(Struct, frozen=True):
    """A place in a file the user wrote; ``line`` counts from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Note(Struct, frozen=True):
    """Something in a file that Ansible reads differently, or that provision ignores. Every run prints a loud note as a
    warning; ``provision inventory --check`` shows the others."""

    text: str
    where: Where | None = None
    loud: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class SpecError(ProvisionError):
    """The user's input (inventory, playbook, spec, template) is wrong.

    ``where`` is the file and line, ``key`` the dotted path of the value, ``hint`` what to do about it. ``others`` are
    further faults of the same files.
    """

    def __init__(self, message: str, *, where: Where | None = None, key: str = "", hint: str = "") -> None:
        self.message, self.where, self.key, self.hint = message, where, key, hint
        self.others: tuple[SpecError, ...] = ()
        super().__init__(message)

    def each(self) -> Iterator[SpecError]:
        """This fault and the others."""
        yield self
        yield from self.others

    def __str__(self) -> str:
        parts = [str(self.where)] if self.where else []
        parts += [self.key] if self.key else []
        text = ": ".join([*parts, self.message])
        return f"{text} ({self.hint})" if self.hint else text


def distinct(errors: Iterable[SpecError]) -> list[SpecError]:
    """Every fault once, by file and line, also where many hosts have it (``[host web1]``)."""
    found: dict[object, SpecError] = {}
    for error in errors:
        for one in error.each():
            found.setdefault((one.where, one.key, re.sub(r" \[host [^\]]*\]$", "", one.message)), one)
    return sorted(found.values(), key=lambda one: (str(one.where.file), one.where.line) if one.where else ("", 0))


def all_of(errors: Iterable[SpecError]) -> SpecError:
    """One exception for several faults, of which there is at least one."""
    first, *others = distinct(errors)
    first.others = tuple(others)
    return first
