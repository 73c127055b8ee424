"""The inputs of a catalog: a host's configuration, its platform, the options of the run, the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from provision.distros import FAMILIES, Family
from provision.engine import loading
from provision.engine.daemon_json import FORWARDING
from provision.errors import SpecError, UsageError, Where
from provision.model import Platform, Salt
from provision.project.host_config import Context, HostConfig
from provision.resources.file import File
from provision.secrets.secret import holds
from provision.spec import Service
from provision.text.formats import PEM, Format, written_later
from provision.text.render import Scope
from provision.text.yamlfile import Map, locate

#: Where a registry's files are, and the service that serves it (Debian's docker-registry).
REGISTRY_FOLDER, REGISTRY_UNIT = "/etc/docker/registry", "docker-registry"
#: The files that it reads at its start. It reads htpasswd when that changes (distribution, registry/auth/htpasswd).
REGISTRY_READS = ("config.yml", "tls.crt", "tls.key")


_Value = TypeVar("_Value")


class Options(Struct, frozen=True):
    """The values of the command line and the run. ``upgrade`` moves unpinned engine packages to the newest version.
    ``lock_timeout`` is in seconds: how long to wait for another package manager. ``repair`` first finishes what an
    interrupted package manager has left. ``salt`` is the key of the hashes of what a plan does not show.
    ``published`` are the images that hosts of this run have pushed so far: name and digest."""

    upgrade: bool = False
    lock_timeout: int = 300
    repair: bool = False
    salt: Salt = Salt()
    published: tuple[tuple[str, str], ...] = ()


class Inputs:
    """All that hosts may have in common and that their catalogs are compiled from. It is the key of the memo, and
    :class:`CompileContext` reads its values, so the key has every value that catalogs depend on. Specs are compared by
    identity: equal specs are one object (:class:`~provision.project.host_config.Specs`)."""

    __slots__ = ("_key", "options", "platforms", "plays", "spec")

    def __init__(self, config: HostConfig, platforms: Iterable[Platform], options: Options) -> None:
        self.spec, self.platforms, self.options = config.spec, tuple(platforms), options
        #: name, slug and spec of each play, in order
        self.plays = tuple([(play.play, play.slug, play.spec) for play in config.plays])
        plays = tuple([(name, slug, id(spec)) for name, slug, spec in self.plays])
        self._key = (id(self.spec), plays, self.platforms, options)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inputs) and self._key == other._key


class CompileContext:
    """The inputs of one host's catalogs, for one platform at a time (:meth:`enter`). Other hosts may have
    the same values, except :attr:`own`. Reads of :attr:`own` and :attr:`platform` are recorded."""

    def __init__(self, inputs: Inputs, own: HostConfig, context: Context) -> None:
        self.spec, self.plays, self.options, self.context = inputs.spec, inputs.plays, inputs.options, context
        self._own = own
        self._once: dict[Callable[[CompileContext], Any], Any] = {}
        self.has_read_own = self.has_read_platform = False

    def enter(self, platform: Platform) -> None:
        """Begin the catalog for a platform."""
        self._platform = platform
        self._services: dict[str, Service] | None = None
        self._watchers: dict[str, tuple[str, ...]] | None = None

    def once(self, make: Callable[[CompileContext], _Value]) -> _Value:
        """A value that does not depend on the platform, made once for the host."""
        if make not in self._once:
            self._once[make] = make(self)
        found: _Value = self._once[make]
        return found

    @property
    def own(self) -> HostConfig:
        """The host's whole configuration, with its name, variables and YAML."""
        self.has_read_own = True
        return self._own

    @property
    def platform(self) -> Platform:
        self.has_read_platform = True
        return self._platform

    @property
    def family(self) -> Family:
        return FAMILIES[self.platform.family]

    @property
    def services(self) -> Mapping[str, Service]:
        """The declared services, and those that an engine brings. docker's own is last, because it must see what the
        others have changed."""
        family = self.family if self.spec.engine is not None else None
        if self._services is None:
            found = {name.removesuffix(".service"): service for name, service in self.spec.services.items()}
            if self.spec.registry is not None and self.spec.registry.source == "package":
                watch = [f"{REGISTRY_FOLDER}/{name}" for name in REGISTRY_READS]
                own = Service(enabled=True, running=True, watch=watch)
                found[REGISTRY_UNIT] = _refined(own, found.get(REGISTRY_UNIT))
            if self.spec.engine is not None and family is not None:
                network = self.dropins(FORWARDING) if family.network else ()
                own_services = loading.services(family, self.spec.engine, network)
                found |= {unit: _refined(service, found.get(unit)) for unit, service in own_services.items()}
            self._services = found
        return self._services

    @property
    def watchers(self) -> Mapping[str, tuple[str, ...]]:
        """Path -> the services that watch it."""
        services = self.services
        if self._watchers is None:
            self._watchers = {}
            for unit, service in services.items():
                for path in service.watch:
                    self._watchers[path] = (*self._watchers.get(path, ()), unit)
        return self._watchers

    def dropins(self, key: str) -> tuple[str, ...]:
        """The drop-in files of provision that set a sysctl at boot, one for each play that declares it."""
        return tuple(sysctl_dropin(slug) for _, slug, spec in self.plays if key in spec.sysctl)

    def locked(self, part: str) -> Mapping[str, str]:
        """A part of the lock file. An upgrade takes precedence over it: the lock file is written after that."""
        return {} if self.options.upgrade else self.context.locks.get(part, {})

    def render(self, template: str, **values: Any) -> bytes:
        """Render a shipped template, or the user's own of that name. Use it for a file that plans may show, or that
        every account of the host may read. Raises :class:`SpecError` where the file holds a secret."""
        content = self.render_private(template, **values)
        if holds(content):
            files = (folder / template for folder in self.context.templates.folders)
            where = next((Where(file, 1) for file in files if file.is_file()), None)
            message = "does not accept a secret: every account of the host may read the file that it makes"
            raise SpecError(f"{message} [host {self.own.host.name}]", where=where, key=template)
        return content

    def render_private(self, template: str, **values: Any) -> bytes:
        """The same for a file that only some accounts may read. No plan shows it when it holds a secret."""
        # The operator's own template may read any variable. A shipped one reads only the values that it is given.
        scope = _NO_VARIABLES if self.context.is_shipped(template) else self.own.scope
        return self.context.render(template, scope, **values).encode()

    def written(self, given: str, how: Format, *path: str) -> str:
        """The value of the spec at ``path``, in a file's format. Raises :class:`SpecError` for a value that the format
        cannot express; for a secret, this error is raised when all secrets are resolved."""
        if holds(given):
            return written_later(given, how, ".".join(("spec", *path)))
        try:
            return how.encode(given)
        except UsageError as error:
            raise self.error(str(error), *path) from error

    def file(self, path: str, content: bytes, **more: Any) -> File:
        """A file, with the services that watch it."""
        return File(path, content, watchers=self.watchers.get(path, ()), **more)

    def read(self, name: str, *path: str) -> bytes:
        """The bytes of a file next to the playbook, which the spec names at ``path``."""
        try:
            content = self.context.read(name)
        except OSError as error:
            raise self.error(f"{name} can't be read: {error.strerror}", *path) from error
        if content is None:
            looked = ", ".join(str(folder) for folder in self.context.files)
            raise self.error(f"no such file: {name}", *path, hint=f"searched in {looked}")
        return content

    def pem(self, given: str, *path: str) -> bytes:
        """PEM text, or the text of the PEM file that is named."""
        text = given.lstrip()
        if holds(text):
            return self.written(given, PEM, *path).encode()
        return text.encode() if text.startswith("-----BEGIN ") else self.read(given, *path)

    def error(self, message: str, *path: str, hint: str = "") -> SpecError:
        """An error at ``path`` in what the user wrote."""
        where = locate(self.own.source, path)
        key = ".".join(("spec", *path))
        return SpecError(f"{message} [host {self.own.host.name}]", where=where, key=key, hint=hint)


def sysctl_dropin(slug: str) -> str:
    """The file's name. It is chosen to sort last, so that its value has precedence. A look finds and reports files that
    sort later."""
    return f"/etc/sysctl.d/99-zz-provision-{slug}.conf"


_NO_VARIABLES = Scope(Map())


def _refined(service: Service, given: Service | None) -> Service:
    """A service of provision, with the values that the spec adds to it."""
    if given is None:
        return service
    return Service(
        enabled=service.enabled if given.enabled is None else given.enabled,
        running=service.running if given.running is None else given.running,
        watch=list(dict.fromkeys([*service.watch, *given.watch])),
        on_change=given.on_change if "on_change" in given.model_fields_set else service.on_change,
    )
