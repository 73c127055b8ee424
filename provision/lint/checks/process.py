"""How the daemon runs: its unit, control groups, isolation, runtimes, paths, labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provision.dockerd.daemon_keys import Version, keys
from provision.lint.finding import Finding, Level
from provision.lint.reading import each, since
from provision.lint.rules import finding
from provision.text.yamlfile import Map, nearest


def unit(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, flag in (("hosts", "-H fd://"), ("containerd", "--containerd")):
        if daemon.get(name):
            yield finding("DJ214", daemon.where[name], f"{name} conflicts with {flag} of docker.service")


def cgroups(daemon: Map, engine: Version) -> Iterator[Finding]:
    seen: str | None = None
    for option, where in each(daemon, "exec-opts"):
        name, _, value = option.partition("=")
        if name.strip().lower() != "native.cgroupdriver":
            hint, level = nearest(name, ["native.cgroupdriver"]) or "", since(engine, (28, 0))
            yield finding("DJ213", where, f"{name} is no option", hint, level)
        elif value not in ("systemd", "cgroupfs"):
            yield finding("DJ213", where, f"there is no cgroup driver {value}", "systemd or cgroupfs")
        elif seen is not None and seen != value:
            yield finding("DJ213", where, f"the cgroup driver is given twice: {seen}, and then {value}", "", "warning")
        else:
            seen = value


def isolation(daemon: Map, engine: Version) -> Iterator[Finding]:
    if daemon.get("icc") is False and daemon.get("iptables") is False:
        yield finding("DJ215", daemon.where["icc"], "icc off needs iptables, which is off too")


def together(daemon: Map, engine: Version) -> Iterator[Finding]:
    store = (daemon.get("features") or {}).get("containerd-snapshotter")
    if daemon.get("userns-remap") and store is True:
        where = daemon.where["userns-remap"]
        message = "userns-remap excludes the containerd image store"
        yield finding("DJ216", where, message, level=since(engine, (24, 0)))
    if daemon.get("live-restore") is True and daemon.get("swarm-default-advertise-addr"):
        where = daemon.where["live-restore"]
        yield finding("DJ217", where, "live-restore is refused by a daemon in a swarm, and there are options for one")


def runtimes(daemon: Map, engine: Version) -> Iterator[Finding]:
    runtimes = daemon.get("runtimes") or Map()
    for name, runtime in runtimes.items():
        where = runtimes.where[name]
        if name == "runc":
            yield finding("DJ223", where, "runc is docker's own runtime", "give yours another name")
        elif not isinstance(runtime, dict) or not (runtime.get("path") or runtime.get("runtimeType")):
            yield finding("DJ223", where, f"the runtime {name} has no path", level=since(engine, (23, 0)))
    default = daemon.get("default-runtime")
    if default and default not in {*runtimes, "runc", "io.containerd.runc.v2"}:
        yield finding("DJ223", daemon.where["default-runtime"], f"there is no runtime {default} in `runtimes`")


def paths(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, value in daemon.items():
        if keys()[name].type != "path" or not value:
            continue
        if re.search(r"\s", value):
            yield finding("DJ220", daemon.where[name], f"{name} has a blank in it: {value!r}")
        if not value.startswith("/"):
            # 20.10 never ends to look for its mount point; later ones can't start a container from it.
            level: Level = "error" if name == "data-root" else "warning"
            yield finding("DJ221", daemon.where[name], f"{name} is relative: {value!r}", level=level)


def labels(daemon: Map, engine: Version) -> Iterator[Finding]:
    values: dict[str, str] = {}
    for label, where in each(daemon, "labels"):
        name, equals, value = label.partition("=")
        if not equals or not name:
            yield finding("DJ224", where, f"{label!r} is no KEY=VALUE")
        elif values.setdefault(name, value) != value:
            yield finding("DJ224", where, f"the label {name} has two values: {values[name]} and {value}")
