"""The style of a word: a function of the text and the kind of word."""

from __future__ import annotations

from collections.abc import Callable

Style = Callable[[str, str], str]

#: Kind of word -> its SGR parameters (ECMA-48, 8.3.117). Yellow and cyan have too little contrast on a light terminal
#: (xterm's yellow: 1.7 to 1 on white), so only the symbol of a change is yellow, as in Terraform.
_SGR = {
    **dict.fromkeys(("host", "changed", "warning"), "1"),
    **dict.fromkeys(("skipped", "dim"), "2"),
    **dict.fromkeys(("remove", "-"), "31"),
    **dict.fromkeys(("create", "+", "ok"), "32"),
    "change": "33",
    "@": "35",
    **dict.fromkeys(("error", "failed", "unreachable", "rolled_back", "bad"), "1;31"),
    "disturb": "1;35",
}


def plain(text: str, kind: str) -> str:
    """No colour."""
    return text


def coloured(text: str, kind: str) -> str:
    """The text with the colour of its kind; its words and symbols have the same meaning without it."""
    return f"\x1b[{_SGR[kind]}m{text}\x1b[0m" if kind in _SGR else text
