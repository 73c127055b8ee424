"""A run's journal by host: what each host did when, and how it ended. The HTML page shows it."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import Any

from msgspec import Struct, field

from provision.report.journal import Run

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
        row.status, row.changes = event["status"], event["changes"]
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
