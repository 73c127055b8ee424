"""Log drivers, their options, and logs without a bound."""

from __future__ import annotations

from collections.abc import Iterator

from provision.dockerd.daemon_keys import Version
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.lint.values import is_size
from provision.text.yamlfile import Map, nearest

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


def logs(daemon: Map, engine: Version) -> Iterator[Finding]:
    driver, options = daemon.get("log-driver") or "json-file", daemon.get("log-opts") or Map()
    where = daemon.where.get("log-driver") or daemon.here
    if driver not in _LOG_DRIVERS:
        if ":" not in driver and "/" not in driver and where is not None:
            yield finding("DJ209", where, f"there is no log driver {driver}", nearest(driver, _LOG_DRIVERS) or "")
        return
    known = _LOG_DRIVERS[driver]
    for name in options:
        if known is not None and name not in known | _COMMON_LOG:
            hint = nearest(name, known) or ", ".join(sorted(known))
            yield finding("DJ208", options.where[name], f"{driver} has no option {name}", hint)
    size = options.get("max-size")
    if isinstance(size, str) and driver in ("json-file", "local") and size != "-1" and not is_size(size):
        yield finding("DJ208", options.where["max-size"], f"max-size {size!r} is no size such as 10m")
    if driver == "json-file" and "max-size" not in options and where is not None:
        yield finding(
            "DJ210",
            where,
            "the logs of containers grow without a bound",
            'add "log-driver": "json-file" and "log-opts": {"max-size": "10m", "max-file": "3"}',
        )
