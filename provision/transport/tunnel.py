"""A connection that a host makes for us (ssh(1), ``-J`` and ``-L``); many share one connection of ours.

paramiko lets go of a channel before it sends for it (its issue 1115), so what one thread sends may come after another's
close. sshd takes that for a peer that speaks no SSH and ends the whole connection, with everybody's tunnels in it.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE
from paramiko.message import Message

#: Channels whose close, when it comes from the other side, is answered in turn: see :meth:`Tunnel.close`.
_IN_TURN: weakref.WeakSet[paramiko.Channel] = weakref.WeakSet()


class Tunnel:
    """A channel as a socket. What is sent and the close that ends it take turns, whichever threads they come from."""

    def __init__(self, transport: paramiko.Transport, address: str, port: int, seconds: float) -> None:
        """Raises ``paramiko.SSHException``, ``OSError`` or ``EOFError`` where there is no such connection to be had."""
        inner: Any = transport
        inner._channel_handler_table = {**inner._channel_handler_table, MSG_CHANNEL_CLOSE: _closed_by_peer}
        self._channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds)
        _IN_TURN.add(self._channel)
        self._turn = threading.Lock()

    def settimeout(self, seconds: float | None) -> None:
        """How long a read or a write waits before it raises ``TimeoutError``; it holds up a close as long."""
        self._channel.settimeout(seconds)

    def send(self, data: bytes) -> int:
        with self._turn:
            return self._channel.send(data)

    def sendall(self, data: bytes) -> None:
        while data:
            sent = self.send(data)
            if not sent:
                raise ConnectionResetError("the tunnel was closed")
            data = data[sent:]

    def recv(self, size: int) -> bytes:
        return self._channel.recv(size)

    def close(self) -> None:
        """Also the answer to the other side's close. A tunnel that went with its connection is closed already."""
        with self._turn, contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.close()

    @property
    def _closed(self) -> bool:
        """What paramiko asks the socket of a connection that it ends."""
        return bool(self._channel.closed)


def _closed_by_peer(channel: Any, message: Message) -> None:
    """The connection's own thread would answer at once, and wait for nobody who is just sending; so it only notes
    that nothing more will come. Whoever reads the tunnel learns it and closes it."""
    if channel in _IN_TURN and not channel.closed:
        channel._handle_eof(message)
    else:
        channel._handle_close(message)
