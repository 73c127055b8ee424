"""The recipe of CONTRIBUTING.md adds a resource that works, and touches no other place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.recipe import ROOT, follow

#: What the recipe may need: the code, its tests, and the pages that they read.
NEEDED = ("provision", "tests", "docs", "docsite", "templates", "stubs")
#: The tests that find the new resource by themselves.
TESTS = ("test_cases", "test_shell_cases", "test_architecture", "test_script", "test_secret_fields")
#: Tests of all resources that fail for one that is not complete.
WHOLE = {"test_undo_kinds": "title", "test_fields_are_used": "each_field_is_read", "test_providers": "a_provider_of"}


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
    files = [f"tests/{name}.py" for name in (*TESTS, *WHOLE)]
    words = " or ".join(("timezone", "documented", *WHOLE.values()))
    found = run("pytest", "-p", "no:cacheprovider", "-v", *files, "-k", words)
    for name in (*TESTS, *WHOLE):
        assert f"{name}.py::" in found, found
