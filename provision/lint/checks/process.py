"""How the daemon runs: control groups, isolation, runtimes, paths, labels, features."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.engine.keys import keys
from provision.lint import shapes
from provision.lint.finding import Finding, Level
from provision.lint.reading import Target, each, since
from provision.lint.rules import finding
from provision.text.yamlfile import Map, nearest

_CGROUPS = "native.cgroupdriver"
_RESERVED = ("com.docker.", "io.docker.", "org.dockerproject.")


def cgroups(daemon: Map, target: Target) -> Iterator[Finding]:
    seen: str | None = None
    for option, where in each(daemon, "exec-opts"):
        name, equals, value = (part.strip() for part in option.partition("="))
        if not equals or not name or not value:
            level = since(target.engine, (28, 0))
            yield finding("DJ213", where, f'exec-opts "{option}" is not NAME=VALUE', f"{_CGROUPS}=systemd", level)
        elif name.lower() == "isolation":
            message = "exec-opts isolation is for Windows"
            yield finding("DJ213", where, message, level=since(target.engine, (28, 0)))
        elif name.lower() != _CGROUPS:
            hint, level = nearest(name, [_CGROUPS]), since(target.engine, (28, 0))
            yield finding("DJ213", where, f'exec-opts "{name}" is not an option', hint, level)
        elif value not in ("systemd", "cgroupfs"):
            yield finding("DJ213", where, f'{_CGROUPS} "{value}" does not exist', "systemd or cgroupfs")
        elif seen is not None and seen != value:
            yield finding("DJ213", where, f"the cgroup driver is given twice: {seen}, and then {value}", "", "warning")
        else:
            seen = value
    parent = daemon.get("cgroup-parent")
    if parent and seen == "systemd" and (len(parent) <= 6 or not parent.endswith(".slice")):
        message = f'cgroup-parent "{parent}" must be a slice with the cgroup driver systemd: "docker.slice"'
        yield finding("DJ227", daemon.where["cgroup-parent"], message)


def runtimes(daemon: Map, target: Target) -> Iterator[Finding]:
    runtimes, engine = daemon.get("runtimes") or Map(), target.engine
    for name, runtime in runtimes.items():
        where = runtimes.where[name]
        given = {shapes.field(key, _RUNTIME): value for key, value in (runtime or {}).items()}
        path, kind = given.get("path"), given.get("runtimeType")
        if name == "runc":
            yield finding("DJ223", where, "the name runc is reserved for docker's runtime", "use another name")
        elif not path and not kind:
            yield finding("DJ223", where, f'runtime "{name}" needs path or runtimeType', level=since(engine, (23, 0)))
        elif path and kind:
            yield finding(
                "DJ223", where, f'runtime "{name}" has both path and runtimeType', level=since(engine, (23, 0))
            )
        elif path and given.get("options"):
            message = f'runtime "{name}" has options, which require a runtimeType, not a path'
            yield finding("DJ223", where, message, "use runtimeArgs", since(engine, (23, 0)))
        elif kind and given.get("runtimeArgs"):
            message = f'runtime "{name}" has runtimeArgs, which require a path, not a runtimeType'
            yield finding("DJ223", where, message, "use options", since(engine, (23, 0)))
    default = daemon.get("default-runtime")
    if default and default not in {*runtimes, "runc"} and not _of_containerd(default, target):
        message = f'default-runtime "{default}" is not in runtimes'
        yield finding("DJ223", daemon.where["default-runtime"], message)


_RUNTIME = {"path": 0, "runtimeArgs": 0, "runtimeType": 0, "options": 0}


def _of_containerd(name: str, target: Target) -> bool:
    """A runtime that containerd finds by its name (moby, daemon/runtime_unix.go, isPermissibleC8dRuntimeName)."""
    if target.engine < (23, 0):
        return name in ("io.containerd.runc.v2", "io.containerd.runtime.v1.linux")
    return "." in name and "/" not in name and not name.startswith(".")


def paths(daemon: Map, target: Target) -> Iterator[Finding]:
    proxied = daemon.get("userland-proxy") is not False  # otherwise the path is not used (verifyUserlandProxyConfig)
    for name, value in daemon.items():
        if keys()[name].type != "path" or not value:
            continue
        if re.search(r"\s", value):
            yield finding("DJ220", daemon.where[name], f'{name} "{value}" has a blank in it')
        if not value.startswith("/"):
            level: Level = "warning"
            if name in ("data-root", "graph") or (name == "userland-proxy-path" and proxied):
                level = since(target.engine, (23, 0))  # no container starts from it, or dockerd refuses it
            yield finding("DJ221", daemon.where[name], f'{name} "{value}" is relative', level=level)


def labels(daemon: Map, target: Target) -> Iterator[Finding]:
    values: dict[str, str] = {}
    for label, where in each(daemon, "labels"):
        name, equals, value = label.partition("=")
        if not equals:
            yield finding("DJ224", where, f'labels "{label}" is not KEY=VALUE')
        elif name.lower().startswith(_RESERVED):
            yield finding("DJ224", where, f'labels "{label}" is in a namespace that is reserved for Docker')
        elif values.setdefault(name, value) != value:
            yield finding("DJ224", where, f"the label {name} has two values: {values[name]} and {value}")
