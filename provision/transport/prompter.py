"""Ask the operator at the terminal: one question at a time, without echo, each with the name of its subject."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable

from provision.visible import visible

#: Asks about a subject, with a prompt; ``once``: the same question always has the first answer.
Ask = Callable[[str, str, bool], str | None]


class Prompter:
    """Asks the operator if there is a terminal. ``interactive`` is false with ``--json`` and without a terminal: then
    every question has no answer."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive
        self.lock = threading.RLock()
        self._answers: dict[tuple[str, str], str | None] = {}
        self._elsewhere: Ask | None = None

    def delegate(self, ask: Ask) -> None:
        """Pass all further questions to another process."""
        self._elsewhere = ask

    def ask(self, subject: str, prompt: str, once: bool = False) -> str | None:
        """The answer; ``None`` without a terminal, or if the operator cancelled the question (Ctrl-D)."""
        if not self.interactive:
            return None
        if self._elsewhere is not None:
            return self._elsewhere(subject, prompt, once)
        with self.lock:
            if once and (subject, prompt) in self._answers:
                return self._answers[subject, prompt]
            answer = self._asked(subject, prompt)
            if once:
                self._answers[subject, prompt] = answer
            return answer

    def _asked(self, subject: str, prompt: str) -> str | None:
        try:
            return getpass.getpass(f"{visible(subject)}: {visible(prompt).rstrip(': ')}: ")
        except (EOFError, OSError):
            return None
