"""The recipe of CONTRIBUTING.md adds a resource that works, and touches no other place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipe import ROOT, follow

#: What the recipe may need: the code, its tests, and the pages that they read.
NEEDED = ("provision", "tests", "docs", "docsite", "templates", "stubs")
#: Tests that have parameters by resource, and tests of all resources, which fail for one that is not complete.
BY_NAME = ("test_cases", "test_shell_cases", "test_script", "test_secret_fields")
OF_ALL = ("test_architecture", "test_undo_kinds", "test_fields_are_used", "test_providers")


@pytest.mark.thorough
def test_a_resource_is_added_by_the_recipe_alone(tmp_path: Path) -> None:
    for name in NEEDED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "lab", "img"))
    shutil.copytree(ROOT / "provision/lab", tmp_path / "provision/lab")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    assert len(set(follow(tmp_path))) == 6

    def run(*words: str) -> str:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)}
        argv = [sys.executable, "-m", *words]
        done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("ruff", "check", "--no-cache", "provision", "tests")
    run("ruff", "format", "--no-cache", "--check", "provision", "tests")
    run("docsite.reference", "docs")
    assert "| `timezone` | a time zone (tzdata) |" in (tmp_path / "docs/reference/spec.md").read_text()
    pytest = ("pytest", "-p", "no:cacheprovider", "-q")
    run(*pytest, *(f"tests/{name}.py" for name in OF_ALL))
    found = run(*pytest, "-rA", *(f"tests/{name}.py" for name in BY_NAME), "-k", "timezone")
    for name in BY_NAME:
        assert f"PASSED tests/{name}.py::" in found, found
