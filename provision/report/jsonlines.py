"""JSON Lines: one event a line, for programs. The last is ``run.done``.

:data:`EVENTS` lists every event with the meaning and the keys of each (a test reads the code). The site's reference
page is generated from it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from msgspec import Struct, field

from provision.model import Failure, Impact
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


class Kind(Struct, frozen=True):
    """One event's meaning; ``of_host`` events have the key ``host``."""

    about: str
    keys: Mapping[str, str] = field(default_factory=dict)
    of_host: bool = False


_COUNTS = "how many hosts ended with each status"

#: Events for a person who watches the run. They are not recorded.
WATCHED = ("progress",)

EVENTS: dict[str, Kind] = {
    "run.begin": Kind(
        "The first event.",
        {
            "mode": "plan, apply, rollback, verify, certify, ping, doctor, versions or runs",
            "hosts": "how many hosts the run has",
            "waves": "how many waves (not of verify)",
        },
    ),
    "wave.begin": Kind(
        "A wave of a rollout begins.",
        {"play": "the play's name", "wave": "number, from 1", "of": "how many waves", "hosts": "names"},
    ),
    "host.begin": Kind("provision connects to the host.", of_host=True),
    "host.plan": Kind(
        "What would change, or is about to.",
        {
            "platform": "the distribution's name",
            "items": "list of changes: `resource`, `summary`, `diff` (lines)",
            "disturbs": "services that are restarted, reloaded, started or stopped",
            "impact": "the worst impact level",
            "impacts": "list: `level`, `subject`, `reason`",
            "rollback_impacts": "the same of a rollback, where that is more than the plan's own impact",
        },
        of_host=True,
    ),
    "armed": Kind(
        "The host's rollback timer is set: what follows is rolled back unless it is confirmed.",
        {"seconds": "within which a new login must confirm the change"},
        of_host=True,
    ),
    "step.begin": Kind(
        "The host begins a step.",
        {
            "step": "resource and action",
            "title": "what is done, for people",
            "number": "from 1",
            "of": "how many steps",
        },
        of_host=True,
    ),
    "step.done": Kind(
        "The step succeeded.", {"step": "resource and action", "title": "what is done, for people"}, of_host=True
    ),
    "note": Kind("A remark about the host.", {"text": "the remark"}, of_host=True),
    "progress": Kind(
        "How far the step is, or what is done before the first step. Only a terminal shows it: JSON Lines and the "
        "journal do not have this event.",
        {"text": "downloaded or installed packages in percent (apt) or by number, layers of an image, or what is done"},
        of_host=True,
    ),
    "check.done": Kind(
        "A check of `verify` has a result.",
        {
            "suite": "its suite",
            "check": "its name",
            "outcome": "passed, failed or skipped",
            "message": "what was expected and seen, or why it was skipped",
            "seconds": "how long it took",
        },
        of_host=True,
    ),
    "certify.begin": Kind(
        "A step of `certify` begins.", {"step": "its name", "title": "what it shows, for people"}, of_host=True
    ),
    "certify.done": Kind(
        "A step of `certify` has a result.",
        {
            "step": "its name",
            "outcome": "passed, failed or skipped",
            "text": "what was seen, or why it was skipped or failed",
            "seconds": "how long it took",
            "error": "where a run of provision failed",
        },
        of_host=True,
    ),
    "certified": Kind(
        "The evidence of `certify` was written.",
        {"file": "its path", "summary": "the path of the summary in Markdown"},
        of_host=True,
    ),
    "ping": Kind(
        "The login of `ping` has succeeded, and the host has run a command.",
        {
            "login": "user, address and port",
            "account": "the account that ran the command",
            "transport": "ssh or openssh",
            "milliseconds": "how long the command took, without the login",
        },
        of_host=True,
    ),
    "verdict": Kind(
        "A verdict of `doctor`.",
        {"subject": "what was judged", "level": "ok, warning or bad", "text": "the verdict"},
        of_host=True,
    ),
    "controller.check": Kind(
        "A check of `doctor --controller`, which has no other events.",
        {
            "subject": "what was checked",
            "level": "ok, warning or problem",
            "text": "what was found",
            "advice": "what to do; empty for ok",
        },
    ),
    "versions": Kind(
        "What `lock` read on a host.",
        {"platform": "key in the lock file", "packages": "name to version", "images": "name to digest"},
        of_host=True,
    ),
    "run": Kind(
        "A run that the host has a record of (`runs --on-hosts`).",
        {"run": "its name", "result": "how it ended on this host", "things": "how many items it can restore"},
        of_host=True,
    ),
    "host.done": Kind(
        "The host is finished. Each host has exactly one such event.",
        {
            "status": "a [status](errors.md#statuses-of-a-host)",
            "changes": "how many resources were changed, or would be",
            "error": "where it failed",
            "restored": "of a host that was rolled back: `complete` (all is as it was before the run) or `partial`",
            "left": "list: what a `partial` rollback did not restore",
            "reason": "why it was skipped",
            "seconds": "how long it took",
        },
        of_host=True,
    ),
    "wave.done": Kind(
        "All hosts of a wave have ended.", {"play": "the play's name", "wave": "number", "counts": _COUNTS}
    ),
    "bake": Kind("The pause after the first wave, before it is verified once more.", {"seconds": "how long"}),
    "pause": Kind("A pause between waves.", {"seconds": "how long"}),
    "rollout.stopped": Kind("No further host is processed.", {"reason": "why"}),
    "interrupted": Kind("Ctrl-C was pressed.", {"text": "what happens now"}),
    "drift": Kind(
        "With `plan --drift-report`: a change that one or more hosts need, in place of their `host.plan`.",
        {"summary": "the change", "diff": "lines", "hosts": "names"},
    ),
    "run.done": Kind(
        "The last event.",
        {
            "mode": "as in run.begin",
            "counts": _COUNTS,
            "seconds": "how long the run took",
            "checks": "of verify: how many checks had each outcome",
        },
    ),
}
