"""Lines of a report that fit: folded at the width of a terminal, and long ones cut in the middle."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from msgspec import Struct

_WORDS = re.compile(r"\s+|\S+")


class View(Struct, frozen=True):
    """How much of a plan is shown. ``diff``: the differences of files and values; ``verbose``: nothing is cut."""

    diff: bool = True
    verbose: bool = False


def fold(text: str, width: int | None, indent: int = 0) -> Iterator[str]:
    """The text in lines of at most ``width`` columns, of which all but the first are indented. With ``None`` no line is
    folded, because programs such as grep read a file or a pipe."""
    if width is None or cells(text) <= width:
        yield text
        return
    row = ""
    used = 0
    for word in _WORDS.findall(text):
        if used + cells(word) <= width:
            row, used = row + word, used + cells(word)
            continue
        if row.strip():
            yield row.rstrip()
            row, used = " " * indent, indent
        for character in word if not word.isspace() else "":
            if used + cells(character) > width and row.strip():
                yield row
                row, used = " " * indent, indent
            row, used = row + character, used + cells(character)
    if row.strip():
        yield row


def cells(text: str) -> int:
    """The columns that a text takes on a terminal: wide characters (Chinese, say) take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else not unicodedata.combining(one) for one in text)


def middle(lines: Sequence[str], most: int) -> tuple[Sequence[str], int, Sequence[str]]:
    """The beginning of ``lines``, the number of lines left out, and the end: ``most`` lines, including the line that
    reports the number. Up to a third more lines than ``most`` are not cut."""
    if len(lines) <= most + most // 3:
        return lines, 0, ()
    end = most // 3
    return lines[: most - end - 1], len(lines) - most + 1, lines[len(lines) - end :]
