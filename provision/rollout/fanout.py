"""Process the hosts of one turn, here by threads. :mod:`provision.rollout.processes` and
:mod:`provision.rollout.cluster` are the other implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from provision.rollout.host_run import HostRun
from provision.rollout.worker_pool import Member, Shift

#: The maximum number of seconds until a Ctrl-C, or a spent budget, takes effect.
HEED = 0.2


class Gate(Protocol):
    """What a fan-out asks and reports while it processes hosts."""

    @property
    def stopped(self) -> str:
        """Why no further host may begin."""

    @property
    def leaving(self) -> bool:
        """Whether provision abandons the hosts under way: Ctrl-C was pressed twice."""

    def start(self, run: HostRun) -> str:
        """Begin a host; return why it may not begin, or an empty text."""

    def end(self, run: HostRun) -> None:
        """Report that a host which had begun has ended."""

    def heed(self) -> None:
        """Handle a pending Ctrl-C. The fan-out calls this regularly."""


class FanOut(Protocol):
    """``keeps``: the connection of a host can stay open between its look and its change."""

    @property
    def keeps(self) -> bool: ...

    def begin(self, runs: Mapping[str, HostRun]) -> None:
        """Prepare for all hosts of the run, before its first event."""

    def preview(self, runs: list[HostRun], keep: bool, gate: Gate) -> None:
        """Read the state of all hosts, for the operator to approve their plans."""

    def whole(self, runs: list[HostRun], gate: Gate) -> None:
        """Process all hosts up to their end, or up to the verification."""

    def verify(self, runs: list[HostRun], suites: tuple[str, ...]) -> None:
        """Verify hosts in the desired state over their connections, all at once; fail those that differ."""

    def release(self, runs: list[HostRun]) -> None:
        """Close the connections of hosts that wait."""

    def prove(self, runs: list[HostRun]) -> None:
        """End hosts that the verification found in the desired state."""

    def close(self) -> None:
        """End the fan-out: the run is over."""


class Here:
    """What a fan-out does with hosts after their change, where this process has their connections."""

    def begin(self, runs: Mapping[str, HostRun]) -> None:
        """Do nothing: this process needs no preparation."""

    def verify(self, runs: list[HostRun], suites: tuple[str, ...]) -> None:
        request = runs[0].run_context.request
        held = [(run.config, connection) for run in runs if (connection := run.hold()) is not None]
        if not held or request.verify is None:
            return
        failures = request.verify(held, runs[0].run_context.emit, suites, request.forks)
        for run in runs:
            if failure := failures.get(run.config.host.name):
                run.fail(failure)

    def release(self, runs: list[HostRun]) -> None:
        for run in runs:
            run.release()

    def prove(self, runs: list[HostRun]) -> None:
        for run in runs:
            run.proven()

    def close(self) -> None:
        """Do nothing: this process holds nothing open."""


class Threads(Here):
    """Processes ``forks`` hosts at a time, in this process."""

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
