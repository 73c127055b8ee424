"""The command line in a separate process, forked from one that has imported all modules already.

The imports are nine tenths of the start of ``python -m provision``, and the tests start it some thousand times. The
new process gets its own directory, environment and key for the tokens of secrets after the fork. It ends in the same
way as an interpreter that was started for it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import re
import runpy
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

import provision
from provision.secrets import secret

#: Modules that are not imported before the fork: those that pytest rewrites when it imports them, those that start by
#: themselves, and those of the lab.
_NOT = re.compile(r"provision\.(verify\.(suites|standalone)|rollout\.cluster|shipped|lab)\b|.*\.__main__$")
_LONGEST = 1 << 18


class _Server:
    """The process that forks. Each process of pytest has one, until it ends."""

    def __init__(self) -> None:
        self._socket, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # One packet of a request has the whole environment.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _LONGEST)
        self._lock = threading.Lock()
        argv = [sys.executable, "-m", __name__, str(far_end.fileno())]
        self.process = subprocess.Popen(argv, pass_fds=[far_end.fileno()], stdin=subprocess.DEVNULL)
        far_end.close()

    def run(
        self, words: list[str], cwd: Path | None, env: Mapping[str, str] | None, start_new_session: bool
    ) -> subprocess.CompletedProcess[str]:
        given = {
            "words": words,
            "folder": str(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
        }
        request = json.dumps({**given, "session": start_new_session}).encode()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            answer, far_end = socket.socketpair()
            with answer:
                with far_end, self._lock:
                    socket.send_fds(self._socket, [request], [far_end.fileno(), out.fileno(), err.fileno()])
                code = _ended(answer)
            return subprocess.CompletedProcess(words, code, *map(_text, (out, err)))


def _text(file: IO[bytes]) -> str:
    """Decode output as subprocess decodes what it captures."""
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n").replace("\r", "\n")


def _ended(answer: socket.socket) -> int:
    """Wait for the end. Returns the exit code, negative for a signal, as subprocess does."""
    with answer.makefile("r") as lines:
        pid = int(lines.readline())
        try:
            return int(lines.readline())
        except BaseException:  # the test's time is over
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise


@cache
def server() -> _Server:
    return _Server()


def run(
    words: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    start_new_session: bool = False,
) -> subprocess.CompletedProcess[str]:
    """``python -m provision WORDS``, with empty standard input; the other arguments are those of subprocess.run."""
    return server().run(words, cwd, env, start_new_session)


def _serve(requests: socket.socket) -> list[str]:
    """Fork for each request. Returns only in the new process, with the arguments of the command line."""
    running: dict[int, socket.socket] = {}
    ended, wakeup = socket.socketpair()
    for end in (ended, wakeup):
        end.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            ended.recv(_LONGEST)
            for pid in list(running):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    _tell(running.pop(pid), os.waitstatus_to_exitcode(status))
        if requests in ready:
            text, fds, _, _ = socket.recv_fds(requests, _LONGEST, 3)
            if not text:
                sys.exit()
            answer, out, err = fds
            if pid := os.fork():
                running[pid] = socket.socket(fileno=answer)
                running[pid].sendall(f"{pid}\n".encode())
                os.close(out)
                os.close(err)
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in (requests, ended, wakeup, *running.values()):
                one.close()
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.closerange(3, max(fds) + 1)
            request = json.loads(text)
            if request["session"]:
                os.setsid()
            os.chdir(request["folder"])
            os.environ.clear()
            os.environ.update(request["environment"])
            return list(request["words"])


def _tell(answer: socket.socket, code: int) -> None:
    with answer, contextlib.suppress(BrokenPipeError):  # the process that waited has ended
        answer.sendall(f"{code}\n".encode())


def _main() -> None:
    for found in pkgutil.walk_packages(provision.__path__, "provision."):
        if not _NOT.match(found.name):
            importlib.import_module(found.name)
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    secret._KEY = secrets.token_bytes(len(secret._KEY))
    runpy.run_module("provision", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
