"""JSON Lines: one event a line, for programs. The last is ``run.done``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from provision.model import Failure, Impact
from provision.report.events import WATCHED
from provision.report.shown import Shown, ShownPlan


class JsonLines:
    """``clock`` gives the time of each line (seconds since 1970), its ``at``."""

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] | None = None) -> None:
        self.out = out or sys.stdout
        self._clock = clock

    def __call__(self, event: Shown) -> None:
        if event.name in WATCHED:
            return
        record: dict[str, Any] = {"event": event.name}
        if event.host:
            record["host"] = event.host
        if self._clock is not None:
            record["at"] = round(self._clock(), 3)
        for key, value in event.data.items():
            if isinstance(value, Failure):
                record["error"] = _error(value)
            elif isinstance(value, ShownPlan):
                record.update(_plan(value))
            else:
                record[key] = value
        # In ASCII, so that the reader's encoding does not matter.
        self.out.write(json.dumps(record) + "\n")
        self.out.flush()

    def close(self) -> None:
        """Do nothing: no line is held back."""


def _error(failure: Failure) -> dict[str, Any]:
    error: dict[str, Any] = {"kind": failure.kind, "message": failure.message}
    for key in ("step", "title", "detail"):
        if value := getattr(failure, key):
            error[key] = value
    if failure.done or failure.undone:
        error |= {"done": list(failure.done), "undone": list(failure.undone)}
        error |= {"done_titles": list(failure.done_titles), "undone_titles": list(failure.undone_titles)}
    return error


def _plan(plan: ShownPlan) -> dict[str, Any]:
    items = [{"resource": one.resource, "summary": one.summary, "diff": list(one.diff)} for one in plan.changes]
    whole = {
        "platform": plan.platform,
        "items": items,
        "disturbs": list(plan.disturbed),
        "impact": plan.impact,
        "impacts": _impacts(plan.impacts),
    }
    return {**whole, "rollback_impacts": _impacts(plan.rollback_impacts)} if plan.rollback_impacts else whole


def _impacts(impacts: Iterable[Impact]) -> list[dict[str, str]]:
    return [{"level": one.level, "subject": one.subject, "reason": one.reason} for one in impacts]
