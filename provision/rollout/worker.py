"""A worker process: it asks the controller's process for one host after the other, and processes them by threads.

A worker is a fork of the controller, so it has the project, the secrets, the keys and the passwords in its memory. It
reads nothing again and writes nothing to disk. Waves, budget, journal, reports and questions stay in the controller
(:mod:`provision.rollout.processes`), which receives every event. What all hosts of a run share (the restart, the places
at a registry, pushed images) is shared through the controller too.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from provision.model import Event, Plan, Platform
from provision.planning import planfile
from provision.rollout.fanout import HEED, Here
from provision.rollout.host_run import GOOD, HostRun
from provision.rollout.pipe import Closed, Pipe
from provision.rollout.pulls import Pulls
from provision.rollout.run_request import Published
from provision.rollout.worker_pool import Member, Shift
from provision.secrets.secret import mask

#: The name of the place that a host holds while it restarts.
RESTART = "restart"


class Worker:
    """``forks`` is the number of concurrent hosts in this process, ``processes`` the number of all processes."""

    def __init__(self, pipe: Pipe, runs: Mapping[str, HostRun], forks: int, processes: int) -> None:
        self._pipe, self._runs, self._forks = pipe, runs, forks
        self._commands: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self._leaving = False
        #: the numbers of the platforms that the controller knows
        self._platforms: dict[Platform, int] = {}
        self._published = _Published(self)
        self._here = Here()
        first = next(iter(runs.values())).run_context
        self._transport, self._salt = first.transport, first.options.salt
        self._transport.share(processes, self._ask)
        run_context = replace(
            first,
            request=replace(first.request, forks=forks),
            emit=self._emit,
            restarts=_Restarts(self),
            pulls=Pulls(self.place),
            published=self._published,
        )
        for run in runs.values():
            run.run_context = run_context

    def work(self) -> None:
        """Process commands until the run is over. It does not return."""
        # A terminal sends Ctrl-C to the worker too. Only the controller acts on it. A hook's command would inherit
        # SIG_IGN, but not this handler. So Ctrl-C ends the command, as in a run with one process.
        signal.signal(signal.SIGINT, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        threading.Thread(target=self._listen, name="controller", daemon=True).start()
        try:
            while (command := self._commands.get())[0] != "end":
                getattr(self, f"_{command[0]}")(*command[1:])
                self._pipe.send("idle")
            for run in self._runs.values():
                run.release()
            self._transport.close()
        except Closed:
            os._exit(1)
        except BaseException:
            self._pipe.send("error", mask(traceback.format_exc()))
            os._exit(1)
        os._exit(0)

    # -- commands of the controller --

    def _turn(self, preview: bool, keep: bool, count: int) -> None:
        """Process up to ``count`` hosts, one after the other, each when the controller names it."""
        active: dict[str, HostRun] = {}
        none_left = threading.Event()

        def work(ticket: int, member: Member) -> None:
            answer = None if none_left.is_set() else self.call("next")
            if answer is None:
                none_left.set()
                return
            name, entry = answer
            run = self._runs[name]
            run.waits = member.waits
            active[name] = run
            if entry is not None:
                run.approve(entry)
            if preview:
                run.preview(keep)
            else:
                run.whole()
                if run.good and not run.done:
                    self._emit(Event(GOOD, name, {"status": run.good}))
            del active[name]
            self._pipe.send_later("ended", name, run.kept)

        shift = Shift(range(count), work, self._forks)
        while not shift.wait(HEED):
            self._pipe.flush()
            if none_left.is_set():
                shift.cancel()
            if self._leaving:
                for run in list(active.values()):
                    run.cut()

    def _verify(self, names: list[str], suites: tuple[str, ...]) -> None:
        self._here.verify([self._runs[name] for name in names], suites)

    def _release(self, names: list[str]) -> None:
        self._here.release([self._runs[name] for name in names])

    def _prove(self, names: list[str]) -> None:
        self._here.prove([self._runs[name] for name in names])

    # -- the controller --

    def _listen(self) -> None:
        """Receive what the controller sends. This thread sends nothing, so the two processes never wait for each other
        to read."""
        try:
            while True:
                for word, *rest in self._pipe.receive():
                    if word == "answer":
                        self._answers.pop(rest[0]).put(rest[1])
                    elif word == "leave":
                        self._leaving = True
                    elif word == "published":
                        self._published.received(rest[0])
                    else:
                        self._commands.put((word, *rest))
        except Closed:
            # The controller has ended. The hosts finish their changes or roll them back.
            os._exit(1)

    def call(self, word: str, *words: Any) -> Any:
        """Ask the controller, and wait for its answer."""
        number = next(self._numbers)
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers[number] = answer
        self._pipe.send(word, number, *words)
        return answer.get()

    def send(self, word: str, *words: Any) -> None:
        self._pipe.send(word, *words)

    def _ask(self, subject: str, prompt: str, once: bool, until: float) -> str | None:
        answer: str | None = self.call("ask", subject, prompt, once, until)
        return answer

    @contextmanager
    def place(self, name: str, bound: int) -> Iterator[None]:
        """A place that all processes share."""
        self.call("take", name, bound)
        try:
            yield
        finally:
            self.send("free", name)

    def _emit(self, event: Event) -> None:
        # Sent with the question for the next host, or by the main thread within ``HEED`` seconds.
        send = self._pipe.send_later if event.name in ("host.begin", "host.done", GOOD) else self._pipe.send
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
            if plan == Plan(plan.host, plan.platform):
                self._pipe.send_later("unchanged", plan.host, self._number(plan.platform))
                return
            # A secret that is derived while a host is compiled is known in this process only.
            entry = planfile.entry(plan, self._salt)
            event = replace(event, data={**event.data, "plan": replace(plan, entry=entry)})
        # Its fields cost half as much as the event itself.
        send("event", event.name, event.host, event.data)

    def _number(self, platform: Platform) -> int:
        """The number that stands for a platform in messages to the controller. Most hosts have the same platform, and
        it has many fields."""
        number = self._platforms.get(platform)
        if number is None:
            number = next(self._numbers)
            self._pipe.send_later("platform", number, platform)
            self._platforms[platform] = number
        return number


class _Restarts:
    """A lock that a host holds while it restarts: one host of all processes at a time."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        self._worker.call("take", RESTART, 1)

    def __exit__(self, *error: object) -> None:
        self._worker.send("free", RESTART)


class _Published(Published):
    """Shares the images that hosts have pushed with the other processes."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def add(self, digests: Mapping[str, str]) -> None:
        super().add(digests)
        if digests:
            self._worker.send("published", dict(digests))

    def received(self, digests: Mapping[str, str]) -> None:
        super().add(digests)
