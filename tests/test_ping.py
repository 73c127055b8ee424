"""``provision ping``: logins of an inventory, without a playbook, to an SSH server in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.sshd import listening
from tests.terminal import Terminal
from tests.test_processes import PASSWORD, Counted, Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with listening(sshd := Counted(), paramiko.RSAKey.generate(2048)) as (port, known):
        yield Fleet(tmp_path, sshd, port, known)


def test_each_host_has_one_line(fleet: Fleet) -> None:
    fleet.hosts(3, unreachable=(1,))
    outcome = fleet.run("ping")
    assert outcome.code == 3, outcome.err
    assert outcome.ends == {"h0": "ok", "h1": "unreachable", "h2": "ok"}
    assert [event["mode"] for event in outcome.events if event["event"] in ("run.begin", "run.done")] == ["ping"] * 2
    pings = {event["host"]: event for event in outcome.all("ping")}
    assert pings["h0"]["login"] == f"u0@127.0.0.1:{fleet.port}"
    assert (pings["h0"]["transport"], pings["h0"]["account"]) == ("ssh", "root")
    assert len(fleet.sshd.commands) == 2, "one exec for each host"
    assert fleet.run("ping", "-l", "h0:h2").code == 0


def test_the_line_of_a_host_is_text_too(fleet: Fleet) -> None:
    fleet.hosts(1)
    argv = [*fleet.argv("ping"), "--plain"]
    from tests import preloaded

    done = preloaded.run(argv[3:])
    assert done.returncode == 0, done.stderr
    assert f"h0: ok, u0@127.0.0.1:{fleet.port}, as root, " in done.stdout


def test_a_wrong_password_is_an_error_with_its_kind(fleet: Fleet) -> None:
    fleet.hosts(1, ansible_password=PASSWORD[:-1])
    outcome = fleet.run("ping")
    assert outcome.code == 3
    (end,) = outcome.all("host.done")
    assert end["error"]["kind"] == "auth"


def test_no_host_is_bad_input(fleet: Fleet) -> None:
    fleet.hosts(1)
    outcome = fleet.run("ping", "-l", "nowhere")
    assert outcome.code == 1
    assert "nowhere" in outcome.err


class Slow(Counted):
    """A server that answers a login, and then a command, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.login, self.command = threading.Event(), threading.Event()

    def check_auth_password(self, username: str, password: str) -> int:
        self.login.wait(60)
        return super().check_auth_password(username, password)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.command.wait(60)
        return super().check_channel_exec_request(channel, command)


def test_the_status_says_whether_a_host_is_logged_in_to(tmp_path: Path) -> None:
    with listening(sshd := Slow(), paramiko.RSAKey.generate(2048)) as (port, known):
        fleet = Fleet(tmp_path, sshd, port, known)
        fleet.hosts(1)
        terminal = Terminal(fleet.argv("ping", "--connect-timeout", "60"), tmp_path, kind="xterm")
        terminal.until("connecting")
        assert "reading the state" not in terminal.seen
        sshd.login.set()
        terminal.until("reading the state")
        sshd.command.set()
        assert terminal.ended() == (0, True), terminal.seen
