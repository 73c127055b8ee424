"""Docker's objects: networks, volumes, images, and what runs of them. After the services, because docker must run."""

from __future__ import annotations

from collections.abc import Iterator

from provision import spec as declared
from provision.catalog.context import CompileContext
from provision.catalog.images import images
from provision.engine import daemon_json
from provision.model import Resource
from provision.project import compose_file
from provision.resources.docker.compose import NoProject, Project, place
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import NoImage
from provision.resources.docker.network import Network, NoNetwork
from provision.resources.docker.volume import NoVolume, Volume
from provision.resources.file import File
from provision.text.formats import DOTENV, VARIABLE


def objects(ctx: CompileContext) -> Iterator[Resource]:
    spec = ctx.spec
    yield from (NoProject(name, place(name)) for name, one in spec.compose.items() if one.absent)
    yield from (NoContainer(name) for name, one in spec.containers.items() if one.absent)
    yield from (Network(name, one) for name, one in spec.networks.items() if not one.absent)
    yield from (Volume(name, one) for name, one in spec.volumes.items() if not one.absent)
    yield from images(ctx)
    yield from (_container(ctx, name, one) for name, one in spec.containers.items() if not one.absent)
    for name, one in spec.compose.items():
        if not one.absent:
            yield Project(
                name, _files(name), one.within, compose_file.images(compose_file.text(ctx.own, ctx.context, name))
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
            yield File(file, compose_file.text(ctx.own, ctx.context, name), mode="0600")
            lines = "".join(
                f"{key}={ctx.written(value, DOTENV, 'compose', name, 'environment', key)}\n"
                for key, value in one.environment.items()
            )
            yield File(variables, lines.encode(), mode="0600")


def _files(name: str) -> tuple[str, str]:
    return place(name), f"{place(name).rpartition('/')[0]}/.env"
