"""Services. They come last, because they must see the changes before them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from provision import spec
from provision.catalog.context import CompileContext
from provision.catalog.daemon_files import daemon_file
from provision.catalog.files import content
from provision.catalog.package_set import engine_package
from provision.engine import daemon_json, loading
from provision.engine.keys import NEWEST, Version, version
from provision.model import HostReport, Resource
from provision.resources.bridge import BridgeAddress
from provision.resources.packages import installed
from provision.resources.service import Service


def services(ctx: CompileContext) -> Iterator[Resource]:
    for unit, declared in ctx.services.items():
        if unit == daemon_json.UNIT and ctx.spec.engine is not None:
            yield from _docker(ctx, declared, ctx.spec.engine)
            continue
        yield Service(
            unit,
            enabled=declared.enabled,
            running=declared.running,
            watch=tuple(declared.watch),
            on_change=declared.on_change,
            optional=unit == ctx.family.network,
            effect=_effect_of_a_file(ctx, declared) if unit == daemon_json.UNIT else None,
        )


def _docker(ctx: CompileContext, service: spec.Service, engine: spec.Engine) -> Iterator[Resource]:
    """docker's service where the spec declares an engine, and the address of its bridge."""
    declared = ctx.once(daemon_file)
    daemon, watch = (declared.data if declared is not None else None) or {}, tuple(service.watch)
    there, stop = partial(_engine_of, engine_package(ctx)), engine.bridge_change == "stop"
    yield Service(
        daemon_json.UNIT,
        enabled=service.enabled,
        running=service.running,
        watch=watch,
        on_change=service.on_change,
        compare=("docker_compare", daemon_json.data_root(engine)),
        agrees=partial(daemon_json.agrees, daemon),
        effect=partial(loading.effect, daemon, there, stop) if service.on_change == "restart" else None,
        missing=loading.missing(engine),
        same=loading.means_the_same if declared is not None else None,
    )
    if "bip" in daemon and "bridge" not in daemon:
        yield BridgeAddress(daemon_json.UNIT, daemon_json.DAEMON_JSON, str(daemon["bip"]), engine.bridge_change, watch)


def _engine_of(package: str | None, report: HostReport) -> Version:
    """The version of the engine that a host has; the newest one where that is not known."""
    return (version(installed(report).get(package, "")) if package is not None else None) or NEWEST


def _effect_of_a_file(ctx: CompileContext, docker: spec.Service) -> loading.EffectOf | None:
    """For a daemon.json that the play declares as a file, and that docker reloads."""
    file = ctx.spec.files.get(daemon_json.DAEMON_JSON)
    if docker.on_change != "reload" or file is None or file.absent or (file.owner, file.group) != ("root", "root"):
        return None
    return loading.effect_of_a_file(content(ctx, daemon_json.DAEMON_JSON))
