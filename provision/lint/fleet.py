"""The hosts among each other: names, addresses, and the networks that docker puts between them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import cache

from provision.declare import Wish
from provision.errors import Where
from provision.lint.checks.networks import Placed, declared
from provision.lint.finding import Finding
from provision.lint.reading import daemon_of
from provision.lint.rules import finding

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def lint(wishes: list[Wish]) -> Iterator[Finding]:
    yield from _names(wishes)
    yield from _machines(wishes)
    yield from _addresses(wishes)
    yield from _routed(wishes)


def _where(wish: Wish, key: str) -> Where:
    found = wish.source.where.get(key) or wish.source.here
    if found is None:
        raise ValueError("a spec from a file has a place")
    return found


def _names(wishes: list[Wish]) -> Iterator[Finding]:
    first: dict[str, Wish] = {}
    for wish in wishes:
        if (name := wish.spec.hostname) is not None and (other := first.setdefault(name, wish)) is not wish:
            message = f"{wish.host.name} and {other.host.name} are both to be called {name}"
            yield finding("FL303", _where(wish, "hostname"), message)


def _machines(wishes: list[Wish]) -> Iterator[Finding]:
    """One finding for each machine that has several names."""
    named: dict[object, list[Wish]] = {}
    for wish in wishes:
        login = wish.host.login
        named.setdefault((login.address, login.port, login.ssh_before, login.ssh_behind), []).append(wish)
    for first, *others in named.values():
        if others:
            names = ", ".join(wish.host.name for wish in (first, *others)[:3])
            more = f" and {len(others) - 2} more" if len(others) > 2 else ""
            message = f"{names}{more} are one machine: {first.host.login.address}"
            yield finding("FL304", _where(others[0], "engine"), message, level="warning")


@cache
def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:  # a name; what it stands for is not known offline
        return None


def _networks(wish: Wish) -> list[Placed]:
    if (written := daemon_of(wish)) is None:
        return []
    try:
        return list(declared(written))
    except (AttributeError, TypeError):  # a value of the wrong type, which the daemon's own checks tell of
        return []


def _addresses(wishes: list[Wish]) -> Iterator[Finding]:
    """Docker's networks against the addresses of the fleet."""
    hosts = [(address, wish) for wish in wishes if (address := _address(wish.host.login.address)) is not None]
    cache: dict[object, list[tuple[Address, Wish]]] = {}
    for wish in wishes:
        for placed in _networks(wish):
            inside = cache.get(placed.network)
            if inside is None:
                inside = cache[placed.network] = [(a, other) for a, other in hosts if a in placed.network]
            own = [address for address, other in inside if other is wish]
            if own:
                message = f"{placed.key} {placed.network} covers {wish.host.name}'s own address {own[0]}"
                yield finding("FL301", placed.where, message, "it would cut the host off")
            elif inside:
                address, other = inside[0]
                more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
                message = f"{placed.key} {placed.network} covers the address of {other.host.name}, {address}{more}"
                yield finding("FL301", placed.where, message, "no container there reaches it", "warning")


def _routed(wishes: list[Wish]) -> Iterator[Finding]:
    """Where containers keep their addresses on the way to other hosts, no two hosts may give out the same ones."""
    seen: list[tuple[Placed, Wish]] = []
    for wish in wishes:
        daemon = (wish.spec.engine.daemon if wish.spec.engine else None) or {}
        if daemon.get("ip-masq") is not False and daemon.get("allow-direct-routing") is not True:
            continue
        for placed in _networks(wish):
            for other, owner in seen:
                if owner is not wish and placed.network.overlaps(other.network):
                    message = (
                        f"{placed.key} {placed.network} of {wish.host.name} overlaps {other.network} of "
                        f"{owner.host.name}, and both are routed"
                    )
                    yield finding("FL302", placed.where, message, level="warning")
                    break
            seen.append((placed, wish))
