"""Names of many hosts in few words: ``web01-web20``, and counts of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

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
