"""Output that cannot be written does not change an exit code that reports the state of hosts, and causes no
traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import Project

APPLY = ("apply", "--yes", "--plain", "--connect-timeout", "5")


@pytest.fixture
def unreachable(project: Project) -> Project:
    """A host on whose port no process listens: a run over it ends with 3."""
    host = "{ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: root}"
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {host}}}}}\n")
    project.spec("packages: [curl]")
    return project


def run(project: Project, redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command by a shell, with redirections of its descriptors."""
    command = f'"$0" -m provision "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("redirection", "why"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
        ("<&-", ""),
        ("<&- >&- 2>&-", ""),
        ("2>/dev/full", ""),
    ],
)
@pytest.mark.parametrize("form", ["--plain", "--json"])
def test_the_exit_code_reports_the_hosts_when_output_is_lost(
    unreachable: Project, redirection: str, why: str, form: str
) -> None:
    done = run(unreachable, redirection, *APPLY, form)
    assert "Traceback" not in done.stderr
    assert done.returncode == 3, done.stderr
    if why:
        assert done.stderr.count(f"provision: standard output cannot be written: {why}") == 1
        assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_ends_early_does_not_change_the_exit_code(unreachable: Project) -> None:
    """``provision apply | head``: the exit code of the command itself, which the pipeline hides."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "provision", *APPLY],
        cwd=unreachable.folder,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    os.close(write)
    assert done.returncode == 3, done.stderr
    assert done.stderr == "provision: standard output cannot be written: Broken pipe; the run continues without it\n"


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_command_whose_output_is_lost_fails(unreachable: Project, redirection: str) -> None:
    done = run(unreachable, redirection, "inventory", "--list")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output cannot be written" in done.stderr or "No space left" in done.stderr


@pytest.mark.parametrize("option", ["--junit", "--metrics"])
@pytest.mark.parametrize(
    ("place", "why"), [("/proc/x", "No such file or directory"), ("inventory", "it is a directory")]
)
def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    unreachable: Project, option: str, place: str, why: str
) -> None:
    done = run(unreachable, "", *APPLY, option, place)
    assert done.returncode == 1
    assert f"provision: {place} cannot be written: " in done.stderr
    assert why in done.stderr
    assert done.stdout == "", "no host was tried"


def test_the_check_of_a_reports_path_leaves_no_file(unreachable: Project) -> None:
    assert run(unreachable, "", *APPLY, "--junit", "out.xml", "--metrics", "out.prom").returncode == 3
    assert {path.name for path in unreachable.folder.glob("*out*")} == {"out.xml", "out.prom"}
    assert not list(unreachable.folder.glob(".*out*"))


def test_a_project_that_cannot_be_written_is_refused_before_the_run(unreachable: Project) -> None:
    """A file in place of the directory simulates a read-only file system, because root can write to any directory."""
    unreachable.write("playbooks/.provision", "")
    done = run(unreachable, "", *APPLY)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("provision: the journal of the run cannot be written: playbooks/.provision")
    assert done.stderr.count("\n") == 1
