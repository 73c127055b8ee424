"""Checks within one host: ports, docker's networks and names that parts of its spec use together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from provision.engine.keys import NEWEST, version
from provision.errors import Where
from provision.lint import compose_projects
from provision.lint.checks.logs import logs
from provision.lint.checks.networks import declared_by
from provision.lint.compose_projects import Project
from provision.lint.finding import Finding
from provision.lint.ranges import Network, Ranges, bounds
from provision.lint.reading import Target, daemon_of, each, number
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
    taken: dict[tuple[str, str], Ranges[str]] = {}
    for address, ports, protocol, owner, where in _listeners(config, projects):
        first, last = ports[0], ports[-1]
        address = "" if address in ("0.0.0.0", "::") else address  # noqa: S104 - compared only
        # "*" has the ports of any address: one that listens on every address collides with each of them.
        every = taken.setdefault(("", protocol), Ranges())
        any_ = taken.setdefault(("*", protocol), Ranges())
        had = any_.take(first, last, owner)
        if address:
            had = [*every.first(first, last), *taken.setdefault((address, protocol), Ranges()).take(first, last, owner)]
        else:
            every.take(first, last, owner)
        for other, port in {other: max(first, one) for one, _, other in reversed(had)}.items():
            message = f"port {port}/{protocol} of {config.host.name} is used twice: by {other} and by {owner}"
            yield finding("SP408", where, message, "give one of them another port or address")


def _listeners(config: HostConfig, projects: list[Project]) -> Iterator[tuple[str, range, str, str, Where]]:
    """Address ("": every one), ports, protocol, the part of the spec that has them, and its place."""
    spec, daemon = config.spec, daemon_of(config)
    if daemon is not None and isinstance(text := daemon.get("metrics-addr"), str):
        address, _, port = text.rpartition(":")
        if ports := _range(port):
            yield address.strip("[]"), ports, "tcp", "daemon.metrics-addr", daemon.where["metrics-addr"]
    if daemon is not None:
        for number, (text, where) in enumerate(each(daemon, "hosts")):
            parts = urlsplit(text) if str(text).startswith("tcp://") else None
            if parts is not None and (given := _number(parts)):
                yield (parts.hostname or "").strip("[]"), _one(given), "tcp", f"daemon.hosts[{number}]", where
    if spec.registry is not None:
        yield "", _one(spec.registry.port), "tcp", "registry", _where(config, "registry", "port")
        if spec.registry.debug_port is not None:
            ports = _one(spec.registry.debug_port)
            yield "127.0.0.1", ports, "tcp", "registry.debug_port", _where(config, "registry")
    for name, container in spec.containers.items():
        if not container.running or container.absent:
            continue
        for number, text in enumerate(container.ports):
            published, _, protocol = text.partition("/")
            outer, _, _ = published.rpartition(":")
            address, _, port = outer.rpartition(":")
            owner = f"containers.{name}.ports[{number}]"
            if ports := _range(port):
                where = _where(config, "containers", name, "ports", number)
                yield address.strip("[]"), ports, protocol or "tcp", owner, where
    for project in projects:
        for service, one, _ in project.services():
            for index, (address, outer, protocol, place) in enumerate(compose_projects.ports(one)):
                owner = f"compose.{project.name}.services.{service}.ports[{index}]"
                if ports := _range(outer):
                    yield address.strip("[]"), ports, protocol, owner, project.where(place)


def _one(port: int) -> range:
    return range(port, port + 1)


def _number(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None  # DJ228 reports it


def _range(text: str) -> range:
    """``80`` and ``8000-8010``; no port of the host, ``0`` (any free port) and a variable take none."""
    low, _, high = text.partition("-")
    first, last = number(low), number(high or low)
    if first is None or last is None or not 0 < first <= last < 65536:
        return range(0)
    return range(first, last + 1)


def _overlaps(config: HostConfig, projects: list[Project]) -> Iterator[Finding]:
    """docker refuses a network whose addresses another one has (moby, libnetwork: "Pool overlaps")."""
    placed: dict[int, Ranges[str]] = {4: Ranges(), 6: Ranges()}
    own = [(f"daemon.{one.key}", one.network) for one in declared_by(config)]
    for key, network in own:
        # A network of docker's own pools moves away from a declared one; only fixed addresses can collide.
        if "pool" not in key:
            _clash(key, network, placed)
    for name, one in config.spec.networks.items():
        if one.subnet is None or one.absent or one.driver not in ("bridge", "overlay"):
            continue
        network = ipaddress.ip_network(one.subnet)
        if (clash := _clash(f"networks.{name}", network, placed)) is not None:
            where = _where(config, "networks", name, "subnet")
            yield finding("SP409", where, f"networks.{name}.subnet {network} overlaps {clash}")
    for project in projects:
        for name, text, place in compose_projects.subnets(project.whole):
            key = f"compose.{project.name}.networks.{name}"
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                yield finding("SP409", project.where(place), f"{key}: {error}")
                continue
            if (clash := _clash(key, network, placed)) is not None:
                yield finding("SP409", project.where(place), f"{key} {network} overlaps {clash}")


def _clash(key: str, network: Network, placed: dict[int, Ranges[str]]) -> str | None:
    """Place a network; return the name of one whose addresses it takes."""
    had = placed[network.version].take(*bounds(network), f"{key} {network}")
    return had[0][2] if had else None


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
