"""Files for their owner only: their content is secret on a host, or only some users of the host can read it."""

from __future__ import annotations

import os
from pathlib import Path

from provision.errors import UsageError


def write_private(path: Path, text: str) -> None:
    """Write a new file, with mode 0600 before it has content; an existing file is removed first. Raises
    :class:`UsageError` where that fails."""
    try:
        path.unlink(missing_ok=True)
        # Do not follow a link that another user has created in the meantime.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
