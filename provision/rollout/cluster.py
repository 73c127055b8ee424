"""Run on several control machines: workers of a Dask cluster process shards of hosts (docs.dask.org, "distributed").

Budget, waves and journal stay in the controller; a worker only processes the hosts of its shard. When a worker dies,
the scheduler gives its shard to another worker. That worker first asks each host how far it got. The host, not the
cluster, decides whether a change was made: by its lock, and by the run's name, which it accepts once.
"""

from __future__ import annotations

import pickle
import threading
import time
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distributed import Client, Future, Security, get_client, get_worker
from msgspec import Struct
from msgspec.structs import replace

from provision.errors import UsageError
from provision.model import Event
from provision.rollout.fanout import HEED, FanOut, Gate, Queue
from provision.rollout.host_run import HostRun
from provision.rollout.run_request import RunRequest
from provision.rollout.shard import Project, Shard, go, plain, release

#: The limits of the default shard size: fewer hosts do not justify the transfer, and more are too many to lose at once.
FEWEST, MOST = 25, 100
#: Shards for each worker: those that it processes, and those that wait.
_AHEAD = 2
#: Workers that one message names.
_SHOWN = 3
#: Seconds that a cluster may have no worker.
_LONELY = 60.0


class Address(Struct, frozen=True):
    """The scheduler's address, and the certificates that authenticate it and the controller (PEM files)."""

    url: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def security(self) -> Security:
        """Raises :class:`UsageError` for every address except one of TLS with certificates on both sides. A client of
        the scheduler runs code as the user that started the workers, and every local user can reach a loopback port."""
        parts = urlsplit(self.url)
        if parts.scheme == "tcp" and parts.hostname:
            raise UsageError(
                f"{self.url} accepts commands from every user who can reach it: use tls://, on loopback too"
            )
        if parts.scheme != "tls" or not parts.hostname:
            raise UsageError(f"{self.url} is not the address of a scheduler (tls://HOST:8786)")
        missing = [f"--cluster-{name}" for name in ("ca", "cert", "key") if getattr(self, name) is None]
        if missing:
            raise UsageError(f"{self.url} needs {', '.join(missing)}: both sides must show a certificate")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise UsageError(f"there is no file {path}")
        return Security(
            tls_ca_file=str(self.ca),
            tls_client_cert=str(self.cert),
            tls_client_key=str(self.key),
            require_encryption=True,
        )


class Cluster(FanOut):
    """It connects at once; raises :class:`UsageError` where it can't.

    ``size`` is the size of a shard; by default the number of workers decides, between :data:`FEWEST` and :data:`MOST`.
    """

    keeps = False

    def __init__(self, address: Address, project: Project, request: RunRequest, size: int | None = None) -> None:
        super().__init__(request.forks)
        security = address.security()
        try:
            self._client = Client(address.url, security=security, timeout=10, set_as_default=False)
        except OSError as error:
            raise UsageError(f"no cluster at {address.url}: {error}") from error
        self._alike(address.url)
        self._project, self._request, self._size = project, plain(request), size
        self._topic = f"provision-{request.run or time.time_ns()}"
        self._runs: dict[str, HostRun] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._told = ""
        self._client.subscribe_topic(self._topic, self._received)

    def _alike(self, url: str) -> None:
        """Raises :class:`UsageError` unless every worker has exactly this version of provision. The data is pickled,
        and the worker's own code determines the changes on the hosts."""
        found = self._client.run(release, on_error="return")
        # A worker that no longer answers receives no shard.
        answers = {worker: answer for worker, answer in sorted(found.items()) if not isinstance(answer, OSError)}
        others = [f"{worker} has {_named(answer)}" for worker, answer in answers.items() if answer != release()]
        if others:
            self._client.close()
            more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
            shown = f"{', '.join(others[:_SHOWN])}{more}"
            raise UsageError(
                f"workers of {url} have a different version of provision than the controller ({release()}): {shown}"
            )

    def close(self) -> None:
        self._client.unsubscribe_topic(self._topic)
        self._client.close()

    def process(self, queue: Queue) -> None:
        under_way: dict[Future, list[HostRun]] = {}
        size = self._size or min(MOST, max(FEWEST, -(-len(queue) // (_AHEAD * max(1, self._workers())))))
        lonely = 0.0
        while queue.more or under_way:
            workers = self._workers()
            while queue.more and len(under_way) < max(1, workers) * _AHEAD:
                if begun := self._begun(queue, size):
                    under_way[self._submit(begun, queue.preview)] = begun
            time.sleep(0.05)
            for future in [future for future in under_way if future.done()]:
                self._over(future, under_way.pop(future), queue)
            queue.heed()
            self._notify_workers(queue.gate)
            lonely = 0.0 if workers else lonely or time.monotonic()
            if lonely and time.monotonic() - lonely > _LONELY:
                for future in under_way:
                    future.cancel()
                left = [run for begun in under_way.values() for run in begun] + self._begun(queue, len(queue))
                self._lost(left, f"the cluster had no worker for {_LONELY:.0f} s", queue)
                return

    def _begun(self, queue: Queue, size: int) -> list[HostRun]:
        """Begin the next ``size`` hosts."""
        return [run for _ in range(size) if (run := queue.next()) is not None]

    def _submit(self, runs: list[HostRun], preview: bool) -> Future:
        hosts = tuple(run.config.host.name for run in runs)
        self._runs.update(zip(hosts, runs, strict=True))
        approved = {run.config.host.name: run.approved for run in runs if run.approved is not None}
        request = replace(self._request, approved=approved or None)
        self._count += 1
        shard = Shard(self._project, request, hosts, preview)
        return self._client.submit(work, pickle.dumps(shard), self._topic, self._count, release(), pure=False)

    def _workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def _received(self, event: Any) -> None:
        """Process an event of a worker, in the client's own thread. Only members of the cluster can send it: both sides
        have presented their certificates."""
        self._receive(pickle.loads(event[1]))  # noqa: S301

    def _receive(self, event: Event) -> None:
        with self._lock:
            if (run := self._runs.get(event.host)) is not None:
                run.receive(event)

    def _over(self, future: Future, runs: list[HostRun], queue: Queue) -> None:
        """A shard has ended: its final events count, and not what its worker reported before."""
        if future.status == "finished":
            for data in future.result():
                self._receive(pickle.loads(data))  # noqa: S301
            self._lost(runs, "the worker reported no result", queue)
        else:
            self._lost(runs, f"{future.exception()}", queue)

    def _lost(self, runs: list[HostRun], reason: str, queue: Queue) -> None:
        """Fail those of ``runs`` whose result is unknown; report all that have ended."""
        for run in runs:
            if not (run.done or run.good or (queue.preview and run.plan is not None)):
                run.lost(reason)
            queue.ended(run)

    def _notify_workers(self, gate: Gate) -> None:
        word = "leave" if gate.leaving else "stop" if gate.stopped else ""
        if word != self._told:
            self._told = word
            self._client.set_metadata([self._topic, "word"], word)


def _named(answer: object) -> str:
    """A worker's version of provision; an old version cannot report it."""
    return answer if isinstance(answer, str) else "an older one, or none"


def work(data: bytes, topic: str, number: int, of: str) -> list[bytes]:
    """Process a shard on a worker: report events as they occur, and return the final event of each host. ``of`` is the
    controller's :func:`release`: a worker that joined after the start of the run may have another version."""
    client, worker = get_client(), get_worker()
    if of != release():
        raise UsageError(f"the worker {worker.address} has provision {release()}, the controller {of}")
    shard: Shard = pickle.loads(data)  # noqa: S301 - from the controller, over the cluster's own channel
    begun = client.get_metadata([topic, "begun", number], default=False)
    client.set_metadata([topic, "begun", number], True)
    last: dict[str, Event] = {}
    word: list[Literal["", "stop", "leave"]] = [""]
    over = threading.Event()

    def emit(event: Event) -> None:
        if event.name in ("host.plan", "host.done", "host.good"):
            last[event.host] = event
        worker.log_event(topic, pickle.dumps(event))

    def listen() -> None:
        while not over.wait(HEED):
            word[0] = client.get_metadata([topic, "word"], default="")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        go(replace(shard, again=bool(begun) and not shard.preview), emit, lambda: word[0])
    finally:
        over.set()
        listener.join()
    return [pickle.dumps(event) for event in last.values()]
