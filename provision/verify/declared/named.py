"""The types of declared things."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from provision.distros import Distribution


class Named(Struct, frozen=True):
    """One declared item: its name in reports, and its desired state. ``rows`` are the project's own rows of the table
    of distributions, for values that depend on the host's distribution."""

    name: str
    value: Any
    rows: tuple[Distribution, ...] = ()


class FileBytes(Struct, frozen=True):
    """A file as declared, with its computed content."""

    content: bytes
    owner: str
    group: str
    mode: int
    #: whether a failure must not show the content
    secret: bool = False


class Archive(Struct, frozen=True):
    """A package archive. Its address, its suites and the place of its key may depend on the host's distribution."""

    name: str
    url: str
    components: tuple[str, ...]
    suites: tuple[str, ...]
    #: of the keys that may sign it. If none is declared: for Docker's archive the keys that Docker publishes, for other
    #: archives any key
    fingerprints: tuple[str, ...]
    docker: bool = False
