"""The effect of a change of daemon.json, key by key (moby, daemon/reload.go), and its impact on a host."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from provision.distros import platform
from provision.engine.daemon_json import sysctls
from provision.engine.impact import bridge_blocked, daemon_restarts, impacts, rollback_impacts
from provision.engine.keys import NEWEST_MINOR, key_effects, keys, version, worst
from provision.engine.steps import bridge_settle
from provision.model import Call, Change, Drift, Impact, Loading, Plan
from provision.resources.docker.compose import compose_down, compose_up
from provision.resources.docker.container import container_follow, container_put, container_remove, container_state
from provision.resources.docker.image import image_pull
from provision.resources.docker.network import network_replace
from provision.resources.docker.volume import volume_remove
from provision.resources.forward import forward_set
from provision.resources.service import Service
from provision.steps.files import put_file
from provision.steps.packages import pkg_transaction
from provision.steps.services import svc_settle


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
def test_each_changed_key_has_its_effect_on_dockerd(
    old: dict[str, Any], new: dict[str, Any], effects: dict[str, str]
) -> None:
    assert key_effects(old, new) == effects


def test_a_key_that_an_engine_does_not_know_needs_a_restart() -> None:
    assert key_effects({}, {"default-stop-timeout": 5}, (29, 7)) == {"default-stop-timeout": "reload"}
    assert key_effects({}, {"default-stop-timeout": 5}, (28, 5)) == {"default-stop-timeout": "restart"}


#: The keys that dockerd reloads on SIGHUP (moby 29.7: daemon/reload.go and daemon/reload_unix.go).
RELOADED = {
    *("authorization-plugins", "debug", "default-cgroupns-mode", "default-ipc-mode", "default-runtime"),
    *("default-shm-size", "default-stop-timeout", "features", "insecure-registries", "labels", "live-restore"),
    *("max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "network-diagnostic-port"),
    *("nri-opts", "registry-mirrors", "runtimes", "shutdown-timeout"),
}
#: Keys that dockerd accepts without any effect.
IGNORED = {"allow-nondistributable-artifacts", "containerd-plugins-namespace", "deprecated-key-path"}


def test_each_key_has_an_effect() -> None:
    for name in keys():
        expected = "reload" if name in RELOADED else "none" if name in IGNORED else "restart"
        assert key_effects({}, {name: {"buildkit": True}}) == {name: expected}
    assert set(keys()) >= RELOADED | IGNORED


def test_the_impact_of_several_steps_is_the_worst_one() -> None:
    assert worst(["reload", "restart", "none"]) == "restart"
    assert worst([]) == "none"


def _settle(verb: str) -> Call:
    return svc_settle(Loading("docker", "", verb), stale=True, why="bip: restart")


def test_containers_that_would_end_are_listed() -> None:
    on = platform("debian", "13", "trixie")
    assert on is not None
    drift = Drift({"loaded": "current"}, {"loaded": "stale", "effect": "bip: restart"}, ("loaded",))
    change = Change("service:docker", drift, (_settle("restart"),))
    plan = Plan("web1", on, (change,))
    (one,) = impacts(plan, {"web": ""}, survive=True)
    assert (one.level, one.reason) == ("restart", "bip: restart")
    assert [one.level for one in impacts(plan, {"web": ""}, survive=False)] == ["restart", "stop"]
    reloaded = Plan("web1", on, (Change("service:docker", drift, (_settle("reload"),)),))
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
def test_the_kernel_settings_that_a_running_dockerd_needs(daemon: dict[str, Any], needed: set[str]) -> None:
    assert set(sysctls(daemon)) == needed


def test_forwarding_everything_again_is_an_impact() -> None:
    on = platform("debian", "13", "trixie")
    assert on is not None
    drift = Drift({"ipv4": "ACCEPT"}, {"ipv4": "DROP"}, ("ipv4",))
    (one,) = impacts(
        Plan("web1", on, (Change("forward:policy", drift, (forward_set("ACCEPT", before="DROP"),)),)), {}, True
    )
    assert (one.level, one.reason) == ("none", "the host forwards packets between all its networks")


def planned(*changes: Change) -> Plan:
    on = platform("debian", "13", "trixie")
    assert on is not None
    return Plan("web1", on, changes)


def changed(resource: str, *calls: Call) -> Change:
    return Change(resource, Drift({"x": "b"}, {"x": "a"}, ("x",)), calls)


def packages(install: dict[str, str | None], before: dict[str, str]) -> Change:
    return changed("packages:all", pkg_transaction(lock_timeout=1, install=install, before=before))


BRIDGE = changed("bridge:docker0", bridge_settle("docker", change="stop", watched="", bip="10.0.0.1/24"))
#: A look's report of a service that runs and has loaded its files.
SEEN: dict[str, str] = {
    "verb": "restart",
    "effect": "",
    "undo": "restart",
    "undo effect": "",
    "undo live": "-",
    "proven": "no",
    "bridge": "",
    "running": "yes",
    "loaded": "current",
    "loaded before": "current",
    "enabled": "yes",
    "unit": "current",
    "masked": "",
}
STALE: dict[str, str] = {"loaded": "stale", "effect": "bip: restart"}
DAEMON_MOVES = "docker-ce: the daemon is restarted; a rollback needs a repository with the old version"


def service(
    seen: dict[str, str], unit: str = "docker", enabled: bool | None = None, running: bool | None = None
) -> Change:
    """A service that watches a file, from the report of a look."""
    resource = Service(unit, enabled, running, ("/etc/x",))
    want, seen = resource.want(), {**SEEN, **seen}
    drift = Drift(want, seen, tuple(key for key in want if want[key] != seen[key]))
    return Change(resource.id, drift, tuple(resource.fix(drift)))


def put(*differs: str) -> Call:
    return container_put(
        "web",
        running=True,
        within=1,
        steady=0,
        networks=(),
        secrets={},
        words=("app:1",),
        differs=differs,
        limit=180,
    )


def state(verb: Literal["start", "restart", "stop"]) -> Call:
    return container_state("web", verb=verb, within=1, steady=0, limit=180)


def up(runs: bool) -> Call:
    return compose_up("shop", file="/x", within=1, images=(), runs=runs)


PULL = image_pull("app:1", digest=None, renews="image:app:1", late=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Installed packages of the daemon that change. A new package disturbs nothing.
        (packages({"docker-ce": "2"}, {"docker-ce": "1"}), ("restart", DAEMON_MOVES)),
        (packages({"docker-ce": "2", "tree": "1"}, {"docker-ce": "absent", "tree": "absent"}), None),
        (packages({"tree": "2"}, {"tree": "1"}), None),
        (BRIDGE, ("restart", "docker's bridge does not have the declared address")),
        (service(STALE), ("restart", "bip: restart")),
        (service({**STALE, "verb": "reload"}), ("reload", "bip: restart")),
        (service({"loaded": "stale"}), ("restart", "")),
        # The service does not run, so a change disturbs nothing. To stop a running service disturbs it.
        (service({"running": "no"}, running=True), None),
        (service({}, running=False), ("restart", "stops")),
        (service({"enabled": "no"}, enabled=True), None),
        (service(STALE, "other"), None),
        (service({}, "other", running=False), None),
        # Existing objects of docker.
        (changed("container:web", put("image", "env")), ("stop", "recreated because of: image, env")),
        (
            changed("container:web", container_follow("app:1", put=put("image"))),
            ("stop", "recreated if its image name then names another image"),
        ),
        (changed("container:web", container_remove("web", limit=180)), ("stop", "is stopped and removed")),
        (changed("container:web", put()), None),
        (
            changed("network:back", network_replace("back", words=(), before="", differs=("subnet", "gateway"))),
            ("reload", "recreated (subnet, gateway); its containers lose this network for a moment"),
        ),
        (changed("compose:shop", up(runs=True)), ("stop", "services that differ are recreated")),
        (changed("compose:shop", up(runs=False)), None),
        (changed("compose:shop", compose_down("shop", file="/x")), ("stop", "is stopped and removed")),
        (
            changed("volume:data", volume_remove("data")),
            ("stop", "its data is removed, and no rollback can restore it"),
        ),
        (changed("container:web", state("stop")), ("stop", "is stopped")),
        (changed("container:web", state("restart")), ("stop", "is restarted")),
        (changed("container:web", state("start")), None),
        # The first step with an impact counts, at any position.
        (changed("container:web", PULL, put("image"), state("stop")), ("stop", "recreated because of: image")),
        (changed("forward:policy", forward_set("DROP", before="ACCEPT")), None),
        (changed("file:/etc/x", put_file("/etc/x", content=b"b")), None),
    ],
)
def test_a_change_has_the_impact_of_its_steps(change: Change, expected: tuple[str, str] | None) -> None:
    found = impacts(planned(change), {}, survive=False)
    assert [(one.level, one.subject, one.reason) for one in found] == (
        [(expected[0], change.resource, expected[1])] if expected else []
    )


RESTART = service(STALE)
ENDS = ("stop", "containers", "would be stopped: db (always restart policy), web (no restart policy)")


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (RESTART, True),
        (packages({"docker-ce": "2"}, {"docker-ce": "1"}), True),
        (BRIDGE, True),
        (service({**STALE, "verb": "reload"}), False),
        (changed("container:web", put("image")), False),
    ],
)
def test_a_restart_ends_containers_without_live_restore(change: Change, ends: bool) -> None:
    containers = {"web": "", "db": "always"}
    found = [(one.level, one.subject, one.reason) for one in impacts(planned(change), containers, survive=False)]
    assert found[1:] == ([ENDS] if ends else [])
    assert len(impacts(planned(change), containers, survive=True)) == 1
    assert len(impacts(planned(change), {}, survive=False)) == 1
    assert daemon_restarts(impacts(planned(change), {}, survive=False)) == ends


def test_a_restart_of_another_service_is_no_restart_of_the_daemon() -> None:
    assert not daemon_restarts([Impact("restart", "container:web", ""), Impact("reload", "service:docker", "")])
    assert daemon_restarts([Impact("reload", "service:docker", ""), Impact("restart", "bridge:docker0", "")])


def test_keys_that_would_move_a_bridge_in_use_are_named() -> None:
    here = service({**STALE, "bridge": "bip, fixed-cidr"})
    there = service({**STALE, "bridge": "bip"}, "other")
    assert bridge_blocked(planned(there, RESTART)) == ""
    assert bridge_blocked(planned(there, here)) == "bip, fixed-cidr"
    assert bridge_blocked(planned(here, BRIDGE)) == "bip, fixed-cidr, bip"


BACK: dict[str, str] = {**STALE, "verb": "reload", "undo effect": "debug"}


@pytest.mark.parametrize(
    ("seen", "containers", "expected"),
    [
        (BACK, {}, [("restart", "service:docker", "to roll back debug")]),
        ({**BACK, "undo effect": ""}, {}, [("restart", "service:docker", "to roll it back")]),
        (
            BACK,
            {"web": ""},
            [
                ("restart", "service:docker", "to roll back debug"),
                ("stop", "containers", "would be stopped: web (no restart policy)"),
            ],
        ),
        ({**BACK, "undo live": "live"}, {"web": ""}, [("restart", "service:docker", "to roll back debug")]),
        (
            {**BACK, "undo live": "live", "undo": "bridge"},
            {"web": ""},
            [
                ("restart", "service:docker", "to roll back debug"),
                ("stop", "containers", "would be stopped: web (no restart policy)"),
            ],
        ),
        ({**BACK, "undo": "reload"}, {"web": ""}, []),
        ({**BACK, "running": "no"}, {"web": ""}, []),
    ],
)
def test_an_impact_of_the_rollback_beyond_the_plans_is_reported(
    seen: dict[str, str], containers: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    harmless = changed("file:/etc/x", put_file("/etc/x", content=b"b"))
    found = rollback_impacts(planned(harmless, service(seen)), containers)
    assert [(one.level, one.subject, one.reason) for one in found] == expected


def test_an_impact_of_the_rollback_within_the_plans_is_not_reported() -> None:
    plan = planned(service(BACK))
    assert rollback_impacts(msgspec.structs.replace(plan, impacts=(Impact("restart", "x", ""),)), {}) == ()
    assert rollback_impacts(msgspec.structs.replace(plan, impacts=(Impact("reload", "x", ""),)), {}) != ()
    assert rollback_impacts(planned(service(BACK, "other")), {"web": ""}) == ()
    # The plan already names the effect of a restart of docker for its bridge.
    assert rollback_impacts(planned(BRIDGE), {"web": ""}) == ()


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("28", (28, NEWEST_MINOR)),
        ("28.5", (28, 5)),
        ("28.5.2", (28, 5)),
        ("5:28.5.2-1~debian", (28, 5)),
        ("5:28.5-1", (28, 5)),
        ("28.x", (28, NEWEST_MINOR)),
        ("28-1", None),
        ("stable", None),
        ("9" * 5000, None),
        ("28." + "9" * 5000, (28, NEWEST_MINOR)),
    ],
)
def test_the_version_of_an_engine_is_read_from_that_of_its_package(text: str, known: tuple[int, int] | None) -> None:
    assert version(text) == known
