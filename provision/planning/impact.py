"""What a plan does to a host that runs: which steps restart the daemon, and which end containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from provision import distros
from provision.model import LEVELS, Change, Impact, Plan

_ENGINE = "docker"
#: Packages whose change restarts the daemon (their own scripts do).
_DAEMONS = distros.daemons()


def impacts(plan: Plan, containers: Mapping[str, str], survive: bool) -> tuple[Impact, ...]:
    """What each change does. ``containers`` are those that run now, by name, with their restart policy; they
    ``survive`` a restart of the daemon where live-restore is on by then."""
    daemon = [one for change in plan.changes if (one := _of_daemon(change)) is not None]
    found = [*daemon, *(one for change in plan.changes if (one := _of_object(change)) is not None)]
    if containers and not survive and daemon_restarts(daemon):
        found.append(_ends(containers))
    return tuple(found)


def _ends(containers: Mapping[str, str]) -> Impact:
    names = ", ".join(f"{name} ({policy or 'no'} restart policy)" for name, policy in sorted(containers.items()))
    return Impact("stop", "containers", f"would end: {names}")


def bridge_blocked(plan: Plan) -> str:
    """What of docker's bridge the plan changes and a daemon ignores while containers run; empty for nothing."""
    found = [change.drift.seen.get("bridge", "") for change in plan.changes if change.resource == f"service:{_ENGINE}"]
    found += ["bip" for change in plan.changes if change.resource.startswith("bridge:")]
    return ", ".join(keys for keys in found if keys)


def rollback_impacts(plan: Plan, containers: Mapping[str, str]) -> tuple[Impact, ...]:
    """What a rollback does, where that is more than what the plan itself does: a key that is taken out again keeps its
    value until a restart, which ends containers unless live-restore was on before and is on then."""
    for change in plan.changes:
        verbs = [call.args[1] for call in change.calls if call.function == "svc_settle" and call.args[0] == _ENGINE]
        seen = change.drift.seen
        if change.resource != f"service:{_ENGINE}" or not verbs or seen.get("running") != "yes":
            continue
        undo, keys = seen.get("undo", "restart"), seen.get("undo effect", "")
        if undo == "reload":
            continue
        found = [Impact("restart", change.resource, f"to roll back {keys}" if keys else "to roll it back")]
        if containers and not (seen.get("undo live") == "live" and undo == "restart"):
            found.append(_ends(containers))
        if LEVELS.index(found[-1].level) > LEVELS.index(plan.impact):
            return tuple(found)
    return ()


def daemon_restarts(impacts: Iterable[Impact]) -> bool:
    """Whether the daemon itself is restarted, which may end what runs in it."""
    of_daemon = ("packages", "service", "bridge")
    return any(one.level == "restart" and one.subject.partition(":")[0] in of_daemon for one in impacts)


def _of_daemon(change: Change) -> Impact | None:
    kind, _, name = change.resource.partition(":")
    there = {key for key in change.drift.keys if change.drift.seen.get(key) != "absent"}
    if kind == "packages" and (moved := sorted(_DAEMONS & there)):
        reason = f"{', '.join(moved)}: the daemon is restarted; back only while a repository has the old version"
        return Impact("restart", change.resource, reason)
    if kind == "bridge":
        return Impact("restart", change.resource, "docker's bridge does not have the declared address")
    if kind == "service" and name == _ENGINE:
        verbs = [call.args[1] for call in change.calls if call.function == "svc_settle"]
        if change.drift.want.get("running") == "no" and "running" in change.drift:
            return Impact("restart", change.resource, "stops")
        if "running" not in change.drift and verbs and "loaded" in change.drift:
            level = "reload" if verbs[0] == "reload" else "restart"
            return Impact(level, change.resource, change.drift.seen.get("effect", ""))
    return None


#: What a step does to something of docker's that is there already.
_OF_STEPS = {
    "container_put": ("stop", "made anew: {keys}"),
    "container_follow": ("stop", "made anew, if its image is another one then"),
    "container_remove": ("stop", "ends"),
    "network_replace": ("reload", "made anew ({keys}); its containers are cut off for a moment"),
    "compose_up": ("stop", "services that differ are made anew"),
    "compose_down": ("stop", "ends"),
    "volume_remove": ("stop", "its data is removed, and no rollback brings it back"),
}


def _of_object(change: Change) -> Impact | None:
    for call in change.calls:
        if call.function == "forward_set" and call.args == ("ACCEPT",):
            return Impact("none", change.resource, "the host forwards packets between all its networks")
        if call.function in _OF_STEPS and change.drift.seen:
            level, reason = _OF_STEPS[call.function]
            return Impact(level, change.resource, reason.format(keys=", ".join(change.drift.keys)))
        if call.function == "container_state" and call.args[1] != "start":
            return Impact("stop", change.resource, {"stop": "is stopped", "restart": "is restarted"}[call.args[1]])
    return None
