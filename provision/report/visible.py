"""What a host said, fit for people's eyes: it drives no terminal, hides nothing, and turns nothing round."""

from __future__ import annotations

import re

from msgspec.structs import replace

from provision.model import Event, Failure

#: Control characters but tab and newline (ECMA-48), what reorders lines (Unicode 9, bidirectional controls), other
#: ends of lines, and halves of characters: a byte that is no UTF-8 is such a half (PEP 383).
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with such characters as escapes: ``\\x1b``, ``\\u202e``; a byte that is no text as that byte."""
    return _HIDDEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def shown(event: Event) -> Event:
    """The event with all its words visible. A plan stays as it is: :mod:`provision.report.diff` tells what it says."""
    data = {key: _shown(value) for key, value in event.data.items()}
    return Event(event.name, event.host, data)


def _shown(value: object) -> object:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_shown, value))
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, Failure):
        return replace(value, message=visible(value.message), detail=visible(value.detail))
    return value
