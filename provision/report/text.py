"""Lines of text for logs, pipes and CI; also the plan and the final table, which a terminal shows too."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO

from msgspec.structs import replace

from provision.model import Failure
from provision.report.checks import matrix
from provision.report.shown import Shown, ShownPlan
from provision.report.style import Style, plain

#: Events of :func:`wave_lines`.
WAVES = ("wave.begin", "wave.done", "bake", "pause", "rollout.stopped")


def plan_lines(plan: ShownPlan, style: Style = plain) -> Iterator[str]:
    """A host's plan. ``style(text, kind)`` may colour ``host``, ``create``, ``change``, ``remove``, ``+``, ``-``."""
    count = len(plan.changes)
    if not count:
        yield style(f"{plan.host}: nothing to do", "ok")
        return
    yield style(f"{plan.host}", "host") + f" ({plan.platform}): {count} change{'s' if count > 1 else ''}"
    for change in plan.changes:
        yield "  " + style(change.summary, change.summary.split()[0])
        yield from _diff_lines(change.diff, style)
    for one in plan.impacts:
        yield "  " + style(f"impact: {one.level}: {one.subject}{': ' if one.reason else ''}{one.reason}", "disturb")
    for one in plan.rollback_impacts:
        words = f"a rollback: {one.level}: {one.subject}{': ' if one.reason else ''}{one.reason}"
        yield "  " + style(words, "disturb")
    if units := [unit for unit in plan.disturbed if f"service:{unit}" not in {one.subject for one in plan.impacts}]:
        yield "  " + style(f"restarts, reloads or starts: {', '.join(units)}", "disturb")


def failure_lines(host: str, failure: Failure, style: Style = plain) -> Iterator[str]:
    """The error, in the program's own words, and how far the host got."""
    yield style(f"{host}: {failure.kind}: {failure.message}", "error")
    if failure.detail:
        yield textwrap.indent(failure.detail.rstrip(), "    | ", lambda line: True)
    if failure.done_titles or failure.undone_titles:
        yield from (f"    done: {title}" for title in failure.done_titles or ("nothing",))
        yield from (f"    not done: {title}" for title in failure.undone_titles)


def drift_lines(event: Shown, style: Style = plain) -> Iterator[str]:
    """One difference from the desired state, and the hosts that have it."""
    data = event.data
    hosts = data["hosts"] if isinstance(data["hosts"], list) else []
    words = str(data["summary"])
    yield style(words, words.split()[0]) + f" on {len(hosts)} host{'s' if len(hosts) != 1 else ''}: {', '.join(hosts)}"
    yield from _diff_lines(data["diff"] if isinstance(data["diff"], list) else [], style)


def _diff_lines(diff: Iterable[str], style: Style) -> Iterator[str]:
    for line in diff:
        yield "      " + style(line, line[:1] if line[:1] in "+-@" else "value")


def verdict_line(event: Shown, style: Style = plain) -> str:
    """The doctor's verdict on one subject."""
    level = str(event.data["level"])
    return f"{event.host}: {style(f'{level:7}', level)}  {event.data['subject']}: {event.data['text']}"


def run_line(event: Shown) -> str:
    return f"{event.host}: {event.data['run']}  {event.data['result']}  ({event.data['things']} things kept)"


def wave_lines(event: Shown, style: Style = plain) -> Iterator[str]:
    """The progress of the rollout, between the hosts."""
    data = event.data
    if event.name == "wave.begin":
        hosts = data["hosts"] if isinstance(data["hosts"], list) else []
        few = ", ".join(hosts[:5]) + (f" and {len(hosts) - 5} more" if len(hosts) > 5 else "")
        yield style(f"wave {data['wave']} of {data['of']} ({data['play']}): {few}", "host")
    elif event.name == "wave.done":
        counts = data["counts"] if isinstance(data["counts"], dict) else {}
        ends = ", ".join(f"{count} {style(status, status)}" for status, count in counts.items() if count)
        yield style(f"wave {data['wave']} is over: ", "host") + ends
    elif event.name == "bake":
        yield f"waiting {data['seconds']} s"
    elif event.name == "pause":
        yield f"waiting {data['seconds']} s before the next wave"
    elif event.name == "rollout.stopped":
        yield style(f"stopped: {data['reason']}; no further host is processed", "error")


def armed_words(event: Shown) -> str:
    return f"the host rolls back the next steps unless they are confirmed within {event.data['seconds']} s"


def versions_line(event: Shown) -> str:
    packages = event.data["packages"]
    found = packages if isinstance(packages, dict) else {}
    images = event.data.get("images")
    digests = images if isinstance(images, dict) else {}
    words = [f"{name} {found[name]}" for name in sorted(found)]
    words += [f"{name} {digests[name].removeprefix('sha256:')[:12]}" for name in sorted(digests)]
    return f"{event.host} ({event.data['platform']}): " + ", ".join(words)


def check_lines(event: Shown, style: Style = plain) -> Iterator[str]:
    """A failed check: the expected and the actual value."""
    data = event.data
    yield style(f"{event.host}: {data['suite']}: {data['check']}", "error")
    yield textwrap.indent(str(data["message"]).rstrip(), "    | ", lambda line: True)


class Text:
    """A line per event."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self._mode = ""
        self._ends: list[Shown] = []
        self._checks: list[Shown] = []

    def __call__(self, event: Shown) -> None:
        for line in self._lines(event):
            self.out.write(line + "\n")
        self.out.flush()

    def close(self) -> None:
        """Do nothing: no line is held back."""

    def _lines(self, event: Shown) -> Iterator[str]:
        data = event.data
        if event.name == "run.begin":
            self._mode = str(data["mode"])
        elif event.name == "host.plan" and isinstance(plan := data["plan"], ShownPlan) and plan.changes:
            yield from plan_lines(plan)
        elif event.name == "step.begin":
            yield f"{event.host}: [{data['number']}/{data['of']}] {data['title']}"
        elif event.name == "note":
            yield f"{event.host}: {data['text']}"
        elif event.name == "drift":
            yield from drift_lines(event)
        elif event.name == "verdict":
            yield verdict_line(event)
        elif event.name == "versions":
            yield versions_line(event)
        elif event.name == "run":
            yield run_line(event)
        elif event.name == "armed":
            yield f"{event.host}: {armed_words(event)}"
        elif event.name == "check.done":
            self._checks.append(event)
            if data["outcome"] == "failed":
                yield from check_lines(event)
        elif event.name == "interrupted":
            yield str(data["text"])
        elif event.name in WAVES:
            yield from wave_lines(event)
        elif event.name == "host.done":
            self._ends.append(event)
            if isinstance(failure := data.get("failure"), Failure):
                # A failed verification has reported its checks one by one.
                shown = replace(failure, detail="") if failure.kind == "verify" else failure
                yield from failure_lines(event.host, shown)
            elif self._mode in ("apply", "rollback") or data["status"] != "changed":
                yield f"{event.host}: {data['status']}"
        elif event.name == "run.done":
            yield ""
            yield from matrix(self._checks, hosts_of(self._ends), 120)
            yield from table(self._ends, data)


def hosts_of(ends: list[Shown], limit: int = 50) -> list[str]:
    """The hosts of the table of checks: all of a few; of many, only those that are not in the desired state."""
    shown = ends if len(ends) <= limit else [event for event in ends if event.data["status"] == "failed"]
    return sorted(event.host for event in shown)


def table(ends: list[Shown], done: object, style: Style = plain, limit: int = 200) -> Iterator[str]:
    """How each host ended, always including the failed ones, and the counts."""
    if not isinstance(done, dict):
        return
    bad = [event for event in ends if event.data["status"] not in ("ok", "changed")]
    shown = ends if len(ends) <= limit else bad
    width = max([4, *(len(event.host) for event in shown)])
    mode = str(done["mode"])
    columns = "passed  failed  skipped" if mode == "verify" else "changes  seconds"
    if shown:
        yield f"{'host':{width}}  {'status':12}  {columns}"
    for event in sorted(shown, key=lambda event: event.host):
        status = str(event.data["status"])
        word = "would change" if mode == "plan" and status == "changed" else status
        yield f"{event.host:{width}}  {style(f'{word:12}', status)}  {_cells(event, mode)}"
    named = {"changed": "would change"} if mode == "plan" else {}
    always = ("ok",) if mode == "verify" else ("ok", "changed")
    counts = done["counts"].items()
    parts = [f"{count} {named.get(status, status)}" for status, count in counts if count or status in always]
    yield f"{', '.join(parts)} in {done['seconds']:.1f} s"


def _cells(event: Shown, mode: str) -> str:
    if mode == "verify":
        checks = event.data.get("checks")
        found = checks if isinstance(checks, dict) else {}
        return f"{found.get('passed', 0):6}  {found.get('failed', 0):6}  {found.get('skipped', 0):7}"
    return f"{event.data['changes']:7}  {event.data.get('seconds', ''):>7}"
