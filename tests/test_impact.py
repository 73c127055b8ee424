"""What a change of daemon.json does, key by key (moby, daemon/reload.go), and what that means for a host."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provision.distros import platform
from provision.dockerd.daemon_json import sysctls
from provision.dockerd.daemon_keys import keys
from provision.dockerd.key_effects import key_effects, worst
from provision.model import Call, Change, Drift, Impact, Plan
from provision.planning.impact import bridge_blocked, daemon_restarts, impacts, rollback_impacts


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


#: What dockerd takes over on SIGHUP (moby 29.7: daemon/reload.go and daemon/reload_unix.go).
RELOADED = {
    *("authorization-plugins", "debug", "default-cgroupns-mode", "default-ipc-mode", "default-runtime"),
    *("default-shm-size", "default-stop-timeout", "features", "insecure-registries", "labels", "live-restore"),
    *("max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "network-diagnostic-port"),
    *("nri-opts", "registry-mirrors", "runtimes", "shutdown-timeout"),
}
#: What dockerd accepts, and does nothing with.
IGNORED = {"allow-nondistributable-artifacts", "containerd-plugins-namespace", "deprecated-key-path"}


def test_the_effect_of_every_key() -> None:
    for name in keys():
        expected = "reload" if name in RELOADED else "none" if name in IGNORED else "restart"
        assert key_effects({}, {name: {"buildkit": True}}) == {name: expected}
    assert set(keys()) >= RELOADED | IGNORED


def test_the_worst_of_levels() -> None:
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


def planned(*changes: Change) -> Plan:
    on = platform("debian", "13", "trixie")
    assert on is not None
    return Plan("web1", on, changes)


def changed(resource: str, calls: list[Call], want: dict[str, str], seen: dict[str, str]) -> Change:
    return Change(resource, Drift(want, seen, tuple(key for key in want if want[key] != seen.get(key))), tuple(calls))


def settle(verb: str, unit: str = "docker") -> Call:
    return Call("svc_settle", (unit, verb, ""))


STALE: dict[str, str] = {"loaded": "stale", "effect": "bip: restart", "running": "yes"}
CURRENT = {"loaded": "current"}
DAEMON_MOVES = "docker-ce: the daemon is restarted; back only while a repository has the old version"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Packages of the daemon that are there already; a new one disturbs nothing.
        (changed("packages:all", [], {"docker-ce": "2"}, {"docker-ce": "1"}), ("restart", DAEMON_MOVES)),
        (changed("packages:all", [], {"docker-ce": "2", "tree": "1"}, {"docker-ce": "absent"}), None),
        (changed("packages:all", [], {"tree": "2"}, {"tree": "1"}), None),
        (
            changed("bridge:docker0", [], {"address": "10.0.0.1/24"}, {"address": "10.1.0.1/24"}),
            ("restart", "docker's bridge does not have the declared address"),
        ),
        (changed("service:docker", [settle("restart")], CURRENT, STALE), ("restart", "bip: restart")),
        (changed("service:docker", [settle("reload")], CURRENT, STALE), ("reload", "bip: restart")),
        (changed("service:docker", [settle("restart")], CURRENT, {"loaded": "stale"}), ("restart", "")),
        # It does not run, so nothing in it is disturbed; to stop it disturbs.
        (changed("service:docker", [settle("start")], {**CURRENT, "running": "yes"}, {"running": "no"}), None),
        (changed("service:docker", [settle("stop")], {"running": "no"}, {"running": "yes"}), ("restart", "stops")),
        (changed("service:docker", [settle("restart")], {"enabled": "yes"}, {"enabled": "no"}), None),
        (changed("service:docker", [], CURRENT, STALE), None),
        (changed("service:other", [settle("restart", "other")], CURRENT, STALE), None),
        # Objects of docker's that are there.
        (
            changed("container:web", [Call("container_put", ("web",))], {"image": "b", "env": "x"}, {"image": "a"}),
            ("stop", "made anew: image, env"),
        ),
        (
            changed("container:web", [Call("container_follow", ("web",))], {"image": "b"}, {"image": "a"}),
            ("stop", "made anew, if its image is another one then"),
        ),
        (
            changed("container:web", [Call("container_remove", ("web",))], {"there": "no"}, {"there": "yes"}),
            ("stop", "ends"),
        ),
        (changed("container:web", [Call("container_put", ("web",))], {"image": "b"}, {}), None),
        (
            changed(
                "network:back", [Call("network_replace", ("back",))], {"subnet": "b", "gateway": "c"}, {"subnet": "a"}
            ),
            ("reload", "made anew (subnet, gateway); its containers are cut off for a moment"),
        ),
        (
            changed("compose:shop", [Call("compose_up", ("shop",))], {"files": "b"}, {"files": "a"}),
            ("stop", "services that differ are made anew"),
        ),
        (
            changed("compose:shop", [Call("compose_down", ("shop",))], {"there": "no"}, {"there": "yes"}),
            ("stop", "ends"),
        ),
        (
            changed("volume:data", [Call("volume_remove", ("data",))], {"there": "no"}, {"there": "yes"}),
            ("stop", "its data is removed, and no rollback brings it back"),
        ),
        (
            changed("container:web", [Call("container_state", ("web", "stop"))], {"state": "b"}, {"state": "a"}),
            ("stop", "is stopped"),
        ),
        (
            changed("container:web", [Call("container_state", ("web", "restart"))], {"state": "b"}, {"state": "a"}),
            ("stop", "is restarted"),
        ),
        (changed("container:web", [Call("container_state", ("web", "start"))], {"state": "b"}, {"state": "a"}), None),
        # The first step that does something counts, wherever it stands.
        (
            changed(
                "container:web",
                [Call("image_pull", ("a",)), Call("container_put", ("web",)), Call("container_state", ("web", "stop"))],
                {"image": "b"},
                {"image": "a"},
            ),
            ("stop", "made anew: image"),
        ),
        (changed("forward:policy", [Call("forward_set", ("DROP",))], {"ipv4": "DROP"}, {"ipv4": "ACCEPT"}), None),
        (changed("file:/etc/x", [Call("put_file", ("/etc/x",))], {"content": "b"}, {"content": "a"}), None),
    ],
)
def test_what_a_change_does(change: Change, expected: tuple[str, str] | None) -> None:
    found = impacts(planned(change), {}, survive=False)
    assert [(one.level, one.subject, one.reason) for one in found] == (
        [(expected[0], change.resource, expected[1])] if expected else []
    )


RESTART = changed("service:docker", [settle("restart")], CURRENT, STALE)
ENDS = ("stop", "containers", "would end: db (always restart policy), web (no restart policy)")


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (RESTART, True),
        (changed("packages:all", [], {"docker-ce": "2"}, {"docker-ce": "1"}), True),
        (changed("bridge:docker0", [], {"address": "b"}, {"address": "a"}), True),
        (changed("service:docker", [settle("reload")], CURRENT, STALE), False),
        (changed("container:web", [Call("container_put", ("web",))], {"image": "b"}, {"image": "a"}), False),
    ],
)
def test_which_restarts_end_containers(change: Change, ends: bool) -> None:
    containers = {"web": "", "db": "always"}
    found = [(one.level, one.subject, one.reason) for one in impacts(planned(change), containers, survive=False)]
    assert found[1:] == ([ENDS] if ends else [])
    assert len(impacts(planned(change), containers, survive=True)) == 1
    assert len(impacts(planned(change), {}, survive=False)) == 1
    assert daemon_restarts(impacts(planned(change), {}, survive=False)) == ends


def test_a_restart_of_something_else_is_none_of_the_daemon() -> None:
    assert not daemon_restarts([Impact("restart", "container:web", ""), Impact("reload", "service:docker", "")])
    assert daemon_restarts([Impact("reload", "service:docker", ""), Impact("restart", "bridge:docker0", "")])


def test_what_keeps_a_bridge_from_moving() -> None:
    here = changed("service:docker", [settle("restart")], CURRENT, {**STALE, "bridge": "bip, fixed-cidr"})
    there = changed("service:other", [settle("restart")], CURRENT, {**STALE, "bridge": "bip"})
    bridge = changed("bridge:docker0", [], {"address": "b"}, {"address": "a"})
    assert bridge_blocked(planned(there, RESTART)) == ""
    assert bridge_blocked(planned(there, here)) == "bip, fixed-cidr"
    assert bridge_blocked(planned(here, bridge)) == "bip, fixed-cidr, bip"


BACK: dict[str, str] = {**STALE, "undo": "restart", "undo effect": "debug", "undo live": "dead"}


@pytest.mark.parametrize(
    ("seen", "verb", "containers", "expected"),
    [
        (BACK, "reload", {}, [("restart", "service:docker", "to roll back debug")]),
        ({**BACK, "undo effect": ""}, "reload", {}, [("restart", "service:docker", "to roll it back")]),
        ({"loaded": "stale", "running": "yes"}, "reload", {}, [("restart", "service:docker", "to roll it back")]),
        (
            BACK,
            "reload",
            {"web": ""},
            [
                ("restart", "service:docker", "to roll back debug"),
                ("stop", "containers", "would end: web (no restart policy)"),
            ],
        ),
        ({**BACK, "undo live": "live"}, "reload", {"web": ""}, [("restart", "service:docker", "to roll back debug")]),
        (
            {**BACK, "undo live": "live", "undo": "stop"},
            "reload",
            {"web": ""},
            [
                ("restart", "service:docker", "to roll back debug"),
                ("stop", "containers", "would end: web (no restart policy)"),
            ],
        ),
        ({**BACK, "undo": "reload"}, "reload", {"web": ""}, []),
        ({**BACK, "running": "no"}, "reload", {"web": ""}, []),
    ],
)
def test_what_a_rollback_does_more_than_its_plan(
    seen: dict[str, str], verb: str, containers: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    change = changed("service:docker", [settle(verb)], CURRENT, seen)
    harmless = changed("file:/etc/x", [Call("put_file", ("/etc/x",))], {"content": "b"}, {"content": "a"})
    found = rollback_impacts(planned(harmless, change), containers)
    assert [(one.level, one.subject, one.reason) for one in found] == expected


def test_a_rollback_that_does_what_its_plan_does_is_not_named() -> None:
    change = changed("service:docker", [settle("restart")], CURRENT, BACK)
    plan = planned(change)
    assert rollback_impacts(msgspec.structs.replace(plan, impacts=(Impact("restart", "x", ""),)), {}) == ()
    assert rollback_impacts(msgspec.structs.replace(plan, impacts=(Impact("reload", "x", ""),)), {}) != ()
    other = changed("service:docker", [settle("restart", "other")], CURRENT, BACK)
    assert rollback_impacts(planned(other), {"web": ""}) == ()
