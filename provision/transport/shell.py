"""A shell on the host that stays: many small commands over one exec, for probes. A command costs a round trip."""

from __future__ import annotations

import secrets
import threading
import time

import paramiko
from fabric import Connection
from msgspec import Struct, field

from provision.model import Login
from provision.script import environment, quote
from provision.transport.execute import broken_off, shell_command, sudo_says
from provision.transport.ssh import HostError
from provision.transport.tunnel import Tunnel


class Captured(Struct, frozen=True):
    status: int
    stdout: bytes
    stderr: bytes


class _Stream(Struct):
    """One of the shell's outputs, up to the mark that ends a command."""

    data: bytearray = field(default_factory=bytearray)
    end: int = -1

    def feed(self, more: bytes, mark: bytes) -> None:
        begin = max(0, len(self.data) - len(mark))
        self.data += more
        if self.end < 0:
            self.end = self.data.find(mark, begin)


class Shell:
    """``/bin/sh`` on a held connection, as root by sudo where the login needs it; opened by the first command.

    One command at a time, whoever asks. A command that breaks the shell takes it along, and the next one gets a new
    shell; one that outstays its time tells of a host that froze, and nobody waits for that host again.
    """

    def __init__(self, connection: Connection, login: Login) -> None:
        self._connection, self._login = connection, login
        self._channel: paramiko.Channel | None = None
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._frozen: HostError | None = None

    def tunnel(self, address: str, port: int, seconds: float) -> Tunnel:
        """A connection that the host makes for us (ssh(1), -L). Raises :class:`HostError` where its sshd makes none."""
        transport = self._connection.transport
        if transport is None:
            raise HostError("disconnected", "the connection was closed")
        try:
            tunnel = Tunnel(transport, address, port, seconds)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostError("disconnected", f"the host makes no connection to port {port} for us: {error}") from error
        tunnel.settimeout(seconds)
        return tunnel

    def run(self, script: str, seconds: float) -> Captured:
        """Run ``script`` in a subshell of its own with an empty standard input.

        Raises :class:`HostError` of kind ``timeout``, ``disconnected`` or ``become``.
        """
        with self._lock:
            if self._frozen is not None:
                raise self._frozen
            deadline = time.monotonic() + seconds
            try:
                return self._run(script, deadline)
            except (paramiko.SSHException, OSError, EOFError) as error:
                self.close()
                raise broken_off(deadline, "", error) from error
            except HostError as error:
                self.close()
                self._frozen = error if error.failure.kind == "timeout" else None
                raise

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _run(self, script: str, deadline: float) -> Captured:
        channel = self._channel or self._open()
        # Nobody on the host can know it beforehand, so nothing that a probe prints can be taken for the end.
        token = secrets.token_hex(16)
        # eval in a subshell: not even a syntax error in the script ends the shell itself.
        text = f"(eval {quote(script)}) </dev/null; echo {token} $?; echo {token} >&2\n"
        channel.sendall(text.encode("utf-8", "surrogateescape"))
        out, err, mark = _Stream(), _Stream(), token.encode()
        while out.end < 0 or err.end < 0 or b"\n" not in out.data[out.end :]:
            self._ready.clear()
            if channel.recv_ready():
                out.feed(channel.recv(65_536), mark)
            elif channel.recv_stderr_ready():
                err.feed(channel.recv_stderr(65_536), mark)
            elif channel.eof_received or channel.closed:
                raise self._ended(bytes(err.data), deadline)
            elif not self._ready.wait(max(0.0, deadline - time.monotonic())):
                raise HostError("timeout", "a probe did not end in its time")
        status = int(bytes(out.data[out.end :]).split()[1])
        return Captured(status, bytes(out.data[: out.end]), bytes(err.data[: err.end]))

    def _open(self) -> paramiko.Channel:
        command, head = shell_command(self._login)
        self._channel = channel = self._connection.create_session()
        channel.in_buffer.set_event(self._ready)
        channel.in_stderr_buffer.set_event(self._ready)
        channel.exec_command(command)
        channel.sendall(head + environment().encode())
        return channel

    def _ended(self, stderr: bytes, deadline: float) -> HostError:
        said = stderr.decode("utf-8", "replace").strip()
        if self._login.become:
            return HostError("become", sudo_says(said), detail=said)
        return broken_off(deadline, said, None)
