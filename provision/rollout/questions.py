"""Runs that only ask a host: ``ping``, ``doctor``, ``lock`` and ``runs --on-hosts``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from fabric import Connection

from provision import tasks
from provision.model import Failure
from provision.project import lockfile
from provision.project.host_config import HostConfig
from provision.rollout.goal import Goal
from provision.rollout.run_request import RunContext


class Emit(Protocol):
    def __call__(self, name: str, **data: object) -> None:
        """Report an event of this host."""


#: Asks by ``deadline``, emits the host's answers, and returns a failure if there is one.
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
