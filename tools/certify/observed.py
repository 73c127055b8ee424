"""A transport that counts logins and commands, and can cut a host off. It shows the cost of a run, and what a host does
without the controller."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fabric import Connection

from provision.model import Host
from provision.transport.failure import HostError
from provision.transport.ssh import Connecting, Transport, cut


class Observed(Transport):
    """``logins`` and ``execs`` count since the last :meth:`count`. Every run calls :meth:`close`; the transport stays
    usable until :meth:`end`."""

    def __init__(self, options: Connecting) -> None:
        super().__init__(options)
        self.logins = self.execs = 0
        self._lock = threading.Lock()
        self._held: list[Connection] = []
        self._until: Callable[[Connection], bool] | None = None
        self._latest = 0.0

    def count(self) -> None:
        """Set the counters to 0."""
        self.logins = self.execs = 0

    def sever(self, until: Callable[[Connection], bool], seconds: float) -> None:
        """Cut every open connection, and refuse further logins until the host is in the expected state. ``until`` asks
        the host for its state over a separate connection. After ``seconds`` logins are possible in any case."""
        with self._lock:
            if self._until is not None:
                return
            self._until, self._latest = until, time.monotonic() + seconds
            connections, self._held = self._held, []
        for connection in connections:
            cut(connection)

    def open(self, host: Host, deadline: float, fresh: bool = False) -> Connection:
        connection = super().open(host, deadline, fresh)
        if self._waits(connection):
            connection.close()
            raise HostError("unreachable", "the connection was cut, and the host is not yet in the expected state")
        with self._lock:
            self._until = None
            self.logins += 1
            self._held.append(connection)
        self._counted(connection)
        return connection

    def close(self) -> None:
        """Forget the connections of a run. The jump hosts' connections stay open for the next run."""
        with self._lock:
            self._held = []

    def end(self) -> None:
        super().close()

    def _waits(self, connection: Connection) -> bool:
        """Whether the host is cut off, and not yet in the expected state."""
        until = self._until
        if until is None or time.monotonic() >= self._latest:
            return False
        try:
            return not until(connection)
        except HostError:
            # A host that restarts services may end the connection.
            return True

    def _counted(self, connection: Connection) -> None:
        start = connection.create_session

        def session(*words: Any, **options: Any) -> Any:
            with self._lock:
                self.execs += 1
            return start(*words, **options)

        # Set on this object only, because the class is fabric's.
        object.__setattr__(connection, "create_session", session)
