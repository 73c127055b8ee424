"""Where the engine keeps images and containers."""

from __future__ import annotations

from collections.abc import Iterator

from provision import distros
from provision.catalog.context import CompileContext
from provision.catalog.package_set import engine_pin
from provision.engine import daemon_json
from provision.model import Resource
from provision.resources.store import Store, UndeclaredStore


def stores(ctx: CompileContext) -> Iterator[Resource]:
    """An obstacle must be reported before anything is touched."""
    declared = ctx.spec.engine
    if declared is None:
        return
    daemon = daemon_json.daemon_json(declared)
    package, pin = engine_pin(ctx)
    yield Store(
        daemon_json.DAEMON_JSON,
        daemon_json.CONTAINERD_TOML,
        root=daemon_json.data_root(declared),
        daemon=daemon,
        containerd=declared.containerd_root,
        leave=declared.existing_store == "leave",
        package=package or "",
        packages=distros.engines_of(ctx.platform.family),
        pin=pin,
        upgrade=ctx.options.upgrade,
        below=ctx.family.init.name != "systemd",
    )


def undeclared_stores(ctx: CompileContext) -> Iterator[Resource]:
    """At the end, because the resource must see what the plan removes. Left out where the spec has ``existing_store:
    leave``."""
    declared = ctx.spec.engine
    if declared is not None and declared.existing_store == "leave":
        return
    made = {daemon_json.DAEMON_JSON: declared is not None and daemon_json.daemon_json(declared) is not None}
    made[daemon_json.CONTAINERD_TOML] = declared is not None and declared.containerd_root is not None
    undeclared = frozenset(path for path, here in made.items() if not here and path not in ctx.spec.files)
    if undeclared:
        yield UndeclaredStore(daemon_json.DAEMON_JSON, daemon_json.CONTAINERD_TOML, undeclared)
