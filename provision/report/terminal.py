"""A terminal: the plans in colour, then the hosts under way with their step and time, then the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text as RichText

from provision.model import Failure
from provision.report.layout import View, coloured
from provision.report.plans import Plans
from provision.report.shown import Shown, ShownPlan
from provision.report.status import Status
from provision.report.text import (
    CERTIFY,
    ENDS,
    WAVES,
    Verdicts,
    certify_lines,
    check_lines,
    drift_lines,
    explain_line,
    failure_lines,
    hosts_of,
    matrix,
    ping_line,
    run_line,
    table,
    versions_line,
    wave_lines,
)
from provision.visible import line

#: The last lines of a failing program that are shown.
_LAST = 15


class Terminal:
    """``ask`` ends the display of the looks and shows the plans, so that a question can follow. With ``colour=None``
    the terminal and NO_COLOR decide."""

    def __init__(self, console: Console | None = None, view: View | None = None, colour: bool | None = None) -> None:
        never = None if colour is None else not colour
        self.console = console or Console(
            highlight=False, color_system="standard" if colour else "auto", no_color=never
        )
        self._ends: list[Shown] = []
        self._checks: list[Shown] = []
        self._verdicts = Verdicts()
        self._mode = ""
        self._view = view or View()
        self._plans = Plans(self._view)
        self._status = Status()
        self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True)

    def __call__(self, event: Shown) -> None:
        data = event.data
        self._status(event)
        if event.name == "run.begin":
            self._mode = str(data["mode"])
            self._live.start()
        elif event.name == "host.plan" and isinstance(plan := data["plan"], ShownPlan):
            self._plans.add(plan)
        elif event.name == "step.begin" and self._plans.waits(event.host):
            self._print(self._plans.take(self._style, self.console.width))
        elif event.name == "drift":
            self._print(drift_lines(event, self._style, self._view))
        elif event.name == "note" and self._mode == "plan":
            self._print([f"{event.host}: {data['text']}"])
        elif event.name == "verdict":
            self._verdicts.add(event)
        elif event.name == "versions":
            self._print([versions_line(event)])
        elif event.name == "ping":
            self._print([ping_line(event)])
        elif event.name == "run":
            self._print([run_line(event)])
        elif event.name == "check.done":
            self._checks.append(event)
            if data["outcome"] == "failed":
                self._print(check_lines(event, self._style))
        elif event.name == "interrupted":
            self._print([str(data["text"])])
        elif event.name in CERTIFY:
            self._print(certify_lines(event, self._style, None if self._view.verbose else _LAST))
        elif event.name in WAVES:
            if event.name in ENDS:
                self._print(self._plans.take(self._style, self.console.width))
            self._print(wave_lines(event, self._style))
        elif event.name == "host.done":
            self._ends.append(event)
            if isinstance(failure := data.get("failure"), Failure):
                self._print(self._failure(event.host, failure))
        elif event.name == "run.done":
            self.close()
            self._print(self._verdicts.take(self._style))
            self._print(self._plans.take(self._style, self.console.width, total=self._mode == "plan"))
            checks = matrix(self._checks, hosts_of(self._ends), self.console.width, self._style)
            self._print(["", *checks, *table(self._ends, data, self._style), *explain_line(self._ends)])

    def _failure(self, host: str, failure: Failure) -> Iterator[str]:
        # A failed verification has reported its checks one by one.
        shown = replace(failure, detail="") if failure.kind == "verify" else failure
        rest = "provision report last --html FILE" if self._mode in ("apply", "rollback") else "-v"
        return failure_lines(host, shown, self._style, None if self._view.verbose else _LAST, rest)

    def ask(self, question: str) -> bool:
        self._live.stop()
        self._print(self._plans.take(self._style, self.console.width, total=True))
        try:
            return self.console.input(f"{line(question)} [y/N] ", markup=False, emoji=False).strip().lower() in (
                "y",
                "yes",
            )
        except EOFError:
            return False
        finally:
            self._status.answered()
            self._live.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the display of the hosts while the operator types an answer to another question."""
        started = self._live.is_started
        self._live.stop()
        try:
            yield
        finally:
            if started:
                self._live.start()

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> Group:
        return self._status.render(self.console.width)

    def _print(self, lines: Iterable[str]) -> None:
        for one in lines:
            self.console.print(RichText.from_ansi(one), soft_wrap=True)

    def _style(self, text: str, kind: str) -> str:
        # Without colours: TERM=dumb, NO_COLOR, --color never.
        return text if self.console.color_system is None or self.console.no_color else coloured(text, kind)
