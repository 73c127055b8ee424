"""Comparisons, ``~``, slices, loops and unpacking, which jinja2 would compile to Python's own operators."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import date, time, timedelta
from typing import Any

import jinja2
import jinja2.sandbox

from provision import limits
from provision.text.sandbox.bounds import (
    Refused,
    blind,
    check_key,
    is_model,
    numbers,
    room,
    step,
    through,
    too_much,
    width,
)


def _in(left: Any, right: Any) -> bool:
    return bool(left in right)


_OPERATORS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
    "gt": (">", operator.gt),
    "gteq": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "lteq": ("<=", operator.le),
    "in": ("in", _in),
    "notin": ("not in", lambda left, right: not _in(left, right)),
}


def _compared(word: str, left: Any, right: Any) -> Any:
    sign, work = _OPERATORS[word]
    if "in" in word and isinstance(right, Iterator):
        right = list(right)
    # Whether a secret is none or a number does not depend on its characters.
    by_type = word in ("eq", "ne") and any(value is None or isinstance(value, (int, float)) for value in (left, right))
    if not by_type:
        # Of a mapping only the keys are compared.
        blind(f'"{sign}"', left, list(right) if "in" in word and isinstance(right, dict) else right)
    return work(left, right)


def _compare(left: Any, *operands: Any) -> Any:
    """``a < b <= c``: pairs of an operator and its right operand."""
    result: Any = True
    for word, right in zip(operands[::2], operands[1::2], strict=True):
        result = _compared(word, left, right)
        if not result:
            break
        left = right
    return result


def comparison(word: str) -> Callable[[Any, Any], Any]:
    def test(left: Any, right: Any) -> Any:
        step()
        return _compared(word, left, right)

    return test


def _concat(*values: object) -> str:
    return joined(values)


def _slice(value: Any, start: Any, stop: Any, step: Any) -> Any:
    through("a slice [:]", value)
    return value[start:stop:step]


Shape = tuple[Any, ...] | None


def _unpack(value: Any, shape: Shape) -> Any:
    """``value``, before it is assigned to several names as ``shape`` says."""
    if shape is not None:
        through("unpacking", value)
        if isinstance(value, (list, tuple)):
            for part, inner in zip(value, shape, strict=False):
                _unpack(part, inner)
    return value


class Each:
    """The values of a loop: each item is a step, and is checked before it is unpacked."""

    def __init__(self, values: Any, shape: Shape) -> None:
        self.values, self.shape = values, shape

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        for item in self.values:
            step()
            yield item if self.shape is None else _unpack(item, self.shape)


def each(values: Any, shape: Shape) -> Any:
    through("a loop", values)
    return values if isinstance(values, jinja2.Undefined) else Each(values, shape)


def _key(value: Any) -> Any:
    check_key("a key", value)
    return value


#: The filters that the changed syntax tree uses. A template cannot name them: its filters have no exclamation mark.
INTERNAL: dict[str, Callable[..., Any]] = {
    "compare!": _compare,
    "concat!": _concat,
    "slice!": _slice,
    "each!": each,
    "unpack!": _unpack,
    "key!": _key,
}


_IN_TEXT = "Python's form of a list or mapping, as text,"


#: Types whose text form means something in a file.
_DATA = (int, float, bytes, dict, list, tuple, set, frozenset, date, time, timedelta)


def shown(what: str, value: object) -> str:
    """``value`` as text. A list is written as Python writes it, so a secret in a list is refused."""
    if isinstance(value, str):
        return str(value)
    _check_shown(what, value)
    return str(value)


def _check_shown(what: str, value: object) -> None:
    if value is None or isinstance(value, (int, float, jinja2.Undefined)):
        return
    if not isinstance(value, _DATA) and not is_model(value):
        # A view of a mapping, a namespace: Python's text form means nothing in a file, and may show the content.
        raise Refused(
            f"a {type(value).__name__} cannot be written as text", "| list makes a list of a generator or a map"
        )
    blind(what, value)


def joined(values: Iterable[object], separator: str = "") -> str:
    """All values as one text."""
    pieces: list[str] = []
    length, gap, most = 0, len(separator), limits.of(limits.TEXT)
    for value in values:
        piece = value if type(value) is str else shown(_IN_TEXT, value)
        length += len(piece) + gap
        if length > most:
            raise too_much("the template makes", limits.TEXT)
        pieces.append(piece)
    return separator.join(pieces)


def finalized(value: Any) -> Any:
    """A value as a template file inserts it into its text."""
    if not isinstance(value, str):
        _check_shown(_IN_TEXT, value)
    return value


class _Formatter(jinja2.sandbox.SandboxedFormatter):
    """``str.format`` whose fields pass through the sandbox, and whose widths are limited."""

    length = 0

    def format_field(self, value: Any, format_spec: str) -> str:
        width("format", *numbers(format_spec))
        shown = str(format(value, format_spec))
        self.length += len(shown)
        room("format", self.length, len(shown))
        return shown


class Format:
    """The ``format`` or ``format_map`` of a text, as a callable."""

    def __init__(self, environment: jinja2.Environment, text: str, of_map: bool) -> None:
        self.environment, self.text, self.of_map = environment, text, of_map

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        if self.of_map:
            args, kwargs = (), dict(*args, **kwargs)
        return _Formatter(self.environment).vformat(self.text, args, kwargs)
