"""Logins over both transports, to an SSH server in this process: what is proven, what the operator is asked, and the
errors."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.server import InteractiveQuery

from provision.errors import SpecError
from provision.model import Host, Login
from provision.transport import known_hosts, reboot, upload
from provision.transport.channel import ProcessChannel
from provision.transport.execute import execute
from provision.transport.failure import CutOff, NotBegun, in_words
from provision.transport.private_keys import Encrypted, Keys, public_half
from provision.transport.prompter import Prompter
from provision.transport.proxy_command import ProxyCommand
from provision.transport.shell import Shell
from provision.transport.ssh import Connecting, HostError, Transport, cut
from tests.sshd import Sshd, close_listener, listening
from tests.test_session import SUDO

FRAME = "printf 'provision 1\\n'; printf '2;4:user,4:%s,\\n' \"$(whoami)\"\n"

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")


class Guarded(Sshd):
    """A server that accepts one key, and then (or instead) a password or a code."""

    def __init__(self, methods: list[str], key: bytes = b"", shell: str = "/bin/sh") -> None:
        super().__init__({}, shell)
        self.methods, self.key = methods, key
        self.passwords: list[str] = []
        self.answers: list[tuple[str, str]] = []
        self.prompts = ["Verification code: "]

    def get_allowed_auths(self, username: str) -> str:
        return self.methods[0]

    def _step(self, method: str) -> int:
        if not self.methods or self.methods[0] != method:
            return paramiko.common.AUTH_FAILED
        if len(self.methods) == 1:
            return paramiko.common.AUTH_SUCCESSFUL
        self.methods = self.methods[1:]
        return paramiko.common.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._step("publickey") if key.asbytes() == self.key else paramiko.common.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.passwords.append(password)
        return self._step("password") if password == "right" else paramiko.common.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery | int:
        if self.methods[0] != "keyboard-interactive":
            return paramiko.common.AUTH_FAILED
        query = InteractiveQuery("", "")
        for prompt in self.prompts:
            query.add_prompt(prompt, False)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.answers += list(zip(self.prompts, responses, strict=True))
        good = {"Password: ": "right", "Verification code: ": "123456"}
        right = all(good[prompt] == answer for prompt, answer in zip(self.prompts, responses, strict=True))
        return self._step("keyboard-interactive") if right else paramiko.common.AUTH_FAILED


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration without the developer's own settings."""
    (tmp_path / "config").write_text("Host *\n  IdentityFile none\n  GSSAPIAuthentication no\n")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    known_hosts.read.cache_clear()
    return tmp_path


def login(folder: Path, port: int, known: str, **more: object) -> Login:
    (folder / "known_hosts").write_text(known)
    known_hosts.read.cache_clear()
    words = ("-F", str(folder / "config"))
    return Login("127.0.0.1", port, "ops", known_hosts=folder / "known_hosts", ssh_before=words, **more)  # type: ignore[arg-type]


def soon() -> float:
    return time.monotonic() + 60


@pytest.fixture
def transports() -> Iterator[Callable[[bool], Transport]]:
    made: list[Transport] = []

    def make(interactive: bool = False) -> Transport:
        made.append(Transport(Connecting(20.0, interactive=interactive)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def answered(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> list[str]:
    """The questions to the operator."""
    asked: list[str] = []

    def ask(self: Prompter, question: str, until: float) -> str:
        asked.append(question)
        return next(answer for text, answer in answers.items() if text in question)

    monkeypatch.setattr(Prompter, "_asked", ask)
    return asked


both = pytest.mark.parametrize("transport", ["ssh", "openssh"])


def keygen(path: Path, *words: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-f", str(path), *(words or ("-N", ""))], check=True)
    return path


def public(path: Path) -> bytes:
    return public_half(path) or b""


@both
def test_a_script_runs_over_each_transport(clean: Path, transports: Callable[..., Transport], transport: str) -> None:
    key = keygen(clean / "key")
    frames: list[tuple[str, ...]] = []
    sshd = Guarded(["publickey"], public(key))
    with listening(sshd) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        connection = transports().open(Host("web", (), one), soon())
        assert execute(connection, one, FRAME, soon(), frames.append).status == 0
        assert len(sshd.commands) == 1, "one exec"
        shell = Shell(connection, one)
        assert [shell.run(f"echo {word}", 60).stdout for word in ("one", "two")] == [b"one\n", b"two\n"]
        assert shell.run("exit 7", 60).status == 7
        connection.close()
    assert [frame[0] for frame in frames] == ["user"]


@both
def test_an_unknown_host_key_is_refused(clean: Path, transports: Callable[..., Transport], transport: str) -> None:
    key = keygen(clean / "key")
    sshd = Guarded(["publickey"], public(key))
    with listening(sshd) as (port, known):
        other = paramiko.RSAKey.generate(2048)
        for text, said in (
            ("", "is not known"),
            (f"[127.0.0.1]:{port} ssh-rsa {other.get_base64()}\n", "has changed"),
        ):
            one = login(clean, port, text, key_file=key, transport=transport)
            with pytest.raises(HostError, match=said) as caught:
                transports().open(Host("web", (), one), soon())
            assert caught.value.failure.kind == "host_key"
        assert known
    assert sshd.commands == []


@both
def test_a_refused_login_is_an_auth_error(clean: Path, transports: Callable[..., Transport], transport: str) -> None:
    key = keygen(clean / "key")
    with listening(Guarded(["publickey"], b"another")) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        with pytest.raises(HostError, match=r"ops@.* refused every login method") as caught:
            transports().open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "auth"


class Leaving(Guarded):
    """A server that closes the first ``times`` connections during the login, as a host does while it shuts down."""

    def __init__(self, key: bytes, times: int) -> None:
        super().__init__(["publickey"], key)
        self.times = times

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self.times:
            self.times -= 1
            raise EOFError
        return super().check_auth_publickey(username, key)


@both
def test_a_connection_closed_during_the_login_is_unreachable(
    clean: Path, transports: Callable[..., Transport], transport: str
) -> None:
    key = keygen(clean / "key")
    sshd = Leaving(public(key), 1000)
    with listening(sshd) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        with pytest.raises(HostError, match=r"(?i)connection closed|closed the connection") as caught:
            transports().open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "unreachable", caught.value
    assert 1000 - sshd.times == 1, "several such logins in a row look like an attack"


def test_a_login_with_a_password_that_is_cut_off_is_not_repeated(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host may have counted the password as a wrong one."""

    class Cutting(Guarded):
        cut = False

        def check_auth_password(self, username: str, password: str) -> int:
            found = super().check_auth_password(username, password)
            if self.cut:
                raise EOFError
            return found

    monkeypatch.setattr(reboot, "_RESTART", "true")
    sshd = Cutting(["password"])
    with listening(sshd) as (port, known):
        host, ssh = Host("web", (), login(clean, port, known, password="right")), transports()
        connection = ssh.open(host, soon())
        sshd.cut, sshd.passwords = True, []
        with pytest.raises(CutOff, match="closed the connection during the login of ops"):
            ssh.open(host, soon())
        assert sshd.passwords == ["right"]
        # A host that is restarting may cut off one. The third could lock the account.
        with pytest.raises(CutOff):
            reboot.restart(ssh, host, connection, soon(), lambda text: sshd.passwords.clear())
        assert sshd.passwords == ["right", "right"]


def test_a_host_that_does_not_answer_the_login_is_unreachable(
    clean: Path, transports: Callable[..., Transport]
) -> None:
    key, end = keygen(clean / "key"), threading.Event()

    class Slow(Guarded):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            end.wait(60)
            return super().check_auth_publickey(username, key)

    with listening(Slow(["publickey"], public(key))) as (port, known):
        one = login(clean, port, known, key_file=key)
        impatient = Transport(Connecting(2.0))
        with contextlib.closing(impatient), pytest.raises(HostError, match="did not answer the login within") as caught:
            impatient.open(Host("web", (), one), soon())
        end.set()
    assert caught.value.failure.kind == "unreachable"


@contextlib.contextmanager
def peer(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[tuple[int, list[float]]]:
    """A port whose connections ``answer`` serves. Yields the port and the times of the connections."""
    server, stop, seen = socket.create_server(("127.0.0.1", 0)), threading.Event(), list[float]()

    def serve(one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            answer(one, stop)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = server.accept()
                seen.append(time.monotonic())
                threading.Thread(target=serve, args=(one,), daemon=True).start()

    (accepting := threading.Thread(target=accept, daemon=True)).start()
    try:
        yield server.getsockname()[1], seen
    finally:
        stop.set()
        close_listener(server, accepting)


def silent(one: socket.socket, stop: threading.Event) -> None:
    stop.wait(60)


def banner_only(one: socket.socket, stop: threading.Event) -> None:
    one.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    stop.wait(60)


def single_bytes(one: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        one.sendall(b"x")


def hangs_up(one: socket.socket, stop: threading.Event) -> None:
    """As sshd does beyond MaxStartups."""


def ends(one: socket.socket, stop: threading.Event) -> None:
    """As a host does that is switched off: the connection ends in the middle of the key exchange."""
    one.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    one.recv(4096)


def resets(one: socket.socket, stop: threading.Event) -> None:
    ends(one, stop)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("answer", [ends, resets, hangs_up])
def test_an_error_of_a_connection_is_in_words(
    clean: Path, answer: Callable[[socket.socket, threading.Event], None]
) -> None:
    """paramiko raises EOFError without a text."""
    with peer(answer) as (port, _):
        pool, one = Transport(Connecting(1.0)), login(clean, port, "", key_file=keygen(clean / "key"))
        with contextlib.closing(pool), pytest.raises(HostError, match=r"(?i)connection|banner") as caught:
            pool.open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "unreachable"
    assert not re.search(r"EOFError|Exception|Errno|:\s*(\(|$)", caught.value.failure.message)
    assert in_words(EOFError()) == in_words(ConnectionResetError()) == "the connection was closed"


@both
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (silent, "sent no SSH banner"),
        (banner_only, "did not finish the key exchange"),
        (single_bytes, "sent no SSH banner"),
        (hangs_up, r"\([2-6] attempts\)|within 6 s"),
    ],
)
def test_one_time_limit_covers_all_parts_and_attempts_of_a_login(
    clean: Path, transport: str, answer: Callable[[socket.socket, threading.Event], None], said: str
) -> None:
    """The deadline is far away: only the time limit of the login ends it."""
    with peer(answer) as (port, seen):
        one = login(clean, port, "", key_file=keygen(clean / "key"), transport=transport)
        # Long enough for a second attempt.
        limit = 6.0 if answer is hangs_up else 1.5
        pool = Transport(Connecting(limit))
        begin = time.monotonic()
        with contextlib.closing(pool), pytest.raises(HostError) as caught:
            pool.open(Host("web", (), one), begin + 3600)
    assert caught.value.failure.kind == "unreachable"
    if transport == "ssh" or answer is hangs_up:
        assert re.search(said, caught.value.failure.message), caught.value
    else:
        assert re.search(r"within 1.5 s|timed out", caught.value.failure.message), caught.value
    assert len(seen) > 1 if answer is hangs_up else len(seen) == 1, "only a dropped login is repeated"
    assert all(at < begin + limit for at in seen), "no attempt begins behind the limit that all share"


@both
def test_a_restart_repeats_logins_that_the_host_cuts_off(
    clean: Path, transports: Callable[..., Transport], transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first login after the restart succeeds, but its sudo is killed before it ran anything."""
    (clean / "boot").write_text("one\n")
    monkeypatch.setattr(reboot, "_BOOT", f"cat {clean}/boot")
    monkeypatch.setattr(reboot, "_RESTART", f"echo two >{clean}/boot; touch {clean}/going")
    killed = f"[ ! -e {clean}/going ] || {{ rm {clean}/going; kill -9 $$; }}"
    (clean / "sudo").write_text(f'#!/bin/sh\n{killed}\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    (clean / "sudo").chmod(0o755)
    key = keygen(clean / "key")
    said: list[str] = []
    sshd = Guarded(["publickey"], public(key))
    sshd.environment["PATH"] = f"{clean}:{os.environ['PATH']}"
    with listening(sshd) as (port, known):
        host = Host("web", (), login(clean, port, known, key_file=key, transport=transport, become=True))
        pool = transports()
        reboot.restart(pool, host, pool.open(host, soon()), soon(), said.append).close()
    assert not (clean / "going").exists()
    assert [text.split()[0] for text in said] == ["restarting", "restarted:"]


@both
def test_a_login_shell_that_runs_no_script_is_an_error(
    clean: Path, transports: Callable[..., Transport], transport: str
) -> None:
    key, shell = keygen(clean / "key"), clean / "shell"
    shell.write_text("#!/bin/sh\necho This account is closed.\nexit 1\n")
    shell.chmod(0o755)
    with listening(Guarded(["publickey"], public(key), str(shell))) as (port, known):
        for become in (False, True):
            one = login(clean, port, known, key_file=key, transport=transport, become=become)
            with pytest.raises(
                NotBegun, match=r"did not run sh: it printed 'This account is closed\.' and exited with 1"
            ):
                execute(transports().open(Host("web", (), one), soon()), one, FRAME, soon(), lambda frame: None)


@both
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_sudo_receives_only_its_password(
    clean: Path, transports: Callable[..., Transport], transport: str, password: str
) -> None:
    key = keygen(clean / "key")
    (clean / "sudo").write_text(SUDO)
    (clean / "sudo").chmod(0o755)
    sshd = Guarded(["publickey"], public(key))
    sshd.environment |= {"PATH": f"{clean}:/usr/bin:/bin", "SUDO_HOME": str(clean), "LC_ALL": "C"}
    with listening(sshd) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport, become=True, become_password=password)
        connection = transports().open(Host("web", (), one), soon())
        if password == "right":
            assert execute(connection, one, FRAME, soon(), lambda frame: None).status == 0
            assert Shell(connection, one).run("cat; echo one", 60).stdout == b"one\n"
        else:
            with pytest.raises(HostError, match="sudo refuses the password"):
                execute(connection, one, FRAME, soon(), lambda frame: None)
        connection.close()
    assert set((clean / "tries").read_text().splitlines()) == {password}


@both
def test_a_script_larger_than_a_pipe_is_sent(clean: Path, transports: Callable[..., Transport], transport: str) -> None:
    key = keygen(clean / "key")
    with listening(Guarded(["publickey"], public(key))) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        connection = transports().open(Host("web", (), one), soon())
        shell = Shell(connection, one)
        big = "x" * 300_000
        assert shell.run(f"echo {big}; echo {big} >&2", 60).stdout == f"{big}\n".encode()
        pieces = [b"y" * 200_000, b"z" * 200_000, b""]
        uploaded = Path(f"/tmp/uploaded{secrets.token_hex(8)}")
        upload._pour(connection, one, str(uploaded), lambda size: pieces.pop(0), soon())
        assert uploaded.read_bytes() == b"y" * 200_000 + b"z" * 200_000
        uploaded.unlink()
        connection.close()


@both
def test_a_cut_connection_is_an_error(clean: Path, transports: Callable[..., Transport], transport: str) -> None:
    key = keygen(clean / "key")
    with listening(Guarded(["publickey"], public(key))) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        connection = transports().open(Host("web", (), one), soon())
        begun = threading.Event()

        def end() -> None:
            begun.wait(60)
            cut(connection)

        threading.Thread(target=end).start()
        # The process is killed, so there is no exit status.
        assert execute(connection, one, f"{FRAME}sleep 3600\n", soon(), lambda frame: begun.set()).status is None


def test_a_login_whose_shell_does_not_start_times_out(clean: Path) -> None:
    """For the openssh transport, the start of the shell is the last part of a login."""
    key, shell = keygen(clean / "key"), clean / "shell"
    shell.write_text("#!/bin/sh\nexec sleep 3600\n")
    shell.chmod(0o755)
    transport = Transport(Connecting(1.0))
    sshd = Guarded(["publickey"], public(key), str(shell))
    with listening(sshd) as (port, known), contextlib.closing(transport):
        one = login(clean, port, known, key_file=key, transport="openssh")
        with pytest.raises(HostError, match=r"the login succeeded, and its shell did not start sh") as caught:
            transport.open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "timeout"
    assert len(sshd.commands) == 1, "a login that succeeded is not repeated"


class Jumping(Guarded):
    """A jump host: it opens connections for its client."""

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        try:
            far = socket.create_connection(destination)
        except OSError:
            return paramiko.common.OPEN_FAILED_CONNECT_FAILED
        # paramiko calls this in the thread of the client's connection.
        threading.Thread(target=self._forward, args=(threading.current_thread(), chanid, far), daemon=True).start()
        return paramiko.common.OPEN_SUCCEEDED

    def _forward(self, transport: Any, number: int, far: socket.socket) -> None:
        while (near := transport._channels.get(number)) is None:
            time.sleep(0.01)

        def copy(receive: Callable[[int], bytes], send: Callable[[bytes], object], end: Callable[[], object]) -> None:
            with contextlib.suppress(OSError, EOFError):
                while data := receive(65_536):
                    send(data)
            with contextlib.suppress(OSError, EOFError):
                end()

        threading.Thread(target=copy, args=(near.recv, far.sendall, lambda: far.shutdown(1)), daemon=True).start()
        copy(far.recv, near.sendall, near.close)


@contextlib.contextmanager
def behind_a_jump_host(folder: Path, key: bytes, inner: Sshd) -> Iterator[tuple[Jumping, int, str, int, str]]:
    """Yields the jump host, its port and line of known_hosts, and those of the host behind it."""
    jump = Jumping(["publickey"], key)
    with listening(jump) as (port, known), listening(inner) as (inner_port, inner_known):
        yield jump, port, known, inner_port, inner_known


@both
@pytest.mark.parametrize("setting", ["", "  StrictHostKeyChecking no\n"])
def test_the_key_of_a_jump_host_is_checked_as_a_hosts(clean: Path, transport: str, setting: str) -> None:
    key = keygen(clean / "key")
    inner = Guarded(["publickey"], public(key))
    with behind_a_jump_host(clean, public(key), inner) as (jump, port, _, inner_port, inner_known):
        (clean / "config").write_text(f"Host 127.0.0.1\n{setting}  IdentityFile none\n")
        words = ("-J", f"ops@127.0.0.1:{port}")
        one = login(clean, inner_port, inner_known, key_file=key, transport=transport, ssh_behind=words)
        pool = Transport(Connecting(20.0))
        with contextlib.closing(pool), pytest.raises(HostError) as caught:
            pool.open(Host("web", (), one), soon())
        assert caught.value.failure.kind == "host_key"
        assert f"the key of jump host [127.0.0.1]:{port} is not known" in caught.value.failure.message
        assert (clean / "known_hosts").read_text() == inner_known, "no key is stored"
        assert jump.commands == inner.commands == []
        # --accept-new stores it.
        known_hosts.read.cache_clear()
        accepting = Transport(Connecting(20.0, accept_new=True))
        with contextlib.closing(accepting):
            connection = accepting.open(Host("web", (), one), soon())
            assert execute(connection, one, FRAME, soon(), lambda frame: None).status == 0
            connection.close()
        assert len((clean / "known_hosts").read_text().splitlines()) == 2


@both
def test_an_error_of_a_jump_host_names_it(clean: Path, transport: str) -> None:
    key = keygen(clean / "key")
    with listening(Jumping(["publickey"], b"another")) as (port, known):
        words = ("-J", f"ops@127.0.0.1:{port}")
        one = login(clean, 1, known, key_file=key, transport=transport, ssh_behind=words)
        pool = Transport(Connecting(20.0))
        with contextlib.closing(pool), pytest.raises(HostError, match=r"jump host ops@\[127.* refused every") as caught:
            pool.open(Host("web", (), one), soon())
        assert caught.value.failure.kind == "auth"
    with listening(Jumping(["publickey"], public(key))) as (port, known):
        words = ("-J", f"ops@127.0.0.1:{port}")
        one = login(clean, 1, known, key_file=key, transport=transport, ssh_behind=words)
        pool = Transport(Connecting(20.0))
        with contextlib.closing(pool), pytest.raises(HostError, match=r"(?i)jump host .*connect") as caught:
            pool.open(Host("web", (), one), soon())
        assert caught.value.failure.kind == "unreachable"
        assert "ChannelException" not in caught.value.failure.message


def test_a_jump_host_that_dies_is_named(clean: Path) -> None:
    def died(frame: object) -> None:
        for each in jump.transports:
            each.close()

    key = keygen(clean / "key")
    with behind_a_jump_host(clean, public(key), Guarded(["publickey"], public(key))) as (jump, port, known, at, more):
        words = ("-J", f"ops@127.0.0.1:{port}")
        one = login(clean, at, known + more, key_file=key, ssh_behind=words)
        pool = Transport(Connecting(20.0))
        with contextlib.closing(pool):
            connection = pool.open(Host("web", (), one), soon())
            with pytest.raises(HostError, match=r"connection lost.*: its jump host 127\.0\.0\.1 closed") as caught:
                # One write: the half frame has arrived when the jump host dies.
                execute(
                    connection, one, "printf 'provision 1\\n2;4:user,3:ops,\\n2;9:half'; sleep 3600\n", soon(), died
                )
    assert caught.value.failure.kind == "disconnected"


@both
def test_logins_through_a_jump_host_are_limited_in_number(clean: Path, transport: str) -> None:
    """sshd's MaxStartups drops logins of a burst (sshd_config(5)). With openssh, each login is also one at the jump
    host."""
    under_way, most, lock = 0, 0, threading.Lock()

    class Slow(Guarded):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.3)
            with lock:
                under_way -= 1
            return super().check_auth_publickey(username, key)

    key = keygen(clean / "key")
    inner = Slow(["publickey"], public(key))
    with behind_a_jump_host(clean, public(key), inner) as (_, port, known, at, more):
        words = ("-J", f"ops@127.0.0.1:{port}")
        one = login(clean, at, known + more, key_file=key, transport=transport, ssh_behind=words)
        pool = Transport(Connecting(60.0))

        def run(number: int) -> list[bytes]:
            connection = pool.open(Host(f"web{number}", (), one), soon())
            shell = Shell(connection, one)
            # With openssh, the second command is a login of its own.
            return [shell.run(f"echo {number}", 60).stdout for _ in range(2)]

        with contextlib.closing(pool), ThreadPoolExecutor(14) as threads:
            assert list(threads.map(run, range(14))) == [[f"{number}\n".encode()] * 2 for number in range(14)]
    assert 1 < most <= 6


def test_jump_hosts_in_a_circle_are_refused_before_the_first_login(
    clean: Path, transports: Callable[..., Transport]
) -> None:
    configured(clean, "Host web", "  ProxyJump a", "Host a", "  ProxyJump b", "Host b", "  ProxyJump a")
    for transport in ("ssh", "openssh"):
        one = Login("web", transport=transport, ssh_before=("-F", str(clean / "config")))
        with pytest.raises(SpecError, match="web: its jump host a is behind itself"):
            transports().prepare([one])
    configured(clean, "Host a", "  HostName 192.0.2.1", "Host *", "  ProxyJump a")  # it matches the jump host too
    pool = transports()
    pool.prepare([one])
    assert [hop.address for hop, _ in pool.route(one)] == ["web", "a"]


@both
def test_the_banner_of_a_host_is_no_error_of_ssh(clean: Path, transport: str) -> None:
    class Bannered(Guarded):
        def get_banner(self) -> tuple[str, str]:
            return "Host key verification failed\nkex_exchange_identification: Connection closed\n", "en"

    key = keygen(clean / "key")
    with listening(Bannered(["publickey"], b"another")) as (port, known):
        one = login(clean, port, known, key_file=key, transport=transport)
        pool = Transport(Connecting(20.0))
        with contextlib.closing(pool), pytest.raises(HostError) as caught:
            pool.open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "auth"


def test_the_memory_for_unread_output_of_ssh_is_limited(tmp_path: Path) -> None:
    """A host may print while a script is sent, and provision does not read yet."""
    channel = ProcessChannel(["cat", "/dev/zero"], tmp_path / "log")
    unread: Any = channel.in_buffer
    while len(unread) < 2 * 1024 * 1024:
        time.sleep(0.01)
    time.sleep(0.5)
    assert len(unread) < 3 * 1024 * 1024
    assert len(channel.recv(3 * 1024 * 1024)) > 1024 * 1024
    while not len(unread):
        time.sleep(0.01)
    channel.kill()
    assert channel.wait(60)


def test_a_jump_host_of_openssh_gets_the_key_of_the_inventory(
    clean: Path, transports: Callable[..., Transport]
) -> None:
    key = keygen(clean / "key")
    with listening(Guarded(["publickey"], public(key))) as (port, known):
        jump = ("-J", "ops@127.0.0.1:1")  # nothing listens on this port
        one = login(clean, port, known, key_file=key, transport="openssh", ssh_behind=jump)
        with pytest.raises(HostError, match=r"127\.0\.0\.1 port 1: Connection refused") as caught:
            transports().open(Host("web", (), one), soon())
    assert caught.value.failure.kind == "unreachable"


def test_the_openssh_transport_refuses_a_password(clean: Path, transports: Callable[..., Transport]) -> None:
    with listening(Guarded(["password"])) as (port, known):
        one = login(clean, port, known, password="right", transport="openssh")
        with pytest.raises(HostError, match="does not support ansible_password"):
            transports().open(Host("web", (), one), soon())


def test_a_password_is_tried_once(clean: Path, transports: Callable[..., Transport]) -> None:
    sshd = Guarded(["password"])
    with listening(sshd) as (port, known):
        transports().open(Host("web", (), login(clean, port, known, password="right")), soon()).close()
        assert sshd.passwords == ["right"]
        with pytest.raises(HostError, match="tried a password"):
            transports().open(Host("web", (), login(clean, port, known, password="wrong")), soon())
        assert sshd.passwords == ["right", "wrong"]


def test_a_password_answers_only_the_password_prompt(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd = Guarded(["keyboard-interactive"])
    sshd.prompts = ["Password: ", "Verification code: "]
    with listening(sshd) as (port, known):
        one = login(clean, port, known, password="right")
        with pytest.raises(HostError, match='asks "Verification code", which only an operator at a terminal'):
            transports().open(Host("web", (), one), soon())
        assert ("Verification code: ", "right") not in sshd.answers
        asked = answered(monkeypatch, {"Verification code": "123456"})
        transports(True).open(Host("web", (), one), soon()).close()
    assert asked == [f'ops@[127.0.0.1]:{port}: the host asks "Verification code": ']


def test_a_password_is_sent_once_for_several_prompts(clean: Path, transports: Callable[..., Transport]) -> None:
    sshd = Guarded(["keyboard-interactive"])
    sshd.prompts = ["Password: ", "Second password: "]
    with (
        listening(sshd) as (port, known),
        pytest.raises(HostError, match='asks "Second password", which only an operator'),
    ):
        transports().open(Host("web", (), login(clean, port, known, password="right")), soon())
    assert sshd.answers == []


def test_a_login_with_a_key_and_a_code(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keygen(clean / "key")
    sshd = Guarded(["publickey", "keyboard-interactive"], public(key))
    asked = answered(monkeypatch, {"Verification code": "123456"})
    with listening(sshd) as (port, known):
        transports(True).open(Host("web", (), login(clean, port, known, key_file=key)), soon()).close()
    assert len(asked) == 1


def test_the_operator_is_asked_for_a_passphrase_once(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keygen(clean / "key", "-N", "secret")
    sshd = Guarded(["publickey"], public(key))
    asked = answered(monkeypatch, {"passphrase": "secret"})
    with listening(sshd) as (port, known):
        one = login(clean, port, known, key_file=key)
        with pytest.raises(SpecError, match=r"has a passphrase \(ssh-add it to an agent\)"):
            transports().prepare([one])
        transport = transports(True)
        transport.prepare([one])
        assert asked == [], "no host has been asked yet whether it accepts the key"
        for _ in range(3):
            transport.open(Host("web", (), one), soon()).close()
        assert asked == [f"{key}: passphrase of the key: "]
        configured(clean, "BatchMode yes")
        with pytest.raises(SpecError, match="has a passphrase"):
            transports(True).prepare([one])
    assert len(asked) == 1


def configured(folder: Path, *lines: str) -> None:
    (folder / "config").write_text("".join(f"{one}\n" for one in lines))


def test_no_passphrase_is_asked_for_a_key_that_the_host_rejects(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = keygen(clean / "wrong", "-N", "secret")
    right = keygen(clean / "right", "-N", "secret")
    asked = answered(monkeypatch, {"passphrase": "secret"})
    configured(clean, f"IdentityFile {wrong}", f"IdentityFile {right}", "IdentitiesOnly yes")
    sshd = Guarded(["publickey"], public(right))
    with listening(sshd) as (port, known):
        transports(True).open(Host("web", (), login(clean, port, known)), soon()).close()
        assert asked == [f"{right}: passphrase of the key: "]
        configured(clean, f"IdentityFile {wrong}", "IdentitiesOnly yes")
        for more in ({}, {"key_file": wrong}):  # from ssh's configuration, and from the inventory
            pool, host = transports(True), Host("web", (), login(clean, port, known, **more))
            pool.prepare([host.login])
            with pytest.raises(HostError, match=f"tried {wrong}; the host takes publickey") as caught:
                pool.open(host, soon())
            assert caught.value.failure.kind == "auth"
    assert len(asked) == 1


def test_a_wrong_passphrase_does_not_end_the_login(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, other = keygen(clean / "locked", "-N", "secret"), keygen(clean / "other")
    answered(monkeypatch, {"passphrase": "wrong"})
    configured(clean, f"IdentityFile {locked}", f"IdentityFile {other}", "IdentitiesOnly yes")
    with (
        listening(Guarded(["publickey"], public(locked))) as (port, known),
        pytest.raises(HostError, match=f"tried {other}; not {locked}: the passphrase is wrong"),
    ):
        transports(True).open(Host("web", (), login(clean, port, known)), soon())


@both
def test_a_private_key_that_other_accounts_can_read_is_not_used(
    clean: Path, transports: Callable[..., Transport], transport: str
) -> None:
    key = keygen(clean / "key")
    key.chmod(0o644)
    configured(clean, f"IdentityFile {key}", "IdentitiesOnly yes")
    with listening(Guarded(["publickey"], public(key))) as (port, known):
        with pytest.raises(HostError) as caught:
            transports().open(Host("web", (), login(clean, port, known, transport=transport)), soon())
        assert caught.value.failure.kind == "auth"
        if transport == "ssh":
            assert f"not {key} (other accounts can read it: chmod 600 {key})" in str(caught.value)
            with pytest.raises(SpecError, match=r"is not used: other accounts can read it \(mode 0644\)"):
                transports().prepare([login(clean, port, known, key_file=key)])


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an ssh-agent. pytest's directories are too long for its path (unix(7))."""
    with tempfile.TemporaryDirectory() as made:
        socket = Path(made) / "agent"
        running = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                time.sleep(0.01)
            yield socket
        finally:
            running.terminate()
            running.wait()


def add(agent: Path, *words: str) -> None:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", *words], env=environment, check=True, capture_output=True)


class Certified(Guarded):
    """A server that accepts a key only with a certificate."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.shown = [*getattr(self, "shown", []), key.public_blob is not None]
        return self._step("publickey") if key.public_blob is not None else paramiko.common.AUTH_FAILED


@pytest.mark.parametrize("where", ["agent", "agent, no IdentityFile", "file", "passphrase"])
def test_a_certificate_of_its_own_file_is_used_with_the_key(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch, agent: Path, where: str
) -> None:
    ca, key = keygen(clean / "ca"), keygen(clean / "key", "-N", "secret" if where == "passphrase" else "")
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "ops", "-n", "ops", f"{key}.pub"], check=True)
    (clean / "key-cert.pub").rename(clean / "certificate")
    asked = answered(monkeypatch, {"passphrase": "secret"})
    lines = [f"CertificateFile {clean}/certificate", f"IdentityAgent {agent}"]
    if where.startswith("agent"):
        add(agent, str(keygen(clean / "another")))
        add(agent, str(key))
        key.unlink()
    configured(clean, *lines, *([] if where.endswith("no IdentityFile") else [f"IdentityFile {key}"]))
    sshd = Certified(["publickey"])
    with listening(sshd) as (port, known):
        one = login(clean, port, known)
        argv = ["ssh", "-F", str(clean / "config"), "-p", str(port), "-o", f"UserKnownHostsFile={one.known_hosts}"]
        if where != "passphrase":
            done = subprocess.run([*argv, "ops@127.0.0.1", "true"], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            sshd.shown, sshd.methods = [], ["publickey"]
        transports(True).open(Host("web", (), one), soon()).close()
    assert set(sshd.shown) == {True}, "the certificate is the first that is tried"
    assert len(asked) == (where == "passphrase")


def test_the_error_of_a_refused_login_names_the_cause(
    clean: Path, transports: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch, agent: Path
) -> None:
    key = keygen(clean / "key")
    add(agent, str(key))
    (clean / "ask").write_text("#!/bin/sh\necho secret\n")
    (clean / "ask").chmod(0o755)
    asks = {"SSH_ASKPASS": f"{clean}/ask", "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
    add_lock = {**os.environ, "SSH_AUTH_SOCK": str(agent), **asks}
    subprocess.run(["ssh-add", "-x"], env=add_lock, check=True, capture_output=True)
    kerberos = "GSSAPIAuthentication yes"
    right = r"is the user right, and is the key in the authorized_keys of ops\?"
    for lines, more, message in (
        ([kerberos, f"IdentityFile {key}"], {}, rf"tried {key}; the host takes publickey; {right}$"),
        ([kerberos, f"IdentityAgent {agent}"], {}, rf"not the agent {agent} \(it holds no key, is locked, or does not"),
        (
            [f"IdentityFile {key}", "PubkeyAcceptedAlgorithms rsa-sha2-512"],
            {},
            rf"not {key} \(PubkeyAcceptedAlgorithms or RequiredRSASize excludes it\)",
        ),
        (
            ["PasswordAuthentication no", "KbdInteractiveAuthentication no"],
            {"password": "right"},
            r"not the password \(KbdInteractiveAuthentication, PasswordAuthentication no\)",
        ),
        (["PubkeyAuthentication no"], {}, r"no key \(PubkeyAuthentication no\)"),
    ):
        configured(clean, *lines)
        with (
            listening(Guarded(["publickey"], b"another")) as (port, known),
            pytest.raises(HostError, match=message) as caught,
        ):
            transports().open(Host("web", (), login(clean, port, known, **more)), soon())
        assert caught.value.failure.kind == "auth"
        assert "GSSAPI" not in str(caught.value)


def test_an_error_names_the_method_that_only_the_other_transport_has(
    clean: Path, transports: Callable[..., Transport]
) -> None:
    configured(clean, "GSSAPIAuthentication yes")
    message = "the host takes gssapi-with-mic; for GSSAPIAuthentication set provision_transport"
    with listening(Guarded(["gssapi-with-mic"])) as (port, known), pytest.raises(HostError, match=message):
        transports().open(Host("web", (), login(clean, port, known)), soon())


def test_a_wrong_passphrase_is_an_error(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keygen(clean / "key", "-N", "secret")
    answered(monkeypatch, {"passphrase": "wrong"})
    with pytest.raises(SpecError, match="the passphrase is wrong"):
        Keys(Prompter(True)).unlock(key)


@pytest.mark.parametrize(
    "kind", [["-t", "rsa", "-b", "2048"], ["-t", "ecdsa"], ["-t", "ed25519"]], ids=lambda kind: kind[1]
)
@pytest.mark.parametrize("form", ["RFC4716", "PKCS8", "PEM"])
def test_keys_of_each_format_are_read(tmp_path: Path, kind: list[str], form: str) -> None:
    if form != "RFC4716" and "ed25519" in kind:
        pytest.skip("ssh-keygen writes ed25519 keys in OpenSSH's format only")
    for name, passphrase in (("open", ""), ("locked", "secret")):
        path = tmp_path / name
        words = ["ssh-keygen", "-q", *kind, "-m", form, "-N", passphrase, "-f", str(path)]
        subprocess.run(words, check=True)
        keys = Keys(Prompter(False))
        blob = public(path.with_name(f"{name}.pub"))
        assert public_half(path) == blob
        if passphrase:
            with pytest.raises(Encrypted):
                keys.load(path)
        else:
            key = keys.load(path)
            assert key.asbytes() == blob
            assert key.can_sign()


def test_the_group_of_a_proxy_command_is_only_signalled_while_the_command_is_not_reaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Afterwards its number may belong to processes that provision did not start."""
    signalled: list[tuple[int, bool]] = []
    killpg = os.killpg

    def observed(group: int, number: int) -> None:
        signalled.append((number, Path(f"/proc/{group}").exists()))
        killpg(group, number)

    monkeypatch.setattr(os, "killpg", observed)
    proxy = ProxyCommand("cat")
    proxy.close()
    for thread in threading.enumerate():
        if thread.name == "proxy-command-end":
            thread.join(60)
    proxy.close()
    assert signalled == [(signal.SIGTERM, True), (signal.SIGKILL, True)]


def test_a_proxy_command_works_as_a_socket() -> None:
    """More than 64 KiB do not block it, its end is noticed, and its error output is kept."""
    size = 1024 * 1024
    proxy = ProxyCommand("sh -c 'head -c 200000 /dev/zero >&2; echo its reason >&2; exec cat'")
    threading.Thread(target=lambda: proxy.sendall(bytes(size))).start()
    got = 0
    while got < size:
        got += len(proxy.recv(65_536))
    proxy.close()
    ended = ProxyCommand("echo gone >&2")
    ended.settimeout(60)
    assert ended.recv(10) == b""
    assert ended.said == "gone"
    ended.close()
