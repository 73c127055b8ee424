"""The doctor's verdicts: a suitable host, and the same host with one fault at a time."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from provision.distros import example, newest, platform
from provision.engine.doctor import examine, folders
from provision.remote.protocol import Seen
from tests.shells import each_shell, run

NOW = 1_800_000_000.0
GOOD: dict[str, tuple[str, ...]] = {
    "kernel": ("6.12.43+deb13-amd64",),
    "machine": ("x86_64",),
    "init": ("systemd", "systemd"),
    **{f"namespace {name}": ("yes",) for name in ("pid", "net", "ipc", "mnt", "uts", "user")},
    "cgroups": ("2", "cpuset cpu io memory hugetlb pids"),
    "overlay": ("loadable",),
    "bridge": ("present",),
    "firewall": (" iptables nft",),
    "storage drivers": ("",),
    "clock": (str(int(NOW) + 3),),
    "space /var/lib/docker": ("ext2/ext3", "50000000", "unknown"),
    "space /var/lib/containerd": ("ext2/ext3", "50000000", "unknown"),
    "addresses": (
        "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.1.2.3/24 brd 10.1.2.255 scope global eth0",
    ),
    "routes": ("default via 10.1.2.1 dev eth0\n10.1.2.0/24 dev eth0 scope link\n10.9.0.0/16 via 10.1.2.7 dev eth0",),
}


def levels(changes: dict[str, tuple[str, ...]] | None = None, **daemon: Any) -> dict[str, str]:
    """The subjects of verdicts that are not ok."""
    frames = [("doctor", key, *fields) for key, fields in {**GOOD, **(changes or {})}.items()]
    trixie = example(newest("debian"))
    verdicts = examine(Seen.of(frames), trixie, daemon, NOW, date(2026, 11, 24))
    return {verdict.subject: verdict.level for verdict in verdicts if verdict.level != "ok"}


def test_a_suitable_host_has_no_faults() -> None:
    assert levels(bip="10.200.0.1/24") == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kernel": ("3.9.0",)}, {"kernel": "bad"}),
        ({"machine": ("mips",)}, {"kernel": "bad"}),
        ({"init": ("none", "sh")}, {"service manager": "bad"}),
        ({"init": ("openrc", "init")}, {"service manager": "bad"}),
        ({"namespace user": ("no",)}, {"namespaces": "bad"}),
        ({"cgroups": ("2", "cpuset cpu io pids")}, {"cgroups": "bad"}),
        ({"cgroups": ("1", "cpuset cpu memory pids")}, {"cgroups": "warning"}),
        ({"overlay": ("absent",)}, {"overlay": "bad"}),
        ({"bridge": ("absent",)}, {"bridge": "bad"}),
        ({"firewall": ("",)}, {"firewall": "warning"}),
        ({"firewall": (" nft",)}, {"firewall": "warning"}),
        ({"clock": (str(int(NOW) - 3600),)}, {"clock": "bad"}),
        ({"space /var/lib/docker": ("ext2/ext3", "900000", "unknown")}, {"space /var/lib/docker": "bad"}),
        ({"space /var/lib/docker": ("ext2/ext3", "9000000", "unknown")}, {"space /var/lib/docker": "warning"}),
        ({"space /var/lib/docker": ("xfs", "50000000", "0")}, {"space /var/lib/docker": "bad"}),
        ({"space /var/lib/docker": ("xfs", "50000000", "1")}, {}),
        ({"space /var/lib/docker": ("nfs", "50000000", "unknown")}, {"space /var/lib/docker": "bad"}),
        ({"space /var/lib/docker": ("overlayfs", "50000000", "unknown")}, {"space /var/lib/docker": "bad"}),
        ({"space /var/lib/containerd": ("overlayfs", "50000000", "unknown")}, {"space /var/lib/containerd": "warning"}),
        ({"routes": ("172.20.0.0/16 dev tun0",)}, {"default pools": "warning"}),
        ({"routes": ("172.17.0.0/16 dev docker0",)}, {}),
        ({"routes": ("172.18.0.0/16 dev br-1234",)}, {}),
        ({"routes": ("blackhole 192.168.0.0/16",)}, {"default pools": "warning"}),
    ],
)
def test_each_fault_is_reported_alone(changes: dict[str, tuple[str, ...]], expected: dict[str, str]) -> None:
    assert levels(changes) == expected


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        ({"bip": "10.1.2.1/24"}, {"bip 10.1.2.1/24": "bad"}),
        ({"bip": "10.9.1.1/24"}, {"bip 10.9.1.1/24": "bad"}),
        ({"bip": "nonsense"}, {"bip nonsense": "bad"}),
        ({"default-address-pools": [{"base": "10.0.0.0/8", "size": 24}]}, {"pool 10.0.0.0/8": "bad"}),
        ({"default-address-pools": [{"base": "10.50.0.0/16", "size": 24}]}, {}),
        ({"exec-opts": ["native.cgroupdriver=cgroupfs"]}, {"cgroups": "warning"}),
    ],
)
def test_requirements_of_the_spec_are_checked(daemon: dict[str, Any], expected: dict[str, str]) -> None:
    assert levels(None, **daemon) == expected


@pytest.mark.parametrize(
    ("engine", "drivers", "daemon", "bad"),
    [
        ((29, 7), "", {}, {"space /var/lib/containerd"}),
        ((29, 7), " overlay2", {}, {"space /var/lib/docker"}),
        ((29, 7), "", {"storage-driver": "overlay2"}, {"space /var/lib/docker"}),
        ((28, 5), "", {}, {"space /var/lib/docker"}),
        ((28, 5), "", {"features": {"containerd-snapshotter": True}}, {"space /var/lib/containerd"}),
        (None, "", {}, {"space /var/lib/docker"}),
    ],
)
def test_an_image_store_on_an_unsuitable_file_system_is_reported(
    engine: tuple[int, int] | None, drivers: str, daemon: dict[str, Any], bad: set[str]
) -> None:
    """If the store in use has no suitable file system, the engine can start no container. The other store may be needed
    later."""
    space = ("overlayfs", "50000000", "unknown")
    changes = {"space /var/lib/docker": space, "space /var/lib/containerd": space, "storage drivers": (drivers,)}
    frames = [("doctor", key, *fields) for key, fields in {**GOOD, **changes}.items()]
    verdicts = examine(Seen.of(frames), example(newest("debian")), daemon, NOW, date(2026, 11, 24), engine)
    assert {verdict.subject for verdict in verdicts if verdict.level == "bad"} == bad
    assert {verdict.subject for verdict in verdicts if verdict.level == "warning"} == set(changes) - bad - {
        "storage drivers"
    }


@pytest.mark.parametrize(
    ("version", "day", "level"),
    [("13", date(2026, 11, 24), "ok"), ("11", date(2026, 11, 24), "warning"), ("99", date(2026, 11, 24), "warning")],
)
def test_the_end_of_support_of_the_distribution_is_reported(version: str, day: date, level: str) -> None:
    host = platform("debian", version, "x")
    assert host is not None
    frames = [("doctor", key, *fields) for key, fields in GOOD.items()]
    assert examine(Seen.of(frames), host, {}, NOW, day)[0].level == level


def test_the_file_systems_of_both_roots_are_checked() -> None:
    assert folders({"data-root": "/srv/docker"}) == ("/srv/docker", "/var/lib/containerd")
    assert folders({}) == ("/var/lib/docker", "/var/lib/containerd")
    assert folders({}, "/srv/containerd") == ("/var/lib/docker", "/srv/containerd")


@each_shell
def test_the_doctors_look_runs_on_this_machine(shell: list[str]) -> None:
    frames, done = run(shell, ["look/doctor.sh"], "look_doctor /nonexistent/docker /var/lib/containerd")
    assert done.returncode == 0, done.stderr
    verdicts = examine(Seen.of(frames), example(newest("debian")), {"data-root": "/nonexistent/docker"}, 0, date.min)
    subjects = {verdict.subject for verdict in verdicts}
    assert {"kernel", "namespaces", "cgroups", "space /nonexistent/docker", "clock", "default pools"} <= subjects
    assert {v.subject: v.level for v in verdicts}["namespaces"] == "ok"
