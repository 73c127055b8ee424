"""The runner of the tests on real hosts: an interrupted run leaves no process. And the chosen tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from provision.lab.store import Store, start_time
from tests.process_tree import alive
from tools import host_tests, leftovers

ROOT = Path(__file__).parent.parent
LAB = ROOT / "tests/lab"
CHOSEN = yaml.safe_load((LAB / "chosen.yml").read_text())

#: A command with a child, as pytest has workers. ``{end}`` is what both do with SIGINT.
_COMMAND = """\
import os, signal, sys, time
from pathlib import Path
def end(*_):
    Path("{folder}", "cleaned-" + str(os.getpid())).touch()
    sys.exit(1)
signal.signal(signal.SIGINT, {end})
os.fork()
Path("{folder}", "pid-" + str(os.getpid())).touch()
time.sleep(300)
"""
_RUN = """\
import sys
from pathlib import Path
from tools import host_tests
folder, grace, *commands = sys.argv[1:]
later = ("touch", folder + "/later")
first = [[(sys.executable, "-c", command), later] for command in commands]
sys.exit(host_tests.run([first, [[later]]], Path(folder, "clean").touch, float(grace)))
"""


def pids(folder: Path) -> set[int]:
    return {int(path.name.partition("-")[2]) for path in folder.glob("pid-*")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("end", ["end", "signal.SIG_IGN"])
def test_an_interrupted_run_leaves_no_process(tmp_path: Path, number: signal.Signals, end: str) -> None:
    """As from a shell's background or from CI: without a terminal, and only the runner gets the signal."""
    command = _COMMAND.format(folder=tmp_path, end=end)
    argv = [sys.executable, "-c", _RUN, str(tmp_path), "60" if end == "end" else "0.2", command, command]
    run = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while len(pids(tmp_path)) < 4:
            assert time.monotonic() < until
            time.sleep(0.02)
        run.send_signal(number)
        assert run.wait(60) == 130
        assert [pid for pid in pids(tmp_path) if alive(pid)] == []
    finally:
        for pid in pids(tmp_path):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        run.kill()
    assert (tmp_path / "clean").exists(), "the labs are removed after the processes"
    assert not (tmp_path / "later").exists(), "no other command was started"
    cleaned = {int(path.name.partition("-")[2]) for path in tmp_path.glob("cleaned-*")}
    assert cleaned == (pids(tmp_path) if end == "end" else set())


@pytest.mark.parametrize(("first", "other", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_each_command_counts_and_the_causes_come_last(
    capfd: pytest.CaptureFixture[str], first: int, other: int, code: int
) -> None:
    jobs = [[("sh", "-c", f"exit {first}"), ("true",)], [("sh", "-c", f"echo FAILED x; exit {other}"), ("echo", "y")]]
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert host_tests.run([jobs], lambda: None) == code
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    out = capfd.readouterr().out
    assert out.startswith("== the output of the parallel jobs\nFAILED x\ny\n")
    assert out.endswith("FAILED x\n") == bool(other)


def test_a_lab_is_abandoned_when_the_process_of_its_run_has_ended(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, owner in {
        "test-a": f"{os.getpid()} {start_time(os.getpid())}",
        "test-b": f"{os.getpid()} 1",  # the number belongs to another process now
        "test-c": None,
        "demo": None,
    }.items():
        (tmp_path / "labs" / name).mkdir(parents=True)
        if owner:
            (tmp_path / "labs" / name / "owner").write_text(owner)
    assert leftovers.abandoned(store) == ["test-b", "test-c"]


# -- the chosen tests --


def test_each_capability_has_one_test_that_the_first_job_runs() -> None:
    tests = [f"tests/lab/{test}" for test in CHOSEN["capabilities"].values()]
    assert len(set(tests)) == len(tests)
    argv = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    marks = "chosen and not alone and not virtual and not torture"
    done = subprocess.run([*argv, "-m", marks, "tests/lab"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert {line for line in done.stdout.split("\n") if "::" in line} == set(tests), done.stdout


def test_each_file_of_the_lab_is_in_the_list() -> None:
    """A new file covers a capability that the list should name, or says why it does not."""
    named = {test.partition("::")[0] for test in CHOSEN["capabilities"].values()}
    assert all(CHOSEN["without"].values())
    assert named.isdisjoint(CHOSEN["without"])
    assert named | CHOSEN["without"].keys() == {path.name for path in LAB.glob("test_*.py")}


def test_make_test_all_begins_with_make_test() -> None:
    make = (ROOT / "Makefile").read_text()
    assert re.search(r"^test: check\n\t\S+ -m tools.host_tests chosen$", make, re.MULTILINE)
    assert re.search(r"^test-all: test\n\t(.*\n\t)*\S+ -m tools.host_tests rest$", make, re.MULTILINE)
    assert set(host_tests.STAGES) == {"chosen", "rest"}
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec make test-all")
