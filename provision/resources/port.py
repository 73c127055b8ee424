"""A port of the host's that somebody listens on: what was started there answers by now."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.model import USUAL, Call, Drift, HostReport, State

#: Seconds that a service may take from its start until it listens.
_PATIENCE = 30


class Listening(Struct, frozen=True):
    """``unit`` is the service (or the container) whose log says why nobody listens; ``after`` are files whose change
    starts it anew: then it is waited for."""

    port: int
    unit: str
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"port:{self.port}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"listens": "yes"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_ports", (str(self.port),)),)

    def seen(self, report: HostReport) -> State:
        if any(path in report.pending for path in self.after):
            return {"listens": "before its change"}
        return {"listens": report.fields("port", str(self.port))[0]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("port_wait", (str(self.port), str(_PATIENCE), self.unit), limit=USUAL + _PATIENCE)
