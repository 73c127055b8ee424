"""What a host may send, and how often a password is tried: over a real SSH connection to a server in this process."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fabric import Connection

from provision.model import Login
from provision.transport import upload
from provision.transport.execute import execute
from provision.transport.session import broken_off
from provision.transport.shell import Shell
from provision.transport.ssh import HostError
from tests.sshd import Sshd, connected

#: As sudo works (sudo(8), -S): it reads a line for each attempt, allows three attempts, and each is counted.
SUDO = """#!/bin/sh
while [ "$1" != -- ]; do
    case $1 in -p) prompt=$2; shift ;; -n) echo "sudo: a password is required" >&2; exit 1 ;; esac
    shift
done
shift
[ -e "$SUDO_HOME/nopasswd" ] && exec "$@"
if [ -e "$SUDO_HOME/apart" ] && [ -z "$SUDO_INNER" ]; then
    # One that reads in another process than the one that was started.
    SUDO_INNER=1 "$0" -k -S -p "$prompt" -- "$@"
    exit $?
fi
for try in 1 2 3; do
    printf %s "$prompt" >&2
    if ! IFS= read -r line; then
        # pam_faillock(8) counts it like a wrong one.
        echo "(end of input)" >>"$SUDO_HOME/tries"
        echo "sudo: $((try - 1)) incorrect password attempt" >&2
        exit 1
    fi
    echo "$line" >>"$SUDO_HOME/tries"
    [ "$line" = right ] && exec "$@"
    [ "$try" = 3 ] || echo "Leider falsch." >&2
done
echo "sudo: 3 incorrect password attempts" >&2
exit 1
"""
#: As util-linux's su without a terminal: PAM reads one line, once (su(1), pam_unix(8)).
SU = """#!/bin/sh
[ "$1 $2 $3" = "-s /bin/sh -c" ] && [ "$5" = root ] || exit 9
if [ ! -e "$SUDO_HOME/nopasswd" ]; then
    case ${LC_ALL:-$LANG} in C) printf 'Password: ' >&2 ;; *) printf 'Passwort: ' >&2 ;; esac
    IFS= read -r line || { echo '(end of input)' >>"$SUDO_HOME/tries"; echo 'su: Authentication failure' >&2; exit 1; }
    echo "$line" >>"$SUDO_HOME/tries"
    [ "$line" = right ] || { echo 'su: Authentication failure' >&2; exit 1; }
fi
exec /bin/sh -c "$4"
"""
DOAS = """#!/bin/sh
[ "$1" = -n ] || exit 9
shift
[ -e "$SUDO_HOME/nopasswd" ] || { echo 'doas: Authentication required' >&2; exit 1; }
exec "$@"
"""
FRAME = "printf 'provision 1\\n'; printf '2;4:user,4:%s,\\n' \"$(whoami)\"\n"
LIMIT = 1024 * 1024
#: More than the limit, and endless.
ENDLESS = "cat /dev/zero"


@pytest.fixture
def sudo(tmp_path: Path) -> Path:
    for name, text in (("sudo", SUDO), ("su", SU), ("doas", DOAS)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def host(sudo: Path) -> Iterator[Connection]:
    sshd = Sshd({"PATH": f"{sudo}:/usr/bin:/bin:/usr/sbin:/sbin", "SUDO_HOME": str(sudo), "LANG": "de_DE.UTF-8"})
    with connected(sshd) as connection:
        yield connection


def soon() -> float:
    return time.monotonic() + 60


def login(password: str | None = None, **more: Any) -> Login:
    return Login("host", become=password is not None, become_password=password, **more)


def tries(folder: Path) -> list[str]:
    path = folder / "tries"
    return path.read_text().splitlines() if path.exists() else []


def test_a_script_tries_a_wrong_password_once(host: Connection, sudo: Path) -> None:
    with pytest.raises(HostError, match="sudo refuses the password") as caught:
        execute(host, login("wrong"), FRAME, soon(), lambda frame: None)
    assert caught.value.failure.kind == "become"
    assert tries(sudo) == ["wrong"]
    assert caught.value.failure.detail.splitlines()[0] == "Leider falsch.", "the random prompt is not shown"


def test_a_probe_tries_a_wrong_password_once(host: Connection, sudo: Path) -> None:
    shell = Shell(host, login("wrong"))
    for _ in range(3):
        with pytest.raises(HostError, match="sudo refuses the password"):
            shell.run("true", 60)
    assert tries(sudo) == ["wrong"], "no probe tries it again"


def test_a_transfer_tries_a_wrong_password_once(host: Connection, sudo: Path) -> None:
    with pytest.raises(HostError, match="sudo refuses the password"):
        upload._pour(host, login("wrong"), "/tmp/never", lambda size: b"", soon())
    assert tries(sudo) == ["wrong"]


def test_a_sudo_that_cannot_be_killed_receives_no_second_password(host: Connection, sudo: Path) -> None:
    (sudo / "apart").touch()
    with pytest.raises(HostError, match="sudo refuses the password"):
        execute(host, login("wrong"), FRAME, soon(), lambda frame: None)
    assert tries(sudo) == ["wrong", "(end of input)"]


@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
def test_su_receives_only_its_password(host: Connection, sudo: Path, asked: bool) -> None:
    if not asked:
        (sudo / "nopasswd").touch()
    frames: list[tuple[str, ...]] = []
    one = login("right", become_method="su")
    assert execute(host, one, FRAME, soon(), frames.append).status == 0
    assert frames[0][0] == "user"
    assert Shell(host, one).run("cat; echo one", 60).stdout == b"one\n"
    pieces = [b"some bytes", b""]
    uploaded = Path(f"/tmp/uploaded{secrets.token_hex(8)}")
    upload._pour(host, one, str(uploaded), lambda size: pieces.pop(0), soon())
    assert uploaded.read_bytes() == b"some bytes"
    uploaded.unlink()
    assert tries(sudo) == (["right"] * 3 if asked else [])


def test_su_tries_a_wrong_password_once(host: Connection, sudo: Path) -> None:
    with pytest.raises(HostError, match="su refuses the password"):
        execute(host, login("wrong", become_method="su"), FRAME, soon(), lambda frame: None)
    assert tries(sudo) == ["wrong"]


def test_no_script_is_sent_to_su_while_it_asks_for_a_password(host: Connection, sudo: Path) -> None:
    """Otherwise the script's first line would be read as the password."""
    one = Login("host", become=True, become_method="su")
    with pytest.raises(HostError, match="su asks for a password; give one with -K"):
        execute(host, one, FRAME, soon(), lambda frame: None)
    assert tries(sudo) in ([], ["(end of input)"])


def test_doas_works_only_without_a_password(host: Connection, sudo: Path) -> None:
    one, frames = Login("host", become=True, become_method="doas"), list[tuple[str, ...]]()
    with pytest.raises(HostError, match="doas asks for a password, which it reads from a terminal only"):
        execute(host, one, FRAME, soon(), frames.append)
    (sudo / "nopasswd").touch()
    assert execute(host, one, FRAME, soon(), frames.append).status == 0
    assert frames[0][0] == "user"


@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
def test_a_correct_password_is_not_part_of_the_scripts_input(host: Connection, sudo: Path, asked: bool) -> None:
    if not asked:
        (sudo / "nopasswd").touch()
    frames: list[tuple[str, ...]] = []
    assert execute(host, login("right"), FRAME, soon(), frames.append).status == 0
    assert frames[0][0] == "user"
    shell = Shell(host, login("right"))
    assert [shell.run(f"cat; echo {word}", 60).stdout for word in ("one", "two")] == [b"one\n", b"two\n"]
    pieces = [b"right\n\x00\xff", b"tail", b""]
    uploaded = Path(f"/tmp/uploaded{secrets.token_hex(8)}")
    upload._pour(host, login("right"), str(uploaded), lambda size: pieces.pop(0), soon())
    assert uploaded.read_bytes() == b"right\n\x00\xfftail"
    uploaded.unlink()
    assert tries(sudo) == (["right"] * 3 if asked else [])


@pytest.mark.parametrize(
    "script",
    [
        ENDLESS,
        f"printf 'provision 1\\n2;4:file,9999999999:'; {ENDLESS}",
        "printf 'provision 1\\n'; while :; do printf '1;1:a,\\n'; done",
        f"{ENDLESS} >&2",
    ],
    ids=["before the first line", "a field", "frames", "standard error"],
)
def test_an_endless_answer_is_cut_off(host: Connection, script: str) -> None:
    with pytest.raises(HostError) as caught:
        execute(host, login(answer_limit=LIMIT), script, soon(), lambda frame: None)
    assert caught.value.failure.kind == "protocol"
    assert "the host sent more than 1 MiB" in str(caught.value)


@pytest.mark.parametrize("where", ["1", "2"])
def test_an_endless_probe_is_cut_off_and_no_further_command_is_sent(host: Connection, where: str) -> None:
    shell = Shell(host, login(answer_limit=LIMIT))
    assert shell.run("echo fine", 60).stdout == b"fine\n"
    for script in (f"{ENDLESS} >&{where}", "true"):
        with pytest.raises(HostError, match=r"more than 1 MiB in one answer \(provision_answer_limit\)") as caught:
            shell.run(script, 60)
        assert caught.value.failure.kind == "protocol"


def test_an_exit_status_that_is_not_a_number_is_an_error_of_the_host(host: Connection) -> None:
    shell = Shell(host, login())
    # A host knows the random mark once it has the command, and may send any text after the mark.
    fake = 'for one in /proc/[0-9]*; do :; done; IFS= read -r line; set -- ${line##*echo }; echo "$1 x"; exec sleep 60'
    shell._channel = host.create_session()
    shell._channel.exec_command(f"exec /bin/sh -c '{fake}'")
    with pytest.raises(HostError) as caught:
        shell.run("true", 2)
    assert caught.value.failure.kind == "timeout"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "echo This account is currently not available.; exit 1",
            "did not run sh: it printed 'This account is currently not available.' and exited with 1 ",
        ),
        ("echo Welcome; echo no >&2; exit 3", "did not run sh: it printed 'no' and exited with 3 "),
        ('cat >/dev/null; exec /bin/sh "$@"', "did not run sh: it printed nothing and exited with 0 "),
    ],
    ids=["nologin", "a start file that exits", "a start file that reads standard input"],
)
def test_the_error_says_that_the_login_shell_did_not_run_the_script(tmp_path: Path, body: str, message: str) -> None:
    """In an earlier version the error was: the host's answer is incomplete."""
    shell = tmp_path / "shell"
    shell.write_text(f"#!/bin/sh\n{body}\n")
    shell.chmod(0o755)
    with connected(Sshd({}, str(shell))) as connection, pytest.raises(HostError, match=message) as caught:
        execute(connection, login(), FRAME, soon(), lambda frame: None)
    assert caught.value.failure.kind == "protocol"
    assert "is it nologin" in caught.value.failure.message


def test_noise_before_the_script_is_no_error(tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho Welcome\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    found: list[tuple[str, ...]] = []
    with connected(Sshd({}, str(shell))) as connection:
        assert execute(connection, login(), FRAME, soon(), found.append).status == 0
    assert found == [("user", "root")]


def test_a_connection_that_this_side_has_closed_is_not_called_a_bad_file_descriptor() -> None:
    """A watchdog closes the socket of a host that is silent. The thread that waits for it then gets EBADF."""
    closed = OSError(errno.EBADF, os.strerror(errno.EBADF))
    reset = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    later = time.monotonic() + 60
    assert broken_off(later, "", closed).failure.message == "connection lost"
    assert broken_off(later, "", reset).failure.message == "connection lost: Connection reset by peer"
    assert broken_off(0.0, "", closed).failure.kind == "timeout"
