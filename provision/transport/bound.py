"""The time limit of a login: one for TCP, proxy, banner, key exchange and authentication, and for all attempts
together, as ssh's ConnectTimeout is for one attempt (ssh_config(5))."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from provision.transport.prompter import Prompter
from provision.transport.sockets import Watchdog

#: The shortest wait until the limit is checked again, in seconds: it moves while the operator is asked.
_AGAIN = 0.2


class Bound:
    """Ends ``seconds`` after its start, and not later than ``deadline`` (``time.monotonic``). Time in which
    ``prompter`` asks the operator does not count."""

    def __init__(self, seconds: float, deadline: float, prompter: Prompter) -> None:
        self.seconds, self.deadline = seconds, deadline
        self._prompter = prompter
        self._end = time.monotonic() + seconds - prompter.asked

    @property
    def end(self) -> float:
        """The end as it is now."""
        return min(self.deadline, self._end + self._prompter.asked)

    @property
    def left(self) -> float:
        """Seconds until the end, at least 0."""
        return max(0.0, self.end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left == 0.0

    def renew(self, seconds: float) -> None:
        """Begin another part, of ``seconds``, now."""
        self._end = time.monotonic() + seconds - self._prompter.asked

    def again(self) -> Bound:
        """The limit of another login, which begins now, without a deadline."""
        return Bound(self.seconds, math.inf, self._prompter)

    @contextmanager
    def enforced(self, watchdog: Watchdog, give_up: Callable[[], None]) -> Iterator[None]:
        """Call ``give_up`` in another thread if the block has not finished at the end."""
        lock, finished, number = threading.Lock(), False, 0

        def check() -> None:
            nonlocal number
            with lock:
                if finished:
                    return
                if not self.passed:
                    number = watchdog.watch(time.monotonic() + max(_AGAIN, self.left), check)
                    return
            give_up()

        number = watchdog.watch(self.end, check)
        try:
            yield
        finally:
            with lock:
                finished = True
            watchdog.drop(number)
