"""A TCP socket that does not wait for itself, and a clock that no peer can stop.

paramiko leaves Nagle's algorithm and delayed acknowledgements on: two stalls of 40 ms per login.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import socket
import threading
import time
from collections.abc import Callable

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only

#: paramiko reads every packet in two pieces, and asks the kernel three times for each; we read so much at once.
_AHEAD = 65_536

#: Seconds after which a peer that answers nothing, or takes nothing, is given up.
_GIVEN_UP = 20


class QuickSocket(socket.socket):
    """TCP_NODELAY, and TCP_QUICKACK again after every read: the kernel takes it back by itself (tcp(7)). It reads
    ahead, so it is for a reader that only ever calls ``recv``, as paramiko's is."""

    _ahead, _at = b"", 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self._at >= len(self._ahead):
            self._ahead, self._at = super().recv(max(size, _AHEAD), flags), 0
            self._quick()
        data = self._ahead[self._at : self._at + size]
        self._at += len(data)
        return data

    def _quick(self) -> None:
        if _QUICKACK is not None:
            # The watchdog may have closed it in the meantime; the next read says so.
            with contextlib.suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def connect(
    address: str,
    port: int,
    timeout: float,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    source: str | None = None,
) -> QuickSocket:
    """A connected socket to the first address that answers, of ``family`` and from the address ``source`` if given.

    Raises ``OSError``, the last one there was.
    """
    last: OSError = OSError(f"{address} has no address")
    for found, kind, protocol, _, place in socket.getaddrinfo(address, port, family, socket.SOCK_STREAM):
        sock = QuickSocket(found, kind, protocol)
        sock.settimeout(timeout)
        try:
            if source is not None:
                sock.bind((source, 0))
            sock.connect(place)
        except OSError as error:
            sock.close()
            last = error
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _notice_death(sock)
        sock._quick()
        return sock
    raise last


def _notice_death(sock: socket.socket) -> None:
    """A host that is cut off while we only listen: the kernel asks after it. One whose kernel answers while its sshd
    is frozen: what we send must find room (both tcp(7)). Other systems have other names for it, or none."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    every = _GIVEN_UP // 4
    for name, value in (
        ("TCP_KEEPIDLE", every),
        ("TCP_KEEPINTVL", every),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _GIVEN_UP * 1000),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Watchdog:
    """Calls back at deadlines; one thread waits for them all. A frozen peer, or one that drips a byte a second,
    defeats every time-out of a single read; a closed socket it does not survive. Ending a connection inside another
    one can wait for that one's peer, so each callback has a thread of its own."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._bites: dict[int, Callable[[], None]] = {}
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, deadline: float, bite: Callable[[], None]) -> int:
        """Call ``bite`` at ``deadline`` (``time.monotonic()``), unless it is dropped before."""
        with self._changed:
            number = next(self._count)
            self._bites[number] = bite
            heapq.heappush(self._heap, (deadline, number))
            if self._thread is None:
                self._closed = False
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][1] == number:
                self._changed.notify()
        return number

    def drop(self, number: int) -> None:
        with self._changed:
            self._bites.pop(number, None)

    def close(self) -> None:
        """Call nobody any more, and end the thread."""
        with self._changed:
            self._bites.clear()
            self._heap.clear()
            self._closed, self._thread = True, None
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._closed:
                    return
                _, number = heapq.heappop(self._heap)
                bite = self._bites.pop(number, None)
            if bite is not None:
                threading.Thread(target=bite, name="bite", daemon=True).start()
