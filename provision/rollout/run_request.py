"""The request of a run, and what all its hosts share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any

from fabric import Connection
from msgspec import Struct, field
from msgspec.structs import replace

from provision.catalog import Options
from provision.model import Event, Failure, Plan
from provision.project.host_config import Context, HostConfig
from provision.rollout.pulls import Pulls
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
        """Whether the run changes hosts."""
        return self in (Goal.APPLY, Goal.ROLLBACK)

    @property
    def ordered(self) -> bool:
        """Whether a host waits for the hosts that make what it uses. A run that only reads has no order, and a rollback
        restores what each host had."""
        return self in (Goal.PLAN, Goal.APPLY)

    @property
    def resumes(self) -> bool:
        """Whether the run finishes an earlier run. Otherwise it rolls the earlier run back."""
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
    by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}

    def add(self, digests: Mapping[str, str]) -> None:
        with self._lock:
            self._digests.update(digests)

    def now(self) -> tuple[tuple[str, str], ...]:
        """The images pushed so far, in order of their names."""
        with self._lock:
            return tuple(sorted(self._digests.items()))


class RunContext(Struct, frozen=True):
    """What all hosts of a run share. ``context`` and ``request`` do not change; each part that changes has a lock."""

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
