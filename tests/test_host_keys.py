"""Host keys and certificates, made by ssh-keygen and altered in the test: which ones are accepted, and why others are
not."""

from __future__ import annotations

import base64
import contextlib
import math
import shutil
import subprocess
import time
from pathlib import Path

import paramiko
import pytest
from paramiko.pkey import PKey, PublicBlob

from provision.errors import SpecError, Where
from provision.model import Host, Login
from provision.secrets import secret
from provision.transport import known_hosts
from provision.transport.channel import ProcessChannel
from provision.transport.client import Algorithms
from provision.transport.failure import HostError
from provision.transport.host_keys import CA_SIGNATURES, Rules, Verifier, certificate, revoked
from provision.transport.known_hosts_command import Command
from provision.transport.proxy_command import ProxyCommand
from provision.transport.ssh import Connecting, Transport
from provision.transport.ssh_config import Resolved
from tests.sshd import Sshd, listening


def keygen(path: Path, *words: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(path), *words], check=True)
    return path


def blob_of(path: Path) -> bytes:
    return base64.b64decode(path.read_text().split()[1])


def signed(folder: Path, kind: list[str], authority: list[str], *words: str) -> bytes:
    keygen(folder / "ca", *authority)
    keygen(folder / "host", *kind)
    argv = ["ssh-keygen", "-q", "-s", str(folder / "ca"), "-h", "-I", "it", *words, str(folder / "host.pub")]
    subprocess.run(argv, check=True)
    return blob_of(folder / "host-cert.pub")


ED25519, ECDSA, RSA = ["-t", "ed25519"], ["-t", "ecdsa", "-b", "384"], ["-t", "rsa", "-b", "2048"]


@pytest.mark.parametrize("kind", [ED25519, ECDSA, RSA], ids=lambda kind: kind[1])
@pytest.mark.parametrize("authority", [ED25519, ECDSA, RSA], ids=lambda kind: kind[1])
def test_host_certificates_of_each_key_type_are_accepted(tmp_path: Path, kind: list[str], authority: list[str]) -> None:
    blob = signed(tmp_path, kind, authority, "-n", "web1,*.example.com", "-V", "-5m:+1d")
    found = certificate(blob)
    assert found is not None
    assert found.authority == blob_of(tmp_path / "ca.pub")
    assert [found.problem(name, CA_SIGNATURES) for name in ("web1", "WEB1", "a.example.com")] == ["", "", ""]
    assert found.problem("web2", CA_SIGNATURES) == "it is for web1, *.example.com"
    assert found.problem("web1", ()).startswith("its signature (")


def test_a_certificate_with_an_altered_byte_is_refused(tmp_path: Path) -> None:
    """A change of any signed byte breaks the signature, above all a change of the name."""
    blob = signed(tmp_path, ED25519, ED25519, "-n", "web1", "-V", "-5m:+1d")
    forged = certificate(blob.replace(b"web1", b"web2"))
    assert forged is not None
    assert forged.principals == ("web2",)
    assert forged.problem("web2", CA_SIGNATURES) == "its signature is wrong"
    torn = certificate(blob[:-1] + bytes([blob[-1] ^ 1]))
    assert torn is not None
    assert torn.problem("web1", CA_SIGNATURES) == "its signature is wrong"
    with pytest.raises(paramiko.SSHException, match="after the end of the certificate"):
        certificate(blob + b"x")


def test_certificates_without_names_and_user_certificates_are_refused(tmp_path: Path) -> None:
    found = certificate(signed(tmp_path, ED25519, ED25519))
    assert found is not None
    assert found.problem("web1", CA_SIGNATURES) == "it names no host"
    argv = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "it", "-n", "web1", str(tmp_path / "host.pub")]
    subprocess.run(argv, check=True)
    found = certificate(blob_of(tmp_path / "host-cert.pub"))
    assert found is not None
    assert found.problem("web1", CA_SIGNATURES) == "it is not a host certificate"


def shown(folder: Path) -> PKey:
    """The host's key in the form that paramiko returns, with its certificate."""
    key = PKey.from_type_string("ssh-ed25519", blob_of(folder / "host.pub"))
    key.public_blob = PublicBlob.from_file(str(folder / "host-cert.pub"))
    return key


def verifier(folder: Path, text: str, **more: object) -> Verifier:
    (folder / "known_hosts").write_text(text)
    known_hosts.read.cache_clear()
    file = folder / "known_hosts"
    rules = Rules("[web1]:2222", "web1", "web1", (file,), file, **more)  # type: ignore[arg-type]
    return Verifier(rules)


def line(path: Path) -> str:
    return " ".join(path.read_text().split()[:2])


def test_a_forged_certificate_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    blob = signed(tmp_path, ED25519, ED25519, "-n", "web9", "-V", "-5m:+1d")
    key = shown(tmp_path)
    key.public_blob = PublicBlob("ssh-ed25519-cert-v01@openssh.com", blob.replace(b"web9", b"web1"))
    for accept_new in (False, True):
        judge = verifier(tmp_path, f"@cert-authority * {line(tmp_path / 'ca.pub')}\n", accept_new=accept_new)
        with pytest.raises(HostError, match="is not accepted: its signature is wrong"):
            judge.missing_host_key(paramiko.SSHClient(), "", key)
    assert "ssh-ed25519" not in (tmp_path / "known_hosts").read_text().removeprefix("@cert-authority * ssh-ed25519")


def test_certificates_are_requested_where_an_authority_is_known(tmp_path: Path) -> None:
    signed(tmp_path, ED25519, ED25519, "-n", "web1")
    algorithms = Algorithms(Resolved("web1", {}, {}))
    with_authority = verifier(tmp_path, f"@cert-authority web1 {line(tmp_path / 'ca.pub')}\n")
    assert algorithms.host_keys(with_authority)[0] == "ssh-ed25519-cert-v01@openssh.com"
    plain = verifier(tmp_path, f"web1 {line(tmp_path / 'host.pub')}\n")
    assert algorithms.host_keys(plain)[0] == "ssh-ed25519"
    assert not any("cert" in name for name in algorithms.host_keys(plain))


def test_the_key_that_another_process_stores_at_a_first_contact_is_the_hosts(tmp_path: Path) -> None:
    keygen(tmp_path / "host", *ED25519)
    keygen(tmp_path / "other", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    for stored, refused in (("other", True), ("host", False)):
        judge = verifier(tmp_path, "", accept_new=True)
        text = f"[web1]:2222 {line(tmp_path / f'{stored}.pub')}\n"
        (tmp_path / "known_hosts").write_text(text)
        with pytest.raises(HostError, match="has changed") if refused else contextlib.nullcontext():
            judge.missing_host_key(paramiko.SSHClient(), "", key)
        assert (tmp_path / "known_hosts").read_text() == text


def test_a_first_contact_is_stored_only_with_accept_new(tmp_path: Path) -> None:
    keygen(tmp_path / "host", *ED25519)
    keygen(tmp_path / "other", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    client = paramiko.SSHClient()
    with pytest.raises(HostError, match=r"is not known: ssh-ed25519 SHA256:.*--accept-new"):
        verifier(tmp_path, "").missing_host_key(client, "", key)
    with pytest.raises(HostError, match="StrictHostKeyChecking no is not honoured"):
        verifier(tmp_path, "", lenient=True).missing_host_key(client, "", key)
    with pytest.raises(HostError, match="StrictHostKeyChecking yes forbids --accept-new"):
        verifier(tmp_path, "", accept_new=True, strict=True).missing_host_key(client, "", key)
    # Another key under the name without its port is never replaced.
    for name in ("web1", "[web1]:2222", "*"):
        with pytest.raises(HostError, match="has changed"):
            verifier(tmp_path, f"{name} {line(tmp_path / 'other.pub')}\n", accept_new=True).missing_host_key(
                client, "", key
            )
    verifier(tmp_path, "", accept_new=True).missing_host_key(client, "", key)
    assert (tmp_path / "known_hosts").read_text() == f"[web1]:2222 {line(tmp_path / 'host.pub')}\n"


def test_a_first_contact_stores_no_key_for_a_pattern(tmp_path: Path) -> None:
    """Of an inventory: ``-o HostKeyAlias=*``, or a name that only a jump host resolves."""
    keygen(tmp_path / "host", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    for name in ("*", "web1,github.com"):
        judge = Verifier(Rules(name, name, name, (store := tmp_path / "store",), store=store, accept_new=True))
        with pytest.raises(HostError, match="is not the name of one host"):
            judge.missing_host_key(paramiko.SSHClient(), "", key)
        assert not store.exists()


def test_a_first_contact_is_never_stored_in_a_global_file(tmp_path: Path) -> None:
    """As ssh, which refuses the host where UserKnownHostsFile is none."""
    keygen(tmp_path / "host", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    (tmp_path / "global").write_text("")
    judge = Verifier(Rules("web1", "web1", "web1", (tmp_path / "global",), accept_new=True))
    with pytest.raises(HostError, match="UserKnownHostsFile names no file to store it in"):
        judge.missing_host_key(paramiko.SSHClient(), "", key)
    assert (tmp_path / "global").read_text() == ""


def test_revoked_keys_in_files_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        keygen(tmp_path / name, *ED25519)
    one, other = blob_of(tmp_path / "a.pub"), blob_of(tmp_path / "b.pub")
    (tmp_path / "list").write_text(f"# a comment\n{line(tmp_path / 'a.pub')}\n")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(tmp_path / "krl"), str(tmp_path / "a.pub")], check=True)
    for name in ("list", "krl"):
        assert [revoked(tmp_path / name, blob) for blob in (one, other)] == [True, False]
    (tmp_path / "broken").write_text("this is no key\n")
    assert revoked(tmp_path / "broken", other)
    assert revoked(tmp_path / "nowhere", other)


def command(text: str) -> Command:
    return Command.of(text, {"p": "2222", "%": "%"})


def test_known_hosts_command_is_asked_for_the_order_and_for_the_key_of_the_name_with_the_port(tmp_path: Path) -> None:
    keygen(tmp_path / "host", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    (tmp_path / "asked.sh").write_text(f'echo "$@" >>{tmp_path}/asked\n[ "$2" = ORDER ] || echo "$1 $3 $4"\n')
    asks = command(f"/bin/sh {tmp_path}/asked.sh %H %I %t %K %f %p")
    judge = verifier(tmp_path, "", command=asks)
    judge.missing_host_key(paramiko.SSHClient(), "", key)
    kind, text = line(tmp_path / "host.pub").split()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "[web1]:2222 ORDER NONE NONE NONE 2222",
        f"[web1]:2222 HOSTNAME {kind} {text} {known_hosts.fingerprint(key.asbytes())} 2222",
    ]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
@pytest.mark.parametrize("known", [False, True])
def test_known_hosts_command_is_asked_about_the_names_that_ssh_asks_about(tmp_path: Path, known: bool) -> None:
    """Whether or not a file knows the plain name: neither program asks the command about it. Before the host shows a
    key, OpenSSH 9.2 asks about the plain name and newer ones about the name with the port."""
    keygen(tmp_path / "host", *ED25519)
    private = paramiko.Ed25519Key.from_private_key_file(str(tmp_path / "host"))
    (tmp_path / "asked.sh").write_text(f'echo "$@" >>{tmp_path}/asked\n')
    text = f"/bin/sh {tmp_path}/asked.sh %H %I"
    (tmp_path / "stored").write_text(f"127.0.0.1 {line(tmp_path / 'host.pub')}\n" if known else "")
    with listening(Sshd({}), private) as (port, _):
        options = (f"KnownHostsCommand={text}", f"UserKnownHostsFile={tmp_path}/stored", "GlobalKnownHostsFile=none")
        argv = ["ssh", "-F", "none", "-p", str(port), "-o", "StrictHostKeyChecking=yes"]
        argv += [word for option in options for word in ("-o", option)]
        done = subprocess.run([*argv, "ops@127.0.0.1", "true"], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == known, done.stderr
    of_ssh = (tmp_path / "asked").read_text().splitlines()
    assert [question.split()[1] for question in of_ssh] == ["ORDER", "HOSTNAME"]
    (tmp_path / "asked").unlink()
    rules = Rules(f"[127.0.0.1]:{port}", "127.0.0.1", "127.0.0.1", (tmp_path / "stored",), command=command(text))
    known_hosts.read.cache_clear()
    judge = Verifier(rules)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    if known:
        judge.missing_host_key(paramiko.SSHClient(), "", key)
    else:
        with pytest.raises(HostError, match="is not known"):
            judge.missing_host_key(paramiko.SSHClient(), "", key)
    of_provision = (tmp_path / "asked").read_text().splitlines()
    assert [question.split()[1] for question in of_provision] == ["ORDER", "HOSTNAME"]
    assert of_provision[1:] == of_ssh[1:]


def test_a_key_that_is_revoked_for_either_name_is_refused(tmp_path: Path) -> None:
    """ssh accepts the second: it looks up the plain name only where it knows no key of the name with the port."""
    keygen(tmp_path / "host", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    own = line(tmp_path / "host.pub")
    for text in (f"@revoked web1 {own}\n", f"[web1]:2222 {own}\n@revoked web1 {own}\n"):
        with pytest.raises(HostError, match="is revoked"):
            verifier(tmp_path, text, accept_new=True).missing_host_key(paramiko.SSHClient(), "", key)


WORDS = [
    r"""a\\b a\b a\\ a\"b a\'b a\ b""",
    r'''"a\\b" "a\b" "a\"b" "a\'b" "a\ b" "" "a'b"''',
    r"""'a\\b' 'a\b' 'a\"b' 'a\'b' 'a\ b' '' 'a"b'""",
    r"""a"b c"'d e'f  g#h #i $HOME * \$x "\$x" """,
    "a\tb\t c\\\td",
]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
def test_known_hosts_command_has_the_arguments_of_ssh(tmp_path: Path) -> None:
    """OpenSSH splits and expands the command: not by a shell's rules, and not in the program's name."""
    program = tmp_path / "print%h"
    program.write_text(f'#!/bin/sh\nprintf "<%s>" "$@" >>{tmp_path}/said\necho >>{tmp_path}/said\n')
    program.chmod(0o755)
    with listening(Sshd({})) as (port, _):
        for words in WORDS:
            text = f"{program} {words} %I%%"
            argv = ["ssh", "-F", "none", "-p", str(port), "-o", f"KnownHostsCommand={text}", "-o", "BatchMode=yes"]
            argv += ["-o", "UserKnownHostsFile=none", "-o", "GlobalKnownHostsFile=none", "ops@127.0.0.1"]
            subprocess.run(argv, capture_output=True, check=False)
            of_ssh = (tmp_path / "said").read_text().splitlines()[0]
            assert of_ssh.endswith("<ORDER%>")
            (tmp_path / "said").unlink()
            command(text).lines("web1", None, math.inf)
            assert (tmp_path / "said").read_text().splitlines() == [of_ssh]
            (tmp_path / "said").unlink()


def test_known_hosts_command_ends_with_the_login(tmp_path: Path) -> None:
    begun = time.monotonic()
    rules = Rules("web1", "web1", "web1", (), command=command("/bin/sleep 50"))
    with pytest.raises(HostError, match=r"KnownHostsCommand /bin/sleep did not end within 0\.[0-9]+ s") as caught:
        Verifier(rules, begun + 0.5)
    assert caught.value.failure.kind == "host_key"
    with pytest.raises(HostError, match=r"did not end within 0\.1 s"):
        Verifier(rules, begun)


@pytest.mark.thorough
def test_known_hosts_command_has_limits_and_leaves_no_process(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.write_text(f"#!/bin/sh\nsleep 3600 & echo $! >{tmp_path}/child\nwhile echo x; do :; done\n")
    endless.chmod(0o755)
    with pytest.raises(HostError, match=r"endless printed more than 16384 KiB"):
        command(str(endless)).lines("web1", None, 60.0)
    waits = tmp_path / "waits"
    waits.write_text(f"#!/bin/sh\nsleep 3600 & echo $! >>{tmp_path}/child\nwait\n")
    waits.chmod(0o755)
    with pytest.raises(HostError, match=r"waits did not end within 1 s"):
        command(str(waits)).lines("web1", None, 1.0)
    for child in (tmp_path / "child").read_text().split():
        until_ended(int(child))


def until_ended(pid: int) -> None:
    end = time.monotonic() + 60
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < end, "the process is left"
        time.sleep(0.02)


def test_programs_of_ssh_config_do_not_receive_declared_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hush-hush-1")
    secret.declare("db", {"env": "DB_PASSWORD"}, Where(tmp_path / "site.yml", 1))
    shown = tmp_path / "shown"
    shown.write_text(f"#!/bin/sh\nenv >{tmp_path}/env\n")
    shown.chmod(0o755)
    command(str(shown)).lines("web1", None, 60.0)
    assert "HOME=" in (tmp_path / "env").read_text()
    assert "hush-hush-1" not in (tmp_path / "env").read_text()
    proxy = ProxyCommand(f"sh -c 'env >{tmp_path}/proxy; exec cat'")
    proxy.sendall(b"x")
    assert proxy.recv(1) == b"x"
    proxy.close()
    assert "HOME=" in (tmp_path / "proxy").read_text()
    assert "hush-hush-1" not in (tmp_path / "proxy").read_text()
    (tmp_path / "config").write_text(f'Match exec "env >{tmp_path}/match"\n  Port 22\n')
    Transport(Connecting()).prepare([Login("127.0.0.1", ssh_before=("-F", str(tmp_path / "config")))])
    assert "HOME=" in (tmp_path / "match").read_text()
    assert "hush-hush-1" not in (tmp_path / "match").read_text()
    channel = ProcessChannel(["sh", "-c", f"env >{tmp_path}/ssh"], tmp_path / "log")
    assert channel.wait(60)
    assert "hush-hush-1" not in (tmp_path / "ssh").read_text()


@pytest.mark.parametrize(("connect_timeout", "seconds"), [(0.2, 60.0), (20.0, 0.5)])
def test_a_login_limits_known_hosts_command_by_its_timeout_and_its_deadline(
    tmp_path: Path, connect_timeout: float, seconds: float
) -> None:
    (tmp_path / "config").write_text("KnownHostsCommand /bin/sleep 50\nUserKnownHostsFile none\n")
    transport = Transport(Connecting(connect_timeout))
    host = Host("web1", (), Login("127.0.0.1", ssh_before=("-F", str(tmp_path / "config"))))
    try:
        with pytest.raises(HostError, match=r"KnownHostsCommand /bin/sleep did not end within 0\.[0-9]+ s"):
            transport.open(host, time.monotonic() + seconds)
    finally:
        transport.close()


def test_known_hosts_command_decides_the_order_of_the_kinds(tmp_path: Path) -> None:
    keygen(tmp_path / "host", *ECDSA)
    (tmp_path / "lines").write_text(f"[web1]:2222 {line(tmp_path / 'host.pub')}\n")
    judge = verifier(tmp_path, "", command=command(f"/bin/cat {tmp_path}/lines"))
    assert judge.kinds == {"ecdsa-sha2-nistp384"}
    assert Algorithms(Resolved("web1", {}, {})).host_keys(judge)[0] == "ecdsa-sha2-nistp384"


def test_known_hosts_command_is_judged_like_a_file(tmp_path: Path) -> None:
    keygen(tmp_path / "host", *ED25519)
    keygen(tmp_path / "other", *ED25519)
    key = PKey.from_type_string("ssh-ed25519", blob_of(tmp_path / "host.pub"))
    asks = command(f"/bin/cat {tmp_path}/lines")
    for lines, stored, message in (
        (f"[web1]:2222 {line(tmp_path / 'other.pub')}\n", "", "has changed"),
        (f"@revoked * {line(tmp_path / 'host.pub')}\n", f"* {line(tmp_path / 'host.pub')}\n", "is revoked"),
        ("", "", "is not known"),
        (f"db {line(tmp_path / 'host.pub')}\n", "", "is not known"),
    ):
        (tmp_path / "lines").write_text(lines)
        judge = verifier(tmp_path, stored, command=asks)
        with pytest.raises(HostError, match=message) as caught:
            judge.missing_host_key(paramiko.SSHClient(), "", key)
        assert caught.value.failure.kind == "host_key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/bin/sh -c 'echo no database >&2; exit 3'", "KnownHostsCommand /bin/sh ended with 3: no database"),
        ("/nowhere/program", "KnownHostsCommand /nowhere/program can't be started: No such file"),
    ],
)
def test_a_known_hosts_command_that_fails_refuses_the_host(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(HostError, match=message) as caught:
        verifier(tmp_path, "", command=command(text))
    assert caught.value.failure.kind == "host_key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat file", "needs an absolute path"),
        ("/bin/cat %z", "unsupported token %z"),
        ("/bin/cat 100%", "no token follows the % at the end"),
        ("/bin/cat '100%' x", "no token follows the % at the end"),
        ("/bin/cat 'x", "the quote ' is not closed"),
    ],
)
def test_a_known_hosts_command_that_ssh_would_not_run_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        command(text)
