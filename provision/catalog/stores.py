"""Where the engine keeps images and containers."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros
from provision.catalog.package_set import engine_pin
from provision.catalog.setting import Setting
from provision.dockerd import daemon_json
from provision.model import Resource
from provision.resources.store import Store, UndeclaredStore


def stores(at: Setting) -> Iterator[Resource]:
    """An obstacle must be reported before anything is touched."""
    declared = at.spec.engine
    if declared is None:
        return
    daemon = daemon_json.daemon_json(declared)
    package, pin = engine_pin(at)
    yield Store(
        daemon_json.DAEMON_JSON,
        daemon_json.CONTAINERD_TOML,
        daemon_json.data_root(declared),
        daemon,
        declared.containerd_root,
        declared.existing_store == "leave",
        package or "",
        distros.engines_of(at.platform.flavour),
        pin,
        at.options.upgrade,
        below=at.flavour.init.name != "systemd",
    )


def undeclared_stores(at: Setting) -> Iterator[Resource]:
    """At the end, because the resource must see what the plan removes. Left out where the spec has ``existing_store:
    leave``."""
    declared = at.spec.engine
    if declared is not None and declared.existing_store == "leave":
        return
    made = {daemon_json.DAEMON_JSON: declared is not None and daemon_json.daemon_json(declared) is not None}
    made[daemon_json.CONTAINERD_TOML] = declared is not None and declared.containerd_root is not None
    undeclared = frozenset(path for path, here in made.items() if not here and path not in at.paths)
    if undeclared:
        yield UndeclaredStore(daemon_json.DAEMON_JSON, daemon_json.CONTAINERD_TOML, undeclared)
