"""The shape of the frames of a look: how many fields each kind has after its key, and the text in those fields.

A frame of another shape is an error of the host (:class:`WireError`). So the code that evaluates a report need not
expect it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from provision.lines import lines_of
from provision.remote.protocol import WireError

#: The largest number that a host may report: sizes in bytes and KiB, seconds, counts (a signed integer of 64 bits).
MOST = 2**63 - 1
_SHOWN = 80


def number(text: str, what: str, most: int = MOST) -> int:
    """A number that is not negative. Raises :class:`WireError` for any other text, and for more than ``most``."""
    if re.fullmatch(r"[0-9]{1,19}", text) is None or int(text) > most:
        raise WireError(f"{what} that is not a number up to {most}: {text[:_SHOWN]!r}")
    return int(text)


def rows(text: str, line: re.Pattern[str], what: str) -> Iterator[re.Match[str]]:
    """The lines of ``text``, without empty ones. Raises :class:`WireError` for a line that does not match."""
    yield from (row(one, line, what) for one in lines_of(text) if one)


def row(text: str, line: re.Pattern[str], what: str) -> re.Match[str]:
    """The only line of ``text``. Raises :class:`WireError` for another text."""
    found = line.fullmatch(text)
    if found is None:
        raise WireError(f"a line that is not {what}: {text[:_SHOWN]!r}")
    return found


#: What stat reports for a path (sh/look/files.sh): kind, mode, owner, group, three numbers, size in bytes.
STAT = re.compile(
    r"(?P<kind>[^:]+):(?P<mode>[0-7]{1,5}):(?P<owner>[^:]*):(?P<group>[^:]*)(?::-?[0-9]{1,20}){3}:(?P<size>[0-9]{1,19})"
)
#: A line of a run's record (``keep`` in sh/fix/transaction.sh), what it has of a kept file (look_run in
#: sh/look/history.sh), and what it has of a directory.
RECORD = re.compile(r"([a-z]+) ([^ ]*) (.*)")
KEPT = re.compile(r"([^:]+):([0-7]{1,5}):([^:]*):([^:]*)")
OWNED = re.compile(r"([0-9]+):([0-9]+):([0-7]{1,5})")
#: A line of passwd(5) and of group(5).
PASSWD = re.compile(r"([^:]+):[^:]*:([0-9]{1,10}):([0-9]{1,10}):([^:]*):([^:]*):([^:]*)")
GROUP = re.compile(r"([^:]+):[^:]*:([0-9]{1,10}):([^:]*)")
#: dpkg-query's line of a package, in which look functions of other package managers report too.
PACKAGE = re.compile(r"([^ \t]+)[ \t]+([^ \t]{2,3})[ \t]*([^ \t]*)[ \t]*")
#: A property of systemctl show(1).
PROPERTY = re.compile(r"(\w+)=(.*)")
#: grep -Hn: file, number, text.
GREP = re.compile(r"([^:]+):([0-9]{1,10}):(.*)", re.DOTALL)

#: Kind -> the number of fields after the key: the least and the most.
_COUNTS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("candidates", "content", "file", "family", "forward", "hostname", "leaves", "locks"), (1, 1)),
    **dict.fromkeys(("made", "made_of", "manifest", "module", "module_files", "moved", "packages", "path"), (1, 1)),
    **dict.fromkeys(("port", "project", "set_id", "sha256", "socket_unit", "undeclared"), (1, 1)),
    **dict.fromkeys(("bridge", "containers", "folders", "groups", "kept", "run", "store", "sysctls", "users"), (2, 2)),
    **dict.fromkeys(("compose", "container", "service"), (3, 3)),
    "before": (1, 2),
    "docker": (0, 1),
    "doctor": (1, 3),
    "going": (0, 0),
}
#: The same for the keys of ``doctor`` that have more than one field.
_DOCTOR = {"cgroups": 2, "init": 2, "space": 3}


def checked(frames: Iterable[tuple[str, ...]]) -> None:
    """Raises :class:`WireError` for a frame with another number of fields than its kind has."""
    for kind, *rest in frames:
        key, count = (rest[0], len(rest) - 1) if rest else ("", -1)
        least, most = _COUNTS.get(kind, (-1, count))
        if kind == "doctor":
            least = most = _DOCTOR.get(key.partition(" ")[0], 1)
        if kind == "docker":
            least = most = 0 if key == "daemon" else 1
        if not least <= count <= most:
            raise WireError(f"{kind} {key[:_SHOWN]!r} with {count} fields; it has {most}")
        if kind == "file" and rest[1] != "absent" and STAT.fullmatch(rest[1]) is None:
            raise WireError(f"{key[:_SHOWN]!r} without its state: {rest[1][:_SHOWN]!r}")


Answer = TypeVar("Answer")


def typed(found: Any, answer: type[Answer], what: str) -> Answer:
    """``found`` itself, with the fields that the type does not list. Raises :class:`WireError` where a listed field is
    missing or has another type; the message has the place and no value."""
    try:
        msgspec.convert(found, answer)
    except msgspec.ValidationError as error:
        raise WireError(f"{what} of docker with another type than docker gives it: {error}") from error
    except RecursionError as error:
        raise WireError(f"{what} of docker that nests too deeply") from error
    return found  # type: ignore[no-any-return]
