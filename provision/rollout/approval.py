"""What a host's change may be: the plan that was approved, and no more than ``--max-impact`` allows."""

from __future__ import annotations

from typing import Any

from provision.model import LEVELS, Plan, Salt
from provision.planning import planfile
from provision.transport.ssh import HostError

#: Parts of a plan besides its changes, in words.
_PARTS = {
    "platform": "the platform",
    "flavour": "the platform",
    "impacts": "what it restarts or stops",
    "rollback_impacts": "what its rollback restarts or stops",
}


class Approval:
    """``entry`` is the approved plan (:func:`provision.planning.planfile.entry`); ``None`` where none is needed."""

    def __init__(self, entry: dict[str, Any] | None, salt: Salt) -> None:
        self.entry, self._salt = entry, salt

    def show(self, plan: Plan) -> None:
        """``plan`` is shown to the operator; only that one is made."""
        self.entry = planfile.entry(plan, self._salt)

    def check(self, plan: Plan) -> None:
        """Raises :class:`HostError` of kind ``drifted`` for another plan than the approved one. A host in the desired
        state needs no approval."""
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
            "the host, its spec, or a secret is no longer as the plan was made on; nothing was done",
            detail=f"planned otherwise: {', '.join(other)}",
        )


def check_impact(plan: Plan, most: str | None) -> None:
    """Raises :class:`HostError` of kind ``impact`` for a plan that does more than ``most`` to what runs."""
    if most is not None and LEVELS.index(plan.impact) > LEVELS.index(most):
        worst = [one for one in plan.impacts if one.level == plan.impact]
        reasons = "; ".join(f"{one.subject}: {one.reason}" for one in worst)
        raise HostError("impact", f"{plan.impact} is more than --max-impact {most} allows ({reasons})")
