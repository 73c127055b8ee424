"""A job on a host: started, followed, found again after the connection ended, and confirmed over a new connection.

The result of a job is always the one in the host's own receipt, never an assumption of provision.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from fabric import Connection
from msgspec import Struct, field
from msgspec.structs import replace

from provision.lines import BLANK, lines_of
from provision.model import Call, Event
from provision.project.host_config import HostConfig
from provision.remote.frames import checked
from provision.remote.protocol import Seen, WireError
from provision.remote.script import job_script, receipt_script, submit_script
from provision.remote.transaction import Step, Work
from provision.secrets.secret import mask
from provision.transport.execute import Finished, execute
from provision.transport.failure import CutOff, NotBegun
from provision.transport.ssh import HostError

OnEvent = Callable[[Event], None]
Frame = tuple[str, ...]
Verb = Literal["attach", "confirm", "reached", "revoke"]

#: Seconds between attempts to reconnect; the last value repeats.
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 4.0)
#: Seconds to wait for a host after the time for a confirmation: it may be restarting services after a rollback.
_PATIENCE = 120.0

#: The host answers, and refuses new logins of this account.
_REFUSALS = ("host_key", "auth", "become")
#: Seconds until a refused login is tried once more. More attempts would look like an attack (fail2ban, faillock).
_SECOND_TRY = 2.0
#: Seconds between further attempts of a refused login, after the time at which the host's timer rolls back.
_LATER_TRIES = 10.0

#: How often to ask a host that sends an invalid answer: its record is damaged, and more attempts do not help.
_UNREAD = 5

_WHY = {
    "unconfirmed": (
        "unconfirmed",
        "not confirmed within {within} s: the controller could not log in again, so the host rolled the change back",
    ),
    "died": ("interrupted", "the process of the change was killed; the host rolled the change back"),
    "interrupted": ("interrupted", "the change was interrupted (a power cut?); the host rolled it back"),
    "hung": ("interrupted", "the change hung and was stopped; the host rolled it back"),
    "unhealthy": ("unhealthy", "{detail}; the host rolled the change back"),
    "drift": ("drift", "every step succeeded, but the host was not in the desired state; it rolled the change back"),
}


#: Frames that hold output of programs on the host.
_PRINTED = ("step.failed", "unhealthy", "note", "progress", "died", "undone", "unkept", "drifted")
#: Frame that a job sends -> its minimum number of fields, including its name.
_FIELDS = {
    "step.begin": 2,
    "step.done": 2,
    "step.failed": 4,
    "note": 2,
    "progress": 2,
    "armed": 2,
    "undone": 4,
    "locked": 3,
    "drifted": 2,
    "unkept": 2,
    "unhealthy": 2,
    "died": 3,
    "result": 2,
}


class _Progress(Struct):
    """The frames of a job, by kind: steps become events; the frames after the last step are the second look."""

    host: str
    steps: tuple[Step, ...]
    on_event: OnEvent
    #: number of frames that were reported before the connection ended
    known: int = 0
    told: int = 0
    done: list[Step] = field(default_factory=list)
    after: list[Frame] = field(default_factory=list)
    refused: list[Frame] = field(default_factory=list)
    failed: list[Frame] = field(default_factory=list)
    #: lines of the record that were not restored; ``None`` where the host has reported no rollback
    failed_undo: str | None = None
    #: what the rollback did, one item a line
    undone: str = ""
    #: what is not as it was before the run, in words, one item a line
    stays: str = ""
    #: why the host refused a new login
    refused_login: str = ""
    result: str | None = None
    ended: bool = False

    def frame(self, frame: Frame) -> None:
        kind = frame[0]
        if not self._fits(frame):
            raise WireError(f"not an event of a job: {[word[:80] for word in frame[:4]]}")
        if kind in _PRINTED:
            frame = tuple(mask(word) for word in frame)
        if kind == "result":
            self.result = frame[1]
            return
        if kind == "undone":
            # The host's receipt repeats this, for a connection that did not receive the event.
            self.failed_undo, self.undone = frame[2], frame[3]
            # A job of an earlier version does not send it.
            self.stays = "".join(frame[4:5])
            return
        if self.ended and kind != "note":
            self.after.append(frame)
            return
        self.told += 1
        emit = self.on_event if self.told > self.known else _nobody
        if kind == "step.begin":
            step, number = self.steps[int(frame[1])], int(frame[1]) + 1
            data = {"step": step.name, "title": step.title, "number": number, "of": len(self.steps)}
            emit(Event(kind, self.host, data))
        elif kind == "step.done":
            step = self.steps[int(frame[1])]
            self.done.append(step)
            emit(Event(kind, self.host, {"step": step.name, "title": step.title}))
        elif kind in ("note", "progress"):
            emit(Event(kind, self.host, {"text": frame[1]}))
        elif kind == "armed":
            emit(Event("armed", self.host, {"seconds": int(frame[1])}))
        elif kind in ("locked", "drifted", "unkept"):
            self.refused.append(frame)
        elif kind in ("step.failed", "unhealthy", "died"):
            self.failed.append(frame)
        self.ended = self.ended or kind == "steps.end"

    def _fits(self, frame: Frame) -> bool:
        if len(frame) < _FIELDS.get(frame[0], 1):
            return False
        if frame[0].startswith("step."):
            return frame[1] in map(str, range(len(self.steps)))
        return frame[0] != "armed" or (frame[1].isdecimal() and len(frame[1]) < 10)


def _nobody(event: Event) -> None:
    """Emit nothing: the event was reported already."""


class Job(Struct, frozen=True):
    """``looks`` are the calls that read the state after the steps; ``reconnect`` opens a new connection to the host."""

    config: HostConfig
    work: Work
    looks: Sequence[Call]
    deadline: float
    on_event: OnEvent
    reconnect: Callable[[], Connection]

    def run(self, connection: Connection, left_over: Callable[[Seen], list[str]]) -> None:
        """Start the job and follow it to its end; ``left_over`` returns what is not in the desired state then.

        Raises :class:`HostError` unless the host ends in the desired state.
        """
        progress, finished = self._submit(connection)
        if progress.refused:
            raise self._refused(progress)
        if progress.result is None and finished.status:
            why = "".join(f": {line}" for line in lines_of(finished.stderr)[-1:])
            message = f"the job could not be started{mask(why)}"
            raise HostError("record", message, detail=finished.stderr, **_undone(progress.steps))
        left: list[str] = []
        if progress.result in ("done", "waiting"):
            try:
                left = left_over(reported(progress.after, finished))
            except HostError as error:
                left = [error.failure.message]
        if progress.result == "waiting":
            answer = self._ask("revoke", "drift", connection) if left else self._ask("confirm", "", connection)
            self._answered(progress, answer)
            if answer.refused_login and answer.result != "done":
                left = [*left, answer.refused_login]
        elif progress.result == "done" and left and self.work.watched:
            self._answered(progress, self._ask("revoke", "drift", connection))
        elif progress.result == "done" and not left and not self.work.proven:
            self._reach(progress)
        if progress.result == "done" and not left:
            return
        raise self._error(progress, left, finished)

    @staticmethod
    def _answered(progress: _Progress, answer: _Progress) -> None:
        for name in ("result", "failed_undo", "undone", "stays"):
            setattr(progress, name, getattr(answer, name))

    def _reach(self, progress: _Progress) -> None:
        """Log in again after a change that armed no rollback, because all its steps are known to be harmless.

        Raises :class:`HostError` where the host refuses this login now.
        """
        try:
            end = min(self.deadline, time.monotonic() + self.work.confirm_within)
            self._persist("reached", "", self._progress(), end)
        except HostError as error:
            failure = error.failure
            if failure.kind == "left":
                raise
            message = (
                f"the host was changed, and can no longer be reached: {failure.message}; no rollback timer was "
                "set, because these changes cannot affect a login"
            )
            raise HostError("unconfirmed", message, detail=failure.detail, **_done(progress.done)) from error

    def _submit(self, connection: Connection) -> tuple[_Progress, Finished]:
        progress = self._progress()
        secrets: dict[str, str] = {}
        job = job_script(self.work, self.looks, secrets)
        limit = self.work.limit if self.work.watched else None
        script = submit_script(self.work.run, job, secrets, self.work.secrets, limit)
        try:
            finished = execute(connection, self.config.host.login, script, self.deadline, progress.frame)
            if progress.result is not None or finished.status is not None:
                return progress, finished
            broken = HostError("disconnected", "connection lost", detail=finished.stderr)
        except HostError as error:
            if error.failure.kind != "disconnected":
                raise self._with_steps(error, progress) from error
            broken = error
        self.on_event(Event("note", self.config.host.name, {"text": "connection lost; reconnecting"}))
        return self._find_again(progress, broken)

    def _find_again(self, before: _Progress, error: HostError) -> tuple[_Progress, Finished]:
        """Reconnect and ask what the job did: the host continues it without a connection."""
        progress, finished = self._persist("attach", "", self._progress(known=before.told), self.deadline)
        if progress.result == "none":  # the host never received the job
            raise self._with_steps(error, before) from error
        return progress, finished

    def _ask(self, verb: Verb, reason: str, held: Connection) -> _Progress:
        """Ask over a new connection: an answer proves that the host accepts a new login.

        ``held`` was opened before the change. Where the host refuses new logins, this connection asks it to roll back
        at once. Without it, the rollback timer of the host rolls back when the time for the confirmation is over.
        """
        end = min(self.deadline, time.monotonic() + self.work.confirm_within + _PATIENCE)
        return self._persist(verb, reason, self._progress(), end, held)[0]

    def _persist(
        self, verb: Verb, reason: str, progress: _Progress, end: float, held: Connection | None = None
    ) -> tuple[_Progress, Finished]:
        """Ask over a new connection until the host answers; ``progress`` is what the host has told before. Raises
        :class:`HostError` when the time is over, and for a refused login where no rollback could restore it."""
        script = receipt_script(verb, self.work.run, reason)
        attempt, refused, unread, began = 0, 0, 0, time.monotonic()
        while True:
            told = _again(progress)
            try:
                connection = self.reconnect()
                try:
                    finished = execute(connection, self.config.host.login, script, end, told.frame)
                finally:
                    connection.close()
                if told.result is None:
                    kind = "disconnected" if finished.status is None else "protocol"
                    raise HostError(kind, "the host did not report the state of the run", detail=finished.stderr)
            except HostError as error:
                pause = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
                refusal = error.failure.kind in _REFUSALS or isinstance(error, (NotBegun, CutOff))
                unread += error.failure.kind == "protocol" and not refusal
                if refusal:
                    refused += 1
                    progress.refused_login = error.failure.message
                    if refused > 1 and not self.work.risky:
                        raise _lost(error) from error
                    if refused == 2 and held is not None and (done := self._roll_back(held, progress, end)) is not None:
                        return done
                    pause = _SECOND_TRY
                    if refused > 1:
                        pause = max(_LATER_TRIES, began + self.work.confirm_within + 2 - time.monotonic())
                if time.monotonic() + pause >= end or error.failure.kind == "left" or unread == _UNREAD:
                    raise _lost(error) from error
                time.sleep(pause)
                attempt += 1
                continue
            return told, finished

    def _roll_back(self, held: Connection, progress: _Progress, end: float) -> tuple[_Progress, Finished] | None:
        """Report to the host, over a connection from before the change, that it refuses new logins. Return ``None``
        where that connection does not work any more."""
        if not held.is_connected:
            return None
        told = _again(progress)
        script = receipt_script("revoke", self.work.run, "unconfirmed")
        try:
            finished = execute(held, self.config.host.login, script, end, told.frame)
        except HostError:
            return None
        return (told, finished) if (told.result or "").startswith("rolled_back") else None

    def _progress(self, known: int = 0) -> _Progress:
        return _Progress(self.config.host.name, self.work.steps, self.on_event, known)

    def _refused(self, progress: _Progress) -> HostError:
        frame = progress.refused[0]
        undone = _undone(progress.steps)
        if frame[0] == "drifted":
            message = "the host has changed since its plan was made; nothing was done"
            return HostError("drifted", message, detail=frame[1], **undone)
        if frame[0] == "unkept":
            why = (lines_of(frame[1].strip(BLANK)) or ["the host reported no reason"])[-1]
            message = f"the host cannot store the data for a rollback, so nothing was changed: {mask(why)}"
            return HostError("record", message, detail=frame[1], **undone)
        if frame[1].startswith("run "):
            owner = f"{frame[1]} is waiting for its confirmation"
        else:
            owner = f"process {frame[1].partition(':')[0]}, since {frame[2]}" if frame[2] else "an unknown process"
        return HostError("locked", f"another run works on this host ({owner})", **undone)

    def _error(self, progress: _Progress, left: list[str], finished: Finished) -> HostError:
        word, _, reason = (progress.result or "").partition(" ")
        rolled_back = word == "rolled_back"
        more = {**_done(progress.done), "rolled_back": rolled_back}
        if rolled_back:
            more |= _rollback(progress)
        if progress.failed and progress.failed[0][0] == "step.failed":
            _, index, status, output = progress.failed[0]
            step = progress.steps[int(index)]
            detail = "\n".join(text for text in (output, str(more.pop("detail", ""))) if text)
            more |= {"step": step.name, "title": step.title, **_undone(progress.steps[int(index) :])}
            return HostError("step", f"{step.title}: failed with status {status}", detail=detail, **more)
        if word == "done":
            message = "every step succeeded, but the host is not in the desired state"
            return HostError("drift", message, **more, detail="\n".join(left))
        more |= _undone(progress.steps[len(progress.done) :])
        if rolled_back and reason in _WHY:
            detail = progress.failed[0][1] if progress.failed else ""
            kind, message = _WHY[reason]
            more["detail"] = "\n".join(text for text in (*left, str(more["detail"])) if text)
            text = message.format(within=self.work.confirm_within, detail=detail)
            return HostError(kind, text, **more)
        return HostError("disconnected", "the job on the host was killed", **more)

    def _with_steps(self, error: HostError, progress: _Progress) -> HostError:
        failure = error.failure
        message = failure.message
        if failure.kind == "timeout" and progress.told:
            message += "; the host continues the change by itself (provision runs --on-hosts shows how it ends)"
        return HostError(
            failure.kind,
            message,
            step=failure.step,
            detail=failure.detail,
            **_done(progress.done),
            **_undone(progress.steps[len(progress.done) :]),
        )


def _again(progress: _Progress) -> _Progress:
    """For another attempt: the same, before the host has told anything."""
    return replace(progress, done=[], after=[], refused=[], failed=[])


def _lost(error: HostError) -> HostError:
    """The error for a host that no longer answers."""
    failure = error.failure
    message = f"{failure.message}; the result of the change is not known (see provision runs --on-hosts)"
    return HostError(failure.kind, message, detail=failure.detail)


def _done(steps: Sequence[Step]) -> dict[str, Any]:
    """The steps that were done, for a :class:`~provision.model.Failure`."""
    return {"done": tuple(step.name for step in steps), "done_titles": tuple(step.title for step in steps)}


def _undone(steps: Sequence[Step]) -> dict[str, Any]:
    return {"undone": tuple(step.name for step in steps), "undone_titles": tuple(step.title for step in steps)}


_UNREPORTED = "the host did not report what it restored and what it left"


class Receipt(Struct, frozen=True):
    """A host's record of its part in a run. ``result`` is one word and a reason. ``rollback`` is what the host reports
    about a rollback, for a :class:`~provision.model.Failure`."""

    result: str
    rollback: dict[str, Any]


def receipt(host: str, frames: Sequence[Frame]) -> Receipt:
    """The receipt in the frames of a :func:`~provision.remote.script.receipt_script`."""
    progress = _Progress(host, (), _nobody)
    for frame in frames:
        if frame[0] in ("result", "undone"):
            progress.frame(frame)
    return Receipt(progress.result or "", _rollback(progress))


def _rollback(progress: _Progress) -> dict[str, Any]:
    """The effects of a rollback, and what it left. A host with a full disk may not be able to write that."""
    if progress.failed_undo is None:
        return {"detail": f"the rollback: {_UNREPORTED}", "left": (_UNREPORTED,)}
    lines = [f"the rollback: {line}" for line in lines_of(progress.undone)]
    left = tuple(_left(progress.failed_undo, progress.stays))
    if not lines and not left:
        lines = ["the rollback: nothing had to be restored"]
    if left:
        lines += ["not as before the run:", *left]
    return {"detail": "\n".join(lines), "left": left}


def _left(failed_undo: str, stays: str) -> Iterator[str]:
    """The changes that a rollback left, in words: the lines of the record that failed, then the host's remarks."""
    for line in lines_of(failed_undo.strip(BLANK)):
        kind, word, rest = (*line.split(" ", 2), "", "")[:3]
        yield f"{kind} {rest} ({word})" if rest and not word.isdecimal() and word != "-" else f"{kind} {rest or word}"
    yield from lines_of(stays.strip(BLANK))


def reported(frames: list[Frame], finished: Finished) -> Seen:
    """The report of a look. A failed look is an error, never "absent"; so is a look without an end."""
    if frames and frames[-1][0] == "died" and len(frames[-1]) == 3:
        _, stage, status = frames[-1]
        said = "".join(f": {line}" for line in lines_of(finished.stderr)[-1:])
        if stage == "begin":
            hint = "does a start file such as ~/.bashrc exit or read standard input?"
            message = f"the script on the host exited with {status} at its start{said} ({hint})"
            raise HostError("look", message, step=stage, detail=finished.stderr)
        raise HostError("look", f"{stage} failed with {status}{said}", step=stage, detail=finished.stderr)
    ended = bool(frames) and frames[-1] in (("end",), ("unprivileged",))
    if not ended and finished.status is None:
        raise HostError("disconnected", "the script on the host was killed", detail=finished.stderr)
    if not ended:
        raise HostError("protocol", "the host's answer is incomplete", detail=finished.stderr)
    try:
        checked(frames)
    except WireError as error:
        raise HostError("protocol", f"the host reported {error}") from error
    try:
        return Seen.of(frames)
    except WireError as error:
        raise HostError("look", str(error)) from error
