"""Text split as POSIX does it: only at newlines and ASCII blanks.

``str.splitlines`` also ends a line at eight other characters (U+0085, U+2028, ...). ``str.split`` and ``str.strip``
treat every Unicode blank as one. A host's programs do neither. With those methods a comment, a path or a user's full
name that has such a character would become two lines without a meaning.
"""

from __future__ import annotations

import re

#: The characters that isspace(3) considers blank in the POSIX locale.
BLANK = " \t\n\v\f\r"
_BLANKS = re.compile(f"[{BLANK}]+")


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their newlines. A newline at the end starts no further line. A carriage return stays
    part of its line."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def words_of(text: str) -> list[str]:
    """The words between ASCII blanks; no words in a text that has only blanks."""
    return [word for word in _BLANKS.split(text) if word]
