"""Mirrors of Docker Hub, and registries that are called insecure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from provision.dockerd.daemon_keys import Version
from provision.lint.finding import Finding, Level
from provision.lint.reading import each
from provision.lint.rules import finding
from provision.text.yamlfile import Map, nearest

#: Registries with certificates that everybody can check.
_PUBLIC = (
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "quay.io",
    "ghcr.io",
    "gcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "registry.access.redhat.com",
    "registry.redhat.io",
    "registry.k8s.io",
    "registry.gitlab.com",
)

#: HOST or HOST:PORT, an IPv6 address in brackets.
_REGISTRY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::\d{1,5})?")


def mirrors(daemon: Map, engine: Version) -> Iterator[Finding]:
    for mirror, where in each(daemon, "registry-mirrors"):
        parts = urlsplit(mirror)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            # Between these two, a URL without a host passed.
            passed = parts.scheme in ("http", "https") and (23, 0) <= engine < (28, 0)
            level: Level = "warning" if passed else "error"
            yield finding("DJ201", where, f"{mirror!r} is no URL of a mirror", "such as https://mirror.example", level)
            continue
        if "@" in parts.netloc:
            yield finding("DJ202", where, f"the mirror {parts.hostname} is given with credentials")
        if parts.query or parts.fragment:
            yield finding("DJ202", where, f"the mirror {mirror} has a query or a fragment")
        elif parts.path not in ("", "/") and engine < (23, 0):
            yield finding("DJ202", where, f"the mirror {mirror} has a path, which engines of this version refuse")


def insecure(daemon: Map, engine: Version) -> Iterator[Finding]:
    for registry, where in each(daemon, "insecure-registries"):
        bare = registry.partition("://")[2] or registry
        if "://" in registry:
            yield finding("DJ219", where, f"{registry} has a scheme", f"write {bare}", "warning")
        elif not _REGISTRY.fullmatch(registry) and not _is_network(registry):
            yield finding("DJ219", where, f"{registry} is no HOST, HOST:PORT or network")
        host = bare.partition("/")[0].partition(":")[0].lower()
        hint = nearest(host, _PUBLIC) if host not in _PUBLIC else ""
        if host in _PUBLIC:
            yield finding("DJ218", where, f"{host} is a public registry with a certificate")
        elif hint and "." in host:
            yield finding("DJ218", where, f"{host} looks like a public registry misspelt", hint)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
