"""The pre-commit hooks and the GitHub action, run as pre-commit and a runner run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


FILE_HOOKS = ("provision-lint", "provision-lint-fix")


def hook(id: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run a hook as pre-commit does: the words of ``entry``, and then the files that match ``files``."""
    assert re.search(HOOKS[id]["files"], f"etc/docker/{file.name}")
    argv = [*shlex.split(HOOKS[id]["entry"]), str(file)]
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "taken"), [("daemon.json", True), ("docker/daemon.json", True), ("package.json", False)]
)
def test_the_hooks_select_files_by_their_names(name: str, taken: bool) -> None:
    assert all(bool(re.search(HOOKS[id]["files"], name)) == taken for id in FILE_HOOKS)


def test_a_hook_checks_the_playbook_when_a_file_of_its_project_changes(tmp_path: Path) -> None:
    project = HOOKS["provision-lint-project"]
    assert set(HOOKS) == {*FILE_HOOKS, "provision-lint-project"}
    for name in ("playbooks/site.yml", "inventory/hosts.yml", "fleet/inventory/group_vars/docker.yml"):
        assert re.search(project["files"], name)
    assert not re.search(project["files"], "docs/playbooks.md")
    assert project["pass_filenames"] is False

    def run() -> subprocess.CompletedProcess[str]:
        argv = shlex.split(project["entry"])
        return subprocess.run(argv, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

    (tmp_path / "inventory").mkdir()
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "inventory/hosts.yml").write_text("docker: {hosts: {web1: }}\n")
    (tmp_path / "playbooks/site.yml").write_text("- name: a\n  hosts: docker\n  spec: {hostname: web1}\n")
    assert run().returncode == 0
    (tmp_path / "playbooks/site.yml").write_text("- name: a\n  hosts: docker\n  spec: {hostnam: web1}\n")
    assert (run().returncode, 'did you mean "hostname"?' in run().stdout) == (1, True)


def test_the_hooks_fail_on_findings_and_correct_files(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"log-driver": "local", "mtu": "1400",}')
    assert hook("provision-lint", file).returncode == 1
    assert hook("provision-lint-fix", file).returncode == 0
    assert file.read_text() == '{"log-driver": "local", "mtu": 1400}'
    assert hook("provision-lint", file).returncode == 0


def lint_step(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the action as a runner does: inputs in the environment, bash with -e and pipefail."""
    (step,) = (step for step in ACTION["runs"]["steps"] if step.get("name") == "Lint")
    given = {name: inputs.get(name, str(spec.get("default", ""))) for name, spec in ACTION["inputs"].items()}
    assert step["env"] == {name.upper(): f"${{{{ inputs.{name} }}}}" for name in given}
    variables = {name.upper(): value for name, value in given.items()}
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(argv, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False)


def test_the_action_reports_findings_and_fails(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/daemon.json").write_text('{"log-driver": "local",\n"gragh": "/data", "debug": true}')
    (tmp_path / "good.json").write_text('{"log-driver": "local"}')
    done = lint_step(
        tmp_path, files="a b/daemon.json\ngood.json\n", engine="28.5", ignore="DJ307 DJ308", sarif="x.sarif"
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=a b/daemon.json,line=2,title=DJ101 unknown-key::unknown key gragh")
    assert "DJ307" not in done.stdout
    log: dict[str, Any] = json.loads((tmp_path / "x.sarif").read_text())
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == "DJ101"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/daemon.json"
    assert lint_step(tmp_path, files="good.json").returncode == 0
    # A file that can't be read is a finding: those of the other files stay.
    (tmp_path / "latin.json").write_bytes(b'{"\xe4": 1}')
    assert lint_step(tmp_path, files="not-there.json\na b/daemon.json\nlatin.json", sarif="y.sarif").returncode == 1
    log = json.loads((tmp_path / "y.sarif").read_text())
    assert {result["ruleId"] for result in log["runs"][0]["results"]} >= {"LT001", "DJ101"}


def test_the_action_takes_patterns_and_reports_one_without_a_match(tmp_path: Path) -> None:
    (tmp_path / "a b/deep").mkdir(parents=True)
    for place in ("a b", "a b/deep"):
        (tmp_path / place / "daemon.json").write_text('{"gragh": "/data"}')
    done = lint_step(tmp_path, files="**/daemon.json\nnone/*.json", sarif="x.sarif")
    assert done.returncode == 1
    for place in ("a b/daemon.json", "a b/deep/daemon.json", "none/*.json"):
        assert f"::error file={place}," in done.stdout, done.stdout
    log: dict[str, Any] = json.loads((tmp_path / "x.sarif").read_text())
    found = [result["ruleId"] for result in log["runs"][0]["results"]]
    assert (found.count("DJ101"), found.count("LT001")) == (2, 1)
    empty = lint_step(tmp_path, files="\n\n")
    assert (empty.returncode, empty.stdout) == (1, "::error::the input files names no file\n")


def test_no_input_of_the_action_is_executed(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text('{"log-driver": "local"}')
    lint_step(tmp_path, files="$(touch ran)\n`touch ran`\n; touch ran", engine="$(touch ran)", ignore="$(touch ran)")
    assert [path.name for path in tmp_path.iterdir()] == ["good.json"]


def test_the_action_installs_pinned_versions(tmp_path: Path) -> None:
    """Another action by its commit, and every package by the lock file, with the build backend."""
    steps = ACTION["runs"]["steps"]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    (install,) = (step["run"] for step in steps if step.get("name") == "Install provision")
    (tmp_path / "python").write_text('#!/bin/sh\ncat "$PIP_CONSTRAINT" >packages; echo "$*" >words\n')
    (tmp_path / "python").chmod(0o755)
    variables = {
        **os.environ,
        "HERE": str(ROOT),
        "RUNNER_TEMP": str(tmp_path),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    subprocess.run(["bash", "-eo", "pipefail", "-c", install], cwd=tmp_path, env=variables, check=True)
    assert (tmp_path / "words").read_text() == f"-m pip install --quiet -- {ROOT}\n"
    pinned = [line for line in (tmp_path / "packages").read_text().splitlines() if line.strip()[:1] not in ("", "#")]
    assert all(re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+]+( ;.*)?", line) for line in pinned), pinned
    names = {line.partition("==")[0] for line in pinned}
    assert {"hatchling", "jinja2", "paramiko"} <= names


def test_no_script_of_the_action_contains_an_expression() -> None:
    """An input that is pasted into a script would become part of its text."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]
