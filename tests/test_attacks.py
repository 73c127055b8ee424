"""Every attack at every place that shows or writes a host's or a user's text: no attack succeeds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.attack_table import rows
from tests.attacks import ATTACKS, unseen
from tests.sinks import EVENTS, SINKS, Sink, hits


@pytest.mark.thorough
@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_no_attack_succeeds(sink: Sink) -> None:
    found = {name: came for name, text in ATTACKS.items() if (came := hits(sink, text))}
    assert not found


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_a_harmless_text_is_shown_at_each_place(sink: Sink, tmp_path: Path) -> None:
    """Each place shows a harmless text. A place that shows no text at all would pass the tests of attacks."""
    assert "owned" in sink.reach("owned", tmp_path)


def test_each_attack_has_an_effect_and_there_are_enough() -> None:
    assert len(ATTACKS) >= 40
    languages = list(ATTACKS)[list(ATTACKS).index("rich markup") :]
    for name, text in ATTACKS.items():
        assert unseen(text, "") or name in languages or name == "without end", name


def test_the_check_finds_a_place_that_passes_text_on() -> None:
    """Test the check itself: it finds a place that passes every text on unchanged."""
    through = Sink("through", "text", lambda text, place: f"web1: {text}\n")
    passed = [name for name, text in ATTACKS.items() if not hits(through, text)]
    assert len(passed) <= 12, passed
    assert not set(passed) & {"colour (SGR)", "newline", "bidi override", "half a character", "without end"}


def test_each_event_of_a_run_is_among_the_examples() -> None:
    source = "".join(path.read_text() for path in (Path(__file__).parent.parent / "provision").rglob("*.py"))
    found = set(re.findall(r'\b(?:Event|Shown|_emit)\(\s*"([a-z.]+)"', source))
    # host.good goes from workers to the controller, which never shows it.
    assert found - {"host.good"} <= {event.name for event in EVENTS}


def test_the_table_has_a_row_for_each_place() -> None:
    (row,) = rows([Sink("one", "text", lambda text, place: "\x1b")])
    assert row == ("one", len(ATTACKS), len(ATTACKS))
