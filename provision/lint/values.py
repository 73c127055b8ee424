"""The valid values of a key of daemon.json, where dockerd requires more than the type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

from provision.engine.keys import Key, Version, keys
from provision.lint import shapes
from provision.lint.finding import Finding
from provision.lint.reading import Target, each, number, since
from provision.lint.rules import NAMES, finding
from provision.text.yamlfile import Map, nearest

#: github.com/docker/go-units, RAMInBytes (size.go, parseSize): the number, one blank at most, the unit.
_SIZE = re.compile(r"\d+(\.\d+)? ?([kmgtp]i?b?|b)?", re.IGNORECASE)
#: Go's strconv.ParseBool.
_SWITCHES = frozenset(("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"))
#: moby, daemon/pkg/opts/opts.go, ValidateDNSSearch.
#: Its two optional colons are one range here: two ways to match one colon would be 2^n ways for n labels.
_LABEL = r":{0,2}[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?::?\.{_LABEL})*\.?\s*")
#: moby v29.7.2, daemon/config/config.go, MinAPIVersion and MaxAPIVersion.
_APIS = ((1, 24), (1, 55))

Wrong = str | None


def is_size(text: str) -> bool:
    return _SIZE.fullmatch(text) is not None


def is_switch(text: str) -> bool:
    return text in _SWITCHES


def values(daemon: Map, target: Target) -> Iterator[Finding]:
    """Keys whose value dockerd refuses, each at its place."""
    for name, value in daemon.items():
        if value is None:
            continue
        where = daemon.where[name]
        if (said := problem(name, keys()[name], value, target.engine)) is not None:
            # Before 28.0 the port was not checked.
            level = since(target.engine, (28, 0)) if name == "network-diagnostic-port" else None
            yield finding("DJ222", where, f"{name} {said}", level=level)
    for name, check in _ITEMS.items():
        for item, where in each(daemon, name):
            if (said := check(item, target.engine)) is not None:
                yield finding("DJ222", where, f"{name} {said}")
    yield from _ulimits(daemon)
    yield from _resources(daemon)
    yield from _gateways(daemon)
    period, runtime = daemon.get("cpu-rt-period") or 0, daemon.get("cpu-rt-runtime") or 0
    if period and runtime and runtime > period:
        message = f"cpu-rt-runtime {runtime} is above cpu-rt-period {period}"
        yield finding("DJ222", daemon.where["cpu-rt-runtime"], message)


def problem(name: str, key: Key, value: Any, engine: Version) -> Wrong:
    """Why dockerd does not take the value; ``None`` when it does."""
    if isinstance(key.type, tuple):
        return None if value in ("", *key.type) else f'"{value}" is not one of {", ".join(key.type)}'
    if name == "userns-remap" and value.count(":") > 1:
        return f'"{value}" is not USER or USER:GROUP'  # moby, daemon/daemon_unix.go, parseRemappedRoot
    if name == "log-level":
        return _log_level(value, engine)
    if name == "max-download-attempts" and value == 0 and engine >= (23, 0):
        return None  # the same as no value
    if name == "mtu" and value == 0:
        return None
    least, most = key.range
    if (least is not None and value < least) or (most is not None and value > most):
        return f"{value} is out of range: {least} to {most}" if most else f"{value} must be at least {least}"
    if key.type == "address":
        return _address(value)
    if key.type == "size":
        return None if is_size(value) else f'"{value}" is not a size such as "64M"'
    if name == "metrics-addr" and value:
        return _metrics(value)
    if name == "min-api-version":
        return _api_version(value)
    if name == "seccomp-profile" and value in ("builtin", "unconfined") and engine < (23, 0):
        return f'"{value}" came with 23.0; before that it is a path'
    if name == "bridge-accept-fwmark" and value:
        return _mark(value)
    return None


def _address(text: str) -> Wrong:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return f'"{text}" is not an IP address' if text else None
    return None


def _log_level(value: str, engine: Version) -> Wrong:
    levels = ("panic", "fatal", "error", "warn", "info", "debug", "trace")
    also = ("warning",) if engine < (25, 0) else ()
    known = value in ("", *levels) or value.lower() in (*levels, *also)
    return None if known else f'"{value}" is not one of {", ".join(levels)}'


def _metrics(value: str) -> Wrong:
    match = re.fullmatch(r"(.*):([^:]*)", value)
    if match is None:
        return f'"{value}" is not ADDRESS:PORT'
    port = match[2]
    return None if (found := number(port)) is not None and found <= 65535 else f'"{value}" has a bad port: {port}'


def _api_version(value: str) -> Wrong:
    if value == "":
        return None
    lowest, highest = _APIS
    span = f"{lowest[0]}.{lowest[1]} to {highest[0]}.{highest[1]}"
    if value[:1] in "vV":
        return f'"{value}" must not begin with v: "{value[1:]}"'
    match = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})", value)
    if match is None:
        return f'"{value}" is not an API version: {span}'
    return None if lowest <= (int(match[1]), int(match[2])) <= highest else f'"{value}" is out of range: {span}'


def _mark(value: str) -> Wrong:
    for part in value.split("/", 1):
        try:
            number = int(part, 0)
        except ValueError:
            return f'"{value}" is not a mark such as 0x1/0x3'
        if not 0 <= number < 2**32:
            return f'"{value}" is not a mark of 32 bits'
    return None


def _dns(value: str, engine: Version) -> Wrong:
    if engine < (23, 0):
        value = value.strip(" ") or value  # dockerd trimmed it
    if "%" in value and engine < (29, 0):
        return f'"{value}" has a zone, which engines before 29.0 refuse'
    if value == "":
        return '"" is not an IP address' if engine < (29, 0) else None  # 29 leaves it out
    return _address(value)


def _dns_search(value: str, engine: Version) -> Wrong:
    text = value.strip(" ")
    if text == "." or (re.search("[a-zA-Z]", text) and _DOMAIN.fullmatch(text)):
        return None
    return f'"{value}" is not a domain: letters, digits, hyphens and dots'


def _resource(value: str, engine: Version) -> Wrong:
    return None if "=" in value else f'"{value}" is not NAME=VALUE'


_ITEMS: dict[str, Callable[[str, Version], Wrong]] = {
    "dns": _dns,
    "host-gateway-ips": lambda value, engine: _address(value),
    "dns-search": _dns_search,
    "node-generic-resources": _resource,
}


def _gateways(daemon: Map) -> Iterator[Finding]:
    families: set[int] = set()
    for item, where in each(daemon, "host-gateway-ips"):
        if _address(item) is not None or not item:
            continue
        family = ipaddress.ip_address(item).version
        if family in families:
            yield finding("DJ222", where, f'host-gateway-ips "{item}" is a second IPv{family} address')
        families.add(family)


def _resources(daemon: Map) -> Iterator[Finding]:
    """A resource has one number, or names (moby, daemon/config/opts.go, ParseGenericResources)."""
    named: set[str] = set()
    numbered: set[str] = set()
    for item, where in each(daemon, "node-generic-resources"):
        name, _, value = item.partition("=")
        if value.isdigit():
            numbered.add(name)
        if name in named and name in numbered:
            message = f'node-generic-resources "{item}": {name} is given as a number once, or as a list of names'
            yield finding("DJ222", where, message)
        named.add(name)


def _ulimits(daemon: Map) -> Iterator[Finding]:
    limits = daemon.get("default-ulimits") or Map()
    for name, limit in limits.items():
        if not isinstance(limit, dict):
            yield finding("DJ222", limits.where[name], f"default-ulimits.{name} must not be null")
            continue
        given = {shapes.field(key, {"Name": 0, "Soft": 0, "Hard": 0}): value for key, value in limit.items()}
        where = limits.where[name]
        called = given.get("Name") or ""
        if not called:
            yield finding("DJ222", where, f'default-ulimits.{name} needs "Name": "{name}"')
        elif called not in NAMES["ulimits"]:
            yield finding(
                "DJ222", where, f'default-ulimits.{name}: unknown limit "{called}"', nearest(called, NAMES["ulimits"])
            )
        elif called != name:
            message = f'default-ulimits.{name} has the name "{called}", and dockerd sets the limit of that name'
            yield finding("DJ222", where, message, level="warning")
        soft, hard = given.get("Soft") or 0, given.get("Hard") or 0
        if hard != -1 and soft > hard:
            message = f"default-ulimits.{name}: the soft limit {soft} is above the hard limit {hard}"
            yield finding("DJ222", where, message)
