"""A host's text never controls a terminal, in the output of any reporter."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from provision.commands.reporters import Listeners
from provision.model import Call, Change, Drift, Event, Failure, Plan, Platform
from provision.report.journal import Journal, folder
from provision.visible import visible

#: Clears the screen, sets the title, reverses the line, and is not UTF-8.
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202etxt.exe \udcff\x9b31m"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain\ttext\n, ünïcödé and 漢字", "plain\ttext\n, ünïcödé and 漢字"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("10 %\r20 %\r\n", "10 %\\x0d20 %\\x0d\n"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("\ud83d alone", "\\ud83d alone"),
        ("a\u202eb\u2066c\u2028d\x85e", "a\\u202eb\\u2066c\\u2028d\\x85e"),
    ],
)
def test_control_characters_are_shown_escaped(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible(seen) == seen


@pytest.mark.parametrize("json_lines", [True, False], ids=["json", "text"])
def test_no_reporter_passes_control_characters_on(
    tmp_path: Path, json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(json=json_lines, plain=True, drift_report=False, junit=tmp_path / "junit.xml")
    received: list[Event] = []
    listeners = Listeners(args, "20260101T000000-aaaaaaaa", received.append)
    listeners.add("the journal", Journal(tmp_path / "site.yml", "20260101T000000-aaaaaaaa", {"mode": "apply"}))
    drift = Drift({"content": "declared\n"}, {"content": HOSTILE + "\n"}, ("content",))
    change = Change("file:/etc/motd", drift, (Call("put_file", ("/etc/motd",)),))
    plan = Plan("web1", Platform("debian", "13", "trixie", "amd64", "apt", "Debian"), (change,), ())
    failure = Failure("step", f"it said {HOSTILE}", detail=HOSTILE)
    listeners(Event("host.plan", "web1", {"plan": plan}))
    listeners(Event("note", "web1", {"text": HOSTILE}))
    listeners(Event("check.done", "web1", {"suite": "s", "check": "c", "outcome": "failed", "message": HOSTILE}))
    listeners(Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": failure}))
    counts = {"ok": 0, "failed": 1}
    listeners(Event("run.done", data={"mode": "apply", "seconds": 0.1, "counts": counts, "odd": [{"text": HOSTILE}]}))
    listeners.close()
    out = capsys.readouterr().out
    written = (folder(tmp_path / "site.yml") / "20260101T000000-aaaaaaaa/events.jsonl").read_text()
    for text in (out, written, (tmp_path / "junit.xml").read_text()):
        assert "owned" in text
        if text.startswith("{"):
            text = "".join(str(json.loads(line)) for line in text.splitlines()).replace("\\\\", "\\")
        assert "\\x1b[2J" in text
        assert "\\u202etxt.exe \\xff\\x9b31m" in text
        assert visible(text) == text
    # provision acts on the plan itself, and not on what is shown.
    assert received[0].data["plan"] is plan
