"""A file: its bytes, owner, group and mode; or its absence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from provision.model import Call, Drift, HostReport, State, Withheld
from provision.remote.frames import KEPT, row
from provision.remote.protocol import decoded
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.observed import ABSENT, digest, disclosed, observe, shown
from provision.resources.obstacle import Unfixable
from provision.secrets.disclosure import open_mode, readable, withheld
from provision.secrets.secret import holds, reveal_bytes
from provision.steps.files import own_file, put_file, remove_file
from provision.steps.services import svc_reread, svc_retire

#: The file of a unit that can be stopped, without the suffix of a service: systemd.unit(5), and init scripts of OpenRC.
#: A template is none ("NAME@.service").
_UNIT = re.compile(
    r"/etc/(?:systemd/system/(?P<unit>[^/]+?(?<!@)(?:(?=\.service)|\.(?:socket|timer|path|mount|automount|swap|target)))"
    r"(?:\.service)?|init\.d/(?P<script>[^/]+))"
)


class File(Base, frozen=True):
    """``same`` says whether another content means the same, for formats in which different bytes can have the same
    meaning: a file that differs only in form is left unchanged. ``data`` is what a content in JSON means, for the steps
    that check it. The content of a ``secret`` file is never shown, not even its
    hash. For a file that not every user of the host may read, only sizes and keyed hashes are shown
    (:mod:`provision.secrets.disclosure`). A ``literal`` content is exact bytes, from a file or from a host: it contains
    no tokens.
    """

    kind = "file"
    entry = "file"

    path: str
    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    watchers: tuple[str, ...] = ()
    same: Callable[[bytes], bool] | None = None
    data: Mapping[str, Any] | None = None
    secret: bool = False
    literal: bool = False

    @property
    def hidden(self) -> bool:
        """True if the content is, or holds, a secret."""
        return self.secret or (not self.literal and holds(self.content))

    def want(self) -> State:
        return {"content": self._declared(), "owner": self.owner, "group": self.group, "mode": self.mode}

    def look(self) -> tuple[Call, ...]:
        """A look asks only for the hash of a secret, because the host stores what a look reports."""
        return (Call("look_sums" if self.hidden else "look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        file = observe(report, self.path)
        if file.kind == ABSENT:
            return {}
        if not file.regular:
            return {"type": file.kind}
        state = {"owner": file.owner, "group": file.group, "mode": file.mode}
        content = self.content if self.literal else reveal_bytes(self.content)
        alike = self.same is not None and file.content is not None and self.same(file.content)
        if alike or file.sha256 == digest(content):
            return {**state, "content": self._declared()}
        if self.hidden:
            return {**state, "content": Withheld("another content, not shown")}
        if not open_mode(self.mode):
            return {**state, "content": withheld(file.sha256, report.salt, file.size)}
        return {**state, "content": disclosed(file, report)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        write: Callable[..., Call] = own_file
        if "content" in drift:
            write = partial(put_file, watchers=self.watchers, data=self.data)
        yield write(
            self.path,
            content=self.content,
            owner=self.owner,
            group=self.group,
            mode=self.mode,
            literal=self.literal,
            private=self.secret,
        )

    def _declared(self) -> str:
        if self.hidden:
            # A rollback restores a private file as it was: its manifest, for example, has no secret.
            return Withheld("the earlier content, not shown" if self.literal else "the declared secret")
        if not open_mode(self.mode):
            return Withheld(f"the declared {len(self.content)} bytes, not shown")
        return shown(self.content)


class OfFile(Base, frozen=True):
    """A resource that is a ``file``, and more: whether the host needs the file, or what must have read it."""

    file: File

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def makes(self) -> tuple[str, ...]:
        return self.file.makes

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def content(self) -> bytes:
        return self.file.content


class NoFile(Base, frozen=True):
    """A path that must not exist: the spec says so, or a play that made it no longer declares it."""

    kind = "file"
    desired = ("file", ABSENT)
    looks = "look_files"

    path: str
    watchers: tuple[str, ...] = ()

    def seen(self, report: HostReport) -> State:
        if report.get("file", self.path) is None:  # not declared now: only the look of the manifest has read it
            return {"file": report.fields("made", self.path)[0]}
        file = observe(report, self.path)
        if file.kind == ABSENT:
            return {"file": ABSENT}
        return {"file": disclosed(file, report) if file.regular else "present"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        unit = _UNIT.fullmatch(self.path)
        if unit is not None:
            yield svc_retire(unit["unit"] or unit["script"], path=self.path)
        yield remove_file(self.path, watchers=self.watchers)
        if unit is not None:
            yield svc_reread()


def _restored(line: d.Line, record: d.Record) -> d.Restored:
    path = line.rest
    stat, encoded = record.report.fields("kept", path)
    what, mode, owner, group = row(stat, KEPT, "the state of a kept file").groups()
    if not what.startswith("regular"):
        raise Unfixable(f"{path} was a {what}; restore it by hand")
    # A diff of a file that not every user of the host may read could show a secret.
    private = not readable(record.report, path, mode)
    watchers = record.watchers.get(path, ())
    content, mode = decoded(encoded), f"{int(mode, 8):04o}"
    yield File(path, content, owner, group, mode, watchers, secret=private, literal=True)


def _gone(path: str, watchers: d.Watchers) -> NoFile:
    return NoFile(path, watchers.get(path, ()))


_LINES = {
    "file": d.RecordLine("undo_file", _restored),
    "absent": d.RecordLine("undo_one", lambda line, record: [_gone(line.rest, record.watchers)]),
}
DECLARATION = d.Declaration(
    kinds={"file": d.Kind("keep_file", _LINES, d.Stage.FILES, str)},
    entries={"file": d.Entry(lambda rest, before, watchers: _gone(rest, watchers), field="files")},
)
