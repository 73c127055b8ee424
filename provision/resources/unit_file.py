"""The file of a unit that others start (a timer, say): systemd must have read it as it is."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State
from provision.resources.file import File


class UnitFile(Struct, frozen=True):
    """systemd goes on with what it has read until it is told to read again (systemctl(1), daemon-reload)."""

    unit: str
    file: File

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def makes(self) -> tuple[str, ...]:
        return self.file.makes

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def content(self) -> bytes:
        return self.file.content

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
        yield Call("svc_reread")
