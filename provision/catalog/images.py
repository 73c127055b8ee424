"""Images: those that are declared, and those that containers need."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.context import CompileContext
from provision.model import Resource
from provision.remote.uploads import archive, folder
from provision.resources.docker.image import BuiltImage, LoadedImage, PulledImage
from provision.spec import Build, Image
from provision.text import confinement


def named(ctx: CompileContext) -> tuple[str, ...]:
    """The images that the host should have, by the names that the spec or its containers use for them."""
    found = dict.fromkeys(name for name, one in ctx.spec.images.items() if not one.absent)
    for name, container in ctx.spec.containers.items():
        reference = str(container.image)
        if container.absent:
            continue
        if reference in ctx.spec.images and ctx.spec.images[reference].absent:
            raise ctx.error(f"{reference} is declared absent", "containers", name, "image")
        found[reference] = None
    return tuple(found | dict.fromkeys(_of_registry(ctx)))


def _of_registry(ctx: CompileContext) -> tuple[str, ...]:
    registry = ctx.spec.registry
    return (registry.image,) if registry is not None and registry.source == "container" else ()


def images(ctx: CompileContext) -> Iterator[Resource]:
    """All images except the registry's own image, which must be there before the registry starts. Others may be pulled
    from this registry."""
    yield from (image(ctx, reference) for reference in named(ctx) if reference not in _of_registry(ctx))


def image(ctx: CompileContext, reference: str) -> Resource:
    """An image that only a container names is not compared with its registry at each look."""
    one = ctx.spec.images.get(reference)
    if one is None:
        return _pulled(ctx, reference, None, follows=False)
    if one.archive is not None:
        return _loaded(ctx, reference, one)
    if one.build is not None:
        return _built(ctx, reference, one, one.build)
    return _pulled(ctx, reference, one.digest, follows=one.moved == "pull")


def _pulled(ctx: CompileContext, reference: str, digest: str | None, follows: bool) -> PulledImage:
    """An image that another host of this run pushes is pulled by the digest that this host has pushed."""
    by = ctx.context.pushed_by.get(reference, "")
    if by and by != ctx.own.host.name:
        return PulledImage(reference, dict(ctx.options.published).get(reference), by)
    return PulledImage(reference, digest or ctx.locked_image(reference), follows=follows)


def _loaded(ctx: CompileContext, reference: str, one: Image) -> LoadedImage:
    name = str(one.archive)
    path = ctx.context.find(name)
    path = None if path is None else confinement.check(path)
    if path is None or not path.is_file():
        raise ctx.error(f"no such file: {name}", "images", reference, "archive")
    try:
        found = archive(path, reference)
    except ValueError as error:
        raise ctx.error(f"{name} {error}", "images", reference, "archive") from error
    names = list(ctx.spec.images)
    later = (ctx.spec.images[other].archive for other in names[names.index(reference) + 1 :])
    shared = name in later
    return LoadedImage(reference, found.ids, found.blob, one.push, found.content, found.tag, found.parts, shared)


def _built(ctx: CompileContext, reference: str, one: Image, build: Build) -> BuiltImage:
    path = ctx.context.find(build.folder)
    path = None if path is None else confinement.check(path)
    if path is None or not path.is_dir():
        raise ctx.error(f"no such folder: {build.folder}", "images", reference, "build", "folder")
    args = tuple(sorted(build.args.items()))
    decides = (build.target or "", *(f"{name}={value}" for name, value in args))
    # A path is read only once, because a host's catalog is compiled for every platform.
    key = ("build", path, build.dockerfile, build.target, args)
    try:
        context, blob = ctx.context.memo.of(key, lambda: folder(path, build.dockerfile, decides))
    except ValueError as error:
        raise ctx.error(f"{build.folder} {error}", "images", reference, "build") from error
    return BuiltImage(reference, context, blob, build.dockerfile, build.target or "", args, one.push)
