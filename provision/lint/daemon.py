"""What dockerd of some version makes of a daemon.json: refuses, dies of, ignores, or does and is regretted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from provision.errors import Where
from provision.lint import loose_json
from provision.lint.finding import Finding, Level
from provision.lint.keys import NEWEST, Key, Version, keys
from provision.lint.networks import networks
from provision.lint.rules import RULES
from provision.lint.values import is_size, problem
from provision.yamlfile import Map, Seq, nearest

#: docs.docker.com/engine/logging/configure: what is built in, and the options that each driver knows besides the
#: common ones (moby, daemon/logger/*, ValidateLogOpt).
_COMMON_LOG = {"mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"}
_LABELLED = {"labels", "labels-regex", "env", "env-regex", "tag"}
_LOG_DRIVERS: dict[str, set[str] | None] = {
    "awslogs": None,
    "etwlogs": set(),
    "fluentd": None,
    "gcplogs": None,
    "gelf": None,
    "journald": _LABELLED,
    "json-file": {*_LABELLED, "max-file", "max-size", "compress"},
    "local": {"max-file", "max-size", "compress"},
    "logentries": None,
    "none": None,
    "splunk": None,
    "syslog": None,
}
#: Storage drivers, and the first version that no longer has them.
_STORAGE: dict[str, Version | None] = {
    "overlay2": None,
    "btrfs": None,
    "zfs": None,
    "vfs": None,
    "fuse-overlayfs": None,
    "windowsfilter": None,
    "aufs": (24, 0),
    "overlay": (24, 0),
    "devicemapper": (25, 0),
}
_PREFIXES = {"devicemapper": "dm", "windowsfilter": "windowsfilter", "overlay2": "overlay2"}
_OVERLAY = {"overlay2.size", "overlay2.override_kernel_check"}
#: Registries with certificates that everybody can check.
_PUBLIC = (
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "quay.io",
    "ghcr.io",
    "gcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "registry.access.redhat.com",
    "registry.redhat.io",
    "registry.k8s.io",
    "registry.gitlab.com",
)
#: HOST or HOST:PORT, an IPv6 address in brackets.
_REGISTRY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::\d{1,5})?")


def lint_text(path: Path, text: str, engine: Version = NEWEST) -> list[Finding]:
    """Everything wrong with a daemon.json, broken ones too, in the order of its lines."""
    parsed = loose_json.parse(path, text)
    found = []
    for fault in parsed.faults:
        # The first engines of the new numbering read to the end; those before stopped at the closing brace.
        level: Level = "error"
        if fault.message.startswith("there is something after"):
            level = _since(engine, (23, 0))
        elif fault.message.startswith("there is nothing in it") and engine >= (23, 0):
            level = "warning"
        message = f"column {fault.column}: {fault.message}"
        found.append(_finding("DJ001", fault.where, message, fault.hint, level))
    for key, where, first in parsed.twice:
        message = f"{key} stands twice, first on line {first.line}; dockerd takes this one"
        found.append(_finding("DJ002", where, message, level="warning"))
    if isinstance(parsed.value, Map):
        found += lint(parsed.value, engine)
    elif not parsed.faults:
        found.append(_finding("DJ003", Where(path, 1), "is no JSON object", "{ and } around the keys"))
    return sorted(found, key=lambda finding: finding.where.line)


def lint(daemon: Map, engine: Version = NEWEST) -> Iterator[Finding]:
    """The same for one that is already read, from a spec say."""
    sound = Map(here=daemon.here)
    for name, value in daemon.items():
        faults = list(_key(name, value, daemon.where[name], engine))
        yield from faults
        if name in keys() and not any(fault.level == "error" for fault in faults):
            sound[name] = value
            sound.where[name] = daemon.where[name]
    meant = _meant(daemon, sound)
    for check in _CHECKS:
        yield from check(meant, engine)


def _meant(daemon: Map, sound: Map) -> Map:
    """With a near miss (gragh) under the name that was meant, so that its value is checked all the same."""
    for name, value in daemon.items():
        for word in _successors(name):
            if name not in keys() and word not in daemon and _typed(keys()[word], value) is None:
                sound[word] = value
                sound.where[word] = daemon.where[name]
                break
    return sound


def _successors(name: str) -> list[str]:
    hint = nearest(name, keys())
    word = hint.partition('"')[2].rpartition('"')[0] if hint else ""
    if word not in keys():
        return []
    return [keys()[word].instead] if keys()[word].instead in keys() else [word]


def _finding(id: str, where: Where, message: str, hint: str = "", level: Level | None = None) -> Finding:
    return Finding(RULES[id], where, message, hint, level or RULES[id].level)


def _key(name: str, value: Any, where: Where, engine: Version) -> Iterator[Finding]:
    key = keys().get(name)
    shown = ".".join(map(str, engine))
    if key is None:
        yield from _unknown(name, value, where, engine)
        return
    if key.until is not None and engine >= key.until:
        gone = ".".join(map(str, key.until))
        yield _finding("DJ102", where, f"{name} was removed in {gone}", f"use {key.instead}" if key.instead else "")
    elif key.since is not None and engine < key.since:
        came = ".".join(map(str, key.since))
        yield _finding("DJ104", where, f"{name} came with {came}, and this is for {shown}")
    elif key.ignored:
        yield _finding("DJ105", where, f"{name} has no effect")
    elif key.deprecated is not None and engine >= key.deprecated:
        yield _finding("DJ103", where, f"{name} is deprecated", f"use {key.instead}" if key.instead else "")
    if (wanted := _typed(key, value)) is not None:
        yield _finding("DJ110", where, f"{name} must be {wanted}, not {_shown(value)}")


def _unknown(name: str, value: Any, where: Where, engine: Version) -> Iterator[Finding]:
    if name in ("http-proxy", "https-proxy", "no-proxy") and engine >= (23, 0):
        yield _finding("DJ105", where, f"{name} has no effect here", f'write "proxies": {{"{name}": …}}')
        return
    if isinstance(value, Map) and value and set(value) <= set(keys()):
        # moby flattens objects before it looks for unknown keys, and decodes without flattening.
        yield _finding("DJ105", where, f"{name} is no key, and what is in it has no effect", "take the braces away")
        return
    hint = nearest(name, keys())
    if hint and (instead := next(iter(_successors(name)), "")) and f'"{instead}"' not in hint:
        hint = f'{hint.rstrip("?")}, now "{instead}"?'
    lower = name.lower()
    yield _finding("DJ101", where, f"unknown key {name}", f'write "{lower}"' if lower in keys() else hint or "")


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "text": ("text", lambda value: isinstance(value, str)),
    "texts": ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "objects": ("a list of objects", lambda value: isinstance(value, list) and all(isinstance(o, dict) for o in value)),
    "table": (
        "an object of texts",
        lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
    ),
    "switches": (
        "an object of true and false",
        lambda value: isinstance(value, dict) and all(isinstance(one, bool) for one in value.values()),
    ),
    "size": (
        'a number of bytes, or "64M"',
        lambda value: isinstance(value, (int, str)) and not isinstance(value, bool),
    ),
}
_SHAPES = {"network": "text", "address": "text", "path": "text", "addresses": "texts", "urls": "texts"}


def _typed(key: Key, value: Any) -> str | None:
    """What the key's type is called, when the value is of another. A null is as if the key were not there."""
    kind = "text" if isinstance(key.type, tuple) else _SHAPES.get(key.type, key.type)
    words, test = _TYPES[kind]
    return None if value is None or test(value) else words


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)[:60]


def _since(engine: Version, refused: Version) -> Level:
    """An error for engines from ``refused`` on; those before it start with it."""
    return "error" if engine >= refused else "warning"


def _each(daemon: Map, key: str) -> Iterator[tuple[Any, Where]]:
    """The items of a list with their places, or the one value."""
    value = daemon.get(key)
    if isinstance(value, Seq):
        yield from zip(value, value.where, strict=True)
    elif value is not None:
        yield value, daemon.where[key]


def _values(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, value in daemon.items():
        if value is not None and (said := problem(name, keys()[name], value, engine)) is not None:
            yield _finding("DJ222", daemon.where[name], f"{name}: {said}")


def _mirrors(daemon: Map, engine: Version) -> Iterator[Finding]:
    for mirror, where in _each(daemon, "registry-mirrors"):
        parts = urlsplit(mirror)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            # Between these two, a URL without a host passed.
            passed = parts.scheme in ("http", "https") and (23, 0) <= engine < (28, 0)
            level: Level = "warning" if passed else "error"
            yield _finding("DJ201", where, f"{mirror!r} is no URL of a mirror", "such as https://mirror.example", level)
            continue
        if "@" in parts.netloc:
            yield _finding("DJ202", where, f"the mirror {parts.hostname} is given with credentials")
        if parts.query or parts.fragment:
            yield _finding("DJ202", where, f"the mirror {mirror} has a query or a fragment")
        elif parts.path not in ("", "/") and engine < (23, 0):
            yield _finding("DJ202", where, f"the mirror {mirror} has a path, which engines of this version refuse")


def _insecure(daemon: Map, engine: Version) -> Iterator[Finding]:
    for registry, where in _each(daemon, "insecure-registries"):
        bare = registry.partition("://")[2] or registry
        if "://" in registry:
            yield _finding("DJ219", where, f"{registry} has a scheme", f"write {bare}", "warning")
        elif not _REGISTRY.fullmatch(registry) and not _is_network(registry):
            yield _finding("DJ219", where, f"{registry} is no HOST, HOST:PORT or network")
        host = bare.partition("/")[0].partition(":")[0].lower()
        hint = nearest(host, _PUBLIC) if host not in _PUBLIC else ""
        if host in _PUBLIC:
            yield _finding("DJ218", where, f"{host} is a public registry with a certificate")
        elif hint and "." in host:
            yield _finding("DJ218", where, f"{host} looks like a public registry misspelt", hint)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _logs(daemon: Map, engine: Version) -> Iterator[Finding]:
    driver, options = daemon.get("log-driver") or "json-file", daemon.get("log-opts") or Map()
    where = daemon.where.get("log-driver") or daemon.here
    if driver not in _LOG_DRIVERS:
        if ":" not in driver and "/" not in driver and where is not None:
            yield _finding("DJ209", where, f"there is no log driver {driver}", nearest(driver, _LOG_DRIVERS) or "")
        return
    known = _LOG_DRIVERS[driver]
    for name in options:
        if known is not None and name not in known | _COMMON_LOG:
            hint = nearest(name, known) or ", ".join(sorted(known))
            yield _finding("DJ208", options.where[name], f"{driver} has no option {name}", hint)
    size = options.get("max-size")
    if isinstance(size, str) and driver in ("json-file", "local") and size != "-1" and not is_size(size):
        yield _finding("DJ208", options.where["max-size"], f"max-size {size!r} is no size such as 10m")
    if driver == "json-file" and "max-size" not in options and where is not None:
        yield _finding(
            "DJ210",
            where,
            "the logs of containers grow without a bound",
            'add "log-driver": "json-file" and "log-opts": {"max-size": "10m", "max-file": "3"}',
        )


def _storage(daemon: Map, engine: Version) -> Iterator[Finding]:
    driver = daemon.get("storage-driver") or ""
    if driver and "/" not in driver and ":" not in driver:
        where = daemon.where["storage-driver"]
        if driver not in _STORAGE:
            yield _finding("DJ211", where, f"there is no storage driver {driver}", nearest(driver, _STORAGE) or "")
            return
        gone = _STORAGE[driver]
        if gone is not None and engine >= gone:
            yield _finding("DJ211", where, f"{driver} was removed in {gone[0]}.{gone[1]}", "use overlay2")
            return
    for option, where in _each(daemon, "storage-opts"):
        name = option.partition("=")[0].lower()
        prefix = name.partition(".")[0]
        if driver and prefix != _PREFIXES.get(driver, driver):
            yield _finding("DJ212", where, f"{name} is no option of {driver}")
        elif prefix == "overlay2" and name not in _OVERLAY:
            yield _finding("DJ212", where, f"overlay2 has no option {name}", nearest(name, _OVERLAY) or "")


def _cgroups(daemon: Map, engine: Version) -> Iterator[Finding]:
    seen: str | None = None
    for option, where in _each(daemon, "exec-opts"):
        name, _, value = option.partition("=")
        if name.strip().lower() != "native.cgroupdriver":
            hint, level = nearest(name, ["native.cgroupdriver"]) or "", _since(engine, (28, 0))
            yield _finding("DJ213", where, f"{name} is no option", hint, level)
        elif value not in ("systemd", "cgroupfs"):
            yield _finding("DJ213", where, f"there is no cgroup driver {value}", "systemd or cgroupfs")
        elif seen is not None and seen != value:
            yield _finding("DJ213", where, f"the cgroup driver is given twice: {seen}, and then {value}", "", "warning")
        else:
            seen = value


def _unit(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, flag in (("hosts", "-H fd://"), ("containerd", "--containerd")):
        if daemon.get(name):
            yield _finding("DJ214", daemon.where[name], f"{name} conflicts with {flag} of docker.service")


def _isolation(daemon: Map, engine: Version) -> Iterator[Finding]:
    if daemon.get("icc") is False and daemon.get("iptables") is False:
        yield _finding("DJ215", daemon.where["icc"], "icc off needs iptables, which is off too")


def _together(daemon: Map, engine: Version) -> Iterator[Finding]:
    store = (daemon.get("features") or {}).get("containerd-snapshotter")
    if daemon.get("userns-remap") and store is True:
        where = daemon.where["userns-remap"]
        message = "userns-remap excludes the containerd image store"
        yield _finding("DJ216", where, message, level=_since(engine, (24, 0)))
    if daemon.get("live-restore") is True and daemon.get("swarm-default-advertise-addr"):
        where = daemon.where["live-restore"]
        yield _finding("DJ217", where, "live-restore is refused by a daemon in a swarm, and there are options for one")


def _paths(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, value in daemon.items():
        if keys()[name].type != "path" or not value:
            continue
        if re.search(r"\s", value):
            yield _finding("DJ220", daemon.where[name], f"{name} has a blank in it: {value!r}")
        if not value.startswith("/"):
            # 20.10 never ends to look for its mount point; later ones can't start a container from it.
            level: Level = "error" if name == "data-root" else "warning"
            yield _finding("DJ221", daemon.where[name], f"{name} is relative: {value!r}", level=level)


def _runtimes(daemon: Map, engine: Version) -> Iterator[Finding]:
    runtimes = daemon.get("runtimes") or Map()
    for name, runtime in runtimes.items():
        where = runtimes.where[name]
        if name == "runc":
            yield _finding("DJ223", where, "runc is docker's own runtime", "give yours another name")
        elif not isinstance(runtime, dict) or not (runtime.get("path") or runtime.get("runtimeType")):
            yield _finding("DJ223", where, f"the runtime {name} has no path", level=_since(engine, (23, 0)))
    default = daemon.get("default-runtime")
    if default and default not in {*runtimes, "runc", "io.containerd.runc.v2"}:
        yield _finding("DJ223", daemon.where["default-runtime"], f"there is no runtime {default} in `runtimes`")


def _labels(daemon: Map, engine: Version) -> Iterator[Finding]:
    values: dict[str, str] = {}
    for label, where in _each(daemon, "labels"):
        name, equals, value = label.partition("=")
        if not equals or not name:
            yield _finding("DJ224", where, f"{label!r} is no KEY=VALUE")
        elif values.setdefault(name, value) != value:
            yield _finding("DJ224", where, f"the label {name} has two values: {values[name]} and {value}")


_CHECKS = (
    _values,
    _mirrors,
    _insecure,
    networks,
    _logs,
    _storage,
    _cgroups,
    _unit,
    _isolation,
    _together,
    _paths,
    _runtimes,
    _labels,
)
