"""A drop-in file of provision. A host whose own files already have the same settings does not need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from provision.model import Call, Drift, HostReport, State
from provision.resources.file import OfFile


class Elsewhere(Protocol):
    """Reports, from the result of ``look``, whether the host's other files have the settings of the drop-in."""

    @property
    def look(self) -> Call: ...

    def __call__(self, report: HostReport) -> bool: ...


class Dropin(OfFile, frozen=True):
    """``file`` is the drop-in itself. A host that has the same settings in third-party files is left unchanged."""

    elsewhere: Elsewhere

    def want(self) -> State:
        return self.file.want()

    def look(self) -> tuple[Call, ...]:
        return (*self.file.look(), self.elsewhere.look)

    def seen(self, report: HostReport) -> State:
        state = self.file.seen(report)
        return self.want() if not state and self.elsewhere(report) else state

    def fix(self, drift: Drift) -> Iterator[Call]:
        return self.file.fix(drift)
