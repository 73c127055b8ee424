"""All packages of a host, in one transaction: the declared ones, the engine's, and those that conflict with them."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros
from provision.catalog.context import REGISTRY_UNIT, CompileContext
from provision.catalog.repositories import source_files
from provision.engine import daemon_json
from provision.model import Resource
from provision.project import lockfile
from provision.resources.hold import Hold
from provision.resources.obstacle import Obstacle
from provision.resources.package_indexes import PackageIndexes
from provision.resources.packages import Packages, matches
from provision.spec import Engine


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
        own = {**dict.fromkeys(_prerequisites(ctx)), **_engine(ctx, ctx.spec.engine)}
        _check(ctx, _engine(ctx, ctx.spec.engine), found.conflicts)
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
    held, sources = _held(ctx, present), source_files(ctx)
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


def engine_pin(ctx: CompileContext) -> tuple[str | None, str | None]:
    """The package that brings dockerd, and the version that it is pinned to."""
    name = engine_package(ctx)
    if name is None or ctx.spec.engine is None:
        return name, None
    return name, _engine(ctx, ctx.spec.engine).get(name)


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
    # An upgrade takes precedence over the lock file, which is written after it.
    locked = {} if ctx.options.upgrade else ctx.context.locks.get(lockfile.key(ctx.platform), {})
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


def _prerequisites(ctx: CompileContext) -> tuple[str, ...]:
    installed = ctx.spec.engine is not None and ctx.spec.engine.source == "installed"
    return () if installed else ctx.platform.needs


def _check(ctx: CompileContext, own: dict[str, str | None], conflicts: tuple[str, ...]) -> None:
    for name, package in ctx.spec.packages.items():
        if name in own:
            raise ctx.error(f"{name} is a package of the engine", "packages", name, hint="set its version under engine")
        if name in conflicts and not package.absent:
            raise ctx.error(f"{name} can't be installed together with the engine's packages", "packages", name)
