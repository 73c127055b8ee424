"""A host that keeps a connection and gives nothing: no answer to a request, or a byte of window at a time. Every part
ends at its deadline, also over a connection that no run watches (a confirmation, a restart, a check)."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import paramiko
import pytest

from provision.model import Login
from provision.transport import upload
from provision.transport.execute import execute
from provision.transport.line import Line
from provision.transport.shell import Shell
from provision.transport.sockets import Watchdog
from provision.transport.ssh import HostError
from tests.sshd import Sshd, connected

LOGIN = Login("host")
#: More than the window that a host opens at first.
LONG = "true\n" * 1_000_000


class Hostile(Sshd):
    """``answers``: it accepts an exec, reads nothing, and opens its window byte by byte. Otherwise it never answers."""

    def __init__(self, answers: bool) -> None:
        super().__init__({})
        self.answers, self.over = answers, threading.Event()

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if not self.answers:
            self.over.wait()
            return False
        threading.Thread(target=self._trickle, args=(channel,), daemon=True).start()
        return True

    def _trickle(self, channel: paramiko.Channel) -> None:
        transport: Any = channel.transport
        while not self.over.wait(0.1) and transport.is_active():
            more = paramiko.Message()
            more.add_byte(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
            more.add_int(channel.remote_chanid)
            more.add_int(1)
            transport._send_user_message(more)


@pytest.fixture(params=[True, False], ids=["a byte at a time", "no answer"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    sshd = Hostile(request.param)
    with connected(sshd) as connection:
        made = Line("host", "ops", 22, {})
        made.transport = connection.transport
        cast(Any, made.client)._transport = connection.transport
        made.watchdog = Watchdog()
        yield made
        sshd.over.set()
        made.watchdog.close()


def script(line: Line, deadline: float) -> None:
    execute(line, LOGIN, LONG, deadline, lambda frame: None)


def probe(line: Line, deadline: float) -> None:
    Shell(line, LOGIN).run(LONG, deadline - time.monotonic())


def pour(line: Line, deadline: float) -> None:
    upload._pour(line, LOGIN, "/blobs/x.part", io.BytesIO(LONG.encode()).read, deadline)


@pytest.mark.parametrize("use", [script, probe, pour])
def test_a_host_that_gives_nothing_is_left_at_the_deadline(line: Line, use: Callable[[Line, float], None]) -> None:
    kinds: list[str] = []

    def ask() -> None:
        try:
            use(line, time.monotonic() + 1)
        except HostError as error:
            kinds.append(error.failure.kind)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(30)
    assert kinds == ["timeout"]
