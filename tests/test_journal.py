"""A run's journal on the controller: the state after a killed controller, and how the journal is read later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.model import Failure
from provision.report.journal import Journal, broken_off, folder, read, runs
from provision.report.shown import Shown


def begun(playbook: Path, run: str, hosts: list[str], resumes: str = "") -> Journal:
    head = {"mode": "apply", "playbook": str(playbook), "by": "me@here", "hosts": hosts, "resumes": resumes}
    journal = Journal(playbook, run, head)
    journal(Shown("run.begin", data={"mode": "apply", "hosts": len(hosts)}))
    return journal


def done(host: str, status: str = "changed") -> Shown:
    return Shown("host.done", host, {"status": status, "changes": 1})


def test_the_journal_of_a_run_that_was_killed_and_resumed(tmp_path: Path) -> None:
    playbook = tmp_path / "site.yml"
    first = begun(playbook, "20260101T000000-aaaaaaaa", ["web1", "web2", "web3"])
    first(done("web1"))
    first(Shown("host.done", "web2", {"status": "rolled_back", "failure": Failure("unconfirmed", "cut off")}))
    # The controller was killed in the middle of a line.
    path = folder(playbook) / "20260101T000000-aaaaaaaa/events.jsonl"
    path.write_text(path.read_text() + '{"event": "host.do')
    (one,) = runs(playbook)
    assert one.left == ("web3",)
    assert one.failed == ("web2", "web3")
    assert one.ended["web2"]["error"]["kind"] == "unconfirmed"
    assert [run.name for run in broken_off(playbook)] == ["20260101T000000-aaaaaaaa"]
    second = begun(playbook, "20260101T000001-bbbbbbbb", ["web3"], resumes="20260101T000000-aaaaaaaa")
    assert len(broken_off(playbook)) == 2, "the second run is not finished either"
    second(done("web3"))
    second(Shown("run.done", data={"counts": {"changed": 1}}))
    assert broken_off(playbook) == []
    assert read(folder(playbook) / "20260101T000001-bbbbbbbb").finished


def test_a_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    begun(tmp_path / "site.yml", "20260101T000000-aaaaaaaa", ["web1"])
    assert (folder(tmp_path / "site.yml") / "20260101T000000-aaaaaaaa").stat().st_mode & 0o777 == 0o700


def test_runs_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from provision.cli import main

    playbook = tmp_path / "site.yml"
    journal = begun(playbook, "20260101T000000-aaaaaaaa", ["web1", "web2"])
    line = {
        "event": "host.plan",
        "host": "web1",
        "items": [{"summary": "create file:/etc/x", "diff": ["+declared", "+two"]}],
    }
    (journal.path / "events.jsonl").open("a").write(json.dumps(line) + "\n")
    journal._file.seek(0, 2)
    journal(done("web1"))
    assert main(["runs", str(playbook)]) == 0
    assert "1 changed; interrupted, without web2 (apply --resume)" in capsys.readouterr().out
    assert main(["runs", "show", "20260101T000000-aaaaaaaa", str(playbook)]) == 0
    shown = capsys.readouterr().out
    assert "web1: changed\n  create file:/etc/x\n      +declared\n      +two\n" in shown
    assert "web2: no end recorded" in shown
    assert main(["runs", "show", "20260101T000000-aaaaaaab", str(playbook)]) == 1
    assert 'did you mean "20260101T000000-aaaaaaaa"?' in capsys.readouterr().err
    assert main(["runs", "show"]) == 1
    assert "needs the name of a run" in capsys.readouterr().err
    assert main(["runs", str(playbook), "more"]) == 1
