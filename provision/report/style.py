"""How a word is shown: a function of the text and what kind of word it is."""

from __future__ import annotations

from collections.abc import Callable

Style = Callable[[str, str], str]


def plain(text: str, kind: str) -> str:
    """No colour."""
    return text
