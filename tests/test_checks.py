"""The table of checks, and JUnit files put together."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from provision.report.shown import Shown
from provision.report.text import matrix
from provision.verify import junit


def check(host: str, name: str, outcome: str, suite: str = "settings") -> Shown:
    return Shown("check.done", host, {"suite": suite, "check": name, "outcome": outcome})


def test_the_table_has_a_row_for_each_check_and_a_column_for_each_host() -> None:
    checks = [
        check("web1", "file_content /etc/a", "passed"),
        check("web1", "file_content /etc/b", "failed"),
        check("web2", "file_content /etc/a", "passed"),
        check("web2", "archive_key docker", "skipped"),
        check("web1", "daemon_answers engine", "passed", "daemon"),
    ]
    lines = [line.rstrip() for line in matrix(checks, ["web1", "web2"], 80)]
    assert [line.split() for line in lines] == [
        ["web1", "web2"],
        ["daemon:", "daemon_answers", "ok", "-"],
        ["settings:", "file_content", "1/2", "ok"],
        ["settings:", "archive_key", "-", "-"],
        [],
    ]
    assert len({len(line) for line in lines if line}) == 1, "columns are aligned"


def test_hosts_that_exceed_the_width_are_shown_in_several_blocks() -> None:
    hosts = [f"web{number:02}" for number in range(9)]
    checks = [check(host, "user alice", "passed") for host in hosts]
    lines = list(matrix(checks, hosts, 40))
    assert all(len(line) <= 40 for line in lines)
    assert [word for line in lines for word in line.split() if word.startswith("web")] == hosts
    assert sum(line.split().count("ok") for line in lines) == 9
    assert list(matrix([], hosts, 40)) == []


def test_parts_of_junit_are_merged_into_one_file(tmp_path: Path) -> None:
    target = tmp_path / "all.xml"
    with junit.JUnitFile(target) as report:
        for name in ("one", "two"):
            part = report.part()
            assert part is not None
            part.write_text(f'<testsuites><testsuite name="{name}"><testcase name="c"/></testsuite></testsuites>')
    suites = [suite.get("name") for suite in ElementTree.parse(target).iter("testsuite")]  # noqa: S314 - own file
    assert suites == ["one", "two"]
    with junit.JUnitFile(None) as silent:
        assert silent.part() is None
