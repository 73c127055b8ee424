"""A worker process: it asks the controller's process for one host after the other, and processes them by threads.

A worker is a fork of the controller, so it has the project, the secrets, the keys and the passwords in its memory. It
reads nothing again and writes nothing to disk. Waves, budget, journal, reports and questions stay in the controller
(:mod:`provision.rollout.processes`), which receives every event. What all hosts of a run share (the restart, the places
at a registry, pushed images) is shared through the controller too.
"""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import signal
import socket
import struct
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from provision.model import Event, Plan, Platform
from provision.rollout.fanout import FanOut, process
from provision.rollout.host_run import GOOD, HostRun, with_entry
from provision.rollout.run_request import Published, Pulls
from provision.secrets.secret import mask

_LENGTH = struct.Struct(">Q")
_PIECE = 1 << 18


class Closed(Exception):
    """The other process has ended."""


class Channel:
    """One end of the pipe between the controller and a worker. Several threads may send; one thread receives.

    Both ends are processes of one run, forked from each other: nothing else can write into the pipe. A connection of
    ``multiprocessing`` reads twice for each message. Each read waits for the other threads of a busy worker, and two
    processes were no faster than one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._rest = bytearray()

    def send(self, *message: Any) -> None:
        """Send one message, after those that wait. Raises :class:`Closed`."""
        self.send_later(*message)
        self.flush()

    def send_later(self, *message: Any) -> None:
        """Send one message together with the next one, so that the other process wakes up only once."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._waiting += _LENGTH.pack(len(data))
            self._waiting += data

    def flush(self) -> None:
        """Send the messages that wait. Raises :class:`Closed`."""
        with self._lock:
            if not self._waiting:
                return
            try:
                self.sock.sendall(self._waiting)
            except OSError as error:
                raise Closed from error
            self._waiting.clear()

    def receive(self) -> list[tuple[Any, ...]]:
        """Wait until something has arrived, and return the messages that are complete. Raises :class:`Closed`."""
        try:
            data = self.sock.recv(_PIECE)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._rest += data
        found: list[tuple[Any, ...]] = []
        at = 0
        while len(self._rest) >= at + _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._rest, at)
            end = at + _LENGTH.size + size
            if len(self._rest) < end:
                break
            found.append(pickle.loads(memoryview(self._rest)[at + _LENGTH.size : end]))  # noqa: S301 - see above
            at = end
        del self._rest[:at]
        return found

    def close(self) -> None:
        self.sock.close()


class Worker:
    """``forks`` is the number of concurrent hosts in this process, ``processes`` the number of all processes.

    It is the :class:`~provision.rollout.fanout.Turn` that it processes.
    """

    def __init__(self, channel: Channel, runs: Mapping[str, HostRun], forks: int, processes: int) -> None:
        self._channel, self._runs, self._forks = channel, runs, forks
        self._commands: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self.preview = self.keep = self.leaving = False
        #: the numbers of the platforms that the controller knows
        self._platforms: dict[Platform, int] = {}
        self._published = Published(lambda digests: channel.send("published", digests))
        self._fan_out = FanOut(forks)
        first = next(iter(runs.values())).run_context
        self._transport, self._salt = first.transport, first.options.salt
        self._transport.share(processes, self._ask)
        run_context = replace(
            first,
            request=replace(first.request, forks=forks),
            emit=self._emit,
            pulls=Pulls(self.place),
            published=self._published,
        )
        for run in runs.values():
            run.run_context = run_context

    def work(self) -> None:
        """Process commands until the run is over. It does not return."""
        # A terminal sends Ctrl-C to the worker too. Only the controller acts on it. The programs that a worker starts
        # would inherit SIG_IGN, but not this handler.
        signal.signal(signal.SIGINT, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        threading.Thread(target=self._listen, name="controller", daemon=True).start()
        try:
            while (command := self._commands.get())[0] != "end":
                self._command(*command)
                self._channel.send("idle")
            for run in self._runs.values():
                run.release()
            self._transport.close()
        except Closed:
            os._exit(1)
        except BaseException:
            self._channel.send("error", mask(traceback.format_exc()))
            os._exit(1)
        os._exit(0)

    def _command(self, word: str, *words: Any) -> None:
        """``turn``: process up to a number of hosts, one after the other, each when the controller names it. Other
        words are of hosts that wait (:class:`FanOut`)."""
        if word == "turn":
            self.preview, self.keep, count = words
            process(self, count, self._forks)
        else:
            names, *more = words
            getattr(self._fan_out, word)([self._runs[name] for name in names], *more)

    # -- the turn --

    def next(self) -> HostRun | None:
        if (answer := self.call("next")) is None:
            return None
        name, entry = answer
        if entry is not None:
            self._runs[name].approve(entry)
        return self._runs[name]

    def ended(self, run: HostRun) -> None:
        if not self.preview:
            run.report_good()
        self._channel.send_later("ended", run.config.host.name, run.kept)

    def heed(self) -> None:
        self._channel.flush()

    # -- the controller --

    def _listen(self) -> None:
        """Receive what the controller sends. This thread sends nothing, so the two processes never wait for each other
        to read."""
        try:
            while True:
                for word, *rest in self._channel.receive():
                    if word == "answer":
                        self._answers.pop(rest[0]).put(rest[1])
                    elif word == "leave":
                        self.leaving = True
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
        self._channel.send(word, number, *words)
        return answer.get()

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
            self._channel.send("free", name)

    def _emit(self, event: Event) -> None:
        # Sent with the question for the next host, or by the main thread within ``HEED`` seconds.
        send = self._channel.send_later if event.name in ("host.begin", "host.done", GOOD) else self._channel.send
        if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
            if plan == Plan(plan.host, plan.platform):
                self._channel.send_later("unchanged", plan.host, self._number(plan.platform))
                return
            event = with_entry(event, self._salt)
        # Its fields cost half as much as the event itself.
        send("event", event.name, event.host, event.data)

    def _number(self, platform: Platform) -> int:
        """The number that stands for a platform in messages to the controller. Most hosts have the same platform, and
        it has many fields."""
        number = self._platforms.get(platform)
        if number is None:
            number = next(self._numbers)
            self._channel.send_later("platform", number, platform)
            self._platforms[platform] = number
        return number
