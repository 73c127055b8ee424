"""Which of the known mirrors answers first, as seen from this computer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provision.project.starter import Mirror

#: Seconds for each wait of a request, and the most bytes that are read of an answer.
TIMEOUT, _MOST = 3.0, 16384


def measured(mirrors: Sequence[Mirror], timeout: float = TIMEOUT) -> dict[str, float]:
    """The seconds of one small download from each mirror that answered, by URL. Sends one request to each mirror, all
    at the same time. Follows no redirection, so that it connects to no other server."""
    with ThreadPoolExecutor(max(1, len(mirrors))) as pool:
        times = pool.map(lambda mirror: _seconds(mirror, timeout), mirrors)
        found = {mirror.url: seconds for mirror, seconds in zip(mirrors, times, strict=True) if seconds is not None}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _seconds(mirror: Mirror, timeout: float) -> float | None:
    """``None`` where the mirror did not answer with the file in time."""
    import http.client
    import urllib.request

    from provision.project.starter import PROBE

    class Direct(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            """Make no second request: the answer stays an error."""

    request = urllib.request.Request(f"{mirror.url}/{PROBE}")  # noqa: S310 - http or https, from the table
    begin = time.monotonic()
    try:
        with urllib.request.build_opener(Direct).open(request, timeout=timeout) as answer:
            read = 0
            while read < _MOST and (piece := answer.read1(_MOST)):
                read += len(piece)
                if time.monotonic() - begin > timeout:
                    return None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return time.monotonic() - begin if read else None
