"""Questions to the operator at the terminal: one at a time, without echo, each with the name of what it is for."""

from __future__ import annotations

import getpass
import threading

from provision.visible import visible


class Prompter:
    """Asks at the terminal where there is one to ask at. ``interactive`` is false with ``--json`` and without a
    terminal: then every question has no answer."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive
        self.lock = threading.RLock()

    def ask(self, subject: str, prompt: str) -> str | None:
        """The answer; ``None`` where nobody can be asked, or who was asked gave up (Ctrl-D)."""
        if not self.interactive:
            return None
        with self.lock:
            try:
                return getpass.getpass(f"{visible(subject)}: {visible(prompt).rstrip(': ')}: ")
            except (EOFError, OSError):
                return None
