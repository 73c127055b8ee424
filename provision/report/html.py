"""A run's journal by host (what each host did when, and how it ended), as one HTML page.

The page needs no other file, so it can be sent, archived and printed.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from msgspec import Struct, field

from provision.report.journal import Run
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


#: The spans before the first step, and after the last one.
LOOK, FINISH = "look", "finish"


class Span(Struct):
    """``begin`` and ``end`` are seconds since the start of the run. ``outcome`` is done, failed, or open (it never
    ended). ``title`` is the name for people."""

    name: str
    begin: float
    end: float
    outcome: str = "done"
    title: str = ""

    @property
    def words(self) -> str:
        return self.title or self.name


class Row(Struct):
    """One host's timeline row. ``outcomes`` are those of its steps (done, failed, undone), ``checks`` those of its
    verification. ``titles`` describe its steps for people. ``wave`` is 0 for a host without a wave."""

    host: str
    wave: int = 0
    status: str = ""
    seconds: float | None = None
    changes: int = 0
    reason: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    impacts: list[dict[str, str]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Wave(Struct):
    """A wave of a play; ``counts`` are those of its hosts' statuses."""

    number: int
    of: int
    play: str
    hosts: tuple[str, ...]
    begin: float
    counts: dict[str, int] = field(default_factory=dict)


class Timeline(Struct):
    """``length`` is in seconds. ``steps`` maps the steps of all hosts, in the order of their first start, to titles. A
    step's title is that of the first host."""

    run: Run
    rows: list[Row]
    waves: list[Wave]
    steps: dict[str, str]
    counts: dict[str, int]
    length: float
    begun: float | None
    stopped: str = ""
    interrupted: bool = False

    @property
    def groups(self) -> list[tuple[Wave | None, list[Row]]]:
        """The timeline rows by wave; those without a wave come last."""
        found = [(wave, [row for row in self.rows if row.wave == number]) for number, wave in enumerate(self.waves, 1)]
        rest = [row for row in self.rows if not row.wave]
        return [*found, (None, rest)] if rest else [*found]


def timeline(run: Run) -> Timeline:
    """Make the timeline of a run's journal; for an interrupted run, as far as the journal goes."""
    rows = {host: Row(host) for host in run.hosts}
    waves: list[Wave] = []
    steps: dict[str, str] = {}
    times = [event["at"] for event in run.events if isinstance(event.get("at"), (int, float))]
    begun = times[0] if times else None
    found = Timeline(run, [], waves, steps, {}, max(times, default=0.0) - (begun or 0.0), begun)
    for event in run.events:
        now = float(event["at"]) - begun if begun is not None and "at" in event else 0.0
        row = rows.setdefault(event["host"], Row(event["host"])) if "host" in event else None
        if row is not None:
            _follow(row, event, now, steps)
        elif event["event"] == "wave.begin":
            hosts = tuple(event["hosts"])
            waves.append(Wave(event["wave"], event["of"], event["play"], hosts, now))
            for host in hosts:
                rows.setdefault(host, Row(host)).wave = len(waves)
        elif event["event"] == "rollout.stopped":
            found.stopped = event["reason"]
        elif event["event"] == "interrupted":
            found.interrupted = True
    for row in rows.values():
        if row.spans and row.spans[-1].outcome == "open":
            row.spans[-1].end = max(row.spans[-1].begin, found.length)
    for number, wave in enumerate(waves, 1):
        wave.counts = dict(Counter(row.status or "no end" for row in rows.values() if row.wave == number))
    # Hosts without a wave come last.
    found.rows = sorted(rows.values(), key=lambda row: row.wave or len(waves) + 1)
    found.counts = dict(Counter(row.status or "no end" for row in found.rows))
    return found


def _follow(row: Row, event: dict[str, Any], now: float, steps: dict[str, str]) -> None:
    name = event["event"]
    if name == "host.begin":
        _close(row, now)
        row.spans.append(Span(LOOK, now, now, "open"))
    elif name == "host.plan":
        row.items, row.impacts = event["items"], event.get("impacts", [])
        _close(row, now)
    elif name == "step.begin":
        _close(row, now)
        # The journal of an earlier version has no titles.
        title = row.titles[event["step"]] = event.get("title") or event["step"]
        steps.setdefault(event["step"], title)
        row.spans.append(Span(event["step"], now, now, "open", title))
        row.outcomes[event["step"]] = "open"
    elif name == "step.done":
        _close(row, now)
        row.outcomes[event["step"]] = "done"
    elif name == "note":
        row.notes.append(event["text"])
    elif name == "check.done":
        row.checks.append(event)
    elif name == "host.done":
        row.status, row.changes = event["status"], event.get("changes", 0)
        row.seconds, row.reason = event.get("seconds"), event.get("reason", "")
        row.error = event.get("error", {})
        bad = bool(row.error)
        if row.spans and row.spans[-1].outcome == "open":
            _close(row, now, "failed" if bad else "done")
        elif row.spans:
            row.spans.append(Span(FINISH, row.spans[-1].end, now, "failed" if bad else "done"))
        undone = row.error.get("undone", ())
        for step, title in zip_longest(undone, row.error.get("undone_titles", ())[: len(undone)]):
            row.outcomes[step] = "failed" if step == row.error.get("step") else "undone"
            steps.setdefault(step, row.titles.setdefault(step, title or step))


def _close(row: Row, now: float, outcome: str = "done") -> None:
    if row.spans and row.spans[-1].outcome == "open":
        row.spans[-1].end, row.spans[-1].outcome = now, outcome
