"""Send a blob to a host over an open connection, from the byte at which an earlier attempt stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import paramiko
from fabric import Connection

from provision.model import Blob, Changed, Login
from provision.remote.script import blob_script
from provision.transport.execute import execute
from provision.transport.failure import HostError
from provision.transport.session import become_says, broken_off, cut_at, start, text

HOME = "/var/lib/provision/blobs"
#: Bytes that are passed to the channel at once.
_PIECE = 64 * 1024


def send(
    connection: Connection,
    login: Login,
    blob: Blob,
    deadline: float,
    emit: Callable[[str], None],
) -> None:
    """Send the blob, unless the host has it, or has the image that it contains. Raises :class:`HostError`. After
    ``disconnected`` another call resumes behind the bytes that arrived."""
    try:
        packed = blob.packed()
    except Changed as error:
        raise HostError("drifted", f"{error}; nothing was done") from error
    except OSError as error:
        raise HostError("step", f"{blob.title} can't be packed: {error}", step="sending") from error
    there = _ask(connection, login, blob_script("blob_state", blob.name, packed.sha256, *blob.spares), deadline)
    if there == "here":
        return
    if not re.fullmatch("[0-9]{1,18}", there):
        raise HostError("protocol", f"the host does not report how much of {blob.title} it has: {there[:80]!r}")
    start = min(int(there), packed.size)
    behind = f", from byte {start} on" if start else ""
    emit(f"sending {blob.title}: {(packed.size - start + 1023) // 1024} KiB{behind}")
    with open(packed.path, "rb") as file:
        file.seek(start)
        part = f"{HOME}/{blob.name}.{packed.sha256}.part"
        _pour(connection, login, part, file.read, deadline)
    # The host compares the hash of its file with the hash that was checked, not with a hash of the bytes just read.
    if _ask(connection, login, blob_script("blob_end", blob.name, packed.sha256), deadline) != "whole":
        message = (
            f"{blob.title} does not have the planned content: it changed before or during the transfer, or another run"
            " sent it at the same time; apply again"
        )
        raise HostError("step", message, step="sending")


def _ask(connection: Connection, login: Login, script: str, deadline: float) -> str:
    frames: list[tuple[str, ...]] = []
    finished = execute(connection, login, script, deadline, frames.append)
    answer = next((frame[1] for frame in frames if frame[0] == "blob" and len(frame) > 1), None)
    if answer is None:
        raise HostError("record", "the host can't store the files to send", detail=finished.stderr)
    return answer


def _pour(connection: Connection, login: Login, part: str, read: Callable[[int], bytes], deadline: float) -> None:
    """Send the remaining bytes to the end of a file on the host."""
    if not re.fullmatch(r"[a-z0-9/.]+", part):
        raise ValueError(part)
    try:
        channel = start(connection, login, deadline, f"umask 077; exec cat >>{part}")
        with cut_at(connection, deadline):
            while data := read(_PIECE):
                channel.sendall(data)
            channel.shutdown_write()
        channel.status_event.wait(max(0.0, deadline - time.monotonic()))
        status = channel.exit_status if channel.exit_status_ready() else -1
        said = text(channel.recv_stderr(4096)) if channel.recv_stderr_ready() else ""
        channel.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise broken_off(deadline, "", error, connection) from error
    if status == -1:
        raise broken_off(deadline, said, None, connection)
    if status != 0:
        if login.become and "password" in said:
            raise HostError("become", become_says(login, said), detail=said)
        raise HostError("step", "the host could not store the files that were sent", step="sending", detail=said)
