"""Files for their owner only: their content is secret on a host, or only some users of the host can read it."""

from __future__ import annotations

from pathlib import Path

from provision.errors import UsageError
from provision.whole_file import is_special, write_whole


def check_private(path: Path) -> None:
    """Raises :class:`UsageError` for a device or a pipe: other users may read it."""
    if is_special(path):
        raise UsageError(f"{path} can't be written: it is not a regular file (give the path of a new file)")


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 before it has content; an existing file or link is replaced by the complete new one.
    Raises :class:`UsageError` where that fails, and as :func:`check_private` does."""
    check_private(path)
    try:
        write_whole(path, text.encode("utf-8"), 0o600)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error
