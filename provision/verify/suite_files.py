"""The files of provision's own suites. This module does not import pytest, because shell completion uses it too."""

from __future__ import annotations

from pathlib import Path

SUITES = Path(__file__).parent / "suites"


def names() -> list[str]:
    """The names of all suites."""
    return sorted(path.stem.removeprefix("test_") for path in SUITES.glob("test_*.py"))
