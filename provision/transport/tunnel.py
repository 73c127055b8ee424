"""A connection that a host opens for provision (ssh(1), ``-J`` and ``-L``); many tunnels share one SSH connection.

paramiko releases a channel before it sends the channel's close (its issue 1115). So the data of one thread may follow
the close that another thread sent. sshd treats that as a protocol error and ends the whole connection with all its
tunnels.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE
from paramiko.message import Message

#: Channels whose answer to a close from the other side waits for its turn: see :meth:`Tunnel.close`.
_IN_TURN: weakref.WeakSet[paramiko.Channel] = weakref.WeakSet()


class Tunnel:
    """A channel with the interface of a socket. All threads take turns to send data and to send the close."""

    def __init__(self, transport: paramiko.Transport, address: str, port: int, seconds: float) -> None:
        """Raises ``paramiko.SSHException``, ``OSError`` or ``EOFError`` where the host can't open the connection."""
        inner: Any = transport
        inner._channel_handler_table = {**inner._channel_handler_table, MSG_CHANNEL_CLOSE: _closed_by_peer}
        self._channel = transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds)
        _IN_TURN.add(self._channel)
        self._turn = threading.Lock()

    def settimeout(self, seconds: float | None) -> None:
        """Set how long a read or a write waits before it raises ``TimeoutError``; a close may wait as long."""
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
        """Close the tunnel; this also answers the other side's close. A tunnel whose connection has ended is closed
        already."""
        with self._turn, contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.close()

    @property
    def _closed(self) -> bool:
        """paramiko asks this of the socket of a connection that it ends."""
        return bool(self._channel.closed)


def _closed_by_peer(channel: Any, message: Message) -> None:
    """Mark the channel as ended, and leave the close to the thread that reads the tunnel. The connection's own thread
    would answer immediately, even while another thread is sending."""
    if channel in _IN_TURN and not channel.closed:
        channel._handle_eof(message)
    else:
        channel._handle_close(message)
