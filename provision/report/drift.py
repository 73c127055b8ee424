"""The drift of a fleet, listed by difference and not by host: each with the hosts that have it."""

from __future__ import annotations

from collections.abc import Callable

from provision.report.shown import Shown, ShownPlan


class DriftReport:
    """Passes events on; before the end it emits each drift once, with the hosts that have it."""

    def __init__(self, listener: Callable[[Shown], None]) -> None:
        self._listener = listener
        self._hosts: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def __call__(self, event: Shown) -> None:
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], ShownPlan):
            for change in plan.changes:
                self._hosts.setdefault((change.summary, change.diff), []).append(event.host)
            if plan.changes:
                return  # the plan of a single host would repeat this
        if event.name == "run.done":
            ordered = sorted(self._hosts.items(), key=lambda item: (-len(item[1]), item[0]))
            for (words, diff), hosts in ordered:
                data = {"summary": words, "diff": list(diff), "hosts": sorted(hosts)}
                self._listener(Shown("drift", data=data))
        self._listener(event)
