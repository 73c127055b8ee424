"""How many hosts may pull from one registry at the same time, so that a fleet does not run it down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from provision.model import Event, Plan
from provision.project.host_config import HostConfig
from provision.resources.docker.inspected import registry
from provision.spec import Registry


class Pulls:
    """A place for each host that pulls, at each registry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, threading.BoundedSemaphore] = {}

    def place(self, name: str, bound: int) -> threading.BoundedSemaphore:
        """The first who asks for a registry says how many it takes: all specs should agree."""
        with self._lock:
            return self._places.setdefault(name, threading.BoundedSemaphore(bound))

    @contextmanager
    def held(self, config: HostConfig, plan: Plan) -> Iterator[Pulling]:
        """Wait for a place at every registry that the plan pulls from; always in one order, so that nobody waits for
        somebody who waits."""
        steps = [
            (f"{change.resource} {call.function}", call.pulls)
            for change in plan.changes
            for call in change.calls
            if call.pulls
        ]
        declared = config.spec.engine.registries if config.spec.engine is not None else {}
        places = ExitStack()
        try:
            for name in sorted({registry(reference) for _, images in steps for reference in images}):
                places.enter_context(self.place(name, declared.get(name, Registry()).pulls))
            yield Pulling({step for step, _ in steps}, places)
        finally:
            places.close()


class Pulling:
    """Hears a host's steps, and gives its places back when it has pulled the last of its images."""

    def __init__(self, left: set[str], places: ExitStack) -> None:
        self._left, self._places = left, places

    def received(self, event: Event) -> None:
        if event.name == "step.done" and event.data["step"] in self._left:
            self._left.discard(str(event.data["step"]))
            if not self._left:
                self._places.close()
