"""JSON as people break it: read to the end in spite of its faults, so that one fault does not hide the others.

What it yields is strict all the same: every departure from RFC 8259 is a fault with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from provision.errors import Where
from provision.lines import lines_of
from provision.text import limits
from provision.text.yamlfile import Map, Seq

Kind = Literal["syntax", "empty", "rest"]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[^\s,:{}\[\]\"']+")
_WORDS = {"true": True, "false": False, "null": None}
_NEARLY = {"True": True, "False": False, "None": None, "yes": True, "no": False, "on": True, "off": False}


class Fault(Struct, frozen=True):
    """``kind`` sets apart what some readers take: ``empty`` text, and a ``rest`` behind the end."""

    where: Where
    column: int
    message: str
    hint: str
    kind: Kind = "syntax"


class Parsed(Struct, frozen=True):
    """``value`` is what was meant, as far as can be told; ``twice`` are keys that stand twice."""

    value: Any
    faults: tuple[Fault, ...]
    twice: tuple[tuple[str, Where, Where], ...]


def parse(path: Path, text: str) -> Parsed:
    reader = _Reader(path, text.removeprefix("\ufeff"))
    value = reader.document()
    return Parsed(value, tuple(reader.faults), tuple(reader.twice))


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.at, self.depth = path, text, 0, 0
        self.faults: list[Fault] = []
        self.twice: list[tuple[str, Where, Where]] = []

    def document(self) -> Any:
        self.blank()
        if self.at == len(self.text):
            self.fault(self.at, "there is nothing in it", "an empty daemon.json is {}", "empty")
            return Map(here=self.where(0))
        value = self.value()
        self.blank()
        while self.at < len(self.text) and isinstance(value, Map) and self.text[self.at] in ',"':
            # A closing brace too early: what follows was meant to be inside.
            self.fault(self.at, "the object has ended before this", "take out the } above")
            self.members(value)
            self.blank()
        if self.at < len(self.text):
            rest = lines_of(self.text[self.at :])[0][:30]
            self.fault(self.at, f"there is something after the end: {rest!r}", "", "rest")
        return value

    def value(self) -> Any:
        self.blank()
        begin, rest = self.at, self.text[self.at : self.at + 1]
        if rest in ("{", "["):
            return self.nested(self.mapping if rest == "{" else self.sequence)
        if rest in ('"', "'"):
            return self.string()
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            try:
                return json.loads(number.group())
            except ValueError:  # Python reads no integer of more than 4,300 digits
                self.fault(begin, "the number is too long", "")
                return 0
        word = _WORD.match(self.text, self.at)
        if word is None:
            self.fault(begin, "a value is missing", "")
            return None
        self.at = word.end()
        if word.group() in _WORDS:
            return _WORDS[word.group()]
        if word.group() in _NEARLY:
            meant = json.dumps(_NEARLY[word.group()])
            self.fault(begin, f"JSON has no {word.group()}", f"write {meant}")
            return _NEARLY[word.group()]
        self.fault(begin, f"{word.group()[:30]} needs double quotes", "")
        return word.group()

    def nested(self, read: Callable[[], Map | Seq]) -> Map | Seq | None:
        """One level further down; what is deeper than the limit is not read at all."""
        if self.depth >= limits.of(limits.DEPTH):
            self.fault(self.at, f"the value is nested {limits.more(limits.DEPTH)}", limits.hint(limits.DEPTH))
            self.at = len(self.text)
            return None
        self.depth += 1
        try:
            return read()
        finally:
            self.depth -= 1

    def mapping(self) -> Map:
        found = Map(here=self.where(self.at))
        begin = self.at
        self.at += 1
        if not self.members(found):
            self.fault(begin, "this { is never closed", "a } is missing at the end")
        return found

    def members(self, found: Map) -> bool:
        """Keys and values up to the closing brace, or to the end of the text (then False)."""
        comma, end = -1, self.at
        first = not found
        while True:
            self.blank()
            if self.at == len(self.text):
                return False
            here = self.text[self.at]
            if here == "}":
                if comma >= 0:
                    self.fault(comma, "a comma too many", "nothing follows it")
                self.at += 1
                return True
            if here == ",":
                if comma >= 0 or first:
                    self.fault(self.at, "a comma too many", "")
                comma = self.at
                self.at += 1
                continue
            if here in "]{[:":
                self.fault(self.at, f"no {here} is expected here", "")
                self.at += 1
                continue
            if not first and comma < 0:
                self.fault(end, "a comma is missing", "at the end of this line" if self.newline(end) else "")
            first, comma = False, -1
            self.member(found)
            end = self.at

    def member(self, found: Map) -> None:
        place = self.where(self.at)
        begin = self.at
        if self.text[self.at] in "\"'":
            key = self.string()
        else:
            word = _WORD.match(self.text, self.at)
            key = word.group() if word else self.text[self.at]
            self.at += len(key)
            self.fault(begin, f"the key {key[:30]} needs double quotes", "")
        self.blank()
        if self.text[self.at : self.at + 1] == ":":
            self.at += 1
        else:
            equals = self.text[self.at : self.at + 1] == "="
            self.fault(self.at, f"a colon is missing after {key!r}", "JSON has : and not =" if equals else "")
            self.at += equals
        value = self.value()
        if key in found:
            self.twice.append((key, place, found.where[key]))
        found[key] = value
        found.where[key] = place

    def sequence(self) -> Seq:
        found = Seq(here=self.where(self.at))
        begin, comma, end = self.at, -1, self.at
        self.at += 1
        while True:
            self.blank()
            here = self.text[self.at : self.at + 1]
            if here == "]":
                if comma >= 0:
                    self.fault(comma, "a comma too many", "nothing follows it")
                self.at += 1
                return found
            if here in ("", "}", ":"):
                self.fault(begin, "this [ is never closed", "a ] is missing")
                return found
            if here == ",":
                if comma >= 0 or not found:
                    self.fault(self.at, "a comma too many", "")
                comma = self.at
                self.at += 1
                continue
            if found and comma < 0:
                self.fault(end, "a comma is missing", "")
            comma = -1
            found.where.append(self.where(self.at))
            found.append(self.value())
            end = self.at

    def string(self) -> str:
        quote, begin = self.text[self.at], self.at
        if quote == "'":
            self.fault(begin, "text stands in double quotes", "write \" and not '")
        self.at += 1
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "\n":
                break
            if here == quote:
                self.at += 1
                return self.unescaped(begin, self.text[begin + 1 : self.at - 1])
            self.at += 2 if here == "\\" else 1
        self.at = min(self.at, len(self.text))
        self.fault(begin, "the quote is never closed", 'a " is missing')
        return self.text[begin + 1 : self.at].rstrip().rstrip(",")

    def unescaped(self, begin: int, raw: str) -> str:
        try:
            text: str = json.loads(f'"{raw}"') if '"' not in raw.replace('\\"', "") else raw
        except ValueError as error:
            self.fault(begin, f"not a text of JSON: {getattr(error, 'msg', error)}", "a backslash is written \\\\")
            return raw
        return text

    def blank(self) -> None:
        """Blanks, and comments, which JSON has not."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t\r\n":
                self.at += 1
                continue
            for mark, end in (("//", "\n"), ("#", "\n"), ("/*", "*/")):
                if self.text.startswith(mark, self.at):
                    self.fault(self.at, "JSON has no comments", "")
                    stop = self.text.find(end, self.at)
                    self.at = len(self.text) if stop < 0 else stop + len(end)
                    break
            else:
                return

    def newline(self, at: int) -> bool:
        return self.text[at:].lstrip(" \t\r").startswith("\n")

    def where(self, at: int) -> Where:
        return Where(self.path, self.text.count("\n", 0, at) + 1)

    def fault(self, at: int, message: str, hint: str, kind: Kind = "syntax") -> None:
        column = at - self.text.rfind("\n", 0, at)
        self.faults.append(Fault(self.where(at), column, message, hint, kind))
