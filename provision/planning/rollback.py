"""Make the resources that restore what a run replaced, from the run's record on a host."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from provision.lines import lines_of
from provision.model import HostReport, Resource
from provision.planning.undo_kinds import LINES
from provision.remote.frames import RECORD, rows
from provision.resources.declaration import Line, Record
from provision.resources.obstacle import Unfixable
from provision.resources.service import Service
from provision.resources.store import restored_stores


def resources(
    run: str, record: HostReport, desired: Iterable[Resource], lock_timeout: int, secrets: Collection[str] = ()
) -> tuple[Resource, ...]:
    """The resources in a spec's order: settings, files, packages, services. ``desired`` are the spec's resources, whose
    services have the paths that they watch; ``secrets`` are the tokens that the spec refers to. Raises
    :class:`Unfixable` where the host has no record of the run."""
    lines = _lines(run, record)
    desired = tuple(desired)
    watchers: dict[str, tuple[str, ...]] = {}
    for service in (one for one in desired if isinstance(one, Service)):
        for path in service.watch:
            watchers[path] = (*watchers.get(path, ()), service.unit)
    before = Record(lines, record, desired, watchers, secrets, lock_timeout, run)
    placed = [
        found
        for line in lines
        if line.kind in LINES and (make := LINES[line.kind].before) is not None
        for found in make(line, before)
    ]
    ordered = (resource for _, resource in sorted(placed, key=lambda found: found[0]))
    return (*restored_stores(before), *ordered)


def stays(run: str, record: HostReport) -> tuple[str, ...]:
    """What the rollback of a run leaves as it is, in words."""
    said = [_stays(line, record) for line in _lines(run, record)]
    made = record.get("leaves", run)
    found = dict.fromkeys((*said, *(lines_of(made[0]) if made is not None else ())))
    return tuple(text for text in found if text)


def _stays(line: Line, record: HostReport) -> str:
    if line.kind not in LINES:
        # A later version of provision has made the run.
        return f"{line.kind} {line.word} {line.rest}, of which this version of provision knows nothing"
    words = LINES[line.kind].stays
    return words(line, record) if words is not None else ""


def _lines(run: str, record: HostReport) -> tuple[Line, ...]:
    """The lines of a run's record, without its end. Raises :class:`Unfixable` where the host has none."""
    state, *text = record.fields("before", run)
    if state == "none":
        raise Unfixable(
            f"this host has no record of run {run}, or has removed it; provision runs --on-hosts lists its records"
        )
    found = (Line(*line.groups()) for line in rows("".join(text), RECORD, "one of a record"))
    return tuple(line for line in found if line.kind != "end")
