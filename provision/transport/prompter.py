"""Ask the operator at the terminal: one question at a time, without echo, each with the name of its subject.

A question ends with the answer, at its deadline, or when the run is interrupted. In each case the terminal has its echo
again. A host's own prompt is quoted inside provision's words and is one line, so it can't imitate another question.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import FrameType

from provision.visible import line

#: Seconds for one answer (sshd_config(5), LoginGraceTime: sshd ends the login then).
TYPING = 120.0
#: The longest text of a host that a question shows, in characters.
MOST = 200
#: Seconds until an open question notices that the run was interrupted.
_POLL = 0.1
_ANSWER = 4096

#: Asks about a subject, with a prompt; ``once``: the same question always has the first answer. ``until`` is the latest
#: end of the question (``time.monotonic``).
Ask = Callable[[str, str, bool, float], str | None]


def quoted(prompt: str) -> str:
    """A host's prompt for a question or a message: one line of at most :data:`MOST` characters. Blanks are not
    repeated, because a row of blanks could move the rest of the text to the next line of a terminal."""
    return '"{}"'.format(line(re.sub(" {2,}", " ", prompt.strip(" \t\r\n:")), MOST))


class Prompter:
    """Asks the operator if there is a terminal. ``interactive`` is false with ``--json`` and without a terminal: then
    every question has no answer. ``paused`` returns a context in which nothing else is written to the terminal."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive
        self.paused: Callable[[], AbstractContextManager[object]] = nullcontext
        self.cancelled = False
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], str | None] = {}
        self._elsewhere: Ask | None = None
        self._clock = threading.Lock()
        self._open, self._since, self._total = 0, 0.0, 0.0
        #: the terminal whose echo is off, and its attributes before
        self._changed: tuple[int, list[object]] | None = None
        if interactive and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._killed)

    def delegate(self, ask: Ask) -> None:
        """Pass all further questions to another process."""
        self._elsewhere = ask

    @property
    def asked(self) -> float:
        """Seconds for which a question was open. The time limits of logins do not include them."""
        with self._clock:
            return self._total + (time.monotonic() - self._since if self._open else 0.0)

    def ask(self, subject: str, prompt: str, once: bool = False, until: float = math.inf) -> str | None:
        """The answer; ``None`` without a terminal, if the operator cancelled the question (Ctrl-D, Ctrl-C), or if there
        was no answer before ``until`` (``time.monotonic``), or within :data:`TYPING` seconds."""
        if not self.interactive or self.cancelled:
            return None
        with self._counted():
            if self._elsewhere is not None:
                return self._elsewhere(subject, prompt, once, until)
            if not self._my_turn(until):
                return None
            try:
                if once and (subject, prompt) in self._answers:
                    return self._answers[subject, prompt]
                answer = self._asked(f"{line(subject)}: {line(prompt)}: ", until)
                if once:
                    self._answers[subject, prompt] = answer
                return answer
            finally:
                self._lock.release()

    def cancel(self) -> None:
        """End the open question, and answer no further one. Returns when the terminal has its echo again."""
        self.cancelled = True
        if self._lock.acquire(timeout=10 * _POLL):
            self._lock.release()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._clock:
            if not self._open:
                self._since = time.monotonic()
            self._open += 1
        try:
            yield
        finally:
            with self._clock:
                self._open -= 1
                if not self._open:
                    self._total += time.monotonic() - self._since

    def _my_turn(self, until: float) -> bool:
        while not self.cancelled and time.monotonic() < until:
            if self._lock.acquire(timeout=_POLL):
                return True
        return False

    def _asked(self, question: str, until: float) -> str | None:
        end = min(until, time.monotonic() + TYPING)
        with contextlib.suppress(OSError, termios.error), self.paused(), self._silent_terminal() as terminal:
            os.write(terminal, question.encode())
            try:
                return self._typed(terminal, end)
            finally:
                os.write(terminal, b"\n")
        return None

    def _typed(self, terminal: int, end: float) -> str | None:
        """The line that the operator types; the kernel provides it as a whole (termios(3), canonical mode)."""
        typed = b""
        while not self.cancelled and (left := end - time.monotonic()) > 0:
            if not select.select([terminal], [], [], min(_POLL, left))[0]:
                continue
            piece = os.read(terminal, _ANSWER)
            typed += piece
            if not piece or piece.endswith(b"\n"):
                return typed.rstrip(b"\r\n").decode(errors="surrogateescape") if typed else None
        if not self.cancelled:
            os.write(terminal, b"(no answer in time)")
        return None

    @contextlib.contextmanager
    def _silent_terminal(self) -> Iterator[int]:
        """The terminal without echo. What was typed before the question is discarded."""
        with contextlib.ExitStack() as stack:
            try:
                terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
                stack.callback(os.close, terminal)
            except OSError:  # no controlling terminal
                terminal = sys.stdin.fileno()
            before = termios.tcgetattr(terminal)
            silent = [*before]
            silent[3] &= ~termios.ECHO
            self._changed = terminal, before
            try:
                termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
                yield terminal
            finally:
                self._restore()

    def _restore(self) -> None:
        if self._changed is not None:
            terminal, before = self._changed
            with contextlib.suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSAFLUSH, before)  # type: ignore[arg-type]
            self._changed = None

    def _killed(self, number: int, frame: FrameType | None) -> None:
        """Restore the terminal before a signal ends provision."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
