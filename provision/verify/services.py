"""The host's service manager: systemd or OpenRC."""

from __future__ import annotations

from testinfra.host import Host

# A command that runs after some seconds, even when provision is killed: systemd-run(1), or a separate process.
LATER = """
later() { # SECONDS NAME COMMAND
    if [ -d /run/systemd/system ]; then
        systemd-run -q --on-active="$1" --unit="$2" /bin/sh -c "$3"
    else
        touch "/run/$2"
        setsid sh -c "sleep $1; [ ! -e '/run/$2' ] || { rm -f '/run/$2'; $3; }" >/dev/null 2>&1 </dev/null &
    fi
}
"""


def never(name: str) -> str:
    """The shell command that cancels every ``later`` whose name begins with ``name``."""
    return f"if [ -d /run/systemd/system ]; then systemctl stop '{name}*.timer'; else rm -f /run/{name}*; fi"


def uses_systemd(host: Host) -> bool:
    return bool(host.file("/run/systemd/system").is_directory)


def dockerd(host: Host) -> str:
    """The pid of the daemon, from its own file (dockerd's option ``pidfile``)."""
    return str(host.check_output("cat /run/docker.pid"))


def restart_docker(host: Host) -> None:
    """Docker's unit allows three starts a minute; this restart must not exceed the limit. OpenRC lists docker as
    started before it answers."""
    if uses_systemd(host):
        host.check_output("systemctl reset-failed docker; systemctl restart docker")
    else:
        wait = "for n in $(seq 60); do docker version >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1"
        host.check_output(f"rc-service docker restart && {{ {wait}; }}")
