"""How much provision reads and renders at most on the controller.

A playbook may come from a pull request, and a few hundred bytes of YAML can stand for more than a machine has memory.
Each limit is far above what a real project needs. An environment variable raises it: a file of the project cannot, for
its author may be the attacker.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from msgspec import Struct

from provision.errors import SpecError, UsageError, Where


class Limit(Struct, frozen=True):
    """``default`` in ``unit``; ``most`` is the highest value that ``variable`` may give it."""

    variable: str
    default: int
    unit: str
    most: int = 2**40


FILE = Limit("PROVISION_MAX_FILE", 16 * 1024 * 1024, "bytes")
NODES = Limit("PROVISION_MAX_NODES", 1_000_000, "values")
#: Code that walks over values recurses: Python ends it at 1,000 calls, and libyaml's composer crashes the process.
DEPTH = Limit("PROVISION_MAX_DEPTH", 100, "levels", most=200)
HOSTS = Limit("PROVISION_MAX_HOSTS", 100_000, "hosts")
STEPS = Limit("PROVISION_MAX_TEMPLATE_STEPS", 1_000_000, "steps")
TEXT = Limit("PROVISION_MAX_TEMPLATE_TEXT", 16 * 1024 * 1024, "characters")
ALL = (FILE, NODES, DEPTH, HOSTS, STEPS, TEXT)


@cache
def of(limit: Limit) -> int:
    """The limit that applies in this process. Raises :class:`UsageError` for a variable that is no such number."""
    given = os.environ.get(limit.variable)
    if given is None:
        return limit.default
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0
    if not 0 < number <= limit.most:
        raise UsageError(f"{limit.variable} must be a number of {limit.unit} from 1 to {limit.most}, not {given!r}")
    return number


def more(limit: Limit) -> str:
    """What an error says about the limit: ``more than 1,000,000 values``."""
    return f"more than {of(limit):,} {limit.unit}"


def hint(limit: Limit) -> str:
    """How to raise it."""
    return f"{limit.variable} raises this limit, up to {limit.most:,}"


def read(path: Path) -> bytes:
    """The bytes of a file of the project; raises :class:`SpecError` for one that can't be read or is too large.

    No more than the limit is read, so that a device that never ends does no harm.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(of(FILE) + 1)
    except OSError as error:
        raise SpecError(f"can't be read: {error.strerror}", where=Where(path, 1)) from error
    if len(content) > of(FILE):
        raise SpecError(f"has {more(FILE)}", where=Where(path, 1), hint=hint(FILE))
    return content


def text(path: Path) -> str:
    """The text of a file of the project; :class:`SpecError` also for what is not UTF-8."""
    try:
        # As a file that is opened as text: a line may end in any of the three ways.
        return read(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 text ({error.reason} at byte {error.start})", where=Where(path, 1)) from error
