"""What no step of ours can mend: it stops a host's plan, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State


class Unfixable(Exception):
    """A host that can't become what its spec says without a person; the message says why, and what to do."""


class Obstacle(Struct, frozen=True):
    """Something declared that this host's platform can't fulfil."""

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
