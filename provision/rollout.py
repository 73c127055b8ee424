"""Run over the hosts: so many at a time, each on one connection and with a deadline, telling what happens.

Without a question to ask, a host goes from look to fix by itself. With one (a person at a terminal), all hosts
are looked at first; those with changes keep their connections until the answer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from provision.declare import Context, Wish
from provision.desire import Options
from provision.hostrun import HostRun, Request, Scene
from provision.model import STATUSES, Event
from provision.transport.ssh import Transport


@dataclass(slots=True)
class Result:
    counts: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    declined: bool = False

    @property
    def bad(self) -> bool:
        return any(self.counts[status] for status in ("failed", "unreachable", "rolled_back"))


class Rollout:
    def __init__(
        self,
        wishes: list[Wish],
        context: Context,
        transport: Transport,
        options: Options,
        request: Request,
        emit: Callable[[Event], None],
    ) -> None:
        self.wishes, self.context, self.transport = wishes, context, transport
        self.options, self.request = options, request
        self._emit = emit
        self._lock = threading.Lock()
        self._result = Result()
        self._stopping = False

    def run(self) -> Result:
        """Every host ends in exactly one ``host.done``; ``run.done`` is the last event."""
        begin = time.monotonic()
        self._tell(Event("run.begin", data={"mode": self.request.mode, "hosts": len(self.wishes)}))
        scene = Scene(self.context, self.transport, self.options, self.request, self._tell)
        runs = [HostRun(scene, wish) for wish in self.wishes]
        with ThreadPoolExecutor(max_workers=max(1, min(self.request.forks, len(runs)))) as pool:
            if self.request.confirm is None or self.request.mode == "plan":
                self._each(pool, runs, HostRun.whole)
            else:
                self._ask_between(pool, runs)
        self._prove([run for run in runs if run.good])
        for run in runs:
            run.skip("the run was interrupted")
        self.transport.close()
        counts = {status: self._result.counts[status] for status in STATUSES}
        seconds = round(time.monotonic() - begin, 3)
        self._tell(Event("run.done", data={"counts": counts, "seconds": seconds, "mode": self.request.mode}))
        return self._result

    def _ask_between(self, pool: ThreadPoolExecutor, runs: list[HostRun]) -> None:
        self._each(pool, runs, HostRun.look)
        waiting = [run for run in runs if run.found is not None and not run.done and not run.good]
        if not waiting or self._stopping:
            return
        plans = [run.found.plan for run in waiting if run.found is not None]
        if self.request.confirm is not None and self.request.confirm(plans):
            self._each(pool, waiting, HostRun.fix)
            return
        self._result.declined = True
        for run in waiting:
            run.skip("not confirmed")

    def _prove(self, runs: list[HostRun]) -> None:
        """Hand the connections of the hosts that ended well to the verification, all at once."""
        if self.request.verify is None or not runs:
            return
        held = [(run.wish, connection) for run in runs if (connection := run.hold()) is not None]
        failures = self.request.verify(held, self._tell)
        for run in runs:
            run.proven(failures.get(run.wish.host.name))

    def _each(self, pool: ThreadPoolExecutor, runs: Iterable[HostRun], job: Callable[[HostRun], None]) -> None:
        """Ctrl-C once: hosts under way finish, no new one starts. Twice: connections are cut and we leave; the
        hosts finish the step they are at by themselves."""
        futures: list[Future[None]] = [pool.submit(job, run) for run in runs]
        while True:
            try:
                wait(futures)
                break
            except KeyboardInterrupt:
                for future in futures:
                    future.cancel()
                if self._stopping:
                    self._tell(Event("interrupted", data={"text": "leaving now; hosts under way finish by themselves"}))
                    for run in runs:
                        run.cut()
                else:
                    self._tell(
                        Event("interrupted", data={"text": "finishing the hosts under way; Ctrl-C again to leave now"})
                    )
                self._stopping = True
                self._result.interrupted = True
        for future in futures:
            if not future.cancelled():
                future.result()  # an error of ours, not of a host

    def _tell(self, event: Event) -> None:
        with self._lock:
            if event.name == "host.done":
                self._result.counts[str(event.data["status"])] += 1
            self._emit(event)
