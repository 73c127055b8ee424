"""The effect of a change of daemon.json: by key and engine version, deletions included.

Source: moby, daemon/reload.go and daemon/config (``daemon_keys.yml``). dockerd reloads a key by SIGHUP, or reads it
only at its start. A reloadable key that is deleted keeps its old value until a restart, unless a reload resets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provision.dockerd.daemon_keys import NEWEST, Version, keys
from provision.model import LEVELS

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
