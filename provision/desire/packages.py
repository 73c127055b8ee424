"""All packages of a host, in one transaction: the declared ones, the engine's, and what can't be beside it."""

from __future__ import annotations

from collections.abc import Iterator

from provision.desire.repositories import source_files
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.packages import Packages
from provision.spec import Engine


def packages(at: Setting) -> Iterator[Resource]:
    present = {name: package.version for name, package in at.spec.packages.items() if not package.absent}
    absent = [name for name, package in at.spec.packages.items() if package.absent]
    upgrade: frozenset[str] = frozenset()
    if at.spec.engine is not None:
        own = _engine(at, at.spec.engine)
        _check(at, own)
        present |= own
        absent += [name for name in at.flavour.conflicts if name not in absent]
        if at.options.upgrade:
            upgrade = frozenset(name for name, pin in own.items() if pin is None)
    if present or absent:
        yield Packages(present, tuple(absent), upgrade, at.options.lock_timeout, source_files(at))


def _engine(at: Setting, declared: Engine) -> dict[str, str | None]:
    """The engine's packages and their pins."""
    names = at.flavour.engine
    pins = {"buildx": declared.buildx_version, "compose": declared.compose_version}
    return {
        names["engine"]: declared.version,
        names["cli"]: declared.version,
        names["containerd"]: declared.containerd_version,
        **{names[plugin]: pins[plugin] for plugin in declared.plugins},
    }


def _check(at: Setting, own: dict[str, str | None]) -> None:
    for name, package in at.spec.packages.items():
        if name in own:
            raise at.error(f"{name} belongs to engine", "packages", name, hint="engine has a pin for it")
        if name in at.flavour.conflicts and not package.absent:
            raise at.error(f"{name} can't be on a host together with Docker's packages", "packages", name)
