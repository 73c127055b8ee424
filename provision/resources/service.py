"""A service: enabled, running, and running with the files that are on disk now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Call, Drift, HostReport, State

#: UnitFileState values of a unit that starts at boot, or has no say in it (systemctl(1), "is-enabled"). Not
#: "enabled-runtime": the links in /run are lost at the next boot.
_ENABLED = {"enabled", "static", "alias", "indirect", "generated"}


class Effect(Struct, frozen=True):
    """How a running service loads the change of some watched files (``verb``) and why; ``undo`` and ``undo_why`` are
    the same for the way back.

    ``live`` says whether the old file has docker's live-restore; ``bridge`` are changed keys of docker's bridge that a
    daemon ignores while containers run under live-restore.
    """

    verb: str
    why: str = ""
    undo: str = "restart"
    undo_why: str = ""
    live: bool = False
    bridge: tuple[str, ...] = ()


class Service(Struct, frozen=True):
    """``None`` leaves enabled or running alone. ``watch`` are files that it must have loaded.

    A process without a stamp that may not have read the newest files is asked by ``compare``, a shell function and its
    word, what it has; ``agrees`` judges the answer. ``effect`` says how the change of some watched files is loaded, and
    why. One that is ``optional`` is as wanted where there is no such
    service.
    """

    unit: str
    enabled: bool | None = None
    running: bool | None = None
    watch: tuple[str, ...] = ()
    on_change: Literal["restart", "reload"] = "restart"
    compare: tuple[str, str] | None = None
    agrees: Callable[[str], bool] | None = None
    optional: bool = False
    effect: Callable[[HostReport, tuple[str, ...]], Effect] | None = None

    @property
    def id(self) -> str:
        return f"service:{self.unit}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        wanted = {"unit": "current"}
        if self.enabled is not None:
            wanted["enabled"] = "yes" if self.enabled else "no"
        if self.running is not None:
            wanted["running"] = "yes" if self.running else "no"
        if self.watch:
            wanted["loaded"] = "current"
        return wanted

    def look(self) -> tuple[Call, ...]:
        return (Call("look_services", (self.unit, " ".join(self.compare or "-"), self._watched)),)

    def seen(self, report: HostReport) -> State:
        text, loaded, answer = report.fields("service", self.unit)
        unit = dict(line.split("=", 1) for line in lines_of(text))
        if self.optional and unit.get("LoadState") == "not-found":
            return self.want()
        running = unit.get("ActiveState") in ("active", "reloading")
        agreed = loaded == "unknown" and self.agrees is not None and self.agrees(answer)
        before = "current" if loaded in ("current", "none") or agreed else "stale"
        effect = self._effect(report, before) if running else Effect("restart")
        return {
            "verb": effect.verb,
            "effect": effect.why,
            "undo": effect.undo,
            "undo effect": effect.undo_why,
            "undo live": "live" if effect.live else "-",
            "bridge": ", ".join(effect.bridge),
            "unit": "changed on disk" if unit.get("NeedDaemonReload") == "yes" else "current",
            "enabled": "yes" if unit.get("UnitFileState") in _ENABLED else "no",
            "running": "yes" if running else "no",
            "loaded": self._loaded(report, before) if running else "current",
            "loaded before": before,
            "exists": "no" if unit.get("LoadState") == "not-found" else "yes",
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        """Restarts last and once, however many files changed; a start loads everything anyway."""
        if "unit" in drift:
            yield Call("svc_reread")
        if "enabled" in drift:
            yield Call("svc_enable" if self.enabled else "svc_disable", (self.unit,), disturbs=(self.unit,))
        if "running" in drift:
            yield Call("svc_start" if self.running else "svc_stop", (self.unit,), disturbs=(self.unit,))
        if self.watch and self.running is not False:
            # Also when only just started: this leaves the stamp that says what the process has loaded.
            disturbs = (self.unit,) if "loaded" in drift else ()
            yield Call("svc_settle", (self.unit, drift.seen["verb"], self._watched), disturbs=disturbs)

    def mark(self, drift: Drift) -> Call:
        """The step before the first write to a watched file: what the process has loaded until now."""
        return Call("svc_mark", (self.unit, self._watched, drift.seen["loaded before"]))

    @property
    def _watched(self) -> str:
        return "\n".join(self.watch)

    def _effect(self, report: HostReport, before: str) -> Effect:
        """How to load what is on disk: as little as will do, where it is known what the process has now."""
        changing = tuple(path for path in self.watch if path in report.pending)
        if before != "current" or not changing or self.effect is None:
            return Effect(self.on_change, undo=self.on_change)
        return self.effect(report, changing)

    def _loaded(self, report: HostReport, before: str) -> str:
        changing = [path for path in self.watch if path in report.pending]
        if before == "stale" or not changing:
            return before
        return f"stale after the change of {', '.join(changing)}"
