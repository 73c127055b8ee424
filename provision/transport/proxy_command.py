"""ProxyCommand (ssh_config(5)): a program whose standard input and output are the connection.

Both are one end of a socket pair, so the connection is a socket like any other: provision notices the program's end,
and no pipe becomes full. The program's standard error is read continuously, and shown when the login fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from provision.lines import lines_of
from provision.secrets import secret

#: Bytes of standard error that are kept.
_KEPT = 4096


class ProxyCommand(socket.socket):
    """The connection that a command provides; closing it ends the command."""

    def __init__(self, command: str) -> None:
        """Raises ``OSError`` where there is no shell to run ``command``."""
        here, there = socket.socketpair()
        super().__init__(here.family, here.type, here.proto, fileno=here.detach())
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own command, as ssh runs it
                [shell, "-c", f"exec {command}"],
                stdin=there.fileno(),
                stdout=there.fileno(),
                stderr=subprocess.PIPE,
                env=secret.environment(),
                start_new_session=True,
            )
        except OSError:
            super().close()
            raise
        finally:
            there.close()
        self._ending = False
        self._error = bytearray()
        self._drain = threading.Thread(target=self._drained, name="proxy-command", daemon=True)
        self._drain.start()

    @property
    def said(self) -> str:
        """The last line that the command printed on standard error."""
        self._drain.join(0.5)
        lines = [line for line in lines_of(self._error.decode("utf-8", "replace")) if line]
        return lines[-1] if lines else ""

    def close(self) -> None:
        super().close()
        if self._ending:
            return
        self._ending = True
        self._end(signal.SIGTERM)
        threading.Thread(target=self._reap, name="proxy-command-end", daemon=True).start()

    def _reap(self) -> None:
        # Not reaped yet: until then no other process can have its number.
        if sys.platform == "darwin":  # it has no waitid(2) in all versions of Python
            self._drain.join(5)
        else:
            end, left = time.monotonic() + 5, os.WEXITED | os.WNOHANG | os.WNOWAIT
            # Where SIGCHLD is ignored, the kernel reaps the command itself.
            with contextlib.suppress(ChildProcessError):
                while time.monotonic() < end and os.waitid(os.P_PID, self._process.pid, left) is None:
                    time.sleep(0.05)
        # Also a child that has ignored the first signal, or that the command has left.
        self._end(signal.SIGKILL)
        self._process.wait()

    def _end(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number)

    def _drained(self) -> None:
        if (pipe := self._process.stderr) is None:
            return
        with pipe, contextlib.suppress(OSError, ValueError):
            while data := os.read(pipe.fileno(), _KEPT):
                self._error += data
                del self._error[:-_KEPT]
