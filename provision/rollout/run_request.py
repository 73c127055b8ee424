"""The request of a run, and what all its hosts share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from enum import StrEnum
from typing import Any

from fabric import Connection
from msgspec import Struct, field
from msgspec.structs import replace

from provision.catalog import Options
from provision.model import Event, Failure, Plan
from provision.project.host_config import Context, HostConfig
from provision.remote.transaction import Step
from provision.resources.docker.inspected import registry
from provision.spec import Registry
from provision.tasks import DEADLINE
from provision.transport.ssh import Transport

Confirm = Callable[[list[Plan]], bool]
#: Check hosts over open connections: with the hosts, a receiver of events, the suites (none: the usual ones), and the
#: number of concurrent hosts. Returns host -> how it differs from the spec.
Verify = Callable[
    [list[tuple[HostConfig, Connection]], Callable[[Event], None], tuple[str, ...], int], dict[str, Failure | None]
]
#: Run a command on the controller, with more environment variables; return its error, or an empty text.
Hook = Callable[[list[str], dict[str, str]], str]


class Goal(StrEnum):
    """The purpose of a run. The value is the ``mode`` of a run's events and of its journal."""

    PLAN = "plan"
    APPLY = "apply"
    ROLLBACK = "rollback"
    DOCTOR = "doctor"
    LOCK = "lock"
    RUNS = "runs"
    PING = "ping"

    @property
    def changes(self) -> bool:
        """True if the run changes hosts."""
        return self in (Goal.APPLY, Goal.ROLLBACK)

    @property
    def ordered(self) -> bool:
        """True if a host waits for the hosts that make what it uses. A run that only reads has no order, and a rollback
        restores what each host had."""
        return self in (Goal.PLAN, Goal.APPLY)

    @property
    def resumes(self) -> bool:
        """True if the run finishes an earlier run. Otherwise it rolls the earlier run back."""
        return self is Goal.APPLY


class RunRequest(Struct, frozen=True):
    """``confirm`` is asked once, between all looks and the first change; ``ask`` is asked between waves. ``deadline``
    is in seconds per host; a host that waits for the answer gets a new one. A look must end within ``look_within``
    seconds. ``prove`` verifies each host at its end. ``run`` names this run on the hosts. A host rolls a risky change
    back unless a new login confirms it within ``confirm_within`` seconds."""

    goal: Goal
    forks: int = 50
    deadline: float = DEADLINE
    look_within: float = 30.0
    confirm: Confirm | None = None
    ask: Callable[[str], bool] | None = None
    verify: Verify | None = None
    prove: bool = False
    hook: Hook | None = None
    run: str = ""
    confirm_within: int = 60
    max_impact: str | None = None
    #: a run to roll back, or an interrupted run to finish
    earlier: str = ""
    #: another worker began this same run and died: each host is asked first how far it got
    again: bool = False
    #: host -> the plan that the operator has approved (:func:`provision.planning.planfile.entry`)
    approved: dict[str, dict[str, Any]] | None = None


class Published:
    """The images that hosts of this run have pushed, with their digests; hosts that come later use them. It is shared
    by threads. ``share`` sends those of this process to the other processes."""

    def __init__(self, share: Callable[[dict[str, str]], None] | None = None) -> None:
        self._lock, self._share = threading.Lock(), share
        self._digests: dict[str, str] = {}

    def add(self, digests: Mapping[str, str]) -> None:
        self.received(digests)
        if digests and self._share is not None:
            self._share(dict(digests))

    def received(self, digests: Mapping[str, str]) -> None:
        with self._lock:
            self._digests.update(digests)

    def now(self) -> tuple[tuple[str, str], ...]:
        """The images pushed so far, in order of their names."""
        with self._lock:
            return tuple(sorted(self._digests.items()))


#: Takes a name and its number of places: waits for a place, and holds it inside the ``with`` block.
Place = Callable[[str, int], AbstractContextManager[object]]


class Pulls:
    """Limits how many hosts pull from one registry at the same time, so that a fleet does not overload it. If several
    processes share the places, ``place`` takes them."""

    def __init__(self, place: Place | None = None) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, threading.BoundedSemaphore] = {}
        #: places of all processes, also for what is not a registry
        self.shared: Place = place or self.place

    def place(self, name: str, bound: int) -> threading.BoundedSemaphore:
        """The first request for a name decides its number of places: all specs should agree."""
        with self._lock:
            return self._places.setdefault(name, threading.BoundedSemaphore(bound))

    @contextmanager
    def held(self, config: HostConfig, plan: Plan) -> Iterator[Pulling]:
        """Wait for a place at every registry that the plan pulls from. All hosts use the same order, which
        prevents a deadlock."""
        steps = [
            (Step(change.resource, call).name, call.pulls)
            for change in plan.changes
            for call in change.calls
            if call.pulls
        ]
        declared = config.spec.engine.registries if config.spec.engine is not None else {}
        places = ExitStack()
        try:
            for name in sorted({registry(reference) for _, images in steps for reference in images}):
                places.enter_context(self.shared(name, declared.get(name, Registry()).pulls))
            yield Pulling({step for step, _ in steps}, places)
        finally:
            places.close()


class Pulling:
    """Receives a host's steps, and frees its places when it has pulled the last of its images."""

    def __init__(self, left: set[str], places: ExitStack) -> None:
        self._left, self._places = left, places

    def received(self, event: Event) -> None:
        if event.name == "step.done" and event.data["step"] in self._left:
            self._left.discard(str(event.data["step"]))
            if not self._left:
                self._places.close()


class RunContext(Struct, frozen=True):
    """Shared by all hosts of a run. ``context`` and ``request`` do not change; each part that changes has a lock."""

    context: Context
    transport: Transport
    options: Options
    request: RunRequest
    emit: Callable[[Event], None]
    pulls: Pulls = field(default_factory=Pulls)
    published: Published = field(default_factory=Published)

    @property
    def restarts(self) -> AbstractContextManager[object]:
        """Held while a host restarts: one host at a time."""
        return self.pulls.shared("restart", 1)

    @property
    def options_now(self) -> Options:
        """The options, with the images that hosts have pushed so far."""
        return replace(self.options, published=self.published.now())
