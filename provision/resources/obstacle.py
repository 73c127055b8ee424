"""Problems that no step of provision can fix: they stop a host's plan, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State


class Unfixable(Exception):
    """A host that cannot reach its desired state without an operator. The message says why, and what to do."""


class Obstacle(Struct, frozen=True):
    """A declared value that this host's platform does not support."""

    subject: str
    message: str

    @property
    def id(self) -> str:
        return f"obstacle:{self.subject}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"possible": "yes"}

    def look(self) -> tuple[Call, ...]:
        return ()

    def seen(self, report: HostReport) -> State:
        return {"possible": "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        raise Unfixable(self.message)
