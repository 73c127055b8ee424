"""Docker's objects: networks, volumes, images, what runs of them, and the timers that remove unused images.

They come after the services, because docker must run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provision import limits
from provision import spec as declared
from provision.catalog.context import CompileContext
from provision.engine import daemon_json
from provision.model import Resource
from provision.project import dependencies
from provision.project.lockfile import IMAGES
from provision.remote.sources import SH
from provision.remote.uploads import archive, folder
from provision.resources.docker.compose import NoProject, Project, place
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.fields import nanoseconds, size
from provision.resources.docker.image import BuiltImage, LoadedImage, NoImage, PulledImage
from provision.resources.docker.inspected import familiar
from provision.resources.docker.network import Network, NoNetwork
from provision.resources.docker.volume import NoVolume, Volume
from provision.resources.file import File
from provision.resources.obstacle import Obstacle
from provision.resources.service import Service
from provision.resources.unit_file import UnitFile
from provision.spec import Build, Image
from provision.text.formats import DOTENV, VARIABLE


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
    return PulledImage(reference, digest or ctx.locked(IMAGES).get(reference), follows=follows)


def _loaded(ctx: CompileContext, reference: str, one: Image) -> LoadedImage:
    name = str(one.archive)
    path = ctx.context.find(name)
    path = None if path is None else limits.check(path)
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
    path = None if path is None else limits.check(path)
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


_PROGRAM = "/usr/local/lib/provision/prune-images"


def pruning(ctx: CompileContext) -> Iterator[Resource]:
    declared = ctx.spec.prune
    if declared is None:
        return
    yield File(_PROGRAM, (SH / "host" / "prune.sh").read_bytes(), mode="0755")
    kept = dict.fromkeys(familiar(name) for name in named(ctx))
    seconds = nanoseconds(declared.after) // 10**9
    words = " ".join([_PROGRAM, str(seconds), str(size(declared.free) // 1024), *kept])
    yield from timer(
        ctx, "provision-prune", "Remove images that no container uses", declared.every, (f"ExecStart={words}",)
    )


def timer(ctx: CompileContext, unit: str, what: str, every: str, steps: Sequence[str]) -> Iterator[Resource]:
    """``steps`` are lines of the service (``ExecStart=...``); ``every`` is a calendar word (``daily``)."""
    if ctx.family.init.name != "systemd":
        yield Obstacle(unit, f"{unit} is a systemd timer, and {ctx.platform.name} has none")
        return
    folder = "/etc/systemd/system"
    service = ctx.render("systemd/timed.service.j2", what=what, steps=steps)
    clock = ctx.render("systemd/timed.timer.j2", what=what, every=every)
    yield UnitFile(File(f"{folder}/{unit}.service", service), f"{unit}.service")
    yield File(f"{folder}/{unit}.timer", clock, watchers=(f"{unit}.timer",))
    yield Service(f"{unit}.timer", enabled=True, running=True, watch=(f"{folder}/{unit}.timer",))


def objects(ctx: CompileContext) -> Iterator[Resource]:
    spec = ctx.spec
    yield from (NoProject(name, place(name)) for name, one in spec.compose.items() if one.absent)
    yield from (NoContainer(name) for name, one in spec.containers.items() if one.absent)
    yield from (Network(name, one) for name, one in spec.networks.items() if not one.absent)
    yield from (Volume(name, one) for name, one in spec.volumes.items() if not one.absent)
    # The registry's own image is there already, before the registry starts: others may be pulled from it.
    yield from (image(ctx, reference) for reference in named(ctx) if reference not in _of_registry(ctx))
    yield from (_container(ctx, name, one) for name, one in spec.containers.items() if not one.absent)
    for name, one in spec.compose.items():
        if not one.absent:
            yield Project(
                name, _files(name), one.within, dependencies.images(dependencies.text(ctx.own, ctx.context, name))
            )
    yield from (NoNetwork(name) for name, one in spec.networks.items() if one.absent)
    yield from (NoVolume(name) for name, one in spec.volumes.items() if one.absent)
    yield from (NoImage(name) for name, one in spec.images.items() if one.absent)


def _container(ctx: CompileContext, name: str, one: declared.Container) -> Container:
    """A container. Its variables are used unchanged, but must be valid in an environment. A secret value is checked
    when all secrets are resolved."""
    for key, value in one.environment.items():
        ctx.written(value, VARIABLE, "containers", name, "environment", key)
    daemon = daemon_json.daemon_json(ctx.spec.engine) if ctx.spec.engine is not None else None
    return Container(name, one, daemon=daemon)


def compose_files(ctx: CompileContext) -> Iterator[Resource]:
    """Only root may read them: they may contain secrets, or information about secrets."""
    for name, one in ctx.spec.compose.items():
        if not one.absent:
            file, variables = _files(name)
            yield File(file, dependencies.text(ctx.own, ctx.context, name), mode="0600")
            lines = "".join(
                f"{key}={ctx.written(value, DOTENV, 'compose', name, 'environment', key)}\n"
                for key, value in one.environment.items()
            )
            yield File(variables, lines.encode(), mode="0600")


def _files(name: str) -> tuple[str, str]:
    return place(name), f"{place(name).rpartition('/')[0]}/.env"
