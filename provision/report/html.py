"""A run as one HTML page. The page needs no other file, so it can be sent, archived and printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from provision.report.journal import Run
from provision.report.timeline import Row, Span, timeline
from provision.visible import visible

#: A sign in addition to the colour, for readers who can't see colours: status or outcome -> sign.
SIGNS = {
    "ok": "✓",
    "changed": "●",
    "failed": "✗",
    "unreachable": "⌀",
    "rolled_back": "↩",
    "skipped": "○",
    "no end": "?",
    "done": "✓",
    "undone": "·",
    "open": "?",
    "passed": "✓",
}
#: The maximum number of marks on the time axis.
_TICKS = 10


def page(run: Run) -> str:
    """The whole page. Every text of a host or a playbook in it is escaped."""
    found = timeline(run)
    # Not the sandbox of a project's templates: this template is provision's own. Texts of a host or a playbook are only
    # data in it, which jinja2 escapes and never compiles.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # A journal is a file: another version of provision may have written it.
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    length = max(found.length, 0.001)
    environment.filters |= {
        "percent": lambda seconds: f"{100 * min(max(seconds / length, 0), 1):.3f}%",
        "sign": lambda word: SIGNS.get(word, word),
        "seconds": seconds,
        "words": _words,
        "kind": _kind,
        "lines": _lines,
        "titled": _titled,
    }
    checks = {
        outcome: sum(check["outcome"] == outcome for row in found.rows for check in row.checks)
        for outcome in ("passed", "failed", "skipped")
    }
    begun = f"{datetime.fromtimestamp(found.begun, UTC):%Y-%m-%d %H:%M:%S} UTC" if found.begun is not None else ""
    template = environment.get_template("page.html.j2")
    return template.render(found=found, run=run, ticks=_ticks(length), begun=begun, checks=checks, length=length)


def seconds(value: float | None) -> str:
    """A duration as people write it: 0.4 s, 12 s, 3 min 20 s."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def _ticks(length: float) -> list[float]:
    step = next(
        (
            size
            for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
            if length / size <= _TICKS
        ),
        length / _TICKS,
    )
    return [number * step for number in range(int(length / step) + 1)]


def _kind(span: Span) -> str:
    """The kind of a span, which determines its colour."""
    if span.outcome in ("failed", "open"):
        return span.outcome
    return span.name if span.name in ("look", "finish") else "step"


def _words(row: Row) -> str:
    """A timeline row as text, for screen readers."""
    spans = (f"{span.words} {seconds(span.end - span.begin)}{_not_done(span)}" for span in row.spans)
    return "; ".join(spans) or "never begun"


def _titled(span: Span) -> str:
    return f"{span.words}: {seconds(span.end - span.begin)}, from {seconds(span.begin)} on{_not_done(span)}"


def _not_done(span: Span) -> str:
    return "" if span.outcome == "done" else f" ({span.outcome})"


def _lines(item: dict[str, Any]) -> list[tuple[str, str]]:
    """A diff's lines, each with its kind."""
    kinds = {"+": "new", "-": "old", "@": "place"}
    parts = [part for line in item["diff"] for part in line.split("\n")]
    return [(kinds.get(part[:1], "same"), part) for part in parts]
