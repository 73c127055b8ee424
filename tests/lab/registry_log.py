"""Which host pulled what from a registry and when, read from the log of Debian's docker-registry.

Connections do not show this: since 29.0 an engine keeps connections to a registry open for later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

#: The log of the registry on a host.
COMMAND = "journalctl --sync; journalctl -q -u docker-registry -o cat"

#: Address -> when it began to get its first blob, and when it had its last: seconds since 1970.
Spans = Mapping[str, tuple[float, float]]


def blob_spans(log: str, repository: str, since: float = 0.0) -> Spans:
    """The pulls of each address that has pulled blobs of a repository and began at ``since`` (seconds since 1970) or
    later."""
    spans: dict[str, tuple[float, float]] = {}
    for line in log.split("\n"):
        fields = dict(re.findall(r'(\S+?)="?([^" ]+)"?', line))
        uri, method = fields.get("http.request.uri", ""), fields.get("http.request.method")
        if method != "GET" or f"/v2/{repository}/blobs/" not in uri or "http.response.duration" not in fields:
            continue
        end = datetime.fromisoformat(fields["time"][:26].rstrip("Z") + "+00:00").timestamp()
        begin = end - seconds(fields["http.response.duration"])
        if begin < since:
            continue
        address = fields["http.request.remoteaddr"].rpartition(":")[0]
        first, last = spans.get(address, (begin, end))
        spans[address] = (min(first, begin), max(last, end))
    return spans


def most_at_once(spans: Spans) -> int:
    """The largest number of addresses that pulled at the same moment."""
    # When one pull ends at the moment at which another begins, the two do not overlap.
    moments = sorted([(begin, 1) for begin, _ in spans.values()] + [(end, -1) for _, end in spans.values()])
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most


def seconds(duration: str) -> float:
    """Seconds of a duration in Go's form: 1m2.5s, 69.8ms, 694.7µs."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|µs|ns|h|m|s)", duration))
