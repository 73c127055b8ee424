"""requirements.lock: the pinned versions of the developers' environment, for every Python that the project allows."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Lines without the hashes, which continue a line.
PINS = [
    Requirement(line) for line in re.findall(r"^([a-z0-9][^\n\\]*)", (ROOT / "requirements.lock").read_text(), re.M)
]


def pinned(python: str) -> dict[str, Requirement]:
    """The pins that pip takes under a version of Python, by the package's name."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    return {pin.name: pin for pin in PINS if pin.marker is None or pin.marker.evaluate(environment)}


def version(pin: Requirement) -> str:
    (exact,) = pin.specifier
    assert exact.operator == "=="
    return exact.version


def test_the_first_release_of_the_oldest_python_can_install_the_lock() -> None:
    """Debian 12 has 3.11.2: a pin that needs a later release of 3.11 has a marker that says so."""
    seen = 0
    for name, pin in pinned("3.11.0").items():
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        if installed.version == version(pin):
            needs = SpecifierSet(",".join(installed.metadata.get_all("Requires-Python") or ()))
            assert needs.contains("3.11.0"), f"{pin} needs Python {needs}"
            seen += 1
    assert seen > 100


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0", "3.14.0"])
def test_each_dependency_is_pinned_within_its_bounds(python: str) -> None:
    pins = pinned(python)
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["molecule"], *extras["cluster"], *extras["dev"]]:
        needed = Requirement(text)
        assert needed.specifier.contains(version(pins[needed.name.lower().replace("_", "-")])), text


def test_each_dependency_has_a_lower_bound() -> None:
    for text in PROJECT["dependencies"]:
        assert any(bound.operator == ">=" for bound in Requirement(text).specifier), text


def test_the_lock_names_no_host() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
