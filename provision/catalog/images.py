"""Images: those that are declared, and those that containers need."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.setting import Setting
from provision.model import Resource
from provision.remote.uploads import archive, folder
from provision.resources.docker.image import BuiltImage, LoadedImage, PulledImage
from provision.spec import Build, Image
from provision.text import confinement


def named(at: Setting) -> tuple[str, ...]:
    """The images that the host should have, by the names that the spec or its containers use for them."""
    found = dict.fromkeys(name for name, one in at.spec.images.items() if not one.absent)
    for name, container in at.spec.containers.items():
        reference = str(container.image)
        if container.absent:
            continue
        if reference in at.spec.images and at.spec.images[reference].absent:
            raise at.error(f"{reference} is declared absent", "containers", name, "image")
        found[reference] = None
    return tuple(found | dict.fromkeys(_of_registry(at)))


def _of_registry(at: Setting) -> tuple[str, ...]:
    registry = at.spec.registry
    return (registry.image,) if registry is not None and registry.source == "container" else ()


def images(at: Setting) -> Iterator[Resource]:
    """All images except the registry's own image, which must be there before the registry starts. Others may be pulled
    from this registry."""
    yield from (image(at, reference) for reference in named(at) if reference not in _of_registry(at))


def image(at: Setting, reference: str) -> Resource:
    """An image that only a container names is not compared with its registry at each look."""
    one = at.spec.images.get(reference)
    if one is None:
        return _pulled(at, reference, None, follows=False)
    if one.archive is not None:
        return _loaded(at, reference, one)
    if one.build is not None:
        return _built(at, reference, one, one.build)
    return _pulled(at, reference, one.digest, follows=one.moved == "pull")


def _pulled(at: Setting, reference: str, digest: str | None, follows: bool) -> PulledImage:
    """An image that another host of this run pushes is pulled by the digest that this host has pushed."""
    by = at.context.pushed_by.get(reference, "")
    if by and by != at.own.host.name:
        return PulledImage(reference, dict(at.options.published).get(reference), by)
    return PulledImage(reference, digest or at.locked_image(reference), follows=follows)


def _loaded(at: Setting, reference: str, one: Image) -> LoadedImage:
    name = str(one.archive)
    path = at.context.find(name)
    path = None if path is None else confinement.check(path)
    if path is None or not path.is_file():
        raise at.error(f"no such file: {name}", "images", reference, "archive")
    try:
        found = archive(path, reference)
    except ValueError as error:
        raise at.error(f"{name} {error}", "images", reference, "archive") from error
    names = list(at.spec.images)
    later = (at.spec.images[other].archive for other in names[names.index(reference) + 1 :])
    shared = name in later
    return LoadedImage(reference, found.ids, found.blob, one.push, found.content, found.tag, found.parts, shared)


def _built(at: Setting, reference: str, one: Image, build: Build) -> BuiltImage:
    path = at.context.find(build.folder)
    path = None if path is None else confinement.check(path)
    if path is None or not path.is_dir():
        raise at.error(f"no such folder: {build.folder}", "images", reference, "build", "folder")
    args = tuple(sorted(build.args.items()))
    decides = (build.target or "", *(f"{name}={value}" for name, value in args))
    # A path is read only once, because a host's catalog is compiled for every platform.
    key = ("build", path, build.dockerfile, build.target, args)
    try:
        context, blob = at.context.memo.of(key, lambda: folder(path, build.dockerfile, decides))
    except ValueError as error:
        raise at.error(f"{build.folder} {error}", "images", reference, "build") from error
    return BuiltImage(reference, context, blob, build.dockerfile, build.target or "", args, one.push)
