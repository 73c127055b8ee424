"""Values that are computed once, and used by many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Value = TypeVar("_Value")


class _Slot:
    """One value, and the lock of the thread that computes it."""

    __slots__ = ("lock", "there", "value")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.there = False
        self.value: Any = None


class Same:
    """A part of a key: this very object, which it keeps alive. It is for objects that have no hash, or a slow one."""

    __slots__ = ("of",)

    def __init__(self, of: object) -> None:
        self.of = of

    def __hash__(self) -> int:
        return id(self.of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.of is other.of


class Memo:
    """Values by key. When several threads ask for one value, the first computes it and the others wait. A computation
    that fails is tried again.

    All values of a key have one type: the key begins with a word of the module that asks. With ``most``, only so many
    values are remembered, those that were asked for last.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}

    def of(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        with self._lock:
            slot = self._slots.pop(key, None) or _Slot()
            # The order of the slots is the order in which they were asked for.
            self._slots[key] = slot
            if self._most is not None and len(self._slots) > self._most:
                del self._slots[next(iter(self._slots))]
        with slot.lock:
            if not slot.there:
                slot.value = compute()
                slot.there = True
        value: _Value = slot.value
        return value
