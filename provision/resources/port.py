"""A port of the host that a service listens on: the service that was started there accepts connections."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources.base import Base
from provision.steps.services import port_wait

#: Seconds that a service may take from its start until it listens.
_PATIENCE = 30


class Listening(Base, frozen=True):
    """``unit`` is the service (or the container) whose log says why nothing listens. A change of an ``after`` file
    restarts the service; then a step waits for the port."""

    kind = "port"
    desired = ("listens", "yes")
    looks = "look_ports"

    port: int
    unit: str
    after: tuple[str, ...] = ()

    def seen(self, report: HostReport) -> State:
        if any(path in report.pending for path in self.after):
            return {"listens": "before its change"}
        return {"listens": report.fields("port", str(self.port))[0]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield port_wait(self.port, seconds=_PATIENCE, unit=self.unit)
