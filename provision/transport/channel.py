"""A command on the host through an ``ssh`` process, with the interface of paramiko's channel."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from pathlib import Path
from typing import IO, Any, cast

import paramiko

from provision.lines import lines_of
from provision.secrets import secret

_PIECE = 65_536
#: Bytes of an output that are read ahead, as much as the window of a channel of paramiko: ssh and the host wait then.
_UNREAD = 2 * 1024 * 1024
#: Seconds until a full buffer is checked again.
_PAUSE = 0.2
#: Seconds for a process to end after its standard input was closed.
_ENDS = 5.0
#: Messages in ssh's log that are not errors.
_NO_ERRORS = (
    "Warning: Permanently added",
    "Authenticated to ",
    "Connection to ",
    "Pseudo-terminal ",
    "Transferred: ",
    "Bytes per second: ",
    "Killed by signal ",
)
#: The exit status of ssh itself when it fails (ssh(1)).
FAILED = 255


class ProcessChannel(paramiko.Channel):
    """``ssh`` writes its own messages to the file ``log``, so standard error is the host's alone. The command's exit
    status stays unknown (-1) where ssh failed or was killed."""

    def __init__(self, argv: list[str], log: Path) -> None:
        """Raises ``OSError`` where the program does not exist."""
        super().__init__(0)
        self._log = log
        self._process = subprocess.Popen(  # noqa: S603 - no shell
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=secret.environment(),  # it is also the environment of ProxyCommand and KnownHostsCommand
            # provision handles Ctrl-C itself, and only provision may ask questions at the terminal.
            start_new_session=True,
        )
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        self._stdin, out, err = (cast(IO[bytes], pipe) for pipe in pipes)
        self._ended, self._taken = threading.Event(), threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, into), name="ssh-output", daemon=True)
            for pipe, into in ((out, self.in_buffer), (err, self.in_stderr_buffer))
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, name="ssh-end", daemon=True).start()

    @property
    def failed(self) -> bool:
        """True if ssh itself has failed: only then its log has an error."""
        return self._ended.is_set() and self._process.returncode == FAILED and bool(logged(self._log))

    def wait(self, seconds: float) -> bool:
        """True if ssh ends within this many seconds."""
        return self._ended.wait(seconds)

    def exec_command(self, command: str | bytes) -> None:  # type: ignore[override]
        """Send the command to the shell that waits for it (:mod:`provision.transport.openssh`)."""
        data = command.encode() if isinstance(command, str) else command
        if b"\n" in data:
            raise ValueError("a command is one line")
        self.sendall(data + b"\n")

    def sendall(self, s: bytes) -> None:  # type: ignore[override]
        pipe = self._stdin
        view = memoryview(s)
        try:
            while view:
                view = view[pipe.write(view[:_PIECE]) :]
        except (OSError, ValueError) as error:
            self._ended.wait(_ENDS)
            raise OSError("ssh has ended") from error

    def recv(self, nbytes: int) -> bytes:
        data = super().recv(nbytes)
        self._taken.set()
        return data

    def recv_stderr(self, nbytes: int) -> bytes:
        data = super().recv_stderr(nbytes)
        self._taken.set()
        return data

    def shutdown_write(self) -> None:
        pipe = self._stdin
        with contextlib.suppress(OSError):
            pipe.close()

    def close(self) -> None:
        if getattr(self, "_process", None) is None or self._ended.is_set():
            return
        self.shutdown_write()
        with contextlib.suppress(OSError):
            self._process.terminate()

    def kill(self) -> None:
        """End the process from another thread: every read and write fails at once."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def _read(self, pipe: IO[bytes], into: Any) -> None:
        with pipe, contextlib.suppress(OSError, ValueError):
            while data := os.read(pipe.fileno(), _PIECE):
                into.feed(data)
                while len(into) > _UNREAD and self._process.poll() is None:
                    self._taken.clear()
                    self._taken.wait(_PAUSE)

    def _wait(self) -> None:
        for reader in self._readers:
            reader.join()
        status = self._process.wait()
        broken = status < 0 or (status == FAILED and bool(logged(self._log)))
        self.exit_status = -1 if broken else status
        self._ended.set()
        self.eof_received = self.closed = True
        self.status_event.set()
        self.in_buffer.close()
        self.in_stderr_buffer.close()


def logged(log: Path) -> str:
    """The errors in a log of ssh."""
    try:
        lines = lines_of(log.read_text(errors="replace"))
    except OSError:
        return ""
    return "\n".join(line.strip(" \r") for line in lines if line and not line.startswith(_NO_ERRORS))
