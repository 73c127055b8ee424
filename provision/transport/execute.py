"""Send a script to a shell on the host and read its frames as they arrive: one exec, over a raw channel."""

from __future__ import annotations

import time
from collections.abc import Callable

import paramiko
from fabric import Connection
from msgspec import Struct

from provision.model import Login
from provision.remote.protocol import Frames, WireError, beyond
from provision.transport.failure import HostError, not_begun
from provision.transport.session import become_says, become_spoke, broken_off, cut_at, received, start, text, why_lost

#: Bytes of standard error that are kept. Only provision's own shell and a login shell's start files write there.
_STDERR_LIMIT = 16_384

OnFrame = Callable[[tuple[str, ...]], None]


class Finished(Struct, frozen=True):
    """``status`` is ``None`` when the shell ended without a status: it was killed, or the connection ended."""

    status: int | None
    stderr: str


def execute(connection: Connection, login: Login, script: str, deadline: float, on_frame: OnFrame) -> Finished:
    """Run ``script`` in ``/bin/sh``, as root by sudo when the login becomes root, and read its frames.

    Raises :class:`HostError` of kind ``become``, ``timeout``, ``disconnected`` or ``protocol``.
    """
    frames = Frames(login.answer_limit)
    begun = False

    def on_data(data: bytes) -> None:
        nonlocal begun
        for frame in frames.feed(data):
            begun = True
            on_frame(frame)

    finished = _run(connection, login, script, deadline, on_data)
    if finished.status is None and (time.monotonic() >= deadline or not begun):
        raise broken_off(deadline, finished.stderr, None, connection)
    if frames.unfinished:
        message = f"connection lost in the middle of an answer{why_lost(connection, None)}"
        raise HostError("disconnected", message, detail=finished.stderr)
    if not begun and login.become and become_spoke(finished.stderr, bytes(frames.noise)):
        raise HostError("become", become_says(login, finished.stderr), detail=finished.stderr)
    if not begun and finished.status is not None:
        raise not_begun(login, finished.status, bytes(frames.noise), finished.stderr.encode())
    return finished


def _run(
    connection: Connection, login: Login, script: str, deadline: float, on_data: Callable[[bytes], None]
) -> Finished:
    stderr = bytearray()
    errors = 0
    channel: paramiko.Channel | None = None
    try:
        channel = start(connection, login, deadline)
        with cut_at(connection, deadline):
            unread = _sent(channel, script.encode("utf-8", "surrogateescape"))
        for data, is_error in received(channel, deadline):
            if not is_error:
                on_data(data)
                continue
            stderr += data[: max(0, _STDERR_LIMIT - len(stderr))]
            errors += len(data)
            if errors > login.answer_limit:
                raise beyond(login.answer_limit)
        if channel.recv_ready():
            raise broken_off(deadline, text(stderr), None, connection)
        status = _status(channel, deadline)
        channel.close()
        if status is None and unread is not None:
            raise unread
    except WireError as error:
        if channel is not None:
            channel.close()
        raise HostError("protocol", str(error), detail=text(stderr)) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise broken_off(deadline, text(stderr), error, connection) from error
    return Finished(status, text(stderr))


def _sent(channel: paramiko.Channel, data: bytes) -> OSError | None:
    """Return the error of a shell that ended before it had read the whole script. Its output gives the reason."""
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except OSError as error:
        if not channel.closed:
            raise
        return error
    return None


def _status(channel: paramiko.Channel, deadline: float) -> int | None:
    """The exit status. Never call recv_exit_status(), which waits without end for a frozen peer."""
    channel.status_event.wait(max(0.0, min(5.0, deadline - time.monotonic())))
    status = channel.exit_status if channel.exit_status_ready() else -1
    return None if status == -1 else status
