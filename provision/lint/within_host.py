"""Checks within one host: ports, docker's networks and names that parts of its spec use together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from provision.dockerd.daemon_keys import NEWEST, version
from provision.errors import Where
from provision.lint import compose_projects
from provision.lint.checks.logs import logs
from provision.lint.checks.networks import Network, declared
from provision.lint.compose_projects import Project
from provision.lint.finding import Finding
from provision.lint.reading import Target, daemon_of, each
from provision.lint.rules import finding
from provision.project.host_config import HostConfig
from provision.text.yamlfile import Map, closest, locate

#: Networks that every engine has (docs.docker.com/engine/network).
_OWN = frozenset(("bridge", "host", "none", "default"))


def lint(configs: list[HostConfig], projects: list[Project]) -> Iterator[Finding]:
    of_host: dict[int, list[Project]] = {}
    for project in projects:
        of_host.setdefault(id(project.config), []).append(project)
    for config in configs:
        own = of_host.get(id(config), [])
        yield from _ports(config, own)
        yield from _overlaps(config, own)
        yield from _undeclared(config, own)
        yield from _logs(config, own)


def _where(config: HostConfig, *path: object) -> Where:
    found = locate(config.source, path)
    if found is None:
        raise ValueError("a spec from a file has a place")
    return found


def _ports(config: HostConfig, projects: list[Project]) -> Iterator[Finding]:
    """Each port of the host that two parts of the spec listen on: only one of them can start."""
    taken: dict[tuple[int, str], list[tuple[str, str]]] = {}
    reported: set[tuple[str, str]] = set()
    for address, port, protocol, owner, where in _listeners(config, projects):
        others = taken.setdefault((port, protocol), [])
        for other, first in others:
            same = address == other or {address, other} & {"0.0.0.0", "::", ""}  # noqa: S104
            if same and first != owner and (first, owner) not in reported:
                reported.add((first, owner))
                message = f"port {port}/{protocol} of {config.host.name} is used twice: by {first} and by {owner}"
                yield finding("SP408", where, message, "give one of them another port or address")
                break
        others.append((address, owner))


def _listeners(config: HostConfig, projects: list[Project]) -> Iterator[tuple[str, int, str, str, Where]]:
    """Address ("": every one), port, protocol, the part of the spec that has it, and its place."""
    spec, daemon = config.spec, daemon_of(config)
    if daemon is not None and isinstance(text := daemon.get("metrics-addr"), str):
        address, _, port = text.rpartition(":")
        if port.isdecimal():
            yield address.strip("[]"), int(port), "tcp", "daemon.metrics-addr", daemon.where["metrics-addr"]
    if daemon is not None:
        for number, (text, where) in enumerate(each(daemon, "hosts")):
            parts = urlsplit(text) if str(text).startswith("tcp://") else None
            if parts is not None and (given := _number(parts)):
                yield (parts.hostname or "").strip("[]"), given, "tcp", f"daemon.hosts[{number}]", where
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
    for project in projects:
        for service, one, _ in project.services():
            for index, (address, outer, protocol, place) in enumerate(compose_projects.ports(one)):
                owner = f"compose.{project.name}.services.{service}.ports[{index}]"
                for number in _range(outer):
                    yield address.strip("[]"), number, protocol, owner, project.where(place)


def _number(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None  # DJ228 reports it


def _range(text: str) -> range:
    """``80`` and ``8000-8010``; no port of the host, and a variable, take none."""
    first, _, last = text.partition("-")
    last = last or first
    good = first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 65536
    return range(int(first), int(last) + 1) if good else range(0)


def _overlaps(config: HostConfig, projects: list[Project]) -> Iterator[Finding]:
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
        if (clash := _clash(network, placed)) is not None:
            where = _where(config, "networks", name, "subnet")
            yield finding("SP409", where, f"networks.{name}.subnet {network} overlaps {clash}")
        placed.append((f"networks.{name}", network))
    for project in projects:
        for name, text, place in compose_projects.subnets(project.whole):
            key = f"compose.{project.name}.networks.{name}"
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                yield finding("SP409", project.where(place), f"{key}: {error}")
                continue
            if (clash := _clash(network, placed)) is not None:
                yield finding("SP409", project.where(place), f"{key} {network} overlaps {clash}")
            placed.append((key, network))


def _clash(network: Network, placed: list[tuple[str, Network]]) -> str | None:
    overlapping = (
        f"{key} {other}" for key, other in placed if network.version == other.version and network.overlaps(other)
    )
    return next(overlapping, None)


def _undeclared(config: HostConfig, projects: list[Project]) -> Iterator[Finding]:
    """Networks that no part of the spec makes. A compose project makes its own (NAME_...)."""
    spec = config.spec
    used = [
        (f"containers.{name}", network, _where(config, "containers", name, "networks", number))
        for name, container in spec.containers.items()
        for number, network in enumerate(container.networks)
    ]
    for project in projects:
        external = compose_projects.external(project.whole)
        used += [(f"compose.{project.name}", network, project.where(place)) for network, place in external]
    known = {name for name, one in spec.networks.items() if not one.absent}
    for owner, network, where in used:
        if network in _OWN or network in known or network.partition("_")[0] in spec.compose:
            continue
        close = closest(network, known)
        gone = network in spec.networks
        message = f"{owner} needs the network {network}, which " + (
            "the spec removes" if gone else "the spec does not declare"
        )
        hint = f'did you mean "{close}"?' if close else "the run fails on a host that does not have it"
        yield finding("SP411", where, message, hint, "error" if gone or close else "warning")


def _logs(config: HostConfig, projects: list[Project]) -> Iterator[Finding]:
    """The log drivers of containers, and their options."""
    for name, container in config.spec.containers.items():
        if container.log is not None:
            place = _where(config, "containers", name, "log")
            found = locate(config.source, ("containers", name, "log", "options"))
            options = Map(container.log.options.items(), found or place)
            for option in options:
                where = locate(config.source, ("containers", name, "log", "options", option))
                options.where[option] = where or place
            yield from _log(config, f"containers.{name}.log", container.log.driver, options, place)
    for project in projects:
        for service, one, _ in project.services():
            if (given := compose_projects.logging(one)) is not None:
                options = Map(given[1].items())
                options.where = {option: project.where(place) for option, place in given[1].where.items()}
                key = f"compose.{project.name}.services.{service}.logging"
                yield from _log(config, key, given[0], options, project.where(one.where["logging"]))


def _log(config: HostConfig, key: str, driver: str, given: Map, place: Where) -> Iterator[Finding]:
    """Options of the daemon count where it has the same driver (moby, daemon/logs.go, mergeAndVerifyLogConfig)."""
    daemon, engine = daemon_of(config) or Map(), config.spec.engine
    usual = str(daemon.get("log-driver") or "json-file")
    driver = driver or usual
    shared = daemon.get("log-opts") if usual == driver else None
    options = Map(((name, str(value)) for name, value in shared.items()) if isinstance(shared, Map) else ())
    options.where = dict.fromkeys(options, place)
    options.update(given)
    options.where.update(given.where)
    written = Map((("log-driver", driver), ("log-opts", options)), place)
    written.where = {"log-driver": place, "log-opts": place}
    target = Target(version((engine.version if engine is not None else None) or "") or NEWEST)
    for one in logs(written, target):
        if one.rule.id != "DJ210":
            yield finding(one.rule.id, one.where, f"{key}: {one.message}", one.hint, one.level)
