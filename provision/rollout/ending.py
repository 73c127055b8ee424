"""How a host's run ends: the failure that stops it, and the number of its changes."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from provision.errors import SpecError
from provision.model import Failure, Plan
from provision.transport.ssh import HostError

_UNREACHABLE = {"unreachable", "host_key", "auth"}


class Ending:
    """Turns an exception inside it into the host's failure; other hosts continue."""

    def __init__(self, fail: Callable[[Failure], None]) -> None:
        self._fail = fail

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, HostError):
            self._fail(error.failure)
            return True
        if isinstance(error, SpecError):  # only a look can detect it: a template that fails for this platform
            self._fail(Failure("spec", str(error)))
            return True
        if isinstance(error, Exception):  # a fault of provision itself ends only this host's run
            detail = "".join(traceback.format_exception(error))
            self._fail(Failure("internal", f"{type(error).__name__}: {error}", detail=detail))
            return True
        return False


def status_of(failure: Failure) -> str:
    if failure.rolled_back:
        return "rolled_back"
    return "unreachable" if failure.kind in _UNREACHABLE else "failed"


def changed(plan: Plan | None, status: str, failure: Failure | None) -> int:
    """How many resources were changed (or, for a plan, would be); for a failed host, those changed completely."""
    if plan is None or status not in ("changed", "failed"):
        return 0
    resources = [change.resource for change in plan.changes]
    if failure is None:
        return len(resources)

    def touched(resource: str, steps: tuple[str, ...]) -> bool:
        return any(step.startswith(f"{resource} ") for step in steps)

    return sum(touched(one, failure.done) and not touched(one, failure.undone) for one in resources)
