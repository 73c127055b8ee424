"""A run's journal on the controller: what was begun and how it ended, written durably to ``.provision/runs/`` in the
playbook's directory. After a controller dies, ``apply --resume`` and later readers use it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.lines import lines_of
from provision.report import journal_form
from provision.report.jsonlines import JsonLines
from provision.report.shown import Shown
from provision.visible import json_text
from provision.whole_file import write_whole

#: Events that a power failure must not lose: what will be done, and its result.
_DURABLE = {"run.begin", "host.plan", "host.done", "run.done"}


def folder(playbook: Path) -> Path:
    return playbook.parent / ".provision" / "runs"


class Journal:
    """Records a run. ``head`` describes it: playbook, hosts, operator, time; ``clock`` gives seconds since 1970."""

    def __init__(self, playbook: Path, run: str, head: dict[str, Any], clock: Callable[[], float] = time.time) -> None:
        self.path = folder(playbook) / run
        self.path.mkdir(parents=True, mode=0o700)
        # Readers ignore a directory without run.json, so it comes last.
        self._file = (self.path / "events.jsonl").open("w", encoding="utf-8")
        write_whole(self.path / "run.json", (json_text({"run": run, **head}, indent=2) + "\n").encode())
        self._lines = JsonLines(self._file, clock)
        for one in (self.path, self.path.parent):
            _sync(one)

    def __call__(self, event: Shown) -> None:
        self._lines(event)
        if event.name in _DURABLE and not _untouched(event):
            os.fsync(self._file.fileno())


def _untouched(event: Shown) -> bool:
    """True if an event reports a host in the desired state. If it is lost, another look finds the same state."""
    if event.name == "host.plan":
        return not getattr(event.data["plan"], "changes", ())
    return event.name == "host.done" and event.data["status"] == "ok"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Run(Struct, frozen=True):
    """A journal that was read. In the journal of an interrupted run the last line may be incomplete."""

    head: dict[str, Any]
    events: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        return str(self.head["run"])

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.head["hosts"])

    @property
    def ended(self) -> dict[str, dict[str, Any]]:
        """Host -> its final event."""
        return {event["host"]: event for event in self.events if event["event"] == "host.done"}

    @property
    def planned(self) -> dict[str, dict[str, Any]]:
        return {event["host"]: event for event in self.events if event["event"] == "host.plan"}

    @property
    def finished(self) -> bool:
        return any(event["event"] == "run.done" for event in self.events)

    @property
    def resumes(self) -> str:
        """The run that this one has resumed, or an empty text."""
        return str(self.head.get("resumes", ""))

    @property
    def left(self) -> tuple[str, ...]:
        """Hosts whose ``host.done`` event is missing in this journal."""
        return tuple(host for host in self.hosts if host not in self.ended)

    @property
    def failed(self) -> tuple[str, ...]:
        """Hosts that the run did not bring into the desired state, including those without an end."""
        return tuple(host for host in self.hosts if self.ended.get(host, {}).get("status") not in ("ok", "changed"))


def runs(playbook: Path) -> Iterator[Run]:
    """All runs of a playbook, the oldest first."""
    for path in recorded(playbook):
        yield read(path)


def recorded(playbook: Path) -> list[Path]:
    """The directories of all runs of a playbook, the oldest first."""
    return sorted(path.parent for path in folder(playbook).glob("*/run.json"))


def broken_off(playbook: Path) -> list[Run]:
    """Runs that have no end and that no later run has finished; the oldest first."""
    known = list(runs(playbook))
    taken_up = {run.resumes for run in known if run.finished}
    return [run for run in known if not run.finished and run.name not in taken_up]


def read(path: Path) -> Run:
    """Raises :class:`~provision.errors.UsageError` for a damaged journal."""
    head = journal_form.head(path / "run.json", path.name)
    events, file = [], path / "events.jsonl"
    for number, line in enumerate(lines_of(file.read_text(encoding="utf-8", errors="replace")), 1):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            break
        events.append(journal_form.event(file, number, found))
    return Run(head, tuple(events))
