"""The files of provision's own suites. Without an import of pytest, because shell completion lists them too."""

from __future__ import annotations

from pathlib import Path

SUITES = Path(__file__).parent / "suites"


def names() -> list[str]:
    """The suites there are."""
    return sorted(path.stem.removeprefix("test_") for path in SUITES.glob("test_*.py"))
