"""The lab's network: one bridge, a network namespace per host, and no way out of the machine.

A blackhole route for the whole subnet is added first and stays. It drops packets to a lab host that does not exist (the
bridge is down, or the lab has ended), so that they do not leave this machine.
"""

from __future__ import annotations

from pathlib import Path

from provision.lab.process import run
from provision.lab.store import GATEWAY, MIRROR, SUBNET

BRIDGE = "provlab0"


def ensure_bridge() -> None:
    """Make the bridge with the gateway's address, unless it is there already."""
    run(["ip", "route", "replace", "blackhole", f"{SUBNET}.0/24", "metric", "4000"])
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"])
    run(["ip", "addr", "replace", f"{GATEWAY}/24", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])


def remove_bridge() -> None:
    run(["ip", "link", "del", BRIDGE], check=False)


def namespace(index: int) -> str:
    return f"provlab-{index}"


def add_host(index: int) -> None:
    """A namespace with address ``SUBNET.index`` on ``eth0``, connected to the bridge; no default route."""
    name = namespace(index)
    remove_host(index)
    run(["ip", "netns", "add", name])
    run(["ip", "link", "add", f"plv{index}", "type", "veth", "peer", "name", "eth0", "netns", name])
    run(["ip", "link", "set", f"plv{index}", "master", BRIDGE, "up"])
    run(["ip", "-n", name, "link", "set", "eth0", "address", hardware(index)])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    run(["ip", "-n", name, "addr", "add", f"{SUBNET}.{index}/24", "dev", "eth0"])
    run(["ip", "-n", name, "link", "set", "eth0", "up"])


def add_tap(index: int) -> str:
    """Add a tap device for a virtual machine to the bridge; returns its name."""
    run(["ip", "link", "del", f"plv{index}"], check=False)
    run(["ip", "tuntap", "add", f"plv{index}", "mode", "tap"])
    run(["ip", "link", "set", f"plv{index}", "master", BRIDGE, "up"])
    return f"plv{index}"


def hardware(index: int) -> str:
    """The hardware address that belongs to an address. It is always the same one: otherwise a neighbour that has cached
    an earlier host's address would lose packets for seconds."""
    return f"02:00:c6:33:64:{index:02x}"


def remove_host(index: int) -> None:
    run(["ip", "netns", "del", namespace(index)], check=False)
    run(["ip", "link", "del", f"plv{index}"], check=False)


def mirror_index() -> int:
    return int(MIRROR.rpartition(".")[2])
