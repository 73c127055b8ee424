"""Text taken apart as POSIX does it: at newlines and ASCII blanks alone.

``str.splitlines`` ends a line at eight more characters (U+0085, U+2028, ...), and ``str.split`` and ``str.strip`` take
every blank of Unicode for one. A host's programs do neither, so a comment, a path or a user's full name with such a
character would become two lines of which neither means anything.
"""

from __future__ import annotations

import re

#: What isspace(3) takes for a blank in the POSIX locale.
BLANK = " \t\n\v\f\r"
_BLANKS = re.compile(f"[{BLANK}]+")


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their newlines. A newline at the end begins no further line. A carriage return
    stays a part of its line."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def words_of(text: str) -> list[str]:
    """The words between ASCII blanks; none in a text of blanks alone."""
    return [word for word in _BLANKS.split(text) if word]
