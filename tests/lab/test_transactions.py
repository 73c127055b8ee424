"""A change is a transaction on the host: the test cuts connections, kills processes, and interleaves runs in the middle
of a change."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.lab.conftest import LabHost, NewHost, engine, inventory_of
from tests.lab.runs import RUNS, leftovers, receipt, sleeper, start, until

CUT_OFF = {"bip": "198.51.100.1/24"}
BRIDGE = "ip -o -4 address show dev docker0 | grep -q"


def test_a_host_that_is_cut_off_rolls_back_by_itself(docker_host: LabHost) -> None:
    host, pid = docker_host, docker_host.dockerd_pid()
    before = host.sh("sha256sum /etc/docker/daemon.json; ip -o -4 address show dev docker0")
    spec = {"engine": engine(**CUT_OFF)}
    assert host.apply(spec).code == 1, "lint refuses the file"
    outcome = host.apply(spec, "--no-lint", "--confirm-within", "4")
    assert (outcome.code, outcome.counts) == (3, {"rolled_back": 1}), outcome.out
    assert outcome.done["error"]["kind"] == "unconfirmed"
    assert receipt(host) == "rolled_back unconfirmed"
    assert host.sh("sha256sum /etc/docker/daemon.json; ip -o -4 address show dev docker0") == before
    assert host.docker_info("ServerVersion")
    assert host.dockerd_pid() != pid
    assert leftovers(host) == ""
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_host_that_is_cut_off_rolls_back_after_the_death_of_the_controller(docker_host: LabHost) -> None:
    host = docker_host
    host.playbook({"spec": {"engine": engine(**CUT_OFF)}})
    process = start(host, "--no-lint", "--confirm-within", "4")
    until(host, f"{BRIDGE} 198.51.100.1/24")
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(host, f"[ -e $(ls -d {RUNS}/* | tail -n 1)/result ]")
    assert receipt(host) == "rolled_back unconfirmed"
    assert leftovers(host) == ""
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_host_that_is_cut_off_rolls_back_after_a_reboot(docker_host: LabHost) -> None:
    host = docker_host
    host.playbook({"spec": {"engine": engine(**CUT_OFF)}})
    process = start(host, "--no-lint", "--confirm-within", "6")
    until(host, f"{BRIDGE} 198.51.100.1/24 && [ -e $(ls -d {RUNS}/* | tail -n 1)/waiting ]")
    host.within("systemctl reboot")
    out, _ = process.communicate(timeout=180)
    done = [json.loads(line) for line in out.splitlines() if '"host.done"' in line]
    assert [event["status"] for event in done] == ["rolled_back"], out
    assert receipt(host) == "rolled_back unconfirmed"
    assert leftovers(host) == ""
    assert host.sh("ip -o -4 address show dev docker0 | grep -c 198.51.100 || true") == "0"
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_connection_cut_while_packages_unpack_does_not_end_the_run(host: LabHost) -> None:
    host.playbook({"spec": {"engine": engine()}})
    host.inventory()
    process = start(host)
    until(host, "pgrep -x dpkg-deb >/dev/null || pgrep -x dpkg >/dev/null && ls /usr/bin/dockerd* >/dev/null 2>&1")
    host.within("pkill -KILL -f 'sshd-session: root@[n]otty' || pkill -KILL -f 'sshd: root@[n]otty'")
    out, _ = process.communicate(timeout=180)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert process.returncode == 0, out
    assert [event["status"] for event in events if event["event"] == "host.done"] == ["changed"]
    assert any("connection lost" in event.get("text", "") for event in events)
    assert host.sh("dpkg --audit; dpkg-query -W -f '${db:Status-Abbrev}' docker-ce") == "ii"
    assert receipt(host) == "done"
    assert host.apply().counts == {"ok": 1}


def test_of_two_controllers_one_is_refused(docker_host: LabHost) -> None:
    host = docker_host
    host.playbook({"spec": {"engine": engine(labels=["a=1"])}})
    both = [start(host), start(host)]
    outs = [process.communicate(timeout=120)[0] for process in both]
    ends = [json.loads(next(line for line in out.splitlines() if '"host.done"' in line)) for out in outs]
    kinds = sorted(end.get("error", {}).get("kind", end["status"]) for end in ends)
    assert "changed" in kinds, outs
    assert set(kinds) <= {"changed", "ok", "locked", "drifted"}, outs
    assert host.docker_info("Labels") == "[a=1]"
    assert leftovers(host) == ""
    assert host.apply().counts == {"ok": 1}


def test_a_host_that_drifted_since_its_plan_is_refused(host: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    from provision import tasks
    from provision.load import load
    from provision.transport.ssh import Connecting, HostError, Transport

    host.playbook({"spec": {"files": {"/etc/x": {"content": "declared\n"}, "/etc/y": {"content": "declared\n"}}}})
    config, context = load(host.inventory(), host.folder / "site.yml").for_host(host.name)
    connection = Transport(Connecting()).open(config.host, time.monotonic() + 30)
    found = tasks.look(connection, config, context)
    host.sh("echo operator >/etc/y")
    with pytest.raises(HostError) as caught:
        tasks.fix(connection, config, found)
    assert caught.value.failure.kind == "drifted"
    assert "file /etc/y" in caught.value.failure.detail
    assert host.sh("cat /etc/y; ls /etc/x 2>/dev/null || true") == "operator"
    assert host.sh(f"ls {RUNS} /run/provision") == "/run/provision:\nqueue\n\n/var/lib/provision/runs:"
    connection.close()


def test_a_failed_step_is_undone(docker_host: LabHost) -> None:
    host, before = docker_host, docker_host.sh("sha256sum /etc/docker/daemon.json")
    spec = {
        "hostname": "other.example",
        "sysctl": {"net.ipv4.conf.all.rp_filter": 2},
        "files": {"/etc/first": {"content": "1\n"}, "/etc/motd": {"content": "declared\n"}},
        "engine": engine(**{"storage-driver": "no-such-driver"}),
    }
    host.sh("echo operator >/etc/motd; chmod 0640 /etc/motd")
    names = host.sh("uname -n; cat /etc/hostname /etc/hosts; cat /proc/sys/net/ipv4/conf/all/rp_filter")
    outcome = host.apply(spec, "--no-lint")
    assert outcome.counts == {"rolled_back": 1}
    assert outcome.done["error"]["step"] == "service:docker svc_settle"
    assert host.sh("sha256sum /etc/docker/daemon.json") == before
    assert host.sh("cat /etc/motd; stat -c %a /etc/motd; ls /etc/first 2>/dev/null || true") == "operator\n640"
    assert host.sh("uname -n; cat /etc/hostname /etc/hosts; cat /proc/sys/net/ipv4/conf/all/rp_filter") == names
    assert host.docker_info("ServerVersion")
    assert leftovers(host) == ""
    assert host.apply({"engine": engine()}).counts == {"ok": 1}


def test_a_refused_user_namespace_leaves_no_trace(docker_host: LabHost) -> None:
    """When provision asks dockerd about `userns-remap: default`, dockerd makes a user, and gives it ids."""
    host, traces = docker_host, "getent passwd dockremap; cat /etc/passwd /etc/group /etc/subuid /etc/subgid"
    before = host.sh(traces)
    spec = {"engine": engine(**{"userns-remap": "default"}), "files": {"/proc/no": {"content": "", "owner": "games"}}}
    outcome = host.apply(spec, "--no-lint")
    assert outcome.counts == {"rolled_back": 1}, outcome.out
    assert "file:/etc/docker/daemon.json daemon_check_content" in outcome.done["error"]["done"]
    assert host.sh(traces) == before
    # dockerd itself makes the user when it starts with the key.
    del spec["files"]
    assert host.apply(spec, "--no-lint").counts == {"changed": 1}
    assert "name=userns" in host.docker_info("SecurityOptions")
    assert "dockremap" in host.sh(traces)


def test_a_container_that_does_not_start_again_rolls_the_daemon_back(docker_host: LabHost) -> None:
    host = docker_host
    sleeper(host)
    runtimes = {"custom": {"path": "/usr/bin/runc"}}
    assert host.apply({"engine": engine(runtimes=runtimes)}).counts == {"changed": 1}
    host.sh("docker run -d --name kept --restart always --runtime custom sleeper:1 sleep 3600")
    # docker answers, with all that was declared. The container's runtime is missing.
    outcome = host.apply({"engine": engine(icc=False)})
    assert outcome.counts == {"rolled_back": 1}, outcome.out
    assert outcome.done["error"]["kind"] == "unhealthy"
    assert "kept" in outcome.done["error"]["message"]
    assert host.sh("docker inspect --format '{{.State.Running}}' kept") == "true"
    assert leftovers(host) == ""
    assert host.apply({"engine": engine(runtimes=runtimes)}).counts == {"ok": 1}


LATER: dict[str, Any] = {"labels": ["a=2"], "log-level": "warn"}
#: The next content of daemon.json, besides live-restore, and the impact of that change. One host gets all of them in
#: this order.
IMPACTS: list[tuple[dict[str, Any], str]] = [
    ({"debug": True}, "reload"),
    ({"debug": False}, "reload"),
    ({}, "restart"),  # a deleted key of this kind keeps its value until a restart
    ({"labels": ["a=1"]}, "reload"),
    ({"labels": ["a=1"], "max-concurrent-downloads": 7}, "reload"),
    ({"labels": ["a=1"]}, "reload"),  # a key that a reload resets
    ({"labels": ["a=1"], "log-level": "warn"}, "restart"),
    (LATER, "reload"),
    ({**LATER, "log-driver": "local"}, "restart"),
    ({**LATER, "log-driver": "local", "shutdown-timeout": 20}, "reload"),
    ({**LATER, "log-driver": "local", "registry-mirrors": ["http://198.51.100.2:5000"]}, "restart"),
    ({**LATER, "log-driver": "local", "registry-mirrors": ["http://198.51.100.3:5000"]}, "reload"),
]


def test_the_impact_of_a_change_equals_the_plans(docker_host: LabHost) -> None:
    host = docker_host
    sleeper(host)
    host.sh("docker run -d --name bare sleeper:1 sleep 3600")
    pid = "docker inspect --format '{{.State.Pid}}' bare"
    # live-restore comes together with a key that needs a restart. It is switched on first, so that the container
    # continues.
    base: dict[str, Any] = {"live-restore": True}
    before, daemon = host.sh(pid), host.dockerd_pid()
    planned = host.plan({"engine": engine(**{"userland-proxy": False}, **base)})
    assert planned.all("host.plan")[0]["impact"] == "restart", "no container ends"
    assert host.apply().counts == {"changed": 1}
    assert (host.sh(pid), host.dockerd_pid() == daemon) == (before, False)
    assert host.apply({"engine": engine(**base)}).counts == {"changed": 1}
    seen = []
    for more, _ in IMPACTS:
        daemon = host.dockerd_pid()
        level = host.plan({"engine": engine(**base, **more)}).all("host.plan")[0]["impact"]
        assert host.apply().counts == {"changed": 1}, more
        did = "reload" if host.dockerd_pid() == daemon else "restart"
        seen.append((more, level, did))
        print(f"{json.dumps(more):90} plan: {level:8} dockerd: {did:8} container's pid kept: {host.sh(pid) == before}")
        assert host.sh(pid) == before, "live-restore"
    assert seen == [(more, expected, expected) for more, expected in IMPACTS]
    assert host.provision("verify", "--suite", "daemon").failed == set(), (
        "the daemon reports a reload as its last action"
    )
    # Without live-restore a restart ends the container. The plan names it, and --max-impact can refuse it.
    assert host.apply({"engine": engine()}).code == 0
    host.sh("docker rm -f bare; docker run -d --name bare sleeper:1 sleep 3600")
    refused = host.apply({"engine": engine(icc=False)}, "--max-impact", "restart")
    assert (refused.code, refused.done["error"]["kind"]) == (3, "impact")
    assert "bare (no restart policy)" in refused.done["error"]["message"]
    assert host.sh("docker inspect --format '{{.State.Running}}' bare") == "true"
    assert host.apply().counts == {"changed": 1}
    assert host.sh("docker inspect --format '{{.State.Running}}' bare") == "false"


def test_a_package_that_restarts_docker_comes_before_live_restore(host: LabHost) -> None:
    """apt stops the old engine before the new file is loaded, so live-restore comes too late for the running
    containers."""
    own = {**engine(), "source": "distribution"}
    assert host.apply({"engine": own}).counts == {"changed": 1}
    sleeper(host)
    host.sh("docker run -d --name bare sleeper:1 sleep 3600")
    other = host.apply({"engine": engine(**{"live-restore": True})}, "--max-impact", "restart")
    assert (other.code, other.done["error"]["kind"]) == (3, "impact")
    assert "bare (no restart policy)" in other.done["error"]["message"]
    # In two separate runs no container ends.
    assert host.apply({"engine": {**engine(**{"live-restore": True}), "source": "distribution"}}).code == 0
    moved = host.apply({"engine": engine(**{"live-restore": True})}, "--max-impact", "restart")
    assert moved.counts == {"changed": 1}, moved.out
    assert host.sh("docker inspect --format '{{.State.Running}}' bare") == "true"


def test_a_finished_run_is_rolled_back(docker_host: LabHost) -> None:
    host = docker_host
    host.sh("echo operator >/etc/motd; chmod 0640 /etc/motd")
    before = host.sh(f"{BACK}")
    pinned = {**engine(labels=["a=1"]), "version": "26.1.5"}
    spec = {
        "hostname": "other.example",
        "sysctl": {"net.ipv4.conf.all.rp_filter": 2},
        "files": {"/etc/motd": {"content": "declared\n"}, "/etc/new": {"content": "declared\n"}},
        "engine": pinned,
    }
    assert host.apply(spec).counts == {"changed": 1}
    changed = host.sh(f"{BACK}")
    assert changed != before
    listed = host.provision("runs", "--on-hosts")
    names = [event["run"] for event in listed.all("run")]
    assert [event["result"] for event in listed.all("run")] == ["done", "done"]
    back = host.rollback(names[-1])
    assert back.counts == {"changed": 1}, back.out
    assert host.sh(f"{BACK}") == before
    assert leftovers(host) == ""
    # The rollback was a run itself, and can be rolled back as well.
    newest = host.provision("runs", "--on-hosts").all("run")[-1]["run"]
    again = host.rollback(newest)
    assert again.counts == {"changed": 1}, again.out
    assert host.sh(f"{BACK}") == changed
    unknown = host.rollback("20200101T000000-00000000")
    assert unknown.done["error"]["kind"] == "unsuited"
    text = subprocess.run(
        [sys.executable, "-m", "provision", "runs", "show", names[-1], str(host.folder / "site.yml")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "+declared" in text


BACK = (
    "uname -n; cat /etc/hostname /etc/hosts /etc/motd; stat -c '%a %U' /etc/motd; ls /etc/new 2>/dev/null; "
    "cat /proc/sys/net/ipv4/conf/all/rp_filter /etc/docker/daemon.json; docker info --format '{{.Labels}} "
    "{{.ServerVersion}}'; ls /etc/sysctl.d"
)


def test_a_run_whose_controller_died_is_completed(new_host: NewHost) -> None:
    one, two = new_host(), new_host()
    (one.folder / "inventory.yml").write_text(inventory_of(one, two))
    spec = {"sysctl": {"net.ipv4.conf.all.rp_filter": 2}, "packages": ["tree"], "files": {"/etc/x": {"content": "x"}}}
    one.playbook({"spec": spec})
    process = start(one, "-f", "1", "--confirm-within", "30")
    until(one, f"[ -e $(ls -d {RUNS}/* | tail -n 1)/armed ]")
    process.kill()
    process.wait()
    assert one.sh("cat /proc/sys/net/ipv4/conf/all/rp_filter") == "2"
    resumed = one.apply(None, "--resume")
    ends = {event["host"]: event["status"] for event in resumed.all("host.done")}
    assert ends == {one.name: "changed", two.name: "changed"}, resumed.out
    assert receipt(one) == "done"
    assert one.sh(f"ls {RUNS} | wc -l") == "1", "nothing was done twice"
    assert leftovers(one) == ""
    assert one.apply().counts == {"ok": 2}
    nothing = one.apply(None, "--resume")
    assert nothing.code == 1
