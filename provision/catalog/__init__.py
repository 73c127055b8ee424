"""A spec and a platform -> the resources that a host should have, in the order in which they are fixed.

Obstacles come first. dockerd must find its final settings at its first start. So the host name, kernel settings,
repositories, root's files and daemon.json come before the package transaction. Accounts, the files of other owners and
the services come after it. Objects in the engine come last. Resources that need only the spec are not listed here:
their modules declare their place (:mod:`provision.resources.declaration`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from provision.catalog.context import CompileContext, Inputs, Options
from provision.catalog.files import files_of_others, files_of_root
from provision.catalog.host import access, boot_rules, kernel, live_rules, logins
from provision.catalog.objects import compose_files, objects, pruning
from provision.catalog.packages import packages, repositories, stores, undeclared_stores
from provision.catalog.registry_host import registry_answers, registry_collection, registry_container, registry_files
from provision.catalog.services import engine_files, services
from provision.errors import SpecError, all_of
from provision.model import Platform, Resource
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Memo
from provision.resources.apt_source import AptSource
from provision.resources.declaration import Place
from provision.resources.discovery import made
from provision.resources.file import File, OfFile

#: Makes the resources of one part of a catalog.
Part = Callable[[CompileContext], Iterable[Resource]]

__all__ = ["Inputs", "Options", "check_catalogs", "compile_catalog", "compile_catalogs", "contents", "watchers"]


def compile_catalog(config: HostConfig, platform: Platform, context: Context, options: Options) -> tuple[Resource, ...]:
    """The resources of one host. Pure: reads local files and templates, no network.

    Raises :class:`SpecError` for what cannot be compiled: a bad template, a missing ``src``, a contradiction.
    """
    return compile_catalogs(config, (platform,), context, options)[0]


def compile_catalogs(
    config: HostConfig, platforms: Iterable[Platform], context: Context, options: Options
) -> tuple[tuple[Resource, ...], ...]:
    """The resources of one host for each of these platforms. Raises :class:`SpecError` as :func:`compile_catalog`.

    Hosts with the same inputs have the same catalogs, unless these depend on something that only one host has.
    """
    known: Memo = context.memo.of("catalogs", lambda: Memo(_MOST))
    inputs = Inputs(config, platforms, options)
    host, catalogs = known.of(inputs, lambda: _compiled(inputs, config, context))
    if host not in (None, config.host.name):
        _, catalogs = known.of((inputs, config.host.name), lambda: _compiled(inputs, config, context))
    return catalogs


#: The number of hosts whose catalogs are remembered. A run compiles a catalog again when it needs one that is not.
_MOST = 256


def _compiled(
    inputs: Inputs, config: HostConfig, context: Context
) -> tuple[str | None, tuple[tuple[Resource, ...], ...]]:
    """The host that the catalogs are for, or ``None`` for all hosts with the same inputs; and the catalogs. What a part
    makes without a read of the platform is the same on all platforms."""
    everywhere: dict[Part, tuple[Resource, ...]] = {}
    ctx, catalogs = CompileContext(inputs, config, context), []
    for platform in inputs.platforms:
        ctx.enter(platform)
        resources: list[Resource] = []
        for part in _IN_ORDER:
            if (found := everywhere.get(part)) is None:
                ctx.has_read_platform = False
                found = tuple(part(ctx))
                if not ctx.has_read_platform:
                    everywhere[part] = found
            resources += found
        _check_ids(resources, config.host.name)
        catalogs.append(tuple(resources))
    return config.host.name if ctx.has_read_own else None, tuple(catalogs)


def _check_ids(resources: Iterable[Resource], host: str) -> None:
    seen: set[str] = set()
    for resource in resources:
        if resource.id in seen:
            raise SpecError(f"{resource.id} is declared twice [host {host}]", key="spec")
        seen.add(resource.id)


def check_catalogs(
    configs: Iterable[HostConfig], platforms: Sequence[Platform], context: Context, options: Options
) -> None:
    """Compile every host for every platform. Raises :class:`SpecError` with the first fault of each host."""
    faults: list[SpecError] = []
    for config in configs:
        try:
            compile_catalogs(config, platforms, context, options)
        except SpecError as error:
            faults.append(error)
    if faults:
        raise all_of(faults)


def watchers(
    config: HostConfig, platform: Platform, context: Context, options: Options
) -> Mapping[str, tuple[str, ...]]:
    """Path -> the services that watch it."""
    ctx = CompileContext(Inputs(config, (platform,), options), config, context)
    ctx.enter(platform)
    return ctx.watchers


_IN_ORDER: tuple[Part, ...] = (
    stores,
    lambda ctx: made(Place.SETTINGS, ctx.spec),
    kernel,
    repositories,
    files_of_root,
    boot_rules,
    engine_files,
    compose_files,
    partial(logins, root=True),
    packages,
    live_rules,
    lambda ctx: made(Place.ACCOUNTS, ctx.spec),
    files_of_others,
    partial(logins, root=False),
    registry_files,
    services,
    access,
    registry_container,
    registry_answers,
    objects,
    registry_collection,
    pruning,
    undeclared_stores,
)


def contents(resources: Iterable[Resource]) -> Iterator[tuple[str, bytes]]:
    """The resources that are files: path and bytes."""
    for resource in resources:
        if isinstance(resource, (File, AptSource, OfFile)):
            yield resource.path, resource.content
