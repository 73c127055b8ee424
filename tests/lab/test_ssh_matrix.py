"""Compare the logins of ``ssh`` and provision, row by row (``ssh_rows.py``), over both transports, on one lab host."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision.errors import SpecError
from provision.lab import network
from provision.lab.store import GATEWAY
from provision.model import Host, Login
from provision.transport import known_hosts
from provision.transport.execute import execute
from provision.transport.ssh import Connecting, HostError, Transport
from tests.lab.conftest import LAB, LabHost
from tests.lab.ssh_rows import BASE, ROWS, Row
from tools.leftovers import own

#: Prints the account of a login, its source, and the address that it reached.
SAYS = 'echo "$(whoami) $SSH_CONNECTION"'
FRAME = f'said=$({SAYS}); printf \'provision 1\\n2;2:at,%d:%s,\\n\' "${{#said}}" "$said"\n'

#: Further sshds of the host: port -> options.
SSHDS = {
    2301: "-o HostKey=/etc/ssh/matrix -o HostCertificate=/etc/ssh/valid-cert.pub",
    2302: "-o HostKey=/etc/ssh/matrix -o HostCertificate=/etc/ssh/expired-cert.pub",
    2303: "-o HostKey=/etc/ssh/matrix -o HostCertificate=/etc/ssh/other-cert.pub",
    2304: "-o HostKey=/etc/ssh/ssh_host_rsa_key",
    2308: "-o HostKey=/etc/ssh/matrix -o Ciphers=chacha20-poly1305@openssh.com",
    2309: "-o HostKey=/etc/ssh/matrix -o MaxAuthTries=2",
    2311: "-o HostKey=/etc/ssh/matrix -o AuthorizedKeysFile=none -o TrustedUserCAKeys=/etc/ssh/user_ca.pub",
}
PIPE = """import os, socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
"""


@dataclass
class Place:
    """The host, and the directory with the files that the rows name."""

    host: LabHost
    folder: Path
    agent: str

    def fill(self, text: str) -> str:
        return (
            text.replace("{address}", self.host.address)
            .replace("{folder}", str(self.folder))
            .replace("{key}", str(LAB.store.key))
            .replace("{python}", sys.executable)
            .replace("{bridge}", GATEWAY)
            .replace("{interface}", network.BRIDGE)
        )

    def login(self, row: Row, transport: str) -> Login:
        name = re.sub(r"\W", "_", row.name)
        config = self.folder / f"{name}.conf"
        config.write_text(self.fill(row.config + row.base))
        words = ("-F", str(config), *(self.fill(word) for word in row.words))
        return Login(self.fill(row.host), ssh_before=words, transport=transport, **row.login)


def _keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    name = f"{LAB.name}matrix"
    own(LAB)
    (record,) = LAB.up({name: "trixie"})
    # pytest's directories are too long for the path of a socket (unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="matrix-"))
    host = LabHost(name, record.address, folder)
    agent = folder / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL)
    try:
        while not agent.exists():
            time.sleep(0.01)
        _prepare(host, folder, agent)
        known_hosts.read.cache_clear()
        yield Place(host, folder, str(agent))
    finally:
        running.terminate()
        running.wait()
        LAB.down([name])
        shutil.rmtree(folder)


def _prepare(host: LabHost, folder: Path, agent: Path) -> None:
    for name, words in {
        "stranger": ["-t", "ed25519"],
        "held": ["-t", "ed25519"],
        "locked": ["-t", "ed25519", "-N", "secret"],
        "signed": ["-t", "ed25519"],
        "loose": ["-t", "ecdsa"],
        "rsa": ["-t", "rsa", "-b", "2048"],
        "ca": ["-t", "ed25519"],
        "other_ca": ["-t", "ed25519"],
        "matrix": ["-t", "ed25519"],
        "more1": ["-t", "ed25519"],
        "more2": ["-t", "ed25519"],
    }.items():
        _keygen(*words, *([] if "-N" in words else ["-N", ""]), "-f", str(folder / name))
    key = LAB.store.key
    (folder / "root-web").write_bytes(key.read_bytes())
    (folder / "root-web").chmod(0o600)
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(folder / "pkcs8")],
        check=True,
        capture_output=True,
    )
    (folder / "pkcs8").chmod(0o600)
    pkcs8 = subprocess.check_output(["ssh-keygen", "-y", "-f", str(folder / "pkcs8")], text=True)
    for name, words in {
        "valid": ["-n", f"{host.address},*.example", "-V", "-5m:+1d"],
        "expired": ["-n", host.address, "-V", "-2d:-1d"],
        "other": ["-n", "other.example", "-V", "-5m:+1d"],
    }.items():
        (folder / f"{name}.pub").write_text((folder / "matrix.pub").read_text())
        _keygen("-s", str(folder / "ca"), "-h", "-I", name, *words, str(folder / f"{name}.pub"))
    (folder / "open").write_bytes(key.read_bytes())
    (folder / "open").chmod(0o640)
    for name in ("signed", "loose", "held"):
        _keygen("-s", str(folder / "ca"), "-I", name, "-n", "root", "-V", "-5m:+1d", str(folder / f"{name}.pub"))
    (folder / "held-cert.pub").rename(folder / "held-certificate")
    (folder / "loose-cert.pub").rename(folder / "loose-certificate")
    (folder / "loose-cert.pub").symlink_to(folder / "loose-certificate")
    subprocess.run(["ssh-keygen", "-p", "-P", "secret", "-N", "", "-f", str(folder / "locked")], check=True,
                   capture_output=True)  # fmt: skip
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    for name in ("more1", "more2", "held", "locked"):
        subprocess.run(["ssh-add", "-q", str(folder / name)], env=environment, check=True, capture_output=True)
    _keygen("-p", "-P", "", "-N", "secret", "-f", str(folder / "locked"))
    (folder / "held").unlink()
    _on_host(host, folder, pkcs8)
    _files(host, folder)


def _on_host(host: LabHost, folder: Path, pkcs8: str) -> None:
    allowed = "".join((folder / f"{name}.pub").read_text() for name in ("held", "locked", "rsa")) + pkcs8
    files = {"matrix": 0o600, "ca.pub": 0o644} | {f"{name}-cert.pub": 0o644 for name in ("valid", "expired", "other")}
    script = f"cat >>/root/.ssh/authorized_keys <<'EOF'\n{allowed}EOF\n"
    for name, mode in files.items():
        target = "user_ca.pub" if name == "ca.pub" else name
        packed = base64.b64encode((folder / name).read_bytes()).decode()
        script += f"echo {packed} | base64 -d >/etc/ssh/{target}; chmod {mode:o} /etc/ssh/{target}\n"
    script += (
        "useradd -m -s /bin/bash alice; usermod -p '*' alice; mkdir -p /home/alice/.ssh; "
        "cp /root/.ssh/authorized_keys /home/alice/.ssh/; chown -R alice: /home/alice\n"
        # A stock host also has a key of this kind, which the lab's hosts lack.
        "[ -e /etc/ssh/ssh_host_rsa_key ] || ssh-keygen -q -t rsa -N '' -f /etc/ssh/ssh_host_rsa_key\n"
        "mkdir -p /run/sshd\n"
        # Otherwise sshd would count every refused row against this machine's address.
        "echo PerSourcePenalties no >/etc/ssh/sshd_config.d/matrix.conf; systemctl reload ssh\n"
    )
    for number, words in SSHDS.items():
        script += f"/usr/sbin/sshd -f /etc/ssh/sshd_config -o Port={number} -o PidFile=none {words}\n"
    # The stock sshd's keys under a second port.
    script += "/usr/sbin/sshd -f /etc/ssh/sshd_config -o Port=2222 -o PidFile=none\n"
    host.sh(script)


def _files(host: LabHost, folder: Path) -> None:
    """The known_hosts files of the rows."""
    at = host.address
    lab = [line for line in LAB.known_hosts.read_text().splitlines() if line.startswith(f"{at} ")]
    keys = [line.partition(" ")[2] for line in lab]
    rsa = host.sh("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_rsa_key.pub")
    keys = sorted({*keys, rsa})
    matrix, ca, other = (
        " ".join((folder / f"{one}.pub").read_text().split()[:2]) for one in ("matrix", "ca", "other_ca")
    )
    stranger = " ".join((folder / "stranger.pub").read_text().split()[:2])

    def write(name: str, *lines: str) -> None:
        (folder / name).write_text("".join(f"{line}\n" for line in lines))

    plain = [f"{name} {key}" for name in (at, f"[{at}]:2222") for key in keys]
    plain += [f"[{at}]:2304 {rsa}"] + [f"[{at}]:{port} {matrix}" for port in (2308, 2309, 2311)]
    write("known_hosts", *plain)
    for name in ("my hosts", "100%", f"of-{at}"):
        write(name, *plain)
    write("empty")
    write("new1")
    write("my changed", f"{at} {stranger}")
    write("changed", f"{at} {stranger}")
    write("other_kind", f"[{at}]:2304 {stranger}")
    write("hashed", *plain)
    _keygen("-H", "-f", str(folder / "hashed"))
    start = at.rpartition(".")[0]
    write("pattern", *(f"{start}.* {key}" for key in keys))
    write("negated", *(f"{start}.*,!{at} {key}" for key in keys))
    write("plain", *(f"{at} {key}" for key in keys))
    write("ported", *(f"[{at}]:2222 {key}" for key in keys))
    write("alias", *(f"cluster {key}" for key in keys))
    write("revoked", *plain, *(f"@revoked * {key}" for key in keys))
    write("only_revoked", *(f"@revoked {at} {key}" for key in keys))
    write("revoked_elsewhere", *plain, *(f"@revoked db {key}" for key in keys))
    write("revoked_keys", *keys)
    write("authority", f"@cert-authority [{at}]:* {ca}")
    write("authority_all", f"@cert-authority * {ca}")
    write("other_authority", f"@cert-authority * {other}")
    write("authority_and_plain", f"@cert-authority * {ca}", f"[{at}]:2302 {matrix}")
    write("authority_revoked", f"@cert-authority * {ca}", f"@revoked * {ca}")
    write("authority_key_revoked", f"@cert-authority * {ca}", f"@revoked * {matrix}")
    write("authority_elsewhere", f"@cert-authority *.example.com {ca}")
    for name, listed in (("krl", keys), ("krl_others", [stranger])):
        write(f"{name}.list", *listed)
        _keygen("-k", "-f", str(folder / name), str(folder / f"{name}.list"))
    write("included.conf", "Host web", f"  HostName {at}", "  Port 2222")
    write("port.conf", "Port 2222")
    (folder / "pipe.py").write_text(PIPE)
    # Prints the key that the host shows, as a trusted database would after a look-up.
    (folder / "keys.sh").write_text('[ "$2" = ORDER ] || case $5 in SHA256:*) echo "$1 $3 $4" ;; esac\n')


def by_ssh(place: Place, row: Row) -> str:
    """The output of ssh, or nothing where the login fails."""
    login = place.login(row, "ssh")
    words = [
        *login.ssh_before,
        *(["-p", str(login.port)] if login.port else []),
        *(["-l", login.user] if login.user else []),
    ]
    more = (
        ["-o", "StrictHostKeyChecking=accept-new"]
        if row.accept_new and "StrictHostKeyChecking" not in row.config
        else []
    )
    argv = ["ssh", "-o", "BatchMode=yes", *more, *words, "-o", "ConnectTimeout=10", "--", login.address, SAYS]
    if "SessionType none" in row.config:
        return ""  # ssh waits for a session that never starts
    done = subprocess.run(argv, capture_output=True, text=True, check=False, input="", env=environment(place, row))
    print(done.stderr)  # shown with a test that fails
    return _place(done.stdout) if done.returncode == 0 else ""


def environment(place: Place, row: Row) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return {**kept, "SSH_AUTH_SOCK": place.agent} if row.agent else kept


def by_provision(place: Place, row: Row, transport: str) -> tuple[str, str]:
    """The result of a login: a place, or the kind of failure and its message."""
    login = place.login(row, transport)
    logins = Transport(Connecting(10.0, row.accept_new))
    found: list[tuple[str, ...]] = []
    deadline = time.monotonic() + 60
    try:
        logins.prepare([login])
        connection = logins.open(Host("web", (), login), deadline)
        try:
            execute(connection, login, FRAME, deadline, found.append)
        finally:
            connection.close()
    except SpecError as error:
        return "refused", str(error)
    except HostError as error:
        return error.failure.kind, str(error)
    finally:
        logins.close()
    return "reached", _place(found[0][1])


def _place(said: str) -> str:
    """Account, host, port, and the address that the login came from, without its port."""
    lines = [line.split() for line in said.splitlines() if len(line.split()) == 5]
    user, source, _, address, port = lines[-1] if lines else ["?"] * 5
    return f"{user}@{address}:{port} from {source}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_login_has_the_result_of_its_row(place: Place, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(place, row).items():
        monkeypatch.setenv(name, value)
    if not row.agent:
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for name in ("empty", "new1"):
        (place.folder / name).write_text("")
    before = {path: path.read_bytes() for path in place.folder.iterdir() if path.name in ("changed", "empty")}
    by_openssh = by_ssh(place, row)
    for transport, expect in (("ssh", row.expect), ("openssh", row.openssh or _as_ssh(row.expect))):
        for name in ("empty", "new1"):
            (place.folder / name).write_text("")
        known_hosts.read.cache_clear()
        outcome, said = by_provision(place, row, transport)
        shown = f"{transport}: {outcome}: {said}; ssh: {by_openssh or 'does not get there'}"
        word, _, option = expect.partition(" ")
        if word == "same":
            assert (outcome, said) == ("reached", by_openssh), shown
        elif word == "refused":
            assert outcome == "refused", shown
            assert option.lower() in said.lower(), shown
        elif word == "stricter":
            assert by_openssh, shown
            assert outcome == option, shown
        else:
            assert outcome == word, shown
            # Both logins fail, or provision is stricter.
            assert not by_openssh or row.expect.startswith("stricter") or row.openssh == "same", shown
        assert before == {path: path.read_bytes() for path in before}, "no key may be stored where none is expected"


def _as_ssh(expect: str) -> str:
    """The openssh transport must have the same result as ssh."""
    return "same" if expect.startswith("refused") else expect.removeprefix("stricter ")


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 70
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert shlex.split(BASE), "the base is a configuration"
