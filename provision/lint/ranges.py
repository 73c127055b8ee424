"""Ranges of numbers and directories in order, so that one is compared with its neighbours only. A project decides how
many there are."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def bounds(network: Network) -> tuple[int, int]:
    """The first and the last address of a network."""
    return int(network.network_address), int(network.broadcast_address)


def _first(taken: tuple[int, int, object]) -> int:
    return taken[0]


class Ranges(Generic[Owner]):
    """Ranges that do not overlap, each with its owner."""

    def __init__(self) -> None:
        self._taken: list[tuple[int, int, Owner]] = []

    def _between(self, first: int, last: int) -> tuple[int, int]:
        low = bisect_left(self._taken, first, key=_first)
        if low and self._taken[low - 1][1] >= first:
            low -= 1
        return low, bisect_left(self._taken, last + 1, low, key=_first)

    def first(self, first: int, last: int) -> list[tuple[int, int, Owner]]:
        """The first range that has a number from ``first`` to ``last``; empty where none has."""
        low, high = self._between(first, last)
        return self._taken[low : min(low + 1, high)]

    def take(self, first: int, last: int, owner: Owner) -> list[tuple[int, int, Owner]]:
        """Gives the numbers to ``owner``. Returns the ranges that had some of them. Each call makes three ranges at
        most, so all calls together return no more than three for each."""
        low, high = self._between(first, last)
        had = self._taken[low:high]
        before = [(one, first - 1, other) for one, _, other in had[:1] if one < first]
        after = [(last + 1, one, other) for _, one, other in had[-1:] if one > last]
        self._taken[low:high] = [*before, (first, last, owner), *after]
        return had


def _sorted(path: str) -> str:
    """All paths in a directory sort after this form of its name, next to each other."""
    return path.rstrip("/") + "/"


class Paths:
    """Directories and files, none of them twice."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._all = sorted({_sorted(path) for path in paths})
        #: those that are in no other one
        self._top: list[str] = []
        for path in self._all:
            if not self._top or not path.startswith(self._top[-1]):
                self._top.append(path)

    def inside(self, path: str) -> bool:
        """True if one of them is ``path`` or is in it."""
        at = bisect_left(self._all, name := _sorted(path))
        return self._all[at : at + 1] != [] and self._all[at].startswith(name)

    def cover(self, path: str) -> bool:
        """True if ``path`` is one of them or is in one."""
        at = bisect_right(self._top, name := _sorted(path))
        return at > 0 and name.startswith(self._top[at - 1])
