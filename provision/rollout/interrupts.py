"""Ctrl-C as a counter that the run reads when it can, and not as an exception at an arbitrary place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

#: From this many presses on, the operator does not want to wait for anything.
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
        """Yield once for each Ctrl-C that was not handled yet: whether it was not the first one."""
        while self._heeded < self._pressed:
            self._heeded += 1
            yield self._heeded > 1

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise an exception on Ctrl-C after all, while the operator is asked."""
        self._raise = True
        try:
            yield
        finally:
            self._raise = False
