"""JUnit XML of a verification. pytest writes one file per session; the sessions of hosts that were verified one after
the other are merged into one file.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from xml.etree import ElementTree

from provision.visible import line, visible
from provision.whole_file import write_anywhere


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
        write_anywhere(self.target, ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True))
        shutil.rmtree(self._folder)
