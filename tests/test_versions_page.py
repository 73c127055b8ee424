"""docs/versions.md names the versions with which the tests run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.lab.controllers import PYTHONS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/versions.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def row(name: str) -> list[str]:
    """The versions in the cells "supported" and "tested with" of a row."""
    (line,) = [line for line in PAGE.split("\n") if line.startswith(f"| {name} |")]
    return [", ".join(re.findall(r"\d+\.\d+(?:\.\d+)?", cell)) for cell in line.split("|")[2:4]]


def test_the_versions_of_python() -> None:
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert row("Python of the controller") == [lowest, ", ".join(sorted(PYTHONS.values()))]


def test_the_versions_of_the_engine() -> None:
    """The engines that were run with each daemon.json of the linter's tests."""
    run = sorted((ROOT / "tests/data/dockerd_says").glob("*.yml"), key=lambda path: [*map(int, path.stem.split("."))])
    assert row("Docker Engine") == ["20.10", ", ".join(path.stem for path in run)]


def test_the_version_of_ansible() -> None:
    (pin,) = [word for word in PROJECT["project"]["optional-dependencies"]["dev"] if word.startswith("ansible-core")]
    assert row("Ansible's inventories")[0] == pin.removeprefix("ansible-core==").removesuffix(".*")
