"""Compose projects of hosts: their parsed files with the variables of the spec, and what their services have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision import limits
from provision.errors import SpecError, Where
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.project import dependencies
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import Map, Seq, locate, untyped


class Project(Struct, frozen=True):
    """A compose project of a host, with its variables in place. ``path`` is that of a file of its own."""

    config: HostConfig
    name: str
    declared: Where
    path: Path | None
    whole: Map

    def where(self, place: Where | None) -> Where:
        """A file has its own lines; a text in the spec, and a template, have the line of their key."""
        return self.declared if self.path is None or place is None else Where(self.path, place.line)

    def services(self) -> Iterator[tuple[str, Map, Where]]:
        """The services that start: those with a profile do not."""
        yield from (one for one in entries(self.whole.get("services")) if not one[1].get("profiles"))


def read(configs: list[HostConfig], context: Context) -> tuple[list[Project], list[Finding]]:
    """The compose projects of all hosts, and the findings in those that can't be read."""
    found, wrong = [], []
    for config in configs:
        for name, one in config.spec.compose.items():
            key = next((key for key in ("content", "template", "src") if getattr(one, key) is not None), "")
            declared = locate(config.source, ("compose", name, key))
            if one.absent or declared is None:
                continue
            path = context.find(one.src) if one.src is not None else None
            try:
                whole = _parsed(path or Path(f"compose.{name}"), dependencies.text(config, context, name).decode())
                if isinstance(whole, Map):
                    whole = _Variables(one.environment).into(whole)
            except (SpecError, UnicodeDecodeError) as error:
                at = error.where.line if isinstance(error, SpecError) and error.where else 0
                reason = f"{error.message} (line {at})" if isinstance(error, SpecError) and at else error
                hint = error.hint if isinstance(error, SpecError) else ""
                wrong.append(finding("SP410", declared, f"compose.{name} is not a compose file: {reason}", hint))
                continue
            if isinstance(whole, Map):
                found.append(Project(config, name, declared, path, whole))
            else:
                message = f"compose.{name}: a compose file is a mapping with services"
                wrong.append(finding("SP410", declared, message))
    return found, wrong


@lru_cache(maxsize=64)
def _parsed(path: Path, text: str) -> Any:
    return untyped(path, text)


#: compose-spec, 12-interpolation.md: $$, ${NAME}, ${NAME:-default}, $NAME.
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?[-?+])((?:[^{}]|\{[^{}]*\})*))?\}|(\w+))")


class _Variables:
    """Puts a project's variables into its file. A variable without a value stays as it is."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known, self._length, self._most = known, 0, limits.of(limits.TEXT)

    def _one(self, match: re.Match[str]) -> str:
        dollar, name, sign, other, bare = match.groups()
        found = self._known.get(name or bare)
        if dollar or sign in ("+", ":+"):
            return dollar or match[0]
        if sign in ("-", ":-") and (found is None or (not found and sign == ":-")):
            return str(VARIABLE.sub(self._one, other))
        if found is None:
            return match[0]
        self._length += len(found)
        if self._length > self._most:
            raise SpecError(f"its variables make {limits.more(limits.TEXT)}", hint=limits.hint(limits.TEXT))
        return found

    def into(self, value: Any) -> Any:
        """Raises :class:`SpecError` where the values of the variables are too much text in all."""
        if isinstance(value, Map):
            result = Map(((key, self.into(item)) for key, item in value.items()), value.here)
            result.where.update(value.where)
            return result
        if isinstance(value, Seq):
            items = Seq((self.into(item) for item in value), value.here)
            items.where = value.where
            return items
        return VARIABLE.sub(self._one, value) if isinstance(value, str) else value


def source(volume: Any) -> str:
    """The source of a volume; empty for an anonymous one and for a tmpfs."""
    if isinstance(volume, Map):
        source = volume.get("source", volume.get("src"))
        return str(source) if source and volume.get("type") in ("bind", "volume") else ""
    return str(volume).partition(":")[0] if ":" in str(volume) else ""


def mounts(service: Map) -> Iterator[tuple[str, bool, Where | None]]:
    """The absolute paths of the host that a service mounts, and whether they are read-only."""
    for volume, where in each(service.get("volumes"), service.where.get("volumes")):
        if (path := source(volume)).startswith("/"):
            options = str(volume).split(":")[2:]
            only = (
                volume.get("read_only") == "true" if isinstance(volume, Map) else "ro" in ",".join(options).split(",")
            )
            yield path, only, where


def ports(service: Map) -> Iterator[tuple[str, str, str, Where | None]]:
    """Address, port of the host and protocol of each published port (compose-spec, 05-services.md, ports)."""
    if service.get("network_mode") == "host":
        return
    for one, where in each(service.get("ports"), service.where.get("ports")):
        if isinstance(one, Map):
            address, outer = str(one.get("host_ip") or ""), str(one.get("published") or "")
            protocol = str(one.get("protocol") or "tcp")
        else:
            published, _, protocol = str(one).partition("/")
            address, _, outer = published.rpartition(":")[0].rpartition(":")
        yield address, outer, protocol or "tcp", where


def subnets(whole: Map) -> Iterator[tuple[str, str, Where]]:
    """The networks that a project makes with fixed addresses."""
    for name, one, where in entries(whole.get("networks")):
        ipam = one.get("ipam")
        for row, _ in each(ipam.get("config"), None) if isinstance(ipam, Map) else ():
            if isinstance(row, Map) and isinstance(row.get("subnet"), str) and not one.get("external"):
                yield name, row["subnet"], where


def external(whole: Map) -> Iterator[tuple[str, Where]]:
    """The networks that a project expects to exist."""
    for key, one, where in entries(whole.get("networks")):
        if one.get("external") == "true" or isinstance(one.get("external"), Map):
            inner = one["external"] if isinstance(one["external"], Map) else one
            yield str(inner.get("name") or key), where


def logging(service: Map) -> tuple[str, Map] | None:
    """The log driver of a service, and its options."""
    value = service.get("logging")
    if not isinstance(value, Map):
        return None
    options = value.get("options")
    return str(value.get("driver") or ""), options if isinstance(options, Map) else Map()


def environment(service: Map) -> Iterator[tuple[str, str, Where | None]]:
    """The variables that a service gets, with their values."""
    value = service.get("environment")
    if isinstance(value, Map):
        yield from ((name, str(text or ""), value.where.get(name)) for name, text in value.items())
    else:
        for item, where in each(value, service.where.get("environment")):
            name, _, text = str(item).partition("=")
            yield name, text, where


def each(value: Any, where: Where | None) -> Iterator[tuple[Any, Where | None]]:
    """The items of a list, or the single value."""
    if isinstance(value, Seq):
        yield from zip(value, value.where, strict=True)
    elif value is not None:
        yield value, where


def entries(section: Any) -> Iterator[tuple[str, Map, Where]]:
    if isinstance(section, Map):
        for name, one in section.items():
            if isinstance(one, Map):
                yield name, one, section.where[name]
