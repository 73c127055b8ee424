"""Package repositories, and all packages of a host in one transaction; also where the engine keeps its data.

The packages are the declared ones, the engine's, and those that conflict with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from provision import distros
from provision.catalog.context import REGISTRY_UNIT, CompileContext
from provision.engine import daemon_json
from provision.model import Resource
from provision.project import lockfile
from provision.resources.apt_source import AptSource, Entry, OtherEntries
from provision.resources.file import File
from provision.resources.hold import Hold
from provision.resources.keyring import Keyring
from provision.resources.obstacle import Obstacle
from provision.resources.openpgp import fingerprints
from provision.resources.package_indexes import PackageIndexes
from provision.resources.packages import Packages, matches
from provision.resources.store import Store, UndeclaredStore
from provision.spec import Engine, Repository


def packages(ctx: CompileContext) -> Iterator[Resource]:
    present = {name: package.version for name, package in ctx.spec.packages.items() if not package.absent}
    absent = [name for name, package in ctx.spec.packages.items() if package.absent]
    upgrade: frozenset[str] = frozenset()
    if ctx.spec.users or (ctx.spec.engine is not None and ctx.spec.engine.users):
        present |= dict.fromkeys(ctx.family.accounts)
    found = _packaged(ctx)
    if ctx.spec.engine is not None and found is None:
        yield Obstacle("engine", _no_engine(ctx, ctx.spec.engine))
    if ctx.spec.engine is not None and found is not None:
        if ctx.spec.engine.firewall is not None and ctx.spec.engine.firewall.firewalld:
            present.setdefault(daemon_json.FIREWALLD, None)
        needs = () if ctx.spec.engine.source == "installed" else ctx.platform.needs
        engine = _engine(ctx, ctx.spec.engine)
        own = {**dict.fromkeys(needs), **engine}
        _check(ctx, engine, found.conflicts)
        present |= own
        absent += [name for name in found.conflicts if name not in absent]
        if ctx.options.upgrade:
            upgrade = frozenset(name for name, pin in own.items() if pin is None)
    registry = ctx.spec.registry
    if registry is not None and registry.source == "package" and ctx.platform.family.startswith("apt"):
        present.setdefault(REGISTRY_UNIT, None)
    if ctx.platform.family == distros.IMAGE and (present or absent):
        names = ", ".join([*present, *absent])
        yield Obstacle("packages", f"{ctx.platform.name} is a read-only image; its packages stay as they are ({names})")
        return
    # Their indexes must be fresh before packages are installed.
    held, sources = _held(ctx, present), tuple(source.path for source in _sources(ctx))
    if held:
        present = {**dict.fromkeys(ctx.family.holds), **present}
    if present or absent:
        yield Packages(
            present=present,
            absent=tuple(absent),
            upgrade=upgrade,
            lock_timeout=ctx.options.lock_timeout,
            sources=sources,
            possible=distros.mentioned(ctx.platform.family),
            repair=ctx.options.repair,
            locks=ctx.family.holds if held else (),
            programs=tuple(ctx.family.programs.values()),
            watchers=tuple(ctx.family.programs),
        )
    if sources:
        yield PackageIndexes(sources, ctx.options.lock_timeout)
    if held:
        yield Hold(held, ctx.options.lock_timeout)


def engine_package(ctx: CompileContext) -> str | None:
    """The package that brings dockerd."""
    found = _packaged(ctx)
    return found.parts.get("engine") if found is not None else None


def _packaged(ctx: CompileContext) -> distros.Packaged | None:
    return distros.packaged(ctx.platform, ctx.spec.engine.source if ctx.spec.engine is not None else None)


def _no_engine(ctx: CompileContext, declared: Engine) -> str:
    if ctx.platform.family == distros.IMAGE:
        return f"{ctx.platform.name} is a read-only image: set engine.source: installed where the image has Docker"
    whose = "Docker publishes no packages for" if declared.source == "docker" else "there is no Docker Engine in"
    return f"{whose} {ctx.platform.name}; the spec has engine.source: {declared.source}"


def _held(ctx: CompileContext, present: dict[str, str | None]) -> tuple[str, ...]:
    """A pinned package is held, so that no other upgrade changes it, unless the spec says otherwise."""
    free = {name for name, package in ctx.spec.packages.items() if package.hold is False}
    if ctx.spec.engine is not None and ctx.spec.engine.hold is False:
        free |= set(_engine(ctx, ctx.spec.engine))
    return tuple(sorted(name for name, pin in present.items() if pin is not None and name not in free))


def _engine(ctx: CompileContext, declared: Engine) -> dict[str, str | None]:
    """The engine's packages and their pins; none where its source has no engine for this platform."""
    pins = {
        "engine": declared.version,
        "cli": declared.version,
        "containerd": declared.containerd_version,
        "buildx": declared.buildx_version,
        "compose": declared.compose_version,
    }
    packaged = _packaged(ctx)
    names = packaged.parts if packaged is not None else {}
    parts = ("engine", "cli", "containerd", *declared.plugins)
    found = {names[part]: pins[part] for part in parts if part in names}
    locked = ctx.locked(lockfile.key(ctx.platform))
    return {name: _pin(ctx, name, pin, locked.get(name)) for name, pin in found.items()}


def _pin(ctx: CompileContext, name: str, pin: str | None, locked: str | None) -> str | None:
    """The exact version from the lock file, which must match the spec's pin; without a lock, the pin."""
    if pin is not None and locked is not None and not matches(locked, pin):
        raise ctx.error(
            f"the pin {pin} of {name} differs from the lock file, {locked}",
            "engine",
            hint="provision apply --upgrade, and then provision lock",
        )
    return locked or pin


def _check(ctx: CompileContext, own: dict[str, str | None], conflicts: tuple[str, ...]) -> None:
    for name, package in ctx.spec.packages.items():
        if name in own:
            raise ctx.error(f"{name} is a package of the engine", "packages", name, hint="set its version under engine")
        if name in conflicts and not package.absent:
            raise ctx.error(f"{name} can't be installed together with the engine's packages", "packages", name)


def stores(ctx: CompileContext) -> Iterator[Resource]:
    """An obstacle must be reported before anything is touched."""
    declared = ctx.spec.engine
    if declared is None:
        return
    daemon = daemon_json.daemon_json(declared)
    package = engine_package(ctx) or ""
    yield Store(
        daemon_json.DAEMON_JSON,
        daemon_json.CONTAINERD_TOML,
        root=daemon_json.data_root(declared),
        daemon=daemon,
        containerd=declared.containerd_root,
        leave=declared.existing_store == "leave",
        package=package,
        packages=distros.engines_of(ctx.platform.family),
        pin=_engine(ctx, declared).get(package),
        upgrade=ctx.options.upgrade,
        below=ctx.family.init.name != "systemd",
    )


def undeclared_stores(ctx: CompileContext) -> Iterator[Resource]:
    """At the end, because the resource must see what the plan removes. Left out where the spec has ``existing_store:
    leave``."""
    declared = ctx.spec.engine
    if declared is not None and declared.existing_store == "leave":
        return
    made = {daemon_json.DAEMON_JSON: declared is not None and daemon_json.daemon_json(declared) is not None}
    made[daemon_json.CONTAINERD_TOML] = declared is not None and declared.containerd_root is not None
    undeclared = frozenset(path for path, here in made.items() if not here and path not in ctx.spec.files)
    if undeclared:
        yield UndeclaredStore(daemon_json.DAEMON_JSON, daemon_json.CONTAINERD_TOML, undeclared)


#: The name of Docker's own repository.
DOCKER = "docker"


class _Source(Struct, frozen=True):
    """One repository: the ``path`` of the file that declares it, and of the file of its ``key``. ``channel`` is that of
    Docker's own repository. ``field`` is the key of the spec that declares whose keys may sign it."""

    name: str
    field: str
    declared: Repository
    url: str
    path: str
    key: str
    channel: str = ""


def repositories(ctx: CompileContext) -> Iterator[Resource]:
    for source in _sources(ctx):
        yield from _FORMS[ctx.family.repositories.form](ctx, source)


def _sources(ctx: CompileContext) -> Iterator[_Source]:
    form = ctx.family.repositories
    for name, declared in ctx.spec.repositories.items():
        field = f"repositories.{name}.fingerprint"
        yield _Source(name, field, declared, declared.url, form.source.format(name), form.keyring.format(name))
    engine = ctx.spec.engine
    if engine is not None and engine.source in (None, "docker") and form.docker and ctx.platform.docker:
        yield _docker(ctx, engine)


def _docker(ctx: CompileContext, engine: Engine) -> _Source:
    form = ctx.family.repositories
    # The key is in the directory of the distribution, for all its versions.
    folder = f"{engine.package_mirror}/linux/{ctx.platform.docker.partition('/')[0]}"
    # The major version and not $releasever: a mirror has no directory for 9.4 or 9-stream.
    releases = f"{engine.package_mirror}/linux/{ctx.platform.docker}/$basearch/{engine.channel}"
    url = folder if form.form == "apt" else releases
    declared = Repository(
        url=folder,
        suites=[ctx.platform.suite] if form.form == "apt" else [],
        components=[engine.channel],
        key_url=f"{folder}/gpg",
        # Never accept any key that a mirror serves: a mirror that signs with its own key must be declared.
        fingerprint=engine.fingerprint or list(form.docker_keys),
    )
    key = form.keyring.format(DOCKER)
    return _Source(DOCKER, "engine.fingerprint", declared, url, form.docker, key, engine.channel)


def _apt(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    declared = source.declared
    suites = tuple(declared.suites) or (ctx.platform.codename,)
    entry = Entry(declared.url, suites, tuple(declared.components), source.key)
    yield OtherEntries(source.path, entry)
    yield _key(ctx, source)
    template = "apt/docker.sources.j2" if source.channel else "apt/repository.sources.j2"
    content = ctx.render(
        template, uri=declared.url, suites=suites, components=declared.components, signed_by=source.key
    )
    yield AptSource(source.path, content, entry)


def _rpm(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    yield _key(ctx, source)
    values = {"repository": source.name, "baseurl": source.url, "key": source.key}
    template = "rpm/repository.repo.j2"
    if source.channel:
        template, values["channel"] = "rpm/docker-ce.repo.j2", source.channel
    yield File(source.path, ctx.render(template, **values))


def _apk(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    """Signed with RSA keys in /etc/apk/keys. Every host has the keys of Alpine's own repositories and mirrors."""
    declared = source.declared
    if declared.key != "host":
        yield Obstacle(f"repository {source.name}", f"apk does not use PGP keys ({source.name}); set key: host")
        return
    suites = tuple(declared.suites) or (f"v{ctx.platform.release}",)
    content = ctx.render("apk/repository.list.j2", uri=declared.url, suites=suites, components=declared.components)
    yield File(source.path, content)


def _none(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    yield Obstacle(f"repository {source.name}", f"{ctx.platform.name} has no repositories that provision can declare")


_FORMS: dict[str, Callable[[CompileContext, _Source], Iterator[Resource]]] = {
    "apt": _apt,
    "rpm": _rpm,
    "apk": _apk,
    "none": _none,
}


def _key(ctx: CompileContext, source: _Source) -> Resource:
    declared = source.declared
    if declared.key == "host":
        return Obstacle(f"repository {source.name}", f"{source.name} needs key_url or a PGP key on {ctx.platform.name}")
    if declared.key is not None:
        _check_key(ctx, source.name, declared, declared.key)
        return File(source.key, declared.key.encode())
    needs = {
        "certificates": any(str(url).startswith("https:") for url in (declared.url, declared.key_url)),
        "gpg": bool(declared.fingerprint),
        "curl": "curl" in ctx.family.tools,
    }
    tools = {tool: ctx.family.tools[tool] for tool, needed in needs.items() if needed}
    accepted = tuple(declared.fingerprint)
    return Keyring(source.key, str(declared.key_url), accepted, source.field, tools, ctx.options.lock_timeout)


def _check_key(ctx: CompileContext, name: str, declared: Repository, key: str) -> None:
    """A key that the spec contains is checked here, before any host is touched."""
    try:
        found = fingerprints(key.encode())
    except ValueError as error:
        raise ctx.error(f"the key {error}", "repositories", name, "key") from error
    if declared.fingerprint and not set(found) <= set(declared.fingerprint):
        raise ctx.error(f"the key has the fingerprint {' and '.join(found)}", "repositories", name, "fingerprint")
