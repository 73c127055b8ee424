"""The address of docker's own bridge, where daemon.json declares one (``bip``).

dockerd gives its bridge an address when it starts, and not while containers run that live-restore has kept over that
start (moby, daemon/daemon_unix.go, initNetworkController). So a daemon that has loaded its file may lack what it says.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State

BRIDGE = "docker0"


class BridgeAddress(Struct, frozen=True):
    """``bip`` is what ``file``, the daemon.json of ``unit``, declares.

    ``change`` says whether containers may be stopped for it; ``watched`` are the files that docker has to have loaded.
    """

    unit: str
    file: str
    bip: str
    change: Literal["refuse", "stop"]
    watched: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"bridge:{BRIDGE}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"address": self.bip}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_bridge", (BRIDGE,)), Call("look_files", (self.file,)))

    def seen(self, report: HostReport) -> State:
        """As wanted where docker does not run, or has yet to be given a file that says so: its next start does it."""
        state, text = report.fields("bridge", BRIDGE)
        if state != "there" or _bip(report.content(self.file)) != self.bip:
            return self.want()
        found = re.findall(r" inet ([0-9./]+) ", text)
        if any(_same(address, self.bip) for address in found):
            return self.want()
        return {"address": ", ".join(found) or "none"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        words = (self.unit, self.change, "\n".join(self.watched), self.bip)
        yield Call("bridge_settle", words, disturbs=(self.unit,))


def _bip(content: bytes | None) -> str | None:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return None
    return found.get("bip") if isinstance(found, dict) else None


def _same(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_interface(one) == ipaddress.ip_interface(other)
    except ValueError:
        return False
