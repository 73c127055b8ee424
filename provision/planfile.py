"""A plan as a file: what would be done to each host, to the byte; somebody approves it, and ``apply --plan`` does it.

It holds no code and is no source of what is done: ``apply --plan`` plans anew and goes on with hosts whose plan is the
very one in the file. So a file that was tampered with can only keep hosts from being changed. Secrets are tokens in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.errors import UsageError
from provision.model import Call, Plan
from provision.private import write_private
from provision.visible import json_text

_FORMAT = "provision-plan-1"


class PlanFile(Struct, frozen=True):
    """``head`` says who made it, when and of what; ``hosts`` are what :func:`entry` made of each host's plan."""

    head: dict[str, Any]
    hosts: dict[str, dict[str, Any]]


def entry(plan: Plan) -> dict[str, Any]:
    """One host's plan, with all that matters: where the host is not as wanted, what it is now, and every step."""
    return {
        "platform": plan.platform.name,
        "flavour": plan.platform.flavour,
        "changes": [
            {
                "resource": change.resource,
                "seen": {key: change.drift.seen.get(key) for key in change.drift.keys},
                "want": {key: change.drift.want[key] for key in change.drift.keys},
                "steps": [_step(call) for call in change.calls],
            }
            for change in plan.changes
        ],
    }


def _step(call: Call) -> dict[str, Any]:
    settled = call.args[: len(call.args) - call.late]
    return {"do": call.function, "with": list(settled), "replaces": list(call.replaces)}


def write(path: Path, head: Mapping[str, Any], hosts: Mapping[str, dict[str, Any]]) -> None:
    """Readable by its owner only: it has the text of every file that would be written."""
    whole = {"format": _FORMAT, **head, "hosts": dict(sorted(hosts.items()))}
    write_private(path, json_text(whole, indent=1) + "\n")


def read(path: Path) -> PlanFile:
    """Raises :class:`UsageError` for what is no plan of ours."""
    try:
        whole = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}") from error
    if not isinstance(whole, dict) or whole.get("format") != _FORMAT or not isinstance(whole.get("hosts"), dict):
        raise UsageError(f"{path} is no plan of this version (provision plan --out makes one)")
    return PlanFile({key: value for key, value in whole.items() if key not in ("format", "hosts")}, whole["hosts"])
