"""How docker's service loads a change of its files: the services that an engine brings, and reload or restart, key by
key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from provision.distros import Family
from provision.engine import daemon_json
from provision.engine.keys import Version, key_effects, keys, local, worst
from provision.model import Effect, HostReport
from provision.spec import Engine, Service

#: The effect of a change of some watched files, from a host's report.
EffectOf = Callable[[HostReport, tuple[str, ...]], Effect]


def services(family: Family, declared: Engine, network: Sequence[str]) -> dict[str, Service]:
    """The services that must have loaded what the engine's part of the spec writes, in the order of their start.
    ``network`` are the files that set the forwarding of packets at boot."""
    found: dict[str, Service] = {}
    if network:
        found[family.network] = Service(watch=list(network))
    if declared.firewall is not None and declared.firewall.firewalld:
        found[daemon_json.FIREWALLD] = Service(enabled=True, running=True, watch=[daemon_json.ZONE], on_change="reload")
    systemd = family.init.name == "systemd"
    own_packages = declared.source != "installed"
    programs = {unit: [program] for unit, program in family.programs.items()} if own_packages else {}
    containerd = [daemon_json.CONTAINERD_TOML] if declared.containerd_root is not None and systemd else []
    if containerd := [*containerd, *programs.get(daemon_json.CONTAINERD, [])]:
        found[daemon_json.CONTAINERD] = Service(running=True, watch=containerd)
    # Files that are no longer declared are watched too: their service must load their removal.
    own = [daemon_json.DROPIN, daemon_json.PROXY_FILE, daemon_json.CONTAINERD_TOML] if systemd else [daemon_json.CONF_D]
    found[daemon_json.UNIT] = Service(
        enabled=True,
        running=True,
        watch=[daemon_json.DAEMON_JSON, *own, daemon_json.ZONE, *network, *programs.get(daemon_json.UNIT, [])],
    )
    return found


def missing(declared: Engine) -> str:
    """The error where the host has no service of docker, and no step installs it."""
    if declared.source != "installed":
        return ""
    return "engine.source is installed, and this host has no docker.service: install Docker, or declare another source"


def means_the_same(report: HostReport, loaded: str) -> bool:
    """True if the host's daemon.json means what docker has loaded."""
    now = daemon_json.same(report.content(daemon_json.DAEMON_JSON) or b"")
    return now is not None and now == daemon_json.same(loaded.encode("utf-8", "surrogateescape"))


def bridge_changes(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """The keys of docker's bridge whose effective values differ."""
    rows = (row for row in keys().values() if row.bridge is not None)
    return tuple(row.name for row in rows if old.get(row.name, row.bridge) != new.get(row.name, row.bridge))


def effect(
    daemon: dict[str, Any],
    engine: Callable[[HostReport], Version],
    stop: bool,
    report: HostReport,
    changing: tuple[str, ...],
) -> Effect:
    """How docker loads the change of files that it watches, and how it loads the old ones in a rollback, key by key.
    ``engine`` returns the version that the host has; ``stop`` permits to stop containers for a change of the bridge.

    Where the change declares live-restore, a reload switches it on first. So the restart that follows ends no
    container.
    """
    loaded = daemon_json.parsed(report.content(daemon_json.DAEMON_JSON))
    old = loaded or {}
    live, was_live = daemon.get("live-restore") is True, old.get("live-restore") is True
    moved = bridge_changes(old, daemon) if daemon_json.DAEMON_JSON in changing else ()
    if changing != (daemon_json.DAEMON_JSON,):
        # A plain restart: live-restore keeps only the containers that it kept before the change.
        stuck = moved if live and was_live else ()
        verb = "bridge-restart" if stuck and stop else "restart"
        return Effect(verb, ", ".join(changing), "bridge" if stuck else "restart", live=was_live, bridge=stuck)
    there = engine(report)
    effects, back = key_effects(old, daemon, there), key_effects(daemon, old, there)
    verb = "restart" if worst(effects.values()) == "restart" else "reload"
    stuck = moved if live and verb == "restart" else ()
    if stuck and stop:
        verb = "bridge-restart"
    elif verb == "restart" and live and not was_live:
        verb = "live-restart"
    undo = "restart" if worst(back.values()) == "restart" else "reload"
    # The rollback changes the bridge too, while any containers may run.
    undo = "bridge" if undo == "restart" and moved and was_live else undo
    restarted = ", ".join(key for key, effect in back.items() if effect == "restart")
    # All other keys are as the daemon has loaded them.
    proven = loaded is not None and local(effects)
    return Effect(verb, _named(effects), undo, restarted, was_live, stuck, proven)


def effect_of_a_file(content: bytes) -> EffectOf:
    """The same for a daemon.json that the play declares as a file, and that docker reloads."""
    return partial(_reloaded, daemon_json.parsed(content))


def _reloaded(new: dict[str, Any] | None, report: HostReport, changing: tuple[str, ...]) -> Effect:
    """The play declares that docker reloads. Whether the reload proves the change depends on the keys: dockerd refuses
    a file with an unknown key, and keeps the values that it has loaded."""
    old = daemon_json.parsed(report.content(daemon_json.DAEMON_JSON))
    if changing != (daemon_json.DAEMON_JSON,) or old is None or new is None:
        return Effect("reload", undo="reload")
    effects = key_effects(old, new)
    return Effect("reload", _named(effects), "reload", proven=local(effects))


def _named(effects: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {effect}" for key, effect in effects.items())
