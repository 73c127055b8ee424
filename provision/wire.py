"""What a host's script sends: frames of fields, decoded as they come, and the state that a look reports.

A frame is a count, a semicolon and that many netstrings, then a newline: ``2;4:file,6:/etc/x,\\n``.

This is where text from a host comes in, so this is where it loses what could be taken for a secret's token:
:class:`Frames` sees to the fields, :func:`text` and :func:`parsed` to what is packed in them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from provision.model import Salt
from provision.secret import each, foreign

#: The script's first line; the number is the version of what follows.
BEGIN = b"provision 1\n"


class WireError(Exception):
    """What came is not what our script sends."""


class Frames:
    """Decode a stream of frames; feed it bytes as they arrive."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> Iterator[tuple[str, ...]]:
        """The frames that are complete now. Raises :class:`WireError` at the first byte that fits no frame."""
        self._rest += data
        if not self._begun:
            # Whatever a login shell's start files printed comes before our first line.
            _, begin, rest = self._rest.partition(BEGIN)
            if not begin:
                return
            self._begun, self._rest = True, rest
        while (frame := self._next()) is not None:
            yield frame

    @property
    def unfinished(self) -> bool:
        return bool(self._rest)

    def _next(self) -> tuple[str, ...] | None:
        count, position = self._number(0, b";")
        if count is None:
            return None
        fields = []
        for _ in range(count):
            length, start = self._number(position, b":")
            if length is None or len(self._rest) <= start + length:
                return None
            if self._rest[start + length : start + length + 1] != b",":
                raise WireError(f"not a frame: {self._rest[:80]!r}")
            fields.append(text(self._rest[start : start + length]))
            position = start + length + 1
        if len(self._rest) <= position:
            return None
        if self._rest[position : position + 1] != b"\n":
            raise WireError(f"not a frame: {self._rest[:80]!r}")
        self._rest = self._rest[position + 1 :]
        return tuple(fields)

    def _number(self, start: int, end: bytes) -> tuple[int | None, int]:
        """The number from ``start`` to ``end``, and the place behind it; ``None`` while it is not complete."""
        stop = self._rest.find(end, start, start + 12)
        digits = self._rest[start : stop if stop >= 0 else start + 11]
        if digits and not digits.isdigit():
            raise WireError(f"not a frame: {self._rest[:80]!r}")
        if stop < 0:
            if len(digits) > 10:
                raise WireError(f"not a frame: {self._rest[:80]!r}")
            return None, start
        if not digits:
            raise WireError(f"not a frame: {self._rest[:80]!r}")
        return int(digits), stop + 1


class Seen:
    """A :class:`~provision.model.Report`: the fields that a look sent, by kind and key."""

    def __init__(
        self,
        frames: Mapping[tuple[str, str], tuple[str, ...]],
        pending: frozenset[str] = frozenset(),
        contents: Mapping[str, bytes] = MappingProxyType({}),
        salt: Salt = Salt(),  # noqa: B008 - frozen
    ) -> None:
        self._frames = frames
        self._contents = contents
        self.pending = pending
        self.salt = salt

    @classmethod
    def of(cls, frames: list[tuple[str, ...]]) -> Seen:
        """Raises :class:`WireError` when a file changed while it was looked at, or holds NUL bytes where none fit."""
        fields = {(frame[0], frame[1] if len(frame) > 1 else ""): frame[2:] for frame in frames}
        return cls(fields, contents=_cut(fields))

    def after(self, paths: frozenset[str]) -> Seen:
        """The same report, for a resource that comes after changes to ``paths``."""
        return Seen(self._frames, self.pending | paths, self._contents, self.salt)

    def salted(self, salt: Salt) -> Seen:
        """The same report, whose values that are not shown have hashes under this salt."""
        return Seen(self._frames, self.pending, self._contents, salt)

    def fields(self, kind: str, key: str = "") -> tuple[str, ...]:
        return self._frames[kind, key]

    def get(self, kind: str, key: str = "") -> tuple[str, ...] | None:
        return self._frames.get((kind, key))

    def content(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def all(self, kind: str) -> dict[str, tuple[str, ...]]:
        return {key: fields for (name, key), fields in self._frames.items() if name == kind}


#: The last file of every piece of contents; its text without the newline that the shell cuts off.
_SENTINEL = b"Linux"


def _cut(fields: Mapping[tuple[str, str], tuple[str, ...]]) -> dict[str, bytes]:
    """One piece with all small files' bytes -> the bytes of each, by the sizes that stat gave."""
    contents = {path: decoded(encoded[0]) for (kind, path), encoded in fields.items() if kind == "content"}
    sent, *paths = fields.get(("contents", ""), ("",))
    piece = sent.encode("utf-8", "surrogateescape")
    start = 0
    for path in paths:
        size = int(fields["file", path][0].rpartition(":")[2])
        contents[path] = piece[start : start + size]
        start += size
    if piece[start:] != (_SENTINEL if paths else b""):
        raise WireError("files changed while they were looked at")
    return contents


def decoded(field: str) -> bytes:
    """A field that was sent in base64."""
    return base64.b64decode(field)


def text(content: bytes) -> str:
    """A host's bytes as text, in which nothing is a token. ``encode("utf-8", "surrogateescape")`` gives the same bytes
    again, whatever they are."""
    return foreign(content.decode("utf-8", "surrogateescape"))


def parsed(field: str) -> Any:
    """JSON from a host: its escapes may spell what the field itself does not hold. Raises ``ValueError``."""
    return each(json.loads(field), foreign)
