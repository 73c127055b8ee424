"""Limits of what provision reads and renders on the controller.

A playbook may come from a pull request, and a few hundred bytes of YAML can expand to more data than a machine can
store. Each limit is far above what a real project needs. An environment variable raises it. A file of the project
cannot raise it, because its author may be the attacker.

The author of a project that is only linted may be unknown too. A link of it (``group_vars/all.yml ->
/proc/self/environ``), or a path in one of its files, would show what else the machine has. So every reader of a
project's file calls :func:`check`. What the operator's command line and the environment name is not confined.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from provision.errors import SpecError, UsageError, Where


class Limit(Struct, frozen=True):
    """``default`` in ``unit``; ``most`` is the highest value that ``variable`` may set."""

    variable: str
    default: int
    unit: str
    most: int = 2**40


FILE = Limit("PROVISION_MAX_FILE", 16 * 1024 * 1024, "bytes")
NODES = Limit("PROVISION_MAX_NODES", 1_000_000, "values")
#: Code that walks over values recurses: Python stops at 1,000 calls, and libyaml's composer crashes the process.
DEPTH = Limit("PROVISION_MAX_DEPTH", 100, "levels", most=200)
HOSTS = Limit("PROVISION_MAX_HOSTS", 100_000, "hosts")
STEPS = Limit("PROVISION_MAX_TEMPLATE_STEPS", 1_000_000, "steps")
TEXT = Limit("PROVISION_MAX_TEMPLATE_TEXT", 16 * 1024 * 1024, "characters")
#: For one run of an inventory script or of ``ansible-inventory``.
PROGRAM = Limit("PROVISION_INVENTORY_TIMEOUT", 120, "seconds", most=86_400)
ALL = (FILE, NODES, DEPTH, HOSTS, STEPS, TEXT, PROGRAM)

#: Digits of a whole number that is a key. Python's hash of a whole number is its remainder by 2**61 - 1: any longer
#: numbers can have one hash, and a mapping compares each of its keys with all others of the same hash.
KEY_DIGITS = 18

#: Directories of the process's own open files.
_DESCRIPTORS = (Path("/dev/fd"), Path("/proc/self/fd"))


@cache
def of(limit: Limit) -> int:
    """The limit that applies in this process. Raises :class:`UsageError` where the variable has no allowed number."""
    given = os.environ.get(limit.variable)
    if given is None:
        return limit.default
    found = number(given) or 0
    if not 0 < found <= limit.most:
        raise UsageError(f"{limit.variable} must be a number of {limit.unit} from 1 to {limit.most}, not {given!r}")
    return found


def number(text: str) -> int | None:
    """The number that a text of ASCII digits stands for; ``None`` for other texts, and for one of more than 18 digits.
    Python itself accepts digits of other scripts, and raises ValueError for more than 4,300 digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def same_hash(value: object) -> bool:
    """True if a project can choose any number of such values with one hash (:data:`KEY_DIGITS`)."""
    if isinstance(value, tuple):
        # The hash of a tuple is computed from those of its items without a random key.
        return any(not isinstance(one, str) for one in value)
    return isinstance(value, complex) or (isinstance(value, int) and abs(value) >= 10**KEY_DIGITS)


def parts(text: str) -> int:
    """The most values that a text of JSON, or a Python literal, can have: the marks between values, also in strings."""
    return 1 + sum(map(text.count, ",:[{("))


def more(limit: Limit) -> str:
    """The part of an error message that names the limit: ``more than 1,000,000 values``."""
    return f"more than {of(limit):,} {limit.unit}"


def hint(limit: Limit) -> str:
    """The hint that says how to raise the limit."""
    return f"{limit.variable} raises this limit, up to {limit.most:,}"


def opened(path: Path, *, named: bool = False) -> BinaryIO:
    """A file of the project, open for reading. The open of a pipe would wait until a program writes to it (fifo(7)).

    Raises :class:`SpecError` for a pipe, and ``OSError``. Allowed is one that the operator gives: a file
    that is ``named``, and an open descriptor (``<(...)`` of a shell).
    """
    given = named or path.parent in _DESCRIPTORS or path == Path("/dev/stdin")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if given else os.O_NONBLOCK))
    mode = os.fstat(descriptor).st_mode
    if not given and stat.S_ISFIFO(mode):
        os.close(descriptor)
        raise SpecError("is a pipe, not a file", where=Where(path, 1))
    return open(descriptor, "rb")


def read(path: Path, *, named: bool = False) -> bytes:
    """The bytes of a file of the project; raises :class:`SpecError` for a file that cannot be read or is too large.
    ``named``: the command line or the environment names the file, so it may be anywhere.

    It stops reading at the limit, so an endless device does no harm.
    """
    place = path if named else check(path)
    try:
        with opened(place, named=named) as file:
            return content(path, file)
    except OSError as error:
        raise SpecError(f"can't be read: {error.strerror}", where=Where(path, 1)) from error


def whole(path: Path, *, named: bool = False) -> bytes:
    """The bytes of a file that may be outside of the project, as a key or a known_hosts file. Raises
    :class:`SpecError` for a pipe and for a file that is too large, and ``OSError``."""
    with opened(path, named=named) as file:
        return content(path, file)


def content(path: Path, file: BinaryIO) -> bytes:
    """The bytes of an open file, up to the limit. Raises :class:`SpecError` for more."""
    found = file.read(of(FILE) + 1)
    if len(found) > of(FILE):
        raise SpecError(f"has {more(FILE)}", where=Where(path, 1), hint=hint(FILE))
    return found


def text(path: Path, *, named: bool = False) -> str:
    """The text of a file of the project; raises :class:`SpecError` also for a file that is not UTF-8."""
    return one_ending(_decoded(path, read(path, named=named)))


def exact_text(path: Path) -> str:
    """The same, with the line endings of the file unchanged."""
    return _decoded(path, read(path))


def standard_input() -> str:
    """The text of standard input, named ``-`` in errors, with its line endings unchanged."""
    path = Path("-")
    return _decoded(path, content(path, sys.stdin.buffer))


def one_ending(text: str) -> str:
    """Converts line endings as Python does for a text file: each of the three forms becomes a newline."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 text ({error.reason} at byte {error.start})", where=Where(path, 1)) from error


_HINT = "`provision lint --trusted` reads it"
_PACKAGE = Path(__file__).parent
#: The directories of the project, without links; empty where the project is trusted.
_ROOTS: list[Path] = []


def confine(named: Iterable[Path], also: Iterable[Path] = ()) -> None:
    """From now on, open only files of the projects that have the paths ``named``, and of the directories ``also``;
    without any path, every file."""
    _ROOTS[:] = [*dict.fromkeys(_project(path) for path in named)]
    if _ROOTS:
        # provision's own files.
        _ROOTS.extend(one.resolve() for one in (_PACKAGE, *also))


def confined() -> bool:
    return bool(_ROOTS)


def _project(path: Path) -> Path:
    """The directory of the project that has a path: the outermost one with ``.git``, because a project can't make
    directories above its own. Without ``.git`` it is the working directory, or that of a file elsewhere."""
    here = Path.cwd()
    whole = Path(os.path.normpath(here / path))
    for folder in reversed([*whole.parents]):
        if folder.parent != folder and (folder / ".git").exists():
            return folder.resolve()
    if whole.is_relative_to(here) and here.parent != here:
        return here
    return whole.parent.resolve()


def inside(path: Path) -> bool:
    """True if a path may be opened. Git's own directory is outside: CI keeps its credentials there."""
    if not _ROOTS:
        return True
    found = Path(os.path.realpath(path))
    return any(found.is_relative_to(root) and ".git" not in found.relative_to(root).parts for root in _ROOTS)


def check(path: Path) -> Path:
    """The path to open: without links where the project is confined, so that no directory outside decides whether it
    exists. Raises :class:`SpecError` for a path that leads out of the project, whether it exists or not."""
    if inside(path):
        return Path(os.path.realpath(path)) if _ROOTS else path
    message = "leads out of the project, so it is not read: the project is not trusted"
    raise SpecError(message, where=Where(path, 1), hint=_HINT)


def expanded(text: str) -> str:
    """A path of Ansible's settings, with the variables of the environment; as written where the project is confined,
    because messages show paths."""
    return text if _ROOTS else str(Path(os.path.expandvars(text)).expanduser())


def home(text: str) -> str:
    """A path with ``~``, which is a variable of the environment too."""
    return text if _ROOTS else str(Path(text).expanduser())
