"""A run as a file for other programs: metrics for Prometheus (node_exporter's textfile collector; prometheus.io, "Text
format"), and JUnit XML with a test case for each host, for CI systems that show such files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from provision.model import Failure
from provision.report.shown import Shown
from provision.visible import line
from provision.whole_file import write_anywhere


class Metrics:
    """Replaces ``path`` at the end of each wave and of the run; a reader sees either the old file or the new one.

    ``playbook`` becomes a label; ``clock`` gives seconds since 1970.
    """

    def __init__(self, path: Path, playbook: str, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._labels = {"playbook": line(playbook)}
        self._hosts: dict[str, int] = {}
        self._changes = self._waves = 0
        self._stopped = False

    def __call__(self, event: Shown) -> None:
        data = event.data
        if event.name == "run.begin":
            self._labels["mode"] = str(data["mode"])
        elif event.name == "host.done":
            status = str(data["status"])
            self._hosts[status] = self._hosts.get(status, 0) + 1
            self._changes += int(str(data["changes"]))
        elif event.name == "rollout.stopped":
            self._stopped = True
        elif event.name == "wave.done":
            self._waves += 1
            self._write(None)
        elif event.name == "run.done":
            counts = data["counts"]
            if isinstance(counts, dict):
                self._hosts = counts
            self._write(float(str(data["seconds"])))

    def _write(self, seconds: float | None) -> None:
        # node_exporter is another user.
        write_anywhere(self._path, "".join(f"{one}\n" for one in self._lines(seconds)).encode(), 0o644)

    def _lines(self, seconds: float | None) -> Iterator[str]:
        bad = sum(self._hosts.get(status, 0) for status in ("failed", "unreachable", "rolled_back"))
        yield from self._metric("hosts", "Hosts of the last run, by their result.", self._hosts)
        yield from self._metric("changes", "Resources that the last run changed.", self._changes)
        yield from self._metric("waves_done", "Waves of the last run that are over.", self._waves)
        yield from self._metric("under_way", "Whether the last run is under way.", int(seconds is None))
        yield from self._metric(
            "success", "Whether all hosts are in the desired state.", int(not bad and not self._stopped)
        )
        yield from self._metric(
            "time_seconds", "When this was written, in seconds since 1970.", round(self._clock(), 3)
        )
        if seconds is not None:
            yield from self._metric("duration_seconds", "How long the last run took.", seconds)

    def _metric(self, name: str, what: str, value: float | dict[str, int]) -> Iterator[str]:
        yield f"# HELP provision_{name} {what}"
        yield f"# TYPE provision_{name} gauge"
        if isinstance(value, dict):
            for status, count in value.items():
                yield f"provision_{name}{self._label(status=status)} {count}"
        else:
            yield f"provision_{name}{self._label()} {value}"

    def _label(self, **more: str) -> str:
        labels = ((key, value) for key, value in {**self._labels, **more}.items())
        return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


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
        write_anywhere(self._path, ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True))
