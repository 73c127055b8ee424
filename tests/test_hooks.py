"""Commands of a rollout: how each one can fail, and what it leaves behind."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provision.errors import SpecError
from provision.rollout.roll_out import Hooks
from tests.conftest import Project

PYTHON = sys.executable


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["a\0b"], "embedded null byte"),
        (["true", "\ud800"], "surrogates not allowed"),
        (["./none"], "./none: No such file or directory"),
        (["sh", "-c", "echo out; echo err >&2; exit 3"], "sh exited with 3: out\nerr"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path: Path, argv: list[str], said: str) -> None:
    assert said in Hooks(tmp_path, "r", 10)(argv, {"WHEN": "before"})


def test_a_command_runs_in_the_playbooks_directory_and_has_its_variables(tmp_path: Path) -> None:
    words = ["sh", "-c", 'echo "$PROVISION_RUN $PROVISION_HOST" >log']
    assert Hooks(tmp_path, "r", 10)(words, {"HOST": "web1; x"}) == ""
    assert (tmp_path / "log").read_text() == "r web1; x\n"


def test_ctrl_c_at_the_terminal_does_not_reach_a_command(tmp_path: Path) -> None:
    said = Hooks(tmp_path, "r", 10)([PYTHON, "-c", "import os; print(os.getsid(0)); raise SystemExit(1)"], {})
    assert int(said.split()[-1]) != os.getsid(0)


def test_at_its_deadline_a_command_is_killed_with_its_children(tmp_path: Path) -> None:
    words = ["sh", "-c", "sleep 1000 & echo $! >child; wait"]
    assert "took longer than 1 s" in Hooks(tmp_path, "r", 1)(words, {})
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    for _ in range(100):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child of the command is still running")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_variable_that_one_host_lacks_is_found_before_the_rollout(project: Project, when: str) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: {pool: a}, web2: {}}}\n")
    play: dict[str, Any] = {"name": "P", "hosts": "docker", "spec": {}}
    play["rollout"] = {when: {"host": ["./drain", "{{ pool }}"]}}
    project.write("playbooks/site.yml", json.dumps([play]))
    with pytest.raises(SpecError, match=r"undefined variable: 'pool' is undefined \[host web2\]") as found:
        project.load()
    assert found.value.key == f"rollout.{when}.host"
    assert found.value.where is not None
