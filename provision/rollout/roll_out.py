"""Run over the hosts, stage by stage and wave by wave. The number of concurrent hosts is limited; each host has one
connection and a deadline. All progress is emitted as events. :mod:`provision.rollout.waves` decides which host may
start.

Without a confirmation, each host continues from the look to the fix at once. With one (an operator at a terminal),
provision first reads the state of all hosts. If all hosts may start at once, those with changes keep their connections
until the answer. Otherwise provision reads the state of each host again in its turn, and refuses the host if its plan
differs from the one that was shown.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from msgspec import Struct, field
from msgspec.structs import replace

from provision.catalog import Options
from provision.errors import UsageError
from provision.inventory import bounded
from provision.model import STATUSES, Event
from provision.project.dependencies import Dependencies, dependencies
from provision.project.host_config import Context, HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.rollout.fanout import HEED, FanOut, Gate, Queue
from provision.rollout.host_run import HostRun
from provision.rollout.run_request import RunContext, RunRequest
from provision.rollout.stages import Stage, stages
from provision.rollout.waves import BAD, Schedule, Wave
from provision.secrets import secret
from provision.secrets.disclosure import new_salt
from provision.transport.ssh import Transport

_INTERRUPTED = "the run was interrupted"
#: From this number of presses on, Ctrl-C raises an exception: the operator does not want to wait.
_ENOUGH = 3


class Result(Struct):
    counts: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    declined: bool = False
    #: why no further host was begun, where a budget was spent
    stopped: str = ""

    @property
    def bad(self) -> bool:
        """True if a host is not in the desired state, unless the operator declined the changes."""
        left = bool(self.counts["skipped"]) and not self.declined
        return bool(self.stopped) or left or any(self.counts[status] for status in BAD)


class Rollout:
    """Raises :class:`~provision.errors.SpecError` at construction for hosts that can't be put into waves."""

    def __init__(
        self,
        configs: list[HostConfig],
        context: Context,
        transport: Transport,
        options: Options,
        request: RunRequest,
        emit: Callable[[Event], None],
        fan_out: FanOut | None = None,
    ) -> None:
        self._fan_out = fan_out or FanOut(request.forks)
        if not options.salt.text:
            options = replace(options, salt=new_salt())
        self.transport, self.request = transport, request
        # A run that only reads hosts has no order.
        self._dependencies = dependencies(configs, context) if request.goal.ordered else Dependencies()
        self._stages = stages(configs, self._dependencies, request.run, request.goal.changes)
        if self._dependencies.after and not self._fan_out.keeps:
            raise UsageError("--cluster does not support hosts that need each other's images")
        run_context = RunContext(context, transport, options, request, self._emit)
        rollout_options = {host: stage.rollout_options for stage in self._stages for host in stage.schedule.left}
        self._runs = {
            config.host.name: HostRun(run_context, config, rollout_options[config.host.name]) for config in configs
        }
        self._sink = emit
        self._lock = threading.Lock()
        self._leaving = False
        self._result = Result()
        self._stopping = ""
        self._interrupts = Interrupts()

    def run(self) -> Result:
        """Run all hosts. Every host ends in exactly one ``host.done``; ``run.done`` is the last event."""
        begin = time.monotonic()
        count = sum(len(stage.schedule.waves) for stage in self._stages)
        self._fan_out.begin(self._runs)
        self._emit(Event("run.begin", data={"mode": self.request.goal.value, "hosts": len(self._runs), "waves": count}))
        with self._interrupts.counted():
            if self.request.confirm is not None:
                self._ask_before(keep=count == 1 and self._fan_out.keeps)
            for stage in self._stages:
                self._stage(stage)
        self.transport.close()
        counts = {status: self._result.counts[status] for status in STATUSES}
        seconds = round(time.monotonic() - begin, 3)
        self._emit(Event("run.done", data={"counts": counts, "seconds": seconds, "mode": self.request.goal.value}))
        return self._result

    def lacks(self, run: HostRun) -> str:
        """Why a host can't have what it needs from another one; empty where it can."""
        for other, what in self._dependencies.after.get(run.config.host.name, {}).items():
            if self._runs[other].status in (*BAD, "skipped"):
                return f"{what}, and {other} failed or was skipped"
        return ""

    def _ask_before(self, keep: bool) -> None:
        """Read the state of all hosts, and ask once; ``keep`` the connections of those with changes."""
        for stage in self._stages:
            runs = [self._runs[name] for name in stage.schedule.left]
            self._fan_out.process(Queue(runs, _Gate(self, None), preview=True, keep=keep))
        waiting = [run for run in self._runs.values() if run.pending]
        plans = [run.plan for run in waiting if run.plan is not None]
        if self._stopping or not waiting or self.request.confirm is None:
            return
        if self._asked(partial(self.request.confirm, plans), None):
            return
        if self._stopping:
            return
        self._result.declined = True
        self._stopping = "not confirmed"

    def _stage(self, stage: Stage) -> None:
        schedule = stage.schedule
        if self._stopping:
            schedule.stop(self._stopping)
        for wave, turn in schedule.turns():
            if turn is wave.turns[0]:
                self._begin_wave(stage, wave)
            self._turn(stage, wave, [self._runs[name] for name in turn])
            if turn is wave.turns[-1] or schedule.stopped:
                self._end_wave(stage, wave)
        for name in schedule.left:
            self._runs[name].skip(schedule.stopped)
        if schedule.stopped and not self._stopping:
            self._result.stopped = self._stopping = schedule.stopped
            self._emit(Event("rollout.stopped", data={"reason": schedule.stopped}))

    def _turn(self, stage: Stage, wave: Wave, runs: list[HostRun]) -> None:
        self._fan_out.process(Queue(runs, _Gate(self, stage.schedule)))
        good = [run for run in runs if run.good]
        if good and stage.rollout_options is not None and stage.rollout_options.bake and wave.number == 1:
            self._prove(good, stage.rollout_options)
            self._bake([run for run in good if not run.done], stage)
        self._prove(good, stage.rollout_options)
        self._fan_out.prove([run for run in good if not run.done])
        for run in good:
            stage.schedule.end(run.config.host.name, run.status)

    def _prove(self, runs: list[HostRun], rollout_options: RolloutOptions | None) -> None:
        """Verify those hosts that have not ended."""
        waiting = [run for run in runs if not run.done]
        if waiting and self.request.verify is not None:
            suites = () if self.request.prove or rollout_options is None else tuple(rollout_options.verify)
            self._fan_out.verify(waiting, suites)

    def _bake(self, runs: list[HostRun], stage: Stage) -> None:
        """Wait after the first wave, before it is verified once more."""
        if not runs or stage.rollout_options is None or stage.schedule.stopped:
            return
        self._fan_out.release(runs)
        self._emit(Event("bake", data={"seconds": stage.rollout_options.bake}))
        self._rest(stage.rollout_options.bake, stage.schedule)

    def _begin_wave(self, stage: Stage, wave: Wave) -> None:
        if stage.rollout_options is None:
            return
        data = {"play": stage.play, "wave": wave.number, "of": len(stage.schedule.waves), "hosts": list(wave.hosts)}
        self._emit(Event("wave.begin", data=data))
        if problem := self._hook("before", stage, wave):
            stage.schedule.stop(f"the before_wave hook of wave {wave.number} failed: {problem}")

    def _end_wave(self, stage: Stage, wave: Wave) -> None:
        rollout_options, schedule = stage.rollout_options, stage.schedule
        if rollout_options is None:
            return
        counts = Counter(self._runs[name].status for name in wave.hosts)
        shown = {status: counts[status] for status in STATUSES}
        self._emit(Event("wave.done", data={"play": stage.play, "wave": wave.number, "counts": shown}))
        if problem := self._hook("after", stage, wave):
            schedule.stop(f"the after_wave hook of wave {wave.number} failed: {problem}")
        if wave is schedule.waves[-1] or schedule.stopped:
            return
        if rollout_options.pause == "ask":
            question = f"Wave {wave.number} of {len(schedule.waves)} is done. Continue?"
            if self.request.ask is not None and not self._asked(partial(self.request.ask, question), schedule):
                schedule.stop(f"not confirmed after wave {wave.number}")
        elif rollout_options.pause:
            self._emit(Event("pause", data={"seconds": rollout_options.pause}))
            self._rest(rollout_options.pause, schedule)

    def _hook(self, when: str, stage: Stage, wave: Wave) -> str:
        hooks = stage.rollout_options and (
            stage.rollout_options.before if when == "before" else stage.rollout_options.after
        )
        if not hooks or hooks.wave is None or self.request.hook is None:
            return ""
        counts = Counter(self._runs[name].status for name in wave.hosts)
        bad = any(counts[status] for status in BAD)
        about = {"WHEN": when, "WAVE": str(wave.number), "HOSTS": " ".join(wave.hosts)}
        return self.request.hook(hooks.wave, {**about, "STATUS": "bad" if bad else "good"})

    def _rest(self, seconds: float, schedule: Schedule) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not schedule.stopped:
            time.sleep(min(left, HEED))
            self._heed(schedule)

    def _asked(self, question: Callable[[], bool], schedule: Schedule | None) -> bool:
        """The operator's answer. Ctrl-C is no answer: it ends the run."""
        try:
            with self._interrupts.raised():
                return question()
        except KeyboardInterrupt:
            self._heed(schedule)
            return False

    def _heed(self, schedule: Schedule | None) -> None:
        """Handle Ctrl-C if it was pressed. Once: hosts under way finish, and no other host begins. Twice: provision
        abandons them; each host itself finishes its changes or rolls them back."""
        for again in self._interrupts.news():
            text = "waiting for the hosts in progress; press Ctrl-C again to exit now"
            if again:
                text = "exiting now; each host in progress finishes its change or rolls it back"
                self._leaving = True
            self.transport.prompter.cancel()
            self._emit(Event("interrupted", data={"text": text}))
            self._result.interrupted = True
            self._stopping = _INTERRUPTED
            if schedule is not None:
                schedule.stop(self._stopping)

    def _emit(self, event: Event) -> None:
        with self._lock:
            if event.name == "host.done":
                self._result.counts[str(event.data["status"])] += 1
            self._sink(event)


class _Gate(Gate):
    """Lets the hosts of a turn begin when the schedule allows it."""

    def __init__(self, rollout: Rollout, schedule: Schedule | None) -> None:
        self._rollout, self._schedule = rollout, schedule
        self._lock = threading.Lock()

    @property
    def stopped(self) -> str:
        # No host begins after Ctrl-C, not even before it is handled.
        if self._rollout._interrupts.pressed:
            return _INTERRUPTED
        return self._rollout._stopping or (self._schedule.stopped if self._schedule is not None else "")

    @property
    def leaving(self) -> bool:
        return self._rollout._leaving

    def start(self, run: HostRun) -> str:
        if self._schedule is None or self._rollout._interrupts.pressed:
            return self.stopped
        with self._lock:
            return self._rollout.lacks(run) or self._schedule.start(run.config.host.name)

    def end(self, run: HostRun) -> None:
        if self._schedule is not None:
            with self._lock:
                self._schedule.end(run.config.host.name, run.status)

    def heed(self) -> None:
        self._rollout._heed(self._schedule)


class Interrupts:
    """Counts Ctrl-C (SIGINT). The run reads the counter when it can, so no exception interrupts it at an arbitrary
    place."""

    def __init__(self) -> None:
        self._pressed = self._heeded = 0
        self._raise = False

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count inside the ``with`` block; outside the main thread do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._press)
        try:
            yield
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self._pressed += 1
        if self._raise or self._pressed >= _ENOUGH:
            raise KeyboardInterrupt

    @property
    def pressed(self) -> bool:
        return self._pressed > 0

    def news(self) -> Iterator[bool]:
        """For each Ctrl-C that was not handled yet, yield whether it is a repeated one."""
        while self._heeded < self._pressed:
            self._heeded += 1
            yield self._heeded > 1

    @contextmanager
    def raised(self) -> Iterator[None]:
        """While the operator is asked, Ctrl-C raises an exception."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False


#: The most bytes that a command may print.
_MOST = 64 * 1024 * 1024


class Hooks:
    """Runs commands on the controller, before and after a host or a wave: without a shell, with unchanged words, in the
    playbook's directory. PROVISION_* describes the run; no secret is in the environment. ``seconds`` is the longest run
    time of one command. Ctrl-C does not reach a command: a host that it was bringing back into service would stay out
    of service."""

    def __init__(self, folder: Path, run: str, seconds: float) -> None:
        self.folder, self.run, self.seconds = folder, run, seconds

    def __call__(self, argv: list[str], about: dict[str, str]) -> str:
        """Return how the command failed, with its output; an empty text when it exited with 0."""
        words = {f"PROVISION_{name}": value for name, value in {"RUN": self.run, **about}.items()}
        try:
            done = bounded.run(argv, self.seconds, _MOST, words, self.folder)
        except bounded.Beyond as error:
            return f"{argv[0]} took longer than {self.seconds:.0f} s" if error.is_time else f"{argv[0]} {error}"
        except OSError as error:
            return f"{argv[0]}: {error.strerror}"
        except ValueError as error:
            return f"{argv[0]}: {error}"
        if done.status == 0:
            return ""
        said = secret.mask((done.stdout + done.stderr).decode("utf-8", "replace")).strip()
        return f"{argv[0]} exited with {done.status}{': ' if said else ''}{said[-2000:]}"
