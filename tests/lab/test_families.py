"""One playbook for hosts of every family: applied together, a second time without a change, verified, upgraded and
downgraded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.conftest import LabHost, NewHost, engine, inventory_of

FAMILIES = ("trixie", "el9", "el7", "suse")


def _starts(host: LabHost) -> int:
    return int(host.sh("journalctl -q -o cat -u docker | grep -c '^Started docker'"))


def test_one_playbook_sets_up_hosts_of_all_families(new_host: NewHost) -> None:
    hosts = [new_host(name) for name in FAMILIES]
    first = hosts[0]
    (first.folder / "inventory.yml").write_text(inventory_of(*hosts))
    spec: dict[str, Any] = {
        "hostname": "{{ inventory_hostname }}",
        "packages": ["tree"],
        "sysctl": {"net.ipv4.ip_forward": 1},
        "users": {"alice": {"shell": "/bin/sh"}},
        "engine": {**engine(**{"live-restore": True}), "version": "26.1.5", "users": ["alice"]},
    }

    def apply(version: str) -> dict[str, int]:
        outcome = first.apply({**spec, "engine": {**spec["engine"], "version": version}})
        assert outcome.code == 0, outcome.out
        print(f"\napply {version}: {outcome.counts}", [host.docker_info("ServerVersion") for host in hosts], end="")
        return outcome.counts

    assert apply("26.1.5") == {"changed": 4}
    assert apply("26.1.5") == {"ok": 4}
    checked = first.provision("verify")
    assert checked.counts == {"ok": 4}, checked.failed
    print(f"\nverify: {checked.counts}, {len(checked.all('check.done'))} checks", end="")
    for version in ("28.5.2", "26.1.5"):
        before = [_starts(host) for host in hosts]
        assert apply(version) == {"changed": 4}
        assert [host.docker_info("ServerVersion").partition("+")[0] for host in hosts] == [version] * 4
        after = [_starts(host) for host in hosts]
        print(f"; starts of docker {before} -> {after}", end="")
        assert after == [count + 1 for count in before], "one restart each"
        assert apply(version) == {"ok": 4}
    # A pinned package is held: an upgrade by an operator does not move it.
    apt, dnf, yum, zypper = hosts
    apt.sh("apt-get -q -y dist-upgrade")
    dnf.sh("dnf -q -y upgrade")
    # The look-alike's yum is dnf, which does not read yum's form of a lock. The test shows only that the lock is
    # written.
    assert "3:docker-ce-26.1.5-1.el7.*" in yum.sh("cat /etc/yum/pluginconf.d/versionlock.list").splitlines()
    zypper.sh("zypper -n -q update")
    assert apply("26.1.5") == {"ok": 4}
    for host, command, name in (
        (apt, "apt-mark unhold", "docker-ce"),
        (dnf, "dnf -q versionlock delete", "docker-ce"),
        (yum, "rm -f", "/etc/yum/pluginconf.d/versionlock.list"),
        (zypper, "zypper -n -q removelock", "docker"),
    ):
        host.sh(f"{command} {name}")
    assert {check.split()[0] for check in first.provision("verify", "--suite", "settings").failed} == {"package_held"}
    assert apply("26.1.5") == {"changed": 4}
    assert first.provision("verify", "--suite", "settings").failed == set()


def test_a_wrong_key_installs_nothing(new_host: NewHost) -> None:
    host = new_host("el9")
    wrong = {**engine(), "fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"}
    outcome = host.apply({"engine": wrong})
    assert outcome.code == 3
    assert "has the fingerprint" in outcome.done["error"]["detail"]
    assert host.sh("rpm -q docker-ce", check=False) == "package docker-ce is not installed"
    assert host.sh("ls /etc/yum.repos.d /etc/pki/rpm-gpg").count("docker") == 0


def test_rpm_does_not_trust_a_replaced_key(new_host: NewHost) -> None:
    """A key that a mirror once had stays in rpm's database, even when its file is removed."""
    host = new_host("el9")
    undeclared = {key: value for key, value in engine().items() if key != "fingerprint"}
    refused = host.apply({"engine": undeclared})
    assert refused.code == 3
    published = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
    assert f"not {published}; it is not trusted" in refused.done["error"]["detail"]
    assert host.sh("ls /etc/yum.repos.d /etc/pki/rpm-gpg").count("docker") == 0
    trusted = host.sh("rpm -q gpg-pubkey | sort")
    # The host trusts another key, in the file of the mirror's key.
    other = (Path(__file__).parent.parent / "data/rsa2048.asc").read_text()
    path = "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker"
    host.sh(f"cat >{path} <<'KEY'\n{other}\nKEY\nrpm --import {path}")
    assert "gpg-pubkey-e6fa24a6" in host.sh("rpm -q gpg-pubkey")
    assert host.apply({"engine": engine()}).counts == {"changed": 1}
    short = engine()["fingerprint"].lower()[-8:]
    now = host.sh("rpm -q gpg-pubkey | sort").splitlines()
    assert [key for key in now if f"-{short}-" not in key] == [
        key for key in trusted.splitlines() if f"-{short}-" not in key
    ]
    assert host.apply().counts == {"ok": 1}


def test_the_fleet_follows_the_lock_file(new_host: NewHost) -> None:
    canary, other = new_host(), new_host()
    (canary.folder / "inventory.yml").write_text(inventory_of(canary, other))
    spec = {"engine": engine()}
    pinned = {"engine": {**engine(), "version": "26.1.5"}}
    assert canary.apply(pinned, "--limit", canary.name).code == 0
    locked = canary.provision("lock", "--limit", canary.name, spec=spec)
    assert locked.code == 0, locked.err
    text = (canary.folder / "site.lock.yml").read_text()
    assert f"versions seen on {canary.name}" in text
    assert "debian-13:\n  containerd.io: " in text
    assert canary.apply(spec).counts == {"changed": 2}
    assert other.docker_info("ServerVersion").startswith("26.1.5"), "the newest is 28.5.2"
    assert set(other.sh("apt-mark showhold").split()) == {"containerd.io", "docker-ce", "docker-ce-cli"}
    assert canary.apply().counts == {"ok": 2}
    # The canary is upgraded first. The others follow when its versions are written down.
    assert canary.apply(None, "--upgrade", "--limit", canary.name).counts == {"changed": 1}
    assert canary.docker_info("ServerVersion").startswith("28.5.2")
    assert canary.provision("lock", "--limit", canary.name).code == 0
    assert canary.apply().counts == {"changed": 2}, "the canary's packages are held again"
    assert other.docker_info("ServerVersion").startswith("28.5.2")
    refused = canary.plan(pinned)
    assert refused.code == 1
    assert "the pin 26.1.5 of docker-ce differs from the lock file" in refused.err
