"""Where the engine keeps images and containers."""

from __future__ import annotations

from collections.abc import Iterator

from provision import engine
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.store import DOCKER_ROOT, Store


def stores(at: Setting) -> Iterator[Resource]:
    """Before everything: what stands in the way must show while nothing has been touched."""
    declared = at.spec.engine
    if declared is None:
        return
    daemon = engine.daemon_json(declared) or {}
    driver = daemon.get("storage-driver")
    yield Store(
        engine.DAEMON_JSON,
        engine.CONTAINERD_TOML,
        str(daemon.get("data-root") or DOCKER_ROOT),
        str(driver) if driver else None,
        declared.containerd_root,
        declared.existing_store == "leave",
    )
