"""The table of daemon.json's keys (``keys.yml``): how each version of the engine handles a key, and the effect of a
change.

dockerd reloads a key by SIGHUP, or reads it only at its start (moby, daemon/reload.go). A reloadable key that is
deleted keeps its old value until a restart, unless a reload resets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.model import LEVELS
from provision.text.yamlfile import load

#: The newest engine that the table knows.
NEWEST = (29, 7)
#: The minor version that stands for the newest one, where a version names only the major part.
NEWEST_MINOR = 99

Version = tuple[int, int]


class Key(Struct, frozen=True):
    """``type`` is a word of the table, or the list of allowed values; versions are (major, minor)."""

    name: str
    type: str | tuple[str, ...]
    effect: str
    since: Version | None = None
    until: Version | None = None
    deprecated: Version | None = None
    instead: str = ""
    ignored: Version | None = None
    gone: Version | None = None

    def known_to(self, engine: Version) -> bool:
        end = self.gone or self.until
        return (self.since is None or engine >= self.since) and (end is None or engine < end)

    def read_by(self, engine: Version) -> bool:
        """Whether an engine that knows the key decodes its value."""
        return self.ignored is None or engine < self.ignored


def version(text: str) -> Version | None:
    """``5:28.5.2-1~debian``, ``28.5`` or ``28`` -> (28, 5), (28, 5), the newest of 28; ``None`` for other text."""
    words = text.rpartition(":")[2].split(".")
    if not words[0].isdigit():
        return None
    minor = words[1].partition("-")[0] if len(words) > 1 else ""
    return int(words[0]), int(minor) if minor.isdigit() else NEWEST_MINOR


@cache
def keys() -> dict[str, Key]:
    found = {}
    for name, row in load(Path(__file__).with_name("keys.yml")).items():
        parts = ("since", "until", "deprecated", "ignored", "gone")
        versions = {part: version(row[part]) for part in parts if part in row}
        kind = tuple(row["type"]) if isinstance(row["type"], list) else row["type"]
        found[name] = Key(name, kind, row["effect"], instead=row.get("instead", ""), **versions)
    return found


#: The parts of a reloadable object that dockerd reads when it needs them. It reads all others only at its start (moby
#: 29.7: containerd-snapshotter, containerd-migration, embedded-containerd, cdi, swarm-nftables).
_LIVE = {"features": {"buildkit", "time-namespaces"}}

#: Keys that only affect later pulls and pushes, new containers, dockerd's own log, or dockerd's data about itself. No
#: address, route, firewall rule, socket or running container depends on them (moby, daemon/reload.go: reloadDebug,
#: reloadLabels, reloadRegistryConfig, reloadMaxConcurrentDownloadsAndUploads, reloadMaxDownloadAttempts,
#: reloadShutdownTimeout, and the defaults of reloadPlatform).
_LOCAL = frozenset(
    (
        "debug",
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-shm-size",
        "default-stop-timeout",
        "insecure-registries",
        "labels",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "shutdown-timeout",
    )
)


def key_effects(old: Mapping[str, Any], new: Mapping[str, Any], engine: Version = NEWEST) -> dict[str, str]:
    """Every key that differs -> ``none``, ``reload`` or ``restart``."""
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key) or (key in old) != (key in new)]
    return {key: _effect(key, old, new, engine) for key in sorted(changed)}


def _effect(key: str, old: Mapping[str, Any], new: Mapping[str, Any], engine: Version) -> str:
    row = keys().get(key)
    if row is None or not row.known_to(engine):
        return "restart"
    if row.ignored:
        return "none"
    if row.effect == "restart" or (row.effect == "reload" and key not in new):
        return "restart"
    before, after = old.get(key), new.get(key)
    return "restart" if key in _LIVE and not _parts(before, after) <= _LIVE[key] else "reload"


def _parts(before: Any, after: Any) -> set[str]:
    """The parts of an object that differ."""
    old, new = (value if isinstance(value, dict) else {} for value in (before, after))
    return {part for part in {**old, **new} if old.get(part) != new.get(part)}


def local(effects: Mapping[str, str]) -> bool:
    """Whether dockerd loads each of these changes by a reload, and none of them can affect a login."""
    return bool(effects) and all(key in _LOCAL and effect == "reload" for key, effect in effects.items())


def worst(levels: Iterable[str]) -> str:
    return max(levels, key=LEVELS.index, default="none")
