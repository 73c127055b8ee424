"""Mirrors of Docker Hub, and registries that are listed as insecure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from provision.engine.keys import Version
from provision.errors import Where
from provision.lint.finding import Finding, Level
from provision.lint.reading import Target, each, number
from provision.lint.rules import NAMES, finding
from provision.text.yamlfile import Map

_PUBLIC = NAMES["public registries"]
#: What net/url accepts as a host without its port: an address in brackets, or a name, which may contain colons.
_HOST = re.compile(r"\[[0-9A-Fa-f:.%]+\]|[^\s/?#\[\]@\\^`{|}]*")
#: moby, daemon/pkg/registry/config.go, validHostPortRegex: a domain name, or an IPv6 address in brackets, and a port.
_REGISTRY = re.compile(
    r"(?:\[[0-9A-Fa-f:]+\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::\d+)?"
)


def mirrors(daemon: Map, target: Target) -> Iterator[Finding]:
    engine = target.engine
    for mirror, where in each(daemon, "registry-mirrors"):
        scheme, parts = mirror.partition("://")[0], _split(mirror, engine)
        if parts is None or parts.scheme not in ("http", "https") or "://" not in mirror:
            level: Level = "error"
            if parts is not None and parts.scheme in ("http", "https") and (23, 0) <= engine < (28, 0):
                level = "warning"  # between these two versions, dockerd accepted a URL without a host
            message = f'registry-mirrors "{mirror}" is not a URL'
            yield finding("DJ201", where, message, _meant(mirror, engine) or "such as https://mirror.example", level)
            continue
        if "@" in parts.netloc:
            yield finding("DJ202", where, f"registry-mirrors: {parts.hostname} is given with credentials")
        if parts.query or parts.fragment:
            yield finding("DJ202", where, f'registry-mirrors "{mirror}" has a query or a fragment')
        elif parts.path not in ("", "/") and engine < (23, 0):
            message = f'registry-mirrors "{mirror}" has a path, which engines of this version refuse'
            yield finding("DJ202", where, message)
        if not parts.netloc:
            yield finding("DJ201", where, f'registry-mirrors "{mirror}" has no host', level="warning")
        yield from _advice(mirror, scheme, parts, where)


def _advice(mirror: str, scheme: str, parts: SplitResult, where: Where) -> Iterator[Finding]:
    host = (parts.hostname or "").lower()
    if host in NAMES["closed mirrors"]:
        message = f"registry-mirrors: {host} no longer serves the public"
        yield finding("DJ301", where, message, "remove it: each pull tries it first")
    if scheme.lower() == "http" and not _loopback(host):
        message = f'registry-mirrors "{mirror}" is plain HTTP: an attacker on the network path can change images'
        yield finding("DJ302", where, message, "use https://")


def _split(text: str, engine: Version) -> SplitResult | None:
    """A URL as Go's net/url parses it; ``None`` for a URL that net/url refuses. From 29.0 on (Go 1.26) it also refuses
    an IPv6 address without brackets."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if re.search(r"[\x00-\x20\x7f]", text) or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    whole = parts.netloc.rpartition("@")[2]
    host, colon, port = whole.rpartition(":") if ":" in whole.rpartition("]")[2] else (whole, "", "")
    if ":" in host and not host.startswith("[") and engine >= (29, 0):
        return None
    return parts if _HOST.fullmatch(host) and (not colon or port == "" or (port.isascii() and port.isdigit())) else None


def _meant(mirror: str, engine: Version) -> str:
    bare = mirror.strip()
    found = re.fullmatch(r"(https?):?/{0,3}([^/\s]+.*)", bare)
    if bare and bare != mirror and _split(bare, engine) is not None:
        return f'write "{bare}"'
    if found and "://" not in bare and "." in found[2]:
        return f'write "{found[1]}://{found[2]}"'
    if "://" not in bare and "." in bare and not found:
        return f'write "https://{bare}"'
    return ""


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def insecure(daemon: Map, target: Target) -> Iterator[Finding]:
    for registry, where in each(daemon, "insecure-registries"):
        scheme, _, bare = registry.rpartition("://")
        if scheme:
            level: Level = "warning" if scheme.lower() in ("http", "https") else "error"
            hint = f'write "{bare.partition("/")[0]}"'
            yield finding("DJ219", where, f'insecure-registries "{registry}" has a scheme', hint, level)
            if level == "error":
                continue
        if not _is_network(bare) and (wrong := _registry(bare)) is not None:
            yield finding("DJ219", where, f'insecure-registries "{registry}" {wrong}')
            continue
        yield from _wide(registry, where)
        yield from _public(bare, target, where)


def _registry(text: str) -> str | None:
    """Why the text is not a registry (moby, daemon/pkg/registry/config.go, validateHostPort)."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if colon and "]" not in port and ":" not in host.strip("[]").replace(":", "", 0):
        if port and not (port.isascii() and port.isdigit()):
            return f"has a port that is not a number: {port}"
        if port and ((found := number(port)) is None or found > 65535):
            return f"has a port that is not a number from 0 to 65535: {port}"
    # Only an address may have a colon without a port.
    if _REGISTRY.fullmatch(text) or _is_address(text) or (not port and _is_address(host.strip("[]"))):
        return None
    return "is not a host, host:port or CIDR"


def _wide(registry: str, where: Where) -> Iterator[Finding]:
    if "/" in registry and _is_network(registry) and ipaddress.ip_network(registry, strict=False).prefixlen == 0:
        message = f'insecure-registries "{registry}" trusts every registry without a certificate'
        yield finding("DJ304", where, message, "name the registries")


def _public(bare: str, target: Target, where: Where) -> Iterator[Finding]:
    host = bare.partition("/")[0].partition(":")[0].lower()
    if host in _PUBLIC:
        yield finding("DJ218", where, f"{host} is a public registry with a certificate")
    elif not target.names & {host, bare} and (meant := _misspelt(host)) is not None:
        yield finding(
            "DJ218", where, f"{host} looks like the misspelt name of a public registry", f'did you mean "{meant}"?'
        )


def _misspelt(host: str) -> str | None:
    """The public registry that is one or two edits away (one for a short name), under the same top-level domain. So
    there is none for a name under example, local or internal."""
    for public in _PUBLIC:
        most = 1 if len(public) < 10 else 2
        if public.rpartition(".")[2] == host.rpartition(".")[2] and 0 < _edits(host, public, most) <= most:
            return public
    return None


def _edits(one: str, other: str, most: int) -> int:
    """Insertions, removals, replacements and swaps of neighbours (the optimal string alignment distance)."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        row = [i]
        for j, here in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != here))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == here:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]


def _is_network(text: str) -> bool:
    """CIDR; Go accepts no mask with dots."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return re.fullmatch(r"[0-9A-Fa-f:.]+/\d{1,3}", text) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
