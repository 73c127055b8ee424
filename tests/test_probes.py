"""What the threads of ``verify`` meet besides the checks is reported as well."""

from __future__ import annotations

import contextlib
import io
import os
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from provision.verify.plugin import Check, Plugin
from provision.verify.subjects import Subject

_SUITE = """\
def test_one(host, spec): pass
def test_two(host): pass
def after(host):
    host.cleaned.append({name!r})
    {end}
"""


def checked(folder: Path, source: Any = None, **ends: str) -> tuple[list[Check], list[str], str]:
    """Run a suite for each name with this end of its ``after``. Returns the checks, the suites that were cleaned up,
    and the JUnit report."""
    # Python keeps a module of the same name, also after pytest's end.
    files = [folder / f"test_{name}_{folder.name}.py" for name in ends]
    for file, (name, end) in zip(files, ends.items(), strict=True):
        file.write_text(_SUITE.format(name=name, end=end))
    target: Any = SimpleNamespace(cleaned=[])
    config: Any = SimpleNamespace(source=source or {}, plays=[SimpleNamespace(verify=files)])
    context: Any = None
    checks: list[Check] = []
    words = [*map(str, files), "-q", "-c", "/dev/null", f"--rootdir={folder}", "--import-mode=importlib"]
    words += ["-p", "no:cacheprovider", "-p", "no:pytest11.testinfra", f"--junitxml={folder}/junit.xml"]
    # As in run.py; and without the plugins of this environment.
    words += ["-p", "no:unraisableexception", "-p", "no:warnings"]
    bare = mock.patch.dict(os.environ, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    with contextlib.redirect_stdout(io.StringIO()), bare:
        pytest.main(words, plugins=[Plugin({"web1": Subject(config, target)}, context, checks.append)])
    return checks, target.cleaned, (folder / "junit.xml").read_text()


def test_a_clean_up_that_fails_is_a_failed_check(tmp_path: Path) -> None:
    checks, cleaned, report = checked(tmp_path, first="raise RuntimeError('left: \\x1b[31m c0ffee')", second="pass")
    assert sorted(cleaned) == ["first", "second"], "each suite is cleaned up, also where one fails"
    failed = [check for check in checks if check.outcome == "failed"]
    assert [(check.host, check.message) for check in failed] == [("web1", "RuntimeError: left: \\x1b[31m c0ffee")]
    assert 'errors="1"' in report
    assert len([check for check in checks if check.outcome == "passed"]) == 4


def test_a_clean_up_that_works_adds_no_check(tmp_path: Path) -> None:
    checks, cleaned, _ = checked(tmp_path, first="pass")
    assert cleaned == ["first"]
    assert [(check.outcome, check.message) for check in checks] == [("passed", "")] * 2


def test_a_spec_that_is_no_json_fails_each_check(tmp_path: Path) -> None:
    """pytest would wait without limit for the outcomes of a thread that has ended."""
    checks, cleaned, _ = checked(tmp_path, {"built": date(2024, 1, 1)}, first="pass")
    assert [check.outcome for check in checks] == ["failed", "failed"]
    assert cleaned == ["first"]
