"""known_hosts as OpenSSH writes it: recorded with ssh-keygen, plain, hashed, with ports and markers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provision import limits
from provision.errors import SpecError
from provision.transport import host_keys, known_hosts, private_keys
from provision.transport.prompter import Prompter


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    found = []
    for number in range(2):
        path = tmp_path / f"key{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        found.append(" ".join(path.with_suffix(".pub").read_text().split()[:2]))
    return found


def test_plain_and_hashed_names_with_and_without_ports_match(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(
        f"a,192.0.2.1 {keys[0]}\n# note\n\n[b]:2222 {keys[1]} comment\nbroken\n@cert-authority z {keys[1]}\n"
    )
    plain = known_hosts.read(path)
    assert [len(plain.find(name)) for name in ("a", "192.0.2.1", "[b]:2222", "b", "c")] == [1, 1, 1, 0, 0]
    hashed = tmp_path / "hashed"
    hashed.write_text(f"a {keys[0]}\n[b]:2222 {keys[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], check=True, capture_output=True)
    assert "|1|" in hashed.read_text()
    found = known_hosts.read(hashed)
    assert blobs(found, "a") == blobs(plain, "a")
    assert blobs(found, "[b]:2222") == blobs(plain, "[b]:2222")
    assert found.find("c") == []


def blobs(known: known_hosts.KnownHosts, name: str) -> list[bytes]:
    return [one.blob for one in known.find(name)]


def test_markers_patterns_and_case_follow_openssh(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(
        f"Web1 {keys[0]}\n*.example.com,!db*.example.com {keys[1]}\n@revoked * {keys[0]}\n"
        f"@cert-authority *.example.com {keys[0]}\n@unknown web1 {keys[1]}\n"
    )
    known = known_hosts.read(path)
    assert [one.marker for one in known.find("WEB1")] == ["", "@revoked"]
    assert [one.marker for one in known.find("a.Example.com")] == ["", "@revoked", "@cert-authority"]
    assert [one.marker for one in known.find("db1.example.com")] == ["@revoked", "@cert-authority"]


def test_a_first_contact_finds_what_another_process_has_stored(tmp_path: Path, keys: list[str]) -> None:
    """Worker processes, or two runs, meet hosts of one name at the same moment."""
    path = tmp_path / "known_hosts"
    path.write_text(f"a {keys[0]}\nb {keys[1]}")  # without a newline at the end
    other, mine = (known_hosts.parsed(path, path.read_text()) for _ in range(2))
    other.size = mine.size = path.stat().st_size
    first, second = (mine.find(name)[0] for name in ("a", "b"))
    assert other.add("c", first.kind, first.blob) == []
    assert [one.blob for one in mine.add("c", second.kind, second.blob)] == [first.blob]
    assert [one.blob for one in mine.add("c", first.kind, first.blob)] == [first.blob]
    assert mine.add("d", second.kind, second.blob) == []
    assert path.read_text() == f"a {keys[0]}\nb {keys[1]}\nc {keys[0]}\nd {keys[1]}\n"
    # A file that was replaced by a shorter one is read from its beginning.
    path.write_text(f"e {keys[0]}\n")
    assert [one.blob for one in mine.add("e", second.kind, second.blob)] == [first.blob]


def test_a_key_of_a_first_contact_is_appended_as_one_line(tmp_path: Path, keys: list[str]) -> None:
    source = tmp_path / "source"
    source.write_text(f"b {keys[1]}\n")
    (key,) = known_hosts.read(source).find("b")
    path = tmp_path / "new" / "known_hosts"
    known_hosts.read(path).add("b", key.kind, key.blob)
    assert path.read_text() == f"b {keys[1]}\n"
    torn = tmp_path / "torn"
    torn.write_text(f"a {keys[0]}")
    known = known_hosts.read(torn)
    known.add("b", key.kind, key.blob)
    assert torn.read_text() == f"a {keys[0]}\nb {keys[1]}\n"
    assert blobs(known, "b") == [key.blob]


def test_entries_have_the_names_that_openssh_writes() -> None:
    assert known_hosts.entry("a", 22) == "a"
    assert known_hosts.entry("a", 2222) == "[a]:2222"


@pytest.mark.parametrize("name", ["*", "web?", "web1,github.com", "!a", "|1|a|b", "a b", "a\nb", "#a", "@revoked", ""])
def test_a_name_that_ssh_would_read_as_more_than_one_host_is_not_stored(
    tmp_path: Path, keys: list[str], name: str
) -> None:
    """The key of a first contact would be accepted for other hosts, also by ssh."""
    path = tmp_path / "known_hosts"
    (one,) = known_hosts.parsed(path, f"a {keys[0]}\n").find("a")
    with pytest.raises(ValueError, match="it is not the name of one host"):
        known_hosts.read(path).add(name, one.kind, one.blob)
    assert not path.exists()


def test_a_file_without_end_is_not_read_to_its_end(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inventory may name /dev/zero as the file of known hosts, of a key, or of a certificate."""
    path = tmp_path / "known_hosts"
    path.write_text(f"{keys[0]}\n" + "#" * 2000)
    (tmp_path / "small").write_text(f"{keys[0]}\n")
    monkeypatch.setattr(limits, "of", lambda limit: 2000)
    with pytest.raises(SpecError, match="has more than 2,000 bytes"):
        known_hosts.read(path)
    assert host_keys.revoked(path, b"")
    assert not host_keys.revoked(tmp_path / "small", b"")
    with pytest.raises(SpecError, match="has more than 2,000 bytes"):
        private_keys.Keys(Prompter(False)).load(path)
    assert private_keys.public_half(path) is None
    assert private_keys.public_half(tmp_path / "small") is not None


def test_what_was_appended_is_read_up_to_the_limit(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that appends without end must not fill the memory of provision at a first contact."""
    path = tmp_path / "known_hosts"
    path.write_text(f"a {keys[0]}\n")
    known = known_hosts.read(path)
    (one,) = known.find("a")
    with path.open("a") as file:
        file.write("#" * 3000)
    monkeypatch.setattr(limits, "of", lambda limit: 2000)
    with pytest.raises(SpecError, match="has more than 2,000 bytes"):
        known.add("b", one.kind, one.blob)
    assert known.find("b") == []


def test_a_pipe_in_place_of_a_known_hosts_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "known_hosts")
    with pytest.raises(SpecError, match="known_hosts:1: is a pipe, not a file"):
        known_hosts.read(tmp_path / "known_hosts")
