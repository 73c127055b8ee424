"""Use all cores: worker processes on this machine process the hosts (:mod:`provision.rollout.worker`).

Each worker asks for its next host when one of its places is free. Waves, the failure budget and Ctrl-C therefore behave
as in a run with one process. Only one thread of the controller receives the workers' messages. The sum of the workers'
places is ``--forks``.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from provision.model import Event, Plan, Platform
from provision.rollout.fanout import HEED, FanOut, Queue
from provision.rollout.host_run import HostRun
from provision.rollout.run_request import Published
from provision.rollout.worker import Channel, Closed, Worker
from provision.transport.prompter import Prompter

#: By default a second process starts above ``ABOVE`` hosts, and each process has at least ``HOSTS`` hosts.
ABOVE, HOSTS = 100, 50
#: By default each process has at least this number of concurrent hosts.
_PLACES = 4
#: A worker has the project, the secrets and the answers of the operator in its memory, and reads nothing again.
_FORK = multiprocessing.get_context("fork")


def suitable(wanted: int | None, hosts: int, forks: int) -> int:
    """The number of worker processes; one means that the controller's own threads process the hosts. ``wanted`` is the
    operator's number, ``None`` for the default."""
    if wanted is not None:
        return max(1, min(wanted, hosts, forks))
    # Libraries of macOS do not survive a fork without an exec (docs.python.org, multiprocessing).
    if hosts <= ABOVE or sys.platform == "darwin":
        return 1
    return max(1, min(_cores(), hosts // HOSTS, forks // _PLACES))


def _cores() -> int:
    """The cores that this process may use (sched_setaffinity(2))."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Places:
    """Places that all workers share, such as those at a registry. Each owner is a worker; when it ends, its places are
    free again. Only one thread uses this object."""

    def __init__(self) -> None:
        self._bounds: dict[str, int] = {}
        self._owners: defaultdict[str, list[Hashable]] = defaultdict(list)
        self._waiting: defaultdict[str, deque[tuple[Hashable, Callable[[], None]]]] = defaultdict(deque)

    def take(self, owner: Hashable, name: str, bound: int, grant: Callable[[], None]) -> None:
        """Call ``grant`` when ``owner`` has a place, now or later. The first request for a name decides its number of
        places."""
        self._bounds.setdefault(name, bound)
        self._waiting[name].append((owner, grant))
        self._serve(name)

    def free(self, owner: Hashable, name: str) -> None:
        self._owners[name].remove(owner)
        self._serve(name)

    def ended(self, owner: Hashable) -> None:
        """Free all places of an owner that has ended."""
        for name in self._bounds:
            self._owners[name] = [one for one in self._owners[name] if one != owner]
            self._waiting[name] = deque(one for one in self._waiting[name] if one[0] != owner)
            self._serve(name)

    def _serve(self, name: str) -> None:
        while self._waiting[name] and len(self._owners[name]) < self._bounds[name]:
            owner, grant = self._waiting[name].popleft()
            self._owners[name].append(owner)
            grant()


class _Process:
    """A worker process, as the controller sees it."""

    def __init__(self, work: Callable[[Channel], None]) -> None:
        self.channel, there = map(Channel, socket.socketpair())
        #: whether it works on a command
        self.busy = False
        self.under_way: dict[str, HostRun] = {}
        self.platforms: dict[int, Platform] = {}
        self.process = _FORK.Process(target=self._become, args=(work, there), daemon=True)
        # A Ctrl-C at this moment must not reach a worker that still has the controller's handler.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        there.close()

    def _become(self, work: Callable[[Channel], None], channel: Channel) -> None:
        # Otherwise the worker would not notice the end of the controller.
        self.channel.close()
        work(channel)

    def send(self, *message: Any) -> None:
        # ``_receive`` detects the end of the process.
        with contextlib.suppress(Closed):
            self.channel.send(*message)

    def command(self, *message: Any) -> None:
        self.busy = True
        self.send(*message)

    def end(self) -> str:
        """Wait for the end of the process; return how it ended."""
        self.process.join()
        self.channel.close()
        # The kernel keeps no status where SIGCHLD is ignored.
        code = self.process.exitcode or 0
        return f"exit status {code}" if code >= 0 else f"killed by signal {-code}, {signal.Signals(-code).name}"


class Processes(FanOut):
    """``count`` worker processes. If all of them have died, the threads of this process continue."""

    def __init__(self, count: int, forks: int) -> None:
        super().__init__(forks)
        self._count = count
        self._alive: list[_Process] = []
        self._runs: Mapping[str, HostRun] = {}
        self._published = Published()
        self._prompter = Prompter(False)
        #: the process that has a host's connection
        self._owner: dict[str, _Process] = {}
        self._queue: Queue | None = None
        self._left = False
        self._places = Places()

    def begin(self, runs: Mapping[str, HostRun]) -> None:
        """Fork the workers. The controller has no other thread yet."""
        if not runs:
            return
        run_context = next(iter(runs.values())).run_context
        self._runs, self._published = runs, run_context.published
        self._prompter = run_context.transport.prompter
        # A garbage collection in a worker would otherwise copy every page with an object (gc.freeze).
        gc.freeze()
        for number in range(self._count):
            forks = self._forks // self._count + (number < self._forks % self._count)
            self._alive.append(_Process(partial(self._work, forks)))

    def _work(self, forks: int, channel: Channel) -> None:
        """Be a worker process."""
        # The pipes of the other workers, which would otherwise not notice the end of the controller.
        for process in self._alive:
            process.channel.close()
        Worker(channel, self._runs, forks, self._count).work()

    def close(self) -> None:
        for process in self._alive:
            process.send("end")
        for process in self._alive:
            # After an error, or a third Ctrl-C. The hosts finish their changes or roll them back.
            if process.busy:
                process.process.kill()
            process.end()
        self._alive = []

    def process(self, queue: Queue) -> None:
        self._queue = queue
        while self._alive and (queue.more or any(process.busy for process in self._alive)):
            for process in self._alive:
                if not process.busy and queue.more and queue.has(partial(self._may_have, process)):
                    process.command("turn", queue.preview, queue.keep, len(queue))
            self._receive()
            queue.heed()
            if queue.leaving and not self._left:
                self._left = True
                for process in self._alive:
                    process.send("leave")
        self._queue = None
        # Those that are left because no worker is left.
        super().process(queue)

    def _may_have(self, process: _Process, name: str) -> bool:
        return self._owner.get(name, process) is process

    # -- hosts that wait --

    def verify(self, runs: list[HostRun], suites: tuple[str, ...]) -> None:
        super().verify(self._each("verify", runs, suites), suites)

    def release(self, runs: list[HostRun]) -> None:
        super().release(self._each("release", runs))

    def prove(self, runs: list[HostRun]) -> None:
        super().prove(self._each("prove", runs))

    def _each(self, word: str, runs: list[HostRun], *words: Any) -> list[HostRun]:
        """Send the command ``word`` to each worker for its hosts; return the hosts of this process."""
        by_process: defaultdict[_Process, list[str]] = defaultdict(list)
        here = []
        for run in runs:
            if (process := self._owner.get(name := run.config.host.name)) is not None:
                by_process[process].append(name)
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
        ready = wait([process.channel.sock for process in self._alive], HEED)
        for process in [process for process in self._alive if process.channel.sock in ready]:
            try:
                messages = process.channel.receive()
            except Closed:
                self._ended(process)
                continue
            for word, *rest in messages:
                getattr(self, f"_on_{word}")(process, *rest)

    def _on_next(self, process: _Process, number: int) -> None:
        """Begin the next host in this process, and send its name with the approved plan; ``None`` if there is none."""
        run = self._queue.next(partial(self._may_have, process)) if self._queue is not None else None
        answer = None
        if run is not None:
            name = run.config.host.name
            if self._queue is not None and not self._queue.preview:
                run.handed_over()
            process.under_way[name] = run
            answer = name, None if name in self._owner else run.approved
        process.send("answer", number, answer)

    def _on_event(self, process: _Process, name: str, host: str, data: Mapping[str, Any]) -> None:
        self._runs[host].receive(Event(name, host, data))

    def _on_platform(self, process: _Process, number: int, platform: Platform) -> None:
        process.platforms[number] = platform

    def _on_unchanged(self, process: _Process, host: str, number: int) -> None:
        """The plan of a host has no changes."""
        self._on_event(process, "host.plan", host, {"plan": Plan(host, process.platforms[number])})

    def _on_ended(self, process: _Process, name: str, kept: bool) -> None:
        run = process.under_way.pop(name)
        if kept or run.good:
            self._owner[name] = process
        else:
            self._owner.pop(name, None)
        if self._queue is not None:
            self._queue.ended(run)

    def _on_idle(self, process: _Process) -> None:
        process.busy = False

    def _on_ask(self, process: _Process, number: int, subject: str, prompt: str, once: bool, until: float) -> None:
        def ask() -> None:
            process.send("answer", number, self._prompter.ask(subject, prompt, once, until))

        # The other hosts continue while the operator types.
        threading.Thread(target=ask, name="question", daemon=True).start()

    def _on_take(self, process: _Process, number: int, name: str, bound: int) -> None:
        self._places.take(process, name, bound, partial(process.send, "answer", number, None))

    def _on_free(self, process: _Process, name: str) -> None:
        self._places.free(process, name)

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
        how = process.end()
        self._places.ended(process)
        lost = [*process.under_way.values()]
        for name in [name for name, owner in self._owner.items() if owner is process]:
            del self._owner[name]
            run = self._runs[name]
            if run.good and not run.done:
                lost.append(run)
        for run in lost:
            if not run.done:
                run.lost(f"its worker process ended unexpectedly ({how})")
            # A host that was to be verified ends with its turn.
            if not run.good and self._queue is not None:
                self._queue.ended(run)
