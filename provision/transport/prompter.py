"""Questions to the operator at the terminal: one at a time, without echo, each with the name of its subject."""

from __future__ import annotations

import getpass
import threading

from provision.visible import visible


class Prompter:
    """Asks the operator if there is a terminal. ``interactive`` is false with ``--json`` and without a terminal: then
    every question has no answer."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive
        self.lock = threading.RLock()

    def ask(self, subject: str, prompt: str) -> str | None:
        """The answer; ``None`` where there is no terminal, or where the operator gave up (Ctrl-D)."""
        if not self.interactive:
            return None
        with self.lock:
            try:
                return getpass.getpass(f"{visible(subject)}: {visible(prompt).rstrip(': ')}: ")
            except (EOFError, OSError):
                return None
