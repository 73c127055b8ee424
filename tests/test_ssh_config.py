"""ssh's settings as provision resolves them, compared with ``ssh -G`` for each host alone."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from provision.errors import SpecError
from provision.model import Login
from provision.transport import options, ssh_config
from provision.transport.client import Algorithms, offered
from provision.transport.ssh_config import Question, Resolver
from provision.transport.target import question, target
from provision.transport.tokens import expand

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")

NAMES = [
    "web1",
    "web2",
    "WEB1",
    "db1",
    "db2",
    "web1.example.com",
    "db1.example.com",
    "10.0.0.7",
    "x",
    "jump",
    "fe80::1",
]
PATTERNS = [
    "*",
    "web*",
    "web?",
    "!web2",
    "*.example.com",
    "10.0.*",
    "db1",
    "DB1",
    "Web1",
    "we*1",
    "x",
    "!x",
    "fe80:*",
    "jump",
]
SETTINGS = [
    "User u{n}",
    "Port 22{n}",
    "HostName h{n}.example.com",
    "HostName web1",
    "HostName DB1",
    "ProxyJump j{n}",
    "IdentityFile ~/.ssh/%h{n}",
    "IdentityFile ~/.ssh/k{n}",
    "UserKnownHostsFile /k{n}/%h",
    "HostKeyAlias a{n}",
    "ProxyCommand nc %h %p",
    "BindAddress 10.0.0.{n}",
    "Include {folder}/part.conf",
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def config(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "config").write_text(text)
    return ("-F", str(folder / "config"))


def by_itself(words: tuple[str, ...], host: str) -> dict[str, tuple[str, ...]]:
    done = subprocess.run(["ssh", "-G", *words, "--", host], capture_output=True, text=True, check=True)
    return ssh_config.parsed(done.stdout)


def resolved(words: tuple[str, ...], *hosts: str) -> list[dict[str, tuple[str, ...]]]:
    return [found.values for found in Resolver().resolve(Question(host, before=words) for host in hosts)]


def made_up(choose: random.Random, folder: Path) -> str:
    """A random configuration of Host and Match blocks."""
    lines: list[str] = []
    for number in range(choose.randint(1, 6)):
        patterns = choose.sample(PATTERNS, choose.randint(1, 3))
        kinds = ["Host {}", "Match host {}", "Match originalhost {}", "Match final host {}", "Match all", 'Host "{}"']
        head = choose.choice(kinds)
        lines.append(head.format((" " if head.startswith("Host {") else ",").join(patterns)))
        for setting in choose.sample(SETTINGS, choose.randint(1, 3)):
            lines.append("  " + setting.format(n=number, folder=folder))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(12))
def test_each_host_gets_the_settings_of_ssh_g_for_that_host_alone(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - no secret
    (tmp_path / "part.conf").write_text("Host web* !web2\n  Port 4711\nMatch host *.example.com\n  User included\n")
    words = config(tmp_path, made_up(choose, tmp_path))
    hosts = choose.sample(NAMES, 8)
    text = (tmp_path / "config").read_text()
    # From ssh; then from the cache, also for hosts that ssh was not asked about.
    for some in (hosts[:5], hosts, [*reversed(hosts)]):
        for host, found in zip(some, resolved(words, *some), strict=True):
            assert found == by_itself(words, host), f"{host} in\n{text}"


def test_a_host_name_equal_to_another_hosts_address_is_kept_apart(tmp_path: Path) -> None:
    words = config(tmp_path, "Host web*\n  HostName Web1\n")
    for hosts in (("web1", "web2"), ("web2", "web1")):  # in whichever order ssh is asked
        assert [found["hostname"] for found in resolved(words, *hosts)] == [("web1",), ("web1",)]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts for which ssh is asked."""
    asked: list[str] = []
    said = ssh_config._said

    def count(ssh: str, one: Question, mentioned: ssh_config.Config) -> dict[str, tuple[str, ...]]:
        asked.append(one.host)
        return said(ssh, one, mentioned)

    monkeypatch.setattr(ssh_config, "_said", count)
    return asked


def test_ssh_runs_once_for_hosts_that_match_the_same_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    words = config(tmp_path, "Host web*\n  User root\nHost *5\n  Port 2222\n")
    found = resolved(words, *(f"web{number}" for number in range(1000)))
    assert len(asked) == 2
    assert found[15]["hostname"] == ("web15",)
    assert [one["port"] for one in found[14:16]] == [("22",), ("2222",)]


def test_a_later_run_asks_nothing_for_another_host_that_matches_the_same_patterns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = config(tmp_path, "Host web*\n  User root\n")
    asked = counted(monkeypatch)
    for host in ("db1", "db2", "web1", "Web1", "web2"):
        (found,) = resolved(words, host)
        assert found == by_itself(words, host)
    assert asked == ["db1", "web1", "Web1"]


def test_answers_are_cached_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    (tmp_path / "part.conf").write_text("Host web1\n  HostName 192.0.2.1\n")
    words = config(tmp_path, f"Include {tmp_path}/*.conf\nHost web2\n  HostName 192.0.2.2\n")
    for _ in range(2):
        found = resolved(words, "web1", "web2")
        assert [one["hostname"] for one in found] == [("192.0.2.1",), ("192.0.2.2",)]
    assert sorted(asked) == ["web1", "web2"]
    (tmp_path / "part.conf").write_text("Host web1\n  HostName 192.0.2.9\n")
    assert resolved(words, "web1")[0]["hostname"] == ("192.0.2.9",)
    (tmp_path / "another.conf").write_text("Host web2\n  HostName 192.0.2.8\n")
    assert resolved(words, "web2")[0]["hostname"] == ("192.0.2.8",)


@pytest.mark.parametrize(
    "line",
    ["Match exec true", "CanonicalizeHostname yes", "Host ${USER} web1"],
    ids=["Match exec", "CanonicalizeHostname", "a variable"],
)
def test_answers_that_depend_on_more_than_files_are_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("USER", "root")
    asked = counted(monkeypatch)
    words = config(tmp_path, f"{line}\n  Port 2222\nHost web1\n")
    for _ in range(2):
        resolved(words, "web1")
    assert asked == ["web1", "web1"]


def test_a_cache_that_other_accounts_can_write_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    words = config(tmp_path, "Host web1\n  HostName 192.0.2.1\nHost web2\n")
    resolved(words, "web1")
    (file,) = (tmp_path / "cache/provision/ssh").glob("*.json")
    assert file.stat().st_mode & 0o077 == 0
    file.chmod(0o666)
    resolved(words, "web1")
    assert asked == ["web1", "web1"]


def test_the_error_has_the_message_of_ssh(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Bad configuration option: nosuchthing"):
        resolved(config(tmp_path, "NoSuchThing yes\n"), "web1")
    with pytest.raises(SpecError, match="is not a host name that ssh accepts"):
        resolved((), "-oProxyCommand=touch /tmp/evil")


def test_without_ssh_defaults_are_used_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    resolver = Resolver()
    (found,) = resolver.resolve([Question("web1", 2222, "ops")])
    one = target(Login("web1"), found, accept_new=False)
    assert (one.address, one.port, one.user, one.jump) == ("web1", 2222, "ops", None)
    assert [path.name for path in one.rules.files] == [
        "known_hosts",
        "known_hosts2",
        "ssh_known_hosts",
        "ssh_known_hosts2",
    ]
    assert len(resolver.notes) == 1
    with pytest.raises(SpecError, match="need an ssh program"):
        resolver.resolve([Question("web1", behind=("-J", "jump"))])


def test_each_option_of_the_installed_ssh_is_in_the_table() -> None:
    known = options.HONOURED | options.RESOLVED | options.HARMLESS.keys() | options.REFUSED.keys()
    answer = by_itself(("-F", "none"), "web1")
    assert set(answer) - known - {"permitlocalcommand", "localcommand"} == set()


def test_every_option_of_the_table_is_in_the_docs() -> None:
    text = (Path(__file__).parent.parent / "docs/ssh.md").read_text().lower()
    words = set(re.findall(r"[a-z0-9]+", text))
    known = options.HONOURED | options.RESOLVED | options.HARMLESS.keys() | options.REFUSED.keys()
    assert known - words == set()


def made(folder: Path, text: str, **login: str) -> Login:
    return Login("web1", ssh_before=config(folder, text), **login)  # type: ignore[arg-type]


def judged(login: Login) -> object:
    (found,) = Resolver().resolve([question(login)])
    return target(login, found, accept_new=False)


@pytest.mark.parametrize("option", sorted(options.REFUSED.keys() - {"refuseconnection", "proxyusefdpass"}))
def test_the_error_names_the_refused_option(tmp_path: Path, option: str) -> None:
    value = {"bindinterface": "lo", "knownhostscommand": "/bin/true", "remotecommand": "id", "sessiontype": "none"}
    login = made(tmp_path, f"{option} {value.get(option, 'yes')}\n")
    with pytest.raises(SpecError, match=re.compile(f"web1: {option} ", re.IGNORECASE)):
        judged(login)
    login = made(tmp_path, f"{option} {value.get(option, 'yes')}\n", transport="openssh")
    if option in options.NEVER:
        with pytest.raises(SpecError, match=re.compile(f"web1: {option} ", re.IGNORECASE)):
            judged(login)
    else:
        judged(login)


def test_the_systems_default_configuration_is_accepted() -> None:
    judged(Login("web1"))


def test_lists_of_algorithms_are_expanded_as_ssh_does() -> None:
    assert next(iter(offered()["kex"])).startswith(("mlkem768x25519", "curve25519"))
    if "mlkem768x25519-sha256" in offered()["kex"]:
        assert offered()["kex"][0] == "mlkem768x25519-sha256"
    assert not set(offered()["macs"]) & {"hmac-md5", "hmac-sha1"}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Ciphers aes256-ctr,chacha20-poly1305@openssh.com", ("aes256-ctr",)),
        ("MACs hmac-sha2-512", ("hmac-sha2-512",)),
        ("KexAlgorithms curve25519-sha256", ("curve25519-sha256@libssh.org",)),
    ],
)
def test_a_list_of_algorithms_of_the_operator_is_followed(tmp_path: Path, line: str, kept: tuple[str, ...]) -> None:
    login = made(tmp_path, line + "\n")
    (found,) = Resolver().resolve([question(login)])
    one = Algorithms(found)
    assert kept in (one.ciphers, one.macs, one.kex)


def test_tokens_and_variables_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "here")
    assert expand("%h:%p %% ${PLACE}", {"h": "web", "p": "22", "%": "%"}) == "web:22 % here"
    with pytest.raises(SpecError, match="unsupported token %z"):
        expand("%z", {})
    with pytest.raises(SpecError, match="no token follows the % at the end"):
        expand("%%%", {"%": "%"})
    with pytest.raises(SpecError, match="the environment variable NO_SUCH is not set"):
        expand("${NO_SUCH}", {})
