"""Restart a host that reports that it needs a restart (``reboot: if-needed``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from provision import tasks
from provision.project.host_config import HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.rollout.host_connection import HostConnection
from provision.rollout.run_request import RunContext
from provision.transport import reboot
from provision.transport.ssh import HostError


def restarted(
    run_context: RunContext,
    config: HostConfig,
    rollout_options: RolloutOptions,
    connection: HostConnection,
    note: Callable[[str], None],
) -> bool:
    """Restart the host if it needs it, and look again after the boot; return whether it was restarted. Where the play
    names no domain, hosts restart one at a time. Raises :class:`HostError`."""
    if connection.open is None or not reboot.needed(config.host, connection.open):
        return False
    if run_context.request.max_impact is not None:
        note("it needs a restart, and --max-impact does not allow one")
        return False
    with run_context.restarts if rollout_options.domain is None else nullcontext():
        # The restart ends the connection; no deadline must cut it before.
        connection.wait()
        deadline = connection.deadline()
        back = reboot.restart(run_context.transport, config.host, connection.open, deadline, note)
        connection.adopt(back, deadline)
        found = tasks.look(back, config, run_context.context, run_context.options_now, deadline)
    if found.plan.changes:
        left = ", ".join(change.resource for change in found.plan.changes)
        raise HostError("drift", "the host was not in the desired state after its restart", detail=left)
    return True
