"""The report of a running daemon. provision asks once per host and run, because an answer takes a tenth of a second."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

from provision.verify.once import Once
from provision.verify.services import dockerd, uses_systemd

_INFO: Once[Any] = Once()

# The client starts every plugin that it finds, only to list them, which takes longer than the answer. In a separate
# mount namespace (unshare(1)) it finds no plugin. If that namespace can't be made, the client runs without one.
_INFO_COMMAND = """
docker_info="docker info --format '{{json .}}'"
bound=
! command -v timeout >/dev/null || bound="timeout -s KILL 30"
$bound unshare --mount sh -c "
    for folder in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do
        folder=\\$folder/docker/cli-plugins
        [ ! -d \\$folder ] || mount -t tmpfs none \\$folder || exit 1
    done
    exec $docker_info" 2>/dev/null || eval "$docker_info"
"""


def info(host: Host) -> Any:
    """`docker info` as JSON (moby, api/types/system/info.go)."""
    return _INFO.of(host, _info)


def _info(host: Host) -> Any:
    found = ask(host, _INFO_COMMAND)
    # Without a daemon the client prints an empty answer and succeeds.
    assert found.get("ServerVersion"), found.get("ServerErrors") or "the daemon does not answer"  # noqa: S101
    return found


def ask(host: Host, command: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(host.check_output(command))


def started(host: Host) -> int:
    """The latest possible time of the daemon's start: seconds since 1970. `ps` counts whole seconds, so one is
    added."""
    now, age = host.check_output("date +%%s; ps -o etimes= -p %s", dockerd(host)).split()
    return int(now) - int(age) + 1


def reloaded(host: Host, since: int) -> bool:
    """True if the daemon has reloaded its file after ``since`` (seconds since 1970), by its own events and then by its
    log. The daemon keeps only the last 256 events."""
    now = host.check_output("date +%s")
    events = "docker events --since %s --until %s --filter type=daemon --filter event=reload --format x"
    if host.check_output(events, str(since), now):
        return True
    log = f"journalctl -q -u docker --since @{since} -o cat | grep -c '^.*Reloaded configuration'"
    return uses_systemd(host) and host.run(log).stdout.strip() not in ("", "0")


def is_pinned(version: str, pin: str) -> bool:
    """True if the daemon's version is that of a package's pin, with or without epoch and revision."""
    pin = pin.rpartition(":")[2].partition("-")[0]
    return version == pin or version.startswith((f"{pin}.", f"{pin}+"))
