"""Process the hosts of one turn, here by threads. :mod:`provision.rollout.processes` and
:mod:`provision.rollout.cluster` are the other implementations. All of them, and their workers, use :func:`process`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

from provision.rollout.host_run import HostRun
from provision.rollout.worker_pool import Member, Shift

#: The maximum number of seconds until a Ctrl-C, or a spent budget, takes effect.
HEED = 0.2


class Gate:
    """The questions and reports of a fan-out while it processes hosts. This one lets every host begin."""

    @property
    def stopped(self) -> str:
        """Why no further host may begin."""
        return ""

    @property
    def leaving(self) -> bool:
        """True if provision abandons the hosts under way: Ctrl-C was pressed twice."""
        return False

    def start(self, run: HostRun) -> str:
        """Begin a host; return why it may not begin, or an empty text."""
        return self.stopped

    def end(self, run: HostRun) -> None:
        """Report that a host which had begun has ended."""

    def heed(self) -> None:
        """Handle a pending Ctrl-C. The fan-out calls this regularly."""


class Turn(Protocol):
    """Hosts that :func:`process` begins one after the other. Several threads use it.

    With ``preview``, only the state of the hosts is read, for the operator to approve their plans; ``keep`` then keeps
    the connections of hosts with changes. Otherwise each host is processed up to its end, or up to the verification.
    """

    preview: bool
    keep: bool

    @property
    def leaving(self) -> bool:
        """As in :class:`Gate`."""

    def next(self) -> HostRun | None:
        """Begin the next host; ``None`` if no host is left."""

    def ended(self, run: HostRun) -> None:
        """Report that the turn of a host is over."""

    def heed(self) -> None:
        """Called every ``HEED`` seconds."""


def process(turn: Turn, count: int, forks: int) -> None:
    """Process up to ``count`` hosts of a turn by threads, ``forks`` at a time."""
    active: set[HostRun] = set()
    none_left = threading.Event()

    def work(ticket: int, member: Member) -> None:
        run = None if none_left.is_set() else turn.next()
        if run is None:
            none_left.set()
            return
        run.waits = member.waits
        active.add(run)
        if turn.preview:
            run.preview(turn.keep)
        else:
            run.whole()
        active.discard(run)
        turn.ended(run)

    shift = Shift(range(count), work, forks)
    while not shift.wait(HEED):
        turn.heed()
        if none_left.is_set():
            shift.cancel()
        if turn.leaving:
            for run in list(active):
                run.cut()
    turn.heed()


class Queue:
    """A :class:`Turn` of given hosts, in their order, which begin when ``gate`` allows it."""

    def __init__(self, runs: list[HostRun], gate: Gate, preview: bool = False, keep: bool = False) -> None:
        self.gate, self.preview, self.keep = gate, preview, keep
        self._left = OrderedDict((run.config.host.name, run) for run in runs)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._left)

    @property
    def left(self) -> list[HostRun]:
        """The hosts that have not begun."""
        return list(self._left.values())

    @property
    def more(self) -> bool:
        """True if a further host can begin or be skipped."""
        return bool(self._left) and not (self.preview and self.gate.stopped)

    @property
    def leaving(self) -> bool:
        return self.gate.leaving

    def has(self, allowed: Callable[[str], bool]) -> bool:
        """True if the name of a host that has not begun is ``allowed``."""
        return any(map(allowed, self._left))

    def next(self, allowed: Callable[[str], bool] = lambda name: True) -> HostRun | None:
        """Begin the next host whose name is ``allowed``; skip those that may not begin."""
        while self.more:
            with self._lock:
                name = next(filter(allowed, self._left), None)
                if name is None:
                    return None
                run = self._left.pop(name)
            if self.preview:
                return run
            if reason := self.gate.start(run):
                run.skip(reason)
            elif run.done:  # in the look for the approval
                self.ended(run)
            else:
                return run
        return None

    def ended(self, run: HostRun) -> None:
        # The turn of a host that is verified ends after that.
        if not self.preview and run.done and not run.good:
            self.gate.end(run)

    def heed(self) -> None:
        self.gate.heed()


class FanOut:
    """Processes ``forks`` hosts at a time, by threads of this process, which has their connections. ``keeps``: the
    connection of a host can stay open between its look and its change."""

    keeps = True

    def __init__(self, forks: int) -> None:
        self._forks = forks

    def begin(self, runs: Mapping[str, HostRun]) -> None:
        """Prepare for all hosts of the run, before its first event."""

    def process(self, queue: Queue) -> None:
        """Process all hosts of a turn."""
        process(queue, len(queue), self._forks)

    def verify(self, runs: list[HostRun], suites: tuple[str, ...]) -> None:
        """Verify hosts in the desired state over their connections, all at once; fail those that differ."""
        held = [(run.config, connection) for run in runs if (connection := run.hold()) is not None]
        if not held or (request := runs[0].run_context.request).verify is None:
            return
        failures = request.verify(held, runs[0].run_context.emit, suites, request.forks)
        for run in runs:
            if failure := failures.get(run.config.host.name):
                run.fail(failure)

    def release(self, runs: list[HostRun]) -> None:
        """Close the connections of hosts that wait."""
        for run in runs:
            run.release()

    def prove(self, runs: list[HostRun]) -> None:
        """End hosts that the verification found in the desired state."""
        for run in runs:
            run.proven()

    def close(self) -> None:
        """End the fan-out: the run is over."""
