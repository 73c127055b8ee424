"""Limits of what a template may do: its steps, and the size of a result, checked before the result is made.

Also which values hold a secret, and the refusal of operations on a token's characters.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from itertools import chain
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2 import utils

from provision import limits
from provision.secrets import secret

#: Bits of the largest whole number that an operator may make. Python converts at most 4,300 digits to text.
_BITS = 8192


#: Number of characters of a text that count as one more value.
_TEXT_OF_A_VALUE = 64


#: The largest width, indentation or precision, in characters.
WIDTH = 10_000


#: The types that a template can iterate over, besides mappings.
LISTS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)


class Refused(jinja2.TemplateRuntimeError):
    """An operation that a template may not do; ``hint`` says what it can do instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class _Steps(threading.local):
    """The steps that are left for the current rendering of this thread."""

    left = 0
    depth = 0

    def __enter__(self) -> None:
        if not self.depth:
            self.left = limits.of(limits.STEPS)
        self.depth += 1

    def __exit__(self, *exception: object) -> None:
        self.depth -= 1


#: ``with BOUNDED:`` around a rendering. The renderings inside it (of variables) take their steps from the same number.
BOUNDED = _Steps()


#: Steps for the call of a macro, and for the rendering of another template: each takes about as long as ten steps.
CALL = 10


def step(count: int = 1) -> None:
    BOUNDED.left -= count
    if BOUNDED.left < 0 and BOUNDED.depth:
        raise too_much("the template takes", limits.STEPS)


#: How many characters, or values of a list, are worked on in the time of one step.
_CHARACTERS, _VALUES = 4096, 16
#: Filters and methods that need far more time for a character.
_SLOW = frozenset(("wordwrap", "urlize", "striptags", "title", "pprint", "xmlattr", "tojson", "wordcount"))


def weigh(name: str, *values: object) -> None:
    """Count the steps of an operation that reads its arguments as a whole."""
    for value in values:
        if isinstance(value, str):
            step(len(value) // (8 if name in _SLOW else _CHARACTERS))
        elif isinstance(value, (dict, range, *LISTS)):
            step(len(value) // _VALUES)


def too_much(what: str, limit: limits.Limit) -> Refused:
    return Refused(f"{what} {limits.more(limit)}", limits.hint(limit))


def room(what: str, length: int, more: int | None = None) -> None:
    """Check the limit before a text of ``length`` characters is made, of which ``more`` are made now."""
    if length > limits.of(limits.TEXT):
        raise too_much(f"{what} makes", limits.TEXT)
    step((length if more is None else more) // _CHARACTERS)


def room_for(what: str, count: int) -> None:
    """Check the limit before a list of ``count`` values is made."""
    if count > limits.of(limits.NODES):
        raise too_much(f"{what} makes", limits.NODES)
    step(count // _VALUES)


def compared(values: Iterable[object]) -> None:
    """Count the steps of a set of these values: those that can have one hash are compared with each other."""
    step(sum(map(limits.same_hash, values)) ** 2 // 32)


def check_key(what: str, value: object) -> None:
    """Check a key before a mapping is made with it."""
    if limits.same_hash(value):
        raise Refused(f"{what} must be text, or a number of at most {limits.KEY_DIGITS} digits", "| string")


def width(what: str, *numbers: object) -> None:
    if any(isinstance(number, int) and abs(number) > WIDTH for number in numbers):
        raise Refused(f"{what} has a width of more than {WIDTH:,}")


class _Survey:
    """Measures a value, and finds a text in it that holds a secret. Visits a part once, however often it occurs."""

    def __init__(self, known: Mapping[int, int] = MappingProxyType({})) -> None:
        self.text = ""
        self._known = known
        self._sizes: dict[int, int] = {}
        self._most, self._deepest = limits.of(limits.NODES), limits.of(limits.DEPTH)

    def size(self, value: object, depth: int = 0) -> int:
        """The number of values in it, each counted as often as it occurs; a long text counts as several values."""
        if isinstance(value, str):
            if not self.text and secret.holds(value):
                self.text = value
            return 1 + len(value) // _TEXT_OF_A_VALUE
        parts: Iterable[object]
        if isinstance(value, dict):
            parts = chain(value, value.values())
        elif isinstance(value, LISTS):
            parts = value
        elif is_model(value):
            parts = vars(value).values()
        elif isinstance(value, utils.Cycler):
            parts = value.items
        elif isinstance(value, utils.Namespace):
            # Its own attributes are the template's variables, under the name that Python has mangled.
            parts = object.__getattribute__(value, "_Namespace__attrs").values()
        elif isinstance(value, jinja2.environment.TemplateModule):
            # Its text is the output of the template.
            return self.size(str(value), depth)
        else:
            return 1
        known = self._known.get(id(value)) or self._sizes.get(id(value))
        if known is None:
            if depth >= self._deepest:
                raise too_much("the value is nested", limits.DEPTH)
            known = 1
            for part in parts:
                known += self.size(part, depth + 1)
                if known > self._most:
                    raise too_much("the value expands to", limits.NODES)
            self._sizes[id(value)] = known
        return known


def measured(value: object) -> str:
    """A text in ``value`` that holds a secret, else ``""``; raises :class:`Refused` for a value beyond the limits."""
    if isinstance(value, str):
        step(len(value) // _CHARACTERS)
        return value if secret.holds(value) else ""
    survey = _Survey()
    step(survey.size(value) // _VALUES)
    return survey.text


def measured_size(value: object, known: Mapping[int, int]) -> int:
    """The number of values in ``value``; raises :class:`Refused` as :func:`measured`. ``known`` has the sizes of parts
    by their identity: they are not visited again. Their depth is that of a file, which has the same limit."""
    return _Survey(known).size(value)


def is_model(value: object) -> bool:
    """True if it is a pydantic model; works without an import of pydantic."""
    return hasattr(type(value), "model_fields")


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def percent(what: str, text: str, values: object) -> None:
    """Check the size of the result of ``text % values``."""
    specs = re.findall(r"%(?:\([^()]*\))?([-+ #.*\d]*)", text)
    if any("*" in spec for spec in specs) or re.search(r"%\([^()]*\(", text):
        raise Refused(f"{what} does not support a width from a variable, or a name with a parenthesis")
    widths = [number for spec in specs for number in numbers(spec)]
    width(what, *widths)
    given = values.values() if isinstance(values, dict) else values if isinstance(values, (tuple, list)) else (values,)
    longest = max((len(value) if isinstance(value, str) else WIDTH for value in given), default=0)
    room(what, len(text) + len(specs) * (max(widths, default=0) + longest))


def product(what: str, operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _BITS:
            raise Refused(f"{what} results in a number of more than {_BITS:,} bits")
        return
    for one, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(one, (str, bytes)):
            room(what, len(one) * times)
        elif isinstance(times, int) and isinstance(one, (list, tuple)):
            room_for(what, len(one) * times)


#: The largest result of a filter or method, in characters, by its arguments. Those whose result is never larger than
#: their input are not listed.
GROWTH: dict[str, Callable[..., int]] = {
    "replace": lambda text, old, new, *rest: len(text) + str(text).count(old) * len(str(new)),
    "wordwrap": lambda text, width=79, break_long_words=True, wrapstring=None, *rest: (
        len(text) * (1 + len(wrapstring or "\n"))
    ),
    "indent": lambda text, width=4, *rest: (
        len(text) + (1 + str(text).count("\n")) * (len(width) if isinstance(width, str) else width)
    ),
    "expandtabs": lambda text, tabsize=8: len(text) * tabsize,
}


#: Filters and methods whose whole numbers are widths: none of them needs large numbers.
WIDTHS = {
    "center",
    "indent",
    "wordwrap",
    "round",
    "batch",
    "slice",
    "ljust",
    "rjust",
    "zfill",
    "expandtabs",
    "to_bytes",
}


#: The filters that work on a secret's value.
WORKING = ("b64encode", "quote", "to_json", "tojson", "urlencode", "to_nice_json")


def _veiled(value: object) -> bool:
    """True if it is a text with a secret in it. A list of such texts does not count."""
    return isinstance(value, str) and secret.holds(value)


def _names(text: str) -> str:
    """The names of the secrets in a text."""
    return ", ".join(dict.fromkeys(piece.split(":")[1] for piece, token in secret.split(text) if token)) or "unknown"


def blind(what: str, *values: object) -> None:
    """Refuse ``what`` where a value has a secret anywhere in it."""
    for value in values:
        if text := measured(value):
            raise _refusal(what, text)


def through(what: str, value: object) -> None:
    """Refuse ``what`` on a text with a secret; iteration over a list of such texts is allowed."""
    if _veiled(value):
        raise _refusal(what, str(value))


def _refusal(what: str, text: str) -> Refused:
    hint = f"{', '.join(WORKING)} work on its value; text, ~ and + can use it unchanged"
    return Refused(f"{what} cannot be applied to a secret ({_names(text)}): a template has only its token", hint)


def unknown(text: str) -> bool:
    """True if ``text`` contains the beginning of a token that belongs to no secret of this process."""
    return secret.marked(text) and any(secret.marked(piece) for piece, token in secret.split(text) if not token)


def derived(kind: str, text: str, make: Callable[[str], str]) -> str:
    """The secret that an encoder makes of a text with secrets in it."""
    if unknown(text):
        raise Refused("the token of an unknown secret", "declare the secret: !secret {env: NAME}")
    name = ".".join((*_names(text).split(", "), kind))
    return secret.derived(name, text, secret.Derivation(kind, "", make))
