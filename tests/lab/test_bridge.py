"""docker's bridge under containers that live-restore keeps: dockerd does not move the bridge, and does not report
that."""

from __future__ import annotations

from typing import Any

from tests.lab.conftest import LabHost, engine
from tests.lab.runs import leftovers, receipt, sleeper

ADDRESS = "ip -o -4 address show dev docker0 | sed 's/.* inet //; s/ .*//'"
RUNNING = "docker ps --format '{{.Names}}' | sort | tr '\\n' ' '"
SUBNET = "docker network inspect bridge --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}'"
INSIDE = "docker inspect --format '{{.NetworkSettings.Networks.bridge.IPAddress}}' bare"


def kept(bip: str = "", **more: Any) -> dict[str, Any]:
    """An engine with live-restore, and an address for its bridge."""
    return {**engine(**{"live-restore": True, **({"bip": bip} if bip else {})}), **more}


def prepared(host: LabHost) -> str:
    """Two containers run under live-restore; returns the address of the bridge."""
    assert host.apply({"engine": kept()}).counts == {"changed": 1}
    sleeper(host)
    for options in ("--name bare", "--name kept --restart always"):
        host.sh(f"docker run -d {options} sleeper:1 sleep 3600")
    return host.sh(ADDRESS)


def test_a_bridge_that_cannot_move_is_refused(docker_host: LabHost) -> None:
    host = docker_host
    before = prepared(host)
    pids = "docker inspect --format '{{.State.Pid}}' bare kept"
    facts = f"cat /run/docker.pid /etc/docker/daemon.json; {ADDRESS}; {RUNNING}; {pids}"
    untouched = host.sh(facts)
    spec = {"engine": kept("10.201.0.1/24")}
    for outcome in (host.plan(spec), host.apply(spec)):
        assert (outcome.code, outcome.counts) == (3, {"failed": 1}), outcome.out
        message = outcome.done["error"]["message"]
        for word in ("bip", "bare, kept", "engine.bridge_change: stop"):
            assert word in message
    assert host.sh(facts) == untouched
    # Without containers dockerd moves the bridge.
    host.sh("docker rm -f bare kept")
    assert host.apply(spec).counts == {"changed": 1}
    assert host.sh(ADDRESS) == "10.201.0.1/24" != before
    assert host.apply(spec).counts == {"ok": 1}


def test_a_bridge_moves_while_its_containers_are_stopped(docker_host: LabHost) -> None:
    host = docker_host
    before = prepared(host)
    spec = {"engine": kept("10.201.0.1/24", bridge_change="stop")}
    planned = host.plan(spec).all("host.plan")[0]
    assert planned["impact"] == "stop"
    assert "bare, kept" in planned["impacts"][-1]["reason"]
    assert host.apply(None, "--max-impact", "restart").done["error"]["kind"] == "impact"
    outcome = host.apply(spec)
    assert outcome.counts == {"changed": 1}, outcome.out
    assert (host.sh(ADDRESS), host.sh(SUBNET)) == ("10.201.0.1/24", "10.201.0.0/24")
    assert host.sh(RUNNING) == "bare kept"
    assert host.sh(INSIDE).startswith("10.201.0.")
    assert host.apply(spec).counts == {"ok": 1}
    # A rollback moves the bridge to its old subnet in the same way, with the containers there.
    other = kept("10.202.0.1/24", bridge_change="stop")
    broken = {"engine": other, "networks": {"broken": {"driver": "no-such-driver"}}}
    back = host.apply(broken)
    assert back.counts == {"rolled_back": 1}, back.out
    assert (host.sh(ADDRESS), host.sh(SUBNET)) == ("10.201.0.1/24", "10.201.0.0/24")
    assert host.sh(RUNNING) == "bare kept"
    assert host.sh(INSIDE).startswith("10.201.0.")
    assert host.apply(spec).counts == {"ok": 1}
    # A container that removes itself would be lost.
    host.sh("docker run -d --rm --name once sleeper:1 sleep 3600")
    lost = host.apply({"engine": other})
    assert lost.code == 3
    assert "once" in lost.done["error"]["message"]
    assert host.sh(RUNNING) == "bare kept once"
    assert before != "10.201.0.1/24"
    assert leftovers(host) == ""


def test_a_bridge_with_another_address_than_declared_is_reported(docker_host: LabHost) -> None:
    """A state that an older provision, or an operator who edited the file, can leave: dockerd runs with the file, and
    has not moved the bridge."""
    host = docker_host
    before = prepared(host)
    host.sh(
        'sed \'s|"live-restore"|"bip": "10.201.0.1/24", &|\' -i /etc/docker/daemon.json && systemctl restart docker'
    )
    assert host.sh(ADDRESS) == before, "dockerd keeps the address while containers run"
    refused = host.plan({"engine": kept("10.201.0.1/24")})
    assert refused.code == 3
    assert "bip" in refused.done["error"]["message"]
    spec = {"engine": kept("10.201.0.1/24", bridge_change="stop")}
    planned = host.plan(spec)
    assert "change bridge:docker0" in planned.items, planned.out
    assert host.apply(spec).counts == {"changed": 1}
    assert host.sh(ADDRESS) == "10.201.0.1/24"
    assert host.sh(RUNNING) == "bare kept"
    assert host.apply(spec).counts == {"ok": 1}
    assert receipt(host) == "done"
