"""The fabric tasks *look*, *fix* and *apply*, for our own rollouts and for a user's fabfile alike::

    from fabric import task
    from provision.tasks import apply
    from provision.load import load

    @task
    def docker(c):
        apply(c, *load("inventory", "playbooks/site.yml").for_host(c.original_host))

They raise :class:`~provision.transport.ssh.HostError` when the host can't go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from fabric import Connection, task

from provision import distros, doctor
from provision.declare import Context, Wish
from provision.desire import Options, desire
from provision.engine import daemon_json
from provision.model import Call, Event, Failure, Platform
from provision.plan import Outlook, drift, outlook
from provision.resources.obstacle import Unfixable
from provision.resources.packages import installed
from provision.script import Looks, fix_script, look_script, steps
from provision.transport.execute import Finished, execute
from provision.transport.ssh import HostError
from provision.wire import Seen, WireError

#: Seconds that a host may take, from login to the last look.
DEADLINE = 1800.0

OnEvent = Callable[[Event], None]
Frame = tuple[str, ...]


def _silent(event: Event) -> None:
    """Nobody listens."""


@task
def look(
    connection: Connection,
    wish: Wish,
    context: Context,
    options: Options = Options(),  # noqa: B008 - frozen
    deadline: float | None = None,
) -> Outlook:
    """Look at the host (one exec) and plan what would change. Changes nothing."""
    frames: list[Frame] = []
    deadline = deadline or time.monotonic() + DEADLINE
    finished = execute(
        connection, wish.host.login, look_script(_looks(wish, context, options)), deadline, frames.append
    )
    report, platform = _looked(frames, finished)
    try:
        return outlook(wish, platform, context, options, report)
    except Unfixable as error:
        raise HostError("unsuited", str(error)) from error
    except ValueError as error:
        raise HostError("spec", str(error)) from error


@task
def examine(connection: Connection, wish: Wish, deadline: float | None = None) -> list[doctor.Verdict]:
    """Does the host suit its spec (one exec)? Changes nothing, and needs nothing to be installed."""
    frames: list[Frame] = []
    daemon = (daemon_json(wish.spec.engine) if wish.spec.engine else None) or {}
    looks: Looks = {flavour: [Call("look_doctor", doctor.folders(daemon))] for flavour in distros.FLAVOURS}
    deadline = deadline or time.monotonic() + DEADLINE
    finished = execute(connection, wish.host.login, look_script(looks), deadline, frames.append)
    report, platform = _looked(frames, finished)
    return doctor.examine(report, platform, daemon, time.time(), date.today())


@task
def versions(
    connection: Connection, wish: Wish, context: Context, deadline: float | None = None
) -> tuple[Platform, dict[str, str]]:
    """What the host runs, and the versions of the engine's packages that it has (one exec). Changes nothing."""
    frames: list[Frame] = []
    deadline = deadline or time.monotonic() + DEADLINE
    looks = look_script(_looks(wish, context, Options()))
    finished = execute(connection, wish.host.login, looks, deadline, frames.append)
    report, platform = _looked(frames, finished)
    engine = {name for source in ("docker", "distribution") for name in _parts(platform, source)}
    found = {} if report.get("packages") is None else installed(report)
    return platform, {name: version for name, version in found.items() if name in engine}


def _parts(platform: Platform, source: str) -> tuple[str, ...]:
    found = distros.packaged(platform, source)
    return tuple(found.parts.values()) if found is not None else ()


def _looked(frames: list[Frame], finished: Finished) -> tuple[Seen, Platform]:
    """What a look reported, and on what; raises for a host that can't be looked at."""
    report = _report(frames, finished)
    if report.get("unprivileged") is not None:
        raise HostError("become", "this login is not root; set ansible_become for a login that may use sudo")
    id, version, codename, name = _platform(frames)
    platform = distros.platform(id, version, codename, name)
    if platform is None:
        shown = name or f"{id} {version}".strip()
        raise HostError("unsupported", f"{shown} ({id}) is not supported; these are: {distros.supported()}")
    return report, platform


@dataclass(frozen=True, slots=True)
class _Progress:
    """Frames of a fix, sorted: steps become events, what comes after the last step is the second look."""

    host: str
    names: list[str]
    on_event: OnEvent
    done: list[str]
    after: list[Frame]
    failed: list[Frame]

    def frame(self, frame: Frame) -> None:
        kind = frame[0]
        if kind == "step.begin":
            self.on_event(
                Event(
                    "step.begin",
                    self.host,
                    {"step": self.names[int(frame[1])], "number": int(frame[1]) + 1, "of": len(self.names)},
                )
            )
        elif kind == "step.done":
            self.done.append(self.names[int(frame[1])])
            self.on_event(Event("step.done", self.host, {"step": self.names[int(frame[1])]}))
        elif kind == "note":
            self.on_event(Event("note", self.host, {"text": frame[1]}))
        elif kind in ("step.failed", "locked"):
            self.failed.append(frame)
        elif kind != "steps.end":
            self.after.append(frame)


@task
def fix(
    connection: Connection,
    wish: Wish,
    found: Outlook,
    deadline: float | None = None,
    on_event: OnEvent = _silent,
) -> None:
    """Make the changes of a plan (one exec) and see that the host is as wanted afterwards."""
    named = [f"{resource} {call.function}" for resource, call in steps(found.plan, found.remember, found.forget)]
    progress = _Progress(wish.host.name, named, on_event, [], [], [])
    calls = [call for resource in found.resources for call in resource.look()]
    script = fix_script(found.plan, calls, found.remember, found.forget)
    try:
        finished = execute(connection, wish.host.login, script, deadline or time.monotonic() + DEADLINE, progress.frame)
    except HostError as error:
        raise _with_steps(error, progress) from error
    if progress.failed:
        raise _failed(progress)
    try:
        report = _report(progress.after, finished)
    except HostError as error:
        raise _with_steps(error, progress) from error
    _confirm(found, report, progress)


@task
def apply(
    connection: Connection,
    wish: Wish,
    context: Context,
    options: Options = Options(),  # noqa: B008 - frozen
    deadline: float | None = None,
    on_event: OnEvent = _silent,
) -> Outlook:
    """Look, and fix what is not as wanted. Returns what was found (and, where there were changes, mended)."""
    found = look(connection, wish, context, options, deadline)
    if found.plan.changes:
        fix(connection, wish, found, deadline, on_event)
    return found


def _looks(wish: Wish, context: Context, options: Options) -> Looks:
    """What to look at, per flavour: which one the host is it finds out itself, in the same exec."""
    examples = distros.examples()
    return {
        flavour: [call for resource in desire(wish, platform, context, options) for call in resource.look()]
        for flavour, platform in examples.items()
    }


def _platform(frames: list[Frame]) -> tuple[str, str, str, str]:
    frame = next(frame for frame in frames if frame[0] == "platform")
    return frame[1], frame[2], frame[3], frame[4]


def _report(frames: list[Frame], finished: Finished) -> Seen:
    """What a look reported. A look that failed is an error, never "absent"; so is one that has no end."""
    if frames and frames[-1][0] == "died":
        _, stage, status = frames[-1]
        raise HostError("look", f"{stage} failed with {status}", step=stage, detail=finished.stderr)
    ended = bool(frames) and frames[-1] in (("end",), ("unprivileged",))
    if not ended and finished.status is None:
        raise HostError("disconnected", "the script on the host was killed", detail=finished.stderr)
    if not ended:
        raise HostError("protocol", "the host's answer has no end", detail=finished.stderr)
    try:
        return Seen.of(frames)
    except WireError as error:
        raise HostError("look", str(error)) from error


def _failed(progress: _Progress) -> HostError:
    frame = progress.failed[0]
    if frame[0] == "locked":
        owner = f"process {frame[1].partition(':')[0]}, since {frame[2]}" if frame[2] else "an unknown process"
        return HostError("locked", f"another run works on this host ({owner})", undone=tuple(progress.names))
    number, status, output = int(frame[1]), frame[2], frame[3]
    name = progress.names[number]
    return HostError(
        "step",
        f"{name} failed with {status}",
        step=name,
        detail=output,
        done=tuple(progress.done),
        undone=tuple(progress.names[number:]),
    )


def _with_steps(error: HostError, progress: _Progress) -> HostError:
    failure: Failure = error.failure
    return HostError(
        failure.kind,
        failure.message,
        step=failure.step,
        detail=failure.detail,
        done=tuple(progress.done),
        undone=tuple(progress.names[len(progress.done) :]),
    )


def _confirm(found: Outlook, report: Seen, progress: _Progress) -> None:
    """Changed is only what is seen to be right afterwards."""
    left = []
    for resource in found.resources:
        rest = drift(resource, report)
        if rest is not None:
            values = ", ".join(
                f"{key}: {_short(rest.seen.get(key))} instead of {_short(rest.want[key])}" for key in rest.keys
            )
            left.append(f"{resource.id}: {values}")
    if left:
        message = "every step succeeded, but the host is still not as wanted"
        raise HostError("drift", message, detail="\n".join(left), done=tuple(progress.done))


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if "\n" not in value and len(value) <= 120 else f"{len(value)} characters"
