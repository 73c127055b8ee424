"""``provision explain``: every error kind, exit code and lint rule has a text, and a mistyped word a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import cli
from provision.errors import EXIT_CODES
from provision.explanations import CODES, KINDS
from provision.lint.rules import RULES
from provision.model import FAILURES, Event, Failure
from tests.test_plans import begin, end, terminal

ROOT = Path(__file__).parent.parent


def test_every_error_kind_and_exit_code_has_an_explanation() -> None:
    assert [(name, one.meaning) for name, one in KINDS.items()] == [*FAILURES.items()]
    assert [(number, one.meaning) for number, one in CODES.items()] == [*EXIT_CODES.items()]
    for one in (*KINDS.values(), *CODES.values()):
        assert one.why.endswith(".")
        assert one.todo.endswith(".")
        assert one.example


@pytest.mark.parametrize(
    ("word", "title"),
    [
        *((name, f"{name} (error kind): ") for name in KINDS),
        *((str(number), f"{number} (exit code): ") for number in CODES),
        *((id, f"{id} {rule.name} (lint rule, {rule.level})") for id, rule in RULES.items()),
        ("Host-Key", "host_key (error kind): "),
        ("dj101", "DJ101 unknown-key (lint rule, error)"),
        ("unknown-key", "DJ101 unknown-key (lint rule, error)"),
    ],
)
def test_a_word_is_explained(word: str, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", word]) == 0
    text = capsys.readouterr().out
    assert text.startswith(title)
    assert "\nWhy:\n" in text
    assert "\nWhat to do:\n" in text


def test_rules_of_one_name_are_both_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "nftables-without-forwarding"]) == 0
    text = capsys.readouterr().out
    assert text.count("(lint rule, warning)") == 2
    assert "DJ316" in text
    assert "SP407" in text


def test_without_a_word_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert listed == {*map(str, CODES), *KINDS, *RULES}


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("unconfrimed", 'did you mean "unconfirmed"?'),
        ("dj1101", 'did you mean "DJ111"?'),
        ("unknwon-key", 'did you mean "unknown-key"?'),
        ("133", 'did you mean "130"?'),
        ("xyzzy", "provision explain lists them"),
    ],
)
def test_an_unknown_word_has_a_suggestion(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "auth", word]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"provision: no error kind, lint rule or exit code {word} ({hint})\n"


def test_the_supported_distributions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A host's error names this command and has no list: it is one line for each host."""
    assert cli.main(["explain", "unsupported"]) == 0
    assert "Debian from 11 on, Ubuntu from 20.04 on" in capsys.readouterr().out


def test_the_reference_has_the_same_texts() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    for name, one in KINDS.items():
        section = page.split(f"\n### `{name}`\n")[1].split("\n#")[0]
        assert one.why in section
        assert one.todo in section
        assert one.example in section


def _ended(kinds: list[str]) -> str:
    ends = [
        Event("host.done", f"web{n}", {"status": "failed", "changes": 0, "failure": Failure(kind, "why")})
        for n, kind in enumerate(kinds, 1)
    ]
    return terminal([begin(len(kinds) or 1), *ends, end()], TERM="dumb")[0]


def test_a_terminal_names_the_command_that_explains_the_errors_of_a_run_once() -> None:
    hints = [line for line in _ended(["auth", "step", "auth"]).splitlines() if "provision explain" in line]
    assert hints == ["provision explain auth step: why this occurs, and what to do"]
    assert "provision explain" not in _ended([])
