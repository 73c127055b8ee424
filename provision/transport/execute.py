"""Send a script to a shell on the host and read its frames as they come: one exec, over a raw channel."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator

import paramiko
from fabric import Connection
from msgspec import Struct

from provision.model import Login
from provision.transport.ssh import HostError
from provision.wire import Frames, WireError

#: What is kept of standard error: only our own shell writes there, and a login shell's start files.
_STDERR_LIMIT = 16_384

OnFrame = Callable[[tuple[str, ...]], None]


class Finished(Struct, frozen=True):
    """``status`` is ``None`` when the shell ended without one: killed, or cut off."""

    status: int | None
    stderr: str


def execute(connection: Connection, login: Login, script: str, deadline: float, on_frame: OnFrame) -> Finished:
    """Run ``script`` in ``/bin/sh``, as root by sudo when the login becomes root, and read its frames.

    Raises :class:`HostError` of kind ``become``, ``timeout``, ``disconnected`` or ``protocol``.
    """
    frames = Frames()
    begun = False

    def on_data(data: bytes) -> None:
        nonlocal begun
        for frame in frames.feed(data):
            begun = True
            on_frame(frame)

    finished = _run(connection, login, script, deadline, on_data)
    if finished.status is None and (time.monotonic() >= deadline or not begun):
        raise broken_off(deadline, finished.stderr, None)
    if frames.unfinished:
        raise HostError("disconnected", "the connection broke off in the middle of an answer", detail=finished.stderr)
    if not begun and login.become:
        raise HostError("become", sudo_says(finished.stderr), detail=finished.stderr)
    return finished


def _run(
    connection: Connection, login: Login, script: str, deadline: float, on_data: Callable[[bytes], None]
) -> Finished:
    command, head = shell_command(login)
    stderr = bytearray()
    try:
        channel = connection.create_session()
        channel.exec_command(command)
        channel.sendall(head + script.encode("utf-8", "surrogateescape"))
        channel.shutdown_write()
        for data in _read(channel, stderr, deadline):
            on_data(data)
        status = _status(channel, deadline)
        channel.close()
    except WireError as error:
        raise HostError("protocol", str(error), detail=_text(stderr)) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise broken_off(deadline, _text(stderr), error) from error
    return Finished(status, _text(stderr))


def shell_command(login: Login) -> tuple[str, bytes]:
    """The command line that starts ``/bin/sh`` on the host, and what goes before the script on standard input.

    sudo gets the password there and nowhere else. Where a rule asks for none it leaves the line unread; so a
    small reader passes over everything up to a random line before the script begins.
    """
    if not login.become:
        return "exec /bin/sh", b""
    if login.become_password is None:
        return "exec sudo -n -- /bin/sh", b""
    token = secrets.token_hex(16)
    reader = f'while IFS= read -r line; do [ "$line" != {token} ] || exec /bin/sh; done'
    return f"exec sudo -k -S -p '' -- /bin/sh -c '{reader}'", f"{login.become_password}\n{token}\n".encode()


def _read(channel: paramiko.Channel, stderr: bytearray, deadline: float) -> Iterator[bytes]:
    """Yield standard output as it comes and keep standard error, without polling: either wakes us."""
    ready = threading.Event()
    channel.in_buffer.set_event(ready)
    channel.in_stderr_buffer.set_event(ready)
    while True:
        while channel.recv_ready() or channel.recv_stderr_ready():
            if channel.recv_ready():
                yield channel.recv(65_536)
            if channel.recv_stderr_ready():
                stderr.extend(channel.recv_stderr(65_536)[: max(0, _STDERR_LIMIT - len(stderr))])
        if (channel.eof_received or channel.closed) and not (channel.recv_ready() or channel.recv_stderr_ready()):
            return
        if not ready.wait(max(0.0, deadline - time.monotonic())):
            return


def _status(channel: paramiko.Channel, deadline: float) -> int | None:
    """The exit status; never recv_exit_status(), which waits for ever for a peer that froze."""
    channel.status_event.wait(max(0.0, min(5.0, deadline - time.monotonic())))
    status = channel.exit_status if channel.exit_status_ready() else -1
    return None if status == -1 else status


def broken_off(deadline: float, stderr: str, error: Exception | None) -> HostError:
    if time.monotonic() >= deadline:
        return HostError("timeout", "the host's deadline passed; the connection was closed", detail=stderr)
    reason = f": {error}" if error is not None and str(error) else ""
    return HostError("disconnected", f"the connection broke off{reason}", detail=stderr)


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "replace").strip()


def sudo_says(stderr: str) -> str:
    if re.search(r"a password is required|a terminal is required", stderr):
        return "sudo asks for a password; give one with -K or ansible_become_password"
    if re.search(r"[Ss]orry, try again|incorrect password|no password was provided", stderr):
        return "sudo refuses the password"
    if "not in the sudoers file" in stderr or "may not run sudo" in stderr:
        return "this login may not use sudo"
    return f"sudo did not start a shell: {stderr.splitlines()[-1] if stderr else 'it said nothing'}"
