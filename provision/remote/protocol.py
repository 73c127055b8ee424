"""The protocol of a host's script: frames of fields, decoded as they arrive, and the state that a look reports.

A frame is a count, a semicolon and that many netstrings, then a newline: ``2;4:file,6:/etc/x,\\n``.

Text from a host enters the program in this module. The module removes everything from it that could be taken for a
secret's token. :class:`Frames` does this for the fields; :func:`text` and :func:`parsed` do it for content that is
packed in a field.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from provision.model import ANSWER_LIMIT, Salt
from provision.secrets.secret import each, foreign

#: The script's first line. The number is the version of the frames that follow.
BEGIN = b"provision 1\n"


#: The maximum number of fields in one answer. Each field takes about 60 bytes of memory in addition to its text.
FIELDS = 500_000
#: The maximum number of bytes before the first line: output of the start files of a login shell.
NOISE = 1024 * 1024


class WireError(Exception):
    """The received bytes are not what provision's script sends."""


class TooMuch(WireError):
    """The host sent more than provision keeps of one answer."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the host sent more than {what}; the connection was closed")


def beyond(limit: int) -> TooMuch:
    """Return the error for an answer of more than ``limit`` bytes; it names the variable that raises the limit."""
    return TooMuch(f"{_size(limit)} in one answer (provision_answer_limit)")


def _size(limit: int) -> str:
    return f"{limit // 1024**2} MiB" if limit >= 1024**2 else f"{limit} bytes"


class Frames:
    """Decode a stream of frames; feed it bytes as they arrive.

    Every byte is read once and copied at most twice, for any size of the pieces. ``limit`` is the maximum number of
    bytes in the whole stream. A field length or a count that exceeds a limit is refused before the bytes arrive.
    """

    def __init__(self, limit: int = ANSWER_LIMIT) -> None:
        self._limit = limit
        self._taken = 0
        self._held = 0
        self._begun = False
        #: the last bytes that came before the first line
        self.noise = b""
        #: bytes that are not decoded yet
        self._rest = bytearray()
        #: of the frame in progress: its number of fields, its complete fields, and the length of the next field
        self._count: int | None = None
        self._fields: list[str] = []
        self._length: int | None = None
        self._left = FIELDS

    def feed(self, data: bytes) -> Iterator[tuple[str, ...]]:
        """Return the frames that are complete now. Raises :class:`WireError` at the first byte that fits no frame, and
        :class:`TooMuch` for more than the limits allow."""
        self._taken += len(data)
        if self._taken > self._limit:
            raise beyond(self._limit)
        self._rest += data
        if not self._begun and not self._begin():
            return
        rest, place = self._rest, 0
        try:
            while True:
                if self._count is None:
                    if (number := self._number(place, b";")) is None:
                        return
                    self._count, place = self._counted(*number)
                while len(self._fields) < self._count:
                    if self._length is None:
                        if (number := self._number(place, b":")) is None:
                            return
                        self._length, place = number
                        if self._length > self._limit:
                            raise beyond(self._limit)
                    end = place + self._length
                    if len(rest) <= end:
                        return
                    if rest[end] != _COMMA:
                        raise self._wrong(place)
                    self._fields.append(text(rest[place:end]))
                    self._length, place = None, end + 1
                if len(rest) <= place:
                    return
                if rest[place] != _NEWLINE:
                    raise self._wrong(place)
                frame, place = tuple(self._fields), place + 1
                self._count, self._fields = None, []
                yield frame
        finally:
            del rest[:place]

    @property
    def unfinished(self) -> bool:
        """True if a frame has begun and not ended. Noise before the first line is not a frame."""
        return self._begun and (bool(self._rest) or self._count is not None)

    def _begin(self) -> bool:
        """Skip what comes before the first line. Keep only bytes that may be the beginning of that line."""
        place = self._rest.find(BEGIN)
        if place >= 0:
            self._begun = True
            del self._rest[: place + len(BEGIN)]
            return True
        passed = max(0, len(self._rest) - len(BEGIN) + 1)
        # This includes what may be the beginning of the first line: if nothing follows, those bytes were noise too.
        self.noise = (self.noise[: len(self.noise) - self._held] + bytes(self._rest))[-_NOISE_KEPT:]
        self._held = min(len(self._rest) - passed, len(self.noise))
        del self._rest[:passed]
        if self._taken > NOISE:
            raise TooMuch(f"{_size(NOISE)} before the first line of its answer")
        return False

    def _counted(self, count: int, place: int) -> tuple[int, int]:
        """Check the number of fields of a frame, and return it with the place after it."""
        if not count:
            raise self._wrong(place)
        self._left -= count
        if self._left < 0:
            raise TooMuch(f"{FIELDS} fields in one answer")
        return count, place

    def _number(self, place: int, end: bytes) -> tuple[int, int] | None:
        """Return the number from ``place`` to ``end``, and the place after it; ``None`` where the rest has not
        arrived."""
        stop = self._rest.find(end, place, place + _DIGITS + 1)
        digits = self._rest[place : stop if stop >= 0 else place + _DIGITS + 1]
        if stop >= 0 and digits.isdigit():
            return int(digits), stop + 1
        if stop >= 0 or len(digits) > _DIGITS or (digits and not digits.isdigit()):
            raise self._wrong(place)
        return None

    def _wrong(self, place: int) -> WireError:
        return WireError(f"not a frame: {bytes(self._rest[place : place + 80])!r}")


#: How many bytes before the first line are kept for a message.
_NOISE_KEPT = 2000
#: The maximum number of digits in a number.
_DIGITS = 10
_COMMA, _NEWLINE = b",\n"


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
        """Raises :class:`WireError` when a file changed while the host read it, holds NUL bytes where none are allowed,
        or is reported without its state."""
        fields = {(frame[0], frame[1] if len(frame) > 1 else ""): frame[2:] for frame in frames}
        return cls(fields, contents=_cut(fields))

    @property
    def whole(self) -> Hashable:
        """Everything that the host reported. Two reports are equal if this value is equal."""
        return tuple(self._frames.items())

    def after(self, paths: frozenset[str]) -> Seen:
        """Return the same report, for a resource that comes after changes to ``paths``."""
        return Seen(self._frames, self.pending | paths, self._contents, self.salt)

    def salted(self, salt: Salt) -> Seen:
        """Return the same report; the hashes of values that are not shown use this salt."""
        return Seen(self._frames, self.pending, self._contents, salt)

    def fields(self, kind: str, key: str = "") -> tuple[str, ...]:
        """Raises :class:`WireError` for a thing that the look has not reported."""
        found = self._frames.get((kind, key))
        if found is None:
            raise WireError(f"nothing about {kind} {key[:200]!r}")
        return found

    def get(self, kind: str, key: str = "") -> tuple[str, ...] | None:
        return self._frames.get((kind, key))

    def content(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def all(self, kind: str) -> dict[str, tuple[str, ...]]:
        return {key: fields for (name, key), fields in self._frames.items() if name == kind}


#: The text of the last file in every piece of contents, without the newline, which the shell removes.
_SENTINEL = b"Linux"


def _cut(fields: Mapping[tuple[str, str], tuple[str, ...]]) -> dict[str, bytes]:
    """Split one piece with the bytes of all small files into the bytes of each file, by the sizes that stat gave."""
    contents = {path: decoded("".join(data)) for (kind, path), data in fields.items() if kind == "content"}
    sent, *paths = fields.get(("contents", ""), ("",))
    piece = sent.encode("utf-8", "surrogateescape")
    start = 0
    for path in paths:
        about = fields.get(("file", path), ("",))
        digits = about[0].rpartition(":")[2] if about else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
            raise WireError(f"{path[:200]} was reported without its size")
        contents[path] = piece[start : start + int(digits)]
        start += int(digits)
    if piece[start:] != (_SENTINEL if paths else b""):
        raise WireError("files changed while they were read")
    return contents


def decoded(field: str) -> bytes:
    """Decode a field that was sent in base64. Raises :class:`WireError` for invalid base64."""
    try:
        return base64.b64decode(field)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"not base64: {field[:80]!r}") from error


def text(content: bytes | bytearray) -> str:
    """A host's bytes as text that holds no token. ``encode("utf-8", "surrogateescape")`` restores exactly the same
    bytes."""
    return foreign(content.decode("utf-8", "surrogateescape"))


def parsed(field: str) -> Any:
    """Parse JSON that a program on the host printed. Decoded escapes may form a token that the field itself does not
    contain. Raises :class:`WireError` for invalid JSON, and for JSON that nests too deeply."""
    try:
        return each(json.loads(field), foreign)
    except RecursionError as error:
        raise WireError(f"JSON that nests too deeply: {field[:80]!r}") from error
    except ValueError as error:
        raise WireError(f"not JSON: {field[:80]!r}") from error
