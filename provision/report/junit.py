"""A run as JUnit XML, with a test case for each host, for CI systems that show such files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from provision.model import Failure
from provision.report.shown import Shown


class Junit:
    """Writes ``path`` when the run is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends: list[Shown] = []

    def __call__(self, event: Shown) -> None:
        if event.name == "host.done":
            self._ends.append(event)
        elif event.name == "run.done":
            self._write(str(event.data["mode"]), str(event.data["seconds"]))

    def _write(self, mode: str, seconds: str) -> None:
        whole = ElementTree.Element("testsuites")
        failed = sum("failure" in end.data for end in self._ends)
        skipped = sum(end.data["status"] == "skipped" for end in self._ends)
        counts = {"tests": str(len(self._ends)), "failures": str(failed), "skipped": str(skipped), "errors": "0"}
        suite = ElementTree.SubElement(whole, "testsuite", {"name": f"provision {mode}", "time": seconds, **counts})
        for end in sorted(self._ends, key=lambda end: end.host):
            about = {"classname": mode, "name": end.host, "time": str(end.data.get("seconds", 0))}
            case = ElementTree.SubElement(suite, "testcase", about)
            status = str(end.data["status"])
            if isinstance(failure := end.data.get("failure"), Failure):
                said = ElementTree.SubElement(
                    case, "failure", {"type": failure.kind, "message": f"{status}: {failure.message}"}
                )
                said.text = failure.detail
            elif status == "skipped":
                ElementTree.SubElement(case, "skipped", {"message": str(end.data.get("reason", ""))})
            else:
                ElementTree.SubElement(case, "system-out").text = f"{status}, {end.data['changes']} changes"
        ElementTree.ElementTree(whole).write(self._path, encoding="utf-8", xml_declaration=True)
