"""Places that all worker processes of a run share, such as those at a registry. The controller grants them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable

from msgspec import Struct, field

#: Gives a place to the owner that waits for it.
Grant = Callable[[], None]


class _Row(Struct):
    """The number of free places of one name, and the queue of those that wait: (owner, grant)."""

    free: int
    waiting: deque[tuple[Hashable, Grant]] = field(default_factory=deque)


class Places:
    """Each owner is a worker process. When it ends, its places are free again. Only one thread uses this object."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._held: dict[Hashable, Counter[str]] = {}

    def take(self, owner: Hashable, name: str, bound: int, grant: Grant) -> None:
        """Call ``grant`` when ``owner`` has a place, now or later. The first request for a name decides its number of
        places."""
        row = self._rows.setdefault(name, _Row(bound))
        row.waiting.append((owner, grant))
        self._serve(name)

    def free(self, owner: Hashable, name: str) -> None:
        self._held[owner][name] -= 1
        self._rows[name].free += 1
        self._serve(name)

    def ended(self, owner: Hashable) -> None:
        """Free all places of an owner that has ended."""
        for row in self._rows.values():
            row.waiting = deque(one for one in row.waiting if one[0] != owner)
        for name, count in self._held.pop(owner, Counter()).items():
            self._rows[name].free += count
            self._serve(name)

    def _serve(self, name: str) -> None:
        row = self._rows[name]
        while row.free and row.waiting:
            owner, grant = row.waiting.popleft()
            row.free -= 1
            self._held.setdefault(owner, Counter())[name] += 1
            grant()
