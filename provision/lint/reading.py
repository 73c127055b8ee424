"""What the checks have in common: the items of a value with their places, and levels that depend on the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.dockerd.daemon_keys import Version
from provision.errors import Where
from provision.lint.finding import Level
from provision.project.host_config import HostConfig
from provision.text.yamlfile import Map, Seq


def daemon_of(config: HostConfig) -> Map | None:
    """A host's daemon.json as it is written, with its places; ``None`` when its spec has none."""
    engine = config.source.get("engine")
    written = engine.get("daemon") if isinstance(engine, Map) else None
    return written if isinstance(written, Map) else None


def since(engine: Version, refused: Version) -> Level:
    """An error for engines from ``refused`` on; those before it start with it."""
    return "error" if engine >= refused else "warning"


def each(daemon: Map, key: str) -> Iterator[tuple[Any, Where]]:
    """The items of a list with their places, or the one value."""
    value = daemon.get(key)
    if isinstance(value, Seq):
        yield from zip(value, value.where, strict=True)
    elif value is not None:
        yield value, daemon.where[key]
