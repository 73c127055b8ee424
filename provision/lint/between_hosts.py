"""Checks across hosts: names, addresses, and the networks that docker creates between them."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

from provision.errors import Where
from provision.lint.checks.networks import Placed, declared_by
from provision.lint.finding import Finding
from provision.lint.ranges import Ranges, bounds
from provision.lint.rules import finding
from provision.project.host_config import HostConfig

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def lint(configs: list[HostConfig]) -> Iterator[Finding]:
    yield from _names(configs)
    yield from _machines(configs)
    yield from _addresses(configs)
    yield from _routed(configs)


def _where(config: HostConfig, key: str) -> Where:
    found = config.source.where.get(key) or config.source.here
    if found is None:
        raise ValueError("a spec from a file has a place")
    return found


def _names(configs: list[HostConfig]) -> Iterator[Finding]:
    first: dict[str, HostConfig] = {}
    for config in configs:
        if (name := config.spec.hostname) is not None and (other := first.setdefault(name, config)) is not config:
            message = f"{config.host.name} and {other.host.name} have the same hostname {name}"
            yield finding("FL303", _where(config, "hostname"), message)


def _machines(configs: list[HostConfig]) -> Iterator[Finding]:
    """One finding for each machine that has several names."""
    named: dict[object, list[HostConfig]] = {}
    for config in configs:
        login = config.host.login
        named.setdefault((login.address, login.port, login.ssh_before, login.ssh_behind), []).append(config)
    for first, *others in named.values():
        if others:
            names = ", ".join(config.host.name for config in (first, *others)[:3])
            more = f" and {len(others) - 2} more" if len(others) > 2 else ""
            message = f"{names}{more} have the same address and port: {first.host.login.address}"
            yield finding("FL304", _where(others[0], "engine"), message, level="warning")


@cache
def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:  # a name; its address is not known offline
        return None


def _addresses(configs: list[HostConfig]) -> Iterator[Finding]:
    """Compare docker's networks with the addresses of the fleet."""
    hosts: dict[int, list[tuple[int, ...]]] = {4: [], 6: []}
    for number, config in enumerate(configs):
        if (found := _address(config.host.login.address)) is not None:
            hosts[found.version].append((int(found), number))
    for each in hosts.values():
        each.sort()
    cache: dict[object, list[int]] = {}
    for config in configs:
        for placed in declared_by(config):
            inside = cache.get(placed.network)
            if inside is None:
                first, last = bounds(placed.network)
                known = hosts[placed.network.version]
                low, high = bisect_left(known, (first,)), bisect_left(known, (last + 1,))
                inside = cache[placed.network] = sorted(number for _, number in known[low:high])
            own = _address(config.host.login.address)
            if own is not None and own in placed.network:
                message = f"{placed.key} {placed.network} covers {config.host.name}'s own address {own}"
                yield finding("FL301", placed.where, message, "it would cut off the host")
            elif inside:
                other = configs[inside[0]]
                address = _address(other.host.login.address)
                more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
                message = f"{placed.key} {placed.network} covers the address of {other.host.name}, {address}{more}"
                yield finding("FL301", placed.where, message, "containers there cannot reach it", "warning")


def _routed(configs: list[HostConfig]) -> Iterator[Finding]:
    """Where containers keep their addresses on the way to other hosts, no two hosts may use the same container
    addresses."""
    seen: list[tuple[Placed, HostConfig]] = []
    taken: dict[int, Ranges[int]] = {4: Ranges(), 6: Ranges()}
    for config in configs:
        daemon = (config.spec.engine.daemon if config.spec.engine else None) or {}
        if daemon.get("ip-masq") is not False and daemon.get("allow-direct-routing") is not True:
            continue
        for placed in declared_by(config):
            had = taken[placed.network.version].take(*bounds(placed.network), len(seen))
            seen.append((placed, config))
            others = sorted(number for number in {owner for *_, owner in had} if seen[number][1] is not config)
            if others:
                other, owner = seen[others[0]]
                message = (
                    f"{placed.key} {placed.network} of {config.host.name} overlaps {other.network} of "
                    f"{owner.host.name}, and both are routed"
                )
                yield finding("FL302", placed.where, message, level="warning")
