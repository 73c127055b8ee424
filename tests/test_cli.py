"""The command line as a user sees it: exit codes, messages on standard error, and no slow imports before their use."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
import yaml

from provision import cli
from provision.catalog import Options, compile_catalog, contents
from provision.commands import options, render
from provision.distros.table import Distribution, rows
from provision.engine.image_store import image_store
from provision.engine.keys import NEWEST
from tests import preloaded
from tests.conftest import Project


def provision(project: Project, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    # Without a terminal, which getpass would ask.
    return preloaded.run(list(words), cwd=project.folder, env={**os.environ, **env}, start_new_session=True)


def test_json_is_escaped_where_the_output_encoding_lacks_characters(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: {rack: 漢字}}}\n")
    argv = [sys.executable, "-m", "provision", "inventory", "--host", "web1"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(argv, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "漢" not in done.stdout
    assert json.loads(done.stdout)["rack"] == "漢字"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["plan", "--nonsense"], ["plan", "--forks", "0"], ["lab"]])
def test_usage_errors_exit_with_1(project: Project, words: list[str]) -> None:
    done = provision(project, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "usage: provision" in done.stderr


def test_without_a_command_the_help_is_shown(project: Project) -> None:
    done = provision(project)
    assert (done.returncode, done.stdout) == (1, "")
    for name in cli.COMMANDS:
        assert f"\n    {name} " in done.stderr


@pytest.mark.parametrize(
    ("word", "hint"), [("plna", 'did you mean "plan"?'), ("aply", 'did you mean "apply"?'), ("qqq", "commands: init, ")]
)
def test_an_unknown_command_names_the_nearest_one(project: Project, word: str, hint: str) -> None:
    done = provision(project, word)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"provision: no command {word} ({hint}" in done.stderr


def test_a_wrong_argument_says_where_they_are_explained(project: Project) -> None:
    done = provision(project, "rollback")
    assert "required: RUN (provision rollback --help explains the arguments)" in done.stderr


def test_spec_errors_exit_with_1_and_one_message(project: Project) -> None:
    project.spec("egnine: {}")
    for command in (["plan"], ["apply", "--yes"], ["render", "web1"]):
        done = provision(project, *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            'provision: playbooks/site.yml:4: spec.egnine: unknown key [host web1] (did you mean "engine"?)\n'
        )


def test_apply_without_a_terminal_needs_yes(project: Project) -> None:
    project.spec("packages: [curl]")
    done = provision(project, "apply")
    assert done.returncode == 1
    assert "needs --yes" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "nope"], "no such inventory: nope"),
        (["nope.yml"], "no such playbook: nope.yml"),
        (["-l", "wbe1"], "no host or group matches 'wbe1' (did you mean \"web1\"?)"),
        (["-l", "nope"], "no host or group matches 'nope' (`provision inventory --graph` shows all of them)"),
        (["-l", "dokcer"], "no host or group matches 'dokcer' (did you mean \"docker\"?)"),
        (["-l", "@nope"], "nope can't be read"),
        (["-l", "all:!web1"], "no host of the playbook matches --limit all:!web1"),
        (["-e", "x"], "--extra-vars takes key=value"),
        (["-e", "x='"], '--extra-vars: "x=\'": No closing quotation'),
        (["-e", "x=«secret:db:0a1b2c3d»"], "--extra-vars: a value must not hold a secret's token"),
        (["-e", "{x: «secret:db:0a1b2c3d»}"], "--extra-vars:1: x: text must not hold a secret's token"),
        (["-e", "@nope.yml"], "nope.yml:1: can't be read"),
        (["--private-key", "nope"], "--private-key:1: ansible_private_key_file: key file nope "),
    ],
)
def test_bad_arguments_touch_nothing(project: Project, words: list[str], message: str) -> None:
    project.spec("packages: [curl]")
    done = provision(project, "plan", *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_extra_vars_override_the_inventory(project: Project) -> None:
    project.write("inventory/host_vars/web1.yml", "who: host\n")
    project.write("more.yml", "who: file\n")
    project.spec('files: {/etc/x: {content: "{{ who }}"}}')
    for words, expected in (
        ([], "host"),
        (["-e", "who=word"], "word"),
        (["-e", "{who: braces}"], "braces"),
        (["-e", "@more.yml"], "file"),
        (["-e", "who=a", "-e", "who=b"], "b"),
        (["-e", "{spec: {files: {/etc/x: {content: refined}}}}"], "refined"),
    ):
        done = provision(project, "render", "web1", *words)
        assert f"==> /etc/x <==\n{expected}\n" in done.stdout, done.stderr


def test_render_to_a_folder_and_for_a_distribution(project: Project) -> None:
    project.spec(
        "sysctl: {net.ipv4.ip_forward: 1}\n"
        "engine: {package_mirror: 'https://mirrors.aliyun.com/docker-ce', daemon: {debug: true}}"
    )
    done = provision(project, "render", "web1", "-o", "out", "--as", "ubuntu:22.04:jammy")
    assert done.returncode == 0, done.stderr
    source = (project.folder / "out/etc/apt/sources.list.d/docker.sources").read_text()
    assert "URIs: https://mirrors.aliyun.com/docker-ce/linux/ubuntu\nSuites: jammy\n" in source
    assert json.loads((project.folder / "out/etc/docker/daemon.json").read_text()) == {"debug": True}
    assert provision(project, "render", "web1", "--as", "plan9").returncode == 1
    assert "too old" in provision(project, "render", "web1", "--as", "debian:8:jessie").stderr
    assert "no play is for web2" in provision(project, "render", "web2").stderr


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.id}{row.minimum}")
def test_every_distribution_of_the_table_renders(row: Distribution, project: Project) -> None:
    """By its ID, and by ID:VERSION without a codename where the distribution has none."""
    project.spec("hostname: web1\nengine: {daemon: {debug: true}}")
    loaded = project.load()
    suites = row.suite or any(one.codename for one in row.releases.values())
    names = [row.id] if suites or not row.minimum else [row.id, f"{row.id}:{row.minimum}"]
    for name in names:
        found = compile_catalog(loaded.configs[0], render._platform(name, ()), loaded.context, Options())
        assert "/etc/docker/daemon.json" in dict(contents(found)), name


def test_inventory_command(project: Project) -> None:
    assert "@docker:" in provision(project, "inventory", "--graph").stdout
    listing = json.loads(provision(project, "inventory", "--list").stdout)
    assert listing["docker"]["hosts"] == ["web1"]
    assert json.loads(provision(project, "inventory", "--host", "web1").stdout) == {}
    assert 'did you mean "web1"?' in provision(project, "inventory", "--host", "wbe1").stderr


def test_init_writes_a_project_that_renders(tmp_path: Path) -> None:
    project = Project(tmp_path / "other")
    new = tmp_path / "new"
    done = provision(project, "init", str(new))
    assert done.returncode == 0, done.stderr
    again = provision(project, "init", str(new))
    assert again.returncode == 1
    assert "already" in again.stderr
    argv = [sys.executable, "-m", "provision", "render", "web1.example.com"]
    rendered = subprocess.run(argv, cwd=new, capture_output=True, text=True, check=False)
    assert rendered.returncode == 0, rendered.stderr
    assert "live-restore" in rendered.stdout
    (play,) = yaml.safe_load((new / "playbooks/site.yml").read_text())
    daemon = play["spec"]["engine"]["daemon"]
    assert image_store(NEWEST, daemon).containerd, "a new host gets the default store of its engine"


def test_the_json_schema_accepts_what_the_spec_accepts(project: Project) -> None:
    schema = json.loads(provision(project, "schema").stdout)
    assert schema["$defs"]["Engine"]["additionalProperties"] is False
    booleans = schema["$defs"]["Service"]["properties"]["enabled"]["anyOf"]
    assert any(option.get("pattern") for option in booleans), "a template may stand for a boolean"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plan", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom provision.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('yaml', 'jinja2', 'pydantic', 'paramiko', 'fabric', 'rich', 'pytest') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


_INTERRUPTED = """
import builtins, signal, sys, weakref
sys.argv = ["provision", "lint"]
ordinary = builtins.__import__
class Lock: pass
def interrupted(name, *rest):
    if name == NAME and not INTO_CALLBACK:
        raise KeyboardInterrupt
    if name == NAME:
        # As importlib does for each module. An exception in the callback is ignored.
        lock = Lock()
        kept = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGINT))
        del lock
    return ordinary(name, *rest)
from provision.start import console
builtins.__import__ = interrupted
console()
"""


@pytest.mark.parametrize(
    ("module", "into_callback"),
    [
        ("argparse", False),
        ("argparse", True),
        ("jinja2", True),
        ("pydantic", True),
        ("yaml", True),
        ("provision.load", False),
        ("provision.lint.rules", True),
    ],
)
def test_ctrl_c_in_an_import_ends_the_command(project: Project, module: str, into_callback: bool) -> None:
    project.spec("packages: [curl]")
    code = f"NAME, INTO_CALLBACK = {module!r}, {into_callback}{_INTERRUPTED}"
    # A shell starts a job in the background with this signal ignored, and every child inherits that (signal(7)).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = subprocess.run([sys.executable, "-c", code], cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "provision: interrupted\n")


#: Options that commands share.
_SHARED = {
    "__init__",
    "authorities",
    "clustering",
    "completing",
    "completion",
    "controller",
    "dialog",
    "mirror_speed",
    "options",
    "reporters",
    "running",
    "selection",
}


def test_each_command_has_a_module_and_is_listed_in_help() -> None:
    folder = Path(cli.__file__).parent / "commands"
    assert {name.replace("-", "_") for name in cli.COMMANDS} == {path.stem for path in folder.glob("*.py")} - _SHARED


def test_plan_and_lint_work_before_apply_has_made_the_authority(project: Project) -> None:
    """The registry example of docs/containers.md: apply makes the authority. Before that, plan and lint must not
    fail."""
    host = "{ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: root}"
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {host}}}}}\n")
    registry = "registry: {name: registry.example, tls: {ca: lab}}"
    project.spec(f"{registry}\nengine: {{registries: {{'registry.example:5000': {{authority: lab}}}}}}")
    linted = provision(project, "lint")
    assert (linted.returncode, "there is no authority" in linted.stdout) == (0, False), linted.stdout
    planned = provision(project, "plan")
    assert planned.returncode == 3, planned.stderr
    assert "provision: the authority lab has missing files: `apply` or `secrets ca` creates them" in planned.stderr
    written = provision(project, "plan", "--out", "plan.json")
    assert (written.returncode, "provision secrets ca creates" in written.stderr) == (1, True), written.stderr
    rendered = provision(project, "render", "web1")
    assert (rendered.returncode, "==> /etc/docker/certs.d/registry.example:5000/ca.crt <==" in rendered.stdout) == (
        0,
        True,
    )
    assert "the authority lab has missing files" in rendered.stderr
    # No host can have files that do not exist yet, so there is nothing to verify.
    verified = provision(project, "verify")
    assert (verified.returncode, "provision secrets ca creates" in verified.stderr) == (1, True), verified.stderr
    assert not (project.folder / "playbooks/ca").exists()


def test_apply_without_an_age_key_names_a_command_that_takes_one(project: Project, tmp_path: Path) -> None:
    project.spec("registry: {name: registry.example, tls: {ca: lab}}\nengine: {}")
    (tmp_path / "home").mkdir()
    done = provision(project, "apply", "--yes", HOME=str(tmp_path / "home"), SSH_AUTH_SOCK="")
    assert done.returncode == 1
    assert "name one with provision secrets --recipient" in done.stderr


def _commands(parser: argparse.ArgumentParser, dest: str) -> dict[str, argparse.ArgumentParser]:
    choices = next(action for action in parser._actions if action.dest == dest).choices
    assert isinstance(choices, dict)
    return dict(choices)


def test_the_help_of_a_command_groups_its_options() -> None:
    commands = _commands(cli.parser(), "command")
    for name in ("secrets", "lab"):
        commands |= {f"{name} {action}": found for action, found in _commands(commands[name], "action").items()}
    for name in sorted(commands):
        ungrouped = [
            option.dest
            for group in commands[name]._action_groups
            if group.title not in options.GROUPS
            for option in group._group_actions
            if option.option_strings
        ]
        assert ungrouped == ["help"], name
    shown = commands["apply"].format_help()
    places = [shown.index(f"\n{title}:\n") for title in options.GROUPS]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("paln",), 'provision: no command paln (did you mean "plan"?'),
        (("plan", "--limt", "a"), 'provision plan: unknown option --limt (did you mean "--limit"?'),
        (("apply", "--check"), "unknown option --check (provision plan shows what apply would change"),
        (("plan", "--dry-run"), "unknown option --dry-run (provision plan shows what apply would change"),
        (("apply", "--tags", "x"), "unknown option --tags (--limit selects hosts; a spec is applied as a whole"),
        (("plan", "--log-file", "x"), "unknown option --log-file (provision runs shows the journal of earlier runs"),
        (("lab", "up", "--lab", "x"), "--lab comes before the action: provision lab --lab ... ACTION"),
        (("check",), "no command check (provision plan shows what apply would change"),
        (("exec", "web1", "id"), "no command exec (provision ssh HOST COMMAND runs one command on one host"),
        (("facts",), "no command facts (provision doctor reports whether a host is suitable"),
        (("-vv", "plan"), "the command comes before -vv: provision plan -vv ..."),
        (("ssh", "wbe1"), 'no host wbe1 in the inventory (did you mean "web1"?)'),
        (("lint", "--engine", "banana"), "--engine takes a version such as 28.5, not banana"),
        (("lint", "--engine", "banana", "playbooks/site.yml"), "--engine takes a version such as 28.5, not banana"),
        (("plan", "web1"), "no such playbook: web1 (hosts are selected by -l web1;"),
        (("plan", "-l", ""), "no host of the playbook matches --limit ''"),
        (("plan", "--out", "/nonexistent/p"), "/nonexistent/p cannot be written: /nonexistent: No such file"),
        (("plan", "--out", "playbooks"), "playbooks cannot be written: it is a directory"),
        (("plan", "--out", "p.json", "--sign", "nope"), "--sign nope: there is no such key file"),
        (("plan", "-k"), "the SSH password was not given"),
        (("plan", "-K"), "the become password was not given"),
        (("render", "web1", "--as", "debian:1:2:3"), "a distribution is ID, ID:VERSION or ID:VERSION:CODENAME"),
    ],
)
def test_a_wrong_command_line_is_one_message_with_a_suggestion(
    words: tuple[str, ...], message: str, project: Project
) -> None:
    project.spec("hostname: web1")
    done = provision(project, *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "\\n" not in done.stderr


def test_ssh_logs_in_as_the_inventory_says(project: Project, tmp_path: Path) -> None:
    """The words are those of a real ssh, which prints what it would do (-G)."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >words\nexec {shutil.which("ssh")} -F none -G "$@"\n'
    )
    (tmp_path / "bin/ssh").chmod(0o755)
    project.write("inventory/my key", "")
    (project.folder / "inventory/my key").chmod(0o600)
    login = (
        "ansible_host: 192.0.2.1, ansible_port: 2222, ansible_user: bob, ansible_ssh_common_args: -o Ciphers=aes128-ctr"
    )
    more = "ansible_ssh_private_key_file: my key, provision_known_hosts: known, ansible_password: !secret {env: PW}"
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {{{login}, {more}}}}}}}\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = provision(project, "ssh", "web1", "ls", "-l", "/", PATH=path, PW="hunter2")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (said["hostname"], said["port"], said["user"]) == ("192.0.2.1", "2222", "bob")
    assert (said["ciphers"], said["identitiesonly"]) == ("aes128-ctr", "yes")
    assert said["identityfile"] == f"{project.folder}/inventory/my key"
    words = (project.folder / "words").read_text().splitlines()
    assert words[-5:] == ["--", "192.0.2.1", "ls", "-l", "/"]
    assert "hunter2" not in done.stdout + "".join(words)


def test_verbose_may_be_given_twice() -> None:
    assert cli.parser("plan").parse_args(["plan", "-vv"]).verbose


def test_an_ansible_playbook_is_named_as_such(project: Project) -> None:
    project.write("playbooks/site.yml", "- name: a\n  hosts: docker\n  become: true\n  tasks: []\n")
    done = provision(project, "plan")
    assert "[0].become: this is a playbook of Ansible" in done.stderr
    assert "from-ansible" in done.stderr


def test_an_editor_that_fails_changes_nothing(project: Project) -> None:
    key = pyrage.x25519.Identity.generate().to_public()
    done = provision(project, "secrets", "edit", "--recipient", str(key), "x.age", EDITOR="false")
    assert done.returncode == 1
    assert done.stderr == "provision: the editor (false) exited with 1; nothing was changed\n"
    assert not (project.folder / "x.age").exists()


def test_a_crash_of_the_interpreter_says_where_it_was() -> None:
    code = "import os; from provision import cli; cli.main = lambda: os.kill(os.getpid(), 11); cli.console()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert 'File "<string>", line 1 in <lambda>' in done.stderr
