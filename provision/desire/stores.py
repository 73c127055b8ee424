"""Where the engine keeps images and containers."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros, engine
from provision.desire.packages import engine_pin
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.store import Store


def stores(at: Setting) -> Iterator[Resource]:
    """Before everything: what stands in the way must show while nothing has been touched."""
    declared = at.spec.engine
    if declared is None:
        return
    daemon = engine.daemon_json(declared)
    package, pin = engine_pin(at)
    yield Store(
        engine.DAEMON_JSON,
        engine.CONTAINERD_TOML,
        engine.data_root(declared),
        daemon,
        declared.containerd_root,
        declared.existing_store == "leave",
        package or "",
        distros.engines(at.platform.flavour),
        pin,
        at.options.upgrade,
        below=at.flavour.init.name != "systemd",
    )
