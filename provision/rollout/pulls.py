"""Limit how many hosts pull from one registry at the same time, so that a fleet does not overload it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from provision.model import Event, Plan
from provision.project.host_config import HostConfig
from provision.remote.transaction import Step
from provision.resources.docker.inspected import registry
from provision.spec import Registry

#: Takes a name and its number of places: waits for a place, and holds it inside the ``with`` block.
Place = Callable[[str, int], AbstractContextManager[object]]


class Pulls:
    """A limited number of places for pulling hosts, at each registry. If several processes share the places, ``place``
    takes them."""

    def __init__(self, place: Place | None = None) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, threading.BoundedSemaphore] = {}
        #: places of all processes, also for what is not a registry
        self.shared: Place = place or self.place

    def place(self, name: str, bound: int) -> threading.BoundedSemaphore:
        """The first request for a name decides its number of places: all specs should agree."""
        with self._lock:
            return self._places.setdefault(name, threading.BoundedSemaphore(bound))

    @contextmanager
    def held(self, config: HostConfig, plan: Plan) -> Iterator[Pulling]:
        """Wait for a place at every registry that the plan pulls from. All hosts use the same order, which
        prevents a deadlock."""
        steps = [
            (Step(change.resource, call).name, call.pulls)
            for change in plan.changes
            for call in change.calls
            if call.pulls
        ]
        declared = config.spec.engine.registries if config.spec.engine is not None else {}
        places = ExitStack()
        try:
            for name in sorted({registry(reference) for _, images in steps for reference in images}):
                places.enter_context(self.shared(name, declared.get(name, Registry()).pulls))
            yield Pulling({step for step, _ in steps}, places)
        finally:
            places.close()


class Pulling:
    """Receives a host's steps, and frees its places when it has pulled the last of its images."""

    def __init__(self, left: set[str], places: ExitStack) -> None:
        self._left, self._places = left, places

    def received(self, event: Event) -> None:
        if event.name == "step.done" and event.data["step"] in self._left:
            self._left.discard(str(event.data["step"]))
            if not self._left:
                self._places.close()
