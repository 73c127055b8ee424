"""The address of docker's own bridge, where daemon.json declares one (``bip``).

dockerd sets its bridge's address when it starts, unless live-restore has kept containers running during that start
(moby, daemon/daemon_unix.go, initNetworkController). So a daemon can have loaded its file but not use the address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from provision.engine.daemon_json import BRIDGE, DAEMON_JSON, parsed
from provision.engine.steps import LOOK_BRIDGE, bridge_settle
from provision.model import Call, Drift, HostReport, State
from provision.remote.protocol import decoded
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable
from provision.resources.service import masked, unstartable


class BridgeAddress(Base, frozen=True):
    """``bip`` is the address that ``file``, the daemon.json of ``unit``, declares.

    ``change`` says whether containers may be stopped for it; ``watched`` are the files that docker must have loaded.
    """

    unit: str
    file: str
    bip: str
    change: Literal["refuse", "stop"]
    watched: tuple[str, ...]

    kind = "bridge"
    name = BRIDGE

    def want(self) -> State:
        return {"address": self.bip}

    def look(self) -> tuple[Call, ...]:
        return (LOOK_BRIDGE, Call("look_files", (self.file,)))

    def seen(self, report: HostReport) -> State:
        """In the desired state where docker does not run, or its file does not have the address yet: the next start of
        docker sets it."""
        state, _ = report.fields("bridge", BRIDGE)
        if state != "there" or (parsed(report.content(self.file)) or {}).get("bip") != self.bip:
            return self.want()
        found = _addresses(report, BRIDGE)
        if any(_same(address, self.bip) for address in found):
            return self.want()
        return {"address": ", ".join(found) or "none", "masked": masked(report, self.unit)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.seen["masked"]:
            raise Unfixable(unstartable(self.unit, drift.seen["masked"]))
        yield bridge_settle(self.unit, change=self.change, watched="\n".join(self.watched), bip=self.bip)


def _same(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_interface(one) == ipaddress.ip_interface(other)
    except ValueError:
        return False


def _stays(line: d.Line, report: HostReport) -> str:
    """dockerd keeps the address that its bridge has, unless the restored daemon.json declares one."""
    kept = report.get("kept", DAEMON_JSON)
    declared = (parsed(decoded(kept[1])) or {}).get("bip") if kept is not None else None
    now = _addresses(report, line.word)
    if declared or not line.rest or not now or any(_same(address, line.rest) for address in now):
        return ""
    return f"the address {', '.join(now)} of {line.word} (before the run: {line.rest}), which dockerd keeps"


def _addresses(report: HostReport, bridge: str) -> list[str]:
    return re.findall(r" inet ([0-9./]+) ", report.fields("bridge", bridge)[1])


DECLARATION = d.Declaration(
    # The address of docker's bridge, which belongs to daemon.json.
    kinds={"bridge": d.Kind("keep", {"bridge": d.RecordLine("undo_bridge", None, _stays)}, d.Stage.FILES)}
)
