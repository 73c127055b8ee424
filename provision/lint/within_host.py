"""Checks within one host: ports, docker's networks and names that parts of its spec use together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from provision.errors import Where
from provision.lint.checks.networks import Network, declared
from provision.lint.finding import Finding
from provision.lint.reading import daemon_of
from provision.lint.rules import finding
from provision.project.host_config import HostConfig
from provision.text.yamlfile import closest, locate

#: Networks that every engine has (docs.docker.com/engine/network).
_OWN = frozenset(("bridge", "host", "none", "default"))


def lint(configs: list[HostConfig]) -> Iterator[Finding]:
    for config in configs:
        yield from _ports(config)
        yield from _overlaps(config)
        yield from _undeclared(config)


def _where(config: HostConfig, *path: object) -> Where:
    found = locate(config.source, path)
    if found is None:
        raise ValueError("a spec from a file has a place")
    return found


def _ports(config: HostConfig) -> Iterator[Finding]:
    """Each port of the host that two parts of the spec listen on: only one of them can start."""
    taken: list[tuple[str, str, int, str]] = []
    for address, port, protocol, owner, where in _listeners(config):
        for other, other_protocol, other_port, first in taken:
            same = port == other_port and protocol == other_protocol
            if same and (address == other or {address, other} & {"0.0.0.0", "::", ""}) and first != owner:  # noqa: S104
                message = f"port {port}/{protocol} of {config.host.name} is used twice: by {first} and by {owner}"
                yield finding("SP408", where, message, "give one of them another port or address")
                break
        taken.append((address, protocol, port, owner))


def _listeners(config: HostConfig) -> Iterator[tuple[str, int, str, str, Where]]:
    """Address ("": every one), port, protocol, the part of the spec that has it, and its place."""
    spec, daemon = config.spec, daemon_of(config)
    if daemon is not None and isinstance(text := daemon.get("metrics-addr"), str):
        address, _, port = text.rpartition(":")
        if port.isdecimal():
            yield address.strip("[]"), int(port), "tcp", "daemon.metrics-addr", daemon.where["metrics-addr"]
    if spec.registry is not None:
        yield "", spec.registry.port, "tcp", "registry", _where(config, "registry", "port")
        if spec.registry.debug_port is not None:
            yield "127.0.0.1", spec.registry.debug_port, "tcp", "registry.debug_port", _where(config, "registry")
    for name, container in spec.containers.items():
        if not container.running or container.absent:
            continue
        for number, text in enumerate(container.ports):
            published, _, protocol = text.partition("/")
            outer, _, _ = published.rpartition(":")
            address, _, port = outer.rpartition(":")
            owner = f"containers.{name}.ports[{number}]"
            if port.isdecimal() and int(port):  # 0: any free port
                yield (
                    address.strip("[]"),
                    int(port),
                    protocol or "tcp",
                    owner,
                    _where(config, "containers", name, "ports", number),
                )


def _overlaps(config: HostConfig) -> Iterator[Finding]:
    """docker refuses a network whose addresses another one has (moby, libnetwork: "Pool overlaps")."""
    placed: list[tuple[str, Network]] = []
    daemon = daemon_of(config)
    try:
        placed += [(f"daemon.{one.key}", one.network) for one in declared(daemon)] if daemon is not None else []
    except (AttributeError, TypeError):  # a value of the wrong type, which the daemon's own checks report
        placed = []
    # A network of docker's own pools moves away from a declared one; only fixed addresses can collide.
    placed = [(key, network) for key, network in placed if "pool" not in key]
    for name, one in config.spec.networks.items():
        if one.subnet is None or one.absent or one.driver not in ("bridge", "overlay"):
            continue
        network: Network = ipaddress.ip_network(one.subnet)
        for key, other in placed:
            if network.version == other.version and network.overlaps(other):
                where = _where(config, "networks", name, "subnet")
                yield finding("SP409", where, f"networks.{name}.subnet {network} overlaps {key} {other}")
                break
        placed.append((f"networks.{name}", network))


def _undeclared(config: HostConfig) -> Iterator[Finding]:
    """Networks that no part of the spec makes. A compose project makes its own (NAME_...)."""
    spec = config.spec
    known = {name for name, one in spec.networks.items() if not one.absent}
    for name, container in spec.containers.items():
        for number, network in enumerate(container.networks):
            if network in _OWN or network in known or network.partition("_")[0] in spec.compose:
                continue
            close = closest(network, known)
            gone = network in spec.networks
            message = f"containers.{name} needs the network {network}, which " + (
                "the spec removes" if gone else "the spec does not declare"
            )
            hint = f'did you mean "{close}"?' if close else "the run fails on a host that does not have it"
            where = _where(config, "containers", name, "networks", number)
            yield finding("SP411", where, message, hint, "error" if gone or close else "warning")
