"""One host's part of a run, as :mod:`provision.planning.prepare` puts it together: its steps, and what undoes them."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex

from msgspec import Struct

from provision.model import Call, Plan


class Step(Struct, frozen=True):
    """``risky`` steps are rolled back by the host itself unless a new login confirms the change."""

    resource: str
    call: Call
    risky: bool = False

    @property
    def name(self) -> str:
        """For programs: the same in every run that needs it."""
        return f"{self.resource} {self.call.function}"

    @property
    def title(self) -> str:
        """For people: what is done."""
        return self.call.title or self.name


class Work(Struct, frozen=True):
    """``base`` is what the plan was made on and ``keep`` what must be kept to undo it: (kind, key, value) each.
    ``confirm_within`` is in seconds."""

    run: str
    plan: Plan
    steps: tuple[Step, ...]
    base: tuple[tuple[str, str, str], ...]
    keep: tuple[tuple[str, str, str], ...]
    confirm_within: int = 60
    #: what the engine must show after it was disturbed: seconds that it stays, and names that resolve
    health: tuple[str, ...] = ("0",)
    #: the tokens that the host's own configuration refers to: no other is sent to it
    secrets: frozenset[str] = frozenset()
    #: the shell functions that keep what is in ``keep``, and restore it
    undo: frozenset[str] = frozenset()

    @property
    def risky(self) -> bool:
        return any(step.risky for step in self.steps)

    @property
    def disturbs_engine(self) -> bool:
        """Whether a step (re)starts or reloads docker, so that its containers are to be counted before and after."""
        return any(step.call.engine for step in self.steps)


def new_run() -> str:
    """A name for a run: when it began (UTC), and a word that makes it unique. In order of time when sorted."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
