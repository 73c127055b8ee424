"""Connections: keys verified, sudo with and without a password, hosts that freeze or send single bytes, jump hosts."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provision.lab import network
from tests.lab.conftest import LAB, LabHost, NewHost
from tests.lab.runs import until

pytestmark = pytest.mark.usefixtures("transport")

#: For tests of connections that the built-in transport shares and limits in rate; each ssh process has its own
#: connection.
builtin = pytest.mark.parametrize("transport", ["ssh"], indirect=True)


SPEC = {"files": {"/etc/proof": {"content": "here\n"}}}


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_wrong_host_key_is_refused_before_a_session(host: LabHost, tmp_path: Path, command: str) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    kind, key = other.with_suffix(".pub").read_text().split()[:2]
    known = tmp_path / "known_hosts"
    known.write_text(f"{host.address} {kind} {key}\n")
    before = host.sessions()
    for words in ([], ["--accept-new"]):
        outcome = host.provision(command, *words, spec=SPEC, provision_known_hosts=str(known))
        assert outcome.code == 3
        assert outcome.counts == {"unreachable": 1}
        assert outcome.done["error"]["kind"] == "host_key"
        assert "has changed" in outcome.done["error"]["message"].lower()
        assert outcome.err == "", "one message, without paramiko's own"
    assert known.read_text().count("\n") == 1, "a changed key must never be stored"
    assert host.sessions() - before == 1, "one, of the test's own count"


@builtin
def test_provision_ssh_runs_a_command_with_the_login_of_the_inventory(host: LabHost) -> None:
    argv = [sys.executable, "-m", "provision", "ssh", "-i", str(host.inventory()), host.name, "id -un; exit 7"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "root\n"), done.stderr


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_an_unknown_host_key_is_refused_before_a_session(
    host: LabHost, tmp_path: Path, command: str, transport: str
) -> None:
    known = tmp_path / "known_hosts"
    before = host.sessions()
    outcome = host.provision(command, spec=SPEC, provision_known_hosts=str(known))
    assert outcome.code == 3
    assert outcome.done["error"]["kind"] == "host_key"
    said = {"ssh": "is not known: ssh-ed25519 SHA256:", "openssh": "No ED25519 host key is known for"}
    assert said[transport] in outcome.done["error"]["message"]
    assert host.sessions() - before == 1
    # --accept-new stores the key, which is known from then on.
    assert host.provision(command, "--accept-new").code == 0
    # ssh may hash the name (HashKnownHosts).
    assert known.read_text().startswith(f"{host.address} ssh-ed25519 " if transport == "ssh" else ("|1|", host.address))
    assert host.provision(command).code == 0


def test_a_key_of_another_kind_for_a_known_host_is_refused(host: LabHost, tmp_path: Path) -> None:
    """A man in the middle might show a kind of key that known_hosts does not have."""
    lines = [line for line in LAB.known_hosts.read_text().splitlines() if line.startswith(f"{host.address} ")]
    known = tmp_path / "known_hosts"
    known.write_text("".join(f"{line}\n" for line in lines if "ecdsa" in line))
    host.sh("rm /etc/ssh/ssh_host_ecdsa_key*; systemctl restart ssh")
    outcome = host.plan(SPEC, "--accept-new", provision_known_hosts=str(known))
    assert outcome.done["error"]["kind"] == "host_key"
    assert "has changed" in outcome.done["error"]["message"].lower()
    assert len(known.read_text().splitlines()) == 1
    # If several keys are known, any of them is accepted.
    known.write_text("".join(f"{line}\n" for line in lines))
    assert host.plan().code == 0


def test_sudo_works_without_a_password(host: LabHost) -> None:
    assert host.apply(SPEC, ansible_user="deploy").done["error"]["kind"] == "become"
    outcome = host.apply(SPEC, ansible_user="deploy", ansible_become=True)
    assert outcome.counts == {"changed": 1}, outcome.out
    assert host.sh("stat -c %U /etc/proof") == "root"
    # A password that sudo does not ask for is not executed as a command.
    outcome = host.apply(SPEC, ansible_user="deploy", ansible_become=True, ansible_become_password="touch /evil")
    assert outcome.counts == {"ok": 1}, outcome.out
    assert host.sh("test -e /evil || echo none") == "none"


def test_sudos_password_is_sent_on_standard_input_only(host: LabHost) -> None:
    secret = "lab-secret-1"
    ask = host.apply(SPEC, ansible_user="ops", ansible_become=True)
    assert ask.done["error"]["kind"] == "become"
    assert "asks for a password" in ask.done["error"]["message"]
    wrong = host.apply(SPEC, ansible_user="ops", ansible_become=True, ansible_become_password="wrong")
    assert "refuses the password" in wrong.done["error"]["message"], wrong.out
    spy = "while sleep 0.01; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done >/tmp/spied & echo $!"
    pid = host.sh(f"({spy}) 2>/dev/null </dev/null")
    right = host.apply(SPEC, ansible_user="ops", ansible_become=True, ansible_become_password=secret)
    assert right.counts == {"changed": 1}, right.out
    assert secret not in right.out + right.err
    host.sh(f"kill {pid}")
    assert host.sh("grep -ac sudo /tmp/spied") != "0", "the spy must have seen the sudo command line"
    assert host.sh(f"grep -ac {secret} /tmp/spied || true") == "0"
    assert host.sh(f"journalctl -q | grep -c {secret} || true") == "0"


#: As authselect(8) sets it up, for sudo alone: every failed attempt is counted.
FAILLOCK = """auth required pam_faillock.so preauth silent deny=10
auth sufficient pam_unix.so
auth required pam_faillock.so authfail deny=10
auth required pam_deny.so
account required pam_unix.so
session required pam_permit.so
"""


@pytest.mark.parametrize("command", ["apply", "verify"])
def test_a_wrong_sudo_password_is_tried_once(host: LabHost, command: str) -> None:
    """Three failed attempts lock an account: what follows the password must not be read as further attempts."""
    host.sh(f"cat >/etc/pam.d/sudo <<'EOF'\n{FAILLOCK}EOF\nfaillock --user ops --reset")
    host.inventory(ansible_user="ops", ansible_become=True, ansible_become_password="wrong")
    outcome = host.provision(command, spec=SPEC)
    assert outcome.code == 3
    assert "sudo refuses the password" in outcome.out
    host.sh("journalctl --sync")
    failures = host.sh("journalctl -q -b | grep -c 'pam_unix(sudo:auth): authentication failure' || true")
    tally = host.sh("faillock --user ops | grep -c ' V$' || true")
    assert (failures, tally) == ("1", "1")


def test_output_of_start_files_is_not_an_event(host: LabHost) -> None:
    host.sh("sed -i '1i echo 1;6:hello, ; echo noise >&2' /root/.bashrc")
    assert host.apply(SPEC).counts == {"changed": 1}


def test_values_arrive_byte_for_byte(host: LabHost) -> None:
    evil = "'\"$HOME`id`$(id)\\\\ \t!*?[a]{b,c}~;&|<>#\n\n ü€\U0001f433 \x81\u0081 'end"
    spec = {
        "files": {
            "/etc/evil '\"$x`y`": {"content": evil},
            "/etc/no-newline": {"content": "x"},
            "/etc/empty": {"content": ""},
            "/etc/only-newlines": {"content": "\n\n\n"},
            "/etc/binary": {"src": "binary", "mode": "0600"},
            "/etc/large": {"src": "large"},
        },
        "users": {"eve": {"comment": "Eve '$(id)' \"`x`\" ü"}},
    }
    (host.folder / "files").mkdir()
    binary = bytes(range(256)) * 7
    large = b"0123456789abcdef\x00" * 12_000
    (host.folder / "files/binary").write_bytes(binary)
    (host.folder / "files/large").write_bytes(large)
    assert host.apply(spec).counts == {"changed": 1}

    def fetch(path: str) -> bytes:
        quoted = "'" + path.replace("'", "'\\''") + "'"
        return subprocess.run([*LAB.ssh(host.name), f"cat -- {quoted}"], capture_output=True, check=True).stdout

    assert fetch("/etc/evil '\"$x`y`") == evil.encode()
    assert fetch("/etc/no-newline") == b"x"
    assert fetch("/etc/empty") == b""
    assert fetch("/etc/only-newlines") == b"\n\n\n"
    assert fetch("/etc/binary") == binary
    assert fetch("/etc/large") == large
    assert host.sh("getent passwd eve | cut -d: -f5") == "Eve '$(id)' \"`x`\" ü"
    assert host.apply().counts == {"ok": 1}
    # provision notices one byte less, in the text, the binary and the large file.
    host.sh("for f in only-newlines binary large; do truncate -s -1 /etc/$f; done")
    assert len(host.plan().items) == 3


def test_a_frozen_host_times_out(new_host: NewHost) -> None:
    frozen, healthy = new_host(), new_host()
    # The host's shell stops at login, while the connection is up.
    frozen.sh("sed -i '1i kill -STOP $$' /root/.bashrc")
    frozen.inventory()
    add_host(frozen, healthy)
    # ssh logs in, and the shell that it starts stops.
    said_of = {
        "ssh": ("deadline has passed", "longer than 4 s"),
        "openssh": ("the host's deadline", "did not start sh in time"),
    }
    parts = (("--deadline", "8"), ("--look-within", "4"))
    for words, said in zip(parts, said_of[frozen.transport or "ssh"], strict=True):
        outcome = frozen.apply(SPEC, *words)
        assert (outcome.code, outcome.events[-1]["counts"]["failed"]) == (3, 1), outcome.out
        ends = {event["host"]: event for event in outcome.all("host.done")}
        assert ends[frozen.name]["error"]["kind"] == "timeout"
        assert said in ends[frozen.name]["error"]["message"]
        assert ends[healthy.name]["status"] in ("changed", "ok")
    assert healthy.sh("cat /etc/proof") == "here"


@pytest.fixture
def unresponsive_peers() -> Iterator[list[tuple[str, int]]]:
    """Listeners on the lab's own bridge: one is silent, one sends a banner byte by byte, one hangs up."""
    network.ensure_bridge()
    servers, stop = [], threading.Event()

    def serve(server: socket.socket, kind: str) -> None:
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer_peer, args=(peer, kind), daemon=True).start()

    def answer_peer(peer: socket.socket, kind: str) -> None:
        with peer:
            if kind == "drops":
                return
            while not stop.wait(0.5):
                if kind == "drips":
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

    for kind in ("silent", "drips", "drops"):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, kind), daemon=True).start()
    yield [server.getsockname() for server in servers]
    stop.set()
    for server in servers:
        server.close()


def test_peers_that_complete_no_login_time_out(unresponsive_peers: list[tuple[str, int]], tmp_path: Path) -> None:
    host = LabHost("bad", "127.0.0.1", tmp_path)
    for address, port in unresponsive_peers:
        # The test requires only that the run ends: these peers would block it for ever.
        outcome = host.plan(SPEC, "--deadline", "4", "--connect-timeout", "2", ansible_host=address, ansible_port=port)
        assert outcome.code == 3
        assert outcome.counts == {"unreachable": 1} or outcome.done["error"]["kind"] == "timeout", outcome.out


@builtin
def test_a_jump_host_is_shared_and_verified(new_host: NewHost) -> None:
    jump, inner = new_host(), new_host()
    before = jump.sh("journalctl -q -o cat | grep -c 'Accepted publickey'")
    arguments = f"-o ProxyJump=root@{jump.address}"
    assert inner.apply(SPEC, ansible_ssh_common_args=arguments).counts == {"changed": 1}
    source = inner.sh("journalctl -q -o cat | grep 'Accepted publickey' | tail -2 | head -1")
    assert jump.address in source, "the login must have come from the jump host"
    assert int(jump.sh("journalctl -q -o cat | grep -c 'Accepted publickey'")) - int(before) == 2
    # An unknown key of the jump host is also refused.
    known = inner.folder / "known"
    lines = LAB.known_hosts.read_text().splitlines()
    known.write_text("".join(f"{line}\n" for line in lines if not line.startswith(f"{jump.address} ")))
    refused = inner.apply(SPEC, ansible_ssh_common_args=arguments, provision_known_hosts=str(known))
    assert refused.done["error"]["kind"] == "host_key"


def add_host(host: LabHost, other: LabHost) -> None:
    """Add another host to the inventory of the first."""
    lines = other.inventory().read_text().splitlines()[2:]
    with (host.folder / "inventory.yml").open("a") as inventory:
        inventory.write("\n".join(lines))


def many_names(host: LabHost, count: int, **variables: str) -> None:
    """An inventory with one host under many names."""
    lines = host.inventory(**variables).read_text()
    common = lines.split(f"    {host.name}:\n")[1]
    body = "".join(f"    name{number:02d}:\n{common}" for number in range(count))
    (host.folder / "inventory.yml").write_text(f"docker:\n  hosts:\n{body}")


def test_logins_through_a_bastion_are_limited_in_number(new_host: NewHost, transport: str) -> None:
    """No more logins at a time than a stock sshd accepts, so it drops none. With the built-in transport, all hosts of a
    process share one connection to the jump host."""
    jump, inner = new_host(), new_host()
    count = "journalctl -q -o cat | grep -c 'Accepted publickey'"
    dropped = "journalctl -q -o cat | grep -ciE 'drop connection|MaxStartups|penalty' || true"
    before, drops = int(jump.sh(count)), [host.sh(dropped) for host in (jump, inner)]
    many_names(inner, 40, ansible_ssh_common_args=f"-o ProxyJump=root@{jump.address}")
    outcome = inner.plan(SPEC)
    assert (outcome.code, outcome.counts) == (0, {"changed": 40}), outcome.out
    own, logins = 2, {"ssh": 1, "openssh": 40}
    assert int(jump.sh(count)) - before == own + logins[transport]
    assert [host.sh(dropped) for host in (jump, inner)] == drops


def test_dropped_logins_of_a_burst_are_repeated(host: LabHost) -> None:
    """sshd's stock MaxStartups 10:30:100 drops some logins of a burst. A dropped login is repeated."""
    many_names(host, 25)
    outcome = host.plan(SPEC, "--forks", "25")
    assert outcome.code == 0, outcome.out
    assert outcome.counts == {"changed": 25}


def test_the_openssh_transport_verifies_its_jump_host(new_host: NewHost) -> None:
    """The jump host's login uses the key and the known_hosts file of the inventory; ssh itself does not pass them
    on."""
    jump, inner = new_host(), new_host()
    arguments = f"-J root@{jump.address}"
    assert inner.apply(SPEC, ansible_ssh_common_args=arguments).counts == {"changed": 1}
    known = inner.folder / "known"
    lines = LAB.known_hosts.read_text().splitlines()
    known.write_text("".join(f"{line}\n" for line in lines if not line.startswith(f"{jump.address} ")))
    refused = inner.apply(SPEC, ansible_ssh_common_args=arguments, provision_known_hosts=str(known))
    assert refused.code == 3
    assert refused.counts == {"unreachable": 1}


@builtin
def test_a_frozen_jump_host_does_not_delay_hosts_behind_another_one(new_host: NewHost) -> None:
    """The login to a jump host was made under a lock that all jump hosts shared."""
    frozen, healthy, inner = new_host(), new_host(), new_host()
    frozen.within("pkill -STOP -x sshd")
    inner.inventory(ansible_ssh_common_args=f"-J root@{healthy.address}")
    lines = inner.inventory().read_text()
    inner.inventory(ansible_ssh_common_args=f"-J root@{healthy.address}")
    other = lines.split(f"    {inner.name}:\n")[1] + f"      ansible_ssh_common_args: -J root@{frozen.address}\n"
    with (inner.folder / "inventory.yml").open("a") as inventory:
        # More hosts than threads, so that all threads would wait.
        inventory.write("".join(f"    a{number:02d}:\n{other}" for number in range(8)))
    outcome = inner.plan(SPEC, "--forks", "9", "--connect-timeout", "20", "--deadline", "25")
    ends = [event["host"] for event in outcome.all("host.done")]
    assert ends[0] == inner.name, "the healthy host ends first"
    assert outcome.events[-1]["counts"]["changed"] == 1, outcome.out


def test_a_frozen_jump_host_times_out(new_host: NewHost) -> None:
    """The jump host freezes while the connections through it are up. Hosts that do not use it are processed."""
    jump, inner, healthy = new_host(), new_host(), new_host()
    inner.sh("sed -i '1i touch /run/in; sleep 60' /root/.bashrc")
    inner.inventory(ansible_ssh_common_args=f"-o ProxyJump=root@{jump.address}")
    add_host(inner, healthy)

    def freeze() -> None:
        until(inner, "[ -e /run/in ]")
        jump.within("pkill -STOP -f '^sshd-session: root'")

    with ThreadPoolExecutor() as executor:
        frozen = executor.submit(freeze)
        outcome = inner.apply(SPEC, "--deadline", "15")
        frozen.result()
    assert outcome.code == 3, outcome.err
    ends = {event["host"]: event for event in outcome.all("host.done")}
    assert ends[inner.name]["error"]["kind"] == "timeout", outcome.out
    assert ends[healthy.name]["status"] == "changed", outcome.out
