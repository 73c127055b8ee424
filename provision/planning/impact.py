"""What a plan does to running services: which steps restart the daemon, and which stop containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from provision.model import LEVELS, Change, Impact, Plan


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
    """Whether the daemon itself restarts, which may stop its containers."""
    return any(one.level == "restart" and _of_daemon(one) for one in impacts)


def _of_daemon(impact: Impact) -> bool:
    return impact.subject.partition(":")[0] in ("packages", "service", "bridge")
