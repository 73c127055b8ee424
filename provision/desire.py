"""A spec and a platform -> the resources that a host should have, in the order in which they are put right.

The order is what makes the first start of dockerd the right one: name, kernel settings, repositories, root's
files, daemon.json, and only then the package transaction; accounts, the files of other owners and the services
after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from provision import engine
from provision.declare import Context, Wish
from provision.distros import DISTRIBUTIONS, FLAVOURS, Flavour
from provision.errors import SpecError
from provision.model import Platform, Resource
from provision.resources.apt_source import AptSource, Entry, Keyring, OtherEntries
from provision.resources.dropin import Dropin
from provision.resources.file import File, NoFile
from provision.resources.hostname import Hostname
from provision.resources.module import KernelModule, ModulesElsewhere
from provision.resources.openpgp import fingerprints
from provision.resources.packages import Packages
from provision.resources.service import Service
from provision.resources.sysctl import Sysctl, SysctlElsewhere
from provision.resources.user import Member, NoUser, User
from provision.spec import Engine, Repository, Spec
from provision.spec import Service as ServiceSpec
from provision.yamlfile import locate

#: The longest that is sent inside a script; more belongs into a package or an image.
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds: ``upgrade`` moves unpinned engine packages to the newest; seconds to wait for
    another package manager."""

    upgrade: bool = False
    lock_timeout: int = 300


def desire(wish: Wish, platform: Platform, context: Context, options: Options) -> tuple[Resource, ...]:
    """The resources of one host. Pure: reads local files and templates, no network."""
    key = (wish.host.name, tuple(play.slug for play in wish.plays), platform.id, platform.codename, options)
    if key not in context.memo:
        context.memo[key] = _desire(wish, platform, context, options)
    found: tuple[Resource, ...] = context.memo[key]
    return found


def _desire(wish: Wish, platform: Platform, context: Context, options: Options) -> tuple[Resource, ...]:
    resources = tuple(_Desire(wish, platform, context, options).resources())
    by_id: dict[str, Resource] = {}
    for resource in resources:
        if by_id.setdefault(resource.id, resource) is not resource:
            raise SpecError(f"{resource.id} is declared twice [host {wish.host.name}]", key="spec")
    return resources


def watchers(wish: Wish) -> dict[str, tuple[str, ...]]:
    """Path -> the services that watch it."""
    found: dict[str, tuple[str, ...]] = {}
    for unit, service in _services(wish.spec).items():
        for path in service.watch:
            found[path] = (*found.get(path, ()), unit)
    return found


def _services(spec: Spec) -> dict[str, ServiceSpec]:
    """The declared services; with an engine, docker's own among them, refined by what the spec says of it."""
    services = {name.removesuffix(".service"): service for name, service in spec.services.items()}
    if spec.engine is not None:
        given = services.get(engine.UNIT, ServiceSpec())
        services[engine.UNIT] = ServiceSpec(
            enabled=True if given.enabled is None else given.enabled,
            running=True if given.running is None else given.running,
            watch=list(dict.fromkeys([engine.DAEMON_JSON, *given.watch])),
            on_change=given.on_change,
        )
    return services


class _Desire:
    def __init__(self, wish: Wish, platform: Platform, context: Context, options: Options) -> None:
        self.wish, self.platform, self.context, self.options = wish, platform, context, options
        self.spec = wish.spec
        self.watchers = watchers(wish)

    @property
    def flavour(self) -> Flavour:
        return FLAVOURS[self.platform.flavour]

    def resources(self) -> Iterator[Resource]:
        if self.spec.hostname is not None:
            yield Hostname(self.spec.hostname)
        yield from self._kernel()
        yield from self._repositories()
        own: list[Resource] = []
        foreign: list[Resource] = []
        for file in self._files():
            (
                own if (getattr(file, "owner", "root"), getattr(file, "group", "root")) == ("root", "root") else foreign
            ).append(file)
        yield from own
        yield from self._packages()
        yield from self._accounts()
        yield from foreign
        for unit, service in _services(self.spec).items():
            yield self._service(unit, service)

    def _kernel(self) -> Iterator[Resource]:
        """Each play has drop-ins of its own, so that one can go without the other."""
        dropins: dict[str, str] = {}
        for play in self.wish.plays:
            if play.spec.modules:
                path = f"/etc/modules-load.d/provision-{play.slug}.conf"
                file = self._template(path, "modules.conf.j2", play=play.play, modules=play.spec.modules)
                yield Dropin(file, ModulesElsewhere(tuple(play.spec.modules)))
            if play.spec.sysctl:
                # Read last of all, so that it wins; what still comes after it is found and named.
                path = f"/etc/sysctl.d/99-zz-provision-{play.slug}.conf"
                dropins |= dict.fromkeys(play.spec.sysctl, path)
                file = self._template(path, "sysctl.conf.j2", play=play.play, sysctl=play.spec.sysctl)
                yield Dropin(file, SysctlElsewhere(play.spec.sysctl))
        for module in self.spec.modules:
            yield KernelModule(module)
        for key, value in self.spec.sysctl.items():
            yield Sysctl(key, value, dropins[key])

    def _template(self, path: str, template: str, **values: Any) -> File:
        content = self.context.templates.render(template, self.wish.scope, **values).encode()
        return File(path, content, watchers=self.watchers.get(path, ()))

    def _repositories(self) -> Iterator[Resource]:
        for name, repository in self.spec.repositories.items():
            yield from self._repository(name, repository, "apt/repository.sources.j2")
        if self.spec.engine is not None:
            declared = self.spec.engine
            url = f"{declared.package_mirror}/linux/{DISTRIBUTIONS[self.platform.id].repository}"
            repository = Repository(
                url=url, components=[declared.channel], key_url=f"{url}/gpg", fingerprint=declared.fingerprint
            )
            yield from self._repository("docker", repository, "apt/docker.sources.j2")

    def _repository(self, name: str, declared: Repository, template: str) -> Iterator[Resource]:
        key_path, path = f"/etc/apt/keyrings/{name}.asc", f"/etc/apt/sources.list.d/{name}.sources"
        suites = tuple(declared.suites) or (self.platform.codename,)
        entry = Entry(declared.url, suites, tuple(declared.components), key_path)
        yield OtherEntries(path, entry)
        if declared.key is not None:
            self._check_key(name, declared)
            yield File(key_path, declared.key.encode())
        else:
            needs = {
                "certificates": any(str(url).startswith("https:") for url in (declared.url, declared.key_url)),
                "gpg": declared.fingerprint is not None,
            }
            tools = {tool: self.flavour.tools[tool] for tool, needed in needs.items() if needed}
            yield Keyring(key_path, str(declared.key_url), declared.fingerprint, tools, self.options.lock_timeout)
        content = self.context.templates.render(
            template,
            self.wish.scope,
            uri=declared.url,
            suites=suites,
            components=declared.components,
            signed_by=key_path,
        )
        yield AptSource(path, content.encode(), entry)

    def _check_key(self, name: str, declared: Repository) -> None:
        try:
            found = fingerprints((declared.key or "").encode())
        except ValueError as error:
            raise self._error(f"the key {error}", "repositories", name, "key") from error
        if declared.fingerprint is not None and found != [declared.fingerprint]:
            raise self._error(f"the key has the fingerprint {' '.join(found)}", "repositories", name, "fingerprint")

    def _files(self) -> Iterator[File | NoFile]:
        for path, declared in self.spec.files.items():
            watching = self.watchers.get(path, ())
            if declared.absent:
                yield NoFile(path, watching)
            else:
                yield File(path, self._content(path), declared.owner, declared.group, declared.mode, watching)
        if self.spec.engine is not None and self.spec.engine.daemon is not None:
            yield self._daemon_json(self.spec.engine.daemon)

    def _daemon_json(self, daemon: dict[str, object]) -> File:
        if engine.DAEMON_JSON in self.spec.files:
            raise self._error("engine.daemon declares this file too", "files", engine.DAEMON_JSON)
        content = self.context.templates.render(
            "daemon.json.j2", self.wish.scope, daemon=engine.canonical(daemon).decode()
        )
        return File(
            engine.DAEMON_JSON,
            content.encode(),
            watchers=self.watchers.get(engine.DAEMON_JSON, ()),
            same=engine.same,
        )

    def _content(self, path: str) -> bytes:
        declared = self.spec.files[path]
        if declared.content is not None:
            return declared.content.encode()
        if declared.template is not None:
            where = locate(self.wish.source, ("files", path, "template"))
            return self.context.templates.render(declared.template, self.wish.scope, where).encode()
        try:
            content = self.context.read(str(declared.src))
        except OSError as error:
            raise self._error(f"{declared.src} can't be read: {error.strerror}", "files", path, "src") from error
        if content is None:
            looked = ", ".join(str(folder) for folder in self.context.files)
            raise self._error(f"no such file: {declared.src}", "files", path, "src", hint=f"looked in {looked}")
        if len(content) > _LARGEST:
            raise self._error(
                f"{declared.src} is larger than 16 MiB", "files", path, "src", hint="ship it as a package"
            )
        return content

    def _packages(self) -> Iterator[Resource]:
        present = {name: package.version for name, package in self.spec.packages.items() if not package.absent}
        absent = [name for name, package in self.spec.packages.items() if package.absent]
        upgrade: frozenset[str] = frozenset()
        if self.spec.engine is not None:
            own = self._engine_packages(self.spec.engine)
            for name in (*own, *self.flavour.conflicts):
                if name in self.spec.packages:
                    hint = f"engine.version and its neighbours pin {name}" if name in own else ""
                    raise self._error(f"{name} belongs to engine", "packages", name, hint=hint)
            present |= own
            absent += self.flavour.conflicts
            if self.options.upgrade:
                upgrade = frozenset(name for name, pin in own.items() if pin is None)
        if present or absent:
            sources = [f"/etc/apt/sources.list.d/{name}.sources" for name in self.spec.repositories]
            if self.spec.engine is not None:
                sources.append("/etc/apt/sources.list.d/docker.sources")
            yield Packages(present, tuple(absent), upgrade, self.options.lock_timeout, tuple(sources))

    def _engine_packages(self, declared: Engine) -> dict[str, str | None]:
        names = self.flavour.engine
        pins = {"buildx": declared.buildx_version, "compose": declared.compose_version}
        return {
            names["engine"]: declared.version,
            names["cli"]: declared.version,
            names["containerd"]: declared.containerd_version,
            **{names[plugin]: pins[plugin] for plugin in declared.plugins},
        }

    def _accounts(self) -> Iterator[Resource]:
        for name, user in self.spec.users.items():
            if user.absent:
                yield NoUser(name)
                continue
            yield User(name, user.uid, user.shell, user.home, user.comment, user.system)
            for group in user.groups:
                yield Member(name, group)
        if self.spec.engine is not None:
            for name in self.spec.engine.users:
                if engine.GROUP not in (self.spec.users[name].groups if name in self.spec.users else []):
                    yield Member(name, engine.GROUP, ensure=False)

    def _service(self, unit: str, declared: ServiceSpec) -> Service:
        is_engine = unit == engine.UNIT and self.spec.engine is not None
        daemon = (self.spec.engine.daemon if self.spec.engine else None) or {}
        return Service(
            unit,
            declared.enabled,
            declared.running,
            tuple(declared.watch),
            declared.on_change,
            "docker_info" if is_engine else None,
            (lambda answer: engine.agrees(daemon, answer)) if is_engine else None,
        )

    def _error(self, message: str, *path: str, hint: str = "") -> SpecError:
        where = locate(self.wish.source, path)
        return SpecError(
            f"{message} [host {self.wish.host.name}]", where=where, key=".".join(("spec", *path)), hint=hint
        )


def files(resources: Iterable[Resource]) -> Iterator[tuple[str, bytes]]:
    """The files among resources: path and bytes."""
    for resource in resources:
        if isinstance(resource, (File, AptSource, Dropin)):
            yield resource.path, resource.content
