"""Who comes after whom: a host that uses an image comes after the host that pushes it, and after its registry.

Nothing of it is declared: it follows from the names of images and registries. So plays go in the order in which one
makes what another one needs, and everything else still goes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from msgspec import Struct, field

from provision.errors import SpecError
from provision.project.compose_file import images, text
from provision.project.host_config import Context, Wish
from provision.resources.docker.inspected import registry
from provision.text.yamlfile import locate


class Needs(Struct, frozen=True):
    """``after`` maps a host to those that it needs, each with what it needs of it; ``level`` is how many come before
    it, one after the other. ``pushed_by`` maps an image to the host that pushes it."""

    after: dict[str, dict[str, str]] = field(default_factory=dict)
    level: dict[str, int] = field(default_factory=dict)
    pushed_by: dict[str, str] = field(default_factory=dict)
    #: host with a registry -> the hosts whose images are from there
    clients: dict[str, tuple[str, ...]] = field(default_factory=dict)


def needs(wishes: Iterable[Wish], context: Context) -> Needs:
    """Raises :class:`SpecError` where two hosts push the same image, or need each other."""
    wishes = list(wishes)
    # Whoever loads asks, and whoever rolls out.
    key = ("needs", tuple(wish.host.name for wish in wishes))
    if key not in context.memo:
        context.memo[key] = _needs(wishes, context)
    found: Needs = context.memo[key]
    return found


def _needs(wishes: list[Wish], context: Context) -> Needs:
    pushed_by: dict[str, str] = {}
    serves: dict[str, str] = {}
    for wish in wishes:
        for reference, image in wish.spec.images.items():
            if not image.push:
                continue
            if reference in pushed_by:
                where = locate(wish.source, ("images", reference))
                other = pushed_by[reference]
                message = f"{reference} is pushed by {other} and by {wish.host.name}; one of them would undo the other"
                raise SpecError(message, where=where, key="spec.images")
            pushed_by[reference] = wish.host.name
        if wish.spec.registry is not None:
            serves[f"{wish.spec.registry.name}:{wish.spec.registry.port}"] = wish.host.name
    after: dict[str, dict[str, str]] = {}
    clients: dict[str, tuple[str, ...]] = {}
    for wish in wishes:
        for name in _sources(wish, context) & serves.keys():
            if serves[name] != wish.host.name:
                clients[serves[name]] = (*clients.get(serves[name], ()), wish.host.name)
        found: dict[str, str] = {}
        for name in _registries(wish, context):
            if name in serves:
                found.setdefault(serves[name], f"it uses the registry {name}")
        for reference in _used(wish, context):
            if reference in pushed_by:
                found[pushed_by[reference]] = f"it uses the image {reference}"
        found.pop(wish.host.name, None)
        if found:
            after[wish.host.name] = found
    return Needs(after, _levels(after), pushed_by, clients)


def _used(wish: Wish, context: Context) -> Iterator[str]:
    yield from (name for name, one in wish.spec.images.items() if not (one.absent or one.push))
    yield from (str(one.image) for one in wish.spec.containers.values() if not one.absent)
    for name, one in wish.spec.compose.items():
        if not one.absent:
            yield from images(text(wish, context, name))


def _registries(wish: Wish, context: Context) -> Iterator[str]:
    """Those that must serve before the host can be as wished; its upstream, for one that is a mirror."""
    yield from _sources(wish, context)
    yield from (registry(name) for name, one in wish.spec.images.items() if one.push)
    if wish.spec.engine is not None:
        yield from wish.spec.engine.registries
    if wish.spec.registry is not None and wish.spec.registry.proxy is not None:
        yield urlsplit(wish.spec.registry.proxy.url).netloc


def _sources(wish: Wish, context: Context) -> set[str]:
    """The registries that its images are from; for what has none in its name, the daemon's mirrors of Docker Hub."""
    found = {registry(name) for name in _used(wish, context)}
    daemon = (wish.spec.engine.daemon if wish.spec.engine is not None else None) or {}
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
