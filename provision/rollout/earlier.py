"""An interrupted run on a host: how far it got, and how it ends."""

from __future__ import annotations

from fabric import Connection

from provision import tasks
from provision.project.host_config import HostConfig
from provision.rollout.run_request import RunRequest
from provision.transport.ssh import HostError


def begun(request: RunRequest) -> str:
    """The run that provision first asks each host about: this run if another controller began it, or the run to resume;
    otherwise an empty text."""
    if request.again:
        return request.run
    return request.earlier if request.goal.resumes else ""


def take_up(connection: Connection, config: HostConfig, run: str, deadline: float) -> str:
    """Wait for the job of ``run``, and return how far it got, from the host's own receipt. Raises :class:`HostError` of
    kind ``interrupted`` where the host rolled it back."""
    receipt = tasks.receipt(connection, config, run, "attach", deadline)
    if receipt.result.startswith("rolled_back"):
        message = f"run {run} failed on this host ({receipt.result.partition(' ')[2]}); the host rolled it back"
        raise HostError("interrupted", message, rolled_back=True, **receipt.rollback)
    return receipt.result


def settle(connection: Connection, config: HostConfig, run: str, good: bool, deadline: float) -> None:
    """Confirm a run that waits for confirmation, or revoke it: ``connection`` was opened after its change. Raises
    :class:`HostError` of kind ``drift`` where the host did not confirm it."""
    receipt = tasks.receipt(connection, config, run, "confirm" if good else "revoke", deadline)
    if receipt.result == "done":
        return
    message = f"run {run} did not bring this host into the desired state"
    if receipt.result.startswith("rolled_back"):
        raise HostError("drift", f"{message}; the host rolled it back", rolled_back=True, **receipt.rollback)
    raise HostError("drift", f"{message}; how it ended is not known (see provision runs --on-hosts)")
