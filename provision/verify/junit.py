"""pytest's reports: their texts made safe to show (an assertion's message contains text from the host), and JUnit XML.

pytest writes one file per session. The sessions of hosts that were verified one after the other are merged into one
file.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any
from xml.etree import ElementTree

import pytest

from provision.visible import line, visible


class JUnitFile:
    """Give each session a :meth:`part`. At the end ``target`` contains the test suites of all parts."""

    def __init__(self, target: Path | None) -> None:
        self.target = target
        self._parts: list[Path] = []

    def __enter__(self) -> JUnitFile:
        self._folder = Path(tempfile.mkdtemp(prefix="provision-junit-")) if self.target else None
        return self

    def part(self) -> Path | None:
        """The file that the next session writes; ``None`` when no report is requested."""
        if self._folder is None:
            return None
        self._parts.append(self._folder / f"{len(self._parts)}.xml")
        return self._parts[-1]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is None or self.target is None:
            return
        whole = ElementTree.Element("testsuites")
        for part in self._parts:
            if part.exists():
                whole.extend(ElementTree.parse(part).getroot())  # noqa: S314 - this process's own pytest wrote it
        for element in whole.iter():
            element.attrib.update({key: line(value) for key, value in element.attrib.items()})
            element.text = visible(element.text or "") or None
        ElementTree.ElementTree(whole).write(self.target, encoding="utf-8", xml_declaration=True)
        shutil.rmtree(self._folder)


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
