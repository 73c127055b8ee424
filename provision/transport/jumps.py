"""Jump hosts (ssh(1), ``-J``): one connection to each jump host, shared by all hosts behind it.

The login of a jump host holds no lock that other hosts need: a frozen jump host delays only the hosts behind it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from fabric import Connection

from provision.errors import SpecError
from provision.model import Login
from provision.transport.failure import Dropped, HostError

#: Concurrent logins through one jump host; its sshd's default MaxStartups begins to drop logins at 10.
_AT_ONCE = 6


class Jumps:
    """Opens and keeps connections to jump hosts by ``log_in``."""

    def __init__(self, log_in: Callable[[Login, float], Connection]) -> None:
        self._log_in = log_in
        self._held: dict[Login, Future[Connection]] = {}
        self._paces: dict[Login, threading.Semaphore] = {}
        self._lock = threading.Lock()
        self._at_once = _AT_ONCE

    def share(self, processes: int) -> None:
        """Reduce the concurrent logins through a jump host to this process's share of the run's limit."""
        self._at_once = max(1, _AT_ONCE // processes)

    def pace(self, hop: Login) -> threading.Semaphore:
        """The semaphore to hold during a login through ``hop``."""
        with self._lock:
            return self._paces.setdefault(hop, threading.Semaphore(self._at_once))

    def open(self, hop: Login, deadline: float) -> Connection:
        """The one connection to ``hop``; hosts that need the same login share it. Raises :class:`HostError`."""
        mine: Future[Connection] | None = None
        with self._lock:
            held = self._held.get(hop)
            if held is None or _over(held):
                mine = held = self._held[hop] = Future()
        if mine is not None:
            try:
                mine.set_result(self._log_in(hop, deadline))
            except BaseException as error:
                mine.set_exception(error)
        try:
            return held.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            raise HostError(
                "timeout", f"{hop.address}: the login at the jump host did not finish before the deadline"
            ) from error
        except HostError as error:
            failure = error.failure
            message = failure.message
            if "jump host " not in message:
                subject = "the key of " if message.startswith("the key of ") else ""
                message = f"{subject}jump host {message.removeprefix(subject)}"
            if isinstance(error, Dropped):
                raise Dropped(message) from error
            raise HostError(failure.kind, message, detail=failure.detail) from error

    def close(self) -> None:
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for one in held:
            if one.done() and one.exception() is None:
                one.result().close()


def _over(held: Future[Connection]) -> bool:
    """True if the login has failed, or its connection has ended."""
    return held.done() and (held.exception() is not None or not held.result().is_connected)


def hop(text: str, login: Login) -> Login:
    """The last jump host of ``[USER@]HOST[:PORT],...`` or ``ssh://[USER@]HOST[:PORT]`` (ProxyJump). The jump hosts
    before it are the route to the last one. ssh resolves the last one's other settings by its own name. Its login also
    uses the key and the known_hosts file that the inventory gives the host behind it. Raises :class:`SpecError`."""
    before, _, last = text.rpartition(",")
    place = last.strip(" ").removeprefix("ssh://").rstrip("/")
    user, _, where = place.rpartition("@")
    found = re.fullmatch(r"(?:\[([^]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", where)
    if found is None:
        raise SpecError(f"{last!r} is not a jump host", key="ProxyJump", hint="[USER@]HOST[:PORT], IPv6 in [brackets]")
    return Login(
        address=found[1] or found[2],
        port=int(found[3]) if found[3] else None,
        user=user or None,
        key_file=login.key_file,
        known_hosts=login.known_hosts,
        transport=login.transport,
        hop=True,
        ssh_before=_passed_on(login, before),
    )


def _passed_on(login: Login, before: str) -> tuple[str, ...]:
    """The words that ssh passes to the ssh of a jump host: its own ``-F``, and the jump hosts before it (ssh.c)."""
    words = (*login.ssh_before, *login.ssh_behind)
    config: tuple[str, ...] = ()
    for number, word in enumerate(words):
        if word == "-F":
            config = ("-F", words[number + 1])
    return (*config, "-J", before) if before else config
