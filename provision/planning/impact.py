"""What a plan does to a host that runs: which steps restart the daemon, and which end containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from provision.model import LEVELS, Change, Impact, Plan


def impacts(plan: Plan, containers: Mapping[str, str], survive: bool) -> tuple[Impact, ...]:
    """What each change does. ``containers`` are those that run now, by name, with their restart policy; they
    ``survive`` a restart of the daemon where live-restore is on by then."""
    found = [one for change in plan.changes if (one := _impact(change)) is not None]
    daemon = [one for one in found if _of_daemon(one)]
    found = [*daemon, *(one for one in found if not _of_daemon(one))]
    if containers and not survive and daemon_restarts(daemon):
        found.append(_ends(containers))
    return tuple(found)


def _impact(change: Change) -> Impact | None:
    """Of its first step that has one."""
    found = next((call.impact for call in change.calls if call.impact is not None), None)
    return None if found is None else replace(found, subject=change.resource)


def _ends(containers: Mapping[str, str]) -> Impact:
    names = ", ".join(f"{name} ({policy or 'no'} restart policy)" for name, policy in sorted(containers.items()))
    return Impact("stop", "containers", f"would end: {names}")


def bridge_blocked(plan: Plan) -> str:
    """What of docker's bridge the plan changes and a daemon ignores while containers run; empty for nothing."""
    calls = [call for change in plan.changes for call in change.calls]
    found = [call.loading.bridge for call in calls if call.engine == "load" and call.loading is not None]
    found += ["bip" for call in calls if call.engine == "bridge"]
    return ", ".join(keys for keys in found if keys)


def rollback_impacts(plan: Plan, containers: Mapping[str, str]) -> tuple[Impact, ...]:
    """What a rollback does, where that is more than what the plan itself does: a key that is taken out again keeps its
    value until a restart, which ends containers unless live-restore was on before and is on then."""
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
    """Whether the daemon itself is restarted, which may end what runs in it."""
    return any(one.level == "restart" and _of_daemon(one) for one in impacts)


def _of_daemon(impact: Impact) -> bool:
    return impact.subject.partition(":")[0] in ("packages", "service", "bridge")
