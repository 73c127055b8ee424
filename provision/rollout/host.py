"""One host's way through a run: connect, look, change, prove. Whatever happens, it ends in one ``host.done``."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from fabric import Connection
from msgspec.structs import replace

from provision import lockfile, planfile, tasks
from provision.declare import Wish
from provision.errors import SpecError
from provision.model import LEVELS, Event, Failure, Plan
from provision.pacing import Pacing
from provision.plan import Outlook
from provision.rollout.request import Scene
from provision.secret import holds, mask
from provision.transport import reboot
from provision.transport.ssh import HostError, cut
from provision.wire import Seen
from provision.work import new_run

_UNREACHABLE = {"unreachable", "host_key", "auth"}

#: What another machine tells of a host that is as wished, and is still to be proven.
GOOD = "host.good"


class HostRun:
    """One host's way through a run; ``pacing`` is of the play that paces it.

    ``good`` is how it ends if it is proven to be as wished, ``status`` how it has ended.
    """

    def __init__(self, scene: Scene, wish: Wish, pacing: Pacing | None = None) -> None:
        self.scene, self.wish, self.pacing = scene, wish, pacing
        self.found: Outlook | None = None
        self.plan: Plan | None = None
        self.good = self.status = ""
        promised = scene.request.promised
        self._promised = promised.get(wish.host.name) if promised is not None else None
        self._left = self._previewed = self._begun = False
        self._run = scene.request.run
        #: told when we begin to wait for the host, and when that is over
        self.waits: Callable[[bool], None] = lambda waiting: None
        self._connection: Connection | None = None
        self._began = 0.0
        self._watch: int | None = None

    @property
    def done(self) -> bool:
        return bool(self.status)

    @property
    def pending(self) -> bool:
        """Whether it was looked at, and has something to change."""
        return self.plan is not None and not self.done and not self.good

    def preview(self, keep: bool) -> None:
        """Look, for somebody to say yes to. Without its connection it is looked at again before it is changed."""
        self._previewed = True
        self.look()
        self._previewed = False
        if self.pending and self.plan is not None and not (keep and self.plan.changes):
            self._promised = self._entry(self.plan)
            self.release()

    def hear(self, event: Event) -> None:
        """What another machine, which goes this host's way, tells of it; whatever comes after its end is dropped."""
        if self.done:
            return
        if event.name == GOOD:
            self.good = str(event.data["status"])
            return
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
            if self.plan is not None:
                return
            self.plan = plan
            if self._promised is None and self.scene.request.confirm is not None:
                self._promised = self._entry(plan)
        elif event.name == "host.done":
            self.status = str(event.data["status"])
        self.scene.tell(event)

    @property
    def promised(self) -> dict[str, Any] | None:
        """The plan that somebody has said yes to, if anybody had to."""
        return self._promised

    def whole(self) -> None:
        if self.done or self.good:
            return
        if problem := self._hook("before"):
            self.skip(f"its hook before failed: {problem}")
            return
        self._begun = True
        if self._connection is None:
            self.look()
            self.waits(False)
        if self.pending:
            self.fix()

    def look(self) -> None:
        """Connect and look; the host is done unless there is something left to fix."""
        self._began = time.monotonic()
        self._tell("host.begin")
        self.waits(True)
        with _Ending(self):
            deadline = self._deadline()
            self._connection = self.scene.transport.open(self.wish.host, deadline)
            self._guard(deadline)
            scene = self.scene
            earlier = scene.request.earlier
            begun = scene.request.run if scene.request.again else earlier if scene.request.mode == "apply" else ""
            began = self._took_up(self._connection, begun, deadline) if begun else ""
            with self._soon(deadline) as soon:
                if scene.request.mode in _QUESTIONS:
                    _QUESTIONS[scene.request.mode](self, self._connection, soon)
                    return
                if scene.request.mode == "rollback":
                    self.found = tasks.look_back(
                        self._connection, self.wish, scene.context, earlier, scene.options, soon
                    )
                else:
                    self.found = tasks.look(self._connection, self.wish, scene.context, scene.options, soon)
            if began == "waiting":
                self._settle_earlier(self._connection, begun, deadline)
                return
            if self.plan is None:
                self._tell("host.plan", plan=self.found.plan)
            self.plan = self.found.plan
            self._as_promised(self.found.plan)
            self._within_bounds(self.found.plan)
            if scene.request.mode == "plan" or not self.found.plan.changes:
                if not self.found.plan.changes:
                    self._publish(self.found, self.found.report)
                # What the run that is taken up here has done already is its doing.
                self._end_well("changed" if self.found.plan.changes or began == "done" else "ok")
            elif scene.request.confirm is not None:
                self._unguard()  # a person may think as long as it takes

    @contextmanager
    def _soon(self, deadline: float) -> Iterator[float]:
        """A look takes a moment; a host that lets it wait has frozen, and is no reason to wait until its deadline."""
        within = self.scene.request.look_within
        soon = min(deadline, time.monotonic() + within)
        self._unguard()
        self._guard(soon)
        try:
            yield soon
        except HostError as error:
            if error.failure.kind != "timeout" or soon == deadline:
                raise
            message = f"looking at the host took longer than {within:.0f} s (--look-within); nothing was changed"
            raise HostError("timeout", message, detail=error.failure.detail) from error
        self._unguard()
        if not self.done:
            self._guard(deadline)

    def _took_up(self, connection: Connection, run: str, deadline: float) -> str:
        """How far an earlier run got on this host, by the host's own receipt; its job is waited for."""
        receipt = tasks.receipt(connection, self.wish, run, "attach", deadline)
        if receipt.startswith("rolled_back"):
            message = f"run {run} did not end well here ({receipt.partition(' ')[2]}); the host put everything back"
            raise HostError("interrupted", message, rolled_back=True)
        if run == self._run and receipt != "none":
            self._run = new_run()  # a host takes a run's name once
        return receipt

    def _settle_earlier(self, connection: Connection, run: str, deadline: float) -> None:
        """An earlier run that waits for its word: this connection was made after its change, so it can be given."""
        good = self.found is not None and not self.found.plan.changes
        if tasks.receipt(connection, self.wish, run, "confirm" if good else "revoke", deadline) != "done":
            message = f"run {run} did not make this host as wanted; the host put everything back"
            raise HostError("drift", message, rolled_back=True)
        self._end_well("changed")

    def _as_promised(self, plan: Plan) -> None:
        """Where somebody has said yes to a plan, it is that one or none. What is right already needs none."""
        if self._promised is None or not plan.changes:
            return
        made = self._entry(plan)
        if made == self._promised:
            return
        old, new = ({one["resource"]: one for one in each["changes"]} for each in (self._promised, made))
        other = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        parts = {"platform": "the platform", "flavour": "the platform", "impacts": "what it restarts or stops"}
        other += dict.fromkeys(text for key, text in parts.items() if self._promised.get(key) != made[key])
        raise HostError(
            "drifted",
            "the host, its spec, or a secret is no longer as the plan was made on; nothing was done",
            detail=f"planned otherwise: {', '.join(other)}",
        )

    def _entry(self, plan: Plan) -> dict[str, Any]:
        return planfile.entry(plan, self.scene.options.salt)

    def _within_bounds(self, plan: Plan) -> None:
        most = self.scene.request.max_impact
        if most is not None and LEVELS.index(plan.impact) > LEVELS.index(most):
            worst = [one for one in plan.impacts if one.level == plan.impact]
            reasons = "; ".join(f"{one.subject}: {one.reason}" for one in worst)
            raise HostError("impact", f"{plan.impact} is more than --max-impact {most} allows ({reasons})")

    def _examine(self, connection: Connection, deadline: float) -> None:
        verdicts = tasks.examine(connection, self.wish, deadline)
        for verdict in verdicts:
            self._tell("verdict", subject=verdict.subject, level=verdict.level, text=verdict.text)
        bad = [f"{verdict.subject}: {verdict.text}" for verdict in verdicts if verdict.level == "bad"]
        if bad:
            self.fail(Failure("unsuited", f"does not suit: {'; '.join(bad)}"))
        else:
            self._end("ok")

    def _versions(self, connection: Connection, deadline: float) -> None:
        platform, packages, images = tasks.versions(connection, self.wish, self.scene.context, deadline)
        self._tell("versions", platform=lockfile.key(platform), packages=packages, images=images)
        self._end("ok")

    def _history(self, connection: Connection, deadline: float) -> None:
        for name, result, count in tasks.history(connection, self.wish, deadline):
            self._tell("run", run=name, result=result, things=count)
        self._end("ok")

    def fix(self) -> None:
        found, connection = self.found, self._connection
        if found is None or connection is None:
            raise RuntimeError("fix before look")
        with _Ending(self), self.scene.pulls.held(self.wish, found.plan) as pulling:
            self._unguard()
            deadline = self._deadline()
            self._guard(deadline)
            transport, request = self.scene.transport, self.scene.request

            def tell(event: Event) -> None:
                pulling.heard(event)
                self.scene.tell(event)

            def again() -> Connection:
                if self._left:
                    raise HostError(
                        "left", "we were told to leave; the host finishes, or puts everything back, by itself"
                    )
                return transport.open(self.wish.host, deadline, fresh=True)

            changing = tasks.Changing(self._run, request.confirm_within, again, request.max_impact)
            report = tasks.fix(connection, self.wish, found, deadline, tell, changing)
            self._publish(found, report)
            if not connection.is_connected:
                # It broke off, and the change went on over another one.
                self.release()
                self._connection = transport.open(self.wish.host, deadline)
                self._guard(deadline)
            self._end_well("changed")

    def _publish(self, found: Outlook, report: Seen) -> None:
        """What this host has pushed, for those that come after it."""
        if self.scene.context.pushed_by:
            self.scene.context.published.update(tasks.pushed(found.resources, report))

    def hold(self) -> Connection | None:
        """The connection (a new one if there is none), with a deadline of its own for what is done with it now."""
        with _Ending(self):
            if self._connection is None:
                self._connection = self.scene.transport.open(self.wish.host, self._deadline())
            self._guard(self._deadline())
            return self._connection
        return None

    def release(self) -> None:
        """Give the connection up for a while."""
        self._unguard()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def proven(self) -> None:
        self._end(self.good)

    def _end_well(self, status: str) -> None:
        """The host is as wished; it is at its end unless that is still to be proven, or it is to be restarted: when its
        turn comes, and somebody has said yes."""
        if self._previewed and self.pacing is not None and (self.pacing.proves or self.pacing.reboot != "never"):
            return
        if self.pacing is not None and self.pacing.reboot == "if-needed" and self.scene.request.changes:
            status = self._restarted(status)
        paced = self.pacing is not None and self.pacing.proves and self.scene.request.changes
        if not (self.scene.request.prove or paced):
            self._end(status)
        else:
            self._unguard()
            self.good = status

    def _restarted(self, status: str) -> str:
        """Restart the host if it says that it needs it, and look at what comes back. Where the play names no domain,
        each host is one."""
        if self._connection is None or not reboot.needed(self.wish.host, self._connection):
            return status
        if self.scene.request.max_impact is not None:
            self._tell("note", text="it needs a restart, which --max-impact does not allow")
            return status
        alone = self.pacing is None or self.pacing.domain is None
        with self.scene.restarts if alone else nullcontext():
            self._unguard()
            deadline = self._deadline()
            self._connection = reboot.restart(
                self.scene.transport,
                self.wish.host,
                self._connection,
                deadline,
                lambda text: self._tell("note", text=text),
            )
            self._guard(deadline)
            found = tasks.look(self._connection, self.wish, self.scene.context, self.scene.options, deadline)
        if found.plan.changes:
            left = ", ".join(change.resource for change in found.plan.changes)
            raise HostError("drift", "after its restart the host was not as wanted any more", detail=left)
        return "changed"

    def skip(self, reason: str) -> None:
        if not self.done:
            self._end("skipped", reason=reason)

    def fail(self, failure: Failure) -> None:
        # Whatever found its way into it: a program's words, what a host has in the place of what it should have.
        failure = replace(failure, message=mask(failure.message), detail=mask(failure.detail))
        if failure.rolled_back:
            self._end("rolled_back", failure)
        else:
            self._end("unreachable" if failure.kind in _UNREACHABLE else "failed", failure)

    def cut(self) -> None:
        """Leave the host to itself."""
        self._left = True
        if self._connection is not None:
            cut(self._connection)

    def _deadline(self) -> float:
        return time.monotonic() + self.scene.request.deadline

    def _guard(self, deadline: float) -> None:
        connection = self._connection
        if connection is not None:
            self._watch = self.scene.transport.watchdog.watch(deadline, lambda: cut(connection))

    def _unguard(self) -> None:
        if self._watch is not None:
            self.scene.transport.watchdog.drop(self._watch)
            self._watch = None

    def _tell(self, name: str, **data: object) -> None:
        self.scene.tell(Event(name, self.wish.host.name, data))

    def _end(self, status: str, failure: Failure | None = None, reason: str = "") -> None:
        self.release()
        # Not for one that ended by the look before the question: nobody has said yes to a command for it.
        if self._begun and status != "skipped" and (problem := self._hook("after", status)):
            # Drained, and not taken back, say: the next must not go the same way.
            failure = failure or Failure("hook", f"its hook after failed: {problem}")
            status = "failed" if status in ("ok", "changed") else status
        self.status = status
        data: dict[str, object] = {"status": status, "changes": self._changes(status, failure)}
        if failure is not None:
            data["failure"] = failure
        if reason:
            data["reason"] = reason
        if self._began:
            data["seconds"] = round(time.monotonic() - self._began, 3)
        self._tell("host.done", **data)

    def _hook(self, when: Literal["before", "after"], status: str = "") -> str:
        """The play's command for each host, if it has one: what went wrong with it."""
        request = self.scene.request
        if self.pacing is None or request.hook is None:
            return ""
        words = self.wish.hook(when)
        if words is None:
            return ""
        if any(holds(word) for word in words):
            return "a secret must not be among its words: everybody on the controller sees them"
        return request.hook(list(words), {"WHEN": when, "HOST": self.wish.host.name, "STATUS": status})

    def _changes(self, status: str, failure: Failure | None) -> int:
        """How many resources were (or, for a plan, would be) changed; of a failed host, those that were done whole."""
        if self.found is None or status not in ("changed", "failed"):
            return 0
        resources = [change.resource for change in self.found.plan.changes]
        if failure is None:
            return len(resources)

        def touched(resource: str, steps: tuple[str, ...]) -> bool:
            return any(step.startswith(f"{resource} ") for step in steps)

        return sum(touched(one, failure.done) and not touched(one, failure.undone) for one in resources)


class _Ending:
    """Turns what stops a host into its end; other hosts go on."""

    def __init__(self, run: HostRun) -> None:
        self.run = run

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, HostError):
            self.run.fail(error.failure)
            return True
        if isinstance(error, SpecError):  # what only a look could tell: a template that fails for this platform
            self.run.fail(Failure("spec", str(error)))
            return True
        if isinstance(error, Exception):  # a fault of ours ends this host and no other
            detail = "".join(traceback.format_exception(error))
            self.run.fail(Failure("internal", f"{type(error).__name__}: {error}", detail=detail))
            return True
        return False


#: Modes that only ask a host something.
_QUESTIONS = {"doctor": HostRun._examine, "runs": HostRun._history, "lock": HostRun._versions}
