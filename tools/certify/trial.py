"""The host under test: runs of provision on it, scripts that read its state, and the cost of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from provision.catalog import Options
from provision.load import Loaded
from provision.model import Event, Failure, Plan
from provision.remote.script import RUNS
from provision.remote.transaction import new_run
from provision.rollout.roll_out import Rollout
from provision.rollout.run_request import Goal, RunRequest
from provision.secrets.disclosure import new_salt
from provision.transport.shell import Shell
from provision.verify.run import VerifyRequest, verify
from tools.certify.observed import Observed

#: Events of a run that certify passes on; it has its own for the begin and the end.
_PASSED_ON = ("host.plan", "step.begin", "step.done", "note", "armed", "progress", "check.done")
#: Seconds for a question to the host.
_QUESTION = 120.0
#: Seconds that a host may take for a rollback after the time for the confirmation.
_ROLLBACK = 300.0


class Ran(Struct, frozen=True):
    """How a run ended on the host: its status, and what it cost."""

    status: str
    plan: Plan | None
    failure: Failure | None
    logins: int
    execs: int

    @property
    def changes(self) -> int:
        return len(self.plan.changes) if self.plan is not None else 0


class Checked(Struct, frozen=True):
    """What verify found: suite, check and outcome of each check."""

    checks: tuple[tuple[str, str, str], ...]
    failure: Failure | None

    def names(self, outcome: str) -> list[str]:
        """Suite and check of one outcome, without the declared thing that a check is about."""
        return sorted({f"{suite}: {check.partition(' ')[0]}" for suite, check, how in self.checks if how == outcome})

    def count(self, outcome: str) -> int:
        return sum(how == outcome for _, _, how in self.checks)


class Trial:
    """``base`` is the project with the one host. ``emit`` receives what people and programs see."""

    def __init__(
        self, base: Loaded, transport: Observed, deadline: float, look_within: float, emit: Callable[[Event], None]
    ) -> None:
        self.base, self.transport = base, transport
        self.deadline, self._look_within = deadline, look_within
        self._emit = emit
        self.host = base.configs[0].host
        self._shell: Shell | None = None
        self._asked: Any = None

    def apply(self, found: Loaded | None = None) -> Ran:
        return self._run(Goal.APPLY, found or self.base, 60, self._emit)

    def plan(self) -> Ran:
        return self._run(Goal.PLAN, self.base, 60, self._emit)

    def cut_off(self, found: Loaded, within: int) -> Ran:
        """Apply, and cut every connection as soon as the host has set its rollback timer. provision logs in again only
        after the host itself has ended the run."""
        self.hang_up()
        run = new_run()

        def over(connection: Any) -> bool:
            result = Shell(connection, self.host.login).run(f"cat {RUNS}/{run}/result", _QUESTION)
            return result.status == 0 and bool(result.stdout.strip())

        def receive(event: Event) -> None:
            self._emit(event)
            if event.name == "armed":
                self.transport.sever(over, within + _ROLLBACK)

        return self._run(Goal.APPLY, found, within, receive, run)

    def verify(self, suites: tuple[str, ...], *, reboot: bool = False) -> Checked:
        """Run suites of verify, those that restart the daemon too; with ``reboot`` after a restart of the host."""
        self.hang_up()
        ends: list[Event] = []
        checks: list[Event] = []

        def emit(event: Event) -> None:
            if event.name == "host.done":
                ends.append(event)
            if event.name == "check.done":
                checks.append(event)
            if event.name in _PASSED_ON:
                self._emit(event)

        request = VerifyRequest(suites, 1, self.deadline, disruptive=True, reboot=reboot)
        verify(self.base.configs, self.base.context, self.transport, request, emit)
        failure = ends[0].data.get("failure")
        return Checked(
            tuple((str(one.data["suite"]), str(one.data["check"]), str(one.data["outcome"])) for one in checks),
            failure if isinstance(failure, Failure) else None,
        )

    def ask(self, script: str) -> str:
        """The output of a script on the host, as root. Raises :class:`HostError`."""
        if self._shell is None:
            connection = self.transport.open(self.host, time.monotonic() + _QUESTION)
            self._shell, self._asked = Shell(connection, self.host.login), connection
        answer = self._shell.run(script, _QUESTION)
        return answer.stdout.decode("utf-8", "replace")

    def hang_up(self) -> None:
        """End the connection of the questions."""
        if self._shell is not None:
            self._asked.close()
            self._shell = None

    def _run(self, goal: Goal, found: Loaded, within: int, receive: Callable[[Event], None], run: str = "") -> Ran:
        plans: list[Plan] = []
        ends: list[Event] = []

        def emit(event: Event) -> None:
            if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
                plans.append(plan)
            if event.name == "host.done":
                ends.append(event)
            if event.name in _PASSED_ON:
                receive(event)

        request = RunRequest(goal, 1, self.deadline, self._look_within, run=run or new_run(), confirm_within=within)
        self.transport.count()
        options = Options(salt=new_salt())
        if Rollout(found.configs, found.context, self.transport, options, request, emit).run().interrupted:
            raise KeyboardInterrupt
        (end,) = ends
        failure = end.data.get("failure")
        return Ran(
            str(end.data["status"]),
            plans[0] if plans else None,
            failure if isinstance(failure, Failure) else None,
            self.transport.logins,
            self.transport.execs,
        )
