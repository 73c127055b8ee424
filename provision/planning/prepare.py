"""Make one host's part of a run from its plan: the steps in order, which of them are risky, and what undoes them.

Also make the resources that later restore what a run replaced, from the run's record on the host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from provision.lines import lines_of
from provision.model import Call, HostReport, Kept, Loading, Plan, Resource, Risk
from provision.planning.manifest import KINDS, LINES
from provision.remote.frames import RECORD, rows
from provision.remote.transaction import Step, Work
from provision.resources.declaration import Line, Record
from provision.resources.obstacle import Unfixable
from provision.resources.service import Service
from provision.resources.store import restored_stores


def work(
    run: str,
    plan: Plan,
    report: HostReport,
    remember: Sequence[Call] = (),
    forget: Sequence[Call] = (),
    risky: Iterable[str] = (),
    confirm_within: int = 60,
    health: tuple[str, ...] = ("0",),
    max_impact: str | None = None,
    secrets: frozenset[str] = frozenset(),
    data_root: str = "",
) -> Work:
    """The manifests record an object before it is made, and forget it only after it is removed: a run that dies in
    between loses nothing. ``risky`` are further paths and units that the spec declares risky. ``max_impact`` is the
    highest permitted impact of a rollback. ``data_root`` is the data directory of the spec's engine."""
    more = tuple(risky)
    steps = (
        *(Step("manifest", call) for call in remember),
        *(Step(change.resource, call, _risk(call, more)) for change in plan.changes for call in change.calls),
        *(Step("manifest", call) for call in forget),
    )
    keep = tuple(_keep(steps, max_impact))
    if data_root and any(step.call.engine for step in steps):
        # First, so that it is undone last: docker must not start again with its new files.
        keep = (Kept("store", data_root), *keep)
    undo = frozenset(function for kind, _, _ in keep for function in KINDS[kind].functions)
    return Work(run, plan, steps, tuple(_base(keep, report)), keep, confirm_within, health, secrets, undo)


def _risk(call: Call, more: tuple[str, ...]) -> Risk:
    """The risk that a step locks the operator out. ``more`` are paths and units that the spec declares risky."""
    declared = any(_names(name, one) for one in (*call.replaces, *call.touches) for name in more)
    return Risk.CUT_OFF if declared else call.risk


def _names(name: str, one: str) -> bool:
    """True if the risky ``name`` covers ``one``: the same path, a directory above it, the same unit, or its socket."""
    name = name.rstrip("/")
    return one == name or one.startswith(f"{name}/" if one.startswith("/") else f"{name}.")


def _base(keep: Iterable[Kept], report: HostReport) -> Iterator[tuple[str, str, str]]:
    """The state that the look found, and that the host must still have when the job begins."""
    for kind, path, _ in keep:
        identity = KINDS[kind].identity
        if identity is not None and (seen := report.get("file", path)) is not None:
            yield kind, path, identity(seen[0])


def _keep(steps: tuple[Step, ...], max_impact: str | None) -> Iterator[Kept]:
    """The items that the host must keep to undo the steps, each item once, in the order in which the host keeps it."""
    loads = {step.call.loading.unit: step.call.loading for step in steps if step.call.loading is not None}
    kept = dict.fromkeys(one for step in steps for one in step.call.keeps)
    for one in sorted(kept, key=lambda one: KINDS[one.kind].stage):
        loading = loads.get(one.key) if one.kind == "service" else None
        yield one if loading is None else one._replace(value=_loading(loading, max_impact))


def _loading(found: Loading, max_impact: str | None) -> str:
    """How a service loads its files after a rollback: a line of words, then the keys that need a restart, and the files
    (sh/fix/restore.sh, undo_facts)."""
    words = (found.undo, found.before, max_impact or "", "live" if found.live else "-")
    return f"{','.join(words)}\n{found.undo_keys}\n{found.watched}"


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
    makers = ((line, LINES[line.kind].before) for line in lines if line.kind in LINES)
    restored = (one for line, make in makers if make is not None for one in make(line, before))
    return (*restored_stores(before), *sorted(restored, key=lambda one: one.place))


def stays(run: str, record: HostReport) -> tuple[str, ...]:
    """The changes that the rollback of a run leaves, in words."""
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
