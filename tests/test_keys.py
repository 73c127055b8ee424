"""The publisher's key that a host may trust: the published ones by default, or those that the spec declares."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest

from provision import distros
from provision.catalog import Options, compile_catalog
from provision.errors import SpecError
from provision.model import Drift, State
from provision.remote.protocol import Seen
from provision.remote.script import quote
from provision.resources.keyring import Keyring
from tests.conftest import Project
from tests.shells import each_shell, run, stub
from tests.test_cases import frames

DATA = Path(__file__).parent / "data"
ED25519 = (DATA / "ed25519.fingerprint").read_text().strip()
RSA2048 = (DATA / "rsa2048.fingerprint").read_text().strip()
OF_DEB = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
OF_RPM = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def keyring(project: Project, spec: str, on: tuple[str, str, str] = ("debian", "13", "trixie")) -> Keyring:
    project.spec(spec)
    loaded = project.load()
    where = distros.platform(*on)
    assert where is not None
    resources = compile_catalog(loaded.configs[0], where, loaded.context, Options())
    found = [resource for resource in resources if isinstance(resource, Keyring)]
    assert len(found) == 1
    return found[0]


def seen(key: Keyring, content: bytes) -> State:
    tools = [["path", path, "present"] for path, _ in key.tools.values()]
    return key.seen(Seen.of(frames({"files": {key.path: {"content": content.decode()}}, "seen": tools})))


@pytest.mark.parametrize(
    ("on", "published"),
    [
        (("debian", "12", "bookworm"), OF_DEB),
        (("ubuntu", "24.04", "noble"), OF_DEB),
        (("raspbian", "12", "bookworm"), OF_DEB),
        (("rhel", "9.4", ""), OF_RPM),
        (("rocky", "9.4", ""), OF_RPM),
        (("almalinux", "10", ""), OF_RPM),
        (("centos", "9", ""), OF_RPM),
        (("centos", "7", ""), OF_RPM),
        (("fedora", "42", ""), OF_RPM),
    ],
)
@pytest.mark.parametrize("mirror", ["", "package_mirror: 'http://mirror.example/docker-ce'"])
def test_without_a_fingerprint_only_the_published_key_is_accepted(
    project: Project, on: tuple[str, str, str], published: str, mirror: str
) -> None:
    key = keyring(project, f"engine: {{{mirror}}}", on)
    (fetch,) = key.fix(Drift({"key": published}, {"key": "absent"}, ("key",)))
    assert fetch.args[1:] == (key.path, "engine.fingerprint", published)
    other = seen(key, (DATA / "ed25519.asc").read_bytes())
    assert other["key"] == ED25519 != key.want()["key"] == published


@pytest.mark.parametrize("empty", ["null", "[]"])
def test_an_empty_fingerprint_counts_as_not_declared(project: Project, empty: str) -> None:
    assert keyring(project, f"engine: {{fingerprint: {empty}}}").fingerprints == (OF_DEB,)


def test_every_family_with_packages_of_docker_has_a_published_key() -> None:
    for row in distros.rows():
        form = distros.FAMILIES[row.family].repositories
        assert bool(form.docker) == bool(form.docker_keys)
        assert form.docker or not row.docker, row.id


def test_several_declared_fingerprints_are_accepted(project: Project) -> None:
    """A private mirror that signs debs and rpms with different keys, or one that changes its key."""
    key = keyring(project, f"engine: {{fingerprint: [{ED25519}, {RSA2048.lower()}]}}")
    for name in ("ed25519.asc", "rsa2048.asc", "two.asc"):
        assert seen(key, (DATA / name).read_bytes())["key"] == key.want()["key"]
    (fetch,) = key.fix(Drift(key.want(), {"key": "absent"}, ("key",)))
    assert fetch.args[2:] == ("engine.fingerprint", ED25519, RSA2048)
    one = keyring(project, f"engine: {{fingerprint: {ED25519}}}")
    assert seen(one, (DATA / "two.asc").read_bytes())["key"] == f"{ED25519} and {RSA2048}"
    assert one.want()["key"] == ED25519


def test_each_block_of_a_key_file_is_checked(project: Project) -> None:
    """rpm and apt read every block of a file, while the check read only the first one."""
    both = (DATA / "ed25519.asc").read_bytes() + (DATA / "rsa2048.asc").read_bytes()
    assert seen(keyring(project, f"engine: {{fingerprint: {ED25519}}}"), both)["key"] == f"{ED25519} and {RSA2048}"


def test_other_repositories_may_have_several_fingerprints(project: Project) -> None:
    spec = "repositories: {{r: {{url: 'http://m', key_url: 'http://m/k', fingerprint: {}}}}}"
    (fetch,) = keyring(project, spec.format(f"[{ED25519}, {RSA2048}]")).fix(Drift({"key": ""}, {"key": ""}, ("key",)))
    assert fetch.args[2:] == ("repositories.r.fingerprint", ED25519, RSA2048)
    assert keyring(project, spec.format("null")).want()["key"] == "present"


def test_a_key_in_the_spec_must_have_the_declared_fingerprints(project: Project) -> None:
    text = (DATA / "ed25519.asc").read_text()

    def declare(prints: str) -> None:
        key = text.replace("\n", "\n      ")
        project.spec(f"repositories:\n  r:\n    url: http://m\n    fingerprint: {prints}\n    key: |\n      {key}")
        loaded = project.load()
        where = distros.platform("debian", "13", "trixie")
        assert where is not None
        list(compile_catalog(loaded.configs[0], where, loaded.context, Options()))

    declare(f"[{RSA2048}, {ED25519}]")
    with pytest.raises(SpecError, match=f"the key has the fingerprint {ED25519}"):
        declare(RSA2048)


def test_a_replaced_key_is_no_longer_trusted(project: Project) -> None:
    """rpm keeps every key that was ever imported in its database."""
    key = keyring(project, "engine: {}", ("rocky", "9.4", ""))
    drift = Drift(key.want(), seen(key, (DATA / "two.asc").read_bytes()), ("key",))
    fetch, distrust = key.fix(drift)
    assert fetch.function == "key_fetch"
    assert (distrust.function, distrust.args) == ("key_distrust", (ED25519.lower(), RSA2048.lower()))
    # Only keys that were in the file: not on a host without the file, and not for a file that is no key.
    for text in ("absent", "a file that is not an OpenPGP key"):
        assert [call.function for call in key.fix(Drift(key.want(), {"key": text}, ("key",)))] == ["key_fetch"]


def _fetched(shell: list[str], tmp_path: Path, shown: str, *prints: str) -> tuple[Path, str]:
    """``key_fetch`` of a key from a mirror, with the real gpg. Returns the file, and the error of the step."""
    (tmp_path / "shown").write_text(shown)
    path = tmp_path / "keyrings/docker.asc"
    words = " ".join(quote(word) for word in ("http://m/gpg", str(path), "engine.fingerprint", *prints))
    lines = (
        f'key_download() {{ cat {tmp_path}/shown >"$2"; }}\nkey_trust() {{ :; }}\n( set -eu; key_fetch {words} ) || :'
    )
    stub(tmp_path / "bin", "chown", ":")
    found, done = run(shell, ["fix/files.sh", "fix/keys.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    return path, f"{found}{done.stderr.decode()}"


@each_shell
def test_a_key_with_another_fingerprint_is_not_installed(shell: list[str], tmp_path: Path) -> None:
    path, said = _fetched(shell, tmp_path, (DATA / "ed25519.asc").read_text(), OF_DEB, OF_RPM)
    assert not path.exists()
    assert f"the key at http://m/gpg has the fingerprint {ED25519}, not {OF_DEB} or {OF_RPM}" in said
    assert f"declare engine.fingerprint: {ED25519}" in said
    path, said = _fetched(shell, tmp_path, (DATA / "two.asc").read_text(), ED25519)
    assert not path.exists()
    assert f"declare engine.fingerprint: [{ED25519}, {RSA2048}]" in said


@each_shell
@pytest.mark.parametrize("name", ["ed25519", "rsa2048", "two"])
def test_a_key_with_a_declared_fingerprint_is_installed(shell: list[str], tmp_path: Path, name: str) -> None:
    text = (DATA / f"{name}.asc").read_text()
    path, said = _fetched(shell, tmp_path, text, ED25519, RSA2048)
    assert path.read_text() == text, said
    assert path.stat().st_mode & 0o777 == 0o644


@each_shell
@pytest.mark.parametrize(
    "more",
    [
        "\n{other}",
        # Text that one program reads as a block and another does not.
        "\n  {other}",
        "\nx{other}",
        "\nsome text\n",
        "\n-----BEGIN PGP PUBLIC KEY BLOCK-----",
    ],
)
def test_a_key_file_with_other_text_is_refused(shell: list[str], tmp_path: Path, more: str) -> None:
    """gpg, rpm, apt and sqv do not agree on what a block is: the file may have nothing but the block that was
    checked."""
    other = (DATA / "rsa2048.asc").read_text()
    shown = (DATA / "ed25519.asc").read_text() + more.format(other=other)
    path, said = _fetched(shell, tmp_path, shown, ED25519)
    assert not path.exists()
    assert "the key at http://m/gpg is not exactly one PGP public key block" in said


@each_shell
def test_a_truncated_block_is_refused(shell: list[str], tmp_path: Path) -> None:
    text = (DATA / "ed25519.asc").read_text()
    path, said = _fetched(shell, tmp_path, text[: text.index("-----END")], ED25519)
    assert not path.exists()
    assert "the key at http://m/gpg is not exactly one PGP public key block" in said


def _packets(armoured: str) -> bytes:
    return base64.b64decode("".join(armoured.split("\n\n", 1)[1].split("\n=", 1)[0].split()))


def _block(packets: bytes) -> str:
    body = base64.b64encode(packets).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"{BEGIN}\n\n{lines}\n-----END PGP PUBLIC KEY BLOCK-----\n"


def _new_header(tag: int, length: bytes, body: bytes) -> bytes:
    return bytes([0xC0 | tag]) + length + body


MORE_PACKETS = {
    "a secret key, old header": bytes([0x80 | 5 << 2, 3]) + b"\x04ab",
    "a secret key, old header of two octets": bytes([0x80 | 5 << 2 | 1, 0, 3]) + b"\x04ab",
    "a secret key, old header of four octets": bytes([0x80 | 5 << 2 | 2, 0, 0, 0, 3]) + b"\x04ab",
    "a secret key, old header without a length": bytes([0x80 | 5 << 2 | 3]) + b"\x04ab",
    "a secret key, one octet": _new_header(5, b"\x03", b"\x04ab"),
    "a secret key, two octets": _new_header(5, b"\xc0\x08", b"\x04" * 200),
    "a secret key, five octets": _new_header(5, b"\xff\x00\x00\x00\x03", b"\x04ab"),
    "a secret key in parts": _new_header(5, b"\xe1", b"ab\x01c"),
    "a secret subkey": _new_header(7, b"\x03", b"\x04ab"),
    "a user name in parts": _new_header(13, b"\xe1", b"ab\x01c"),
    "a user name that is cut": _new_header(13, b"\x05", b"ab"),
    "a huge user name": _new_header(13, b"\xff\xff\xff\xff\xff", b"ab"),
    "a marker": _new_header(10, b"\x03", b"PGP"),
    "trust": _new_header(12, b"\x01", b"\x06"),
    "padding": _new_header(21, b"\x02", b"ab"),
    "data": _new_header(11, b"\x07", b"b\x00\x00\x00\x00\x00x"),
    "no packet": b"\x01ab",
    "a key of an unknown version": _new_header(6, b"\x0b", b"\x06\x00\x00\x00\x00\x1b\x00\x00\x00\x00\x00"),
}


@each_shell
@pytest.mark.parametrize("what", MORE_PACKETS)
def test_a_block_with_more_than_public_keys_is_refused(shell: list[str], tmp_path: Path, what: str) -> None:
    """apt 3 (sqv) and rpm 4.20 trust a secret key that follows the accepted key, and gpg lists no second ``pub``."""
    shown = _block(_packets((DATA / "ed25519.asc").read_text()) + MORE_PACKETS[what])
    path, said = _fetched(shell, tmp_path, shown, ED25519)
    assert not path.exists()
    assert "http://m/gpg " in said
    assert "was not stored" in said


@pytest.mark.parametrize("what", MORE_PACKETS)
def test_a_key_with_more_than_public_keys_on_a_host_is_shown_and_replaced(project: Project, what: str) -> None:
    key = keyring(project, f"engine: {{fingerprint: {ED25519}}}")
    shown = _block(_packets((DATA / "ed25519.asc").read_text()) + MORE_PACKETS[what])
    assert seen(key, shown.encode())["key"] != key.want()["key"]
    plain = _block(_packets((DATA / "ed25519.asc").read_text()))
    assert seen(key, plain.encode())["key"] == key.want()["key"]


@each_shell
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n\n", "\nComment: x\n-----\n\n"),
        ("\n\n", "\n \n"),
        ("mDME", "mDME\n\n"),
        ("mDME", "mD=ME"),
        ("mDME", " mDME"),
        ("mDME", "mDM=\nmDME"),
        ("mDME", "=abcd\nmDME"),
    ],
)
def test_a_block_that_programs_may_read_differently_is_refused(
    shell: list[str], tmp_path: Path, old: str, new: str
) -> None:
    shown = (DATA / "ed25519.asc").read_text().replace(old, new, 1)
    path, said = _fetched(shell, tmp_path, shown, ED25519)
    assert not path.exists()
    assert "is not exactly one PGP public key block" in said


@each_shell
@pytest.mark.parametrize("headers", ["Version: GnuPG v2.0.22 (GNU/Linux)\n", "Comment:\nVersion: x\n", ""])
@pytest.mark.parametrize("sum_", [True, False])
def test_the_headers_and_the_checksum_of_a_block_are_optional(
    shell: list[str], tmp_path: Path, headers: str, sum_: bool
) -> None:
    text = (DATA / "ed25519.asc").read_text()
    shown = text.replace("\n\n", f"\n{headers}\n", 1)
    if not sum_:
        shown = re.sub(r"\n=\S{4}\n", "\n", shown)
    path, said = _fetched(shell, tmp_path, shown, ED25519)
    assert path.exists(), said


@each_shell
def test_a_file_without_end_is_no_key(shell: list[str], tmp_path: Path) -> None:
    path, said = _fetched(shell, tmp_path, (DATA / "ed25519.asc").read_text() + "x" * 1048576, ED25519)
    assert not path.exists()
    assert not list(path.parent.iterdir()), "nothing of it stays"
    assert "the file at http://m/gpg has 1 MiB or more" in said


@each_shell
def test_key_fetch_without_fingerprints_accepts_any_key(shell: list[str], tmp_path: Path) -> None:
    text = (DATA / "ed25519.asc").read_text() * 2
    path, said = _fetched(shell, tmp_path, text)
    assert path.read_text() == text, said


@each_shell
def test_a_replaced_key_is_removed_from_rpms_database(shell: list[str], tmp_path: Path) -> None:
    """The key is removed by its short name (rpm before 6) and by its full name. A key that is not there is no error."""
    stub(
        tmp_path / "bin",
        "rpm",
        f'echo "$*" >>{tmp_path}/calls\ncase "$*" in "-q --quiet gpg-pubkey-8c6889ea") exit 0 ;; -q*) exit 1 ;; esac',
    )
    words = f"{ED25519.lower()[:-8]}8c6889ea {RSA2048.lower()}"
    run(shell, ["look/rpm.sh", "fix/rpm.sh"], f"key_distrust {words}", path=tmp_path / "bin", frame="fix.sh")
    removed = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("-e")]
    assert removed == ["-e --allmatches gpg-pubkey-8c6889ea"]


def test_the_recorded_fingerprints_equal_gpgs_output() -> None:
    """The tests above depend on these two files."""
    for name, expected in (("ed25519", ED25519), ("rsa2048", RSA2048)):
        listing = subprocess.run(
            ["gpg", "--batch", "--with-colons", "--show-keys", DATA / f"{name}.asc"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"fpr:::::::::{expected}:" in listing
