"""Frames with any data that a host may send, in pieces of any size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.remote import protocol
from provision.remote.protocol import BEGIN, NOISE, Frames, Seen, TooMuch, WireError, parsed


def encode(*frames: tuple[str, ...]) -> bytes:
    """The frame that `emit` of prelude.sh sends."""
    parts = []
    for frame in frames:
        fields = [field.encode() for field in frame]
        parts.append(b"%d;" % len(fields) + b"".join(b"%d:%s," % (len(f), f) for f in fields) + b"\n")
    return BEGIN + b"".join(parts)


FIELDS = st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=5).map(tuple), max_size=6)


@pytest.mark.thorough
@settings(deadline=None)
@given(FIELDS, st.one_of(st.integers(1, 7), st.integers(8, 2000)))
def test_frames_are_decoded_from_pieces_of_any_size(frames: list[tuple[str, ...]], size: int) -> None:
    data, decoder = encode(*frames), Frames()
    found = []
    for start in range(0, len(data), size):
        found += list(decoder.feed(data[start : start + size]))
    assert found == frames
    assert not decoder.unfinished


@pytest.mark.thorough
@settings(deadline=None)
@given(FIELDS, st.lists(st.tuples(st.integers(0, 400), st.sampled_from(b"0123456789;:,\n\xffx")), max_size=3))
def test_any_bytes_give_the_same_in_one_piece_and_byte_by_byte(
    frames: list[tuple[str, ...]], changes: list[tuple[int, int]]
) -> None:
    data = bytearray(encode(*frames))
    for place, byte in changes:
        if len(data) > len(BEGIN):
            data[len(BEGIN) + place % (len(data) - len(BEGIN))] = byte

    def result(size: int) -> tuple[list[tuple[str, ...]], str, bool]:
        decoder, found = Frames(limit=5000), []
        try:
            for start in range(0, len(data), size):
                for frame in decoder.feed(bytes(data[start : start + size])):
                    found.append(frame)
        except WireError as error:
            return found, type(error).__name__, True
        return found, "", decoder.unfinished

    assert result(len(data)) == result(1)


def test_noise_before_the_first_frame_is_ignored() -> None:
    decoder = Frames()
    assert list(decoder.feed(b"Welcome!\n1;5:noise,\n")) == []
    assert list(decoder.feed(encode(("a", "b")))) == [("a", "b")]


@pytest.mark.parametrize("data", [b"noise\n", b"1;3:abc.\n", b"1;3:abc,x", b"x;", b";", b"99999999999999;", b"1:3;"])
def test_an_invalid_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError, match="not a frame"):
        list(Frames().feed(BEGIN + data))


def test_an_incomplete_frame_is_detected() -> None:
    decoder = Frames()
    assert list(decoder.feed(encode(("a", "b"))[:-3])) == []
    assert decoder.unfinished


def test_bytes_that_are_not_utf8_are_kept() -> None:
    decoder = Frames()
    (frame,) = decoder.feed(BEGIN + b"1;3:\xff\x80\x81,\n")
    assert frame[0].encode("utf-8", "surrogateescape") == b"\xff\x80\x81"


def test_contents_are_separated_by_the_sizes_that_stat_reports() -> None:
    frames = [
        ("file", "/a", "regular file:644:root:root:1:2:3:3"),
        ("file", "/b", "regular empty file:644:root:root:1:2:3:0"),
        ("file", "/c", "regular file:644:root:root:1:2:3:2"),
        ("contents", "", "a\n\n\n\nLinux", "/a", "/b", "/c"),
    ]
    seen = Seen.of(frames)
    assert (seen.content("/a"), seen.content("/b"), seen.content("/c")) == (b"a\n\n", b"", b"\n\n")
    with pytest.raises(WireError, match="changed while"):
        Seen.of([*frames[:3], ("contents", "", "a\n\n\nLinux", "/a", "/b", "/c")])


def test_a_report_has_fields_by_kind_and_key() -> None:
    seen = Seen.of([("swap",), ("user", "a", "1"), ("user", "b", "2", "3"), ("group", "a", "4")])
    assert seen.all("user") == {"a": ("1",), "b": ("2", "3")}
    assert seen.fields("swap") == ()
    assert (seen.get("group", "a"), seen.get("group", "b")) == (("4",), None)
    assert seen.content("/a") is None
    assert Seen.of([("content", "/a", "YW", "Jj")]).content("/a") == b"abc"


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of protocol.py ``work`` runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != protocol.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_the_cost_of_a_field_does_not_grow_with_the_number_of_fields() -> None:
    """Fields that have arrived are not decoded again with each piece."""

    def cost(fields: int) -> float:
        data, decoder = encode(("x" * 10,) * fields), Frames()
        pieces = [data[start : start + 16] for start in range(0, len(data), 16)]
        return lines_run(lambda: [list(decoder.feed(piece)) for piece in pieces]) / fields

    assert cost(2_000) < 1.5 * cost(200)


class Counted(bytearray):
    """A bytearray that counts the bytes that are copied into it, out of it, or searched."""

    work = 0

    def __iadd__(self, data: Any) -> Counted:  # type: ignore[misc]  # as bytearray has it
        Counted.work += len(data)
        super().__iadd__(data)
        return self

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        Counted.work += len(found) if isinstance(place, slice) else 1
        return found

    def find(self, what: Any, start: Any = 0, end: Any = None) -> int:
        Counted.work += (len(self) if end is None else min(end, len(self))) - start
        return super().find(what, start, end)


@pytest.mark.parametrize("fields", [1, 1000])
def test_an_answer_of_32_mib_is_copied_twice_and_not_searched_again(
    fields: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "bytearray", Counted, raising=False)
    Counted.work = 0
    size = 32 * 1024 * 1024
    data, decoder = encode(("x" * (size // fields),) * fields), Frames()
    assert isinstance(decoder._rest, Counted)
    for start in range(0, len(data), 32_768):
        (*found,) = decoder.feed(data[start : start + 32_768])
    assert len(found) == 1
    # Once into the buffer, once out of it, and a few digits for each field and piece.
    assert size <= Counted.work < 2.1 * size


def test_endless_noise_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "bytearray", Counted, raising=False)
    Counted.work = 0
    decoder = Frames()
    for _ in range(NOISE // 64):
        assert list(decoder.feed(b"x" * 64)) == []
    assert len(decoder._rest) < len(BEGIN)
    assert Counted.work < 3 * NOISE
    with pytest.raises(TooMuch, match="1 MiB before the first line"):
        list(decoder.feed(b"x"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"1;1001:", "more than 1000 bytes in one answer .provision_answer_limit."),
        (b"1;9999999999:", "more than 1000 bytes"),
        (b"9999999999;", "more than 500000 fields in one answer"),
        (b"500001;0:,", "more than 500000 fields"),
        (b"1;1:a,\n" * 200, "more than 1000 bytes"),
    ],
)
def test_an_announced_size_beyond_a_limit_is_refused_at_once(data: bytes, said: str) -> None:
    with pytest.raises(TooMuch, match=said):
        list(Frames(1000).feed(BEGIN + data))


def test_the_limit_of_fields_covers_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "FIELDS", 6)
    decoder = Frames()
    assert len(list(decoder.feed(encode(("a",) * 3, ("b",) * 3)))) == 2
    with pytest.raises(TooMuch, match="more than 6 fields"):
        list(decoder.feed(b"1;0:,\n"))


def test_a_frame_without_fields_is_invalid() -> None:
    with pytest.raises(WireError, match="not a frame"):
        list(Frames().feed(BEGIN + b"0;\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, r"JSON that nests too deeply: '\[{80}'"),
        ("{", "not JSON: '{'"),
        ("\x1b[2J", r"not JSON: '\\x1b\[2J'"),
    ],
)
def test_invalid_json_is_an_error_of_the_host(text: str, said: str) -> None:
    with pytest.raises(WireError, match=f"^{said}$"):
        parsed(text)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([("contents", "", "aLinux", "/a")], "/a was reported without its size"),
        ([("file", "/a", "regular file:644:root:root:1:2:3:-1"), ("contents", "", "Linux", "/a")], "without its size"),
        ([("file", "/a"), ("contents", "", "Linux", "/a")], "/a was reported without its size"),
        ([("content", "/a", "é")], "not base64"),
    ],
)
def test_a_look_that_contradicts_itself_is_an_error_of_the_host(frames: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(WireError, match=message):
        Seen.of(frames)
