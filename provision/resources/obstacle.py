"""Problems that no step of provision can fix: they stop a host's plan, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources.base import Base


class Unfixable(Exception):
    """A host that cannot reach its desired state without an operator. The message says why, and what to do."""


class Obstacle(Base, frozen=True):
    """A declared value that this host's platform does not support."""

    kind = "obstacle"
    desired = ("possible", "yes")

    subject: str
    message: str

    def seen(self, report: HostReport) -> State:
        return {"possible": "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        raise Unfixable(self.message)
