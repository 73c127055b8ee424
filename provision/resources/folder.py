"""A folder: that it is there, whose it is, and who may look into it. What is in it is not looked at."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State
from provision.resources.observed import ABSENT, Observed, observe
from provision.resources.obstacle import Unfixable


class Folder(Struct, frozen=True):
    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0755"

    @property
    def id(self) -> str:
        return f"folder:{self.path}"

    @property
    def makes(self) -> tuple[str, ...]:
        """Somebody's data may be in it, so it stays."""
        return ()

    def want(self) -> State:
        return {"type": "directory", "owner": self.owner, "group": self.group, "mode": self.mode}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        found = observe(report, self.path)
        if found.kind == ABSENT:
            return {}
        return {"type": found.kind, "owner": found.owner, "group": found.group, "mode": found.mode}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.seen and drift.seen["type"] != "directory":
            raise Unfixable(f"{self.path} is a {drift.seen['type']}, where a folder is to be")
        ownership = (self.path, self.owner, self.group, self.mode)
        yield Call("folder_put", ownership, keeps=(("folder", self.path, ""),))


class GuardedFolder(Struct, frozen=True):
    """A folder into which root alone may write: another account that may can replace each file in it, whosever the
    file is. One that is absent is made by whatever writes into it; who may read it is left as it is."""

    path: str

    @property
    def id(self) -> str:
        return f"folder:{self.path}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"written by": "root"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        found = observe(report, self.path)
        if found.kind != "directory" or self._guarded(found):
            return self.want()
        return {
            "written by": f"others ({found.owner}:{found.group}, {found.mode})",
            "group": found.group,
            "mode": found.mode,
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        # The sticky bit and the set-group-id bit mean nothing where only root writes.
        mode = f"{int(drift.seen['mode'], 8) & 0o755 | 0o700:04o}"
        ownership = (self.path, "root", drift.seen["group"], mode)
        yield Call("folder_put", ownership, keeps=(("folder", self.path, ""),))

    def _guarded(self, found: Observed) -> bool:
        others = 0o002 if found.group == "root" else 0o022
        return found.owner == "root" and not int(found.mode, 8) & others
