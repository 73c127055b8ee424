"""The keys of daemon.json that ``docker info`` shows (moby, api/types/system/info.go), and those that it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.engine.daemon_json import agrees, sysctls
from provision.engine.loading import bridge_changes

REGISTRY = {
    "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.0.0.0/8"],
    "IndexConfigs": {
        "docker.io": {"Secure": True},
        "r:5000": {"Secure": False},
        "unsaid:5000": {},
    },
    "Mirrors": ["https://one/", "https://two/"],
}
INFO: dict[str, Any] = {
    "ServerVersion": "28.5.2",
    "CgroupDriver": "systemd",
    "RegistryConfig": REGISTRY,
    "Labels": ["b=2", "a=1"],
    "Runtimes": {"runc": {}, "custom": {}},
    "DockerRootDir": "/srv/docker",
    "Debug": True,
    "DefaultRuntime": "runc",
    "ExperimentalBuild": False,
    "LiveRestoreEnabled": True,
    "LoggingDriver": "local",
    "Driver": "overlay2",
}


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("exec-opts", ["native.cgroupdriver=systemd"], True),
        ("exec-opts", ["native.cgroupdriver=cgroupfs"], False),
        ("exec-opts", ["native.cgroupdriver=cgroupfs", "native.cgroupdriver=systemd"], True),
        ("exec-opts", ["native.cgroupdriver=systemd", "native.cgroupdriver=cgroupfs"], False),
        ("exec-opts", ["isolation=process"], True),
        ("exec-opts", [], True),
        ("insecure-registries", ["10.0.0.0/8", "r:5000"], True),
        ("insecure-registries", [], True),
        ("insecure-registries", ["docker.io"], False),
        ("insecure-registries", ["unsaid:5000"], False),
        ("insecure-registries", ["r:5000", "10.1.0.0/16"], False),
        ("registry-mirrors", ["https://one", "https://two/"], True),
        ("registry-mirrors", ["https://two", "https://one"], False),
        ("registry-mirrors", ["https://one"], False),
        ("labels", ["a=1", "b=2"], True),
        ("labels", ["a=1"], False),
        ("runtimes", {"custom": {"path": "/x"}}, True),
        ("runtimes", {"custom": {}, "other": {}}, False),
        ("data-root", "/srv/docker", True),
        ("data-root", "/var/lib/docker", False),
        ("debug", True, True),
        ("debug", False, False),
        ("default-runtime", "runc", True),
        ("default-runtime", "custom", False),
        ("experimental", False, True),
        ("experimental", True, False),
        ("live-restore", True, True),
        ("live-restore", False, False),
        ("log-driver", "local", True),
        ("log-driver", "journald", False),
        ("storage-driver", "overlay2", True),
        ("storage-driver", "vfs", False),
        # docker info does not show it
        ("mtu", 1400, True),
    ],
)
def test_values_of_docker_info_are_compared_with_the_declared_ones(key: str, value: Any, shown: bool) -> None:
    assert agrees({key: value}, json.dumps(INFO)) == shown
    assert agrees({"debug": True, key: value, "mtu": 9}, json.dumps(INFO)) == shown


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("insecure-registries", ["r:5000"], False),
        ("registry-mirrors", [], True),
        ("registry-mirrors", ["https://one"], False),
        ("labels", [], True),
        ("labels", ["a=1"], False),
        ("runtimes", {}, True),
        ("runtimes", {"custom": {}}, False),
    ],
)
@pytest.mark.parametrize(
    "bare", [{}, {"RegistryConfig": None, "Labels": None, "Runtimes": None}, {"RegistryConfig": {}}]
)
def test_an_answer_without_a_key_agrees_only_with_its_default(
    bare: dict[str, Any], key: str, value: Any, shown: bool
) -> None:
    assert agrees({key: value}, json.dumps({"ServerVersion": "28.5.2", **bare})) == shown


@pytest.mark.parametrize("answer", ["", "{", "[]", "{}", '{"ServerVersion": ""}', '"x"'])
def test_a_missing_answer_agrees_with_no_value(answer: str) -> None:
    assert not agrees({}, answer)


def test_dockerd_sets_these_kernel_settings() -> None:
    found = sysctls({"ipv6": True, "userland-proxy": False})
    assert set(found) == {
        "net.ipv4.ip_forward",
        "net.ipv6.conf.default.forwarding",
        "net.ipv6.conf.all.forwarding",
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
    }
    assert set(found.values()) == {"1"}
    assert set(sysctls({"userland-proxy": True, "icc": True})) == {"net.ipv4.ip_forward"}


#: dockerd's defaults.
USUAL: dict[str, Any] = {
    **dict.fromkeys(
        ("bip", "bip6", "bridge", "default-gateway", "default-gateway-v6", "fixed-cidr", "fixed-cidr-v6"), ""
    ),
    "icc": True,
    "ip": "0.0.0.0",  # noqa: S104 - dockerd's default
    "ip-masq": True,
    "ipv6": False,
    "mtu": 1500,
}


@pytest.mark.parametrize("key", USUAL)
def test_only_a_new_value_of_a_bridge_key_changes_the_bridge(key: str) -> None:
    assert bridge_changes({}, {key: USUAL[key]}) == bridge_changes({key: USUAL[key]}, {}) == ()
    assert bridge_changes({}, {key: "other"}) == bridge_changes({key: "other"}, {}) == (key,)
    assert bridge_changes({"debug": True}, {}) == ()
