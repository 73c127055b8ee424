"""A run's record on a host -> the resources that bring back what it replaced."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from provision import spec
from provision.dockerd import daemon_json
from provision.lines import lines_of
from provision.model import HostReport, Resource
from provision.remote.protocol import WireError, decoded, parsed
from provision.resources.docker.compose import NoProject, Project
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import ImageBefore
from provision.resources.docker.network import NetworkBefore, NoNetwork
from provision.resources.file import File, NoFile
from provision.resources.forward import ForwardBefore
from provision.resources.hostname import HostnameBefore
from provision.resources.obstacle import Unfixable
from provision.resources.packages import Packages
from provision.resources.service import Service
from provision.resources.store import Store
from provision.resources.sysctl import SysctlBefore
from provision.secrets.disclosure import readable
from provision.secrets.secret import each, recalled


def resources(
    run: str, record: HostReport, desired: Iterable[Resource], lock_timeout: int, secrets: Collection[str] = ()
) -> tuple[Resource, ...]:
    """In the order in which a spec's are put right: settings, files, packages, services. ``desired`` is what the spec
    wants, whose services know which files they watch; ``secrets`` are the tokens that it refers to. Raises
    :class:`Unfixable` where there is no such record."""
    state, *text = record.fields("before", run)
    if state == "none":
        raise Unfixable(f"this host has no record of run {run} (any more); provision runs --on-hosts shows what it has")
    lines = [line.split(" ", 2) for line in lines_of(text[0])]
    services = {one.unit: one for one in desired if isinstance(one, Service)}
    watchers: dict[str, tuple[str, ...]] = {}
    for unit, service in services.items():
        for path in service.watch:
            watchers[path] = (*watchers.get(path, ()), unit)
    pins = {word: rest for kind, word, rest in lines if kind == "package" and rest != "absent"}
    return (
        *_stores(lines, record, desired, pins),
        *_settings(lines),
        *_files(lines, record, watchers),
        *((Packages(pins, lock_timeout=lock_timeout),) if pins else ()),
        *_services(lines, services),
        *_objects(lines, record, secrets),
    )


def _stores(
    lines: list[list[str]], record: HostReport, desired: Iterable[Resource], pins: Mapping[str, str]
) -> Iterator[Resource]:
    """What docker has must not be lost sight of on the way back either."""
    before: dict[str, Any] | None = None
    for kind, _, path in lines:
        if path == daemon_json.DAEMON_JSON and kind in ("file", "absent"):
            content = decoded(record.fields("kept", path)[1]) if kind == "file" else b"{}"
            before = json.loads(daemon_json.same(content) or b"{}")
    for one in desired:
        if isinstance(one, Store):
            root = one.root if before is None else str(before.get("data-root") or daemon_json.DATA_ROOT)
            yield replace(one, root=root, daemon=before, containerd=None, pin=pins.get(one.package), upgrade=False)


def _settings(lines: list[list[str]]) -> Iterator[Resource]:
    for kind, word, rest in lines:
        if kind == "hostname":
            yield HostnameBefore(word)
        elif kind == "live":
            yield SysctlBefore(word, rest)
        elif kind == "forward":
            yield ForwardBefore(word)


def _files(lines: list[list[str]], record: HostReport, watchers: dict[str, tuple[str, ...]]) -> Iterator[Resource]:
    for kind, _, path in lines:
        if kind == "absent":
            yield NoFile(path, watchers.get(path, ()))
        elif kind == "file":
            stat, encoded = record.fields("kept", path)
            what, mode, owner, group = stat.rsplit(":", 3)
            if not what.startswith("regular"):
                raise Unfixable(f"{path} was a {what}; bring it back by hand")
            # A diff of what not every user of the host may read could show a secret.
            private = not readable(record, path, mode)
            yield File(
                path,
                decoded(encoded),
                owner,
                group,
                f"{int(mode, 8):04o}",
                watchers.get(path, ()),
                secret=private,
                literal=True,
            )


def _objects(lines: list[list[str]], record: HostReport, secrets: Collection[str]) -> Iterator[Resource]:
    """What docker had: what was not there goes first where it runs, and last where others may use it. Of a container
    its label says how we made it, and the record which image it was of; one that somebody else had made can't be made
    again. Images that came with the run stay: nobody is disturbed by them."""
    made = {name: record.fields("made_of", name) for kind, _, name in lines if kind == "made"}
    of_kind = {kind: [(word, rest) for each, word, rest in lines if each == kind] for kind in _OBJECTS}
    projects = [(word, *rest.partition(" ")[::2]) for word, rest in of_kind["compose"]]
    yield from (NoProject(name, file) for word, name, file in projects if word == "absent")
    yield from (NoContainer(name) for word, name in of_kind["container"] if word == "absent")
    for word, name in of_kind["network"]:
        if word != "absent":
            yield NetworkBefore(name, *record.fields("made_of", name))
    yield from (ImageBefore(name, word) for word, name in of_kind["image"] if word != "absent")
    for word, name in of_kind["container"]:
        if word != "absent":
            yield _container(name, word, made.get(name), secrets)
    yield from (Project(name, (file,), 120) for word, name, file in projects if word != "absent")
    yield from (NoNetwork(name) for word, name in of_kind["network"] if word == "absent")


_OBJECTS = ("network", "image", "container", "compose")


def _container(name: str, state: str, made: tuple[str, ...] | None, secrets: Collection[str]) -> Resource:
    image, _, label = (made or ("",))[0].partition("\n")
    if not label:
        raise Unfixable(f"the container {name} was not of provision's making; it can't be made again")
    try:
        before = spec.Container.model_validate(each(parsed(label), partial(recalled, referred=secrets)))
    except LookupError as error:
        message = (
            f"the container {name} had the secret {error.args[0]}, which this host's spec does not refer to any more"
        )
        raise Unfixable(f"{message}; it can't be made again") from error
    except (ValueError, WireError) as error:
        raise Unfixable(
            f"the label of the container {name} is not as provision wrote it; it can't be made again"
        ) from error
    running = state.startswith(("running", "restarting"))
    return Container(name, before.model_copy(update={"running": running, "adopt": True}), image)


def _services(lines: list[list[str]], known: dict[str, Service]) -> Iterator[Resource]:
    for kind, word, unit in lines:
        if kind == "service" and word != "none":
            service = known.get(unit, Service(unit))
            enabled, running = "enabled" in word, "active" in word
            yield replace(service, enabled=enabled, running=running, compare=None, agrees=None, effect=None)
