"""Files that are written completely or not at all, and never through a link of another user."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex


def is_special(path: Path) -> bool:
    """True if a path is a device, a pipe, or an open file of a process (``/dev/stdout``): a new file in its place would
    take it away from all programs."""
    folder = os.path.realpath(path.parent)
    return (path.exists() and not path.is_file()) or folder == "/dev" or folder.startswith("/proc/")


def write_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace a file, also after a power failure either the old or the new one. A link is replaced, and never followed.
    ``mode`` is set before the file has content; without it the umask decides. Raises ``OSError``."""
    # The name can't be guessed: in a directory that others can write, a link could be in its place.
    new = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_anywhere(path: Path, data: bytes, mode: int | None = None) -> None:
    """The same, where the operator may also name a device or a pipe: that is written itself. Raises ``OSError``."""
    if is_special(path):
        path.write_bytes(data)
    else:
        write_whole(path, data, mode)
