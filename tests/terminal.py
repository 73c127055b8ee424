"""A person at a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "dumb", "LANG": "C.UTF-8"}


class Terminal:
    """A person at a pseudo-terminal, who answers each question when it is asked."""

    def __init__(self, argv: Sequence[str], cwd: Path, kind: str = "dumb") -> None:
        """``kind`` is TERM. The terminal controls the program: Ctrl-C is a signal."""
        self._end, slave = pty.openpty()
        self.child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment(cwd) | {"TERM": kind},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = ""
        self._read = 0

    def until(self, text: str) -> None:
        """Wait until the terminal shows ``text`` behind what was waited for before."""
        end = time.monotonic() + 300
        while (place := self.seen.find(text, self._read)) < 0:
            ready, _, _ = select.select([self._end], [], [], 1)
            piece = b""
            if ready:
                try:
                    piece = os.read(self._end, 4096)
                except OSError:
                    raise AssertionError(f"ended before {text!r}:\n{self.seen}") from None
            self.seen += piece.decode("utf-8", "replace").replace("\r\n", "\n")
            assert time.monotonic() < end, f"no {text!r}:\n{self.seen}"
        self._read = place + len(text)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._end)[3] & termios.ECHO)

    def quiet(self, seconds: float) -> str:
        """What the terminal shows in this time behind what was waited for before."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (
            not select.select([self._end], [], [], left)[0] or self._more()
        ):
            pass
        return self.seen[self._read :]

    def ended(self) -> tuple[int, bool]:
        """The exit code of a program that ends without a further key, and whether the terminal echoes afterwards."""
        patience = threading.Timer(60, self.child.kill)
        patience.start()
        while self._more():
            pass
        patience.cancel()
        echoes = self.echoes
        os.close(self._end)
        return self.child.wait(60), echoes

    def write(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def answer(self, question: str, text: str) -> None:
        self.until(question)
        self.until("]: ")
        self.write(f"{text}\n".encode())

    def answer_all(self, answers: Mapping[str, str]) -> list[str]:
        """Answer each question up to the end of the program. ``answers`` are by the end of a question. Return the
        questions, each with its subject."""
        questions = []
        pattern = re.compile("|".join(map(re.escape, answers)))
        while self._more():
            while found := pattern.search(self.seen, self._read):
                self._read = found.end()
                questions.append(self.seen[: self._read].rpartition("\n")[2])
                self.write(f"{answers[found[0]]}\n".encode())
        return questions

    def _more(self) -> bool:
        """Read what the program shows; return whether it continues."""
        try:
            piece = os.read(self._end, 4096)
        except OSError:
            return False  # the end of a pseudo-terminal (Linux)
        self.seen += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)

    def close(self) -> int:
        while self._more():
            pass
        os.close(self._end)
        return self.child.wait(60)
