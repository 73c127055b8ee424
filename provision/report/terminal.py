"""A terminal: the plan in colour, then the hosts under way with their step and time, then the table."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from rich.color import ColorSystem
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text as RichText

from provision.model import Failure
from provision.report.checks import matrix
from provision.report.shown import Shown, ShownPlan
from provision.report.text import (
    WAVES,
    check_lines,
    drift_lines,
    failure_lines,
    hosts_of,
    plan_lines,
    run_line,
    table,
    verdict_line,
    versions_line,
    wave_lines,
)
from provision.visible import line

_STYLES = {
    "host": "bold",
    "create": "green",
    "change": "yellow",
    "remove": "red",
    "+": "green",
    "-": "red",
    "@": "cyan",
    "disturb": "bold magenta",
    "error": "bold red",
    "ok": "green",
    "changed": "yellow",
    "failed": "bold red",
    "unreachable": "bold red",
    "skipped": "dim",
    "warning": "yellow",
    "bad": "bold red",
}
#: The most hosts under way, and waves, that are shown at once; more would scroll.
_ROWS, _WAVES = 12, 5


class _Row(Struct):
    since: float
    step: str = "connecting"


class _Wave(Struct):
    name: str
    hosts: frozenset[str]
    done: int = 0
    bad: int = 0


class Terminal:
    """``ask`` ends the display of the looks and shows the plans, so that a question can follow."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._rows: dict[str, _Row] = {}
        self._ends: list[Shown] = []
        self._checks: list[Shown] = []
        self._total = 0
        self._waves: list[_Wave] = []
        self._looked: set[str] = set()
        self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=8, transient=True)

    def __call__(self, event: Shown) -> None:
        data = event.data
        if event.name == "run.begin":
            self._total = int(str(data["hosts"]))
            self._live.start()
        elif event.name == "host.begin":
            self._rows[event.host] = _Row(time.monotonic(), "looking")
        elif event.name == "host.plan":
            self._looked.add(event.host)
            if isinstance(plan := data["plan"], ShownPlan) and plan.changes:
                self._print(plan_lines(plan, self._style))
        elif event.name == "step.begin":
            row = self._rows.setdefault(event.host, _Row(time.monotonic()))
            row.step = f"[{data['number']}/{data['of']}] {data['title']}"
        elif event.name == "note":
            self._rows.setdefault(event.host, _Row(time.monotonic())).step = str(data["text"])
        elif event.name == "drift":
            self._print(drift_lines(event, self._style))
        elif event.name == "verdict":
            self._print([verdict_line(event, self._style)])
        elif event.name == "versions":
            self._print([versions_line(event)])
        elif event.name == "run":
            self._print([run_line(event)])
        elif event.name == "check.done":
            row = self._rows.setdefault(event.host, _Row(time.monotonic()))
            row.step = f"{data['suite']}: {data['check']}"
            self._checks.append(event)
            if data["outcome"] == "failed":
                self._print(check_lines(event, self._style))
        elif event.name == "interrupted":
            self._print([str(data["text"])])
        elif event.name in WAVES:
            self._print(wave_lines(event, self._style))
            if event.name == "wave.begin" and isinstance(hosts := data["hosts"], list):
                self._waves.append(_Wave(f"wave {data['wave']} of {data['of']}", frozenset(hosts)))
        elif event.name == "host.done":
            self._rows.pop(event.host, None)
            self._ends.append(event)
            for wave in self._waves:
                wave.done += event.host in wave.hosts
                wave.bad += event.host in wave.hosts and data["status"] not in ("ok", "changed")
            if isinstance(failure := data.get("failure"), Failure):
                # A failed verification has reported its checks one by one.
                shown = replace(failure, detail="") if failure.kind == "verify" else failure
                self._print(failure_lines(event.host, shown, self._style))
        elif event.name == "run.done":
            self.close()
            checks = matrix(self._checks, hosts_of(self._ends), self.console.width, self._style)
            self._print(["", *checks, *table(self._ends, data, self._style)])

    def ask(self, question: str) -> bool:
        self._live.stop()
        try:
            return self.console.input(f"{line(question)} [y/N] ", markup=False, emoji=False).strip().lower() in (
                "y",
                "yes",
            )
        except EOFError:
            return False
        finally:
            now = time.monotonic()
            for row in self._rows.values():
                row.since, row.step = now, "waiting"
            self._live.start()

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> Group:
        grid = Table.grid(padding=(0, 2))
        for name, row in list(self._rows.items())[:_ROWS]:
            grid.add_row(
                RichText(name, "bold"), RichText(row.step), RichText(f"{time.monotonic() - row.since:.0f} s", "dim")
            )
        if len(self._rows) > _ROWS:
            grid.add_row(RichText(f"and {len(self._rows) - _ROWS} more", "dim"), "", "")
        head = Table.grid(padding=(0, 1))
        for wave in self._waves[-_WAVES:]:
            self._bar(head, wave.name, len(wave.hosts), wave.done, f"{wave.bad} bad" if wave.bad else "")
        self._bar(head, "all" if self._waves else "", self._total, len(self._ends))
        return Group(grid, head)

    def _bar(self, head: Table, name: str, total: int, done: int, more: str = "") -> None:
        bar = ProgressBar(total=max(1, total), completed=done, width=30)
        head.add_row(RichText(name), bar, f"{done}/{total} hosts", RichText(more, "bold red"))

    def _print(self, lines: Iterable[str]) -> None:
        for one in lines:
            self.console.print(RichText.from_ansi(one), soft_wrap=True)

    def _style(self, text: str, kind: str) -> str:
        style = _STYLES.get(kind)
        if style is None or not self.console.is_terminal or self.console.no_color:
            return text
        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)
