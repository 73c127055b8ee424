"""The things in the engine that a spec declares."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.distros import Distribution
from provision.project.host_config import Context, HostConfig
from provision.project.lockfile import IMAGES
from provision.secrets.secret import reveal
from provision.spec import Compose
from provision.text.yamlfile import bounded


def network(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, one) for name, one in config.spec.networks.items() if not one.absent)


def volume(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, one) for name, one in config.spec.volumes.items() if not one.absent)


def image(config: HostConfig, context: Context) -> Iterator[Named]:
    """Every image that must exist, also one that only a container names; the value is the declared digest, if any."""
    locked = context.locks.get(IMAGES, {})
    found = {
        name: one.digest or (None if one.archive or one.build else locked.get(name))
        for name, one in config.spec.images.items()
        if not one.absent
    }
    for one in config.spec.containers.values():
        if not one.absent:
            found.setdefault(str(one.image), locked.get(str(one.image)))
    yield from (Named(name, digest) for name, digest in found.items())


def loaded_image(config: HostConfig, context: Context) -> Iterator[Named]:
    """Images from archives. The value: the ids that docker may give them, and the layers that they are made of."""
    for name, one in config.spec.images.items():
        if one.archive is not None and (path := context.find(one.archive)) is not None:
            with tarfile.open(path) as tar:
                texts = {
                    member.name: file.read()
                    for member in tar
                    if re.search(r"(^|/)([0-9a-f]{64}(\.json)?|(manifest|index)\.json)$", member.name)
                    and member.size < _SMALL
                    and (file := tar.extractfile(member))
                }
            all_ = json.loads(texts["manifest.json"])
            own = next((each for each in all_ if _short(name) in map(_short, each.get("RepoTags") or [])), all_[0])
            name_of_config = own["Config"]
            ids = {name_of_config.removesuffix(".json").rpartition("/")[2]}
            for each in json.loads(texts.get("index.json", b"{}")).get("manifests", []):
                called = (each.get("annotations") or {}).get("io.containerd.image.name", "")
                if len(all_) == 1 or _short(called) == _short(name):
                    ids.add(each["digest"].removeprefix("sha256:"))
            layers = json.loads(texts[name_of_config])["rootfs"]["diff_ids"]
            yield Named(name, ({f"sha256:{digest}" for digest in ids}, layers))


#: In bytes: a config is small, and the name of a layer can look like the name of a config.
_SMALL = 1 << 20


def _short(reference: str) -> str:
    """Docker Hub's own names in one form: as docker lists them."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def absent_image(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, None) for name, one in config.spec.images.items() if one.absent)


def container(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, one) for name, one in config.spec.containers.items() if not one.absent)


def absent_container(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, None) for name, one in config.spec.containers.items() if one.absent)


def container_environment(config: HostConfig, context: Context) -> Iterator[Named]:
    for thing in container(config, context):
        if thing.value.environment:
            pairs = {name: reveal(value) for name, value in thing.value.environment.items()}
            yield Named(thing.name, (thing.name, pairs))


def published_port(config: HostConfig, context: Context) -> Iterator[Named]:
    """``(address:, port, protocol)`` in the form of testinfra's sockets."""
    for thing in container(config, context):
        for port in thing.value.ports if thing.value.running else ():
            front, _, protocol = port.partition("/")
            address, _, outer = front.rpartition(":")[0].rpartition(":")
            # In one form: the form of the kernel's list.
            place = f"{ip_address(address.strip('[]'))}:" if address else ""
            yield Named(f"{thing.name} {port}", (place, outer, protocol or "tcp"))


_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def container_limit(config: HostConfig, context: Context) -> Iterator[Named]:
    """``(container, limit, number)``: bytes, processes, or processors."""
    for thing in container(config, context):
        one = thing.value
        if not one.running:
            continue
        if one.memory is not None:
            number, unit = (one.memory[:-1], one.memory[-1]) if one.memory[-1] in _UNITS else (one.memory, "b")
            yield Named(f"{thing.name} memory", (thing.name, "memory", int(float(number) * _UNITS[unit])))
        if one.pids is not None:
            yield Named(f"{thing.name} pids", (thing.name, "pids", one.pids))
        if one.cpus is not None:
            yield Named(f"{thing.name} cpus", (thing.name, "cpus", float(one.cpus)))


def healthy_container(config: HostConfig, context: Context) -> Iterator[Named]:
    for thing in container(config, context):
        if thing.value.running and thing.value.health is not None and thing.value.health.command != "none":
            yield thing


def compose_project(config: HostConfig, context: Context) -> Iterator[Named]:
    """The value: the names of its services, without those that a profile excludes."""
    for name, one in config.spec.compose.items():
        if one.absent:
            continue
        services = (bounded(Path(f"{name}.yml"), _text(config, context, one)) or {}).get("services") or {}
        yield Named(name, tuple(service for service, each in services.items() if not (each or {}).get("profiles")))


def _text(config: HostConfig, context: Context, one: Compose) -> str:
    if one.content is not None:
        return one.content
    if one.template is not None:
        return context.templates.render(one.template, config.scope)
    return (context.read(str(one.src)) or b"").decode()


def prune(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.prune is not None:
        yield Named("prune", config.spec.prune)


PROVIDERS = (
    network,
    volume,
    image,
    loaded_image,
    absent_image,
    container,
    absent_container,
    container_environment,
    published_port,
    container_limit,
    healthy_container,
    compose_project,
    prune,
)


class Named(Struct, frozen=True):
    """One declared item: its name in reports, and its desired state. ``rows`` are the project's own rows of the table
    of distributions, for values that depend on the host's distribution."""

    name: str
    value: Any
    rows: tuple[Distribution, ...] = ()


class FileBytes(Struct, frozen=True):
    """A file as declared, with its computed content."""

    content: bytes
    owner: str
    group: str
    mode: int
    #: whether a failure must not show the content
    secret: bool = False


class Archive(Struct, frozen=True):
    """A package archive. Its address, its suites and the place of its key may depend on the host's distribution."""

    name: str
    url: str
    components: tuple[str, ...]
    suites: tuple[str, ...]
    #: of the keys that may sign it. If none is declared: for Docker's archive the keys that Docker publishes, for other
    #: archives any key
    fingerprints: tuple[str, ...]
    docker: bool = False
