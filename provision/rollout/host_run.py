"""One host's run, from the login to its end. In every case it ends in exactly one ``host.done``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from fabric import Connection
from msgspec.structs import replace

from provision import tasks
from provision.errors import SpecError
from provision.model import LEVELS, Event, Failure, Plan, Salt
from provision.planning import planfile
from provision.planning.plan import Inspection
from provision.project.host_config import HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.remote.protocol import Seen
from provision.remote.transaction import new_run
from provision.rollout.host_actions import QUESTIONS, changed, ending, restarted, status_of
from provision.rollout.host_connection import HostConnection
from provision.rollout.run_request import Goal, RunContext, RunRequest
from provision.secrets.secret import holds, mask
from provision.transport.ssh import HostError

#: Names of a plan's parts besides its changes.
_PARTS = {
    "platform": "the platform",
    "flavour": "the platform",
    "impacts": "the services that it restarts or stops",
    "rollback_impacts": "the services that its rollback restarts or stops",
}

#: A worker reports this for a host in the desired state that still has to be verified.
GOOD = "host.good"


class HostRun:
    """One host's run; ``rollout_options`` are of the play that controls its rollout.

    ``good`` is its status if the verification finds no fault, ``status`` its final status.
    """

    def __init__(
        self, run_context: RunContext, config: HostConfig, rollout_options: RolloutOptions | None = None
    ) -> None:
        self.run_context, self.config, self.rollout_options = run_context, config, rollout_options
        self.found: Inspection | None = None
        self.plan: Plan | None = None
        self.good = self.status = ""
        request, name = run_context.request, config.host.name
        self._approval = Approval((request.approved or {}).get(name), run_context.options.salt)
        self._previewed = self._begun = False
        self._run = request.run
        #: called when the run begins to wait for the host, and when it stops waiting
        self.waits: Callable[[bool], None] = lambda waiting: None
        self._connection = HostConnection(run_context.transport, config.host, request.deadline)
        self._began = 0.0

    @property
    def done(self) -> bool:
        return bool(self.status)

    @property
    def pending(self) -> bool:
        """True if provision has read the host's state, and the host has something to change."""
        return self.plan is not None and not self.done and not self.good

    @property
    def approved(self) -> dict[str, Any] | None:
        """The plan that the operator has approved, where one is needed."""
        return self._approval.entry

    def preview(self, keep: bool) -> None:
        """Read the state, for the operator to approve the plan. If the connection is then closed, provision reads the
        state again before the change."""
        self._previewed = True
        self.look()
        self._previewed = False
        if self.pending and self.plan is not None and not (keep and self.plan.changes):
            self._approval.show(self.plan)
            self.release()

    @property
    def kept(self) -> bool:
        """True if the connection is open."""
        return self._connection.open is not None

    def approve(self, entry: dict[str, Any] | None) -> None:
        """Apply only the plan that the operator has approved in another process."""
        self._approval.entry = entry

    def handed_over(self) -> None:
        """Another process begins with the host. Where that process dies, :meth:`lost` ends the host's run here."""
        self._begun = True

    def lost(self, reason: str) -> None:
        """The worker that had this host cannot report its end."""
        known = "the state of the host is not known (provision runs --on-hosts)"
        if not self.run_context.request.goal.changes:
            known = "nothing was changed"
        self.fail(Failure("worker", f"{reason}; {known}"))

    def report_good(self) -> None:
        """In a worker: report a host that still has to be verified."""
        if self.good and not self.done:
            self._emit(GOOD, status=self.good)

    def receive(self, event: Event) -> None:
        """Process an event of the worker that has this host; events after the host's end are dropped."""
        if self.done:
            return
        if event.name == GOOD:
            self.good = str(event.data["status"])
            return
        if event.name == "host.begin":
            self._began = time.monotonic()
        elif event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
            if self.plan is not None:
                return
            self.plan = plan
            if self.approved is None and self.run_context.request.confirm is not None:
                self._approval.show(plan)
        elif event.name == "host.done":
            self.status = str(event.data["status"])
        self.run_context.emit(event)

    def whole(self) -> None:
        if self.done or self.good:
            return
        if problem := self._hook("before"):
            self.skip(f"its before hook failed: {problem}")
            return
        self._begun = True
        if self._connection.open is None:
            self.look()
            self.waits(False)
        if self.pending:
            self.fix()

    def look(self) -> None:
        """Connect and read the state. The host's run ends unless there is something to change."""
        self._began = time.monotonic()
        self._emit("host.begin")
        self.waits(True)
        with ending(self.fail):
            connection, deadline = self._connection.connect()
            self._emit("progress", text="reading the state")
            request = self.run_context.request
            earlier = earlier_run(request)
            receipt = take_up(connection, self.config, earlier, deadline) if earlier else ""
            if earlier and earlier == self._run and receipt != "none":
                self._run = new_run()  # a host accepts a run's name once
            with self._connection.soon(deadline, request.look_within) as soon:
                if request.goal in QUESTIONS:
                    self._ask(connection, soon)
                    return
                found = self._inspect(connection, soon)
            self.found = found
            if receipt == "waiting":
                settle(connection, self.config, earlier, not found.plan.changes, deadline)
                self._end_well("changed")
                return
            if self.plan is None:
                self._emit("host.plan", plan=found.plan)
                for note in found.notes:
                    self._note(note)
            self.plan = found.plan
            self._approval.check(found.plan)
            check_impact(found.plan, request.max_impact)
            if not found.plan.changes:
                self._publish(found, found.report)
                # The changes of the earlier run that continues here are part of this run.
                self._end_well("changed" if receipt == "done" else "ok")
            elif request.goal is Goal.PLAN:
                self._end_well("changed")
            elif request.confirm is not None:
                self._connection.wait()

    def _ask(self, connection: Connection, deadline: float) -> None:
        request = self.run_context.request
        failure = QUESTIONS[request.goal](connection, self.config, self.run_context, self._emit, deadline)
        if failure is None:
            self._end("ok")
        else:
            self.fail(failure)

    def _inspect(self, connection: Connection, deadline: float) -> Inspection:
        context, options, request = self.run_context.context, self.run_context.options_now, self.run_context.request
        if request.goal is Goal.ROLLBACK:
            return tasks.look_back(connection, self.config, context, request.earlier, options, deadline)
        return tasks.look(connection, self.config, context, options, deadline)

    def fix(self) -> None:
        """Make the changes of the plan."""
        found, connection = self.found, self._connection.open
        if found is None or connection is None:
            raise RuntimeError("fix before look")
        with ending(self.fail), self.run_context.pulls.held(self.config, found.plan) as pulling:
            deadline = self._connection.extend()
            request = self.run_context.request

            def emit(event: Event) -> None:
                pulling.received(event)
                self.run_context.emit(event)

            changing = tasks.Changing(
                self._run, request.confirm_within, lambda: self._connection.again(deadline), request.max_impact
            )
            report = tasks.fix(connection, self.config, found, deadline, emit, changing)
            self._publish(found, report)
            if not connection.is_connected:
                # This connection ended, and the change was followed over another one.
                self.release()
                self._connection.connect()
            self._end_well("changed")

    def _publish(self, found: Inspection, report: Seen) -> None:
        """Record the images that this host has pushed, for the hosts that come after it."""
        if self.run_context.context.pushed_by:
            self.run_context.published.add(tasks.pushed(found.resources, report))

    def hold(self) -> Connection | None:
        """The connection (a new one if there is none), with a new deadline; ``None`` where that fails."""
        with ending(self.fail):
            if self._connection.open is None:
                self._connection.connect()
            else:
                self._connection.extend()
            return self._connection.open
        return None

    def release(self) -> None:
        """Close the connection until it is needed again."""
        self._connection.release()

    def cut(self) -> None:
        """Abandon the host."""
        self._connection.cut()

    def proven(self) -> None:
        self._end(self.good)

    def _end_well(self, status: str) -> None:
        """The host is in the desired state. Its run ends, unless the host still has to be verified. A restart may also
        remain: it waits for the operator's approval and the host's turn."""
        options, request = self.rollout_options, self.run_context.request
        if self._previewed and options is not None and (options.proves or options.reboot != "never"):
            return
        if (
            request.goal.changes
            and options is not None
            and options.reboot == "if-needed"
            and restarted(self.run_context, self.config, options, self._connection, self._note)
        ):
            status = "changed"
        paced = options is not None and options.proves and request.goal.changes
        if not (request.prove or paced):
            self._end(status)
        else:
            self._connection.wait()
            self.good = status

    def skip(self, reason: str) -> None:
        if not self.done:
            self._end("skipped", reason=reason)

    def fail(self, failure: Failure) -> None:
        # The failure may hold a secret: a program's output, or the content of a file on the host.
        left = failure.left if failure.left is None else tuple(map(mask, failure.left))
        failure = replace(failure, message=mask(failure.message), detail=mask(failure.detail), left=left)
        self._end(status_of(failure), failure)

    def _note(self, text: str) -> None:
        self._emit("note", text=text)

    def _emit(self, name: str, **data: object) -> None:
        self.run_context.emit(Event(name, self.config.host.name, data))

    def _end(self, status: str, failure: Failure | None = None, reason: str = "") -> None:
        self.release()
        # Not for a host whose run ended in the look before the approval: its hook was not approved.
        if self._begun and status != "skipped" and (problem := self._hook("after", status)):
            # For example, a drained host is not in service again: the next host must not follow.
            failure = failure or Failure("hook", f"its after hook failed: {problem}")
            status = "failed" if status in ("ok", "changed") else status
        self.status = status
        plan = self.found.plan if self.found is not None else None
        data: dict[str, object] = {"status": status, "changes": changed(plan, status, failure)}
        if failure is not None:
            data["failure"] = failure
            if failure.rolled_back and failure.left is not None:
                data |= {"restored": "partial" if failure.left else "complete", "left": list(failure.left)}
        if reason:
            data["reason"] = reason
        if self._began:
            data["seconds"] = round(time.monotonic() - self._began, 3)
        self._emit("host.done", **data)

    def _hook(self, when: Literal["before", "after"], status: str = "") -> str:
        """Run the play's command for each host, if it has one; return its error, or an empty text."""
        request = self.run_context.request
        if self.rollout_options is None or request.hook is None:
            return ""
        try:
            words = self.config.hook(when)
        except SpecError as error:
            return str(error)
        if words is None:
            return ""
        if any(holds(word) for word in words):
            return "its arguments must not hold a secret: every user of the controller can see them"
        return request.hook(list(words), {"WHEN": when, "HOST": self.config.host.name, "STATUS": status})


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


def earlier_run(request: RunRequest) -> str:
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


def with_entry(event: Event, salt: Salt) -> Event:
    """A worker's event for the controller. Secrets that are derived while a host is compiled are known only in the
    worker, so a plan is sent with its entry of a plan file."""
    if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
        return replace(event, data={**event.data, "plan": replace(plan, entry=planfile.entry(plan, salt))})
    return event
