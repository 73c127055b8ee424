"""What a change of daemon.json does, key by key (moby, daemon/reload.go), and what that means for a host."""

from __future__ import annotations

from typing import Any

import pytest

from provision.distros import platform
from provision.dockerd.daemon_json import sysctls
from provision.dockerd.daemon_keys import keys
from provision.dockerd.key_effects import key_effects, worst
from provision.model import Call, Change, Drift, Plan
from provision.planning.impact import impacts


@pytest.mark.parametrize(
    ("old", "new", "effects"),
    [
        ({}, {}, {}),
        ({"debug": True}, {"debug": True}, {}),
        ({}, {"debug": True}, {"debug": "reload"}),
        ({"debug": True}, {}, {"debug": "restart"}),
        ({"debug": False}, {}, {"debug": "restart"}),
        ({"max-concurrent-downloads": 5}, {}, {"max-concurrent-downloads": "reload"}),
        ({"bip": "10.0.0.1/24"}, {"bip": "10.0.1.1/24"}, {"bip": "restart"}),
        ({"bip": "10.0.0.1/24"}, {}, {"bip": "restart"}),
        ({"nonsense": 1}, {}, {"nonsense": "restart"}),
        ({}, {"features": {"buildkit": True}}, {"features": "reload"}),
        ({}, {"features": {"containerd-snapshotter": True}}, {"features": "restart"}),
        *(
            ({}, {"features": {name: True}}, {"features": "restart"})
            for name in ("containerd-migration", "embedded-containerd", "cdi", "one-that-is-not-known")
        ),
        ({"features": {"cdi": False}}, {}, {"features": "restart"}),
        ({"features": {"cdi": True}}, {"features": {"cdi": True, "buildkit": True}}, {"features": "reload"}),
        ({"debug": True, "mtu": 1}, {"debug": False, "mtu": 2}, {"debug": "reload", "mtu": "restart"}),
        ({}, {"allow-nondistributable-artifacts": ["x"]}, {"allow-nondistributable-artifacts": "none"}),
    ],
)
def test_key_effects(old: dict[str, Any], new: dict[str, Any], effects: dict[str, str]) -> None:
    assert key_effects(old, new) == effects


def test_a_key_that_an_engine_does_not_know_needs_a_restart() -> None:
    assert key_effects({}, {"default-stop-timeout": 5}, (29, 7)) == {"default-stop-timeout": "reload"}
    assert key_effects({}, {"default-stop-timeout": 5}, (28, 5)) == {"default-stop-timeout": "restart"}


def test_every_key_has_an_effect() -> None:
    for name in keys():
        assert key_effects({}, {name: "x"})[name] in ("none", "reload", "restart")
    assert worst(["reload", "restart", "none"]) == "restart"
    assert worst([]) == "none"


def test_containers_that_would_end_are_named() -> None:
    on = platform("debian", "13", "trixie")
    assert on is not None
    drift = Drift({"loaded": "current"}, {"loaded": "stale", "effect": "bip: restart"}, ("loaded",))
    change = Change("service:docker", drift, (Call("svc_settle", ("docker", "restart", "")),))
    plan = Plan("web1", on, (change,))
    (one,) = impacts(plan, {"web": ""}, survive=True)
    assert (one.level, one.reason) == ("restart", "bip: restart")
    assert [one.level for one in impacts(plan, {"web": ""}, survive=False)] == ["restart", "stop"]
    reloaded = Plan("web1", on, (Change("service:docker", drift, (Call("svc_settle", ("docker", "reload", "")),)),))
    assert [one.level for one in impacts(reloaded, {"web": ""}, survive=False)] == ["reload"]


@pytest.mark.parametrize(
    ("daemon", "needed"),
    [
        ({}, {"net.ipv4.ip_forward"}),
        ({"ip-forward": False, "ipv6": True}, set()),
        ({"ipv6": True}, {"net.ipv4.ip_forward", "net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.forwarding"}),
        ({"icc": False, "iptables": False}, {"net.ipv4.ip_forward"}),
        (
            {"icc": False},
            {"net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"},
        ),
    ],
)
def test_the_settings_that_a_running_dockerd_needs(daemon: dict[str, Any], needed: set[str]) -> None:
    assert set(sysctls(daemon)) == needed


def test_a_host_that_forwards_everything_again_is_an_impact_to_read() -> None:
    on = platform("debian", "13", "trixie")
    assert on is not None
    drift = Drift({"ipv4": "ACCEPT"}, {"ipv4": "DROP"}, ("ipv4",))
    (one,) = impacts(
        Plan("web1", on, (Change("forward:policy", drift, (Call("forward_set", ("ACCEPT",)),)),)), {}, True
    )
    assert (one.level, one.reason) == ("none", "the host forwards packets between all its networks")
