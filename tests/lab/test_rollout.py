"""Waves over real hosts: a canary that fails is the only host that is changed, and each wave waits for the one before
it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.conftest import LabHost, Outcome, engine, inventory_of, together
from tests.lab.runs import RESTART, RUNS, hold, receipt, release, start, until


@pytest.fixture(scope="module")
def fleet(docker_fleet: Callable[[int], list[LabHost]]) -> list[LabHost]:
    return docker_fleet(4)


@pytest.fixture
def four(fleet: list[LabHost]) -> list[LabHost]:
    """The same four hosts for all tests: each test has its own files and labels."""
    return together(fleet)


def play(spec: dict[str, Any], **rollout: Any) -> dict[str, Any]:
    return {"spec": spec, "rollout": rollout}


def apply(hosts: list[LabHost], *words: str) -> Outcome:
    return hosts[0].provision("apply", *words)


def ends(outcome: Outcome) -> list[str]:
    """The results of the hosts, in the inventory's order."""
    found = {event["host"]: event["status"] for event in outcome.all("host.done")}
    return [found[name] for name in sorted(found)]


def test_a_spec_that_breaks_the_daemon_changes_only_the_canary(four: list[LabHost]) -> None:
    first = four[0]
    first.playbook(play({"engine": engine()}))
    assert apply(four).code == 0
    first.playbook(play({"engine": engine(**{"storage-driver": "no-such-driver"})}, serial=[1, "50%"]))
    before = [host.sh("ls /var/lib/provision/runs; sha256sum /etc/docker/daemon.json") for host in four]
    outcome = apply(four, "--no-lint")
    assert outcome.code == 3
    assert ends(outcome) == ["rolled_back", "skipped", "skipped", "skipped"]
    assert [event["hosts"] for event in outcome.all("wave.begin")] == [[first.name]]
    (stopped,) = outcome.all("rollout.stopped")
    assert stopped["reason"] == "1 of 1 hosts of wave 1 failed; allowed: 0"
    after = [host.sh("ls /var/lib/provision/runs; sha256sum /etc/docker/daemon.json") for host in four]
    assert after[1:] == before[1:], "the other hosts are unchanged"
    assert first.docker_info("ServerVersion")
    # The hosts that the run left, with the right spec. (All four: one failed, three were not begun.)
    run = max(first.folder.glob(".provision/runs/*")).name
    (first.folder / "inventory.yml").write_text(inventory_of(*four))
    unknown = apply(four, "--limit-failed", "20200101T000000-00000000")
    assert (unknown.code, "no run 20200101T000000-00000000" in unknown.err) == (1, True)
    first.playbook(play({"engine": engine()}, serial="50%"))
    outcome = apply(four, "--limit-failed", run)
    assert (outcome.code, ends(outcome)) == (0, ["ok"] * 4)
    run = max(first.folder.glob(".provision/runs/*")).name
    assert apply(four, "--limit-failed", run).code == 1, "the run had no failed host"
    # The first wave bakes, and its daemon is checked.
    first.playbook(play({"engine": engine(labels=["a=1"])}, serial=[1, "50%"], verify="daemon", bake=1))
    outcome = apply(four)
    assert (outcome.code, ends(outcome)) == (0, ["changed"] * 4)
    assert [len(event["hosts"]) for event in outcome.all("wave.begin")] == [1, 2, 1]
    checks = [event["host"] for event in outcome.all("check.done") if event["check"] == "daemon_key labels"]
    assert sorted(checks) == sorted([first.name, *(host.name for host in four)]), (
        "the canary is checked again after the bake time"
    )
    again = apply(four)
    assert ends(again) == ["ok"] * 4


def test_a_wave_that_fails_its_check_is_the_last(four: list[LabHost]) -> None:
    first = four[0]
    (first.folder / "test_own.py").write_text(
        "def test_file(host):\n    assert host.file('/etc/proven').content_string == 'right\\n'\n"
    )
    racks = dict(zip([host.name for host in four], ["a", "b", "a", "b"], strict=True))
    inventory = yaml.safe_load((first.folder / "inventory.yml").read_text())
    for name, variables in inventory["docker"]["hosts"].items():
        variables["rack"] = racks[name]
    (first.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    log = first.folder / "log"
    (first.folder / "hook").write_text(
        f'#!/bin/sh\necho "$1 $PROVISION_WHEN ${{PROVISION_HOST-$PROVISION_HOSTS}} $PROVISION_STATUS" >>{log}\n'
        'case $1 in "$REFUSED") exit 1 ;; esac\n'
    )
    (first.folder / "hook").chmod(0o755)
    hook = {"host": ["./hook", "{{ inventory_hostname }}"], "wave": ["./hook", "wave"]}
    paced = {"domain": "rack", "verify": "own", "before": hook, "after": hook}
    spec = {"files": {"/etc/proven": {"content": "{{ 'wrong' if rack == 'a' else 'right' }}\n"}}}
    first.playbook({**play(spec, **paced), "verify": "test_own.py"})
    outcome = apply(four)
    assert (outcome.code, ends(outcome)) == (3, ["failed", "skipped", "failed", "skipped"])
    assert {event["error"]["kind"] for event in outcome.all("host.done") if "error" in event} == {"verify"}
    one, three = four[0].name, four[2].name
    lines = log.read_text().splitlines()
    assert lines[0] == f"wave before {one} {three} good"
    assert sorted(lines[1:5]) == sorted(
        f"{name} {words}" for name in (one, three) for words in (f"before {name} ", f"after {name} failed")
    )
    assert lines[5:] == [f"wave after {one} {three} bad"]
    # A host that its hook holds back is skipped, and is not counted.
    first.playbook({**play({"files": {"/etc/proven": {"content": "right\n"}}}, **paced), "verify": "test_own.py"})
    os.environ["REFUSED"] = four[1].name
    try:
        outcome = apply(four)
    finally:
        del os.environ["REFUSED"]
    assert (outcome.code, ends(outcome)) == (3, ["changed", "skipped", "changed", "changed"])
    assert four[1].sh("cat /etc/proven 2>/dev/null || echo none") == "none"


def at_terminal(host: LabHost, *answers: str) -> tuple[int, str]:
    """An apply at a terminal, where a person answers its questions: its exit code, and what was shown."""
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "provision", "apply", "-i", str(host.folder / "inventory.yml")]
    argv.append(str(host.folder / "site.yml"))
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown, given = "", 0
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # the process has closed its side
            break
        shown += data.decode("utf-8", "replace")
        if given < len(answers) and shown.count("[y/N]") > given:
            os.write(master, f"{answers[given]}\n".encode())
            given += 1
    os.close(master)
    return process.wait(), shown


def test_the_operator_is_asked_between_waves(four: list[LabHost]) -> None:
    """At a terminal: one plan for all, then wave by wave, and no further wave after the answer no."""
    first = four[0]
    first.playbook(play({"files": {"/etc/asked": {"content": "x\n"}}}, serial=1, pause="ask"))
    code, shown = at_terminal(first, "y", "y", "n")
    assert code == 3, shown
    assert "changes on 4 hosts?" in shown
    assert "Wave 1 of 4 is done. Continue?" in shown
    assert [host.sh("ls /etc/asked 2>/dev/null || echo none") for host in four] == ["/etc/asked"] * 2 + ["none"] * 2
    journal = max(first.folder.glob(".provision/runs/*/events.jsonl"), key=lambda path: Path(path).stat().st_mtime)
    done = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [event["reason"] for event in done if event["event"] == "rollout.stopped"] == ["not confirmed after wave 2"]


def test_only_the_approved_plan_is_applied(four: list[LabHost]) -> None:
    first = four[0]
    first.playbook({"spec": {"engine": engine(labels=["plan=1"]), "files": {"/etc/approved": {"content": "x\n"}}}})
    plan = first.folder / "plan.json"
    key, signers = first.folder / "key", first.folder / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signers.write_text(f"me@example.com {key.with_suffix('.pub').read_text()}")
    planned = first.provision("plan", "--out", str(plan), "--sign", str(key), "--detailed-exitcode", "--drift-report")
    assert planned.code == 2
    same = {event["summary"]: len(event["hosts"]) for event in planned.all("drift")}
    assert same["create file:/etc/approved"] == 4, "one drift of four hosts is shown once"
    # Meanwhile one host drifts, and another is changed to the desired state by hand.
    four[1].sh("echo operator >/etc/approved")
    before = four[1].sh("sha256sum /etc/approved /etc/docker/daemon.json; ls /var/lib/provision/runs")
    unsigned = first.folder / "unsigned.json"
    unsigned.write_bytes(plan.read_bytes())
    refused = apply(four, "--plan", str(unsigned), "--signers", str(signers))
    assert (refused.code, "it is not signed" in refused.err) == (1, True)
    tampered = first.folder / "tampered.json"
    tampered.write_text(plan.read_text().replace("plan=1", "plan=2"))
    tampered.with_name("tampered.json.sig").write_bytes(plan.with_name("plan.json.sig").read_bytes())
    refused = apply(four, "--plan", str(tampered), "--signers", str(signers))
    assert (refused.code, "does not match its content" in refused.err) == (1, True)
    outcome = apply(four, "--plan", str(plan), "--signers", str(signers))
    assert (outcome.code, ends(outcome)) == (3, ["changed", "failed", "changed", "changed"])
    (error,) = [event["error"] for event in outcome.all("host.done") if "error" in event]
    assert error["kind"] == "drifted"
    assert "file:/etc/approved" in error["detail"]
    assert four[1].sh("sha256sum /etc/approved /etc/docker/daemon.json; ls /var/lib/provision/runs") == before
    # Without --signers a tampered plan does no harm: it differs from what apply would do.
    assert ends(apply(four, "--plan", str(tampered))) == ["ok", "failed", "ok", "ok"]
    # A spec that has changed since gives another plan.
    first.playbook({"spec": {"engine": engine(labels=["plan=3"]), "files": {"/etc/approved": {"content": "x\n"}}}})
    assert ends(apply(four, "--plan", str(plan))) == ["failed"] * 4


def test_an_approved_plan_covers_hidden_texts_and_commands(
    four: list[LabHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old and new text of a private file, the value of a secret, and the commands of the play."""
    first = four[0]
    variables = first.folder / "group_vars/all.yml"
    variables.parent.mkdir()
    variables.write_text("token: !secret {env: PLAN_TOKEN}\n")
    hook = first.folder / "hook"
    hook.write_text(f"#!/bin/sh\necho ran >>{first.folder}/log\n")
    hook.chmod(0o755)
    files = {
        "/etc/private": {"content": "hush-new\n", "mode": "0644"},
        "/etc/stays": {"content": "hush-stays\n", "mode": "0600"},
        "/etc/token": {"content": "{{ token }}\n", "mode": "0600"},
    }
    first.playbook(play({"files": files}, before={"wave": ["./hook"]}))
    monkeypatch.setenv("PLAN_TOKEN", "hush-approved")
    four[1].sh("echo PASSWORD=hush-old >/etc/private; echo hush-was >/etc/stays; chmod 600 /etc/private /etc/stays")
    plan = first.folder / "plan.json"
    planned = first.provision("plan", "--out", str(plan), "--detailed-exitcode")
    assert planned.code == 2, planned.err
    for hush in ("hush-old", "hush-was", "hush-stays", "hush-approved"):
        assert hush not in planned.out + plan.read_text()
    assert "hush-new" in planned.out, "every user of the host may read the file"
    assert "not shown (keyed hash" in planned.out

    def refused(*, kind: str) -> None:
        outcome = apply(four, "--plan", str(plan))
        assert ends(outcome) == ["failed"] * 4, outcome.out[-3000:] + outcome.err
        assert {event["error"]["kind"] for event in outcome.all("host.done")} == {kind}
        assert {event["error"]["detail"] for event in outcome.all("host.done")} == {
            "differs from the approved plan: file:/etc/token"
        }

    monkeypatch.setenv("PLAN_TOKEN", "hush-another")
    refused(kind="drifted")
    monkeypatch.setenv("PLAN_TOKEN", "hush-approved")
    (first.folder / "log").unlink()
    hook.write_text(f"#!/bin/sh\necho other >>{first.folder}/log\n")
    outcome = apply(four, "--plan", str(plan))
    assert (outcome.code, "the file ./hook" in outcome.err) == (1, True)
    assert not (first.folder / "log").exists(), "another command is not run"
    hook.write_text(f"#!/bin/sh\necho ran >>{first.folder}/log\n")
    # The file on the host changes unseen, with the same length.
    four[1].sh("echo hush-now >/etc/stays")
    outcome = apply(four, "--plan", str(plan), "--limit", four[1].name)
    assert ends(outcome) == ["failed"], outcome.out[-3000:]
    four[1].sh("echo hush-was >/etc/stays")
    outcome = apply(four, "--plan", str(plan))
    assert (outcome.code, ends(outcome)) == (0, ["changed"] * 4), outcome.out[-3000:] + outcome.err
    assert four[2].sh("cat /etc/token /etc/stays /etc/private") == "hush-approved\nhush-stays\nhush-new"
    run = max(first.folder.glob(".provision/runs/*")).name
    journal = (first.folder / ".provision/runs" / run / "events.jsonl").read_text()
    for hush in ("hush-old", "hush-was", "hush-stays", "hush-approved"):
        assert hush not in journal
    variables.unlink()  # the tests after this one have no such secret


def interrupted(host: LabHost, times: int, *words: str) -> Outcome:
    """An apply that receives Ctrl-C ``times`` times: when the first step is under way, and after the run has reported
    the first Ctrl-C (to the kernel two signals at once are one). docker is restarted afterwards."""
    hold(host, "systemctl", RESTART)
    process = start(host, *words)
    assert process.stdout is not None
    lines, cues = [], ['"step.begin"', '"interrupted"'][:times]
    for line in process.stdout:
        lines.append(line)
        if cues and cues[0] in line:
            process.send_signal(signal.SIGINT)
            del cues[0]
        elif '"interrupted"' in line:
            release(host)
    code = process.wait()
    release(host)
    return Outcome(code, "".join(line for line in lines if line.startswith("{")), "")


def test_ctrl_c_once_and_twice(four: list[LabHost]) -> None:
    first = four[0]
    first.playbook({"spec": {"engine": engine(labels=["ctrl=c"])}})
    once = interrupted(first, 1, "-f", "1")
    assert (once.code, ends(once)) == (130, ["changed", "skipped", "skipped", "skipped"])
    assert {event.get("reason") for event in once.all("host.done")} == {None, "the run was interrupted"}
    # Twice, in the middle of a restart: the controller leaves, and the host rolls back because no login confirms the
    # change.
    first.playbook({"spec": {"engine": engine(labels=["ctrl=c"], icc=False)}})
    before = first.sh("sha256sum /etc/docker/daemon.json")
    twice = interrupted(first, 2, "-f", "1", "--confirm-within", "3")
    assert (twice.code, ends(twice)) == (130, ["failed", "skipped", "skipped", "skipped"])
    (error,) = [event["error"] for event in twice.all("host.done") if "error" in event]
    assert error["kind"] == "left"
    assert "the host itself finishes the change or rolls it back" in error["message"]
    until(first, f"[ -e $(ls -d {RUNS}/* | tail -n 1)/result ]")
    assert receipt(first) == "rolled_back unconfirmed"
    assert first.sh("sha256sum /etc/docker/daemon.json") == before


def test_hosts_that_need_a_restart_are_restarted_one_at_a_time(four: list[LabHost]) -> None:
    first = four[0]
    first.playbook(play({"engine": engine()}, reboot="if-needed", verify="daemon"))
    assert apply(four).code == 0
    boots = [host.sh("cat /proc/1/stat | cut -d ' ' -f 22") for host in four]
    for host in (four[1], four[2]):
        host.sh("touch /run/reboot-required")
    refused = apply(four, "--max-impact", "restart")
    assert ends(refused) == ["ok"] * 4
    # The look before the question runs no command of the play, because the operator has not approved the run yet.
    log = first.folder / "after"
    (first.folder / "after-hook").write_text(f"#!/bin/sh\necho $PROVISION_HOST >>{log}\n")
    (first.folder / "after-hook").chmod(0o755)
    first.playbook(play({"engine": engine()}, after={"host": ["./after-hook"]}))
    assert at_terminal(first)[0] == 0
    assert not log.exists()
    assert ends(apply(four)) == ["ok"] * 4
    assert sorted(log.read_text().split()) == sorted(host.name for host in four)
    first.playbook(play({"engine": engine()}, reboot="if-needed", verify="daemon"))
    # A restart is a change too: no host is restarted before the operator has approved it.
    code, shown = at_terminal(first, "n")
    assert (code, "Verify 4 hosts, and restart where needed?" in shown) == (1, True), shown
    assert [host.sh("cat /proc/1/stat | cut -d ' ' -f 22") for host in four] == boots
    outcome = apply(four)
    assert (outcome.code, ends(outcome)) == (0, ["ok", "changed", "changed", "ok"])
    after = [host.sh("cat /proc/1/stat | cut -d ' ' -f 22") for host in four]
    assert [old == new for old, new in zip(boots, after, strict=True)] == [True, False, False, True]
    notes = [event["text"].split(" after")[0] for event in outcome.all("note")]
    assert notes == 2 * ["restarting", "restarted: logged in again"], "one after the other"
    assert ends(apply(four)) == ["ok"] * 4
