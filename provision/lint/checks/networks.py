"""Docker's own networks: whether they are networks, are private, and do not overlap."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from provision.engine.keys import Version
from provision.errors import Where
from provision.lint import shapes
from provision.lint.finding import Finding, Level
from provision.lint.ranges import Network, Ranges, bounds
from provision.lint.reading import Target, daemon_of, since
from provision.lint.rules import NAMES, finding
from provision.text.yamlfile import Map, Seq, nearest

if TYPE_CHECKING:
    from provision.project.host_config import HostConfig

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_PRIVATE = [ipaddress.ip_network(text) for text in NAMES["private networks"]]
#: The purposes of other address space.
_KINDS = [
    (ipaddress.ip_network(text), name) for name, texts in NAMES.items() if "address space" in name for text in texts
]
_UNUSABLE = ("loopback address space", "multicast address space")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
#: The first engine that checks an IPv6 network for more than its address.
_CHECKED_V6 = (27, 0)
_DRIVERS = ("bridge", "ipvlan", "macvlan", "overlay", "host", "none")
_DOTTED = re.compile(r"(.*)/(\d+\.\d+\.\d+\.\d+)")


class Placed(Struct, frozen=True):
    """A network of docker, the key that declares it, and its place."""

    key: str
    network: Network
    where: Where


class Pool(Struct, frozen=True):
    """An item of default-address-pools. Go matches its fields in any letter case."""

    base: Any
    size: Any
    where: Where


def declared(daemon: Map) -> Iterator[Placed]:
    """The valid networks in a daemon.json."""
    for key in ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6"):
        if (found := _interface(daemon.get(key))) is not None:
            yield Placed(key, found.network, daemon.where[key])
    for pool in _pools(daemon):
        if (found := _interface(pool.base)) is not None:
            yield Placed("default-address-pools", found.network, pool.where)


def declared_by(config: HostConfig) -> list[Placed]:
    """The valid networks in a host's daemon.json; none for one with a value of the wrong type, which the daemon's own
    checks report."""
    try:
        return list(declared(daemon_of(config) or Map()))
    except (AttributeError, TypeError):
        return []


def _pools(daemon: Map) -> Iterator[Pool]:
    pools: Seq = daemon.get("default-address-pools") or Seq()
    for index, pool in enumerate(pools):
        given = {shapes.field(name, {"base": 0, "size": 0}): value for name, value in (pool or {}).items()}
        yield Pool(given.get("base"), given.get("size"), pools.where[index])


def _interface(text: object) -> Interface | None:
    """An address with the length of its network; ``None`` for anything else, also for a mask with dots."""
    try:
        return ipaddress.ip_interface(text) if isinstance(text, str) and re.search(r"/\d{1,3}$", text) else None
    except ValueError:
        return None


def is_private(network: Network) -> bool:
    return any(network.version == one.version and network.subnet_of(one) for one in _PRIVATE)  # type: ignore[arg-type]


def kind(network: Network) -> str | None:
    """The kind of a network that containers should not use. ``None`` for a private network, and for an IPv6 prefix that
    the operator may own."""
    if is_private(network):
        return None
    for space, name in _KINDS:
        if space.version == network.version and network.overlaps(space):
            return name
    return "public address space" if network.version == 4 else None


def networks(daemon: Map, target: Target) -> Iterator[Finding]:
    yield from _addresses(daemon, target.engine)
    yield from _drivers(daemon)
    yield from _pool_sizes(daemon, target.engine)
    placed = list(declared(daemon))
    for one in placed:
        if (called := kind(one.network)) is not None:
            message = f"{one.key} {one.network} is {called}"
            # The kernel refuses such an address for a container, or drops the container's packets.
            level: Level = "error" if called in _UNUSABLE and one.key != "default-address-pools" else "warning"
            if one.key == "fixed-cidr-v6" and daemon.get("ipv6") is not True:
                level = "warning"
            yield finding("DJ204", one.where, message, _private_hint(one.network), level)
    yield from _inside(daemon, target.engine)
    yield from _overlaps(daemon, placed)


def _drivers(daemon: Map) -> Iterator[Finding]:
    """A plugin may have any name; a name that is like that of a built-in driver is a misspelling."""
    options = daemon.get("default-network-opts") or Map()
    for name in options:
        if name not in _DRIVERS and (hint := nearest(name, _DRIVERS[:4])):
            yield finding("DJ111", options.where[name], f"default-network-opts.{name} is not a network driver", hint)


def _overlaps(daemon: Map, placed: list[Placed]) -> Iterator[Finding]:
    pools = [one for one in placed if one.key == "default-address-pools"]
    taken: dict[int, Ranges[int]] = {4: Ranges(), 6: Ranges()}
    for index, one in enumerate(pools):
        had = taken[one.network.version].take(*bounds(one.network), index)
        for other in (pools[number] for number in dict.fromkeys(owner for *_, owner in had)):
            message = f"{one.key} {one.network} overlaps {other.network} (line {other.where.line})"
            yield finding("DJ205", one.where, message)
    bridge = next((one for one in placed if one.key == "bip"), None)
    if bridge is None or not pools:
        return
    usable = [one for one in pools if one.network.version == 4]
    if usable and all(_covers(bridge.network, one.network) for one in usable):
        message = (
            f"bip {bridge.network} covers every pool: dockerd cannot create any network, for docker compose neither"
        )
        yield finding("DJ205", bridge.where, message, "choose bip from another range, or a larger pool")


def _covers(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _private_hint(network: Network) -> str:
    if network.version == 4 and str(network).startswith("172."):
        return "172.16.0.0/12 ends at 172.31.255.255"
    return "use one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16" if network.version == 4 else "use one of fc00::/7"


def _addresses(daemon: Map, engine: Version) -> Iterator[Finding]:
    for key, family in (("bip", 4), ("bip6", 6), ("fixed-cidr", 4), ("fixed-cidr-v6", 6)):
        text = daemon.get(key)
        if not text:
            continue
        where, found = daemon.where[key], _interface(text)
        used = daemon.get("ipv6") is True or family == 4
        if found is None:
            yield finding("DJ203", where, f'{key} "{text}" is not an address with a length', _with_length(key, text))
        elif found.version != family:
            yield finding("DJ203", where, f'{key} "{text}" is IPv{found.version}; the key accepts IPv{family}')
        elif key == "bip":
            yield from _bip(found, text, where, engine)
        elif key == "bip6" and used and found.ip == found.network.network_address:
            # moby, libnetwork/ipams/defaultipam/allocator.go, newPoolData: the address is reserved (RFC 4291, 2.6.1).
            first = f"{found.network.network_address + 1}/{found.network.prefixlen}"
            yield finding("DJ203", where, f'{key} "{text}" is the network address; use {first}')
        elif key == "fixed-cidr-v6" and (clash := _clash(found, engine)):
            yield finding("DJ203", where, f'{key} "{text}" {clash}', "such as fd00:1::/64")
        elif key == "fixed-cidr-v6" and used:
            yield from _fixed_v6(found, text, where, engine)


def _with_length(key: str, text: str) -> str:
    """The intended value, or an example."""
    dotted = _DOTTED.fullmatch(text)
    try:
        if dotted is not None:
            return f'write "{dotted[1]}/{ipaddress.ip_network(f"0.0.0.0/{dotted[2]}").prefixlen}"'
        if text.strip() != text and _interface(text.strip()) is not None:
            return f'write "{text.strip()}"'
    except ValueError:
        pass
    return {"bip": "such as 10.200.0.1/24", "fixed-cidr": "such as 10.200.0.0/25"}.get(key, "such as fd00:1::/64")


def _bip(found: Interface, text: str, where: Where, engine: Version) -> Iterator[Finding]:
    network = found.network
    if network.prefixlen == 31 and engine >= (23, 0):
        message = f'bip "{text}" leaves one address, for one container'
        yield finding("DJ203", where, message, "such as 10.200.0.1/24", "warning")
        return
    if network.prefixlen >= 31:
        yield finding("DJ203", where, f'bip "{text}" leaves no address for a container', "such as 10.200.0.1/24")
        return
    called = {network.network_address: "the network address", network.broadcast_address: "the broadcast address"}
    if (name := called.get(found.ip)) is not None:
        first = f"{network.network_address + 1}/{network.prefixlen}"
        yield finding("DJ203", where, f'bip "{text}" is {name}; use {first}')


def _clash(found: Interface, engine: Version) -> str:
    """Why dockerd refuses an IPv6 network, even where IPv6 is off (moby, libnetwork/drivers/bridge/bridge_linux.go,
    ValidateFixedCIDRV6, from 25.0 on)."""
    network = found.network
    if isinstance(found, ipaddress.IPv4Interface) or engine < (25, 0):
        return ""
    if found.ip.ipv4_mapped is not None:
        return "is an IPv4 network"
    if engine >= _CHECKED_V6 and found.ip.is_multicast:
        return "is multicast address space"
    clashes = network.overlaps(_LINK_LOCAL) if engine >= _CHECKED_V6 else network.network_address in _LINK_LOCAL
    same = network.prefixlen == 64 and found.ip in _LINK_LOCAL
    return "overlaps the link-local network fe80::/64" if clashes and not same else ""


def _fixed_v6(found: Interface, text: str, where: Where, engine: Version) -> Iterator[Finding]:
    if found.network.prefixlen >= 127:
        message = f'fixed-cidr-v6 "{text}" leaves no address for a container'
        yield finding("DJ203", where, message, "such as fd00:1::/64")


def _pool_sizes(daemon: Map, engine: Version) -> Iterator[Finding]:
    pools = list(_pools(daemon))
    families = set()
    for pool in pools:
        found = _interface(pool.base)
        if found is None:
            hint = "such as 10.0.0.0/16"
            yield finding("DJ203", pool.where, f'the pool\'s base "{pool.base or ""}" is not a network', hint)
            return
        network = found.network
        families.add(network.version)
        size = pool.size or 0
        if not network.prefixlen <= size <= network.max_prefixlen:
            message = (
                f"a pool of {network} has networks of size {network.prefixlen} to {network.max_prefixlen}, not {size}"
            )
            yield finding("DJ203", pool.where, message)
        elif network.version == 4 and size >= 31:
            # docker0 takes the first network of the pools, unless a network is declared for docker0. A network of two
            # addresses works from 23.0 on, for one container.
            fits = daemon.get("bip") or daemon.get("fixed-cidr") or (size == 31 and engine >= (23, 0))
            level: Level = "warning" if fits else "error"
            message = f"a pool of size {size} leaves no address for a container"
            yield finding("DJ203", pool.where, message, "such as 24", level)
    if pools and families == {6} and not daemon.get("bip") and not daemon.get("fixed-cidr"):
        message = "default-address-pools has no IPv4 pool, and docker0 needs an IPv4 network"
        yield finding("DJ203", pools[0].where, message, 'add {"base": "10.0.0.0/16", "size": 24}, or bip')


def _inside(daemon: Map, engine: Version) -> Iterator[Finding]:
    """Addresses that must be in the bridge's own network."""
    yield from _sub_pool(daemon, engine)
    for key, family, bridges in (
        ("default-gateway", 4, ("bip", "fixed-cidr")),
        ("default-gateway-v6", 6, ("bip6", "fixed-cidr-v6")),
    ):
        text = daemon.get(key)
        try:
            gateway = ipaddress.ip_address(text or "")
        except ValueError:
            continue
        if family == 6 and daemon.get("ipv6") is not True:
            continue
        where, name = daemon.where[key], next((one for one in bridges if daemon.get(one)), "")
        bridge = _interface(daemon.get(name))
        if gateway.version != family:
            yield finding("DJ207", where, f'{key} "{text}" is IPv{gateway.version}; the key accepts IPv{family}')
        elif not name and family == 4 and not daemon.get("bridge") and not daemon.get("default-address-pools"):
            yield from _default_network(gateway, where)
        elif bridge is not None and gateway not in bridge.network:
            yield finding("DJ207", where, f"{key} {text} is outside of the bridge's {bridge.network}")
        elif bridge is not None and gateway == _own(name, bridge):
            yield finding("DJ207", where, f"{key} {text} is docker0's own address")


def _own(key: str, bridge: Interface) -> Any:
    """The address of docker0: that of bip, or the first one of fixed-cidr."""
    return bridge.ip if key.startswith("bip") else bridge.network.network_address + 1


def _default_network(gateway: Any, where: Where) -> Iterator[Finding]:
    """docker0 is 172.17.0.1/16 where that network is free, and has another network where it is in use."""
    message = f'default-gateway "{gateway}" needs bip: docker0\'s network is not known without it'
    usual = ipaddress.ip_interface("172.17.0.1/16")
    risky = gateway in usual.network and gateway != usual.ip
    yield finding("DJ207", where, message, "add bip", "warning" if risky else "error")


def _sub_pool(daemon: Map, engine: Version) -> Iterator[Finding]:
    bridge, inside = _interface(daemon.get("bip")), _interface(daemon.get("fixed-cidr"))
    if bridge is None or inside is None or inside.version != bridge.version:
        return
    if not _covers(bridge.network, inside.network) and not _covers(inside.network, bridge.network):
        # Before 28 dockerd accepted a fixed-cidr outside of the bridge's network.
        message = f"fixed-cidr {daemon['fixed-cidr']} is outside of the bridge's {bridge.network}"
        yield finding("DJ207", daemon.where["fixed-cidr"], message, level=since(engine, (28, 0)))
