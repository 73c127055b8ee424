"""Steps for dockerd itself: its own check of a daemon.json, and the change of its bridge."""

from __future__ import annotations

from provision.engine.daemon_json import BRIDGE, DAEMON_JSON
from provision.model import Call, Impact, Kept, Loading, Risk
from provision.remote.script import encoded

#: The look at docker's own bridge.
LOOK_BRIDGE = Call("look_bridge", (BRIDGE,))


def daemon_check(path: str = DAEMON_JSON) -> Call:
    """Have dockerd check the file that the host has."""
    return Call("daemon_check", (path,), title=f"have dockerd check {path}", risk=Risk.NONE)


def daemon_check_content(content: bytes, *, private: bool) -> Call:
    """Have dockerd check a content before it is written. No plan shows a ``private`` content."""
    return Call(
        "daemon_check_content",
        encoded(content),
        title=f"have dockerd check the new {DAEMON_JSON}",
        risk=Risk.NONE,
        private=(1,) if private else (),
    )


def bridge_free(keys: str) -> Call:
    """Refuse to change ``keys`` of docker's bridge while running containers use it."""
    return Call("bridge_free", (keys,), title=f"check that no container uses docker's bridge ({keys})", risk=Risk.NONE)


def containers_return() -> Call:
    return Call("containers_return", title="check that each container can be started again", risk=Risk.NONE)


def bridge_settle(unit: str, *, change: str, watched: str, bip: str) -> Call:
    """Give docker's bridge the address ``bip`` by a restart; ``change`` says whether containers may be stopped for it
    (``refuse`` or ``stop``)."""
    return Call(
        "bridge_settle",
        (unit, change, watched, bip),
        title=f"restart {unit} to give {BRIDGE} the address {bip}",
        touches=(unit,),
        impact=Impact("restart", "", "docker's bridge does not have the declared address"),
        engine="bridge",
        loading=Loading(unit, watched, "bridge", "bridge"),
        keeps=(Kept("service", unit),),
    )
