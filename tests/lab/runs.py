"""Runs on a lab host: runs that continue while the test acts, and what they leave."""

from __future__ import annotations

import shlex
import subprocess
import sys

from tests.lab.conftest import LabHost

RUNS = "/var/lib/provision/runs"
#: What must be removed when a run is over.
LEFTOVERS = (
    "find /run/provision/queue -size +0 2>/dev/null; "
    "ls -d /run/provision/lock* /run/provision/step.* /run/provision/written.* /etc/systemd/system/provision-undo-* "
    "/etc/systemd/system/timers.target.wants/provision-undo-* /etc/.provision.* /etc/docker/.provision.* "
    "/etc/sysctl.d/.provision.* /var/lib/provision/manifests/.provision.* 2>/dev/null || true"
)


#: The arguments of systemctl that restart docker.
RESTART = "*restart*docker*"


def hold(host: LabHost, program: str, words: str = "*") -> None:
    """Until :func:`release`, a program of the host waits where its arguments match the shell pattern ``words``, so that
    no run ends before the test has acted."""
    script = (
        f'#!/bin/sh\ncase "$*" in {words}) until [ -e /tmp/continue ]; do sleep 0.1; done ;; esac\n'
        f'exec "$(PATH=/usr/sbin:/usr/bin command -v {program})" "$@"\n'
    )
    path = f"/usr/local/sbin/{program}"
    host.sh(f"rm -f /tmp/continue; printf %s {shlex.quote(script)} >{path}; chmod +x {path}")


def release(*hosts: LabHost) -> None:
    for host in hosts:
        host.sh("touch /tmp/continue")


def leftovers(host: LabHost) -> str:
    return host.sh(LEFTOVERS)


def receipt(host: LabHost) -> str:
    """The result of the newest run, as the host has it."""
    return host.sh(f"cat $(ls -d {RUNS}/* | tail -n 1)/result")


def start(host: LabHost, *words: str) -> subprocess.Popen[str]:
    """An apply that continues while the test acts."""
    argv = [sys.executable, "-m", "provision", "apply", "-i", str(host.folder / "inventory.yml")]
    argv += [str(host.folder / "site.yml"), "--json", "--yes", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until(host: LabHost, condition: str, seconds: int = 60) -> None:
    """Wait until a command succeeds. It runs inside the host, because the host may be cut off from the network."""
    host.within(f"for n in $(seq {seconds * 5}); do {condition} && exit 0; sleep 0.2; done; exit 1")


def sleeper(host: LabHost) -> None:
    """An image that needs no registry: sleep, and the libraries that it is linked to."""
    host.sh(
        "mkdir -p /tmp/image/bin && cd /tmp/image && cp -L /bin/sleep bin/ && "
        "for f in $(ldd /bin/sleep | grep -o '/[^ )]*'); do mkdir -p .${f%/*}; cp -L $f .$f; done; "
        "tar -c . | docker import - sleeper:1"
    )
