"""The values that a key of daemon.json takes, where its type says less than dockerd asks for."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from provision.dockerd.daemon_keys import Key, Version

#: moby, daemon/config/config.go, Validate; (least, most), None for no bound.
_RANGES: dict[str, tuple[int | None, int | None]] = {
    "max-concurrent-downloads": (0, None),
    "max-concurrent-uploads": (0, None),
    "max-download-attempts": (1, None),
    "mtu": (0, 65535),
    "network-control-plane-mtu": (500, None),
    "network-diagnostic-port": (0, 65535),
    "default-stop-timeout": (0, None),
}
#: github.com/docker/go-units, RAMInBytes.
_SIZE = re.compile(r"\d+(\.\d+)?\s*([kmgtp]i?b?|b)?", re.IGNORECASE)


def problem(name: str, key: Key, value: Any, engine: Version) -> str | None:
    """Why dockerd does not take the value; ``None`` when it does."""
    if isinstance(key.type, tuple):
        return None if value in ("", *key.type) else f"{value!r} is none of {', '.join(key.type)}"
    if name == "max-download-attempts" and value == 0 and engine >= (23, 0):
        return None  # as if it were not given
    if name in _RANGES:
        least, most = _RANGES[name]
        if (least is not None and value < least) or (most is not None and value > most):
            return f"{value} is out of range ({least} to {most})" if most else f"{value} is below {least}"
    if key.type == "address":
        return _address(value)
    if key.type == "addresses":
        return next((said for one in value if (said := _address(one)) is not None), None)
    if key.type == "size" and isinstance(value, str):
        return None if is_size(value) else f"{value!r} is no size such as 64M"
    if name == "default-ulimits":
        return _ulimits(value)
    if name == "metrics-addr" and value:
        return None if re.fullmatch(r".*:\d{1,5}", value) else f"{value!r} is no ADDRESS:PORT"
    if name == "proxies":
        wrong = [one for one in value if one not in ("http-proxy", "https-proxy", "no-proxy")]
        return f"no proxy is called {wrong[0]}" if wrong else None
    return None


def is_size(text: str) -> bool:
    return _SIZE.fullmatch(text.strip()) is not None


def _address(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is no IP address" if text else None
    return None


def _ulimits(value: dict[str, Any]) -> str | None:
    for name, limit in value.items():
        if not isinstance(limit, dict):
            return f'{name} is an object: {{"Name": "{name}", "Soft": …, "Hard": …}}'
        soft, hard = limit.get("Soft", 0), limit.get("Hard", 0)
        if isinstance(soft, int) and isinstance(hard, int) and hard != -1 and soft > hard:
            return f"{name}: the soft limit {soft} is above the hard limit {hard}"
    return None
