"""The input of every part of a catalog: one host's configuration, its platform, the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import Struct

from provision.catalog.inputs import OPTIONS, PATHS, PLATFORM, Reads, view, views
from provision.distros import FLAVOURS, Flavour
from provision.dockerd import daemon_json
from provision.errors import SpecError, UsageError, Where
from provision.model import Platform, Salt
from provision.project.host_config import Context, Declared, HostConfig
from provision.project.lockfile import IMAGES
from provision.project.memo import Same
from provision.secrets.secret import holds
from provision.spec import Engine, Service, Spec
from provision.text.formats import PEM, Format, written_later
from provision.text.render import Scope
from provision.text.yamlfile import Map, locate

#: Where a registry's files are, and the service that serves it (Debian's docker-registry).
REGISTRY_FOLDER, REGISTRY_UNIT = "/etc/docker/registry", "docker-registry"
#: The files that it reads at its start. It reads htpasswd when that changes (distribution, registry/auth/htpasswd).
REGISTRY_READS = ("config.yml", "tls.crt", "tls.key")


class Options(Struct, frozen=True):
    """What the command line and the run add. ``upgrade`` moves unpinned engine packages to the newest version.
    ``lock_timeout`` is in seconds: how long to wait for another package manager. ``repair`` first finishes what an
    interrupted package manager has left. ``salt`` is the key of the hashes of what a plan does not show.
    ``published`` are the images that hosts of this run have pushed so far: name and digest."""

    upgrade: bool = False
    lock_timeout: int = 300
    repair: bool = False
    salt: Salt = Salt()
    published: tuple[tuple[str, str], ...] = ()


@dataclass
class CompileContext:
    """What one part of a catalog reads. Hosts may have the same ``spec``, ``plays``, ``platform`` and ``options``; each
    read of these is recorded in ``reads``. :attr:`own` belongs to one host alone. A part that does not read ``own`` is
    shared by all hosts with the same values in the places that it read."""

    whole: HostConfig
    _platform: Platform
    context: Context
    _options: Options
    reads: Reads = field(default_factory=Reads, init=False)

    @property
    def name(self) -> str:
        """The host's name, for the key of a part that is made for this host alone. A part reads the name from
        :attr:`own`."""
        return self.whole.host.name

    def fresh(self) -> CompileContext:
        """A copy of this setting, without any recorded read."""
        return CompileContext(self.whole, self._platform, self.context, self._options)

    @cached_property
    def spec(self) -> Spec:
        return view(self.whole.spec, self.reads)

    @property
    def paths(self) -> frozenset[str]:
        """The paths of the declared files. A part that needs only the paths does not read ``spec.files``, because hosts
        differ in the content of their files."""
        self.reads.add(PATHS)
        return frozenset(self.whole.spec.files)

    @cached_property
    def plays(self) -> tuple[Declared, ...]:
        return views(self.whole.plays, self.reads)

    @property
    def platform(self) -> Platform:
        self.reads.add(PLATFORM)
        return self._platform

    @property
    def options(self) -> Options:
        self.reads.add(OPTIONS)
        return self._options

    @property
    def own(self) -> HostConfig:
        """The host's whole configuration, with its name, variables and YAML. A part that reads it is made for this host
        alone."""
        self.reads.add_own()
        return self.whole

    @property
    def flavour(self) -> Flavour:
        return FLAVOURS[self.platform.flavour]

    @cached_property
    def services(self) -> Mapping[str, Service]:
        """The declared services, and those that an engine brings. docker's own is last, because it must see what the
        others have changed."""
        packaged = self.spec.registry is not None and self.spec.registry.source == "package"
        units = _units(self, self.spec.engine) if self.spec.engine is not None else None
        given = self.spec.services
        # Many parts need the services, and each part has a separate setting.
        key = ("services", Same(given), packaged, units)
        return self.context.memo.of(key, lambda: _services(given, packaged, units))

    @cached_property
    def watchers(self) -> Mapping[str, tuple[str, ...]]:
        """Path -> the services that watch it."""
        return self.context.memo.of(("watchers", Same(self.services)), lambda: _watchers(self.services))

    def dropins(self, key: str) -> tuple[str, ...]:
        """The drop-in files of provision that set a sysctl at boot, one for each play that declares it."""
        return tuple(sysctl_dropin(play.slug) for play in self.plays if key in play.spec.sysctl)

    def locked_image(self, reference: str) -> str | None:
        """The digest that the lock file has for an image."""
        return None if self.options.upgrade else self.context.locks.get(IMAGES, {}).get(reference)

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
        templates = self.context.templates
        # The operator's own template may read any variable. A shipped one reads only the values that it is given.
        scope = Scope(Map()) if templates.is_shipped(template) else self.own.scope
        return templates.render(template, scope, **values).encode()

    def written(self, given: str, how: Format, *path: str) -> str:
        """The value of the spec at ``path``, in a file's format. Raises :class:`SpecError` for a value that the format
        cannot express; for a secret, this error is raised when all secrets are resolved."""
        if holds(given):
            return written_later(given, how, ".".join(("spec", *path)))
        try:
            return how.encode(given)
        except UsageError as error:
            raise self.error(str(error), *path) from error

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


#: When this setting changes, the network service (where the flavour has one) and docker must restart.
_FORWARDING = "net.ipv4.ip_forward"


class _Units(Struct, frozen=True):
    """What the services of an engine depend on: the ``flavour`` by its name, the drop-ins of the ``network`` service,
    whether firewalld has docker's zone, whether packages bring the engine, and whether containerd has its own root."""

    flavour: str
    network: tuple[str, ...]
    firewalld: bool
    own_packages: bool
    containerd_root: bool


def _units(ctx: CompileContext, declared: Engine) -> _Units:
    return _Units(
        ctx.platform.flavour,
        ctx.dropins(_FORWARDING) if ctx.flavour.network else (),
        declared.firewall is not None and declared.firewall.firewalld,
        declared.source != "installed",
        declared.containerd_root is not None,
    )


def _services(given: Mapping[str, Service], packaged: bool, units: _Units | None) -> dict[str, Service]:
    found = {name.removesuffix(".service"): service for name, service in given.items()}
    if packaged:
        own = Service(enabled=True, running=True, watch=[f"{REGISTRY_FOLDER}/{name}" for name in REGISTRY_READS])
        found[REGISTRY_UNIT] = _refined(own, found.get(REGISTRY_UNIT))
    return found if units is None else {**found, **_of_engine(units, found)}


def _watchers(services: Mapping[str, Service]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for unit, service in services.items():
        for path in service.watch:
            found[path] = (*found.get(path, ()), unit)
    return found


def _of_engine(units: _Units, given: dict[str, Service]) -> dict[str, Service]:
    """The services that must have loaded what the engine's part of the spec writes, in the order of their start."""
    found: dict[str, Service] = {}
    flavour, network = FLAVOURS[units.flavour], units.network
    if network:
        found[flavour.network] = Service(watch=list(network))
    if units.firewalld:
        found[daemon_json.FIREWALLD] = Service(enabled=True, running=True, watch=[daemon_json.ZONE], on_change="reload")
    systemd = flavour.init.name == "systemd"
    programs = {unit: [program] for unit, program in flavour.programs.items()} if units.own_packages else {}
    containerd = [daemon_json.CONTAINERD_TOML] if units.containerd_root and systemd else []
    if containerd := [*containerd, *programs.get(daemon_json.CONTAINERD, [])]:
        found[daemon_json.CONTAINERD] = Service(running=True, watch=containerd)
    # Files that are no longer declared are watched too: their service must load their removal.
    own = [daemon_json.DROPIN, daemon_json.PROXY_FILE, daemon_json.CONTAINERD_TOML] if systemd else [daemon_json.CONF_D]
    watch = [daemon_json.DAEMON_JSON, *own, daemon_json.ZONE, *network, *programs.get(daemon_json.UNIT, [])]
    found[daemon_json.UNIT] = Service(enabled=True, running=True, watch=watch)
    return {unit: _refined(service, given.get(unit)) for unit, service in found.items()}


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
