"""A run's record on a host -> the resources that bring back what it replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from provision.model import Report, Resource
from provision.resources.file import File, NoFile
from provision.resources.forward import ForwardBefore
from provision.resources.hostname import HostnameBefore
from provision.resources.obstacle import Unfixable
from provision.resources.packages import Packages
from provision.resources.service import Service
from provision.resources.sysctl import SysctlBefore
from provision.wire import decoded


def resources(run: str, record: Report, desired: Iterable[Resource], lock_timeout: int) -> tuple[Resource, ...]:
    """In the order in which a spec's are put right: settings, files, packages, services. ``desired`` is what the spec
    wants, whose services know which files they watch. Raises :class:`Unfixable` where there is no such record."""
    state, *text = record.fields("before", run)
    if state == "none":
        raise Unfixable(f"this host has no record of run {run} (any more); provision runs --on-hosts shows what it has")
    lines = [line.split(" ", 2) for line in text[0].splitlines()]
    services = {one.unit: one for one in desired if isinstance(one, Service)}
    watchers: dict[str, tuple[str, ...]] = {}
    for unit, service in services.items():
        for path in service.watch:
            watchers[path] = (*watchers.get(path, ()), unit)
    pins = {word: rest for kind, word, rest in lines if kind == "package" and rest != "absent"}
    return (
        *_settings(lines),
        *_files(lines, record, watchers),
        *((Packages(pins, lock_timeout=lock_timeout),) if pins else ()),
        *_services(lines, services),
    )


def _settings(lines: list[list[str]]) -> Iterator[Resource]:
    for kind, word, rest in lines:
        if kind == "hostname":
            yield HostnameBefore(word)
        elif kind == "live":
            yield SysctlBefore(word, rest)
        elif kind == "forward":
            yield ForwardBefore(word)


def _files(lines: list[list[str]], record: Report, watchers: dict[str, tuple[str, ...]]) -> Iterator[Resource]:
    for kind, _, path in lines:
        if kind == "absent":
            yield NoFile(path, watchers.get(path, ()))
        elif kind == "file":
            stat, encoded = record.fields("kept", path)
            what, mode, owner, group = stat.rsplit(":", 3)
            if not what.startswith("regular"):
                raise Unfixable(f"{path} was a {what}; bring it back by hand")
            # A diff of it may show what was a secret: only that it differs is told.
            yield File(
                path,
                decoded(encoded),
                owner,
                group,
                f"{int(mode, 8):04o}",
                watchers.get(path, ()),
                secret=mode == "600",
            )


def _services(lines: list[list[str]], known: dict[str, Service]) -> Iterator[Resource]:
    for kind, word, unit in lines:
        if kind == "service" and word != "none":
            service = known.get(unit, Service(unit))
            enabled, running = "enabled" in word, "active" in word
            yield replace(service, enabled=enabled, running=running, compare=None, agrees=None, effect=None)
