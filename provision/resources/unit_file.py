"""The file of a unit that another unit starts (a timer, for example): systemd must have read its current content."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources.file import OfFile
from provision.steps.services import svc_reread


class UnitFile(OfFile, frozen=True):
    """systemd uses the content that it has read until a daemon-reload (systemctl(1))."""

    unit: str

    def want(self) -> State:
        return {**self.file.want(), "unit": "current"}

    def look(self) -> tuple[Call, ...]:
        return (*self.file.look(), Call("look_services", (self.unit, "-", "")))

    def seen(self, report: HostReport) -> State:
        shown = dict(line.split("=", 1) for line in report.fields("service", self.unit)[0].split("\n") if "=" in line)
        unit = "changed on disk" if shown.get("NeedDaemonReload") == "yes" else "current"
        state = self.file.seen(report)
        return {**state, "unit": unit} if state else state

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.keys != ("unit",):
            yield from self.file.fix(drift)
        yield svc_reread()
