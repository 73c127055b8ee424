"""The common parts of the checks: the target of a daemon.json, the items of a value with their places, and levels that
depend on the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from provision import limits
from provision.engine.keys import NEWEST, Version
from provision.errors import Where
from provision.lint.finding import Level
from provision.text.yamlfile import Map, Seq

if TYPE_CHECKING:
    from provision.project.host_config import HostConfig

#: The first engine whose new installations keep images with containerd.
CONTAINERD_STORE = (29, 0)
#: The storage drivers of dockerd itself; every other name is a snapshotter of containerd.
GRAPH_DRIVERS = frozenset(("overlay2", "btrfs", "zfs", "vfs", "fuse-overlayfs", "windowsfilter"))


class Target(Struct, frozen=True):
    """The target of a daemon.json. ``packaged``: the packaged unit is known to start dockerd, with its ``-H fd://`` and
    ``--containerd``. ``command``: the text of the drop-ins in the spec that replace its ``ExecStart``; empty without
    one. ``in_spec``: the file is part of a specification, whose other parts are checked too. ``names`` are
    the registries and hosts that the fleet declares."""

    engine: Version = NEWEST
    packaged: bool = False
    command: str = ""
    in_spec: bool = False
    names: frozenset[str] = frozenset()


def daemon_of(config: HostConfig) -> Map | None:
    """A host's daemon.json as declared, with its places; ``None`` when its spec has none."""
    engine = config.source.get("engine")
    written = engine.get("daemon") if isinstance(engine, Map) else None
    return written if isinstance(written, Map) else None


def number(text: str) -> int | None:
    """:func:`provision.limits.number`, with any number of zeros before it."""
    return limits.number(text.lstrip("0") or text[-1:])


def since(engine: Version, refused: Version) -> Level:
    """An error for engines from ``refused`` on, a warning for earlier engines, which start with the value."""
    return "error" if engine >= refused else "warning"


def each(daemon: Map, key: str) -> Iterator[tuple[Any, Where]]:
    """The items of a list with their places, or the single value. A null item counts as empty."""
    value = daemon.get(key)
    if isinstance(value, Seq):
        yield from (("" if one is None else one, where) for one, where in zip(value, value.where, strict=True))
    elif value is not None:
        yield value, daemon.where[key]


def texts(value: Any, where: Where) -> Iterator[tuple[str, Where]]:
    """Every text in a value with its place; ``where`` is the place of the value."""
    if isinstance(value, str):
        yield value, where
    elif isinstance(value, Seq):
        for item, place in zip(value, value.where, strict=True):
            yield from texts(item, place)
    elif isinstance(value, Map):
        for name, item in value.items():
            yield from texts(item, value.where.get(name, where))


def feature(daemon: Map, name: str) -> bool | None:
    """A declared feature; ``None`` when it is not declared."""
    found = (daemon.get("features") or {}).get(name)
    return found if isinstance(found, bool) else None


def containerd_store(daemon: Map, engine: Version) -> bool:
    """True if a new installation keeps its images with containerd (moby, daemon/image_store_choice.go)."""
    asked = feature(daemon, "containerd-snapshotter")
    if engine < (23, 0):
        return False  # the feature does not exist yet
    if asked is not None:
        return asked
    graph_driver = daemon.get("storage-driver") in GRAPH_DRIVERS
    return engine >= CONTAINERD_STORE and not daemon.get("userns-remap") and not graph_driver
