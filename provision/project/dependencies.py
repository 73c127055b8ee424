"""The order of hosts: a host that uses an image comes after the host that pushes it, and after its registry.

The order is not declared: it follows from the names of images and registries. A host that makes what another host needs
comes first, even when its play comes later. All other hosts still run at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from provision.errors import SpecError
from provision.project.host_config import Context, HostConfig
from provision.resources.docker.inspected import registry
from provision.text.yamlfile import bounded, locate


class Dependencies(Struct, frozen=True):
    """``after`` maps a host to the hosts that it depends on, each with the reason. ``level`` is the length of the
    longest chain of hosts before it. ``pushed_by`` maps an image to the host that pushes it."""

    after: dict[str, dict[str, str]] = field(default_factory=dict)
    level: dict[str, int] = field(default_factory=dict)
    pushed_by: dict[str, str] = field(default_factory=dict)
    #: host with a registry -> the hosts that use images of it
    clients: dict[str, tuple[str, ...]] = field(default_factory=dict)


def dependencies(configs: Iterable[HostConfig], context: Context) -> Dependencies:
    """Raises :class:`SpecError` where two hosts push the same image, or depend on each other."""
    configs = list(configs)
    # Both the loading of a project and a rollout need them.
    key = ("dependencies", tuple(config.host.name for config in configs))
    return context.memo.of(key, lambda: _dependencies(configs, context))


def _dependencies(configs: list[HostConfig], context: Context) -> Dependencies:
    pushed_by: dict[str, str] = {}
    serves: dict[str, str] = {}
    for config in configs:
        for reference, image in config.spec.images.items():
            if not image.push:
                continue
            if reference in pushed_by:
                where = locate(config.source, ("images", reference))
                other = pushed_by[reference]
                message = (
                    f"{reference} is pushed by {other} and by {config.host.name}; each would undo the other's push"
                )
                raise SpecError(message, where=where, key="spec.images")
            pushed_by[reference] = config.host.name
        if config.spec.registry is not None:
            serves[f"{config.spec.registry.name}:{config.spec.registry.port}"] = config.host.name
    after: dict[str, dict[str, str]] = {}
    clients: dict[str, tuple[str, ...]] = {}
    for config in configs:
        for name in _sources(config, context) & serves.keys():
            if serves[name] != config.host.name:
                clients[serves[name]] = (*clients.get(serves[name], ()), config.host.name)
        found: dict[str, str] = {}
        for name in _registries(config, context):
            if name in serves:
                found.setdefault(serves[name], f"it uses the registry {name}")
        for reference in _used(config, context):
            if reference in pushed_by:
                found[pushed_by[reference]] = f"it uses the image {reference}"
        found.pop(config.host.name, None)
        if found:
            after[config.host.name] = found
    return Dependencies(after, _levels(after), pushed_by, clients)


def _used(config: HostConfig, context: Context) -> Iterator[str]:
    yield from (name for name, one in config.spec.images.items() if not (one.absent or one.push))
    yield from (str(one.image) for one in config.spec.containers.values() if not one.absent)
    for name, one in config.spec.compose.items():
        if not one.absent:
            yield from images(text(config, context, name))


def _registries(config: HostConfig, context: Context) -> Iterator[str]:
    """The registries that must serve before the host can reach its desired state; for a mirror also its upstream."""
    yield from _sources(config, context)
    yield from (registry(name) for name, one in config.spec.images.items() if one.push)
    if config.spec.engine is not None:
        yield from config.spec.engine.registries
    if config.spec.registry is not None and config.spec.registry.proxy is not None:
        yield urlsplit(config.spec.registry.proxy.url).netloc


def _sources(config: HostConfig, context: Context) -> set[str]:
    """The registries of its images. For an image without a registry in its name: the daemon's mirrors of Docker Hub."""
    found = {registry(name) for name in _used(config, context)}
    daemon = (config.spec.engine.daemon if config.spec.engine is not None else None) or {}
    mirrors = daemon.get("registry-mirrors", []) if "docker.io" in found else []
    return found | {urlsplit(str(url)).netloc for url in mirrors}


def _levels(after: dict[str, dict[str, str]]) -> dict[str, int]:
    levels: dict[str, int] = {}

    def level(host: str, path: tuple[str, ...]) -> int:
        if host in path:
            ring = " -> ".join((*path[path.index(host) :], host))
            raise SpecError(f"these hosts need each other's images or registries: {ring}", key="spec")
        if host not in levels:
            levels[host] = max((level(other, (*path, host)) + 1 for other in after.get(host, ())), default=0)
        return levels[host]

    for host in after:
        level(host, ())
    return levels


def text(config: HostConfig, context: Context, name: str) -> bytes:
    """Raises :class:`SpecError` for a template that cannot be rendered, and for a missing file."""
    one = config.spec.compose[name]
    if one.content is not None:
        return one.content.encode()
    if one.template is not None:
        where = locate(config.source, ("compose", name, "template"))
        return context.render(one.template, config.scope, where).encode()
    content = context.read(str(one.src))
    if content is None:
        where = locate(config.source, ("compose", name, "src"))
        raise SpecError(
            f"no such file: {one.src} [host {config.host.name}]", where=where, key=f"spec.compose.{name}.src"
        )
    return content


@lru_cache(maxsize=256)
def images(content: bytes) -> tuple[str, ...]:
    """The images that services of a compose file name, except those that a variable decides. A text that is not a
    compose file names none: compose itself reports what is wrong with it."""
    try:
        whole: Any = bounded(Path("compose.yml"), content.decode())
    except (SpecError, UnicodeDecodeError):
        return ()
    services = whole.get("services") if isinstance(whole, dict) else None
    found = (
        [one.get("image") for one in services.values() if isinstance(one, dict)] if isinstance(services, dict) else []
    )
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str) and "$" not in name))
