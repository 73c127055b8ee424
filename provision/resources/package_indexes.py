"""The indexes of a host's declared repositories: a changed source file is followed by a refresh."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.resources.base import Base
from provision.steps.packages import INDEXES, pkg_refresh

_FRESH = "of the declared sources"


class PackageIndexes(Base, frozen=True):
    """The indexes are those of ``sources``, the source files of provision. They come after the packages, whose
    transaction refreshes them too. So this step is needed only if a source changes and no package does.

    A host does not report its indexes. If the run fails before the step, the host restores the source, and the next
    run changes it again.
    """

    sources: tuple[str, ...]
    lock_timeout: int = 300

    kind = "indexes"
    desired = ("indexes", _FRESH)
    name = "all"

    def seen(self, report: HostReport) -> State:
        old = INDEXES not in report.pending and not report.pending.isdisjoint(self.sources)
        return {"indexes": "from before a source changed" if old else _FRESH}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield pkg_refresh(lock_timeout=self.lock_timeout, sources=self.sources)
