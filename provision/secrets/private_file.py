"""Files for their owner's eyes: what stands in them is secret on somebody's host, or readable by few there."""

from __future__ import annotations

import os
from pathlib import Path

from provision.errors import UsageError


def write_private(path: Path, text: str) -> None:
    """A new file, mode 0600 before it has content; one of that name goes. Raises :class:`UsageError` where it can't."""
    try:
        path.unlink(missing_ok=True)
        # A link that somebody has put there meanwhile is not followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
