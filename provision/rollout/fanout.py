"""How the hosts of one turn are gone through: by threads here. (:mod:`provision.rollout.cluster` is the other way.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provision.rollout.host_run import HostRun
from provision.rollout.worker_pool import Member, Shift

#: How long (seconds) Ctrl-C, or a budget that is spent, may wait to be heeded.
HEED = 0.2


class Gate(Protocol):
    """What whoever goes through hosts asks and tells."""

    @property
    def stopped(self) -> str:
        """Why no other host is begun."""

    @property
    def leaving(self) -> bool:
        """Whether hosts under way are left to themselves: Ctrl-C came twice."""

    def start(self, run: HostRun) -> str:
        """A host begins; or why it may not."""

    def end(self, run: HostRun) -> None:
        """A host that had begun has ended."""

    def heed(self) -> None:
        """Called every now and then: has somebody pressed Ctrl-C?"""


class FanOut(Protocol):
    """``keeps`` is whether the connection of a host that was looked at can be kept for its change."""

    @property
    def keeps(self) -> bool: ...

    def preview(self, runs: list[HostRun], keep: bool, gate: Gate) -> None:
        """Look at all of them, for somebody to say yes to."""

    def whole(self, runs: list[HostRun], gate: Gate) -> None:
        """Take all of them to their ends, or as far as they go before they are proven."""


class Threads:
    """``forks`` hosts at a time, in this process."""

    keeps = True

    def __init__(self, forks: int) -> None:
        self._forks = forks

    def preview(self, runs: list[HostRun], keep: bool, gate: Gate) -> None:
        def look(run: HostRun) -> None:
            if not gate.stopped:
                run.preview(keep)

        self._each(runs, look, gate)

    def whole(self, runs: list[HostRun], gate: Gate) -> None:
        def through(run: HostRun) -> None:
            if reason := gate.start(run):
                run.skip(reason)
                return
            run.whole()
            if run.done:
                gate.end(run)

        self._each(runs, through, gate)

    def _each(self, runs: list[HostRun], job: Callable[[HostRun], None], gate: Gate) -> None:
        def work(run: HostRun, member: Member) -> None:
            run.waits = member.waits
            job(run)

        shift = Shift(runs, work, self._forks)
        while not shift.wait(HEED):
            gate.heed()
            if gate.leaving:
                for run in runs:
                    run.cut()
        gate.heed()
