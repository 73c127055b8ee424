"""A pool of threads that processes many hosts, a limited number at a time. Frozen hosts do not delay the others.

A host may keep its thread waiting before any change. After a moment the thread gives up its place, and another thread
continues with the next host. The first thread gets a place again when its host has answered. The length of that moment
depends on the waiting times of the other hosts: if all are slow, more concurrent hosts would make them slower.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")

#: Seconds that a host may keep its thread waiting; a look over a link with 200 ms latency takes less.
PATIENCE = 1.0
#: Or this multiple of the median waiting time of the last hosts.
_LONGER, _LAST = 2, 32
#: The maximum number of threads for each place, when hosts freeze.
_MOST = 5


class _Shift(Protocol):
    def waits(self, member: Member, waiting: bool) -> None: ...


class Member:
    """One thread of a shift, as seen by its job."""

    def __init__(self, shift: _Shift) -> None:
        self._shift = shift
        #: the time since which it waits for its host
        self.since: float | None = None
        #: whether another thread has taken its place
        self.replaced = False

    def waits(self, waiting: bool) -> None:
        """Report that the thread begins or stops to wait for its host. Then it continues when a place is free."""
        self._shift.waits(self, waiting)


class Shift(Generic[Item]):
    """Runs ``job`` for each of ``items``, ``size`` at a time, in their order; it begins at once."""

    def __init__(
        self, items: Iterable[Item], job: Callable[[Item, Member], None], size: int, patience: float = PATIENCE
    ) -> None:
        self._items = deque(items)
        self._job, self._size, self._patience = job, size, patience
        self._waited: deque[float] = deque(maxlen=_LAST)
        self._changed = threading.Condition()
        self._members: set[Member] = set()
        # Threads that have a place, and threads that wait to get their place again.
        self._active = self._returning = 0
        self._errors: list[BaseException] = []
        with self._changed:
            self._hire()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most ``seconds``; return whether all items are done. If so, raise the first error of a
        job."""
        end = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            while self._members:
                left = self._patience if end is None else end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, self._patience / 2))
                self._replace()
        if self._errors:
            raise self._errors[0]
        return True

    def cancel(self) -> None:
        """Begin no further item."""
        with self._changed:
            self._items.clear()

    def waits(self, member: Member, waiting: bool) -> None:
        with self._changed:
            if not waiting and member.since is not None:
                self._waited.append(time.monotonic() - member.since)
            member.since = time.monotonic() if waiting else None
            if waiting or not member.replaced:
                return
            self._returning += 1
            self._changed.wait_for(lambda: self._active < self._size)
            self._returning -= 1
            self._active += 1
            member.replaced = False

    def _hire(self) -> None:
        """Start a thread for each item that has a place."""
        while self._items and self._active + self._returning < self._size and len(self._members) < _MOST * self._size:
            member = Member(self)
            self._members.add(member)
            self._active += 1
            item = self._items.popleft()
            threading.Thread(target=self._work, args=(member, item), name="host", daemon=True).start()

    def _replace(self) -> None:
        """Let other threads take the places of those whose hosts keep them waiting."""
        waited = sorted(self._waited) or [0.0]
        patience = max(self._patience, _LONGER * waited[len(waited) // 2])
        late = time.monotonic() - patience
        for member in list(self._members):
            if not self._items or len(self._members) >= _MOST * self._size:
                return
            if member.since is not None and member.since < late and not member.replaced:
                member.replaced = True
                self._active -= 1
                self._hire()

    def _work(self, member: Member, item: Item) -> None:
        while True:
            try:
                self._job(item, member)
            except BaseException as error:  # wait() raises it
                self._errors.append(error)
            with self._changed:
                member.since = None
                if member.replaced or self._returning or not self._items:
                    self._members.remove(member)
                    self._active -= not member.replaced
                    self._hire()
                    self._changed.notify_all()
                    return
                item = self._items.popleft()
