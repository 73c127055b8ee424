"""Run a program of the operator with a limit of time and of output. Beyond a limit it is killed with its children. It
has a session of its own, so Ctrl-C at the terminal does not reach it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from provision.secrets import secret

_PIECE = 65_536


class Beyond(Exception):
    """The program was killed; the text says which limit it passed."""

    def __init__(self, text: str, is_time: bool) -> None:
        super().__init__(text)
        self.is_time = is_time


class Ended(Struct, frozen=True):
    status: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str], seconds: float, most: int, more: Mapping[str, str] | None = None, folder: Path | None = None
) -> Ended:
    """Run a program without standard input, in the environment of provision without declared secrets, and with
    ``more``; in ``folder``, or the working directory. It may run for ``seconds``, and print ``most`` bytes. Raises
    :class:`Beyond`, and ``OSError`` or ``ValueError`` (a NUL byte) where it can't start."""
    process = subprocess.Popen(  # noqa: S603 - no shell
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**secret.environment(), **(more or {})},
        start_new_session=True,
    )
    try:
        return _output(process, time.monotonic() + seconds, seconds, most)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _output(process: subprocess.Popen[bytes], end: float, seconds: float, most: int) -> Ended:
    printed = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, into in zip((process.stdout, process.stderr), printed, strict=True):
            selector.register(pipe or -1, selectors.EVENT_READ, into)
        while selector.get_map():
            if (left := end - time.monotonic()) <= 0:
                raise Beyond(f"did not end within {seconds:.3g} s", True)
            for key, _ in selector.select(left):
                data = os.read(key.fd, _PIECE)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
                if len(key.data) > most:
                    raise Beyond(f"printed more than {most // 1024} KiB", False)
    try:
        status = process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise Beyond(f"did not end within {seconds:.3g} s", True) from error
    return Ended(status, bytes(printed[0]), bytes(printed[1]))
