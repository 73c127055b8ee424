"""A persistent shell on the host: many small commands over one exec, for probes. A command costs one round trip."""

from __future__ import annotations

import re
import secrets
import threading
import time

import paramiko
from fabric import Connection
from msgspec import Struct, field

from provision.model import Login
from provision.remote.protocol import beyond
from provision.remote.script import environment, quote
from provision.transport.failure import HostError
from provision.transport.openssh import Process
from provision.transport.proxy_command import ProxyCommand
from provision.transport.session import become_says, broken_off, cut_at, received, start, text
from provision.transport.tunnel import Tunnel

#: Bytes of a marker line: 32 digits, a blank, a status and a newline.
_LONGEST = 40


#: After these failures provision sends no more commands: the host is frozen or hostile, or would count another wrong
#: password.
_FINAL = ("timeout", "protocol", "become")


class Captured(Struct, frozen=True):
    status: int
    stdout: bytes
    stderr: bytes


class _Stream(Struct):
    """One of the shell's outputs, up to the line that marks a command's end. Each byte is searched once."""

    mark: re.Pattern[bytes]
    data: bytearray = field(default_factory=bytearray)
    #: where the marker line begins, and the text behind the marker
    end: int = -1
    said: bytes = b""

    def feed(self, more: bytes) -> None:
        begin = max(0, len(self.data) - _LONGEST)
        self.data += more
        if self.end < 0 and (found := self.mark.search(self.data, begin)):
            self.end, self.said = found.start(), found[1]

    @property
    def output(self) -> bytes:
        return bytes(self.data[: self.end])


class Shell:
    """``/bin/sh`` on an open connection, as root by sudo where the login needs it; the first command starts it.

    One command runs at a time. A command that breaks the shell ends it, and the next command starts a new shell. No
    further command is sent in three cases: a command exceeded its time, a command printed more than the login's
    ``answer_limit``, or sudo refused the login.
    """

    def __init__(self, connection: Connection, login: Login) -> None:
        self._connection, self._login = connection, login
        self._channel: paramiko.Channel | None = None
        self._lock = threading.Lock()
        self._frozen: HostError | None = None

    def tunnel(self, address: str, port: int, seconds: float) -> Tunnel | ProxyCommand:
        """A connection that the host opens (ssh(1), -L). Raises :class:`HostError` where its sshd opens none."""
        if isinstance(self._connection, Process):
            made = self._connection.tunnel(address, port)
            made.settimeout(seconds)
            return made
        transport = self._connection.transport
        if transport is None:
            raise HostError("disconnected", "the connection was closed")
        try:
            tunnel = Tunnel(transport, address, port, seconds)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostError("disconnected", f"the host forwards no connection to port {port}: {error}") from error
        tunnel.settimeout(seconds)
        return tunnel

    def run(self, script: str, seconds: float) -> Captured:
        """Run ``script`` in its own subshell with an empty standard input.

        Raises :class:`HostError` of kind ``timeout``, ``disconnected``, ``protocol`` or ``become``.
        """
        with self._lock:
            if self._frozen is not None:
                raise self._frozen
            deadline = time.monotonic() + seconds
            try:
                return self._run(script, deadline)
            except (paramiko.SSHException, OSError, EOFError) as error:
                self.close()
                raise broken_off(deadline, "", error, self._connection) from error
            except HostError as error:
                self.close()
                self._frozen = error if error.failure.kind in _FINAL else None
                raise

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _run(self, script: str, deadline: float) -> Captured:
        channel = self._channel or self._open(deadline)
        # The script's programs don't have the token, so no output of a probe can be mistaken for the end.
        token = secrets.token_hex(16)
        # eval in a subshell: even a syntax error in the script does not end the shell itself.
        script = f"(eval {quote(script)}) </dev/null; echo {token} $?; echo {token} >&2\n"
        with cut_at(self._connection, deadline):
            channel.sendall(script.encode("utf-8", "surrogateescape"))
        out = _Stream(re.compile(rb"%s ([0-9]{1,3})\n" % token.encode()))
        err = _Stream(re.compile(rb"%s()\n" % token.encode()))
        for data, is_error in received(channel, deadline):
            (err if is_error else out).feed(data)
            if len(out.data) + len(err.data) > self._login.answer_limit:
                raise HostError("protocol", str(beyond(self._login.answer_limit)))
            if out.end >= 0 and err.end >= 0:
                return Captured(int(out.said), out.output, err.output)
        if time.monotonic() >= deadline:
            raise HostError("timeout", "a probe did not finish in time")
        raise self._ended(bytes(err.data), deadline)

    def _open(self, deadline: float) -> paramiko.Channel:
        self._channel = channel = start(self._connection, self._login, deadline)
        with cut_at(self._connection, deadline):
            channel.sendall(environment().encode())
        return channel

    def _ended(self, stderr: bytes, deadline: float) -> HostError:
        said = text(stderr)
        if self._login.become:
            return HostError("become", become_says(self._login, said), detail=said)
        return broken_off(deadline, said, None, self._connection)
