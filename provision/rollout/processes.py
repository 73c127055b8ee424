"""Use all cores: worker processes on this machine process the hosts (:mod:`provision.rollout.worker`).

Each worker asks for its next host when one of its places is free. So waves, budget and Ctrl-C take effect for each host
at the same moment as with one process. Only one thread of the controller receives the workers' messages. The sum of the
workers' places is ``--forks``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from provision.model import Event, Failure, Plan, Platform
from provision.rollout.fanout import HEED, Gate, Here, Threads
from provision.rollout.host_run import HostRun
from provision.rollout.pipe import Closed, Pipe, pipe
from provision.rollout.places import Places
from provision.rollout.run_request import Published
from provision.rollout.worker import Worker
from provision.transport.prompter import Prompter


class _Process:
    """A worker process, as the controller sees it."""

    def __init__(self, pid: int, ends: Pipe) -> None:
        self.pid, self.pipe = pid, ends
        #: whether it works on a command
        self.busy = False
        self.under_way: dict[str, HostRun] = {}
        self.platforms: dict[int, Platform] = {}

    def send(self, *message: Any) -> None:
        # ``_receive`` detects the end of the process.
        with contextlib.suppress(Closed):
            self.pipe.send(*message)

    def command(self, *message: Any) -> None:
        self.busy = True
        self.send(*message)

    def wait(self) -> int:
        """Wait for the end of the process; return its status as waitpid(2) does."""
        try:
            return os.waitpid(self.pid, 0)[1]
        except ChildProcessError:  # SIGCHLD is ignored: the kernel keeps no status
            return 0


class Processes:
    """A :class:`~provision.rollout.fanout.FanOut` over ``count`` worker processes."""

    keeps = True

    def __init__(self, count: int, forks: int) -> None:
        self._count, self._forks = count, forks
        self._alive: list[_Process] = []
        self._runs: Mapping[str, HostRun] = {}
        self._published = Published()
        self._prompter = Prompter(False)
        #: the process that has a host's connection
        self._owner: dict[str, _Process] = {}
        self._queue: dict[str, HostRun] = {}
        self._gate: Gate | None = None
        self._preview = False
        self._left = False
        self._places = Places()
        self._selector: selectors.BaseSelector | None = None
        self._here = Here()

    def begin(self, runs: Mapping[str, HostRun]) -> None:
        """Fork the workers. The controller has no other thread yet."""
        if not runs:
            return
        run_context = next(iter(runs.values())).run_context
        self._runs, self._published = runs, run_context.published
        # A garbage collection in a worker would otherwise copy every page with an object (gc.freeze).
        gc.freeze()
        self._prompter = run_context.transport.prompter
        for number in range(self._count):
            self._fork(self._forks // self._count + (number < self._forks % self._count))
        self._selector = selectors.DefaultSelector()
        for process in self._alive:
            self._selector.register(process.pipe, selectors.EVENT_READ, process)

    def _fork(self, forks: int) -> None:
        here, there = pipe()
        # A Ctrl-C at this moment must not reach a worker that still has the controller's handler.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(here, there, forks)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        there.close()
        self._alive.append(_Process(pid, here))

    def _become_worker(self, here: Pipe, there: Pipe, forks: int) -> None:
        """Run as a worker, and never return: no code of the controller must run twice."""
        try:
            # Otherwise a worker would not notice the end of the controller.
            here.close()
            for process in self._alive:
                process.pipe.close()
            Worker(there, self._runs, forks, self._count).work()
        finally:
            os._exit(1)

    def close(self) -> None:
        for process in self._alive:
            process.send("end")
        for process in self._alive:
            # After an error, or a third Ctrl-C. The hosts finish their changes or roll them back.
            if process.busy:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.pipe.close()
        self._alive = []
        if self._selector is not None:
            self._selector.close()

    # -- the hosts of a turn --

    def preview(self, runs: list[HostRun], keep: bool, gate: Gate) -> None:
        if left := self._turn(runs, True, keep, gate):
            Threads(self._forks).preview(left, keep, gate)

    def whole(self, runs: list[HostRun], gate: Gate) -> None:
        if left := self._turn(runs, False, False, gate):
            Threads(self._forks).whole(left, gate)

    def _turn(self, runs: list[HostRun], preview: bool, keep: bool, gate: Gate) -> list[HostRun]:
        """Let the workers process the hosts; return those that are left because no worker is left."""
        self._queue = {run.config.host.name: run for run in runs}
        self._preview, self._gate = preview, gate
        try:
            while self._alive and (self._queue or any(process.busy for process in self._alive)):
                for process in self._alive:
                    if not process.busy and self._first(process) is not None:
                        process.command("turn", preview, keep, len(self._queue))
                self._receive()
                gate.heed()
                if gate.leaving and not self._left:
                    self._left = True
                    for process in self._alive:
                        process.send("leave")
            gate.heed()
            return list(self._queue.values())
        finally:
            self._gate, self._queue = None, {}

    def _first(self, process: _Process) -> str | None:
        """The next host that this process may have."""
        return next((name for name in self._queue if self._owner.get(name, process) is process), None)

    def _next(self, process: _Process) -> tuple[str, dict[str, Any] | None] | None:
        """Begin the next host in this process, and return its name with the approved plan; ``None`` where there is
        none. Hosts that may not begin are skipped."""
        gate = self._gate
        while gate is not None and (name := self._first(process)) is not None:
            if self._preview and gate.stopped:
                self._queue.clear()
                return None
            run = self._queue.pop(name)
            if not self._preview:
                if reason := gate.start(run):
                    run.skip(reason)
                    continue
                if run.done:  # in the look for the approval
                    gate.end(run)
                    continue
                run.handed_over()
            process.under_way[name] = run
            return name, None if name in self._owner else run.approved
        return None

    # -- hosts that wait --

    def verify(self, runs: list[HostRun], suites: tuple[str, ...]) -> None:
        if here := self._each("verify", runs, suites):
            self._here.verify(here, suites)

    def release(self, runs: list[HostRun]) -> None:
        self._here.release(self._each("release", runs))

    def prove(self, runs: list[HostRun]) -> None:
        self._here.prove(self._each("prove", runs))

    def _each(self, word: str, runs: list[HostRun], *words: Any) -> list[HostRun]:
        """Send the command ``word`` to each worker for its hosts; return the hosts of this process."""
        by_process: dict[_Process, list[str]] = {}
        here = []
        for run in runs:
            if (process := self._owner.get(name := run.config.host.name)) is not None:
                by_process.setdefault(process, []).append(name)
            else:
                here.append(run)
        for process, names in by_process.items():
            process.command(word, names, *words)
        while any(process.busy for process in self._alive):
            self._receive()
        return here

    # -- messages of the workers --

    def _receive(self) -> None:
        """Wait for messages for ``HEED`` seconds at most, and process those that have arrived."""
        if self._selector is None:
            raise RuntimeError("no worker was started")
        for key, _ in self._selector.select(HEED):
            process: _Process = key.data
            try:
                messages = process.pipe.receive()
            except Closed:
                self._ended(process)
                continue
            for word, *rest in messages:
                getattr(self, f"_on_{word}")(process, *rest)

    def _on_event(self, process: _Process, name: str, host: str, data: Mapping[str, Any]) -> None:
        self._runs[host].receive(Event(name, host, data))

    def _on_platform(self, process: _Process, number: int, platform: Platform) -> None:
        process.platforms[number] = platform

    def _on_unchanged(self, process: _Process, host: str, number: int) -> None:
        """The plan of a host has no changes."""
        self._on_event(process, "host.plan", host, {"plan": Plan(host, process.platforms[number])})

    def _on_next(self, process: _Process, number: int) -> None:
        process.send("answer", number, self._next(process))

    def _on_ended(self, process: _Process, name: str, kept: bool) -> None:
        run = process.under_way.pop(name)
        if kept or run.good:
            self._owner[name] = process
        else:
            self._owner.pop(name, None)
        if not self._preview and run.done and self._gate is not None:
            self._gate.end(run)

    def _on_idle(self, process: _Process) -> None:
        process.busy = False

    def _on_ask(self, process: _Process, number: int, subject: str, prompt: str, once: bool, until: float) -> None:
        def ask() -> None:
            process.send("answer", number, self._prompter.ask(subject, prompt, once, until))

        # The other hosts continue while the operator types.
        threading.Thread(target=ask, name="question", daemon=True).start()

    def _on_take(self, process: _Process, number: int, name: str, bound: int) -> None:
        self._places.take(process.pid, name, bound, partial(process.send, "answer", number, None))

    def _on_free(self, process: _Process, name: str) -> None:
        self._places.free(process.pid, name)

    def _on_published(self, process: _Process, digests: dict[str, str]) -> None:
        self._published.add(digests)
        for other in self._alive:
            if other is not process:
                other.send("published", digests)

    def _on_error(self, process: _Process, text: str) -> None:
        raise RuntimeError(f"a worker process failed:\n{text}")

    def _ended(self, process: _Process) -> None:
        """A worker has died: its hosts have failed, the others continue."""
        self._alive.remove(process)
        if self._selector is not None:
            self._selector.unregister(process.pipe)
        process.pipe.close()
        status = process.wait()
        self._places.ended(process.pid)
        lost = [*process.under_way.values()]
        for name in [name for name, owner in self._owner.items() if owner is process]:
            del self._owner[name]
            run = self._runs[name]
            if run.good and not run.done:
                lost.append(run)
        for run in lost:
            if not run.done:
                run.fail(Failure("worker", f"its worker process ended unexpectedly ({_how(status)}); {_unknown(run)}"))
            # A host that was to be verified ends with its turn.
            if not run.good and not self._preview and self._gate is not None:
                self._gate.end(run)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else f"killed by signal {-code}, {signal.Signals(-code).name}"


def _unknown(run: HostRun) -> str:
    if not run.run_context.request.goal.changes:
        return "nothing was changed"
    return "the state of the host is not known (provision runs --on-hosts)"
