"""Actions of a host's run: questions to the host (``ping``, ``doctor``, ``lock``, ``runs --on-hosts``), its restart,
and its end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Protocol

from fabric import Connection

from provision import tasks
from provision.errors import SpecError
from provision.model import Failure, Plan
from provision.project import lockfile
from provision.project.host_config import HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.rollout.host_connection import HostConnection
from provision.rollout.run_request import Goal, RunContext
from provision.transport import reboot
from provision.transport.ssh import HostError

#: Kinds of failures of a host that provision could not reach.
_UNREACHABLE = {"unreachable", "host_key", "auth"}


class Emit(Protocol):
    def __call__(self, name: str, **data: object) -> None:
        """Report an event of this host."""


#: A run that only asks a host. Asks by ``deadline``, emits the host's answers, and returns a failure if there is one.
Question = Callable[[Connection, HostConfig, RunContext, Emit, float], Failure | None]


def examine(
    connection: Connection, config: HostConfig, run_context: RunContext, emit: Emit, deadline: float
) -> Failure | None:
    """Is the host suitable for its spec?"""
    verdicts = tasks.examine(connection, config, deadline)
    for verdict in verdicts:
        emit("verdict", subject=verdict.subject, level=verdict.level, text=verdict.text)
    bad = [f"{verdict.subject}: {verdict.text}" for verdict in verdicts if verdict.level == "bad"]
    return Failure("unsuited", f"is not suitable: {'; '.join(bad)}") if bad else None


def versions(
    connection: Connection, config: HostConfig, run_context: RunContext, emit: Emit, deadline: float
) -> Failure | None:
    """Which versions of the engine's packages, and which images, does the host have?"""
    platform, packages, images = tasks.versions(connection, config, run_context.context, deadline)
    emit("versions", platform=lockfile.key(platform), packages=packages, images=images)
    return None


def history(
    connection: Connection, config: HostConfig, run_context: RunContext, emit: Emit, deadline: float
) -> Failure | None:
    """Which runs does the host have a record of?"""
    for name, result, count in tasks.history(connection, config, deadline):
        emit("run", run=name, result=result, things=count)
    return None


def greet(
    connection: Connection, config: HostConfig, run_context: RunContext, emit: Emit, deadline: float
) -> Failure | None:
    """Does the host run a command?"""
    account, seconds = tasks.ping(connection, config, deadline)
    login = config.host.login
    where = f"{connection.user}@{connection.host}:{connection.port}"
    emit("ping", login=where, account=account, transport=login.transport, milliseconds=round(seconds * 1000))
    return None


QUESTIONS: Mapping[Goal, Question] = MappingProxyType(
    {Goal.DOCTOR: examine, Goal.LOCK: versions, Goal.RUNS: history, Goal.PING: greet}
)


def restarted(
    run_context: RunContext,
    config: HostConfig,
    rollout_options: RolloutOptions,
    connection: HostConnection,
    note: Callable[[str], None],
) -> bool:
    """Restart the host if it reports that it needs it (``reboot: if-needed``), and look again after the boot; return
    whether it was restarted. Where the play names no domain, hosts restart one at a time. Raises :class:`HostError`.
    """
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


@contextmanager
def ending(fail: Callable[[Failure], None]) -> Iterator[None]:
    """Turns an exception inside it into the host's failure; other hosts continue."""
    try:
        yield
    except HostError as error:
        fail(error.failure)
    except SpecError as error:  # only a look can detect it: a template that fails for this platform
        fail(Failure("spec", str(error)))
    except Exception as error:  # a fault of provision itself ends only this host's run
        detail = "".join(traceback.format_exception(error))
        fail(Failure("internal", f"{type(error).__name__}: {error}", detail=detail))


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
