"""One host's part of a run, as :mod:`provision.planning.prepare` makes it: its steps, and what undoes them."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex

from msgspec import Struct

from provision.model import Call, Plan, Risk


class Step(Struct, frozen=True):
    """If the ``risk`` of a step is a cut-off, the host itself rolls the step back unless a new login confirms the
    change."""

    resource: str
    call: Call
    risk: Risk = Risk.NONE

    @property
    def name(self) -> str:
        """The name for programs: the same in every run that needs the step."""
        return f"{self.resource} {self.call.function}"

    @property
    def proven(self) -> bool:
        """True if it replaces something, and proves its own effect."""
        return self.risk is Risk.PROVEN and bool(self.call.keeps)

    @property
    def title(self) -> str:
        """The title for people: what the step does."""
        return self.call.title or self.name


class Work(Struct, frozen=True):
    """``base`` is the state that the plan is based on. ``keep`` is what the host must keep to undo the changes. Both
    are tuples of (kind, key, value). ``confirm_within`` is in seconds."""

    run: str
    plan: Plan
    steps: tuple[Step, ...]
    base: tuple[tuple[str, str, str], ...]
    keep: tuple[tuple[str, str, str], ...]
    confirm_within: int = 60
    #: conditions for the engine after a disturbance: seconds that it must stay up, and names that must resolve
    health: tuple[str, ...] = ("0",)
    #: the tokens that the host's own configuration refers to; no other token is sent to the host
    secrets: frozenset[str] = frozenset()
    #: the shell functions that save what ``keep`` names, and restore it
    undo: frozenset[str] = frozenset()

    @property
    def risky(self) -> bool:
        return any(step.risk is Risk.CUT_OFF for step in self.steps)

    @property
    def watched(self) -> bool:
        """True if the service manager of the host watches the job, and rolls the change back when the job dies. It does
        so if a step proves its own effect, and no step needs a login as confirmation."""
        return not self.risky and any(step.proven for step in self.steps)

    @property
    def proven(self) -> bool:
        """True if no new login is needed to prove that the host is still reachable."""
        return all(step.risk is Risk.PROVEN for step in self.steps)

    @property
    def limit(self) -> int:
        """The number of seconds that all steps together may take."""
        return sum(step.call.limit for step in self.steps)

    @property
    def disturbs_engine(self) -> bool:
        """True if a step (re)starts or reloads docker, so that the host must count its containers before and after."""
        return any(step.call.engine for step in self.steps)


def new_run() -> str:
    """Return a new run name: the start time (UTC), its milliseconds in hexadecimal, and five random digits. Names sort
    by time."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}-{now.microsecond // 1000:03x}{token_hex(3)[1:]}"
