"""A service of provision that does one thing at each boot: its file, and the link that makes the boot run it."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.file import NoFile, OfFile
from provision.steps.files import remove_file
from provision.steps.services import svc_disable, svc_enable, svc_reread


class BootService(OfFile, frozen=True):
    """``file`` is the unit or the init script. ``link`` exists when it is enabled. The look needs no fork."""

    unit: str
    link: str

    @property
    def id(self) -> str:
        return f"boot:{self.unit}"

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"boot {self.unit} {self.file.path} {self.link}",)

    def want(self) -> State:
        return {**self.file.want(), "enabled": "yes"}

    def look(self) -> tuple[Call, ...]:
        return (*self.file.look(), Call("look_paths", (self.link,)))

    def seen(self, report: HostReport) -> State:
        there = report.fields("path", self.link) == ("present",)
        return {**self.file.seen(report), "enabled": "yes" if there else "no"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.keys != ("enabled",):
            yield from self.file.fix(drift)
        if "enabled" in drift:
            # This makes systemd reload all unit files (systemctl(1), enable).
            yield svc_enable(self.unit, link=self.link)
        else:
            yield svc_reread()


class NoBootService(Base, frozen=True):
    """A service of provision that is no longer declared."""

    kind = "boot"
    desired = ("file", "absent")

    unit: str
    path: str
    link: str

    def look(self) -> tuple[Call, ...]:
        return (Call("look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        return NoFile(self.path).seen(report)

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield svc_disable(self.unit, link=self.link)
        yield remove_file(self.path)
        yield svc_reread()


DECLARATION = d.Declaration(entries={"boot": d.Entry(lambda rest, before, watchers: NoBootService(*rest.split(" ")))})
