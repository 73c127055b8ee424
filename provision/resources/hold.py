"""Held packages: no other upgrade changes them until provision does (apt-mark(8), the versionlock of dnf and yum)."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.packages import statuses
from provision.steps.packages import pkg_hold


class Hold(Base, frozen=True):
    names: tuple[str, ...]
    lock_timeout: int = 300

    kind = "hold"
    name = "packages"

    @property
    def makes(self) -> tuple[str, ...]:
        return tuple(f"hold {name}" for name in self.names)

    def want(self) -> State:
        return dict.fromkeys(self.names, "held")

    def look(self) -> tuple[Call, ...]:
        return tuple(Call("look_packages", (name,)) for name in self.names)

    def seen(self, report: HostReport) -> State:
        found = statuses(report)
        return {name: "held" if found.get(name, "")[:1] == "h" else "free" for name in self.names}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield pkg_hold(drift.keys, lock_timeout=self.lock_timeout, hold=True)


class NoHold(Base, frozen=True):
    """A hold of provision that is no longer declared."""

    kind = "hold"
    desired = ("hold", "free")
    looks = "look_packages"

    name: str
    lock_timeout: int = 300

    def seen(self, report: HostReport) -> State:
        """If no package is declared, the first look reads none, and the hold counts as present. Releasing it twice does
        no harm."""
        if report.get("packages") is None:
            return {"hold": "held"}
        return {"hold": "held" if statuses(report).get(self.name, "")[:1] == "h" else "free"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield pkg_hold((self.name,), lock_timeout=self.lock_timeout, hold=False)


DECLARATION = d.Declaration(entries={"hold": d.Entry(lambda rest, before, watchers: NoHold(rest))})
