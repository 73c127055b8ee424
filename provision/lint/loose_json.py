"""A tolerant JSON parser: it reads to the end in spite of faults, so that one fault does not hide the others.

It still reports strictly: every departure from RFC 8259 is a fault with its place.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from provision import limits
from provision.errors import Where
from provision.lines import lines_of
from provision.text.yamlfile import Map, Seq

Kind = Literal["syntax", "empty", "rest", "mark"]
#: The keys and indexes that lead to a value.
Place = tuple[str | int, ...]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_WORD = re.compile(r"[^\s,:{}\[\]\"'\uff0c\uff1a\uff5b\uff5d\uff3b\uff3d\u201c-\u201f\uff02\u2018\u2019\u3001]+")
_WORDS = {"true": True, "false": False, "null": None}
_NEARLY = {"True": True, "False": False, "None": None, "yes": True, "no": False, "on": True, "off": False}
#: Python's spellings: these words have one meaning; "yes" may also be meant as text.
_PYTHON = ("True", "False", "None")
#: Characters of input methods and word processors, and the JSON character that each stands for.
_WIDE = {
    "\uff0c": (",", "a full-width comma"),
    "\u3001": (",", "an ideographic comma"),
    "\uff1a": (":", "a full-width colon"),
    "\uff5b": ("{", "a full-width brace"),
    "\uff5d": ("}", "a full-width brace"),
    "\uff3b": ("[", "a full-width bracket"),
    "\uff3d": ("]", "a full-width bracket"),
}
_QUOTES = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2018\u2019", "a typographic quote"),
    "\uff02": "a full-width quote",
}
_BLANKS = {
    "\u00a0": "a no-break space",
    "\u3000": "an ideographic space",
    "\u200b": "a zero-width space",
    "\ufeff": "a byte order mark",
}


_LINE_END = re.compile(r"[ \t\r]*\n")
#: The reader stops after this many faults: a text may consist of faults only, and each costs more than a character.
_MOST = 1000
#: A key that is unambiguous even without its quotes.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Edit(Struct, frozen=True):
    """Replace the characters from ``begin`` to ``end`` by ``text``."""

    begin: int
    end: int
    text: str


class Fault(Struct, frozen=True):
    """``kind`` marks faults that some readers accept: ``empty`` text, a ``rest`` after the end, and a byte order
    ``mark`` at the start. ``edits`` remove the fault, where there is one way to do so."""

    where: Where
    column: int
    message: str
    hint: str
    kind: Kind = "syntax"
    edits: tuple[Edit, ...] = ()


class Span(Struct, frozen=True):
    """The place of an object's member in the text: its key, and its value."""

    key: tuple[int, int]
    value: tuple[int, int]


class Parsed(Struct, frozen=True):
    """``value`` is the intended value, as far as it is clear. ``twice`` are duplicate keys. ``spans`` has the places of
    all members and items (an item's key is its value)."""

    value: Any
    faults: tuple[Fault, ...]
    twice: tuple[tuple[str, Where, Where], ...]
    spans: dict[Place, Span]


def parse(path: Path, text: str) -> Parsed:
    """Read ``text`` to its end. Offsets in the result count from the start of the text, without a byte order mark."""
    reader = _Reader(path, text.removeprefix("\ufeff"))
    if text.startswith("\ufeff"):
        reader.fault(0, "the file begins with a byte order mark", "save it as UTF-8 without one", "mark")
    value = None
    try:
        if limits.parts(text) > limits.of(limits.NODES):
            reader.fault(0, f"the file has {limits.more(limits.NODES)}", limits.hint(limits.NODES))
        else:
            value = reader.document()
    except _TooMany:
        pass
    return Parsed(value, tuple(reader.faults), tuple(reader.twice), reader.spans)


class _TooMany(Exception):
    """The text has more faults than :data:`_MOST`."""


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.at, self.depth = path, text, 0, 0
        self.faults: list[Fault] = []
        self.twice: list[tuple[str, Where, Where]] = []
        self.spans: dict[Place, Span] = {}
        self.inside: Place = ()
        #: where each line but the first begins
        self._lines = [found.end() for found in re.finditer("\n", text)]

    def document(self) -> Any:
        self.blank()
        if self.at == len(self.text):
            self.fault(self.at, "the file is empty", "an empty daemon.json is {}", "empty")
            return Map(here=self.where(0))
        value = self.value()
        self.blank()
        while self.at < len(self.text) and isinstance(value, Map) and self.text[self.at] in ',"':
            # A closing brace too early: the text that follows belongs inside.
            self.fault(self.at, "the object ends before this", "remove the } above")
            self.members(value, "}")
            self.blank()
        if self.at < len(self.text):
            rest = lines_of(self.text[self.at :])[0][:30]
            self.fault(self.at, f"there is text after the end: {rest!r}", "", "rest")
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
            except ValueError:  # Python parses no integer of more than 4,300 digits
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
            edits = (Edit(begin, self.at, meant),) if word.group() in _PYTHON else ()
            self.fault(begin, f"JSON has no {word.group()}", f"write {meant}", edits=edits)
            return _NEARLY[word.group()]
        self.fault(begin, f"{word.group()[:30]} needs double quotes", "")
        return word.group()

    def nested(self, read: Callable[[], Map | Seq]) -> Map | Seq | None:
        """Read one level deeper; a value below the depth limit is not read."""
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
        self.bracketed(found, "}", "a } is missing at the end")
        return found

    def sequence(self) -> Seq:
        found = Seq(here=self.where(self.at))
        self.bracketed(found, "]", "a ] is missing")
        return found

    def bracketed(self, found: Map | Seq, close: str, hint: str) -> None:
        begin = self.at
        self.at += 1
        if not self.members(found, close):
            self.fault(begin, f"this {self.text[begin]} is never closed", hint)

    def members(self, found: Map | Seq, close: str) -> bool:
        """Read keys and values, or items, up to the closing bracket; False where it is missing."""
        comma, end = -1, self.at
        first = not found
        while True:
            self.blank()
            here = self.text[self.at : self.at + 1]
            if here == close:
                if comma >= 0:
                    self.fault(comma, "one comma too many", "no value follows it", edits=(Edit(comma, comma + 1, ""),))
                self.at += 1
                return True
            if not here or (close == "]" and here in "}:"):
                return False
            if here == "," and (comma >= 0 or first):
                self.fault(self.at, "one comma too many", "", edits=(self.edit(""),))
            elif here == ",":
                comma = self.at
            elif close == "}" and here in "]{[:":
                self.fault(self.at, f"no {here} is expected here", "")
            else:
                if not first and comma < 0:
                    hint = "at the end of this line" if close == "}" and _LINE_END.match(self.text, end) else ""
                    self.fault(end, "a comma is missing", hint, edits=(Edit(end, end, ","),))
                first, comma = False, -1
                if isinstance(found, Map):
                    self.member(found)
                else:
                    found.where.append(self.where(self.at))
                    found.append(self.item(len(found)))
                end = self.at
                continue
            self.at += 1

    def member(self, found: Map) -> None:
        place = self.where(self.at)
        begin = self.at
        if self.text[self.at] in "\"'":
            key = self.string()
        else:
            word = _WORD.match(self.text, self.at)
            key = word.group() if word else self.text[self.at]
            self.at += len(key)
            edits = (Edit(begin, self.at, f'"{key}"'),) if _PLAIN.fullmatch(key) else ()
            self.fault(begin, f"the key {key[:30]} needs double quotes", "", edits=edits)
        ended = self.at
        self.blank()
        if self.text[self.at : self.at + 1] == ":":
            self.at += 1
        else:
            equals = self.text[self.at : self.at + 1] == "="
            hint = "JSON has : and not =" if equals else ""
            edit = Edit(self.at, self.at + 1, ":") if equals else Edit(ended, ended, ":")
            self.fault(self.at, f"a colon is missing after {key!r}", hint, edits=(edit,))
            self.at += equals
        value = self.item(key, (begin, ended))
        if key in found:
            self.twice.append((key, place, found.where[key]))
        found[key] = value
        found.where[key] = place

    def item(self, name: str | int, key: tuple[int, int] | None = None) -> Any:
        """A value inside an object or a list; its place is recorded."""
        above = self.inside
        self.inside = (*above, name)
        try:
            self.blank()
            begin = self.at
            value = self.value()
            self.spans[self.inside] = Span(key or (begin, self.at), (begin, self.at))
            return value
        finally:
            self.inside = above

    def string(self) -> str:
        quote, begin = self.text[self.at], self.at
        if quote == "'":
            self.fault(begin, "text must be in double quotes", "write \" and not '", edits=self.requoted(begin))
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

    def requoted(self, begin: int) -> tuple[Edit, ...]:
        """Double quotes for a text in single quotes, when no character in it then gets another meaning."""
        end = self.text.find("'", begin + 1)
        inner = self.text[begin + 1 : end]
        if end < 0 or any(char in inner for char in '"\\\n'):
            return ()
        return (Edit(begin, end + 1, f'"{inner}"'),)

    def unescaped(self, begin: int, raw: str) -> str:
        try:
            text: str = json.loads(f'"{raw}"') if '"' not in raw.replace('\\"', "") else raw
        except ValueError as error:
            self.fault(begin, f"not a JSON string: {getattr(error, 'msg', error)}", "a backslash is written \\\\")
            return raw
        return text

    def blank(self) -> None:
        """Skip blanks, and comments, which JSON does not have."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here in " \t\r\n":
                self.at += 1
                continue
            if here in _BLANKS:
                self.fault(self.at, f"{json.dumps(here)} is {_BLANKS[here]}", "type a space", edits=(self.edit(" "),))
                self.at += 1
                continue
            if here in _WIDE or here in _QUOTES:
                self.narrow()
                return
            for mark, end in (("//", "\n"), ("#", "\n"), ("/*", "*/")):
                if self.text.startswith(mark, self.at):
                    self.fault(self.at, "JSON has no comments", "")
                    stop = self.text.find(end, self.at)
                    self.at = len(self.text) if stop < 0 else stop + len(end)
                    break
            else:
                return

    def narrow(self) -> None:
        """Read punctuation of an input method or a word processor as the character of JSON that it stands for."""
        here = self.text[self.at]
        if here in _WIDE:
            meant, called = _WIDE[here]
            self.put(self.at, meant, f'"{here}" is {called}', f'type "{meant}"')
            return
        self.put(self.at, '"', f"{here} is {_QUOTES[here]}", 'type "')
        for at in range(self.at + 1, len(self.text)):
            if self.text[at] in '"\n':
                return
            if self.text[at] in _QUOTES:
                self.put(at, '"', f"{self.text[at]} is {_QUOTES[self.text[at]]}", 'type "')
                return

    def put(self, at: int, char: str, message: str, hint: str) -> None:
        self.fault(at, message, hint, edits=(Edit(at, at + 1, char),))
        self.text = self.text[:at] + char + self.text[at + 1 :]

    def edit(self, text: str) -> Edit:
        """Replace the present character by ``text``."""
        return Edit(self.at, self.at + 1, text)

    def where(self, at: int) -> Where:
        return Where(self.path, bisect.bisect_right(self._lines, at) + 1)

    def fault(self, at: int, message: str, hint: str, kind: Kind = "syntax", edits: tuple[Edit, ...] = ()) -> None:
        where = self.where(at)
        column = at - (self._lines[where.line - 2] if where.line > 1 else 0) + 1
        if len(self.faults) >= _MOST:
            message = f"more than {_MOST:,} faults: the file is not read from here on"
            self.faults.append(Fault(where, column, message, "correct these first"))
            raise _TooMany
        self.faults.append(Fault(where, column, message, hint, kind, edits))
