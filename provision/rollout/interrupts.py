"""Count Ctrl-C. The run reads the counter when it can, so no exception interrupts it at an arbitrary place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

#: From this number of presses on, Ctrl-C raises an exception: the operator does not want to wait.
_ENOUGH = 3


class Interrupts:
    """Counts Ctrl-C (SIGINT) inside its ``with`` block; outside the main thread it does nothing."""

    def __init__(self) -> None:
        self._pressed = self._heeded = 0
        self._raise = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self._pressed += 1
        if self._raise or self._pressed >= _ENOUGH:
            raise KeyboardInterrupt

    @property
    def pressed(self) -> bool:
        return self._pressed > 0

    def news(self) -> Iterator[bool]:
        """For each Ctrl-C that was not handled yet, yield whether it is a repeated one."""
        while self._heeded < self._pressed:
            self._heeded += 1
            yield self._heeded > 1

    @contextmanager
    def raised(self) -> Iterator[None]:
        """While the operator is asked, Ctrl-C raises an exception."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False
