"""Findings for a file that could not be checked, so that the findings in other files are still reported."""

from __future__ import annotations

import traceback
from pathlib import Path

from provision.errors import SpecError, Where
from provision.lint.finding import Finding
from provision.lint.rules import finding
from provision.secrets.secret import mask


def unreadable(error: SpecError, file: Path) -> Finding:
    return finding("LT001", error.where or Where(file, 1), error.message, error.hint)


def internal(error: Exception, file: Path) -> Finding:
    """The message has the place in provision's code, and the error's text with each secret masked."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = f"provision failed to check it: {type(error).__name__}: {mask(str(error))}"
    return finding("LT002", Where(file, 1), message, f"{Path(place.filename).name}:{place.lineno}")
