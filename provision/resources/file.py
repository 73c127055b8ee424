"""A file: its bytes, owner, group and mode; or its absence."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State, Withheld
from provision.resources.observed import ABSENT, digest, disclosed, observe, shown
from provision.secrets.disclosure import open_mode, withheld
from provision.secrets.secret import foreign, holds, reveal_bytes


class File(Struct, frozen=True):
    """``same`` maps a content to its canonical form, for formats in which different bytes mean the same;
    a file that differs only in form is left as it is. What a ``secret`` one holds is never shown, not even its hash.
    Of one that not every user of the host may read only sizes and keyed hashes are
    (:mod:`provision.secrets.disclosure`).
    A ``literal`` one is these very bytes, from a file or from a host: nothing in them is a token.
    """

    path: str
    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    watchers: tuple[str, ...] = ()
    same: Callable[[bytes], bytes | None] | None = None
    secret: bool = False
    literal: bool = False

    @property
    def hidden(self) -> bool:
        """Whether it is, or holds, a secret."""
        return self.secret or (not self.literal and holds(self.content))

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"file {self.path}",)

    def want(self) -> State:
        return {"content": self._declared(), "owner": self.owner, "group": self.group, "mode": self.mode}

    def look(self) -> tuple[Call, ...]:
        """Of what is a secret only the hash is asked for: what a look sees is written down on the host."""
        return (Call("look_sums" if self.hidden else "look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        file = observe(report, self.path)
        if file.kind == ABSENT:
            return {}
        if not file.regular:
            return {"type": file.kind}
        state = {"owner": file.owner, "group": file.group, "mode": file.mode}
        if file.sha256 == digest(self._bytes()) or self._means_the_same(file.content):
            return {**state, "content": self._declared()}
        if self.hidden:
            return {**state, "content": Withheld("another secret")}
        if not open_mode(self.mode):
            return {**state, "content": withheld(file.sha256, report.salt, file.size)}
        return {**state, "content": disclosed(file, report)}

    def fix(self, drift: Drift) -> Iterator[Call]:
        ownership = (self.path, self.owner, self.group, self.mode)
        if "content" in drift:
            yield put(*ownership, self.content, self.watchers, literal=self.literal, private=self.secret)
        else:
            # The content goes along for a directory in which the name may stand for another file by then.
            made = put(*ownership, self.content, literal=self.literal, private=self.secret)
            yield Call("own_file", made.args, replaces=(self.path,), private=made.private)

    def _bytes(self) -> bytes:
        return self.content if self.literal else reveal_bytes(self.content)

    def _declared(self) -> str:
        if self.hidden:
            return Withheld("the declared secret")
        if not open_mode(self.mode):
            return Withheld(f"the declared {len(self.content)} bytes, not shown")
        return shown(self.content)

    def _means_the_same(self, content: bytes | None) -> bool:
        return self.same is not None and content is not None and self.same(content) == self.same(self.content)


class NoFile(Struct, frozen=True):
    """A path where nothing must be: declared so, or made by a play that no longer declares it."""

    path: str
    watchers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"file": ABSENT}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_files", (self.path,)),)

    def seen(self, report: HostReport) -> State:
        if report.get("file", self.path) is None:  # not declared this time: the manifest's own look knows it
            return {"file": report.fields("made", self.path)[0]}
        file = observe(report, self.path)
        if file.kind == ABSENT:
            return {"file": ABSENT}
        return {"file": disclosed(file, report) if file.regular else "present"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("remove_file", (self.path,), replaces=(self.path,), disturbs=self.watchers)


def put(
    path: str,
    owner: str,
    group: str,
    mode: str,
    content: bytes,
    watchers: tuple[str, ...] = (),
    *,
    literal: bool = False,
    private: bool = False,
) -> Call:
    """The call that writes a file: text as it is, so that a person can read the script; the rest in base64. In
    ``literal`` content nothing is a token. No plan shows a content that is ``private``, or that the mode keeps from
    some users of the host."""
    words = (path, owner, group, mode, *encoded(content, literal))
    hidden = (len(words) - 1,) if private or not open_mode(mode) else ()
    return Call("put_file", words, replaces=(path,), disturbs=watchers, private=hidden)


def encoded(content: bytes, literal: bool = False) -> tuple[str, str]:
    """``text`` or ``base64``, and the word that stands for the bytes."""
    text = None if b"\0" in content else _utf8(content)
    if text is None:
        return "base64", base64.b64encode(content).decode()
    return "text", foreign(text) if literal else text


def written(call: Call) -> bytes:
    """The bytes that a call of :func:`put` writes."""
    encoding, word = call.args[4:6]
    return base64.b64decode(word) if encoding == "base64" else word.encode("utf-8", "surrogateescape")


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
