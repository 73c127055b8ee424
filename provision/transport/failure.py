"""The errors of a host that cannot continue."""

from __future__ import annotations

import re
from typing import Any

from provision.lines import lines_of
from provision.model import Failure, Login


class HostError(Exception):
    """The host cannot continue; ``failure`` gives the reason."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        self.failure = Failure(kind, message, **more)
        super().__init__(message)


class Dropped(HostError):
    """The host closed the connection before it checked the login: another attempt may succeed."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", message)


class CutOff(HostError):
    """The host closed the connection, or was too slow, while it checked a login. It may be shutting down, or may
    have refused the account. ``counted``: a password was sent, which the host may have counted as a wrong one
    (pam_faillock(8))."""

    def __init__(self, message: str, counted: bool) -> None:
        super().__init__("unreachable", message)
        self.counted = counted


class NotBegun(HostError):
    """The login succeeded, and its shell ran no script."""


def not_begun(login: Login, status: int | None, out: bytes, err: bytes) -> NotBegun:
    """Return the error of a login that succeeded and whose shell ran no script."""
    printed = "\n".join(part.decode("utf-8", "replace").strip(" \r\n\t") for part in (out, err) if part)
    said = f"it printed {lines_of(printed)[-1]!r}" if printed else "it printed nothing"
    of = f" of {login.user}" if login.user else ""
    message = (
        f"the login shell{of} did not run sh: {said} and exited with {status} (is it nologin, ForceCommand or a menu, "
        "or does a start file such as ~/.bashrc exit or read standard input?)"
    )
    return NotBegun("protocol", message, detail=printed)


def in_words(error: Exception) -> str:
    """The text of an error of a connection. Some errors of paramiko and of sockets have none."""
    said = re.sub(r"\s*\[Errno -?\d+\] ", ": ", str(error)).strip(" :\n")
    return said or ("the connection was closed" if isinstance(error, (EOFError, OSError)) else type(error).__name__)
