"""Services. They come last, because they must see the changes before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from provision.catalog.context import CompileContext
from provision.catalog.files import content
from provision.catalog.package_set import engine_package
from provision.dockerd import daemon_json
from provision.dockerd.daemon_keys import NEWEST, version
from provision.dockerd.key_effects import key_effects, local, worst
from provision.model import HostReport, Resource
from provision.resources.bridge import BridgeAddress
from provision.resources.packages import installed
from provision.resources.service import Effect, Service


def services(ctx: CompileContext) -> Iterator[Resource]:
    for unit, declared in ctx.services.items():
        is_engine = unit == daemon_json.UNIT and ctx.spec.engine is not None
        given = daemon_json.daemon_json(ctx.spec.engine) if ctx.spec.engine else None
        daemon = given or {}
        root = str(daemon.get("data-root") or daemon_json.DATA_ROOT)
        yield Service(
            unit,
            enabled=declared.enabled,
            running=declared.running,
            watch=tuple(declared.watch),
            on_change=declared.on_change,
            compare=("docker_compare", root) if is_engine else None,
            agrees=partial(daemon_json.agrees, daemon) if is_engine else None,
            optional=unit == ctx.flavour.network,
            effect=_how(ctx, daemon) if is_engine and declared.on_change == "restart" else _reload_of_a_file(ctx, unit),
            missing=_missing(ctx) if is_engine else "",
            same=_means_the_same if is_engine and given is not None else None,
        )
        if is_engine and ctx.spec.engine is not None and "bip" in daemon and "bridge" not in daemon:
            yield BridgeAddress(
                unit, daemon_json.DAEMON_JSON, str(daemon["bip"]), ctx.spec.engine.bridge_change, tuple(declared.watch)
            )


def _means_the_same(report: HostReport, loaded: str) -> bool:
    """Whether the host's daemon.json means what docker has loaded."""
    now = daemon_json.same(report.content(daemon_json.DAEMON_JSON) or b"")
    return now is not None and now == daemon_json.same(loaded.encode("utf-8", "surrogateescape"))


def _missing(ctx: CompileContext) -> str:
    if ctx.spec.engine is None or ctx.spec.engine.source != "installed":
        return ""
    return "engine.source is installed, and this host has no docker.service: install Docker, or declare another source"


def _how(ctx: CompileContext, daemon: dict[str, Any]) -> Callable[[HostReport, tuple[str, ...]], Effect]:
    """The function that decides for a plan how docker loads a change."""
    stop = ctx.spec.engine is not None and ctx.spec.engine.bridge_change == "stop"
    return partial(_effect, daemon, engine_package(ctx), stop)


def _effect(
    daemon: dict[str, Any], package: str | None, stop: bool, report: HostReport, changing: tuple[str, ...]
) -> Effect:
    """How docker loads the change of files that it watches, and how it loads the old ones in a rollback, key by key.

    Where the change declares live-restore, a reload switches it on first. So the restart that follows ends no
    container.
    """
    loaded = daemon_json.parsed(report.content(daemon_json.DAEMON_JSON))
    old = loaded or {}
    live, was_live = daemon.get("live-restore") is True, old.get("live-restore") is True
    moved = daemon_json.bridge_changes(old, daemon) if daemon_json.DAEMON_JSON in changing else ()
    if changing != (daemon_json.DAEMON_JSON,):
        # A plain restart: live-restore keeps only the containers that it kept before the change.
        stuck = moved if live and was_live else ()
        verb = "bridge-restart" if stuck and stop else "restart"
        return Effect(verb, ", ".join(changing), "bridge" if stuck else "restart", live=was_live, bridge=stuck)
    there = (version(installed(report).get(package, "")) if package is not None else None) or NEWEST
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


def _named(effects: Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {effect}" for key, effect in effects.items())


def _reload_of_a_file(ctx: CompileContext, unit: str) -> Callable[[HostReport, tuple[str, ...]], Effect] | None:
    """The same for a daemon.json that the play declares as a file, and that docker reloads."""
    if unit != daemon_json.UNIT or ctx.spec.engine is not None or ctx.services[unit].on_change != "reload":
        return None
    file = ctx.spec.files.get(daemon_json.DAEMON_JSON)
    if file is None or file.absent or (file.owner, file.group) != ("root", "root"):
        return None
    return partial(_reloaded, content(ctx, daemon_json.DAEMON_JSON))


def _reloaded(declared: bytes, report: HostReport, changing: tuple[str, ...]) -> Effect:
    """The play declares that docker reloads. Whether the reload proves the change depends on the keys: dockerd refuses
    a file with an unknown key, and keeps the values that it has loaded."""
    old, new = daemon_json.parsed(report.content(daemon_json.DAEMON_JSON)), daemon_json.parsed(declared)
    if changing != (daemon_json.DAEMON_JSON,) or old is None or new is None:
        return Effect("reload", undo="reload")
    effects = key_effects(old, new)
    return Effect("reload", _named(effects), "reload", proven=local(effects))
