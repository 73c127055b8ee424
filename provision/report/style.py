"""The style of a word: a function of the text and the kind of word."""

from __future__ import annotations

from collections.abc import Callable

Style = Callable[[str, str], str]


def plain(text: str, kind: str) -> str:
    """No colour."""
    return text
