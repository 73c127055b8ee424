"""What every part of a desire is worked out from: one host's wish, its platform, and where templates come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from provision import engine
from provision.declare import Context, Wish
from provision.distros import FLAVOURS, Flavour
from provision.errors import SpecError
from provision.model import Platform
from provision.spec import Service, Spec
from provision.yamlfile import locate


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds: ``upgrade`` moves unpinned engine packages to the newest; seconds to wait for
    another package manager."""

    upgrade: bool = False
    lock_timeout: int = 300


@dataclass(frozen=True)
class Setting:
    wish: Wish
    platform: Platform
    context: Context
    options: Options

    @property
    def spec(self) -> Spec:
        return self.wish.spec

    @property
    def flavour(self) -> Flavour:
        return FLAVOURS[self.platform.flavour]

    @cached_property
    def watchers(self) -> dict[str, tuple[str, ...]]:
        return watchers(self.wish)

    def render(self, template: str, **values: Any) -> bytes:
        """A shipped template, or the user's own of that name."""
        return self.context.templates.render(template, self.wish.scope, **values).encode()

    def error(self, message: str, *path: str, hint: str = "") -> SpecError:
        """An error at the place of ``path`` in what the user wrote."""
        where = locate(self.wish.source, path)
        key = ".".join(("spec", *path))
        return SpecError(f"{message} [host {self.wish.host.name}]", where=where, key=key, hint=hint)


def all_services(spec: Spec) -> dict[str, Service]:
    """The declared services; with an engine, docker's own among them, refined by what the spec says of it."""
    found = {name.removesuffix(".service"): service for name, service in spec.services.items()}
    if spec.engine is not None:
        given = found.get(engine.UNIT, Service())
        found[engine.UNIT] = Service(
            enabled=True if given.enabled is None else given.enabled,
            running=True if given.running is None else given.running,
            watch=list(dict.fromkeys([engine.DAEMON_JSON, *given.watch])),
            on_change=given.on_change,
        )
    return found


def watchers(wish: Wish) -> dict[str, tuple[str, ...]]:
    """Path -> the services that watch it."""
    found: dict[str, tuple[str, ...]] = {}
    for unit, service in all_services(wish.spec).items():
        for path in service.watch:
            found[path] = (*found.get(path, ()), unit)
    return found
