"""The shapes of declared things."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from provision.distros import Distribution


class Named(Struct, frozen=True):
    """A declared thing: ``name`` names it in reports, ``value`` is what it should be. ``rows`` are the project's own
    rows of the table of distributions, for what depends on what the host runs."""

    name: str
    value: Any
    rows: tuple[Distribution, ...] = ()


class FileBytes(Struct, frozen=True):
    """A file as declared, its content worked out."""

    content: bytes
    owner: str
    group: str
    mode: int
    #: whether a failure must not show what is in it
    secret: bool = False


class Archive(Struct, frozen=True):
    """A package archive; its address, its suites and where its key is may depend on what the host runs."""

    name: str
    url: str
    components: tuple[str, ...]
    suites: tuple[str, ...]
    #: of the keys that may sign it; none declared: those that Docker publishes, or any where it is not Docker's
    fingerprints: tuple[str, ...]
    docker: bool = False
