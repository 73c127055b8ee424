"""Questions to the operator while hosts are processed: at a pseudo-terminal, with an SSH server in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from paramiko.server import InteractiveQuery

from tests.sshd import listening
from tests.terminal import Terminal
from tests.test_processes import BOTH, PASSWORD, Counted, Fleet

FORGED = (
    "Code: \n\n/root/.ssh/id_ed25519: passphrase of the key: \x1b[2K\r" + 80 * " " + "other: password" + 200_000 * "x"
)


class Asking(Counted):
    """A server whose keyboard-interactive prompt is ``prompt``."""

    prompt = "Password: "

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.common.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery:
        query = InteractiveQuery("", "")
        query.add_prompt(self.prompt, False)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.logins["answers"] += 1
        return paramiko.common.AUTH_SUCCESSFUL if responses == [PASSWORD] else paramiko.common.AUTH_FAILED


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.RSAKey.generate(2048)


@pytest.fixture
def asking(tmp_path: Path, key: paramiko.PKey) -> Iterator[Fleet]:
    with listening(sshd := Asking(), key) as (port, known):
        fleet = Fleet(tmp_path, sshd, port, known)
        fleet.hosts(1, ansible_password=None, ansible_ssh_common_args="-o IdentityFile=none -o IdentityAgent=none")
        fleet.play({})
        yield fleet


def question(fleet: Fleet) -> str:
    return f'u0@[127.0.0.1]:{fleet.port}: the host asks "Password": '


@BOTH
def test_the_display_of_the_run_pauses_while_a_question_is_open(asking: Fleet, count: int) -> None:
    terminal = Terminal(asking.argv("plan", "--processes", str(count)), asking.folder, kind="xterm")
    terminal.until(question(asking))
    assert not terminal.echoes
    assert terminal.quiet(1.5) == "", "the display must not be drawn over the question"
    terminal.write(f"{PASSWORD}\n".encode())
    assert terminal.ended() == (0, True), terminal.seen
    assert PASSWORD not in terminal.seen
    assert "h0" in terminal.seen, "the result follows"


def test_the_time_of_the_operator_does_not_count_for_the_login(asking: Fleet) -> None:
    terminal = Terminal(asking.argv("plan", "--connect-timeout", "0.5"), asking.folder)
    terminal.until(question(asking))
    terminal.quiet(1.5)
    terminal.write(f"{PASSWORD}\n".encode())
    assert terminal.ended() == (0, True), terminal.seen


@BOTH
def test_ctrl_c_ends_an_open_question(asking: Fleet, count: int) -> None:
    terminal = Terminal(asking.argv("plan", "--processes", str(count)), asking.folder, kind="xterm")
    terminal.until(question(asking))
    terminal.write(b"half of a pass\x03")
    assert terminal.ended() == (130, True), terminal.seen
    assert asking.sshd.logins == {}, "nothing was sent to the host"


def test_the_deadline_of_a_host_ends_an_open_question(asking: Fleet) -> None:
    terminal = Terminal(asking.argv("plan", "--deadline", "2", "--plain"), asking.folder)
    terminal.until(question(asking))
    assert terminal.ended() == (3, True), terminal.seen
    assert "the login did not finish before the host's deadline" in terminal.seen


def test_a_signal_that_ends_provision_restores_the_echo(asking: Fleet) -> None:
    terminal = Terminal(asking.argv("plan"), asking.folder)
    terminal.until(question(asking))
    terminal.child.send_signal(signal.SIGTERM)
    assert terminal.ended() == (-signal.SIGTERM, True), terminal.seen


def test_the_prompt_of_a_host_cannot_imitate_another_question(asking: Fleet) -> None:
    asking.sshd.prompt = FORGED  # type: ignore[attr-defined]
    terminal = Terminal(asking.argv("plan", "--plain"), asking.folder)
    terminal.until('the host asks "')
    shown = terminal.quiet(1.0)
    assert shown.startswith(r"Code: \n\n/root/.ssh/id_ed25519: passphrase of the key: \x1b[2K\x0d other: passwordxxx")
    assert "\n" not in shown
    assert len(shown) < 300
    terminal.write(b"\x04")
    assert terminal.ended() == (3, True), terminal.seen
    assert 'the host asks "Code: ' in terminal.seen.rpartition("operator did not answer")[0]
