"""ssh's settings as provision resolves them, compared with ``ssh -G`` for each host alone."""

from __future__ import annotations

import os
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
from provision.transport.ssh_config import Question, Resolver, expand
from provision.transport.target import Target, question, target
from tests import ssh_trees
from tests.ssh_trees import Tree

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")

#: Random trees of configuration files; CONTRIBUTING.md has the command that compares 2,000 of them.
TREES = int(os.environ.get("TREES", "100"))


def config(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "config").write_text(text)
    return ("-F", str(folder / "config"))


def by_itself(words: tuple[str, ...], host: str) -> dict[str, tuple[str, ...]]:
    """The answer of ``ssh -G HOST COMMAND``."""
    argv = ["ssh", "-G", *words, "--", host, "exec /bin/sh"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return ssh_config.parsed(done.stdout)


def resolved(words: tuple[str, ...], *hosts: str) -> list[dict[str, tuple[str, ...]]]:
    return [found.values for found in Resolver().resolve(Question(host, before=words) for host in hosts)]


def said(one: Question) -> list[str] | str:
    """The lines of ssh's own answer, in order; the error where ssh refuses."""
    words = ["-F", one.before[1], *one.before[2:]]
    words += ["-p", str(one.port)] if one.port else []
    words += ["-l", one.user] if one.user else []
    words += one.behind
    # ssh itself connects to a jump host with these words (ssh.c).
    argv = ["ssh", "-G", *words, "-W", "[192.0.2.1]:22", "--", one.host]
    if not one.hop:
        argv = ["ssh", "-G", *words, one.host, "exec /bin/sh"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout.splitlines() if done.returncode == 0 else done.stderr


def different(one: Question, found: ssh_config.Resolved | SpecError) -> str:
    """How provision's settings differ from ssh's own answer; empty where they are the same."""
    own = said(one)
    if isinstance(own, str) or isinstance(found, SpecError):
        same = isinstance(own, str) and isinstance(found, SpecError)
        return "" if same else f"{one}: ssh {own!r}, provision {found!r}"
    lines: dict[str, list[str]] = {}
    for line in own:
        option, _, value = line.partition(" ")
        lines.setdefault(option.lower(), []).append(value)
    wrong = {name for name in lines.keys() | found.values if lines.get(name) != list(found.all(name))}
    wrong |= {name for name in ("hostname", "port", "user") if [found.get(name)] != lines[name]}
    return "".join(f"{one}: {name}: ssh {lines.get(name)}, provision {found.all(name)}\n" for name in sorted(wrong))


def answers(questions: list[Question]) -> list[ssh_config.Resolved | SpecError]:
    """Of one run, which asks about all hosts together, as a command does."""
    resolver = Resolver()
    resolver.ask(questions)
    found: list[ssh_config.Resolved | SpecError] = []
    for one in questions:
        try:
            found += resolver.resolve([one])
        except SpecError as error:
            found.append(error)
    return found


def compared(seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Compare the hosts of a tree, again after an edit of a file. The number of comparisons, and of refusals by ssh."""
    ssh = shutil.which("ssh") or ""
    for name, value in ssh_trees.variables(folder).items():
        monkeypatch.setenv(name, value)
    tree = Tree(random.Random(seed), folder, ssh)  # noqa: S311 - no secret
    questions = tree.questions(5)
    count = refused = 0
    for again in (False, True)[: 1 + (seed % 5 == 0)]:
        if again:
            tree.edit()
        for one, found in zip(questions, answers(questions), strict=True):
            assert different(one, found) == "", f"{seed}\n{tree}"
            count += 1
            refused += isinstance(found, SpecError)
    return count, refused


@pytest.mark.thorough
def test_each_host_of_a_random_tree_has_the_settings_of_its_own_ssh_g(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = refused = 0
    for seed in range(TREES):
        (folder := tmp_path / str(seed)).mkdir()
        more, no = compared(seed, folder, monkeypatch)
        count, refused = count + more, refused + no
        shutil.rmtree(folder)
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.strip()
    print(f"\n{version}: {TREES} trees, {count} comparisons, 0 differences; ssh refuses {refused}")
    assert refused < count / 4, "most trees are valid"


def test_a_host_name_equal_to_another_hosts_address_is_kept_apart(tmp_path: Path) -> None:
    words = config(tmp_path, "Host web*\n  HostName Web1\n")
    for hosts in (("web1", "web2"), ("web2", "web1")):  # in whichever order ssh is asked
        assert [found["hostname"] for found in resolved(words, *hosts)] == [("web1",), ("web1",)]


QUOTED = [
    'Include "{folder}/hosts.d/*"',
    "Include '{folder}/hosts.d/*'",
    'Include {folder}/"hosts.d"/*',
    "Include ~/../{folder}/hosts.d/*",
    "Include {folder}/hosts.d/[ab]",
]


@pytest.mark.parametrize("line", QUOTED)
def test_hosts_of_an_included_file_are_told_apart_in_each_run(tmp_path: Path, line: str) -> None:
    (tmp_path / "hosts.d").mkdir()
    words = config(tmp_path, line.format(folder=tmp_path) + "\n")
    for first in ("192.0.2.1", "192.0.2.9"):  # a second run sees an edit of the included file
        (tmp_path / "hosts.d/a").write_text(f"Host w1\n  HostName {first}\nHost w2\n  HostName 192.0.2.2\n")
        assert [one["hostname"] for one in resolved(words, "w1", "w2")] == [(first,), ("192.0.2.2",)]


def test_an_option_of_an_included_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("CheckHostIP yes\n")
    for line in (f'Include "{tmp_path}/part"', f"Include %d/../{tmp_path}/part", f"Include '{tmp_path}/p'*"):
        words = config(tmp_path, line + "\n")
        if by_itself(words, "web1")["checkhostip"] == ("no",):
            continue  # this ssh has no tokens in Include
        with pytest.raises(SpecError, match="web1: CheckHostIP yes is not supported"):
            judged(Login("web1", ssh_before=words))


def test_an_address_that_is_not_canonical_does_not_redirect_other_hosts() -> None:
    hosts = ["web1.lab.test", "fd53:5348:0::16", "a.lab.test", "198.51.100.017", "198.51.100.020"]
    for names in (hosts, [*reversed(hosts)]):
        for name, found in zip(names, resolved(("-F", "none"), *names), strict=True):
            assert found == by_itself(("-F", "none"), name)


def test_ssh_is_asked_about_every_host_in_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    said = ssh_config._said

    def count(ssh: str, one: Question) -> dict[str, tuple[str, ...]]:
        asked.append(one.host)
        return said(ssh, one)

    monkeypatch.setattr(ssh_config, "_said", count)
    words = config(tmp_path, "Host web*\n  User root\n")
    for _ in range(2):
        asked.clear()
        resolver = Resolver()
        resolver.resolve([Question(host, before=words) for host in ("web1", "web2", "web1", "Web1")])
        resolver.resolve([Question("web1", before=words), Question("web1", 22, before=words)])
        # The first question is about ssh's defaults.
        assert sorted(asked[1:]) == ["Web1", "web1", "web1", "web2"]


def has_criterion(name: str) -> bool:
    return name in ssh_trees.criteria(shutil.which("ssh") or "")


def test_ssh_is_asked_with_a_command_and_for_a_jump_host_without_one(tmp_path: Path) -> None:
    if not has_criterion("sessiontype"):
        pytest.skip("this ssh has no Match sessiontype")
    words = config(
        tmp_path,
        "Match sessiontype exec\n  HostName exec.test\nMatch sessiontype none\n  HostName none.test\n"
        'Match command "exec /bin/sh"\n  User command\nMatch all\n  User other\n',
    )
    found = Resolver().resolve([Question("web1", before=words), Question("web1", before=words, hop=True)])
    places = [(one.get("hostname"), one.get("user")) for one in found]
    assert places == [("exec.test", "command"), ("none.test", "other")]


def test_a_jump_host_may_have_a_remote_command(tmp_path: Path) -> None:
    login = made(tmp_path, "RemoteCommand id\n", hop=True)
    (found,) = Resolver().resolve([question(login)])
    assert target(login, found, accept_new=False).address == "web1"


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


#: Lines of a configuration -> whether provision can tell the names of the files apart. ``{}`` is a directory.
KNOWN_HOSTS = {
    "UserKnownHostsFile {}/a": True,
    "UserKnownHostsFile \"{}/a\" '{}/b' {}/c": True,
    "UserKnownHostsFile {}/%%h {}/100%% {}/%h {}/%n": True,
    "UserKnownHostsFile ${{PLACE}}/a ~/no-such-file": True,
    "UserKnownHostsFile none\nGlobalKnownHostsFile {}/a": True,
    "UserKnownHostsFile none\nGlobalKnownHostsFile none": True,
    "GlobalKnownHostsFile {}/%%h {}/%h ~/no-such-file ~/no-such-file2": True,
    "UserKnownHostsFile relative": True,
    'UserKnownHostsFile "{}/tab\tin the name"': False,
    'UserKnownHostsFile "~/.ssh/my hosts"': False,
    "UserKnownHostsFile {}/my\\ hosts": False,
    'GlobalKnownHostsFile "{}/my hosts"': False,
    'UserKnownHostsFile "{}/with two  blanks"': False,
    'UserKnownHostsFile " {}/a" {}/b': False,
    'UserKnownHostsFile "{}/a "': False,
    'UserKnownHostsFile "{}/blank /hosts"': False,
    'GlobalKnownHostsFile "{}/blank /hosts"': False,
    "UserKnownHostsFile {}/a relative": False,
}


def opened(words: tuple[str, ...]) -> list[str]:
    """The known_hosts files that ssh opens; none of them exists."""
    # ssh reads the files after the banner, and before it sends its list of algorithms.
    host = "ProxyCommand=sh -c \"printf 'SSH-2.0-x\\\\r\\\\n'; head -c 1000 >/dev/null\""
    more = ("-o", host, "-o", "HostKeyAlgorithms=+ssh-ed25519")
    argv = ["ssh", "-vvv", *more, *words, "--", "web1", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return re.findall(r"load_hostkeys: fopen (.*): No such file", done.stderr)


@pytest.mark.parametrize("line", KNOWN_HOSTS)
def test_the_names_of_known_hosts_files_are_those_of_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "files/blank ").mkdir(parents=True)
    monkeypatch.setenv("PLACE", f"{tmp_path}/files")
    monkeypatch.chdir(tmp_path)
    both = "" if "Global" in line else "\nGlobalKnownHostsFile none"
    both += "" if "User" in line else "\nUserKnownHostsFile none"
    login = Login("web1", ssh_before=config(tmp_path, line.format(*[tmp_path / "files"] * 4) + both))
    (found,) = Resolver().resolve([question(login)])
    if KNOWN_HOSTS[line]:
        rules = target(login, found, accept_new=True).rules
        assert [str(path) for path in rules.files] == opened(login.ssh_before)
        assert rules.store == (None if "UserKnownHostsFile none" in line + both else rules.files[0])
        return
    assert len(opened(login.ssh_before)) > 0
    refused = r"web1: (User|Global)KnownHostsFile '.*' is not supported \(use absolute names"
    with pytest.raises(SpecError, match=refused):
        target(login, found, accept_new=True)
    # ssh itself reads the files of the other transport.
    target(Login("web1", ssh_before=login.ssh_before, transport="openssh"), found, accept_new=True)


def test_values_that_ssh_has_expanded_are_used_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT", "/run/agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/usual")
    for value, agent in (
        ("/a%%h/%n", "/a%h/web1"),
        ("$AGENT", "/run/agent"),
        ("${AGENT}/x", "/run/agent/x"),
        ("SSH_AUTH_SOCK", "/run/usual"),
        ("none", ""),
    ):
        assert judged(made(tmp_path, f"IdentityAgent {value}\n")).agent == agent
    # OpenSSH 9.2 replaces no token here, later versions do.
    words = config(tmp_path, "RevokedHostKeys /r%%h\n")
    revoked = judged(Login("web1", ssh_before=words)).rules.revoked
    assert (str(revoked),) == by_itself(words, "web1")["revokedhostkeys"]


def test_each_option_of_the_installed_ssh_is_in_the_table() -> None:
    answer = by_itself(("-F", "none"), "web1")
    assert set(answer) - options.SPELLED.keys() == set()


def test_every_option_of_the_table_is_in_the_docs() -> None:
    text = (Path(__file__).parent.parent / "docs/ssh.md").read_text().lower()
    words = set(re.findall(r"[a-z0-9]+", text))
    assert options.SPELLED.keys() - words == set()


def made(folder: Path, text: str, **login: str | bool) -> Login:
    return Login("web1", ssh_before=config(folder, text), **login)  # type: ignore[arg-type]


def judged(login: Login) -> Target:
    (found,) = Resolver().resolve([question(login)])
    return target(login, found, accept_new=False)


@pytest.mark.parametrize(
    "option", sorted(options.REFUSED.keys() - {"refuseconnection", "proxyusefdpass", "localcommand"})
)
def test_the_error_names_the_refused_option(tmp_path: Path, option: str) -> None:
    value = {"bindinterface": "lo", "knownhostscommand": "/bin/true", "remotecommand": "id", "sessiontype": "none"}
    login = made(tmp_path, f"{option} {value.get(option, 'yes')}\n")
    with pytest.raises(SpecError, match=re.compile(f"web1: {option} ", re.IGNORECASE)):
        judged(login)
    login = made(tmp_path, f"{option} {value.get(option, 'yes')}\n", transport="openssh")
    if options.REFUSED[option].never:
        with pytest.raises(SpecError, match=re.compile(f"web1: {option} ", re.IGNORECASE)):
            judged(login)
    else:
        judged(login)


def test_a_local_command_is_refused_where_ssh_would_run_it(tmp_path: Path) -> None:
    judged(made(tmp_path, "LocalCommand id\n"))
    judged(made(tmp_path, "PermitLocalCommand yes\nLocalCommand none\n"))
    judged(made(tmp_path, "PermitLocalCommand yes\nLocalCommand id\n", transport="openssh"))
    with pytest.raises(SpecError, match="web1: LocalCommand id "):
        judged(made(tmp_path, "PermitLocalCommand yes\nLocalCommand id\n"))


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
