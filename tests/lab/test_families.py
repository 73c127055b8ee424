"""One playbook for hosts of every family: applied together, a second time without a change, verified, upgraded and
downgraded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab.conftest import LabHost, NewHost, engine, inventory_of

_APT, _DNF = "apt-get -q -y dist-upgrade", "dnf -q -y upgrade"
#: The commands by which an operator upgrades a host, and releases the engine's package. The look-alike's yum is dnf,
#: which does not read yum's form of a lock: the test shows only that the lock is written.
FAMILIES = {
    "trixie": (_APT, "apt-mark unhold docker-ce"),
    "ubuntu": (_APT, "apt-mark unhold docker-ce"),
    "el9": (_DNF, "dnf -q versionlock delete docker-ce"),
    "openeuler": (_DNF, "dnf -q versionlock delete docker-ce"),
    "amazon": (_DNF, "dnf -q versionlock delete docker"),
    "el7": (
        "grep -qFx '3:docker-ce-26.1.5-1.el7.*' /etc/yum/pluginconf.d/versionlock.list",
        "rm /etc/yum/pluginconf.d/versionlock.list",
    ),
    "suse": ("zypper -n -q update", "zypper -n -q removelock docker"),
}


def _starts(host: LabHost) -> int:
    return int(host.sh("journalctl -q -o cat -u docker | grep -c '^Started docker'"))


def _versions(hosts: Iterable[LabHost]) -> set[str]:
    return {host.docker_info("ServerVersion").partition("+")[0] for host in hosts}


def test_one_playbook_sets_up_hosts_of_all_families(new_host: NewHost) -> None:
    by_family = {name: new_host(name) for name in FAMILIES}
    hosts = [*by_family.values()]
    first, count = hosts[0], len(hosts)
    (first.folder / "inventory.yml").write_text(inventory_of(*hosts))
    spec: dict[str, Any] = {
        "hostname": "{{ inventory_hostname }}",
        "packages": ["tree"],
        "sysctl": {"net.ipv4.ip_forward": 1},
        "users": {"alice": {"shell": "/bin/sh"}},
        "engine": {**engine(**{"live-restore": True}), "users": ["alice"]},
    }

    def apply(version: str) -> dict[str, int]:
        outcome = first.apply({**spec, "engine": {**spec["engine"], "version": version}})
        assert outcome.code == 0, outcome.out
        print(f"\napply {version}: {outcome.counts}", [host.docker_info("ServerVersion") for host in hosts], end="")
        return outcome.counts

    assert apply("28.5.2") == {"changed": count}
    assert apply("28.5.2") == {"ok": count}
    checked = first.provision("verify")
    assert checked.counts == {"ok": count}, checked.failed
    print(f"\nverify: {checked.counts}, {len(checked.all('check.done'))} checks", end="")
    for version in ("26.1.5", "28.5.2"):
        before = [_starts(host) for host in hosts]
        assert apply(version) == {"changed": count}
        assert _versions(hosts) == {version}
        after = [_starts(host) for host in hosts]
        print(f"; starts of docker {before} -> {after}", end="")
        assert after == [starts + 1 for starts in before], "one restart each"
        assert apply(version) == {"ok": count}
    # The upgrade is undone: each host has the older packages, and holds them.
    upgrade = first.provision("runs", "--on-hosts").all("run")[-1]["run"]
    back = first.rollback(upgrade)
    assert back.counts == {"changed": count}, back.out
    assert _versions(hosts) == {"26.1.5"}
    # A pinned package is held: an upgrade by an operator does not move it.
    for family, (upgrade_all, _) in FAMILIES.items():
        by_family[family].sh(upgrade_all)
    assert apply("26.1.5") == {"ok": count}
    for family, (_, release) in FAMILIES.items():
        by_family[family].sh(release)
    assert {check.split()[0] for check in first.provision("verify", "--suite", "settings").failed} == {"package_held"}
    assert apply("26.1.5") == {"changed": count}
    assert first.provision("verify", "--suite", "settings").failed == set()


def test_pacman_on_a_host(new_host: NewHost) -> None:
    """A repository of pacman has one version of a package. The mirror has two states of the repository, as Arch's
    archive has one for each day. Older packages come from the host's own cache."""
    host = new_host("arch")
    host.sh("sed -i s,/newer$,/older, /etc/pacman.d/mirrorlist")
    spec: dict[str, Any] = {
        "packages": ["tree"],
        "sysctl": {"net.ipv4.ip_forward": 1},
        "users": {"alice": {"shell": "/bin/sh"}},
        "engine": {**engine(**{"live-restore": True}), "users": ["alice"]},
    }

    def apply(version: str) -> dict[str, int]:
        outcome = host.apply({**spec, "engine": {**spec["engine"], "version": version}})
        assert outcome.code == 0, outcome.out
        print(f"\napply {version}: {outcome.counts}", host.docker_info("ServerVersion"), end="")
        return outcome.counts

    assert apply("26.1.5") == {"changed": 1}
    assert apply("26.1.5") == {"ok": 1}
    checked = host.provision("verify")
    assert checked.counts == {"ok": 1}, checked.failed
    print(f"\nverify: {len(checked.all('check.done'))} checks", end="")
    # A pinned package is held: an upgrade of the whole system, which is the only one that Arch supports, skips it.
    host.sh("sed -i s,/older$,/newer, /etc/pacman.d/mirrorlist; pacman -Syu --noconfirm")
    assert host.sh("pacman -Q docker") == "docker 1:26.1.5-1"
    # containerd is not pinned. Packages of pacman restart no service, so the next run does.
    assert apply("26.1.5") == {"changed": 1}
    assert apply("26.1.5") == {"ok": 1}
    assert host.provision("verify").failed == set()
    for version in ("28.5.2", "26.1.5"):
        before = _starts(host)
        assert apply(version) == {"changed": 1}
        assert _versions([host]) == {version}
        assert _starts(host) == before + 1, "pacman restarts no service: provision does"
        assert apply(version) == {"ok": 1}
    downgrade = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    assert host.rollback(downgrade).counts == {"changed": 1}
    assert _versions([host]) == {"28.5.2"}
    assert apply("28.5.2") == {"ok": 1}
    # A version that neither the repository nor the cache has is named, and nothing is changed.
    refused = host.apply({**spec, "engine": {**spec["engine"], "version": "27.1"}})
    assert refused.code != 0
    assert "no version of docker matches 27.1" in refused.out
    assert _versions([host]) == {"28.5.2"}
    host.sh("sed -i /docker/d /etc/pacman.d/provision-hold.conf")
    failed = host.provision(
        "verify", "--suite", "settings", spec={**spec, "engine": {**spec["engine"], "version": "28.5.2"}}
    )
    assert {check.split()[0] for check in failed.failed} == {"package_held"}
    assert host.apply().counts == {"changed": 1}
    assert host.provision("verify").failed == set()
    # What is no longer declared is released again.
    assert host.apply({**spec, "engine": {**spec["engine"], "version": None}}).code == 0
    assert host.apply().counts == {"ok": 1}


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
