"""A directory: its existence, its owner, and who may read it. Its content is not read."""

from __future__ import annotations

from collections.abc import Iterator

from provision.model import Call, Drift, HostReport, State
from provision.remote.frames import OWNED, row
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.observed import ABSENT, observe
from provision.resources.obstacle import Unfixable
from provision.steps.files import folder_put


class Folder(Base, frozen=True):
    """An operator's data may be in it, so no manifest names it, and no later run removes it."""

    kind = "folder"
    looks = "look_files"

    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0755"

    def want(self) -> State:
        return {"type": "directory", "owner": self.owner, "group": self.group, "mode": self.mode}

    def seen(self, report: HostReport) -> State:
        found = observe(report, self.path)
        if found.kind == ABSENT:
            return {}
        return {"type": found.kind, "owner": found.owner, "group": found.group, "mode": found.mode}

    def fix(self, drift: Drift) -> Iterator[Call]:
        if drift.seen and drift.seen["type"] != "directory":
            raise Unfixable(f"{self.path} is a {drift.seen['type']}, but a directory is declared here")
        yield folder_put(self.path, owner=self.owner, group=self.group, mode=self.mode)


class GuardedFolder(Base, frozen=True):
    """A directory into which only root may write. Another account with write permission could replace each file in it,
    regardless of the file's owner. The step that writes into a missing directory creates it. Read permissions are left
    unchanged."""

    kind = "folder"
    desired = ("written by", "root")
    looks = "look_files"

    path: str

    def seen(self, report: HostReport) -> State:
        found = observe(report, self.path)
        others = 0o002 if found.group == "root" else 0o022
        if found.kind != "directory" or (found.owner == "root" and not int(found.mode, 8) & others):
            return self.want()
        return {
            "written by": f"others ({found.owner}:{found.group}, {found.mode})",
            "group": found.group,
            "mode": found.mode,
        }

    def fix(self, drift: Drift) -> Iterator[Call]:
        # The sticky bit and the set-group-id bit have no effect where only root writes.
        mode = f"{int(drift.seen['mode'], 8) & 0o755 | 0o700:04o}"
        yield folder_put(self.path, owner="root", group=drift.seen["group"], mode=mode)


def _directory(seen: str) -> str:
    """A directory's words without times and size, which change with its content. See ``base_now`` in the host's
    script."""
    kind, *fields = seen.split(":")
    return ":".join((kind, *fields[:3], *fields[4:5]))


class KeptFolder(Folder, frozen=True):
    """A directory with the owner, the group (numbers) and the mode that it had before a run."""

    looks = "look_owned"

    def seen(self, report: HostReport) -> State:
        (seen,) = report.fields("owned", self.path)
        if seen == ABSENT:
            return {}
        kind, _, numbers = seen.partition(":")
        owner, group, mode = row(numbers, OWNED, "the owner, the group and the mode of a directory").groups()
        return {"type": kind, "owner": owner, "group": group, "mode": mode}


def _owned(line: d.Line, record: d.Record) -> d.Restored:
    owner, group, mode = row(line.word, OWNED, "the owner, the group and the mode of a directory").groups()
    yield KeptFolder(line.rest, owner, group, mode)


#: An existing directory, and the directories that are created for a file.
_LINES = {
    "owned": d.RecordLine("undo_owned", _owned),
    "folder": d.RecordLine("undo_one", None, lambda line, report: f"directory {line.rest}, which the run created"),
}
DECLARATION = d.Declaration(kinds={"folder": d.Kind("keep_folder", _LINES, d.Stage.OBJECTS, _directory)})
