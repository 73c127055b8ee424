"""Tell an address what a run is at: a POST of JSON when it begins, when a wave is over, when it stops, when it ends."""

from __future__ import annotations

import json
import queue
import sys
import threading
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

from provision.model import Event

#: The events that are told.
TOLD = {"run.begin", "wave.begin", "wave.done", "rollout.stopped", "run.done"}
#: Seconds for one delivery, and for what is left of them at the end.
_TIMEOUT, _PATIENCE = 10.0, 15.0


class Webhook:
    """Deliveries go one after the other beside the run: an address that is slow or away costs a warning, no host.

    ``about`` goes with each (run, playbook); ``warn`` hears what could not be delivered, without the address, which
    may have a secret in it.
    """

    def __init__(
        self, url: str, about: dict[str, str], warn: Callable[[str], None] = lambda text: print(text, file=sys.stderr)
    ) -> None:
        self._url, self._about, self._warn = url, about, warn
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        if event.name in TOLD:
            self._waiting.put({"event": event.name, **self._about, **event.data})

    def close(self) -> None:
        """Wait for what is still to be delivered, a while."""
        self._waiting.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._warn("provision: the webhook did not take everything in time")

    def _deliver(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self._post(json.dumps(record).encode())
            except (URLError, OSError, ValueError) as error:
                reason = getattr(error, "code", None) or getattr(error, "reason", error)
                self._warn(f"provision: the webhook was not told of {record['event']}: {reason}")

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "provision"}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - http(s), checked
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310
            reply.read()
