"""Docker's own networks: are they networks, private ones, and apart from each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from msgspec import Struct

from provision.dockerd.daemon_keys import Version
from provision.errors import Where
from provision.lint.finding import Finding, Level
from provision.lint.rules import finding
from provision.text.yamlfile import Map, Seq

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: RFC 1918, RFC 6598 (shared by carriers), RFC 3927 (link-local), RFC 4193 (unique local), loopback.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]


class Placed(Struct, frozen=True):
    """A network of docker's, the key that it is from, and where it stands."""

    key: str
    network: Network
    where: Where


def declared(daemon: Map) -> Iterator[Placed]:
    """The networks that a daemon.json names and that are ones."""
    for key in ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6"):
        if (found := _interface(daemon.get(key))) is not None:
            yield Placed(key, found.network, daemon.where[key])
    pools: Seq = daemon.get("default-address-pools") or Seq()
    for index, pool in enumerate(pools):
        if (found := _interface(pool.get("base"))) is not None:
            yield Placed("default-address-pools", found.network, pools.where[index])


def _interface(text: object) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    """An address with the length of its network; ``None`` for anything else."""
    try:
        return ipaddress.ip_interface(text) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def is_private(network: Network) -> bool:
    return any(network.version == one.version and network.subnet_of(one) for one in _PRIVATE)  # type: ignore[arg-type]


def networks(daemon: Map, engine: Version) -> Iterator[Finding]:
    yield from _malformed(daemon)
    if daemon.get("bridge") and (daemon.get("bip") or daemon.get("bip6")):
        key = "bip" if daemon.get("bip") else "bip6"
        yield finding("DJ206", daemon.where[key], f"{key} and bridge exclude each other")
    placed = list(declared(daemon))
    for one in placed:
        if not is_private(one.network):
            message = f"{one.key} {one.network} is public address space"
            yield finding("DJ204", one.where, message, _private_hint(one.network))
    yield from _inside(daemon, engine)
    apart = [one for one in placed if not one.key.startswith("fixed-cidr")]
    for index, one in enumerate(apart):
        for other in apart[:index]:
            if one.network.overlaps(other.network):
                message = f"{one.key} {one.network} overlaps {other.key} {other.network} (line {other.where.line})"
                yield finding("DJ205", one.where, message)


def _private_hint(network: Network) -> str:
    if network.version == 4 and str(network).startswith("172."):
        return "172.16.0.0/12 ends at 172.31.255.255"
    return "take one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16" if network.version == 4 else "take one of fc00::/7"


def _malformed(daemon: Map) -> Iterator[Finding]:
    for key in ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6"):
        text = daemon.get(key)
        if not text:
            continue
        if (found := _interface(text)) is None:
            message = f"{key} {text!r} is no address with a length"
            yield finding("DJ203", daemon.where[key], message, "10.200.0.1/24, say")
        elif key == "bip" and found.ip in (found.network.network_address, found.network.broadcast_address):
            first = f"{found.network.network_address + 1}/{found.network.prefixlen}"
            yield finding(
                "DJ203", daemon.where[key], f"bip {text} is no host's address in {found.network}", f"{first}, say"
            )
    pools: Seq = daemon.get("default-address-pools") or Seq()
    for index, pool in enumerate(pools):
        where, base, size = pools.where[index], pool.get("base"), pool.get("size")
        found = _interface(base)
        if found is None:
            yield finding("DJ203", where, f"the pool's base {base!r} is no network", "10.0.0.0/16, say")
            continue
        network = found.network
        if not isinstance(size, int) or not network.prefixlen <= size <= network.max_prefixlen:
            said = (
                f"a pool of {network} has networks of size {network.prefixlen} to {network.max_prefixlen}, not {size}"
            )
            yield finding("DJ203", where, said)


def _inside(daemon: Map, engine: Version) -> Iterator[Finding]:
    """What must lie in the bridge's own network."""
    try:
        bridge = ipaddress.ip_interface(daemon.get("bip") or "").network
    except ValueError:
        return
    for key in ("fixed-cidr", "default-gateway"):
        try:
            inside = ipaddress.ip_interface(daemon.get(key) or "").network
        except ValueError:
            continue
        if inside.version == bridge.version and not inside.subnet_of(bridge):  # type: ignore[arg-type]
            # Until 28 a fixed-cidr from elsewhere was taken.
            level: Level = "warning" if key == "fixed-cidr" and engine < (28, 0) else "error"
            message = f"{key} {daemon[key]} is outside of the bridge's {bridge}"
            yield finding("DJ207", daemon.where[key], message, level=level)
