"""A TCP socket that adds no delays, and a watchdog that no peer can stop.

paramiko leaves Nagle's algorithm and delayed acknowledgements on, which delays a login twice by 40 ms.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only

#: Bytes to read ahead: paramiko reads every packet in two pieces, and asks the kernel three times for each.
_AHEAD = 65_536

#: Seconds until the connection to a peer that does not answer, or does not read, is closed.
_GIVEN_UP = 20


class QuickSocket(socket.socket):
    """TCP_NODELAY, and TCP_QUICKACK after every read, because the kernel resets it (tcp(7)). It reads ahead, so it
    needs a reader that calls only ``recv``, as paramiko does."""

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
            # The watchdog may have closed the socket in the meantime; the next read reports it.
            with contextlib.suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def connect(
    address: str,
    port: int,
    timeout: float,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    source: str | None = None,
) -> QuickSocket:
    """Return a socket connected to the first address that answers, of ``family`` and from ``source`` if given.
    ``timeout`` is for the name and all its addresses, in seconds.

    Raises ``OSError``: the last error.
    """
    end = time.monotonic() + timeout
    places = _resolved(address, port, family, timeout)
    last: OSError = OSError(f"{address} has no address")
    for number, (found, kind, protocol, _, place) in enumerate(places):
        sock = QuickSocket(found, kind, protocol)
        # Each address gets its share of the time that is left.
        sock.settimeout(max(0.1, (end - time.monotonic()) / (len(places) - number)))
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


def _resolved(address: str, port: int, family: socket.AddressFamily, timeout: float) -> list[Any]:
    """The addresses of a name. Raises ``OSError``, and ``TimeoutError`` where the resolver does not answer in time: it
    can't be interrupted, and has its own time limits (resolv.conf(5))."""
    # For text, CPython loads its tables of international names, also for an IP address (socketmodule.c).
    name = address.encode() if address.isascii() else address
    if re.fullmatch(r"[0-9.]+|.*:.*", address):
        return socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)
    found: Future[list[Any]] = Future()

    def resolve() -> None:
        try:
            found.set_result(socket.getaddrinfo(name, port, family, socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    return found.result(timeout)


def _notice_death(sock: socket.socket) -> None:
    """Let the kernel detect a lost peer (both tcp(7)). Keepalive probes detect a host that is cut off while provision
    only reads. TCP_USER_TIMEOUT detects a host whose sshd is frozen while its kernel still answers: it limits how long
    sent data may stay unaccepted. Other systems have other names for these options, or none."""
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


def kill(sock: Any) -> None:
    """Close a socket, or what takes the place of one, so that every read and write of it fails at once."""
    # Either end may be closed already; only the local end must be.
    with contextlib.suppress(OSError, EOFError):
        sock.shutdown(socket.SHUT_RDWR) if isinstance(sock, socket.socket) else None
    with contextlib.suppress(OSError, EOFError):
        sock.close()


class Watchdog:
    """Calls back at deadlines; one thread waits for all of them. A frozen peer, or one that sends a byte a second, can
    defeat every timeout of a single read, but not a closed socket. To close a connection inside another one, a callback
    may have to wait for the outer one's peer. So each callback has its own thread."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._bites: dict[int, Callable[[], None]] = {}
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, deadline: float, bite: Callable[[], None]) -> int:
        """Call ``bite`` at ``deadline`` (``time.monotonic()``), unless the deadline is dropped before."""
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
        """Make no further call, and end the thread."""
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
