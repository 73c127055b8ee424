"""A drop-in file of provision. A host whose own files already have the same settings does not need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State
from provision.resources.file import File


class Elsewhere(Protocol):
    """Reports, from the result of ``look``, whether the host's other files have the settings of the drop-in."""

    @property
    def look(self) -> Call: ...

    def __call__(self, report: HostReport) -> bool: ...


class Dropin(Struct, frozen=True):
    """``file`` is the drop-in itself. A host that has the same settings in third-party files is left unchanged."""

    file: File
    elsewhere: Elsewhere

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def content(self) -> bytes:
        return self.file.content

    @property
    def makes(self) -> tuple[str, ...]:
        return self.file.makes

    def want(self) -> State:
        return self.file.want()

    def look(self) -> tuple[Call, ...]:
        return (*self.file.look(), self.elsewhere.look)

    def seen(self, report: HostReport) -> State:
        state = self.file.seen(report)
        return self.want() if not state and self.elsewhere(report) else state

    def fix(self, drift: Drift) -> Iterator[Call]:
        return self.file.fix(drift)
