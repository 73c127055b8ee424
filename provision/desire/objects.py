"""What docker has: networks and volumes, images, and what runs of them. After the services: docker must run."""

from __future__ import annotations

from collections.abc import Iterator

from provision.blobs import archive, folder
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.docker.compose import NoProject, Project, place
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import BuiltImage, LoadedImage, NoImage, PulledImage
from provision.resources.docker.network import Network, NoNetwork
from provision.resources.docker.volume import NoVolume, Volume
from provision.resources.file import File
from provision.spec import Build, Compose, Image
from provision.yamlfile import locate


def objects(at: Setting) -> Iterator[Resource]:
    spec = at.spec
    yield from (NoProject(name, place(name)) for name, one in spec.compose.items() if one.absent)
    yield from (NoContainer(name) for name, one in spec.containers.items() if one.absent)
    yield from (Network(name, one) for name, one in spec.networks.items() if not one.absent)
    yield from (Volume(name, one) for name, one in spec.volumes.items() if not one.absent)
    yield from _images(at)
    yield from (Container(name, one) for name, one in spec.containers.items() if not one.absent)
    yield from (Project(name, _files(name), one.within) for name, one in spec.compose.items() if not one.absent)
    yield from (NoNetwork(name) for name, one in spec.networks.items() if one.absent)
    yield from (NoVolume(name) for name, one in spec.volumes.items() if one.absent)
    yield from (NoImage(name) for name, one in spec.images.items() if one.absent)


def _images(at: Setting) -> Iterator[Resource]:
    """The declared ones, and those that containers need; what only a container names is not compared with its registry
    at each look."""
    for reference, one in at.spec.images.items():
        if one.archive is not None:
            yield _loaded(at, reference, one)
        elif one.build is not None:
            yield _built(at, reference, one, one.build)
        elif not one.absent:
            yield _pulled(at, reference, one.digest, follows=one.moved == "pull")
    implied: dict[str, None] = {}
    for name, container in at.spec.containers.items():
        reference = str(container.image)
        if container.absent or (reference in at.spec.images and not at.spec.images[reference].absent):
            continue
        if reference in at.spec.images:
            raise at.error(f"{reference} is declared absent", "containers", name, "image")
        implied[reference] = None
    yield from (_pulled(at, reference, None, follows=False) for reference in implied)


def _pulled(at: Setting, reference: str, digest: str | None, follows: bool) -> PulledImage:
    """What another host of this run pushes is taken by the digest that it has pushed."""
    by = at.context.pushed_by.get(reference, "")
    if by and by != at.wish.host.name:
        return PulledImage(reference, at.context.published.get(reference), by)
    return PulledImage(reference, digest or at.locked_image(reference), follows=follows)


def _loaded(at: Setting, reference: str, one: Image) -> LoadedImage:
    name = str(one.archive)
    path = at.context.find(name)
    if path is None or not path.is_file():
        raise at.error(f"no such file: {name}", "images", reference, "archive")
    try:
        found = archive(path, reference)
    except ValueError as error:
        raise at.error(f"{name} {error}", "images", reference, "archive") from error
    return LoadedImage(reference, found.ids, found.blob, one.push)


def _built(at: Setting, reference: str, one: Image, build: Build) -> BuiltImage:
    path = at.context.find(build.folder)
    if path is None or not path.is_dir():
        raise at.error(f"no such folder: {build.folder}", "images", reference, "build", "folder")
    args = tuple(sorted(build.args.items()))
    # A path is read once: a host's wish is worked out for every platform.
    key = ("build", path, build.dockerfile, build.target, args)
    if key not in at.context.memo:
        decides = (build.target or "", *(f"{name}={value}" for name, value in args))
        try:
            at.context.memo[key] = folder(path, build.dockerfile, decides)
        except ValueError as error:
            raise at.error(f"{build.folder} {error}", "images", reference, "build") from error
    context, blob = at.context.memo[key]
    return BuiltImage(reference, context, blob, build.dockerfile, build.target or "", args, one.push)


def compose_files(at: Setting) -> Iterator[Resource]:
    """Root's alone: what is in them may be secrets, or tell of them."""
    for name, one in at.spec.compose.items():
        if not one.absent:
            file, variables = _files(name)
            yield File(file, _compose_text(at, name, one), mode="0600")
            lines = "".join(f"{key}={_value(value)}\n" for key, value in one.environment.items())
            yield File(variables, lines.encode(), mode="0600")


def _files(name: str) -> tuple[str, str]:
    return place(name), f"{place(name).rpartition('/')[0]}/.env"


def _compose_text(at: Setting, name: str, one: Compose) -> bytes:
    if one.content is not None:
        return one.content.encode()
    if one.template is not None:
        where = locate(at.wish.source, ("compose", name, "template"))
        return at.context.templates.render(one.template, at.wish.scope, where).encode()
    return at.read(str(one.src), "compose", name, "src")


def _value(text: str) -> str:
    """Between single quotes nothing is special in such a file (docs.docker.com/compose: .env syntax) but the quote."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
