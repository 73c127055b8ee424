"""How values become text, and ``str.format``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time, timedelta
from typing import Any

import jinja2
import jinja2.sandbox

from provision.text import limits
from provision.text.sandbox.blind import blind
from provision.text.sandbox.bounds import Refused, is_model, numbers, room, too_much, width

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
