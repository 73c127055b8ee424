"""A run's journal on the controller: the state after a killed controller, and how the journal is read later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.cli import main
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


HEAD = {"run": "r", "mode": "apply", "playbook": "site.yml", "by": "me@here", "hosts": ["web1"]}
#: Heads and lines of events that a power failure, or the author of a project, may have left.
DAMAGED_HEADS = ["", "[]", "\xff", "[" * 100_000, {"run": "r"}, {**HEAD, "hosts": [1]}, {**HEAD, "run": "../other"}]
DAMAGED_EVENTS = [
    3,
    {},
    {"event": "host.done", "host": "web1"},
    {"event": "host.done", "status": "ok"},
    {"event": "host.done", "host": [], "status": "ok"},
    {"event": "host.done", "host": "web1", "status": "failed", "error": "x"},
    {"event": "host.plan", "host": "web1", "items": [{"summary": "x"}]},
    {"event": "host.begin", "host": "web1", "at": float("nan")},
    {"event": "host.begin", "host": "web1", "at": 1e300},
    {"event": "wave.begin", "hosts": 3, "wave": "x", "of": "y", "play": 1},
]


@pytest.mark.parametrize("head", DAMAGED_HEADS, ids=lambda head: str(head)[:30])
@pytest.mark.parametrize("words", [["runs"], ["runs", "show", "last"], ["report", "--html", "-", "last"]], ids=str)
def test_a_damaged_head_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, head: object, words: list[str]
) -> None:
    _damaged(tmp_path, head, "")
    monkeypatch.chdir(tmp_path)
    assert main([*words, "site.yml"]) == 1
    assert "runs/r/run.json: the journal is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("event", DAMAGED_EVENTS, ids=str)
@pytest.mark.parametrize("words", [["runs"], ["runs", "show", "last"], ["report", "--html", "-", "last"]], ids=str)
def test_a_damaged_event_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, event: object, words: list[str]
) -> None:
    _damaged(tmp_path, HEAD, json.dumps(event))
    monkeypatch.chdir(tmp_path)
    assert main([*words, "site.yml"]) == 1
    assert "runs/r/events.jsonl:1: the journal is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("rest", ["\xff\xfe", "[" * 100_000, '{"event"'], ids=lambda rest: rest[:9])
def test_an_incomplete_last_line_is_left_out(tmp_path: Path, rest: str) -> None:
    _damaged(tmp_path, HEAD, '{"event": "run.begin"}\n' + rest)
    assert read(tmp_path / ".provision/runs/r").events == ({"event": "run.begin"},)


def _damaged(folder: Path, head: object, events: str) -> None:
    path = folder / ".provision/runs/r"
    path.mkdir(parents=True)
    (path / "run.json").write_bytes((head if isinstance(head, str) else json.dumps(head)).encode("latin-1"))
    (path / "events.jsonl").write_bytes(events.encode("latin-1"))
