"""Who can be root through docker, on every host that has an engine."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.context import CompileContext
from provision.engine import daemon_json
from provision.model import Resource
from provision.resources.access import GuardedSocket, PlainPrograms, SocketUnit

#: The programs of Docker's packages, and of the packages of distributions.
_NAMES = ("docker", "dockerd", "docker-init", "docker-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc")
_PROGRAMS = tuple(f"/usr/bin/{name}" for name in _NAMES)


def access(ctx: CompileContext) -> Iterator[Resource]:
    if ctx.spec.engine is None:
        return
    systemd = ctx.family.init.name == "systemd"
    # With systemd the socket is systemd's, and the key of daemon.json has no effect on it (systemd.socket(5)).
    daemon = daemon_json.daemon_json(ctx.spec.engine) or {}
    group = daemon_json.GROUP if systemd else str(daemon.get("group") or daemon_json.GROUP)
    unit = f"/etc/systemd/system/{daemon_json.SOCKET}"
    if systemd:
        yield SocketUnit(daemon_json.SOCKET, group, frozenset(ctx.spec.files))
    if not any(path == unit or path.startswith(f"{unit}.d/") for path in ctx.spec.files):
        yield GuardedSocket("/run/docker.sock", group)
    if daemon_json.CONTAINERD_TOML not in ctx.spec.files:
        yield GuardedSocket("/run/containerd/containerd.sock", "root")
    yield PlainPrograms(_PROGRAMS)
