"""Makes text of a host, a file or a person safe to show: it cannot control the terminal, hide text, reorder text or
forge a line, and its length is limited. Everything that provision shows passes through this module once."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

#: Characters that are printable by category and still show nothing: Default_Ignorable_Code_Point of Unicode 15 (those
#: of the categories M and L), and the blank pattern of Braille.
_BLANK = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)
#: The most combining marks on one character: more than any script uses. Further marks are shown as escapes.
_MARKS = 4
#: The longest line that is shown, and the longest text of several lines, in characters.
LINE, TEXT = 10_000, 200_000
#: Characters reserved for the note that says how many characters were left out.
_ROOM = 40


class _Table(dict[int, str]):
    """For ``str.translate``: each character that occurs -> how it is shown."""

    def __missing__(self, code: int) -> str:
        shown = chr(code)
        # Not printable (str.isprintable) are the Unicode categories C and Z, except the ASCII blank.
        if not shown.isprintable() or any(first <= code <= last for first, last in _BLANK):
            shown = _escape(code)
        self[code] = shown
        return shown


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TEXT = _Table({ord(kept): kept for kept in "\t\n"})
_LINE = _Table({ord("\t"): "\\t", ord("\n"): "\\n"})


def visible(text: str, most: int = TEXT) -> str:
    """A text of several lines, with invisible characters as escapes: ``\\x1b``, ``\\u202e``. A byte that is not UTF-8
    is shown as that byte. Shows at most ``most`` characters of the text."""
    return _shown(text, most, _TEXT)


def line(text: str, most: int = LINE) -> str:
    """The same for a text of one line: a newline is shown as ``\\n``, a tab as ``\\t``."""
    return _shown(text, most, _LINE)


def _shown(text: str, most: int, table: _Table) -> str:
    if len(text) <= most:
        if text.isascii() and text.isprintable():
            return text
        shown = _thinned(text.translate(table))
        if len(shown) <= most:
            return shown
    kept, room = 0, most - _ROOM
    for character in text:
        room -= len(table[ord(character)])
        if room < 0:
            break
        kept += 1
    # Marks that are shown as escapes make the text longer. A cut text has few characters left for them.
    return f"{_thinned(text[:kept].translate(table))[: most - _ROOM]}... ({len(text) - kept} more characters)"


def _thinned(text: str) -> str:
    """Show combining marks beyond the limit as escapes: an endless stack of them reaches into the lines above."""
    if text.isascii():
        return text
    return "".join(c if stacked <= _MARKS else _escape(ord(c)) for c, stacked in _stacked(text))


def _stacked(text: str) -> Iterator[tuple[str, int]]:
    """Each character, and its number among the combining marks on one base."""
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        yield character, marks


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that is safe on a terminal, and from which a program reads the same value: invisible characters are written
    as JSON's own escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(_in_json(character, stacked) for character, stacked in _stacked(text))


def _in_json(character: str, stacked: int) -> str:
    if character == _TEXT[ord(character)] and stacked <= _MARKS:
        return character
    # The json module does not escape DEL.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def say(text: str, out: TextIO | None = None) -> None:
    """Print a message of one line to ``out``, or to standard error. A message is lost when standard error cannot be
    written (a full disk): the exit code reports the same."""
    with contextlib.suppress(*((OSError,) if out is None else ())):
        print(line(text), file=out or sys.stderr)


def show(text: str, out: TextIO | None = None) -> None:
    """Print a text of several lines to ``out``, or to standard output. Each line is provision's own text, or
    :func:`line` has made it safe before."""
    print(visible(text, sys.maxsize), file=out or sys.stdout, end="")


def told(error: OSError) -> str:
    """An operating system's error in words, with the name of its file."""
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename is not None else why


def discard(stream: TextIO) -> None:
    """Discard what is written to a stream from now on, and what its buffer holds: its reader has ended, or its disk is
    full. Does nothing where the stream is not a file."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
