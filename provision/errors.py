"""The errors that a user meets, each one message that says what to do."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

#: How a command ends; the first that fits, from the bottom up.
EXIT_CODES = {
    0: "every host is in the desired state (`plan`: the plan was made)",
    1: "no host was touched: the command line, inventory or spec is wrong, or the question was answered with no",
    2: "changes are pending (`plan --detailed-exitcode`)",
    3: "a host failed, was unreachable, timed out or rolled back",
    130: "interrupted by Ctrl-C",
}


class ProvisionError(Exception):
    """An error that ends a run before a host is touched; the command line exits with 1."""


class LabError(ProvisionError):
    """The lab can't do what was asked of it on this machine."""


class UsageError(ProvisionError):
    """The command line, or the environment that it is run in, is not right."""


class Where(Struct, frozen=True):
    """A place in a file the user wrote; ``line`` counts from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Note(Struct, frozen=True):
    """What Ansible reads differently in a file, or what provision passes over. A loud one is a warning of every run;
    the others are shown by ``provision inventory --check``."""

    text: str
    where: Where | None = None
    loud: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class SpecError(ProvisionError):
    """What the user wrote (inventory, playbook, spec, template) is not right.

    ``where`` is the file and line, ``key`` the dotted path of the value, ``hint`` the way out.
    """

    def __init__(self, message: str, *, where: Where | None = None, key: str = "", hint: str = "") -> None:
        self.message, self.where, self.key, self.hint = message, where, key, hint
        super().__init__(message)

    def __str__(self) -> str:
        parts = [str(self.where)] if self.where else []
        parts += [self.key] if self.key else []
        text = ": ".join([*parts, self.message])
        return f"{text} ({self.hint})" if self.hint else text
