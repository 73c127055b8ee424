"""Docker's own networks: are they networks, private ones, and apart from each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from provision.errors import Where
from provision.lint.finding import Finding, Level
from provision.lint.keys import Version
from provision.lint.rules import RULES
from provision.yamlfile import Map, Seq

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


@dataclass(frozen=True, slots=True)
class Placed:
    """A network of docker's, the key that it is from, and where it stands."""

    key: str
    network: Network
    where: Where


def declared(daemon: Map) -> Iterator[Placed]:
    """The networks that a daemon.json names and that are ones."""
    for key in ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6"):
        if daemon.get(key) and "/" in daemon[key]:
            try:
                yield Placed(key, ipaddress.ip_interface(daemon[key]).network, daemon.where[key])
            except ValueError:
                continue
    pools: Seq = daemon.get("default-address-pools") or Seq()
    for index, pool in enumerate(pools):
        try:
            network = ipaddress.ip_network(str(pool.get("base", "")), strict=False)
        except ValueError:
            continue
        if "/" in str(pool["base"]):
            yield Placed("default-address-pools", network, pools.where[index])


def is_private(network: Network) -> bool:
    return any(network.version == one.version and network.subnet_of(one) for one in _PRIVATE)  # type: ignore[arg-type]


def networks(daemon: Map, engine: Version) -> Iterator[Finding]:
    yield from _malformed(daemon)
    if daemon.get("bridge") and (daemon.get("bip") or daemon.get("bip6")):
        key = "bip" if daemon.get("bip") else "bip6"
        yield Finding(RULES["DJ206"], daemon.where[key], f"{key} and bridge exclude each other")
    placed = list(declared(daemon))
    for one in placed:
        if not is_private(one.network):
            message = f"{one.key} {one.network} is public address space"
            yield Finding(RULES["DJ204"], one.where, message, _private_hint(one.network), "warning")
    yield from _inside(daemon, engine)
    apart = [one for one in placed if not one.key.startswith("fixed-cidr")]
    for index, one in enumerate(apart):
        for other in apart[:index]:
            if one.network.overlaps(other.network):
                message = f"{one.key} {one.network} overlaps {other.key} {other.network} (line {other.where.line})"
                yield Finding(RULES["DJ205"], one.where, message, level="warning")


def _private_hint(network: Network) -> str:
    if network.version == 4 and str(network).startswith("172."):
        return "172.16.0.0/12 ends at 172.31.255.255"
    return "take one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16" if network.version == 4 else "take one of fc00::/7"


def _malformed(daemon: Map) -> Iterator[Finding]:
    rule = RULES["DJ203"]
    for key in ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6"):
        text = daemon.get(key)
        if not text:
            continue
        try:
            found = ipaddress.ip_interface(text) if "/" in text else None
        except ValueError:
            found = None
        if found is None:
            yield Finding(rule, daemon.where[key], f"{key} {text!r} is no address with a length", "10.200.0.1/24, say")
        elif key == "bip" and found.ip in (found.network.network_address, found.network.broadcast_address):
            first = f"{found.network.network_address + 1}/{found.network.prefixlen}"
            yield Finding(
                rule, daemon.where[key], f"bip {text} is no host's address in {found.network}", f"{first}, say"
            )
    pools: Seq = daemon.get("default-address-pools") or Seq()
    for index, pool in enumerate(pools):
        where, base, size = pools.where[index], pool.get("base"), pool.get("size")
        try:
            network = ipaddress.ip_network(base, strict=False) if isinstance(base, str) and "/" in base else None
        except ValueError:
            network = None
        if network is None:
            yield Finding(rule, where, f"the pool's base {base!r} is no network", "10.0.0.0/16, say")
        elif not isinstance(size, int) or not network.prefixlen <= size <= network.max_prefixlen:
            said = (
                f"a pool of {network} has networks of size {network.prefixlen} to {network.max_prefixlen}, not {size}"
            )
            yield Finding(rule, where, said)


def _inside(daemon: Map, engine: Version) -> Iterator[Finding]:
    """What must lie in the bridge's own network."""
    try:
        bridge = ipaddress.ip_interface(daemon.get("bip") or "").network
    except ValueError:
        return
    rule = RULES["DJ207"]
    for key in ("fixed-cidr", "default-gateway"):
        try:
            inside = ipaddress.ip_interface(daemon.get(key) or "").network
        except ValueError:
            continue
        if inside.version == bridge.version and not inside.subnet_of(bridge):  # type: ignore[arg-type]
            # Until 28 a fixed-cidr from elsewhere was taken.
            level: Level = "warning" if key == "fixed-cidr" and engine < (28, 0) else "error"
            message = f"{key} {daemon[key]} is outside of the bridge's {bridge}"
            yield Finding(rule, daemon.where[key], message, level=level)
