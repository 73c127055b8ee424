"""Make pytest's reports safe to show: the message of an assertion contains text from the host, and values that may hold
a secret."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._io.saferepr import saferepr_unlimited
from _pytest.assertion import rewrite  # exports no name for this

from provision.secrets.secret import mask
from provision.visible import line, visible

#: The most characters, and the most lines, of a value that pytest compares with another one. Its comparison of two
#: texts takes the product of their lines, and a host's answer has megabytes.
_MOST, _LINES = 10_000, 100
#: Characters that are shown of a longer value, or of one with a secret.
_SHOWN = 1_000


def hide_before_cut(config: pytest.Config) -> None:
    """Mask the values of an assertion before pytest shortens them: the rest of a secret is not found any more. pytest
    has no hook for values that are not compared, and none for a thread outside of its own loop."""
    shorten = rewrite._saferepr

    def masked(obj: object) -> str:
        whole = _whole(obj)
        return shorten(obj) if (shown := mask(whole)) == whole else line(shown, _SHOWN)

    rewrite._saferepr = masked
    config.add_cleanup(lambda: setattr(rewrite, "_saferepr", shorten))


def compared(op: str, left: object, right: object) -> list[str] | None:
    """The explanation of a comparison with a secret, or with a long value; pytest's own (``None``) for others."""
    whole = [_whole(left), _whole(right)]
    shown = [mask(one) for one in whole]
    if shown == whole and all(len(one) <= _MOST and one.count("\\n") <= _LINES for one in whole):
        return None
    first, second = (line(one, _SHOWN) for one in shown)
    return [f"{first} {op} {second}"]


def _whole(value: object) -> str:
    # Of bytes Python shows the escapes of UTF-8, which are no form of a secret.
    return saferepr_unlimited(value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value)


def _safe(text: str) -> str:
    return visible(mask(text))


def made_visible(report: pytest.TestReport) -> None:
    """Mask the secrets in every text of a report, and make it visible, before it is shown or written to a file."""
    report.sections = [(name, _safe(text)) for name, text in report.sections]
    report.user_properties = [(name, _safe(str(value))) for name, value in report.user_properties]
    if isinstance(report.longrepr, str):
        report.longrepr = _safe(report.longrepr)
    elif isinstance(report.longrepr, tuple):
        path, number, reason = report.longrepr
        report.longrepr = (path, number, _safe(reason))
    elif report.longrepr is not None:
        report.longrepr = _Visible(report.longrepr)  # type: ignore[assignment]  # pytest asks for toterminal alone


class _Visible:
    """The text that pytest shows of a failure, masked and made visible line by line."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def reprcrash(self) -> Any:
        """The place and the message for summaries and JUnit."""
        crash = getattr(self._inner, "reprcrash", None)
        if crash is not None:
            crash.message = _safe(crash.message)
        return crash

    def __str__(self) -> str:
        return _safe(str(self._inner))

    def toterminal(self, tw: Any) -> None:
        self._inner.toterminal(_Writer(tw))


class _Writer:
    """pytest's terminal writer, for safe text."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str, **markup: Any) -> None:
        self._inner.write(_safe(text), **markup)

    def line(self, text: str = "", **markup: Any) -> None:
        self._inner.line(_safe(text), **markup)

    def sep(self, sepchar: str, title: str | None = None, **markup: Any) -> None:
        self._inner.sep(sepchar, title and _safe(title), **markup)

    def _write_source(self, lines: list[str], indents: Any = ()) -> None:
        self._inner._write_source([_safe(one) for one in lines], indents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
