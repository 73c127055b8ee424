"""The purpose of a run."""

from __future__ import annotations

from enum import StrEnum


class Goal(StrEnum):
    """The value is the ``mode`` of a run's events and of its journal."""

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
