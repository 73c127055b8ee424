"""Log drivers, their options, and logs without a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from provision.engine.keys import Version
from provision.errors import Where
from provision.lint.finding import Finding
from provision.lint.reading import Target, number
from provision.lint.rules import finding
from provision.lint.shapes import is_duration
from provision.lint.values import is_size, is_switch
from provision.text.yamlfile import Map, nearest


class Driver(Struct, frozen=True):
    """``options`` that ValidateLogOpt knows, and those for labels (``labelled``). ``until``: the first engine without
    the driver. ``newer``: options that were added later. ``needs``: options without which no container starts.
    ``values``: checks of this driver alone."""

    options: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    until: Version | None = None
    newer: dict[str, Version] = {}
    gone: dict[str, Version] = {}
    values: dict[str, str] = {}

    @property
    def known(self) -> tuple[str, ...]:
        return (*self.labelled, *self.options)


class _Table(Struct, frozen=True):
    common: tuple[str, ...]
    aliases: tuple[str, ...]
    info: tuple[str, ...]
    drivers: dict[str, Driver]
    values: dict[str, str | tuple[str, ...]]


_TABLE = msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=_Table)
_DRIVERS = _TABLE.drivers
_LIKE = re.compile(r"[^a-z0-9]")


def logs(daemon: Map, target: Target) -> Iterator[Finding]:
    name, options = daemon.get("log-driver") or "json-file", daemon.get("log-opts") or Map()
    where = daemon.where.get("log-driver") or daemon.where.get("log-opts") or daemon.here
    if where is None or name == "none":
        return
    driver = _DRIVERS.get(name)
    if driver is None:
        yield from _unknown(name, where)
        return
    if driver.until is not None and target.engine >= driver.until:
        yield finding("DJ209", where, f"log driver {name} was removed in {driver.until[0]}.{driver.until[1]}")
        return
    yield from _names(name, driver, options, target.engine)
    for needed in driver.needs:
        if not options.get(needed):
            yield finding("DJ208", where, f'log driver {name} needs log-opts "{needed}"')
    for option, value in options.items():
        check = driver.values.get(option) or _TABLE.values.get(option)
        if option == "fluentd-address" and target.engine < (23, 0):
            value = re.sub(r"^(tcp://[^/]*)/.*", r"\1", value)  # the path was ignored
        if (value or option == "max-size") and check is not None and (wrong := _wrong(value, check)) is not None:
            yield finding("DJ208", options.where[option], f'log-opts.{option} "{value}" {wrong}')
    yield from _modes(options)
    yield from _together(name, options, target.engine)
    if name == "json-file" and "max-size" not in options:
        alone = ", unless the host has a daemon.json" if target.in_spec and not daemon else ""
        yield finding(
            "DJ210",
            where,
            f"the logs of containers grow without a limit{alone}",
            'add "log-driver": "json-file" and "log-opts": {"max-size": "10m", "max-file": "3"}',
        )


def _unknown(name: str, where: Where) -> Iterator[Finding]:
    """The name of a plugin is the author's choice, or an alias that the operator chose when it was installed."""
    if ":" in name or "/" in name or name in _TABLE.aliases:
        return
    plain = _LIKE.sub("", name.lower())
    meant = next((one for one in _DRIVERS if _LIKE.sub("", one) == plain), None)
    hint = f'did you mean "{meant}"?' if meant else nearest(name, _DRIVERS)
    if hint:
        yield finding("DJ209", where, f'log-driver "{name}" does not exist', hint)
    else:
        message = f'log-driver "{name}" is not built in: dockerd starts only where a plugin of that name is installed'
        yield finding("DJ209", where, message, ", ".join(_DRIVERS), "warning")


def _names(name: str, driver: Driver, options: Map, engine: Version) -> Iterator[Finding]:
    for option in options:
        where = options.where[option]
        came, gone = driver.newer.get(option), driver.gone.get(option)
        if came is not None and engine < came:
            message = f"log-opts.{option} came with {came[0]}.{came[1]}"
            yield finding("DJ208", where, message)
        elif gone is not None and engine >= gone:
            message = f"log-opts.{option} was removed in {gone[0]}.{gone[1]}"
            yield finding("DJ208", where, message, f"use {option.removesuffix('-connect')}")
        elif option not in driver.known + _TABLE.common:
            hint = nearest(option, driver.known) or ", ".join(sorted(driver.known))
            yield finding("DJ208", where, f"log driver {name} has no option {option}", hint)


def _modes(options: Map) -> Iterator[Finding]:
    mode, size = options.get("mode") or "", options.get("max-buffer-size")
    if mode not in ("", "blocking", "non-blocking"):
        where = options.where["mode"]
        yield finding("DJ208", where, f'log-opts.mode "{mode}" must be "blocking" or "non-blocking"')
    elif size is not None and mode != "non-blocking":
        message = 'log-opts.max-buffer-size needs log-opts.mode "non-blocking"'
        yield finding("DJ208", options.where["max-buffer-size"], message)


def _together(name: str, options: Map, engine: Version) -> Iterator[Finding]:
    """The combined effect of two options, or of an option and the absence of another."""
    if name == "json-file":
        files, size = options.get("max-file") or "1", options.get("max-size") or "-1"
        rotated = size not in ("-1", "") and (number(files) or 0) >= 2
        if options.get("compress") in _TRUE and not rotated:
            message = 'log-opts.compress needs "max-size" and a "max-file" of at least "2"'
            yield finding("DJ208", options.where["compress"], message)
        if "max-size" not in options and "max-file" in options and files not in ("1",):
            message = "log-opts.max-file has no effect without max-size"
            yield finding("DJ208", options.where["max-file"], message, level="warning")
    if name == "local" and options.get("max-file") in ("0", "1") and options.get("compress", "true") in ("", *_TRUE):
        message = f'log-opts.max-file "{options["max-file"]}" needs log-opts.compress "false" with the driver local'
        yield finding("DJ208", options.where["max-file"], message)
    if name == "awslogs" and options.get("awslogs-datetime-format") and options.get("awslogs-multiline-pattern"):
        message = "log-opts.awslogs-datetime-format and awslogs-multiline-pattern exclude each other"
        yield finding("DJ208", options.where["awslogs-multiline-pattern"], message)
    if name == "gelf":
        scheme = (options.get("gelf-address") or "").partition("://")[0].lower()
        for option, only in (
            ("gelf-compression-level", "udp"),
            ("gelf-compression-type", "udp"),
            ("gelf-tcp-max-reconnect", "tcp"),
            ("gelf-tcp-reconnect-delay", "tcp"),
        ):
            if option in options and scheme in ("udp", "tcp") and scheme != only:
                message = f"log-opts.{option} is only for a gelf-address that begins with {only}://"
                yield finding("DJ208", options.where[option], message)


_TRUE = ("1", "t", "T", "true", "TRUE", "True")


def _wrong(value: str, check: str | tuple[str, ...]) -> str | None:
    """Why a value fails the check that the table names; a list has the allowed values."""
    if isinstance(check, tuple):
        return None if value in check else f"must be one of {', '.join(check)}"
    if check in _CHECKS:
        return _CHECKS[check](value)
    fits, said = _KINDS[check]
    return None if fits(value) else said


_FACILITY = re.compile(r"kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7]|[01]?\d|2[0-3]")
#: Words of the table -> the check, and what is wrong with a value that fails it.
_KINDS: dict[str, tuple[Callable[[str], object], str]] = {
    "size": (is_size, "is not a size such as 10m"),
    "switch": (is_switch, 'must be "true" or "false"'),
    "count": (lambda value: value.isascii() and value.isdigit(), "is not a number"),
    "duration": (is_duration, "is not a duration such as 1s"),
    "level": (re.compile(r"-1|\d").fullmatch, "must be a number from -1 to 9"),
    "facility": (_FACILITY.fullmatch, "is not a syslog facility such as daemon or local0"),
}


def _log_size(value: str) -> str | None:
    if not is_size(value):
        return "is not a size such as 10m"
    return "must be more than 0" if float(re.match(r"[\d.]*", value)[0] or 0) == 0 else None  # type: ignore[index]


def _files(value: str) -> str | None:
    if (found := number(value)) is None:
        return "must be a number of files of at least 1"
    return None if found >= 1 else "must be at least 1"


def _port(value: str, schemes: tuple[str, ...], need_port: bool = False) -> str | None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "has a port that is not a number from 0 to 65535"
    if parts.scheme not in schemes or "://" not in value:
        return f"must begin with {', '.join(f'{one}://' for one in schemes)}"
    return "needs a port" if need_port and port is None else None


def _fluentd(value: str) -> str | None:
    wrong = _port(value if "://" in value else f"tcp://{value}", ("tcp", "tls", "unix"))
    if wrong is None and not value.startswith("unix") and urlsplit(f"//{value.partition('://')[2] or value}").path:
        return "must not have a path"
    return wrong


def _splunk(value: str) -> str | None:
    if (wrong := _port(value, ("http", "https"))) is not None:
        return wrong
    parts = urlsplit(value)
    if parts.path not in ("", "/") or parts.query or parts.fragment or not parts.netloc:
        return "must be only scheme://host:port"
    return None


def _tag(value: str) -> str | None:
    """A Go template with the fields and methods of logger.Info (moby, daemon/logger/loginfo.go)."""
    for part in value.split("{{")[1:]:
        action, end, _ = part.partition("}}")
        if not end:
            return "has {{ without }}"
        for name in re.findall(r"(?:^|[\s(|])\.([A-Za-z]\w*)", re.sub(r'"[^"]*"|`[^`]*`', "", action)):
            if name not in _TABLE.info:
                return f"has no field .{name}: {nearest(name, _TABLE.info) or ', '.join(sorted(_TABLE.info))}"
    return None


#: Checks that say what is wrong themselves.
_CHECKS: dict[str, Callable[[str], str | None]] = {
    "log size": _log_size,
    "files": _files,
    "tag": _tag,
    "fluentd": _fluentd,
    "splunk": _splunk,
    "syslog": lambda value: _port(value, ("udp", "tcp", "tcp+tls", "unix", "unixgram")),
    "gelf": lambda value: _port(value, ("udp", "tcp"), need_port=True),
}
