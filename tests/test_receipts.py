"""The scripts that ask a host about a run, in each shell and without the word that a caller may leave out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provision.remote.protocol import Frames
from provision.remote.script import RUNS, receipt_script
from provision.transport.job import Verb
from tests.shells import each_shell

RUN, RESULT = "20260101T000000-00000000", "rolled_back unconfirmed"


@each_shell
@pytest.mark.parametrize(
    ("verb", "job"),
    [
        ("attach", ""),
        ("confirm", "confirm\n"),
        ("reached", ""),
        # Without a reason: a run that a later command takes up, and that did not bring the host into its state.
        ("revoke", "revoke drift\n"),
    ],
)
def test_each_question_about_a_run_reaches_its_end(shell: list[str], tmp_path: Path, verb: Verb, job: str) -> None:
    run = tmp_path / RUN
    run.mkdir()
    (run / "job").write_text(f'echo "$*" >>{tmp_path}/asked\n')
    (run / "result").write_text(f"{RESULT}\n")
    (run / "events").touch()
    text = receipt_script(verb, RUN).replace(RUNS, str(tmp_path))
    done = subprocess.run(shell, input=text.encode(), capture_output=True, check=False)
    asked = tmp_path / "asked"
    assert list(Frames().feed(done.stdout)) == [("result", RESULT), ("end",)], done.stderr
    assert (asked.read_text() if asked.exists() else "") == job
