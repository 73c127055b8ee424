"""Where the engine keeps images and containers."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros, engine
from provision.desire.packages import engine_pin
from provision.desire.setting import Setting
from provision.model import Resource
from provision.resources.store import Store, UndeclaredStore


def stores(at: Setting) -> Iterator[Resource]:
    """What stands in the way must show while nothing has been touched."""
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


def undeclared_stores(at: Setting) -> Iterator[Resource]:
    """At the end: it must see what is about to be removed. Not where the operator has accepted it."""
    declared = at.spec.engine
    if declared is not None and declared.existing_store == "leave":
        return
    made = {engine.DAEMON_JSON: declared is not None and engine.daemon_json(declared) is not None}
    made[engine.CONTAINERD_TOML] = declared is not None and declared.containerd_root is not None
    undeclared = frozenset(path for path, here in made.items() if not here and path not in at.spec.files)
    if undeclared:
        yield UndeclaredStore(engine.DAEMON_JSON, engine.CONTAINERD_TOML, undeclared)
