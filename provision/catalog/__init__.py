"""A spec and a platform -> the resources that a host should have, in the order in which they are fixed.

Obstacles come first. dockerd must find its final settings at its first start. So the host name, kernel settings,
repositories, root's files and daemon.json come before the package transaction. Accounts, the files of other owners and
the services come after it. Objects in the engine come last. Resources that need only the spec are not listed here:
their modules declare their place (:mod:`provision.resources.declaration`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from provision.catalog.access import access
from provision.catalog.context import CompileContext, Options
from provision.catalog.daemon_files import engine_files
from provision.catalog.files import files_of_others, files_of_root
from provision.catalog.firewall import boot_rules, live_rules
from provision.catalog.kernel import kernel
from provision.catalog.logins import logins
from provision.catalog.objects import compose_files, objects
from provision.catalog.package_set import packages
from provision.catalog.parts import Check, Make, Parts
from provision.catalog.pruning import pruning
from provision.catalog.registry_host import registry_answers, registry_collection, registry_container, registry_files
from provision.catalog.repositories import repositories
from provision.catalog.services import services
from provision.catalog.stores import stores, undeclared_stores
from provision.errors import SpecError, all_of
from provision.model import Platform, Resource
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Same
from provision.resources.apt_source import AptSource
from provision.resources.boot_service import BootService
from provision.resources.declaration import Place
from provision.resources.discovery import made
from provision.resources.dropin import Dropin
from provision.resources.file import File
from provision.resources.unit_file import UnitFile

__all__ = ["Options", "check_catalogs", "compile_catalog", "compile_catalogs", "contents", "watchers"]


def compile_catalog(config: HostConfig, platform: Platform, context: Context, options: Options) -> tuple[Resource, ...]:
    """The resources of one host. Pure: reads local files and templates, no network.

    Raises :class:`SpecError` for what cannot be compiled: a bad template, a missing ``src``, a contradiction.
    """
    return compile_catalogs(config, (platform,), context, options)[0]


def compile_catalogs(
    config: HostConfig, platforms: Iterable[Platform], context: Context, options: Options
) -> tuple[tuple[Resource, ...], ...]:
    """The resources of one host for each of these platforms. Raises :class:`SpecError` as :func:`compile_catalog`.

    Hosts share the parts of a catalog that are the same (:mod:`provision.catalog.parts`), and whole catalogs.
    """
    return _parts(context).catalogs(config, platforms, context, options)


def check_catalogs(
    configs: Iterable[HostConfig], platforms: Sequence[Platform], context: Context, options: Options
) -> None:
    """Compile every host for every platform, and keep only the parts. Raises :class:`SpecError` with the
    first fault of each host."""
    check = Check(_parts(context), platforms, context, options)
    faults: list[SpecError] = []
    for config in configs:
        try:
            if not check.passes(config):
                compile_catalogs(config, platforms, context, options)
        except SpecError as error:
            faults.append(_first(error, config, platforms, context, options))
    if faults:
        raise all_of(faults)


def _first(
    error: SpecError, config: HostConfig, platforms: Sequence[Platform], context: Context, options: Options
) -> SpecError:
    """The error that :func:`compile_catalog` raises: the parts of the first platform come before those of the next."""
    try:
        compile_catalogs(config, platforms, context, options)
    except SpecError as first:
        return first
    return error


def _parts(context: Context) -> Parts:
    return context.memo.of("parts of catalogs", lambda: Parts(_IN_ORDER))


def inputs(config: HostConfig) -> Hashable:
    """The inputs of a catalog that hosts may have in common. Equal specs are one object
    (:class:`~provision.project.host_config.Specs`)."""
    return Same(config.spec), tuple((play.slug, play.play, Same(play.spec)) for play in config.plays)


def watchers(
    config: HostConfig, platform: Platform, context: Context, options: Options
) -> Mapping[str, tuple[str, ...]]:
    """Path -> the services that watch it."""
    return CompileContext(config, platform, context, options).watchers


_IN_ORDER: tuple[Make, ...] = (
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
        if isinstance(resource, (File, AptSource, Dropin, BootService, UnitFile)):
            yield resource.path, resource.content
