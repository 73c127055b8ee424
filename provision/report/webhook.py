"""Post the progress of a run to an address, as JSON: when the run begins or ends, a wave ends, or the rollout stops."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError

from provision.report.shown import Shown
from provision.visible import line, say

#: The events that are posted.
TOLD = {"run.begin", "wave.begin", "wave.done", "rollout.stopped", "run.done"}
#: Seconds for one delivery, and for all remaining ones at the end.
_TIMEOUT, _PATIENCE = 10.0, 15.0
#: The maximum number of bytes of an answer that are read.
_READ = 65_536


class Webhook:
    """Deliveries run one after the other, in parallel with the run. A slow or unreachable address causes a warning and
    affects no host.

    ``about`` is part of each delivery (run, playbook). ``warn`` receives what could not be delivered, without the
    address, which may hold a secret.
    """

    def __init__(self, url: str, about: dict[str, str], warn: Callable[[str], None] = say) -> None:
        self._url, self._warn = url, warn
        self._about = {key: line(value) for key, value in about.items()}
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        # The first event starts the thread. Before that, while it has one thread, the run forks its worker processes.
        self._thread: threading.Thread | None = None

    def __call__(self, event: Shown) -> None:
        if event.name not in TOLD:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="webhook", daemon=True)
            self._thread.start()
        self._waiting.put({"event": event.name, **self._about, **event.data})

    def close(self) -> None:
        """Wait for the remaining deliveries, for a limited time."""
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._warn("provision: the webhook did not accept all events in time")

    def _deliver(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self._post(json.dumps(record).encode())
            except Exception as error:  # the next delivery may succeed even if this one failed
                self._warn(f"provision: the webhook did not accept {record['event']}: {_reason(error)}")

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "provision"}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - http(s), checked
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT) as reply:
            # The body is not used; a connection that is closed with unread bytes is reset (RFC 9112, 9.6).
            reply.read(_READ)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the answer of a webhook must not choose an address in the controller's own network."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _reason(error: Exception) -> str:
    """The reason as text without any part of the address. http.client's messages about a URL contain the URL."""
    if isinstance(error, HTTPError):
        return f"status {error.code}"
    if isinstance(error, http.client.InvalidURL):
        return "its address is not a URL"
    if isinstance(error, http.client.HTTPException):
        return f"its answer is not HTTP ({type(error).__name__})"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {_TIMEOUT:.0f} s"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__
