"""Answers that a host gives once in a run: the first check that needs one asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from testinfra.host import Host

Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """One answer of each host. Checks of several hosts run in threads: each host has a lock of its own, so that a slow
    one does not keep the others waiting. An error is no answer: the next check asks again."""

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
