"""Which host may start when: waves, domains that take turns, and a budget of failures.

This module has no side effects: it uses only names of hosts, no clock and no connection. The caller of a schedule asks
:meth:`Schedule.start` before each host, reports how each one ended, and continues when a wave is over.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from provision.project.rollout_options import ALL, Share

#: Statuses that count against the budget. Ansible's ``max_fail_percentage`` ignores unreachable hosts.
BAD = frozenset({"failed", "unreachable", "rolled_back"})


class Wave(Struct, frozen=True):
    """``number`` counts from 1. The hosts of one turn may run at once; the next turn begins when they have ended."""

    number: int
    turns: tuple[tuple[str, ...], ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for turn in self.turns for host in turn)


def ordered(hosts: Sequence[str], order: Literal["inventory", "sorted", "shuffle"], seed: str = "") -> list[str]:
    """``hosts`` (in inventory order) in the order of their turns."""
    found = sorted(hosts) if order == "sorted" else list(hosts)
    if order == "shuffle":
        random.Random(seed).shuffle(found)  # noqa: S311 - no secret
    return found


def waves(
    hosts: Sequence[str],
    serial: Sequence[Share] = (ALL,),
    domains: Mapping[str, str] | None = None,
    apart: Literal["waves", "turns"] = "waves",
) -> tuple[Wave, ...]:
    """Split ``hosts`` into waves of ``serial`` hosts. The last number repeats; a wave has at least one host.

    ``domains`` (host -> rack, zone ...) are kept ``apart``. By ``waves``, all hosts of a wave are of one domain. By
    ``turns``, a wave may have several domains, which take turns.
    """
    queues = _by_domain(hosts, domains) if domains and apart == "waves" else [list(hosts)]
    found: list[Wave] = []
    for queue in queues:
        while queue:
            share = serial[min(len(found), len(serial) - 1)]
            size = max(1, share.of(len(hosts)))
            taken, queue = queue[:size], queue[size:]
            turns = _by_domain(taken, domains) if domains else [taken]
            found.append(Wave(len(found) + 1, tuple(map(tuple, turns))))
    return tuple(found)


def _by_domain(hosts: Sequence[str], domains: Mapping[str, str]) -> list[list[str]]:
    """The hosts of each domain, in the order of each domain's first host."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        found.setdefault(domains[host], []).append(host)
    return list(found.values())


class Budget:
    """How many hosts may fail: ``limit`` of each wave's hosts, of each domain's, and of all of them.

    The next failure after that spends the budget. ``None`` is no limit.
    """

    def __init__(self, limit: Share | None, cut: Sequence[Wave], domains: Mapping[str, str] | None = None) -> None:
        self.spent = ""
        self._groups: dict[str, list[str]] = {}
        for wave in cut:
            for host in wave.hosts:
                groups = [f"wave {wave.number}", "the fleet"]
                self._groups[host] = [*groups, f"domain {domains[host]}"] if domains else groups
        self._sizes = Counter(group for groups in self._groups.values() for group in groups)
        self._limit = limit
        self._bad: Counter[str] = Counter()

    def count(self, host: str, status: str) -> None:
        if status not in BAD or self._limit is None:
            return
        for group in self._groups[host]:
            self._bad[group] += 1
            allowed, size = self._limit.of(self._sizes[group]), self._sizes[group]
            if self._bad[group] > allowed and not self.spent:
                self.spent = f"{self._bad[group]} of {size} hosts of {group} failed; allowed: {allowed}"


class Schedule:
    """The waves of a rollout, processed one after the other.

    ``stopped`` says why no further host may start: the budget is spent, or the caller stopped the schedule.
    """

    def __init__(
        self,
        cut: Sequence[Wave],
        limit: Share | None = None,
        domains: Mapping[str, str] | None = None,
    ) -> None:
        self.waves = tuple(cut)
        self.stopped = ""
        self._budget = Budget(limit, cut, domains)
        self._turns = [(wave, turn) for wave in self.waves for turn in wave.turns]
        self._members = [frozenset(turn) for _, turn in self._turns]
        self._turn = 0
        self._started: set[str] = set()
        self._under_way: set[str] = set()

    def start(self, host: str) -> str:
        """Begin ``host`` of the current turn; return why it may not start, or an empty text."""
        if self._turn >= len(self._turns) or host not in self._members[self._turn] or host in self._started:
            raise ValueError(f"{host} is not in the current turn")
        if not self.stopped:
            self._started.add(host)
            self._under_way.add(host)
        return self.stopped

    def end(self, host: str, status: str) -> None:
        """Report that ``host`` has ended, with one of ``host.done``'s statuses."""
        self._under_way.remove(host)
        self._budget.count(host, status)
        if self._budget.spent:
            self.stop(self._budget.spent)

    def stop(self, reason: str) -> None:
        """Let no further host start; the first reason is kept."""
        self.stopped = self.stopped or reason

    def turns(self) -> Iterator[tuple[Wave, tuple[str, ...]]]:
        """Yield each turn with its wave, while no host of the previous turn is under way and nothing stopped it."""
        while self._turn < len(self._turns) and not self.stopped:
            yield self._turns[self._turn]
            if self._under_way:
                raise ValueError(f"the turn is not finished: {', '.join(sorted(self._under_way))}")
            self._turn += 1

    @property
    def left(self) -> tuple[str, ...]:
        """Hosts that have not been started, in their order."""
        return tuple(host for _, turn in self._turns for host in turn if host not in self._started)
