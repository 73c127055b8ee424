"""A service: enabled, running, and running with the files that are on disk now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec.structs import replace

from provision.lines import lines_of
from provision.model import Call, Drift, Effect, HostReport, Loading, State
from provision.remote.frames import PROPERTY, rows
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable
from provision.steps.services import svc_disable, svc_enable, svc_mark, svc_reread, svc_settle, svc_start, svc_stop

#: UnitFileState values of a unit that starts at boot, or has no setting for that (systemctl(1), "is-enabled"). Not
#: "enabled-runtime": its links in /run are lost at the next boot.
_ENABLED = {"enabled", "static", "alias", "indirect", "generated"}


#: The value of ``loaded`` for a dockerd that runs on after its file was replaced.
REPLACED = "stale: the running process is not the installed program"


def masked(report: HostReport, unit: str) -> str:
    """The masked units that ``unit`` requires, as the look found them; empty where nothing prevents its next start."""
    found = report.get("service", unit)
    lines = lines_of(found[0]) if found is not None else []
    return next((line.partition("=")[2] for line in lines if line.startswith("Masked=")), "")


def unstartable(unit: str, names: str) -> str:
    """The message for a service that would not start again. systemd keeps no descriptor of a masked socket, so the
    socket is opened again too."""
    if names == unit:
        return f"{unit} is masked, so it cannot start; run on the host: systemctl unmask {unit}"
    return (
        f"{unit} requires {names}, which is masked: a restart would stop {unit}, and it could not start again; run on "
        f"the host: systemctl unmask {names}; systemctl restart {names} {unit}"
    )


class Service(Base, frozen=True):
    """``None`` leaves ``enabled`` or ``running`` unmanaged. ``watch`` are files that the service must have loaded.

    A process without a stamp may not have read the newest files. ``compare`` (a shell function and its argument) asks
    it what it has loaded, and ``agrees`` evaluates the answer. With a stamp, the look reports the text that it has
    loaded, and ``same`` says whether the file means the same now. Such a service loads its file again by a reload: only
    that shows what it has loaded. ``effect`` says how the change of some watched files is
    loaded, and why. An ``optional`` service is in the desired state if it does not exist. ``missing`` is the error if
    the service does not exist and no step of the plan installs it.
    """

    kind = "service"
    place = d.Place.SERVICES

    unit: str
    enabled: bool | None = None
    running: bool | None = None
    watch: tuple[str, ...] = ()
    on_change: Literal["restart", "reload"] = "restart"
    compare: tuple[str, str] | None = None
    agrees: Callable[[str], bool] | None = None
    optional: bool = False
    effect: Callable[[HostReport, tuple[str, ...]], Effect] | None = None
    missing: str = ""
    same: Callable[[HostReport, str], bool] | None = None

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
        unit = {line[1]: line[2] for line in rows(text, PROPERTY, "a property of a unit")}
        if self.optional and unit.get("LoadState") == "not-found":
            return self.want()
        running = unit.get("ActiveState") in ("active", "reloading")
        stopped, replaced = unit.get("Process") == "stopped", unit.get("Program") == "replaced"
        agreed = loaded in ("unknown", "unproven") and self.agrees is not None and self.agrees(answer)
        again = self.same is not None and (
            loaded == "touched"
            or (loaded == "unproven" and agreed)
            or (loaded == "stale" and self.same(report, answer))
        )
        before = "current" if loaded in ("current", "none", "touched") or agreed or again else "stale"
        effect = self._effect(report, before, again) if running and not replaced else Effect("restart")
        return {
            "verb": effect.verb,
            "effect": effect.why,
            "undo": effect.undo,
            "undo effect": effect.undo_why,
            "undo live": "live" if effect.live else "-",
            "bridge": ", ".join(effect.bridge),
            "proven": "yes" if effect.proven else "no",
            "unit": "changed on disk" if unit.get("NeedDaemonReload") == "yes" else "current",
            "enabled": "yes" if unit.get("UnitFileState") in _ENABLED else "no",
            "running": f"stopped by a signal (pid {unit.get('MainPID')})" if stopped else "yes" if running else "no",
            "loaded": REPLACED
            if replaced and running
            else self._loaded(report, before, again)
            if running
            else "current",
            "loaded before": before,
            "exists": "no" if unit.get("LoadState") == "not-found" else "yes",
            "masked": self.unit if unit.get("LoadState") == "masked" else masked(report, self.unit),
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        """Restart last, and only once for all changed files: a start loads everything."""
        if self.missing and drift.seen["exists"] == "no":
            raise Unfixable(self.missing)
        if "running" in drift and self.running and drift.seen["running"].startswith("stopped"):
            pid = drift.seen["running"].rpartition(" ")[2].rstrip(")")
            raise Unfixable(
                f"{self.unit} is {drift.seen['running']} and does not answer; run on the host: kill -CONT {pid}, "
                f"or restart it: systemctl restart {self.unit}"
            )
        starts = ("running" in drift and self.running) or ("enabled" in drift and self.enabled)
        restarts = "loaded" in drift and self.running is not False and drift.seen["verb"] != "reload"
        if drift.seen["masked"] and (starts or restarts):
            raise Unfixable(unstartable(self.unit, drift.seen["masked"]))
        if "unit" in drift:
            yield svc_reread()
        if "enabled" in drift:
            yield svc_enable(self.unit) if self.enabled else svc_disable(self.unit)
        if "running" in drift:
            yield svc_start(self.unit) if self.running else svc_stop(self.unit)
        if self.watch and self.running is not False:
            # Also after a start: this step writes the stamp that records what the process has loaded.
            yield svc_settle(
                self._loading(drift.seen),
                stale="loaded" in drift,
                starts="running" in drift,
                why=drift.seen["effect"],
            )

    def mark(self, drift: Drift) -> Call:
        """The step before the first write to a watched file: it records what the process has loaded until then."""
        return svc_mark(self.unit, watched=self._watched, loaded=drift.seen["loaded before"])

    def _loading(self, seen: State) -> Loading:
        return Loading(
            self.unit,
            self._watched,
            seen["verb"],
            seen["undo"],
            seen["loaded before"],
            seen["undo effect"],
            live=seen["undo live"] == "live",
            bridge=seen["bridge"],
            ran=seen["running"] == "yes",
            proven=seen["proven"] == "yes",
        )

    @property
    def _watched(self) -> str:
        return "\n".join(self.watch)

    def _effect(self, report: HostReport, before: str, again: bool) -> Effect:
        """How to load the files on disk: with the least effect, if it is known what the process has loaded."""
        changing = tuple(path for path in self.watch if path in report.pending)
        if again and not changing and self.effect is not None:
            return Effect("reload", "its file was written again, with the same meaning", "reload", proven=True)
        if before != "current" or not changing or self.effect is None:
            return Effect(self.on_change, undo=self.on_change)
        return self.effect(report, changing)

    def _loaded(self, report: HostReport, before: str, again: bool) -> str:
        changing = [path for path in self.watch if path in report.pending]
        if before == "current" and changing:
            return f"stale after the change of {', '.join(changing)}"
        return "written again" if again else before


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    if line.word != "none":
        declared = {one.unit: one for one in record.desired if isinstance(one, Service)}
        service = declared.get(line.rest, Service(line.rest))
        enabled, running = "enabled" in line.word, "active" in line.word
        yield replace(service, enabled=enabled, running=running, compare=None, agrees=None, same=None, effect=None)


_REST = dict.fromkeys(("process", "loads", "keys", "watches"), d.RecordLine())
_LINES = {"service": d.RecordLine("undo_service", _restored), **_REST}
DECLARATION = d.Declaration(kinds={"service": d.Kind("keep_service", _LINES, d.Stage.SERVICES)})
