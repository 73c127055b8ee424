"""Faults of a host during a change: each ends in one clear error, the host as before, and exit 3. And no run writes a
secret to disk."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.lab import faulty
from tests.lab.conftest import LAB, LabHost, Outcome, engine, slow_package
from tests.lab.runs import leftovers

#: Everything that a change could have touched, with all metadata of a file.
HASH = (
    "{ find /etc /usr/bin /usr/sbin /var/lib/dpkg/status -xdev -type f ! -name resolv.conf "
    "! -name '*.cache' -exec sha256sum {} + ; find /etc -xdev -printf '%p %m %u %g\\n'; dpkg-query -W; "
    "cat /proc/sys/net/ipv4/conf/all/rp_filter; docker info --format '{{.Labels}}' 2>/dev/null; } | sort | sha256sum"
)

SPEC: dict[str, Any] = {
    "sysctl": {"net.ipv4.conf.all.rp_filter": 2},
    "files": {"/etc/one": {"content": "declared\n"}, "/etc/app/two": {"content": "declared\n" * 4000}},
    "packages": ["tree"],
}

#: A `sync` that can't write files to disk.
_SYNC = '#!/bin/sh\n[ "$*" != "-- /" ] || exit 0\necho "sync: Input/output error" >&2\nexit 1'

FAULTS = {
    "read-only /etc": ("mount --bind -o ro /etc /etc", "umount /etc", "Read-only file system"),
    "read-only /var/lib/provision": (
        "mkdir -p /var/lib/provision; mount -t tmpfs -o ro,mode=700 none /var/lib/provision",
        "umount /var/lib/provision",
        "Read-only file system",
    ),
    "no room for the record": (
        "mkdir -p /var/lib/provision; mount -t tmpfs -o size=56k,mode=700 none /var/lib/provision",
        "umount /var/lib/provision",
        "No space left on device",
    ),
    "no room for a file": (
        "mkdir /etc/app; mount -t tmpfs -o size=8k none /etc/app",
        "umount /etc/app",
        "cannot write the complete file",
    ),
    "a package manager that was interrupted": (
        "touch /var/lib/dpkg/updates/0001",
        "rm /var/lib/dpkg/updates/0001",
        "dpkg --configure -a",
    ),
    "a disk that can't be synced": (
        f"printf '%s\\n' {shlex.quote(_SYNC)} >/usr/local/bin/sync; chmod +x /usr/local/bin/sync",
        "rm /usr/local/bin/sync",
        "Input/output error",
    ),
    "no place for the rollback": (
        "mount --bind -o ro /etc/systemd/system /etc/systemd/system",
        "umount /etc/systemd/system",
        "could not be armed",
    ),
    "an archive that does not answer": (
        "sed -i.bak 's,http://[^/]*,http://198.51.100.1:9,' /etc/apt/sources.list.d/debian.sources",
        "mv /etc/apt/sources.list.d/debian.sources.bak /etc/apt/sources.list.d/debian.sources",
        "onnection refused",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_host_leaves_it_as_it_was(host: LabHost, fault: str) -> None:
    break_script, repair_script, message = FAULTS[fault]
    if "archive" in fault:
        host.sh("rm -rf /var/lib/apt/lists/*")
    host.sh(break_script)
    before = host.sh(HASH)
    outcome = host.apply(SPEC)
    assert outcome.code == 3
    error = outcome.done["error"]
    assert error["kind"] in ("step", "record")
    assert message in outcome.out, "the error quotes the program"
    after = host.sh(HASH)
    last = error.get("detail", "").strip().splitlines()[-1:]
    print(f"\n{fault}: exit {outcome.code}, {error['kind']}: {error['message']}: {last}")
    print(f"  before {before[:16]}, after {after[:16]}")
    assert after == before
    host.sh(repair_script)
    assert host.apply().counts == {"changed": 1}
    assert host.apply().counts == {"ok": 1}


def test_a_disk_that_gets_full_during_a_run(host: LabHost) -> None:
    """In an earlier version the host rolled back, but the controller asked for the result until the deadline."""
    host.sh("mkdir -p /var/lib/provision; mount -t tmpfs -o size=400k,mode=700 none /var/lib/provision")
    # The service first fills the disk, and then prints as much as a frame may hold.
    fills = "cat /dev/zero >/var/lib/provision/fill; head -c 6000 /dev/zero | tr '\\0' x; exit 1"
    unit = f'[Service]\nType=oneshot\nExecStart=/bin/sh -c "{fills}"\n'
    host.sh(f"printf '%s' {shlex.quote(unit)} >/etc/systemd/system/filler.service; systemctl daemon-reload")
    before = host.sh(HASH)
    spec = {"files": {"/etc/one": {"content": "declared\n"}}, "services": {"filler": {"running": True}}}
    outcome = host.apply(spec, "--deadline", "90")
    error = outcome.done["error"]
    print(f"\nexit {outcome.code}, {error['kind']}: {error['message']}")
    assert (outcome.code, outcome.done["status"], error["kind"]) == (3, "rolled_back", "step"), outcome.out
    assert host.sh("ls /etc/one 2>&1 || :") == "ls: cannot access '/etc/one': No such file or directory"
    assert host.sh(HASH) == before
    host.sh("umount /var/lib/provision; rm /etc/systemd/system/filler.service")


def test_each_fault_of_a_mirror_is_an_error(host: LabHost) -> None:
    """Half a package, a package that differs from its index, no package; an altered index and an altered key."""
    assert host.apply({"packages": ["gpg"]}).code == 0, "gpg, which checks the key, must be installed"
    # The distribution's own timeouts are minutes.
    host.sh('printf \'Acquire::http::Timeout "2"; Acquire::Retries "0";\\n\' >/etc/apt/apt.conf.d/99impatient')
    before = host.sh(HASH)
    cases = [(fault, ".deb") for fault in faulty.FAULTS] + [("altered", "/InRelease"), ("altered", "/gpg")]
    for fault, suffix in cases:
        with faulty.serving(fault, suffix) as url:
            outcome = host.apply({"engine": {**engine(), "package_mirror": url}})
        error = outcome.done["error"]
        print(f"{fault:10} {suffix:12} exit {outcome.code}: {error['message']}: {error['detail'].strip()[-300:]}")
        assert (outcome.code, error["kind"]) == (3, "step"), outcome.out
        assert host.sh(HASH) == before
        assert leftovers(host) == ""
    assert host.apply({"engine": engine()}).counts == {"changed": 1}


def test_an_interrupted_dpkg_is_finished_with_repair_packages(host: LabHost) -> None:
    slow_package(host, "[ -e /tmp/go ] || sleep 600")
    host.sh(
        "(dpkg -i /tmp/slow.deb >/dev/null 2>&1 &); "
        "until pgrep -x sleep >/dev/null; do sleep 0.1; done; pkill -9 -x dpkg; pkill -9 -x sleep; touch /tmp/go"
    )
    before = host.sh(HASH)
    outcome = host.apply({"packages": ["tree"]})
    assert (outcome.code, outcome.done["error"]["step"]) == (3, "packages:all pkg_whole")
    assert "apply --repair-packages" in outcome.out
    assert "slow" in outcome.done["error"]["detail"]
    assert host.sh(HASH) == before, "the option is offered, and dpkg is not changed"
    assert host.apply(None, "--repair-packages").counts == {"changed": 1}
    assert host.sh("dpkg --audit; command -v tree") == "/usr/bin/tree"


def test_a_daemon_that_dies_after_its_start_is_rolled_back(docker_host: LabHost) -> None:
    host = docker_host
    # dockerd dies half a second after its start, with this daemon.json only.
    soon = "systemd-run -q --on-active=0.5 --timer-property=AccuracySec=10ms"
    dies = f"grep -q doomed /etc/docker/daemon.json && {soon} kill -9 $MAINPID"
    started = shlex.quote(f"ExecStartPost=-/bin/sh -c '{dies}'")
    host.sh(
        "mkdir -p /etc/systemd/system/docker.service.d; "
        f"printf '%s\\n' '[Service]' {started} >/etc/systemd/system/docker.service.d/doomed.conf; "
        "systemctl daemon-reload; systemctl restart docker"
    )
    assert host.apply({"engine": engine()}).code == 0
    before = host.sh(HASH)
    outcome = host.apply({"engine": engine(labels=["doomed=1"], icc=False)})
    assert (outcome.code, outcome.counts) == (3, {"rolled_back": 1})
    assert outcome.done["error"]["kind"] == "unhealthy"
    assert "docker started, and stopped again" in outcome.done["error"]["message"]
    assert host.sh(HASH) == before
    assert host.docker_info("ServerVersion")
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_mirror_whose_name_does_not_resolve_is_an_error(docker_host: LabHost) -> None:
    host, before = docker_host, docker_host.sh(HASH)
    spec = {"engine": {**engine(**{"registry-mirrors": ["http://mirror.example:5000"]}), "health": {"mirrors": True}}}
    outcome = host.apply(spec)
    assert (outcome.counts, outcome.done["error"]["kind"]) == ({"rolled_back": 1}, "unhealthy")
    assert "mirror.example does not resolve" in outcome.done["error"]["message"]
    assert host.sh(HASH) == before
    host.sh("echo 198.51.100.9 mirror.example >>/etc/hosts")
    assert host.apply().counts == {"changed": 1}


CANARY = "canary+4f9a/7c%1d=e"


def forms(value: str) -> list[bytes]:
    data = value.encode()
    return [data, base64.b64encode(data), data.hex().encode(), urllib.parse.quote(value, safe="").encode()]


def leaks(found: dict[str, bytes]) -> list[str]:
    return [name for name, data in found.items() if any(form in data for form in forms(CANARY))]


_WATCH = (
    "nohup sh -c 'while [ ! -e /tmp/stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done' "
    ">/tmp/watched 2>/dev/null </dev/null &"
)


def written(host: LabHost, outcome: Outcome) -> dict[str, bytes]:
    """Every file that a run has written, on host and controller, except the file that holds the secret on purpose."""
    found = {"output": outcome.out.encode(), "errors": outcome.err.encode()}
    for path in (host.folder / ".provision").rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes()
    host.sh("touch /tmp/stop; sleep 0.5")
    script = "tar -c /var/lib/provision /run/provision /tmp /var/log /etc/systemd/system 2>/dev/null; journalctl -q"
    found["host"] = subprocess.run([*LAB.ssh(host.name), script], capture_output=True, check=False).stdout
    return found


def test_no_file_on_host_or_controller_has_the_secret(docker_host: LabHost) -> None:
    host = docker_host
    host.sh(_WATCH)
    (host.folder / "group_vars").mkdir()
    (host.folder / "group_vars/all.yml").write_text("password: !secret {env: CANARY}\n")
    (host.folder / "templates").mkdir()
    (host.folder / "templates/app.j2").write_text("password {{ password }}\n")
    spec = {
        "files": {
            "/etc/app": {"content": "password {{ password }}\n", "mode": "0600"},
            "/etc/app2": {"template": "app.j2", "mode": "0600"},
        },
        "engine": engine(labels=["a=1"]),
    }
    os.environ["CANARY"] = CANARY
    watched: list[bytes] = []
    try:
        host.playbook({"spec": spec})
        host.inventory()
        argv = [sys.executable, "-m", "provision", "apply", "-i", str(host.folder / "inventory.yml")]
        argv += [str(host.folder / "site.yml"), "--yes", "--json"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # the process has ended meanwhile
                    watched.append(path.read_bytes())
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        out, err = process.communicate()
        outcome = Outcome(process.returncode, out, err)
        assert outcome.counts == {"changed": 1}, outcome.out + outcome.err
        assert host.sh("cat /etc/app /etc/app2").count(f"password {CANARY}") == 2
        assert host.sh("stat -c %a /etc/app") == "600"
        assert host.apply().counts == {"ok": 1}
        planned = host.plan(
            {**spec, "files": {**spec["files"], "/etc/app": {"content": "{{ password }}!\n", "mode": "0600"}}}
        )
        checked = host.provision("verify", "--suite", "settings")
        failed = host.apply({**spec, "users": {"bad": {"shell": "/bin/sh", "uid": 0}}})
    finally:
        del os.environ["CANARY"]
    assert planned.counts == {"changed": 1}
    assert failed.counts == {"rolled_back": 1} or failed.counts == {"failed": 1}
    found = written(host, outcome)
    found |= {"plan": planned.out.encode(), "verify": checked.out.encode(), "failed": failed.out.encode()}
    found["arguments of programs"] = b"\0".join(watched)
    print(f"\nsearched {len(found)} pieces, {sum(map(len, found.values()))} bytes, each for {len(forms(CANARY))} forms")
    assert leaks(found) == []
    # Test the search itself: it must find a planted leak in each form.
    for form in forms(CANARY):
        assert leaks({"planted": b"x" + form + b"y"}) == ["planted"]
    host.sh(f"echo {base64.b64encode(CANARY.encode()).decode()} >/var/lib/provision/planted")
    assert leaks(written(host, outcome)) == ["host"]
