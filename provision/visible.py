"""Text of a host, a file or a person, fit to be shown: it drives no terminal, hides nothing, reorders nothing, forges
no line, and its length is bounded. Everything that is shown goes through here once."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

#: What is printable by its category and shows nothing all the same: Default_Ignorable_Code_Point of Unicode 15 (those
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
#: Combining marks on one character: more than any script stacks. The rest is shown apart.
_MARKS = 4
#: The longest line that is shown, and the longest text of several lines, in characters.
LINE, TEXT = 10_000, 200_000
#: Characters for the words that say how much was left out.
_ROOM = 40


class _Table(dict[int, str]):
    """For ``str.translate``: each character that is met, as it is shown."""

    def __missing__(self, code: int) -> str:
        shown = chr(code)
        # Not printable (str.isprintable) are the categories C and Z of Unicode, but for the blank.
        if not shown.isprintable() or any(first <= code <= last for first, last in _BLANK):
            shown = _escape(code)
        self[code] = shown
        return shown


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (PEP 383)
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TEXT = _Table({ord(kept): kept for kept in "\t\n"})
_LINE = _Table({ord("\t"): "\\t", ord("\n"): "\\n"})


def visible(text: str, most: int = TEXT) -> str:
    """A text of several lines, with what would not be seen as escapes: ``\\x1b``, ``\\u202e``; a byte that is no text
    as that byte. At most ``most`` characters of it."""
    return _shown(text, most, _TEXT)


def line(text: str, most: int = LINE) -> str:
    """The same for what is one line: a newline is ``\\n``, a tab ``\\t``."""
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
    # Marks that are shown apart are longer; a cut text has few characters to spare for them.
    return f"{_thinned(text[:kept].translate(table))[: most - _ROOM]}... ({len(text) - kept} more characters)"


def _thinned(text: str) -> str:
    """Combining marks that stand on one another without end reach into the lines above."""
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
    """JSON that a terminal may show and a program reads back to the very same value: characters that would not be
    seen are JSON's own escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(_in_json(character, stacked) for character, stacked in _stacked(text))


def _in_json(character: str, stacked: int) -> str:
    if character == _TEXT[ord(character)] and stacked <= _MARKS:
        return character
    # json leaves DEL as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def say(text: str, out: TextIO | None = None) -> None:
    """Print one message of one line: to ``out``, or standard error. One that standard error does not take (a full disk)
    is lost: the exit code says the same."""
    with contextlib.suppress(*((OSError,) if out is None else ())):
        print(line(text), file=out or sys.stderr)


def show(text: str, out: TextIO | None = None) -> None:
    """Print a text of several lines, each of which is provision's own or was made a line before; to standard output
    where ``out`` is not given."""
    print(visible(text, sys.maxsize), file=out or sys.stdout, end="")


def told(error: OSError) -> str:
    """An operating system's error in words, with the file that it is about."""
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename is not None else why


def discard(stream: TextIO) -> None:
    """From here on what is written to a stream is lost, with what its buffer holds: its reader has ended, or its disk
    is full. Nothing where it is no file."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
