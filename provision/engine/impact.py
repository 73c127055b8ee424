"""The effects of a plan on running services: which steps restart the daemon, and which stop containers.

The containers of a host are read only where a plan, or its rollback, restarts the daemon (:data:`LOOK`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from provision.engine.daemon_json import daemon_json
from provision.model import LEVELS, Call, Change, HostReport, Impact, Plan
from provision.remote.frames import rows
from provision.spec import Engine

LOOK = Call("look_containers")
_CONTAINER = re.compile(r"(\S+) (\S*) (\S*)")


class Running(Struct, frozen=True):
    """Containers that run, by name, with their restart policy; whether they ``survive`` a restart of the daemon; and
    the names of those that remove themselves when they are stopped."""

    names: dict[str, str]
    survive: bool
    lost: tuple[str, ...]


def restarts(plan: Plan) -> bool:
    """True if the plan restarts the daemon, or a rollback of it may restart the daemon."""
    return daemon_restarts(plan.impacts) or bool(rollback_impacts(plan, {}))


def with_containers(plan: Plan, declared: Engine | None, report: HostReport) -> Plan:
    """The plan with its impacts on the containers that :data:`LOOK` has found. Raises ``ValueError`` where docker's
    bridge must not change, and :class:`~provision.remote.protocol.WireError` for a report of another form."""
    running = _running(plan, declared, report)
    plan = replace(plan, impacts=impacts(plan, running.names, running.survive))
    plan = _bridged(plan, declared, running)
    return replace(plan, rollback_impacts=rollback_impacts(plan, running.names))


def _running(plan: Plan, declared: Engine | None, report: HostReport) -> Running:
    live, text = report.fields("containers")
    found = [line.groups() for line in rows(text, _CONTAINER, "a container, its policy and its end")]
    # The plan switches live-restore on by a reload before the restart, unless a package restarts the daemon earlier.
    verbs = {call.loading.verb for one in plan.changes for call in one.calls if call.loading is not None}
    first = not verbs.isdisjoint(("live-restart", "bridge-restart"))
    packages = any(one.level == "restart" and one.subject.startswith("packages") for one in plan.impacts)
    kept = (daemon_json(declared) or {}).get("live-restore") is True
    names = {name.removeprefix("/"): policy for name, policy, _ in found}
    lost = tuple(sorted(name.removeprefix("/") for name, _, removes in found if removes == "true"))
    return Running(names, kept and (live == "true" or (first and not packages)), lost)


def _bridged(plan: Plan, declared: Engine | None, running: Running) -> Plan:
    """The plan with the impact of a change of docker's bridge. Raises ``ValueError`` where it must not change."""
    keys = bridge_blocked(plan)
    if not (keys and running.names and running.survive and declared is not None):
        return plan
    names = ", ".join(sorted(running.names))
    if declared.bridge_change == "refuse":
        raise ValueError(
            f"engine.daemon: {keys}: dockerd does not change its bridge while containers run under live-restore "
            f"({names}); stop them, or declare engine.bridge_change: stop"
        )
    if running.lost:
        raise ValueError(
            f"engine.daemon: {keys}: the containers have to be stopped for it, and those with --rm "
            f"would be removed when they stop: {', '.join(running.lost)}"
        )
    stopped = Impact("stop", "containers", f"are stopped and started again, for {keys}: {names}")
    return replace(plan, impacts=(*plan.impacts, stopped))


def impacts(plan: Plan, containers: Mapping[str, str], survive: bool) -> tuple[Impact, ...]:
    """The impact of each change. ``containers`` are those that run now, by name, with their restart policy. They
    ``survive`` a restart of the daemon where live-restore is on by then."""
    found = [one for change in plan.changes if (one := _impact(change)) is not None]
    daemon = [one for one in found if _of_daemon(one)]
    found = [*daemon, *(one for one in found if not _of_daemon(one))]
    if containers and not survive and daemon_restarts(daemon):
        found.append(_ends(containers))
    return tuple(found)


def _impact(change: Change) -> Impact | None:
    """The impact of the change's first step that has one."""
    found = next((call.impact for call in change.calls if call.impact is not None), None)
    return None if found is None else replace(found, subject=change.resource)


def _ends(containers: Mapping[str, str]) -> Impact:
    names = ", ".join(f"{name} ({policy or 'no'} restart policy)" for name, policy in sorted(containers.items()))
    return Impact("stop", "containers", f"would be stopped: {names}")


def bridge_blocked(plan: Plan) -> str:
    """The changed setting of docker's bridge that dockerd ignores while containers run; empty for none."""
    calls = [call for change in plan.changes for call in change.calls]
    found = [call.loading.bridge for call in calls if call.engine == "load" and call.loading is not None]
    found += ["bip" for call in calls if call.engine == "bridge"]
    return ", ".join(keys for keys in found if keys)


def rollback_impacts(plan: Plan, containers: Mapping[str, str]) -> tuple[Impact, ...]:
    """The impact of a rollback, where it exceeds that of the plan itself. A key that the rollback removes keeps its
    value until a restart. That restart stops containers unless live-restore is on before and after it."""
    for change in plan.changes:
        for call in change.calls:
            loading = call.loading
            if call.engine != "load" or loading is None or not loading.ran or loading.undo == "reload":
                continue
            reason = f"to roll back {loading.undo_keys}" if loading.undo_keys else "to roll it back"
            found = [Impact("restart", change.resource, reason)]
            if containers and not (loading.live and loading.undo == "restart"):
                found.append(_ends(containers))
            if LEVELS.index(found[-1].level) > LEVELS.index(plan.impact):
                return tuple(found)
    return ()


def daemon_restarts(impacts: Iterable[Impact]) -> bool:
    """True if the daemon itself restarts, which may stop its containers."""
    return any(one.level == "restart" and _of_daemon(one) for one in impacts)


def _of_daemon(impact: Impact) -> bool:
    return impact.subject.partition(":")[0] in ("packages", "service", "bridge")
