"""The status of a run, below the lines of a terminal: the hosts under way with their steps, the waves, and the time.

It is as long for 500 hosts as for 12: with more hosts, those in the same step share a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from provision.report.layout import compressed, count
from provision.report.shown import Shown

#: The maximum number of hosts under way, and of waves, that are shown at once; more would scroll.
_ROWS, _WAVES = 12, 5
#: The columns for host names and for a bar, and the width of a terminal below which no bar is shown.
_NAMES, _BAR, _NARROW = 24, 30, 60
#: How much of a run must be over before the rest is estimated, and for how many seconds it must have run.
_KNOWN, _AFTER = 0.1, 5.0

_WAIT = "waiting for its turn"


class _Row(Struct):
    since: float
    #: what the host does, for people
    step: str = "connecting"
    number: int = 0
    of: int = 0
    note: str = ""
    #: how far the step is
    progress: str = ""

    @property
    def words(self) -> str:
        words = f"[{self.number}/{self.of}] {self.step}" if self.of else self.step
        return f"{words}: {self.note}" if self.note else words


class _Wave(Struct):
    name: str
    hosts: frozenset[str]
    done: int = 0
    bad: int = 0


class Status:
    """Follows the events of a run. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._waves: list[_Wave] = []
        self._total = self._done = 0
        self._began = clock()

    def __call__(self, event: Shown) -> None:
        data = event.data
        if event.name == "run.begin":
            self._total, self._began = int(str(data["hosts"])), self._clock()
        elif event.name == "wave.begin" and isinstance(hosts := data["hosts"], list):
            self._waves.append(_Wave(f"wave {data['wave']} of {data['of']}", frozenset(hosts)))
        elif event.name == "host.begin":
            self._rows[event.host] = _Row(self._clock())
        elif event.name == "step.begin":
            row = self._row(event.host)
            row.step, row.note, row.progress = str(data["title"]), "", ""
            row.number, row.of = int(str(data["number"])), int(str(data["of"]))
        elif event.name == "note":
            self._row(event.host).note = str(data["text"])
        elif event.name == "progress":
            row = self._row(event.host)
            if row.of:
                row.progress = str(data["text"])
            else:
                row.step = str(data["text"])
        elif event.name == "check.done":
            row = self._row(event.host)
            row.step, row.number, row.of, row.note = f"{data['suite']}: {data['check']}", 0, 0, ""
        elif event.name == "host.done":
            self._rows.pop(event.host, None)
            self._done += 1
            bad = data["status"] not in ("ok", "changed")
            for wave in self._waves:
                wave.done += event.host in wave.hosts
                wave.bad += event.host in wave.hosts and bad

    def answered(self) -> None:
        """Start the time from zero: the operator has answered a question."""
        self._began = self._clock()
        for row in self._rows.values():
            row.since, row.step, row.number, row.of, row.note = self._began, _WAIT, 0, 0, ""

    def render(self, width: int) -> Group:
        head = Table.grid(padding=(0, 1))
        for wave in self._waves[-_WAVES:]:
            words = f"{wave.done}/{count(len(wave.hosts))}"
            self._bar(head, wave.name, len(wave.hosts), wave.done, words, wave.bad, width)
        words = f"{self._done}/{count(self._total)}, {self.time()}"
        self._bar(head, "all" if self._waves else "", self._total, self._done, words, 0, width)
        return Group(self._under_way(width), head)

    def time(self) -> str:
        """The elapsed time, and the expected rest once enough of the run is over."""
        elapsed = self._clock() - self._began
        words = duration(elapsed)
        steps = sum((row.number - 1) / row.of for row in self._rows.values() if row.of)
        part = (self._done + steps) / max(1, self._total)
        if part < _KNOWN or elapsed < _AFTER or self._done >= self._total:
            return words
        rest = elapsed * (1 - part) / part
        return f"{words}, about {duration(rest)} left" if rest >= 1 else words

    def _row(self, host: str) -> _Row:
        return self._rows.setdefault(host, _Row(self._clock()))

    def _under_way(self, width: int) -> Table:
        now = self._clock()
        under_way = list(self._rows.items())
        if len(under_way) <= _ROWS:
            rows = [(host, row.words, f"{row.progress}  {_since(now, row)}".lstrip()) for host, row in under_way]
            return _grid(rows, width)
        groups: dict[str, list[str]] = {}
        longest: dict[str, float] = {}
        for host, row in under_way:
            groups.setdefault(row.step, []).append(host)
            longest[row.step] = max(longest.get(row.step, 0.0), now - row.since)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        rows = []
        for step, hosts in ordered[: _ROWS - 1]:
            # Names are shown only where at most two hosts are in a step: they may be slow.
            who = compressed(hosts, _NAMES) if len(hosts) <= 2 else count(len(hosts))
            rows.append((who, step, f"{longest[step]:.0f} s"))
        if rest := [host for _, hosts in ordered[_ROWS - 1 :] for host in hosts]:
            rows.append((count(len(rest)), "in other steps", ""))
        return _grid(rows, width)

    def _bar(self, head: Table, name: str, total: int, done: int, words: str, bad: int, width: int) -> None:
        bar = ProgressBar(total=max(1, total), completed=done, width=_BAR) if width >= _NARROW else ""
        head.add_row(Text(name), bar, Text(words), Text(f"{bad} bad" if bad else "", "bold red"))


def _since(now: float, row: _Row) -> str:
    return f"{now - row.since:.0f} s"


def _grid(rows: list[tuple[str, str, str]], width: int) -> Table:
    """The columns are host, step and progress. Only the step is cut if the width is too small."""
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right"):
        grid.add_column(no_wrap=True, justify=justify)
    cells = [(Text(who, "bold"), Text(what), Text(far, "dim")) for who, what, far in rows]
    names = min(_NAMES, width // 3, max((who.cell_len for who, _, _ in cells), default=0))
    far_width = max((far.cell_len for _, _, far in cells), default=0)
    for who, what, far in cells:
        who.truncate(names, overflow="ellipsis")
        what.truncate(max(1, width - names - far_width - 4), overflow="ellipsis")
        far.truncate(max(1, width - names - 5), overflow="ellipsis")
        grid.add_row(who, what, far)
    return grid


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
