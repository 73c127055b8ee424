"""A pipe between the controller's process and one of its worker processes: Python objects, each sent as a whole.

Both ends are processes of one run, forked from each other: nothing else can write into the pipe.
"""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from typing import Any

_LENGTH = struct.Struct(">Q")
_PIECE = 1 << 18


class Closed(Exception):
    """The other process has ended."""


class Pipe:
    """One end. Several threads may send; one thread receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._rest = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, *message: Any) -> None:
        """Send one message, after those that wait. Raises :class:`Closed`."""
        self._add(message)
        self.flush()

    def send_later(self, *message: Any) -> None:
        """Send one message together with the next one, so that the other process wakes up only once."""
        self._add(message)

    def flush(self) -> None:
        """Send the messages that wait. Raises :class:`Closed`."""
        with self._lock:
            if not self._waiting:
                return
            try:
                self._sock.sendall(self._waiting)
            except OSError as error:
                raise Closed from error
            self._waiting.clear()

    def _add(self, message: tuple[Any, ...]) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._waiting += _LENGTH.pack(len(data))
            self._waiting += data

    def receive(self) -> list[tuple[Any, ...]]:
        """Wait until something has arrived, and return the messages that are complete. Raises :class:`Closed`."""
        try:
            data = self._sock.recv(_PIECE)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._rest += data
        found: list[tuple[Any, ...]] = []
        at = 0
        while len(self._rest) >= at + _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._rest, at)
            end = at + _LENGTH.size + size
            if len(self._rest) < end:
                break
            found.append(pickle.loads(memoryview(self._rest)[at + _LENGTH.size : end]))  # noqa: S301 - see above
            at = end
        del self._rest[:at]
        return found

    def close(self) -> None:
        self._sock.close()


def pipe() -> tuple[Pipe, Pipe]:
    """Both ends of a new pipe."""
    here, there = socket.socketpair()
    return Pipe(here), Pipe(there)
