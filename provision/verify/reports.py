"""Make pytest's reports safe to show: the message of an assertion contains text from the host."""

from __future__ import annotations

from typing import Any

import pytest

from provision.visible import visible


def made_visible(report: pytest.TestReport) -> None:
    """Make every text of a report visible, before it is shown or written to a file."""
    report.sections = [(name, visible(text)) for name, text in report.sections]
    report.user_properties = [(name, visible(str(value))) for name, value in report.user_properties]
    if isinstance(report.longrepr, str):
        report.longrepr = visible(report.longrepr)
    elif isinstance(report.longrepr, tuple):
        path, number, reason = report.longrepr
        report.longrepr = (path, number, visible(reason))
    elif report.longrepr is not None:
        report.longrepr = _Visible(report.longrepr)  # type: ignore[assignment]  # pytest asks for toterminal alone


class _Visible:
    """The text that pytest shows of a failure, made visible line by line."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def reprcrash(self) -> Any:
        """The place and the message for summaries and JUnit."""
        crash = getattr(self._inner, "reprcrash", None)
        if crash is not None:
            crash.message = visible(crash.message)
        return crash

    def __str__(self) -> str:
        return visible(str(self._inner))

    def toterminal(self, tw: Any) -> None:
        self._inner.toterminal(_Writer(tw))


class _Writer:
    """pytest's terminal writer, for visible text."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str, **markup: Any) -> None:
        self._inner.write(visible(text), **markup)

    def line(self, text: str = "", **markup: Any) -> None:
        self._inner.line(visible(text), **markup)

    def sep(self, sepchar: str, title: str | None = None, **markup: Any) -> None:
        self._inner.sep(sepchar, title and visible(title), **markup)

    def _write_source(self, lines: list[str], indents: Any = ()) -> None:
        self._inner._write_source([visible(one) for one in lines], indents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
