"""The connection to one host during a run, which is cut at the host's deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from fabric import Connection

from provision.model import Host
from provision.transport.ssh import HostError, Transport, cut


class HostConnection:
    """``seconds`` is how long one part of the host's run may take; each part has a new deadline.

    Deadlines are times of ``time.monotonic()``.
    """

    def __init__(self, transport: Transport, host: Host, seconds: float) -> None:
        self._transport, self._host, self._seconds = transport, host, seconds
        self._open: Connection | None = None
        self._watch: int | None = None
        self._left = False

    @property
    def open(self) -> Connection | None:
        """The open connection, if there is one."""
        return self._open

    def connect(self) -> tuple[Connection, float]:
        """Log in, and return the new connection and its deadline. Raises :class:`HostError`."""
        deadline = self.deadline()
        connection = self._transport.open(self._host, deadline)
        self.adopt(connection, deadline)
        return connection, deadline

    def adopt(self, connection: Connection, deadline: float) -> None:
        """Continue with ``connection``."""
        self._open = connection
        self._guard(deadline)

    def extend(self) -> float:
        """Give the connection a new deadline."""
        deadline = self.deadline()
        self._guard(deadline)
        return deadline

    def wait(self) -> None:
        """Remove the deadline until :meth:`extend`, while the operator is asked or other hosts come first."""
        if self._watch is not None:
            self._transport.watchdog.drop(self._watch)
            self._watch = None

    def again(self, deadline: float) -> Connection:
        """Open a further connection to the host, which confirms a change. Raises :class:`HostError`."""
        if self._left:
            raise HostError("left", "interrupted; the host itself finishes the change or rolls it back")
        return self._transport.open(self._host, deadline, fresh=True)

    @contextmanager
    def soon(self, deadline: float, within: float) -> Iterator[float]:
        """Shorten the deadline for a look: a host that does not answer within ``within`` seconds counts as frozen.
        After the look ``deadline`` is valid again."""
        soon = min(deadline, time.monotonic() + within)
        self._guard(soon)
        try:
            yield soon
        except HostError as error:
            if error.failure.kind != "timeout" or soon == deadline:
                raise
            message = (
                f"reading the state of the host took longer than {within:.0f} s; nothing was changed. A host that is"
                " only slow needs more time: --look-within SECONDS. Where docker info or df gives no answer on the"
                " host, a daemon or a disk hangs; systemctl restart docker ends a docker that hangs"
            )
            raise HostError("timeout", message, detail=error.failure.detail) from error
        self._guard(deadline)

    def release(self) -> None:
        """Close the connection."""
        self.wait()
        if self._open is not None:
            self._open.close()
            self._open = None

    def cut(self) -> None:
        """Abandon the host: every thread that waits for it fails at once."""
        self._left = True
        if self._open is not None:
            cut(self._open)

    def deadline(self) -> float:
        """The end of a part of the run that begins now."""
        return time.monotonic() + self._seconds

    def _guard(self, deadline: float) -> None:
        self.wait()
        connection = self._open
        if connection is not None:
            self._watch = self._transport.watchdog.watch(deadline, lambda: cut(connection))
