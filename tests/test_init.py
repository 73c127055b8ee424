"""A new project: the questions at a terminal, the options without one, and the files."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from provision.cli import main
from provision.commands import doctor, mirror_speed
from provision.commands.dialog import one_of, yes
from provision.commands.mirror_speed import measured
from provision.inventory import Inventory
from provision.project import starter
from provision.project.starter import MIRRORS, PROBE, Answers, Entry, Mirror, entries
from provision.text import yamlfile
from tests import preloaded
from tests.sshd import Sshd, listening
from tests.terminal import Terminal, environment


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("web1", (Entry("web1"),)),
        ("web1, db.example.com  my-alias", (Entry("web1"), Entry("db.example.com"), Entry("my-alias"))),
        ("web[01:20]", (Entry("web[01:20]"),)),
        ("web1=192.0.2.1 db1=[2001:db8::1]:2222", (Entry("web1", "192.0.2.1"), Entry("db1", "2001:db8::1", 2222))),
    ],
)
def test_hosts_are_read(text: str, found: tuple[Entry, ...]) -> None:
    assert entries(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root@web1", "root@web1: leave the user out, it is the next question"),
        ("192.0.2.1", "192.0.2.1: give the address a name, such as web1=192.0.2.1"),
        ("2001:db8::1", "2001:db8::1: give the address a name, such as web1=2001:db8::1"),
        ("web1=", "web1=: an address is missing after ="),
        ("web[1:3]=192.0.2.1", "web[1:3]=192.0.2.1: write NAME=ADDRESS for each host with an address"),
        ("web1=a;b", "web1=a;b: write NAME=ADDRESS for each host with an address"),
        ("web1 web[1:2]", "web1 is there twice"),
        ("web[3:1]", "the range ends (1) before it begins (3)"),
        ("-oProxyCommand=x", "not a host name: '-oProxyCommand'"),
        ("web!1", "not a host name: 'web!1'"),
        ("web{", "web{: not the name of a host"),
        ("docker", "docker: the inventory has a group of this name"),
        ("al[k:m]", "all: the inventory has a group of this name"),
        ("web1=db1:65536", "web1=db1:65536: a port is a number from 1 to 65535"),
        ("w" * 254, "wwwwwwwwwwwwwwwwwwww...: a host name has at most 253 characters"),
    ],
)
def test_what_is_no_host_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        entries(text)


@pytest.mark.parametrize("text", ["a b", "-x", "a\nb", "x" * 80, "a:b", "#"])
def test_what_is_no_user_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a user name"):
        starter.user(text)


def test_mirrors_are_named_or_urls() -> None:
    assert starter.mirror("aliyun") == "https://mirrors.aliyun.com/docker-ce"
    assert starter.mirror("https://mirror.example/docker/") == "https://mirror.example/docker"
    for text in ("alyun", "ftp://x", "https://a b", "https://x'", "https://x#y", "https://"):
        with pytest.raises(ValueError, match="neither a known mirror"):
            starter.mirror(text)
    for text in ("https://h:", "https://h:/", "https://h:8443/docker:"):
        with pytest.raises(ValueError, match=f"{text}: a URL must not end with a colon"):
            starter.mirror(text)
    assert yes("Y") is True
    assert yes("no") is False
    assert one_of("docker", "distribution")("di") == "distribution"
    for parse, text in ((yes, "maybe"), (one_of("docker", "distribution"), "d")):
        with pytest.raises(ValueError, match="answer"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        *(
            (name, {name: (name, None)})
            for name in ("no", "on", "Yes", "null", "True", "0x10", "0o17", "12_3", "1_0.5")
        ),
        *((name, {name: (name, None)}) for name in ("2026-01-01", "2026-13-45", "1e3", "b\u00fccher", "w" * 253)),
        ("on=10.0.0.1", {"on": ("10.0.0.1", None)}),
        ("no=off:22", {"no": ("off", 22)}),
        ("\U00010400=\U00010400b", {"\U00010400": ("\U00010400b", None)}),
        ("[a:c]web", {f"{letter}web": (f"{letter}web", None) for letter in "abc"}),
        ("[1:2][a:b]", {name: (name, None) for name in ("1a", "1b", "2a", "2b")}),
        ("1_2:30 web1:2222", {"1_2": ("1_2", 30), "web1": ("web1", 2222)}),
    ],
)
def test_the_inventory_has_the_given_hosts(text: str, hosts: dict[str, tuple[str, int | None]], tmp_path: Path) -> None:
    """As provision reads the file, and its keys as Ansible's YAML parser reads them."""
    answers = Answers(entries(text), "root")
    content = starter.files(answers)[Path("inventory/hosts.yml")]
    (tmp_path / "hosts.yml").write_bytes(content)
    inventory = Inventory(tmp_path / "hosts.yml")
    assert inventory.select("docker") == list(hosts)
    logins = {name: inventory.host(name).login for name in hosts}
    assert {name: (login.address, login.port) for name, login in logins.items()} == hosts
    assert not inventory.notes
    assert list(yaml.safe_load(content)["docker"]["hosts"]) == [entry.name for entry in answers.entries]


@pytest.mark.parametrize("url", ["https://h:8443/~a%20b", "https://h:", "https://h/ #a", "https://h: x"])
def test_the_mirror_is_the_given_one(url: str) -> None:
    content = starter.files(Answers(mirror=url))[Path("inventory/group_vars/docker.yml")].decode()
    assert yamlfile.load(Path("docker.yml"), content)["package_mirror"] == url


EVERY = [
    Answers(hosts, user, bool(user), mirror, source, live)
    for hosts in ((), entries("web[1:3] db1=192.0.2.7:2222"))
    for user in ("", "deploy")
    for mirror in (MIRRORS[0].url, MIRRORS[1].url)
    for source in ("docker", "distribution")
    for live in (True, False)
]


@pytest.mark.parametrize("answers", EVERY, ids=str)
def test_every_project_is_sound(answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in starter.files(answers).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    words = [str(tmp_path / "playbooks/site.yml"), "-i", str(tmp_path / "inventory")]
    assert main(["lint", *words]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    (play,) = yaml.safe_load((tmp_path / "playbooks/site.yml").read_text())
    engine = play["spec"]["engine"]
    assert engine["daemon"]["live-restore"] is answers.live_restore
    assert engine.get("source") == ("distribution" if answers.source == "distribution" else None)
    assert ("hostname" in play["spec"]) is not bool(answers.entries), "existing hosts keep their names"
    variables = yaml.safe_load((tmp_path / "inventory/group_vars/docker.yml").read_text())
    assert variables.get("package_mirror") == (answers.mirror if answers.source == "docker" else None)
    group = yaml.safe_load((tmp_path / "inventory/hosts.yml").read_text())["docker"]
    if answers.entries:
        assert group["hosts"] == {
            "web[1:3]": None,
            "db1": {"ansible_host": "192.0.2.7", "ansible_port": 2222},
        }
        assert group.get("vars", {}).get("ansible_user", "") == answers.user
        assert group.get("vars", {}).get("ansible_become", False) is answers.become


@pytest.mark.parametrize("answers", EVERY, ids=str)
def test_every_line_of_the_playbook_has_a_reason(answers: Answers) -> None:
    text = starter.files(answers)[Path("playbooks/site.yml")].decode()
    bare = [line for line in text.splitlines() if not re.search(r"^\s*#|  # \S", line)]
    assert [line.strip() for line in bare] == ["spec:", "sysctl:", "engine:", "firewall:"], "only what has no value"
    assert max(map(len, text.splitlines())) <= 120


def test_the_editor_finds_the_schema() -> None:
    found = starter.files(Answers())
    first = found[Path("playbooks/site.yml")].decode().splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")
    schema = json.loads(found[Path("playbooks") / name])
    assert schema["title"] == "provision playbook"
    assert "!secret scalar" in json.loads(found[Path(".vscode/settings.json")])["yaml.customTags"]
    # plan.json is the plan file of the documentation.
    assert {".provision/", "*.plan", "plan.json", "plan.json.sig"} <= {*found[Path(".gitignore")].decode().splitlines()}


def init(folder: Path, *words: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    return preloaded.run(["init", str(folder), *words], cwd=folder.parent, env=environment(home or folder.parent))


def test_options_answer_without_a_terminal(tmp_path: Path) -> None:
    done = init(
        tmp_path / "new",
        *("--hosts", "web1,web2", "--user", "deploy", "--mirror", "tuna", "--no-live-restore", "--no-check"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "live-restore: false" in (tmp_path / "new/playbooks/site.yml").read_text()
    assert "tuna" in (tmp_path / "new/inventory/group_vars/docker.yml").read_text()
    hosts = yaml.safe_load((tmp_path / "new/inventory/hosts.yml").read_text())["docker"]
    assert hosts == {
        "hosts": {"web1": None, "web2": None},
        "vars": {"ansible_user": "deploy", "ansible_become": True},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hosts", "root@web1"), "--hosts: root@web1: leave the user out"),
        (("--user", "a b"), "--user: a b: not a user name"),
        (("--mirror", "alyun"), "--mirror: alyun: neither a known mirror"),
    ],
)
def test_a_wrong_option_writes_nothing(words: Sequence[str], message: str, tmp_path: Path) -> None:
    done = init(tmp_path / "new", *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", [".gitignore", ".vscode/settings.json", "playbooks/provision.schema.json"])
def test_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    there = tmp_path / "new" / name
    there.parent.mkdir(parents=True)
    there.symlink_to("nowhere")
    done = init(tmp_path / "new")
    assert done.returncode == 1
    assert f"{there} is already there; init overwrites nothing" in done.stderr
    assert [path for path in (tmp_path / "new").rglob("*") if not path.is_dir()] == [there]


@pytest.fixture
def mirror() -> Iterator[tuple[str, list[str]]]:
    """A server with ``/good``, a mirror; ``/moved`` redirects to it, ``/empty`` answers without a file."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            place = self.path.removesuffix(f"/{PROBE}")
            self.send_response({"/good": 200, "/moved": 302, "/empty": 200}.get(place, 404))
            if place == "/moved":
                self.send_header("Location", f"/good/{PROBE}")
            self.end_headers()
            if place == "/good":
                self.wfile.write(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_each_mirror_is_asked_once(mirror: tuple[str, list[str]]) -> None:
    url, asked = mirror
    names = ("good", "moved", "empty", "missing")
    mirrors = [Mirror(name, name, f"{url}/{name}") for name in names]
    mirrors.append(Mirror("closed", "closed", "http://127.0.0.1:1"))
    assert list(measured(mirrors, 60)) == [f"{url}/good"]
    assert sorted(asked) == sorted(f"/{name}/{PROBE}" for name in names), "no redirection was followed"
    assert measured([]) == {}


def test_the_fastest_mirror_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"a": 0.5, "b": 0.1, "c": None}
    monkeypatch.setattr(mirror_speed, "_seconds", lambda one, timeout: times[one.name])
    assert measured([Mirror(name, "", f"http://{name}") for name in times]) == {"http://b": 0.1, "http://a": 0.5}


_CHILD = """
import sys
from provision.project import starter
starter.MIRRORS = tuple(starter.Mirror(name, name, f"{sys.argv[1]}/{name}") for name in ("missing", "good"))
from provision.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_five_questions_at_a_terminal(tmp_path: Path, mirror: tuple[str, list[str]]) -> None:
    url, asked = mirror
    terminal = Terminal([sys.executable, "-c", _CHILD, url, "init", "new", "--no-check"], tmp_path)
    terminal.answer("Hosts", "root@web1")
    terminal.until("root@web1: leave the user out, it is the next question")
    terminal.answer("Hosts", "web[1:2] db1=192.0.2.7")
    terminal.answer("User to log in as", "my user")
    terminal.until("my user: not a user name")
    terminal.answer("User to log in as", "deploy")
    terminal.answer("Engine: ", "")
    terminal.answer("Mirror", "7")
    terminal.until("7: a number from 1 to 2, a URL, or m")
    assert asked == [], "no mirror is asked before the operator wants it"
    terminal.answer("Mirror", "m")
    terminal.until("no answer")
    terminal.answer("Mirror", "")
    terminal.answer("Keep containers running", "perhaps")
    terminal.until("perhaps: answer yes or no")
    assert not (tmp_path / "new").exists()
    terminal.answer("Keep containers running", "n")
    assert terminal.close() == 0, terminal.seen
    assert sorted(asked) == [f"/good/{PROBE}", f"/missing/{PROBE}"]
    assert "package_mirror: " + f"{url}/good" in (tmp_path / "new/inventory/group_vars/docker.yml").read_text()
    assert "live-restore: false" in (tmp_path / "new/playbooks/site.yml").read_text()
    assert 'ansible_user: "deploy"' in (tmp_path / "new/inventory/hosts.yml").read_text()
    assert "provision plan" in terminal.seen


def test_enter_takes_the_defaults(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-m", "provision", "init", "new"], tmp_path)
    for question in ("Hosts", "User", "Engine: ", "Mirror near", "Keep containers"):
        terminal.answer(question, "")
    assert terminal.close() == 0, terminal.seen
    assert "Put your hosts into inventory/hosts.yml, then: cd new && provision plan" in terminal.seen
    assert max(map(len, terminal.seen.splitlines())) <= 80, "a question and its answer fit on a line"
    expected = starter.files(Answers(user="root"))
    assert {
        path.relative_to(tmp_path / "new"): path.read_bytes()
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    } == expected


def test_an_answer_on_the_command_line_is_not_asked(tmp_path: Path) -> None:
    words = ["--hosts", "web1", "--user", "root", "--live-restore", "--no-check"]
    terminal = Terminal([sys.executable, "-m", "provision", "init", "new", *words], tmp_path)
    terminal.answer("Engine: ", "dist")
    assert terminal.close() == 0, terminal.seen
    assert not re.search("Hosts|User|Mirror|Keep", terminal.seen)
    assert "source: distribution" in (tmp_path / "new/playbooks/site.yml").read_text()


def test_an_end_of_input_writes_nothing(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-m", "provision", "init", "new"], tmp_path)
    terminal.answer("Hosts", "web1")
    terminal.until("User")
    terminal.until("]: ")
    terminal.write(b"\x04")
    assert terminal.close() == 1
    assert "nothing was written" in terminal.seen
    assert not (tmp_path / "new").exists()


def test_an_unknown_host_key_is_not_accepted(tmp_path: Path) -> None:
    """The check is one of provision's connections: without --accept-new it stores no key, and nothing is asked."""
    sshd = Sshd({}, "/bin/false")
    with listening(sshd) as (port, _):
        done = init(tmp_path / "new", "--hosts", f"web1=127.0.0.1:{port}", "--user", "root")
        # ssh takes the home directory of the account, not $HOME.
        known = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh/known_hosts"
        assert not known.exists() or f"[127.0.0.1]:{port} " not in known.read_text()
    assert done.returncode == 3
    assert "web1: host_key: " in done.stdout
    assert "is not known" in done.stdout
    assert "--accept-new" in done.stdout
    assert sshd.commands == []
    assert (tmp_path / "new/playbooks/site.yml").exists(), "the project is written all the same"
    assert "then store them:" in done.stdout
    assert f"  cd {tmp_path / 'new'} && provision doctor --accept-new" in done.stdout


def test_the_key_of_a_new_host_is_stored_only_after_a_yes(tmp_path: Path) -> None:
    sshd = Sshd({}, "/bin/false")
    with listening(sshd) as (port, _):
        words = ["--hosts", f"web1=127.0.0.1:{port}", "--user", "root", "--engine", "distribution", "--live-restore"]
        terminal = Terminal([sys.executable, "-m", "provision", "init", "new", *words], tmp_path)
        terminal.until("is not known: ")
        terminal.answer("Store the keys of new hosts in known_hosts", "")
        assert terminal.close() == 3, terminal.seen
        known = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh/known_hosts"
        assert not known.exists() or f"[127.0.0.1]:{port} " not in known.read_text()
    assert "  cd new && provision doctor --accept-new\n" in terminal.seen
    assert (tmp_path / "new/playbooks/site.yml").exists()


@pytest.mark.parametrize("words", [(), ("--accept-new",)])
def test_the_check_is_that_of_doctor(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[argparse.Namespace] = []

    def run(args: argparse.Namespace, also: object) -> int:
        given.append(args)
        return 0

    monkeypatch.setattr(doctor, "run", run)
    assert main(["init", str(tmp_path / "new"), "--hosts", "web1", "--user", "root", *words]) == 0
    (args,) = given
    assert args.accept_new is bool(words)
    assert args.playbook == tmp_path / "new/playbooks/site.yml"
    assert args.inventory == [str(tmp_path / "new/inventory")]
    assert main(["init", str(tmp_path / "other")]) == 0, "the examples are no hosts"
    assert len(given) == 1
    capsys.readouterr()


def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    done = init(tmp_path / "new", "--hosts", "web1=127.0.0.1:1", "--user", "root")
    assert done.returncode == 3
    assert "web1: unreachable: " in done.stdout
    assert "Correct what the check found, then: cd " in done.stdout
    assert (tmp_path / "new/inventory/hosts.yml").exists()
