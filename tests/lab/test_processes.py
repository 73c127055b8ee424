"""Worker processes on real hosts: a run with two is the same run as with one, and each host is safe when one dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.conftest import LabHost, Outcome, engine, together
from tests.lab.runs import RESTART, RUNS, hold, leftovers, receipt, release, start, until
from tests.process_tree import children, connected, sockets
from tests.terminal import Terminal

BOTH = pytest.mark.parametrize("count", [1, 2])
CANARY = "for-one-host-4711"
PASSPHRASE = "of-the-key-1"
#: The password that the account ops of a lab host has, for its login and for sudo.
PASSWORD = "lab-secret-1"


@pytest.fixture(scope="module")
def fleet(docker_fleet: Callable[[int], list[LabHost]]) -> list[LabHost]:
    return docker_fleet(3)


@pytest.fixture
def three(fleet: list[LabHost]) -> list[LabHost]:
    """The same three hosts for all tests."""
    return together(fleet)


def ended(process: subprocess.Popen[str], lines: list[str]) -> Outcome:
    """The outcome of a run whose output was read: warnings, and an event a line."""
    events = [line for line in lines if line.startswith("{")]
    return Outcome(process.wait(), "".join(events), "".join(line for line in lines if line not in events))


def ends(outcome: Outcome) -> dict[str, str]:
    done = outcome.all("host.done")
    assert len({event["host"] for event in done}) == len(done), outcome.out
    return {event["host"]: event["status"] for event in done}


def journal(host: LabHost) -> list[dict[str, Any]]:
    """The newest run of the first host's project."""
    run = max((host.folder / ".provision/runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def comparable(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The events of each host in their order, without times and numbers of rounds."""
    found: dict[str, list[str]] = {}
    for event in events:
        timeless = {key: value for key, value in event.items() if key not in ("seconds", "at")}
        found.setdefault(event.get("host", ""), []).append(re.sub(r"round=\d", "round=N", json.dumps(timeless)))
    return found


def test_a_change_has_the_same_events_and_journal(three: list[LabHost]) -> None:
    first = three[0]
    runs = []
    for number, count in enumerate((1, 1, 2)):
        spec = {"engine": engine(labels=[f"round={number}"]), "files": {"/etc/made": {"content": f"round={number}\n"}}}
        first.playbook({"spec": spec, "rollout": {"serial": 2}})
        outcome = first.apply(None, "--processes", str(count))
        assert (outcome.code, outcome.counts) == (0, {"changed": 3}), outcome.out + outcome.err
        runs.append((comparable(outcome.events), comparable(journal(first))))
    _, one, two = runs  # the first one creates what the others change
    assert one[0] == two[0]
    assert one[1] == two[1]
    assert {"host.begin", "host.plan", "step.begin", "step.done", "host.done"} <= {
        json.loads(event)["event"] for event in two[0][first.name]
    }
    assert {host.sh("cat /etc/made") for host in three} == {"round=2"}


def logins(host: LabHost) -> int:
    """The logins in the log of the host's sshd, including the login of this query."""
    return int(
        host.sh("journalctl --sync; journalctl -q -o cat -t sshd-session -t sshd | grep -c '^Accepted publickey for'")
    )


@BOTH
def test_a_host_in_the_desired_state_has_one_login(three: list[LabHost], count: int) -> None:
    first = three[0]
    first.playbook({"spec": {"engine": engine()}})
    assert first.apply(None, "--processes", str(count)).code == 0
    before = [logins(host) for host in three]
    outcome = first.apply(None, "--processes", str(count))
    assert (outcome.code, outcome.counts) == (0, {"ok": 3})
    assert [logins(host) - 1 - old for host, old in zip(three, before, strict=True)] == [1, 1, 1]


@BOTH
def test_each_question_is_asked_once_at_the_controllers_terminal(three: list[LabHost], count: int) -> None:
    """The password of sudo before the run; while hosts are processed, the passphrase of a key that two hosts share, and
    what the third host's sshd asks."""
    first, last = three[0], three[-1]
    key = first.folder / f"key{count}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    for host in three[:-1]:
        host.sh(f"install -d -m 0700 -o ops ~ops/.ssh && echo '{public}' >>~ops/.ssh/authorized_keys")
        host.sh("chown ops ~ops/.ssh/authorized_keys")
    last.sh(
        "printf 'KbdInteractiveAuthentication yes\nPasswordAuthentication no\n' >/etc/ssh/sshd_config.d/00-asks.conf &&"
        " systemctl reload ssh"
    )
    inventory = yaml.safe_load((first.folder / "inventory.yml").read_text())
    for name, variables in inventory["docker"]["hosts"].items():
        del variables["ansible_ssh_private_key_file"]
        identity = "none" if name == last.name else str(key)
        options = f"-o IdentityFile={identity} -o IdentityAgent=none -o IdentitiesOnly=yes"
        variables |= {"ansible_user": "ops", "ansible_become": True, "ansible_ssh_common_args": options}
    (first.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    first.playbook({"spec": {"files": {f"/etc/asked{count}": {"content": "x\n"}}}})
    argv = [sys.executable, "-m", "provision", "apply", "--yes", "--plain", "-K", "--processes", str(count)]
    terminal = Terminal([*argv, "-i", "inventory.yml", "site.yml"], first.folder)
    questions = terminal.answer_all(
        {"become password: ": PASSWORD, "key: ": PASSPHRASE, 'the host asks "Password": ': PASSWORD}
    )
    assert terminal.close() == 0, terminal.seen
    assert questions[0] == "become password: "
    # The host that prompts has a second login, which confirms the change.
    asked = [f"{key}: passphrase of the key: ", *2 * [f'ops@{last.address}: the host asks "Password": ']]
    assert sorted(questions[1:]) == sorted(asked), terminal.seen
    assert PASSPHRASE not in terminal.seen
    assert PASSWORD not in terminal.seen
    assert {host.sh(f"cat /etc/asked{count}") for host in three} == {"x"}


def readable(pid: int) -> bytes:
    """What other processes of the same user can read of a process: its arguments and its environment."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


@BOTH
def test_a_secret_reaches_its_host_only(three: list[LabHost], count: int) -> None:
    first, owner = three[0], three[1]
    canary = f"{CANARY}-{count}"
    for folder, text in (("host_vars", f"{owner.name}.yml"), ("secrets", "word")):
        (first.folder / folder).mkdir(exist_ok=True)
        content = f"{canary}\n" if folder == "secrets" else "word: !secret {file: ../secrets/word}\n"
        (first.folder / folder / text).write_text(content)
    private = {"files": {"/etc/private": {"content": "{{ word }}\n", "mode": "0600"}}}
    first.playbook(
        {"spec": {"engine": engine(labels=[f"secret={count}"])}},
        {"name": "Owner", "hosts": owner.name, "spec": private},
    )
    process = start(first, "--processes", str(count))
    assert process.stdout is not None
    lines: list[str] = []
    seen: list[bytes] = []
    for line in process.stdout:
        lines.append(line)
        if not seen and '"step.begin"' in line:
            workers = children(process.pid) if count > 1 else []
            seen = [
                readable(pid) for pid in [process.pid, *workers, *(below for pid in workers for below in children(pid))]
            ]
            assert len(workers) == (count if count > 1 else 0)
    outcome = ended(process, lines)
    assert (outcome.code, outcome.counts) == (0, {"changed": 3}), outcome.out
    assert seen
    assert not [text for text in seen if canary.encode() in text]
    assert canary not in outcome.out
    # grep fails where it finds nothing, and where a file of /run or /tmp ends meanwhile.
    found = f"grep -rlF {canary} /etc /var/lib/provision /run /tmp /root 2>/dev/null || true"
    assert [host.sh(found) for host in three] == ["", "/etc/private", ""]
    left = subprocess.run(["grep", "-rlF", canary, first.folder], capture_output=True, text=True, check=False)
    assert left.stdout.split() == [str(first.folder / "secrets/word")]


@BOTH
def test_ctrl_c_ends_the_run_without_a_lock(three: list[LabHost], count: int) -> None:
    first = three[0]
    first.playbook({"spec": {"engine": engine(labels=[f"ctrl-c={count}"], icc=count == 2)}})
    for host in three:
        hold(host, "systemctl", RESTART)
    process = start(first, "--processes", str(count), "-f", "2")
    assert process.stdout is not None
    lines, sent = [], False
    for line in process.stdout:
        lines.append(line)
        if not sent and '"step.begin"' in line:
            sent = True
            # As a terminal does: to the controller and its workers.
            for pid in [process.pid, *(children(process.pid) if count > 1 else [])]:
                os.kill(pid, signal.SIGINT)
        if '"event": "interrupted"' in line:
            release(*three)
    outcome = ended(process, lines)
    assert outcome.code == 130, "".join(lines)
    statuses = [*ends(outcome).values()]
    assert len(statuses) == 3
    assert {*statuses} == {"changed", "skipped"}, "".join(lines)
    assert statuses.count("changed") <= 2
    assert outcome.events[-1]["event"] == "run.done"
    assert [leftovers(host) for host in three] == [""] * 3
    again = first.apply(None, "--processes", str(count))
    assert (again.code, again.counts["changed"]) == (0, statuses.count("skipped"))


def test_after_the_death_of_a_worker_its_host_is_whole_and_the_others_are_changed(three: list[LabHost]) -> None:
    first = three[0]
    first.playbook({"spec": {"engine": engine()}})
    assert first.apply().code == 0
    before = first.sh("sha256sum /etc/docker/daemon.json")
    first.playbook({"spec": {"engine": engine(labels=["worker=1"], icc=False)}, "rollout": {"max_failures": 3}})
    for host in three:
        hold(host, "systemctl", RESTART)
    process = start(first, "--processes", "2", "-f", "2", "--confirm-within", "5")
    assert process.stdout is not None
    lines, lost = [], ""
    for line in process.stdout:
        lines.append(line)
        if not lost and '"step.begin"' in line and "svc_settle" in line:
            # In the middle of a restart of docker.
            lost = json.loads(line)["host"]
            (address,) = (host.address for host in three if host.name == lost)
            (worker,) = (pid for pid in children(process.pid) if connected(address, 22) & sockets(pid))
            os.kill(worker, signal.SIGKILL)
            release(*three)
    outcome = ended(process, lines)
    assert (outcome.code, outcome.counts) == (3, {"failed": 1, "changed": 2}), outcome.out
    assert ends(outcome)[lost] == "failed"
    (error,) = [event["error"] for event in outcome.all("host.done") if "error" in event]
    assert error["kind"] == "worker"
    assert "ended unexpectedly (killed by signal 9, SIGKILL); the state of the host is not known" in error["message"]
    (host,) = (host for host in three if host.name == lost)
    # The host itself: no login confirms the change, so it is rolled back.
    until(host, f"[ -e $(ls -d {RUNS}/* | tail -n 1)/result ]")
    assert receipt(host) == "rolled_back unconfirmed"
    assert host.sh("sha256sum /etc/docker/daemon.json") == before
    assert [leftovers(one) for one in three] == [""] * 3
    assert {one.docker_info("Labels") for one in three if one is not host} == {"[worker=1]"}
    again = first.apply(None, "--processes", "2")
    assert (again.code, again.counts) == (0, {"changed": 1, "ok": 2}), again.out + again.err
    assert host.docker_info("Labels") == "[worker=1]"
