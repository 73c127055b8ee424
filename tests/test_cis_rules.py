"""The CIS benchmark's rules for a single container or image, where a real host shows too few cases."""

from __future__ import annotations

from typing import Any

import pytest

from provision.verify.cis import CONTAINERS, IMAGES, name

_GOOD: dict[str, Any] = {
    "Id": "1f",
    "Name": "/web",
    "User": "app",
    "Health": "healthy",
    "Mounts": [{"Type": "volume", "Source": "/", "Propagation": ""}],
    "Ports": {"80/tcp": [{"HostIp": "192.0.2.1", "HostPort": "8080"}], "81/tcp": None},
    "Networks": {"own": {}},
    "CapAdd": None,
    "CgroupParent": "",
    "CpuQuota": 0,
    "CpuShares": 512,
    "Devices": [],
    "IpcMode": "private",
    "Memory": 1,
    "NanoCpus": 0,
    "NetworkMode": "own",
    "PidMode": "",
    "PidsLimit": 10,
    "Privileged": False,
    "ReadonlyRootfs": True,
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
}


def _bind(source: str) -> list[dict[str, str]]:
    return [{"Type": "bind", "Source": source, "Propagation": "rprivate"}]


def _port(address: str, port: str) -> dict[str, list[dict[str, str]]]:
    return {"80/tcp": [{"HostIp": address, "HostPort": port}]}


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({}, set()),
        ({"User": ""}, {"4.1"}),
        ({"User": "root:app"}, {"4.1"}),
        ({"User": "0"}, {"4.1"}),
        ({"User": "1000:0"}, set()),
        ({"Mounts": None, "Ports": None, "Networks": None, "RestartPolicy": None}, set()),
        ({"Mounts": _bind("/etc/")}, {"5.6"}),
        ({"Mounts": _bind("/etc/app")}, set()),
        ({"Mounts": _bind("/")}, {"5.6", "5.32"}),
        ({"Mounts": _bind("/var/run/docker.sock")}, {"5.32"}),
        ({"Mounts": [{"Type": "bind", "Source": "/srv", "Propagation": "rshared"}]}, {"5.20"}),
        ({"Mounts": [{"Type": "tmpfs", "Source": ""}]}, set()),
        ({"Ports": _port("192.0.2.1", "1023")}, {"5.8"}),
        ({"Ports": _port("192.0.2.1", "1024")}, set()),
        ({"Ports": _port("::", "8080")}, {"5.14"}),
        ({"Ports": _port("", "80")}, {"5.8", "5.14"}),
        ({"CpuShares": 0}, {"5.12"}),
        ({"CpuShares": 1024}, {"5.12"}),
        ({"CpuShares": 0, "CpuQuota": -1}, {"5.12"}),
        ({"CpuShares": 0, "CpuQuota": 50000}, set()),
        ({"RestartPolicy": {"Name": "unless-stopped"}}, {"5.15"}),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}}, set()),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 0}}, {"5.15"}),
        ({"SecurityOpt": ["seccomp:unconfined"]}, {"5.22"}),
        ({"SecurityOpt": ["seccomp={}", "apparmor=unconfined"]}, set()),
        ({"Health": "none"}, {"5.27"}),
        ({"PidsLimit": None}, {"5.29"}),
        ({"PidsLimit": -1}, {"5.29"}),
    ],
)
def test_the_rules_for_a_container(changed: dict[str, Any], ids: set[str]) -> None:
    assert {rule.id for rule in CONTAINERS if rule.offends({**_GOOD, **changed})} == ids
    assert name(_GOOD) == "web"


_BASE = "/bin/sh -c #(nop) ADD file:1f in / "


@pytest.mark.parametrize(
    ("history", "ids"),
    [
        ([_BASE], set()),
        ([""], set()),
        (["/bin/sh -c #(nop) ADD file:2e in /x ", _BASE], {"4.9"}),
        (["ADD x /x # buildkit", _BASE], {"4.9"}),
        (["COPY ADD /x # buildkit", "RUN /bin/sh -c echo ADD x # buildkit", _BASE], set()),
        (["RUN /bin/sh -c apt-get update # buildkit", _BASE], {"4.7"}),
        (["/bin/sh -c apk --no-cache update", _BASE], {"4.7"}),
        (["RUN /bin/sh -c apt-get -q update && apt-get -y install curl=8 # buildkit", _BASE], set()),
        (["RUN |1 X=1 /bin/sh -c yum makecache; yum -y install curl # buildkit", _BASE], set()),
        (["RUN /bin/sh -c ./update # buildkit", _BASE], set()),
    ],
)
def test_the_rules_for_an_image(history: list[str], ids: set[str]) -> None:
    image = {"Id": "sha256:1f", "RepoTags": None, "Health": {"Test": ["CMD", "true"]}, "History": history}
    assert {rule.id for rule in IMAGES if rule.offends(image)} == ids
    for none in (None, {}, {"Test": ["NONE"]}):
        assert "4.6" in {rule.id for rule in IMAGES if rule.offends({**image, "Health": none})}
    assert name(image) == "sha256:1f"
    assert name({**image, "RepoTags": ["web:1", "web:2"]}) == "web:1, web:2"
