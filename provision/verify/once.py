"""Answers of a host that are kept for a run: the first check that needs an answer asks the host."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from testinfra.host import Host

Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """One answer of each host. Checks of several hosts run in threads. Each host has a separate lock, so that a slow
    host does not delay the others. After an error the next check asks again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: WeakKeyDictionary[Host, tuple[threading.Lock, list[Answer]]] = WeakKeyDictionary()

    def of(self, host: Host, ask: Callable[[Host], Answer]) -> Answer:
        with self._lock:
            lock, answers = self._found.setdefault(host, (threading.Lock(), []))
        with lock:
            if not answers:
                answers.append(ask(host))
            return answers[0]

    def forget(self, host: Host) -> None:
        with self._lock:
            self._found.pop(host, None)
