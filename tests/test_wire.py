"""Frames: whatever a host sends, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.wire import BEGIN, Frames, Seen, WireError


def encode(*frames: tuple[str, ...]) -> bytes:
    """What `emit` of prelude.sh sends."""
    parts = []
    for frame in frames:
        fields = [field.encode() for field in frame]
        parts.append(b"%d;" % len(fields) + b"".join(b"%d:%s," % (len(f), f) for f in fields) + b"\n")
    return BEGIN + b"".join(parts)


FIELDS = st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=5).map(tuple), max_size=6)


@given(FIELDS, st.integers(1, 7))
def test_any_frames_in_any_pieces(frames: list[tuple[str, ...]], size: int) -> None:
    data, decoder = encode(*frames), Frames()
    found = []
    for start in range(0, len(data), size):
        found += list(decoder.feed(data[start : start + size]))
    assert found == frames
    assert not decoder.unfinished


def test_noise_before_the_begin_is_passed_over() -> None:
    decoder = Frames()
    assert list(decoder.feed(b"Welcome!\n1;5:noise,\n")) == []
    assert list(decoder.feed(encode(("a", "b")))) == [("a", "b")]


@pytest.mark.parametrize("data", [b"noise\n", b"1;3:abc.\n", b"1;3:abc,x", b"x;", b";", b"99999999999999;", b"1:3;"])
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        list(Frames().feed(BEGIN + data))


def test_an_unfinished_frame_is_known_as_such() -> None:
    decoder = Frames()
    assert list(decoder.feed(encode(("a", "b"))[:-3])) == []
    assert decoder.unfinished


def test_bytes_that_are_no_utf8_survive() -> None:
    decoder = Frames()
    (frame,) = decoder.feed(BEGIN + b"1;3:\xff\x80\x81,\n")
    assert frame[0].encode("utf-8", "surrogateescape") == b"\xff\x80\x81"


def test_contents_are_cut_by_the_sizes_of_stat() -> None:
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
