"""The lab itself: commands can be repeated, crashed hosts are repaired, and other labs are left alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provision.lab import cgroups, mirror, network, nspawn
from provision.lab.labs import Lab
from provision.lab.store import MIRROR, alive
from tests.lab.conftest import LAB, LabHost, Outcome
from tests.lab.runs import hold, release

pytestmark = pytest.mark.alone


def test_a_second_up_starts_nothing(host: LabHost) -> None:
    assert LAB.up({host.name: "trixie"}) == []
    assert host.sh("echo here") == "here"


def test_up_replaces_a_crashed_host_and_restarts_a_dead_mirror(host: LabHost) -> None:
    host.sh("touch /etc/old")
    record = next(record for record, _ in LAB.status() if record.name == host.name)
    cgroups.kill(nspawn.group(host.name))
    cgroups.kill(mirror.GROUP)
    end = time.monotonic() + 5
    while alive(record) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(record)
    (fresh,) = LAB.up({host.name: "trixie"})
    assert (fresh.name, alive(fresh)) == (host.name, True)
    assert host.sh("test -e /etc/old || echo gone; apt-get -qq update && echo served") == "gone\nserved"


def test_down_can_be_repeated_and_leaves_other_labs_alone(host: LabHost) -> None:
    other = Lab("neighbour")
    other.up({"neighbour01": "trixie"})
    try:
        assert other.down() == ["neighbour01"]
        assert other.down() == []
        assert host.sh("apt-get -qq update && echo served") == "served", "mirror and bridge stay for this lab"
    finally:
        other.down()
    mounts = Path("/proc/self/mounts").read_text()
    assert "neighbour" not in mounts
    assert not [name for name in os.listdir("/sys/class/net") if name.startswith("neighbour")]


def test_the_mirror_of_another_checkout_is_served_too(host: LabHost) -> None:
    other = LAB.store.root / "mirrors/another"
    other.mkdir()
    (other / "recipe").write_text("another")
    try:
        fetch = f"/usr/lib/apt/apt-helper download-file http://{MIRROR}/another/recipe /tmp/recipe >/dev/null"
        assert host.sh(f"{fetch} && cat /tmp/recipe; apt-get -qq update && echo served") == "anotherserved"
    finally:
        shutil.rmtree(other)


def test_a_lab_host_cannot_reach_the_internet(host: LabHost) -> None:
    assert host.sh("ip route show default") == ""
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert "blackhole 198.51.100.0/24" in routes
    assert network.BRIDGE in routes


def test_the_machine_allows_the_inotify_instances_of_many_hosts(host: LabHost) -> None:
    """With the kernel's default of 128, from about the 28th host on systemd exited during its start."""
    assert int(Path("/proc/sys/fs/inotify/max_user_instances").read_text()) >= 5 * 100


def test_a_lab_host_cannot_change_the_machines_settings(host: LabHost) -> None:
    before = Path("/proc/sys/vm/swappiness").read_text()
    assert "Read-only" in host.sh(
        "echo 1 2>&1 >/proc/sys/vm/swappiness || true; (echo 1 >/proc/sys/vm/swappiness) 2>&1 || true"
    )
    assert Path("/proc/sys/vm/swappiness").read_text() == before


def test_a_reboot_keeps_the_hosts_files(host: LabHost) -> None:
    start = host.sh("cut -d' ' -f22 /proc/1/stat; touch /etc/kept")
    host.sh("systemctl reboot", check=False)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.5)
        done = subprocess.run(
            [*LAB.ssh(host.name), "cut -d' ' -f22 /proc/1/stat"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip() != start:
            break
    assert host.sh("ls /etc/kept") == "/etc/kept"


def test_ssh_config_is_honoured(host: LabHost, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        f"Host short\n  HostName {host.address}\n  User root\n  IdentityFile {LAB.store.key}\n"
        f"  UserKnownHostsFile {LAB.known_hosts}\n  StrictHostKeyChecking no\n"
    )
    host.playbook({"spec": {"files": {"/etc/proof": {"content": "x"}}}})
    (host.folder / "inventory.yml").write_text("docker: {hosts: {short: }}\n")

    def apply() -> Outcome:
        """Mount that directory over the account's home directory: ssh finds it by passwd(5) and not by HOME."""
        own = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
        within = 'mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"'
        argv = ["unshare", "--mount", "sh", "-c", within, str(tmp_path / ".ssh"), str(own), sys.executable, "-m"]
        argv += ["provision", "apply", "--yes", "--json", "-i", str(host.folder / "inventory.yml")]
        done = subprocess.run([*argv, str(host.folder / "site.yml")], capture_output=True, text=True, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    outcome = apply()
    assert outcome.counts == {"changed": 1}, outcome.out
    # StrictHostKeyChecking no is not honoured for any host.
    (tmp_path / "empty").touch()
    text = (tmp_path / ".ssh/config").read_text().replace(str(LAB.known_hosts), str(tmp_path / "empty"))
    (tmp_path / ".ssh/config").write_text(text)
    assert apply().done["error"]["kind"] == "host_key"


def test_ctrl_c_finishes_the_active_host_and_starts_no_other(host: LabHost) -> None:
    """It also starts no other host: exit 130, the first host changed, the second host skipped."""
    lines = host.inventory().read_text()
    common = lines.split(f"    {host.name}:\n")[1]
    (host.folder / "inventory.yml").write_text(f"docker:\n  hosts:\n    a:\n{common}    b:\n{common}")
    hold(host, "useradd")
    host.playbook({"spec": {"users": {"bob": {}}}})
    # A job that a script puts into the background ignores Ctrl-C, and so do its children.
    argv = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "provision",
        "apply",
        "-i",
        str(host.folder / "inventory.yml"),
        str(host.folder / "site.yml"),
    ]
    run = subprocess.Popen([*argv, "--json", "--yes", "-f", "1"], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    seen = ""
    while "step.begin" not in seen:
        seen += run.stdout.readline()
    run.send_signal(signal.SIGINT)
    while '"event": "interrupted"' not in seen:
        seen += run.stdout.readline()
    release(host)
    seen += run.stdout.read()
    assert run.wait() == 130
    assert '"changed": 1' in seen.splitlines()[-1]
    assert '"skipped": 1' in seen.splitlines()[-1]
    assert host.sh("getent passwd bob >/dev/null && echo made") == "made"
