"""How texts of a report are laid out and styled: lines that fit, colours, and names of many hosts in few words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

_WORDS = re.compile(r"\s+|\S+")


class View(Struct, frozen=True):
    """How much of a plan is shown. ``diff``: the differences of files and values; ``verbose``: nothing is cut."""

    diff: bool = True
    verbose: bool = False


def fold(text: str, width: int | None, indent: int = 0) -> Iterator[str]:
    """The text in lines of at most ``width`` columns, of which all but the first are indented. With ``None`` no line is
    folded, because programs such as grep read a file or a pipe."""
    if width is None or cells(text) <= width:
        yield text
        return
    row = ""
    used = 0
    for word in _WORDS.findall(text):
        if used + cells(word) <= width:
            row, used = row + word, used + cells(word)
            continue
        if row.strip():
            yield row.rstrip()
            row, used = " " * indent, indent
        for character in word if not word.isspace() else "":
            if used + cells(character) > width and row.strip():
                yield row
                row, used = " " * indent, indent
            row, used = row + character, used + cells(character)
    if row.strip():
        yield row


def cells(text: str) -> int:
    """The columns that a text takes on a terminal: wide characters (Chinese, say) take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else not unicodedata.combining(one) for one in text)


def middle(lines: Sequence[str], most: int) -> tuple[Sequence[str], int, Sequence[str]]:
    """The beginning of ``lines``, the number of lines left out, and the end: ``most`` lines, including the line that
    reports the number. Up to a third more lines than ``most`` are not cut."""
    if len(lines) <= most + most // 3:
        return lines, 0, ()
    end = most // 3
    return lines[: most - end - 1], len(lines) - most + 1, lines[len(lines) - end :]


Style = Callable[[str, str], str]

#: Kind of word -> its SGR parameters (ECMA-48, 8.3.117). Yellow and cyan have too little contrast on a light terminal
#: (xterm's yellow: 1.7 to 1 on white), so only the symbol of a change is yellow, as in Terraform.
_SGR = {
    **dict.fromkeys(("host", "changed", "warning"), "1"),
    **dict.fromkeys(("skipped", "dim"), "2"),
    **dict.fromkeys(("remove", "-"), "31"),
    **dict.fromkeys(("create", "+", "ok"), "32"),
    "change": "33",
    "@": "35",
    **dict.fromkeys(("error", "failed", "unreachable", "rolled_back", "bad"), "1;31"),
    "disturb": "1;35",
}


def plain(text: str, kind: str) -> str:
    """No colour."""
    return text


def coloured(text: str, kind: str) -> str:
    """The text with the colour of its kind; its words and symbols have the same meaning without it."""
    return f"\x1b[{_SGR[kind]}m{text}\x1b[0m" if kind in _SGR else text


#: A name's last number in its first label, and what is around it. An address of IPv4 has its last number.
_NUMBERED = re.compile(r"(?P<before>(?:[0-9]+\.){3}|[^.]*?)(?P<number>[0-9]+)(?P<after>[^0-9.]*(?:\..*)?)", re.ASCII)
_PARTS = re.compile(r"([0-9]+)", re.ASCII)
#: A range stands for at least this many hosts; fewer are listed one by one.
_RANGE = 3
#: The maximum number of digits of a number that is counted.
_DIGITS = 9


class _Run(Struct):
    """Hosts whose names have consecutive numbers."""

    before: str
    after: str
    hosts: list[str]
    #: the last host's number as its name has it; empty for a name without one
    number: str

    def goes_on(self, before: str, number: str, after: str) -> bool:
        if not self.number or (before, after) != (self.before, self.after):
            return False
        return number == str(int(self.number) + 1).zfill(len(self.number))


def ordered(hosts: Iterable[str]) -> list[str]:
    """The hosts without repetition, with numbers in numeric order: web2 before web10."""
    return sorted(set(hosts), key=by_number)


def by_number(host: str) -> tuple[list[str], str]:
    """The sort key of a host: web2 comes before web10."""
    # split() with a group: texts and numbers alternate.
    parts = _PARTS.split(host)
    parts[1::2] = [part.zfill(20) for part in parts[1::2]]
    return parts, host


def ranges(hosts: Iterable[str]) -> list[str]:
    """``["db1", "web01-web20"]``: each host once, consecutive numbers as a range."""
    return [text for text, _ in _ranges(hosts)]


def compressed(hosts: Iterable[str], room: int | None = None) -> str:
    """The ranges in one line. What does not fit into ``room`` characters is counted: ``web01-web20 and 3 more``."""
    found = ordered(hosts)
    shown: list[str] = []
    left = len(found)
    used = 0
    for text, count in _ranges(found):
        used += len(text) + 2
        if room is not None and shown and used > room - len(f" and {left} more"):
            break
        shown.append(text)
        left -= count
    return ", ".join(shown) + (f" and {left} more" if left else "")


def count(number: int, noun: str = "host") -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ranges(hosts: Iterable[str]) -> Iterator[tuple[str, int]]:
    for run in _runs(ordered(hosts)):
        if len(run.hosts) < _RANGE:
            yield from ((host, 1) for host in run.hosts)
        else:
            domain = "".join(run.after.partition(".")[1:])
            yield f"{run.hosts[0].removesuffix(domain)}-{run.hosts[-1]}", len(run.hosts)


def _runs(hosts: Sequence[str]) -> Iterator[_Run]:
    run: _Run | None = None
    for host in hosts:
        found = _NUMBERED.fullmatch(host)
        before, number, after = found.group("before", "number", "after") if found is not None else (host, "", "")
        if len(number) > _DIGITS:
            number = ""
        if run is not None and number and run.goes_on(before, number, after):
            run.hosts.append(host)
            run.number = number
            continue
        if run is not None:
            yield run
        run = _Run(before, after, [host], number)
    if run is not None:
        yield run
