"""What is not as wanted on a fleet, told by the thing and not by the host: who has drifted how."""

from __future__ import annotations

from collections.abc import Callable

from provision.report.shown import Shown, ShownPlan


class DriftReport:
    """Passes everything on; before the end it tells each drift once, with the hosts that have it."""

    def __init__(self, listener: Callable[[Shown], None]) -> None:
        self._listener = listener
        self._hosts: dict[tuple[str, tuple[str, ...]], list[str]] = {}

    def __call__(self, event: Shown) -> None:
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], ShownPlan):
            for change in plan.changes:
                self._hosts.setdefault((change.summary, change.diff), []).append(event.host)
            if plan.changes:
                return  # a host's own plan would say the same again
        if event.name == "run.done":
            ordered = sorted(self._hosts.items(), key=lambda item: (-len(item[1]), item[0]))
            for (words, diff), hosts in ordered:
                data = {"summary": words, "diff": list(diff), "hosts": sorted(hosts)}
                self._listener(Shown("drift", data=data))
        self._listener(event)
