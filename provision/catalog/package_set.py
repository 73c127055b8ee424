"""All packages of a host, in one transaction: the declared ones, the engine's, and those that conflict with them."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros
from provision.catalog.repositories import source_files
from provision.catalog.setting import REGISTRY_UNIT, Setting
from provision.dockerd import daemon_json
from provision.model import Resource
from provision.project import lockfile
from provision.resources.hold import Hold
from provision.resources.obstacle import Obstacle
from provision.resources.package_indexes import PackageIndexes
from provision.resources.packages import Packages, matches
from provision.spec import Engine


def packages(at: Setting) -> Iterator[Resource]:
    present = {name: package.version for name, package in at.spec.packages.items() if not package.absent}
    absent = [name for name, package in at.spec.packages.items() if package.absent]
    upgrade: frozenset[str] = frozenset()
    if at.spec.users or (at.spec.engine is not None and at.spec.engine.users):
        present |= dict.fromkeys(at.flavour.accounts)
    found = _packaged(at)
    if at.spec.engine is not None and found is None:
        yield Obstacle("engine", _no_engine(at, at.spec.engine))
    if at.spec.engine is not None and found is not None:
        if at.spec.engine.firewall is not None and at.spec.engine.firewall.firewalld:
            present.setdefault(daemon_json.FIREWALLD, None)
        own = {**dict.fromkeys(_prerequisites(at)), **_engine(at, at.spec.engine)}
        _check(at, _engine(at, at.spec.engine), found.conflicts)
        present |= own
        absent += [name for name in found.conflicts if name not in absent]
        if at.options.upgrade:
            upgrade = frozenset(name for name, pin in own.items() if pin is None)
    if at.spec.registry is not None and at.spec.registry.source == "package" and at.platform.flavour.startswith("apt"):
        present.setdefault(REGISTRY_UNIT, None)
    if at.platform.flavour == distros.IMAGE and (present or absent):
        names = ", ".join([*present, *absent])
        yield Obstacle("packages", f"{at.platform.name} is a read-only image; its packages stay as they are ({names})")
        return
    held, sources = _held(at, present), source_files(at)
    if held:
        present = {**dict.fromkeys(at.flavour.holds), **present}
    if present or absent:
        possible = distros.mentioned(at.platform.flavour)
        yield Packages(
            present,
            tuple(absent),
            upgrade,
            at.options.lock_timeout,
            sources,
            possible,
            at.options.repair,
            at.flavour.holds if held else (),
            tuple(at.flavour.programs.values()),
            tuple(at.flavour.programs),
        )
    if sources:
        yield PackageIndexes(sources, at.options.lock_timeout)
    if held:
        yield Hold(held, at.options.lock_timeout)


def engine_package(at: Setting) -> str | None:
    """The package that brings dockerd."""
    found = _packaged(at)
    return found.parts.get("engine") if found is not None else None


def engine_pin(at: Setting) -> tuple[str | None, str | None]:
    """The package that brings dockerd, and the version that it is pinned to."""
    name = engine_package(at)
    if name is None or at.spec.engine is None:
        return name, None
    return name, _engine(at, at.spec.engine).get(name)


def _packaged(at: Setting) -> distros.Packaged | None:
    return distros.packaged(at.platform, at.spec.engine.source if at.spec.engine is not None else None)


def _no_engine(at: Setting, declared: Engine) -> str:
    if at.platform.flavour == distros.IMAGE:
        return f"{at.platform.name} is a read-only image: set engine.source: installed where the image has Docker"
    whose = "Docker publishes no packages for" if declared.source == "docker" else "there is no Docker Engine in"
    return f"{whose} {at.platform.name}; the spec has engine.source: {declared.source}"


def _held(at: Setting, present: dict[str, str | None]) -> tuple[str, ...]:
    """A pinned package is held, so that no other upgrade changes it, unless the spec says otherwise."""
    free = {name for name, package in at.spec.packages.items() if package.hold is False}
    if at.spec.engine is not None and at.spec.engine.hold is False:
        free |= set(_engine(at, at.spec.engine))
    return tuple(sorted(name for name, pin in present.items() if pin is not None and name not in free))


def _engine(at: Setting, declared: Engine) -> dict[str, str | None]:
    """The engine's packages and their pins; none where its source has no engine for this platform."""
    pins = {
        "engine": declared.version,
        "cli": declared.version,
        "containerd": declared.containerd_version,
        "buildx": declared.buildx_version,
        "compose": declared.compose_version,
    }
    packaged = _packaged(at)
    names = packaged.parts if packaged is not None else {}
    parts = ("engine", "cli", "containerd", *declared.plugins)
    found = {names[part]: pins[part] for part in parts if part in names}
    # An upgrade takes precedence over the lock file, which is written after it.
    locked = {} if at.options.upgrade else at.context.locks.get(lockfile.key(at.platform), {})
    return {name: _pin(at, name, pin, locked.get(name)) for name, pin in found.items()}


def _pin(at: Setting, name: str, pin: str | None, locked: str | None) -> str | None:
    """The exact version from the lock file, which must match the spec's pin; without a lock, the pin."""
    if pin is not None and locked is not None and not matches(locked, pin):
        raise at.error(
            f"the pin {pin} of {name} differs from the lock file, {locked}",
            "engine",
            hint="provision apply --upgrade, and then provision lock",
        )
    return locked or pin


def _prerequisites(at: Setting) -> tuple[str, ...]:
    installed = at.spec.engine is not None and at.spec.engine.source == "installed"
    return () if installed else at.platform.needs


def _check(at: Setting, own: dict[str, str | None], conflicts: tuple[str, ...]) -> None:
    for name, package in at.spec.packages.items():
        if name in own:
            raise at.error(f"{name} is a package of the engine", "packages", name, hint="set its version under engine")
        if name in conflicts and not package.absent:
            raise at.error(f"{name} can't be installed together with the engine's packages", "packages", name)
