"""Lines of text for logs, pipes and CI; also the final table and the table of checks, which a terminal shows too."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TextIO

from msgspec.structs import replace

from provision.model import Failure
from provision.report.layout import Style, View, by_number, compressed, count, plain
from provision.report.plans import Plans, diff_lines
from provision.report.shown import Shown, ShownPlan

#: The columns for the names of a wave's hosts.
_NAMES = 60
#: Hosts with the same result share a row of the table if it would otherwise have more rows than this.
_ROWS = 10
#: The statuses of hosts that always have a separate row.
BAD = ("failed", "unreachable", "rolled_back")
#: Before these events, plans are shown that were not yet shown by a step.
ENDS = ("wave.done", "run.done")
#: Events of :func:`certify_lines`.
CERTIFY = ("certify.begin", "certify.done", "certified")
#: The outcome of a step of certify -> its style.
_OUTCOMES = {"passed": "ok", "failed": "failed", "skipped": "skipped"}
#: Events of :func:`wave_lines`.
WAVES = ("wave.begin", "wave.done", "bake", "pause", "rollout.stopped")


def failure_lines(
    host: str, failure: Failure, style: Style = plain, last: int | None = None, rest: str = ""
) -> Iterator[str]:
    """The error, in the program's own words, and how far the host got. Only the ``last`` lines of the program are
    shown; ``rest`` says where all of them are."""
    yield style(f"{host}: {failure.kind}: {failure.message}", "error")
    lines = failure.detail.rstrip().split("\n") if failure.detail else []
    if last is not None and len(lines) > last:
        yield f"    | ... {len(lines) - last} lines before these ({rest} shows all)"
        lines = lines[-last:]
    yield from (f"    | {line}" for line in lines)
    if failure.rolled_back and failure.left is not None:
        yield "    restored: " + (f"partial; left: {'; '.join(failure.left)}" if failure.left else "complete")
    if failure.done_titles or failure.undone_titles:
        yield from (f"    done: {title}" for title in failure.done_titles or ("nothing",))
        yet = "not done yet" if failure.kind == "timeout" else "not done"
        yield from (f"    {yet}: {title}" for title in failure.undone_titles)


def explain_line(ends: Iterable[Shown]) -> Iterator[str]:
    """One line that says which command explains the errors of these hosts; none where no host failed."""
    failures = (event.data.get("failure") for event in ends)
    if kinds := dict.fromkeys(failure.kind for failure in failures if isinstance(failure, Failure)):
        yield f"provision explain {' '.join(kinds)}: why this occurs, and what to do"


def drift_lines(event: Shown, style: Style = plain, view: View | None = None) -> Iterator[str]:
    """One difference from the desired state, and the hosts that have it."""
    data = event.data
    hosts = data["hosts"] if isinstance(data["hosts"], list) else []
    words = str(data["summary"])
    yield style(words, "host") + f" on {count(len(hosts))}: {compressed(hosts)}"
    yield from diff_lines(data["diff"] if isinstance(data["diff"], list) else [], style, view)


class Verdicts:
    """The doctor's verdicts. Hosts with the same verdict share its line; the lines keep the order of the subjects."""

    def __init__(self) -> None:
        self._hosts: dict[str, dict[tuple[str, str], list[str]]] = {}

    def add(self, event: Shown) -> None:
        told = self._hosts.setdefault(str(event.data["subject"]), {})
        told.setdefault((str(event.data["level"]), str(event.data["text"])), []).append(event.host)

    def take(self, style: Style = plain) -> Iterator[str]:
        for subject, told in self._hosts.items():
            for (level, text), hosts in told.items():
                yield f"{compressed(hosts)}: {style(f'{level:7}', level)}  {subject}: {text}"
        self._hosts = {}


def run_line(event: Shown) -> str:
    return f"{event.host}: {event.data['run']}  {event.data['result']}  ({event.data['things']} items kept)"


def wave_lines(event: Shown, style: Style = plain) -> Iterator[str]:
    """The progress of the rollout, between the hosts."""
    data = event.data
    if event.name == "wave.begin":
        hosts = data["hosts"] if isinstance(data["hosts"], list) else []
        few = compressed(hosts, _NAMES)
        yield style(f"wave {data['wave']} of {data['of']} ({data['play']}), {count(len(hosts))}: {few}", "host")
    elif event.name == "wave.done":
        counts = data["counts"] if isinstance(data["counts"], dict) else {}
        ends = ", ".join(f"{number} {style(status, status)}" for status, number in counts.items() if number)
        yield style(f"wave {data['wave']} is over: ", "host") + ends
    elif event.name == "bake":
        yield f"waiting {data['seconds']} s"
    elif event.name == "pause":
        yield f"waiting {data['seconds']} s before the next wave"
    elif event.name == "rollout.stopped":
        yield style(f"stopped: {data['reason']}; no further host is processed", "error")


def certify_lines(event: Shown, style: Style = plain, last: int | None = None) -> Iterator[str]:
    """A step of certify: its title, or its result and the error of the run that failed."""
    data = event.data
    if event.name == "certify.begin":
        yield style(f"{event.host}: {data['step']}: {data['title']}", "host")
        return
    if event.name == "certified":
        yield f"{event.host}: evidence: {data['file']}, summary: {data['summary']}"
        return
    outcome = str(data["outcome"])
    if isinstance(failure := data.get("failure"), Failure):
        yield from failure_lines(event.host, failure, style, last, "-v")
    shown = style(outcome, _OUTCOMES.get(outcome, "error"))
    yield f"{event.host}: {data['step']}: {shown}: {data['text']} ({data['seconds']} s)"


def armed_words(event: Shown) -> str:
    return f"the host rolls back the next steps unless they are confirmed within {event.data['seconds']} s"


def ping_line(event: Shown) -> str:
    data = event.data
    account = "" if str(data["login"]).startswith(f"{data['account']}@") else f", as {data['account']}"
    return f"{event.host}: ok, {data['login']}{account}, {data['milliseconds']} ms, transport {data['transport']}"


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

    def __init__(self, out: TextIO | None = None, view: View | None = None, style: Style = plain) -> None:
        self.out = out or sys.stdout
        self._style = style
        self._plans = Plans(view)
        self._mode = ""
        self._ends: list[Shown] = []
        self._checks: list[Shown] = []
        self._verdicts = Verdicts()

    def __call__(self, event: Shown) -> None:
        for line in self._lines(event):
            self.out.write(line + "\n")
        self.out.flush()

    def close(self) -> None:
        """Do nothing: no line is held back."""

    def _lines(self, event: Shown) -> Iterator[str]:
        data = event.data
        if event.name in ENDS or (self._plans.waits(event.host) and event.name == "step.begin"):
            yield from self._plans.take(self._style, total=event.name == "run.done" and self._mode == "plan")
        if event.name == "run.begin":
            self._mode = str(data["mode"])
        elif event.name == "host.plan" and isinstance(plan := data["plan"], ShownPlan):
            self._plans.add(plan)
        elif event.name == "step.begin":
            yield f"{event.host}: [{data['number']}/{data['of']}] {data['title']}"
        elif event.name == "note":
            yield f"{event.host}: {data['text']}"
        elif event.name == "drift":
            yield from drift_lines(event, self._style, view=self._plans.view)
        elif event.name == "verdict":
            self._verdicts.add(event)
        elif event.name == "versions":
            yield versions_line(event)
        elif event.name == "ping":
            yield ping_line(event)
        elif event.name == "run":
            yield run_line(event)
        elif event.name == "armed":
            yield f"{event.host}: {armed_words(event)}"
        elif event.name == "check.done":
            self._checks.append(event)
            if data["outcome"] == "failed":
                yield from check_lines(event, self._style)
        elif event.name == "interrupted":
            yield str(data["text"])
        elif event.name in CERTIFY:
            yield from certify_lines(event, self._style)
        elif event.name in WAVES:
            yield from wave_lines(event, self._style)
        elif event.name == "host.done":
            self._ends.append(event)
            if isinstance(failure := data.get("failure"), Failure):
                # A failed verification has reported its checks one by one.
                shown = replace(failure, detail="") if failure.kind == "verify" else failure
                yield from failure_lines(event.host, shown, self._style)
            elif self._mode in ("apply", "rollback") or data["status"] != "changed":
                yield f"{event.host}: {self._style(str(data['status']), str(data['status']))}"
        elif event.name == "run.done":
            yield from self._verdicts.take(self._style)
            yield ""
            yield from matrix(self._checks, hosts_of(self._ends), 120, self._style)
            yield from table(self._ends, data, self._style)


def hosts_of(ends: list[Shown], limit: int = 50) -> list[str]:
    """The hosts of the table of checks: above ``limit`` hosts, only those that are not in the desired state."""
    shown = ends if len(ends) <= limit else [event for event in ends if event.data["status"] == "failed"]
    return sorted(event.host for event in shown)


def table(ends: list[Shown], done: object, style: Style = plain) -> Iterator[str]:
    """How each host ended, and the counts. Many hosts with the same result share a row, unless they failed."""
    if not isinstance(done, dict):
        return
    mode = str(done["mode"])
    rows: dict[tuple[str, str], list[Shown]] = {}
    for event in sorted(ends, key=lambda event: by_number(event.host)):
        status = str(event.data["status"])
        alone = "" if len(ends) > _ROWS and status not in BAD else event.host
        rows.setdefault((status, alone or _result(event, mode)), []).append(event)
    names = {key: compressed((event.host for event in some), _NAMES) for key, some in rows.items()}
    width = max([4, *map(len, names.values())])
    if rows:
        columns = "passed  failed  skipped" if mode == "verify" else "changes  seconds"
        yield f"{'host':{width}}  {'status':12}  {columns}"
    for (status, result), some in rows.items():
        word = "would change" if mode == "plan" and status == "changed" else status
        yield f"{names[status, result]:{width}}  {style(f'{word:12}', status)}  {_cells(some, mode)}"
    named = {"changed": "would change"} if mode == "plan" else {}
    always = ("ok",) if mode == "verify" else ("ok", "changed")
    counts = done["counts"].items()
    parts = [f"{number} {named.get(status, status)}" for status, number in counts if number or status in always]
    yield f"{', '.join(parts)} in {done['seconds']:.1f} s"


def _result(event: Shown, mode: str) -> str:
    if mode == "verify":
        return _checks(event)
    return f"{event.data['changes']:7}"


def _cells(events: list[Shown], mode: str) -> str:
    if mode == "verify":
        return _checks(events[0])
    seconds = [found for event in events if isinstance(found := event.data.get("seconds"), (int, float))]
    return f"{_result(events[0], mode)}  {max(seconds, default=''):>7}"


def _checks(event: Shown) -> str:
    checks = event.data.get("checks")
    found = checks if isinstance(checks, dict) else {}
    return f"{found.get('passed', 0):6}  {found.get('failed', 0):6}  {found.get('skipped', 0):7}"


def matrix(checks: list[Shown], hosts: list[str], width: int, style: Style = plain) -> Iterator[str]:
    """Checks of one test (for example one for each file) share a row: ``ok``, ``2/3`` passed, ``-`` nothing to check.

    A block has as many hosts as fit into ``width``, then the next block follows.
    """
    cells: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for event in checks:
        check = (str(event.data["suite"]), str(event.data["check"]).partition(" ")[0])
        cells[check][event.host][str(event.data["outcome"])] += 1
    if not cells:
        return
    head = max(len(suite) + 2 + len(name) for suite, name in cells)
    columns = [host for host in hosts if any(host in row for row in cells.values())]
    room = max([5, *(len(host) for host in columns)]) + 2
    block = max(1, (width - head) // room)
    for start in range(0, len(columns), block):
        shown = columns[start : start + block]
        yield " " * head + "".join(f"{host:>{room}}" for host in shown)
        for (suite, name), row in sorted(cells.items(), key=lambda cell: cell[0][0]):
            yield f"{suite}: {name}".ljust(head) + "".join(_cell(row[host], room, style) for host in shown)
        yield ""


def _cell(found: Counter[str], room: int, style: Style) -> str:
    bad, good = found["failed"], found["passed"]
    if bad:
        return style(f"{f'{good}/{good + bad}':>{room}}", "failed")
    return style(f"{'ok':>{room}}", "ok") if good else f"{'-':>{room}}"
