"""The arguments of verify's tests: things that a spec declares, by the names of providers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from provision.verify.declared import SHARED
from provision.verify.suite_files import SUITES

FILES = sorted(SUITES.glob("test_*.py"))


def taken(suite: Path) -> set[str]:
    """The names of the arguments of a suite's tests."""
    functions = (node for node in ast.parse(suite.read_text()).body if isinstance(node, ast.FunctionDef))
    return {word.arg for one in functions if one.name.startswith("test_") for word in one.args.args}


def own(suite: Path) -> set[str]:
    """The names in a suite's ``PROVIDERS``."""
    for node in ast.parse(suite.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROVIDERS":
            return {one.id for one in ast.walk(node.value) if isinstance(one, ast.Name)}
    return set()


@pytest.mark.parametrize("suite", FILES, ids=lambda path: path.stem)
def test_a_provider_of_a_suite_is_taken_by_its_tests(suite: Path) -> None:
    assert own(suite) <= taken(suite)
    assert not own(suite) & {*SHARED}


def test_a_shared_provider_is_taken_by_a_suite() -> None:
    assert {*SHARED} <= set().union(*map(taken, FILES))


def test_the_providers_of_a_suite_are_found() -> None:
    assert own(SUITES / "test_settings.py") == {"hostname", "sysctl", "module"}
