"""A spec and a platform -> the resources that a host should have, in the order in which they are fixed.

Obstacles come first. The order makes the first start of dockerd the right one: name, kernel settings, repositories,
root's files and daemon.json come before the package transaction. Accounts, the files of other owners and the services
come after it. What runs in the engine comes last. Resources that follow from the spec alone are found: their module
declares their place (:mod:`provision.resources.declaration`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from provision.catalog.daemon_files import engine_files
from provision.catalog.files import files_of_others, files_of_root
from provision.catalog.firewall import boot_rules, live_rules
from provision.catalog.kernel import kernel
from provision.catalog.logins import logins
from provision.catalog.objects import compose_files, objects
from provision.catalog.package_set import packages
from provision.catalog.pruning import pruning
from provision.catalog.registry_host import registry_answers, registry_collection, registry_container, registry_files
from provision.catalog.repositories import repositories
from provision.catalog.services import services
from provision.catalog.setting import Options, Setting
from provision.catalog.stores import stores, undeclared_stores
from provision.errors import SpecError
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

__all__ = ["Options", "compile_catalog", "contents", "watchers"]


def compile_catalog(config: HostConfig, platform: Platform, context: Context, options: Options) -> tuple[Resource, ...]:
    """The resources of one host. Pure: reads local files and templates, no network.

    Raises :class:`SpecError` for what cannot be compiled: a bad template, a missing ``src``, a contradiction.
    """
    common = ("catalog", inputs(config), platform, options)
    own = (config.host.name, *common)

    def compile_() -> tuple[Resource, ...] | None:
        at = Setting(config, platform, context, options)
        found = _catalog(at)
        if not at.private:
            return found
        context.memo.of(own, lambda: found)
        return None

    # Hosts with equal inputs have one catalog, unless it was made with something that only one of them has.
    shared = context.memo.of(common, compile_)
    if shared is not None:
        return shared
    return context.memo.of(own, lambda: _catalog(Setting(config, platform, context, options)))


def inputs(config: HostConfig) -> Hashable:
    """The inputs of a catalog that hosts may have in common. Equal specs are one object
    (:class:`~provision.project.host_config.Specs`)."""
    return Same(config.spec), tuple((play.slug, play.play, Same(play.spec)) for play in config.plays)


def watchers(config: HostConfig, platform: Platform, context: Context, options: Options) -> dict[str, tuple[str, ...]]:
    """Path -> the services that watch it."""
    return Setting(config, platform, context, options).watchers


def _in_order(at: Setting) -> Iterator[Resource]:
    yield from stores(at)
    yield from made(Place.SETTINGS, at.spec)
    yield from kernel(at)
    yield from repositories(at)
    yield from files_of_root(at)
    yield from boot_rules(at)
    yield from engine_files(at)
    yield from compose_files(at)
    yield from logins(at, root=True)
    yield from packages(at)
    yield from live_rules(at)
    yield from made(Place.ACCOUNTS, at.spec)
    yield from files_of_others(at)
    yield from logins(at, root=False)
    yield from registry_files(at)
    yield from services(at)
    yield from registry_container(at)
    yield from registry_answers(at)
    yield from objects(at)
    yield from registry_collection(at)
    yield from pruning(at)
    yield from undeclared_stores(at)


def _catalog(at: Setting) -> tuple[Resource, ...]:
    resources = tuple(_in_order(at))
    seen: set[str] = set()
    for resource in resources:
        if resource.id in seen:
            raise SpecError(f"{resource.id} is declared twice [host {at.own.host.name}]", key="spec")
        seen.add(resource.id)
    return resources


def contents(resources: Iterable[Resource]) -> Iterator[tuple[str, bytes]]:
    """The resources that are files: path and bytes."""
    for resource in resources:
        if isinstance(resource, (File, AptSource, Dropin, BootService, UnitFile)):
            yield resource.path, resource.content
