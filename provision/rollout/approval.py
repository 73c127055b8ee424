"""Limits of a host's change: the plan that the operator approved, and the impact that ``--max-impact`` allows."""

from __future__ import annotations

from typing import Any

from provision.model import LEVELS, Plan, Salt
from provision.planning import planfile
from provision.transport.ssh import HostError

#: Names of a plan's parts besides its changes.
_PARTS = {
    "platform": "the platform",
    "flavour": "the platform",
    "impacts": "the services that it restarts or stops",
    "rollback_impacts": "the services that its rollback restarts or stops",
}


class Approval:
    """``entry`` is the approved plan (:func:`provision.planning.planfile.entry`); ``None`` without an approval."""

    def __init__(self, entry: dict[str, Any] | None, salt: Salt) -> None:
        self.entry, self._salt = entry, salt

    def show(self, plan: Plan) -> None:
        """The operator sees ``plan``: only this plan may be applied."""
        self.entry = planfile.entry(plan, self._salt)

    def check(self, plan: Plan) -> None:
        """Raises :class:`HostError` of kind ``drifted`` for a plan that differs from the approved one. A host in the
        desired state needs no approval."""
        if self.entry is None or not plan.changes:
            return
        made = planfile.entry(plan, self._salt)
        if made == self.entry:
            return
        old, new = ({one["resource"]: one for one in each["changes"]} for each in (self.entry, made))
        other = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        other += dict.fromkeys(text for key, text in _PARTS.items() if self.entry.get(key) != made[key])
        raise HostError(
            "drifted",
            "the host, its spec or a secret has changed since the plan was made; nothing was done",
            detail=f"differs from the approved plan: {', '.join(other)}",
        )


def check_impact(plan: Plan, most: str | None) -> None:
    """Raises :class:`HostError` of kind ``impact`` for a plan whose impact exceeds ``most``."""
    if most is not None and LEVELS.index(plan.impact) > LEVELS.index(most):
        worst = [one for one in plan.impacts if one.level == plan.impact]
        reasons = "; ".join(f"{one.subject}: {one.reason}" for one in worst)
        raise HostError("impact", f"{plan.impact} is more than --max-impact {most} allows ({reasons})")
