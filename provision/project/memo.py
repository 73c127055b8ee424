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


class Memo:
    """Values by key. When several threads ask for one value, the first computes it and the others wait. A computation
    that fails is tried again.

    All values of a key have one type: the key begins with a word of the module that asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}

    def of(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            if not slot.there:
                slot.value = compute()
                slot.there = True
        value: _Value = slot.value
        return value
