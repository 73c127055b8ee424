"""What a run is for."""

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

    @property
    def changes(self) -> bool:
        """Whether hosts are changed."""
        return self in (Goal.APPLY, Goal.ROLLBACK)

    @property
    def ordered(self) -> bool:
        """Whether a host comes after those that make what it uses. What only reads has no order, and a rollback
        restores what each host had."""
        return self in (Goal.PLAN, Goal.APPLY)

    @property
    def resumes(self) -> bool:
        """Whether a run that was cut off is finished; else an earlier run is one to roll back."""
        return self is Goal.APPLY
