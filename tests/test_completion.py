"""Shell completion: the answers of provision, and real shells (bash always, zsh and fish if they are installed)."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision import cli
from provision.commands import completing, completion
from provision.lint.rules import RULES
from tests.conftest import Project

RUN = "20260101T000000Z-1"
NEWER = "20260201T000000Z-2"
#: Seconds for one answer of a shell on a machine with a high load.
PATIENCE = 120


@pytest.fixture
def home(project: Project, tmp_path: Path) -> dict[str, str]:
    """A project with hosts, runs and an inventory script, and the environment of an account that has provision."""
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: , web2: , db1: }}\nedge: {hosts: {proxy1: }}\n")
    project.write("other.ini", "[spare]\nold1\n")
    script = project.write("inventory/script", f"#!/bin/sh\n: >{tmp_path}/started\necho '{{}}'\n")
    script.chmod(0o755)
    for name, mode in ((RUN, "apply"), (NEWER, "rollback")):
        project.write(f"playbooks/.provision/runs/{name}/run.json", f'{{"run": "{name}", "mode": "{mode}"}}')
    project.write("playbooks/site.yml", "[]\n")
    program = project.write("../bin/provision", f'#!/bin/sh\nexec {sys.executable} -m provision "$@"\n')
    program.chmod(0o755)
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "XDG_", "BASH_"))}
    path = f"{program.parent.resolve()}:{os.environ['PATH']}"
    root = str(Path(cli.__file__).parent.parent)
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "PATH": path,
        "PYTHONPATH": root,
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def provision(project: Project, home: dict[str, str], *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = ["provision", *words]
    return subprocess.run(
        argv,
        cwd=project.folder,
        env={**home, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def answer(project: Project, home: dict[str, str], *words: str) -> tuple[str, list[str]]:
    """The first line, and the values."""
    done = provision(project, home, "--complete", "zsh", *words)
    assert (done.returncode, done.stderr) == (0, "")
    kind, *lines = done.stdout.splitlines()
    return kind.rstrip("\t"), [line.partition("\t")[0] for line in lines]


VALUES = [
    ("app", ["apply"]),
    ("--comp", ["--completion"]),
    ("--completion z", ["zsh"]),
    ("apply --max-i", ["--max-impact"]),
    ("apply --max-impact re", ["reload", "restart"]),
    ("apply --max-impact=st", ["--max-impact=stop"]),
    ("plan --limit web", ["web1", "web2"]),
    ("plan --limit d", ["docker", "db1"]),
    ("plan -kKl web1,!db", ["web1,!db1"]),
    ("plan --limit=docker:&web", ["--limit=docker:&web1", "--limit=docker:&web2"]),
    ("plan -i other.ini -l o", ["old1"]),
    ("plan -iother.ini -l o", ["old1"]),
    ("plan --inv other.ini -l o", ["old1"]),
    ("plan -i x1,x2, -l x", ["x1", "x2"]),
    ("render d", ["db1"]),
    ("inventory --host p", ["proxy1"]),
    ("inventory --graph e", ["edge"]),
    ("verify --suite da", ["daemon"]),
    ("verify --suite daemon --suite s", None),
    ("lint --ignore DJ00", ["DJ001", "DJ002", "DJ003"]),
    ("runs sh", ["show"]),
    ("secrets e", ["encrypt", "edit"]),
    ("secrets ca --ren", ["--renew"]),
    ("nonsense x", []),
    ("lab nonsense x", []),
    ("plan --nonsense=x", []),
    ("plan --forks 1", []),
    ("plan --forks x -l db", ["db1"]),
]


@pytest.mark.parametrize(("line", "wanted"), VALUES, ids=[line for line, _ in VALUES])
def test_values(project: Project, home: dict[str, str], line: str, wanted: list[str] | None) -> None:
    kind, found = answer(project, home, *line.split())
    assert kind == "values"
    if wanted is None:
        assert found
    else:
        assert found == wanted


@pytest.mark.parametrize("line", ["rollback 2026", "report 2026", "runs show 2026", "apply --resume 2026"])
def test_runs_are_listed_from_the_newest(project: Project, home: dict[str, str], line: str) -> None:
    assert answer(project, home, *line.split()) == ("ordered", [NEWER, RUN])


def test_the_runs_are_those_of_the_playbook(project: Project, home: dict[str, str]) -> None:
    project.write("other/.provision/runs/20250101T000000Z-3/run.json", "{broken")
    assert answer(project, home, "apply", "other/site.yml", "--limit-failed", "") == ("ordered", ["20250101T000000Z-3"])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("plan pl", "files"),
        ("plan -i in", "files"),
        ("plan --out=x", "files\t--out="),
        ("plan -l @x", "files\t@"),
        ("plan -e @x", "files\t@"),
        ("init n", "folders"),
        ("render web1 -o n", "folders"),
        ("plan -- pl", "files"),
        ("runs show X pl", "files"),
    ],
)
def test_the_shell_completes_files(project: Project, home: dict[str, str], line: str, kind: str) -> None:
    assert answer(project, home, *line.split()) == (kind, [])


def test_an_option_that_was_given_is_not_offered_again(project: Project, home: dict[str, str]) -> None:
    _, found = answer(project, home, "plan", "--limit", "web1", "-e", "a=b", "-")
    assert {"--extra-vars", "--forks"} <= set(found)
    assert "--limit" not in found


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
        else:
            yield action


#: Names of values that only the operator knows.
FREE = {
    "COMMAND",
    "EXPRESSION",
    "HOSTS",
    "ID",
    "ID@SOURCE",
    "KEY",
    "MIRROR",
    "N",
    "NAME",
    "S",
    "URL",
    "USER",
    "VERSION",
}


def test_every_value_is_completed_or_known_to_be_free() -> None:
    """Each name of a value is completed, or listed as free text. Decide this here for a new name."""
    for action in _actions(cli.parser()):
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        if action.nargs != 0 and action.choices is None and name not in completing._VALUES:
            # FORKS, PLAYBOOK: a value without a name of its own is a file (by its type) or a number.
            assert name in FREE or action.type is not None or action.metavar is None, (action.option_strings, name)


def test_explain_completes_kinds_codes_and_rules(project: Project, home: dict[str, str]) -> None:
    assert answer(project, home, "explain", "host_") == ("values", ["host_key"])
    assert answer(project, home, "explain", "DJ10") == ("values", [id_ for id_ in RULES if id_.startswith("DJ10")])
    assert answer(project, home, "explain", "13") == ("values", ["130"])


# -- nothing is run, nothing is shown --


def test_no_program_of_the_project_runs(project: Project, home: dict[str, str], tmp_path: Path) -> None:
    project.write("inventory/plugin.yml", "plugin: amazon.aws.aws_ec2\n")
    project.write("vault-password", f"#!/bin/sh\n: >{tmp_path}/started\necho x\n").chmod(0o755)
    project.write("ansible.cfg", "[defaults]\nvault_password_file = ./vault-password\n")
    project.write("inventory/secret.yml", "$ANSIBLE_VAULT;1.1;AES256\n3132\n")
    assert answer(project, home, "plan", "-l", "web") == ("values", ["web1", "web2"])
    assert not (tmp_path / "started").exists()
    # The script is one that an inventory runs.
    assert provision(project, home, "inventory", "-i", "inventory/script", "--list").returncode == 0
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "text", ["docker: [\n", "docker: {hosts: 3}\n", "\0", "a: {children: {b: {children: {a: }}}}\n"]
)
def test_a_broken_file_hides_no_other_file(project: Project, home: dict[str, str], text: str) -> None:
    project.write("inventory/broken.yml", text)
    assert answer(project, home, "plan", "-l", "web")[1] == ["web1", "web2"]
    assert answer(project, home, "plan", "-i", "inventory/broken.yml", "-l", "web")[1] == []
    assert answer(project, home, "plan", "-i", "missing", "-i", "other.ini", "-l", "ol")[1] == ["old1"]


def test_a_pipe_is_not_waited_for(project: Project, home: dict[str, str]) -> None:
    for name in ("pipe", "inventory/pipe"):
        os.mkfifo(project.folder / name)
    assert answer(project, home, "plan", "-i", "pipe", "-i", "inventory", "-l", "web")[1] == ["web1", "web2"]


def test_a_name_with_a_meaning_for_a_shell_is_not_offered(project: Project, home: dict[str, str]) -> None:
    names = ["'web$(touch x)'", "'web`touch x`'", "'web;x'", '"web\\e[31m"', "web9"]
    for number, name in enumerate(names):
        project.write(f"inventory/{number}.yml", f"docker: {{hosts: {{{name}: }}}}\n")
    assert answer(project, home, "plan", "-l", "web")[1] == ["web1", "web2", "web9"]
    project.write("playbooks/.provision/runs/2027$(touch x)/run.json", '{"mode": "\\u001b[31m"}')
    assert answer(project, home, "rollback", "2")[1] == [NEWER, RUN]


def test_an_error_is_an_empty_answer(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(*words: object) -> str:
        raise RuntimeError("a fault of provision")

    monkeypatch.setattr(completing, "answer", broken)
    assert cli.main(["--complete", "bash", "pl"]) == 0
    assert cli.main(["--complete"]) == 0
    assert capfd.readouterr() == ("", "")


# -- real shells --


class Terminal:
    """An interactive shell at a terminal. ``typed`` sends keys and returns what the line then has."""

    def __init__(self, argv: list[str], begin: str, project: Project, home: dict[str, str], saved: Path) -> None:
        self.saved, self.seen = saved, b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(project.folder)
            environment = {**home, "PS1": "READY> ", "HISTFILE": "", "INPUTRC": "/dev/null"}
            os.execvpe(argv[0], argv, environment)  # noqa: S606
        os.write(self.terminal, f"{begin}\necho be''gun\n".encode())
        # Before the prompt, the terminal handles keys, and not the shell's editor.
        self.until(lambda: re.search(rb"\nbegun\r?\n[^$]*READY> ", self.seen) is not None)

    def until(self, done: Callable[[], bool]) -> None:
        limit = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < limit, self.seen.decode(errors="replace")
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.seen += os.read(self.terminal, 65536)

    def typed(self, keys: str) -> str:
        """Ctrl-X D writes the line to a file, and Ctrl-U clears it."""
        self.saved.unlink(missing_ok=True)
        os.write(self.terminal, f"{keys}\x18d".encode())
        self.until(lambda: self.saved.exists() and self.saved.read_text().endswith("\n"))
        os.write(self.terminal, b"\x15")
        return self.saved.read_text()[:-1]

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture
def bash(project: Project, home: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    saved = tmp_path / "line"
    begin = f"""eval "$(provision --completion bash)"; bind 'set enable-bracketed-paste off'; set +H
dump() {{ printf '%s\\n' "$READLINE_LINE" >{saved}; }}; bind -x '"\\C-xd": dump'"""
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"], begin, project, home, saved)
    yield shell
    shell.end()


@pytest.fixture(params=["evaluated", "autoloaded"])
def zsh(request: pytest.FixtureRequest, project: Project, home: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    saved = tmp_path / "line"
    compinit = f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump"
    begin = f'{compinit}; eval "$(provision --completion zsh)"'
    if request.param == "autoloaded":
        (tmp_path / "functions").mkdir()
        (tmp_path / "functions/_provision").write_text(completion.script("zsh"))
        begin = f"fpath=({tmp_path}/functions $fpath); {compinit}"
    begin += f"""; unsetopt BANG_HIST ALWAYS_LAST_PROMPT
dump() {{ print -r -- "$BUFFER" >{saved} }}; zle -N dump; bindkey '^Xd' dump"""
    shell = Terminal(["zsh", "-f", "-i"], begin, project, home, saved)
    yield shell
    shell.end()


LINES = [
    ("provision app\t", "provision apply "),
    ("provision apply --max-i\t", "provision apply --max-impact "),
    ("provision plan -l d\x7fdb\t", "provision plan -l db1 "),
    ("provision plan --limit=pro\t", "provision plan --limit=proxy1 "),
    ("provision plan -l web1:pro\t", "provision plan -l web1:proxy1 "),
    ("provision plan -l 'all:!db\t", "provision plan -l 'all:!db1' "),
    ("provision plan -i other.ini -l sp\t", "provision plan -i other.ini -l spare "),
    ("provision plan -i 'other.ini' -l sp\t", "provision plan -i 'other.ini' -l spare "),
    ("provision plan -i oth\t", "provision plan -i other.ini "),
    ("provision plan --out=oth\t", "provision plan --out=other.ini "),
    ("provision plan -l @oth\t", "provision plan -l @other.ini "),
    ("provision rollback 202602\t", f"provision rollback {NEWER} "),
    ("provision verify --suite daem\t", "provision verify --suite daemon "),
    ("provision lint --ignore DJ00\t1\t", "provision lint --ignore DJ001 "),
    ("provision init inv\t", "provision init inventory/"),
    ("provision plan -l nothing\t", "provision plan -l nothing"),
    # Libraries that get the whole line, or let argparse read it, complete none of these.
    ("cd . && provision plan -l db\t", "cd . && provision plan -l db1 "),
    ("A=1 provision plan -l db\t", "A=1 provision plan -l db1 "),
    ("provision plan --forks x -l db\t", "provision plan --forks x -l db1 "),
    ("provision plan -i ~/ow\t", "provision plan -i ~/own.ini "),
]


def test_lines_at_a_terminal_in_bash(bash: Terminal) -> None:
    _check_lines(bash)


def test_lines_at_a_terminal_in_zsh(zsh: Terminal) -> None:
    _check_lines(zsh)


def _check_lines(terminal: Terminal) -> None:
    (terminal.saved.parent / "home/own.ini").touch()
    found = {keys: terminal.typed(keys) for keys, _ in LINES}
    assert found == dict(LINES)
    shown = terminal.seen.decode(errors="replace")
    assert not re.search(r"error|not found|Traceback|provision:", shown), shown


def test_bash_shows_all_values(bash: Terminal) -> None:
    assert bash.typed("provision plan -l web\x1b*") == "provision plan -l web1 web2 "
    assert bash.typed("provision rollback 2\x1b*") == f"provision rollback {NEWER} {RUN} "


def test_zsh_shows_all_values_with_their_description(zsh: Terminal) -> None:
    zsh.typed("provision rollback 2\t\t")
    # The terminal's output may arrive after the line.
    for text in (f"{RUN}  -- apply", f"{NEWER}  -- rollback"):
        zsh.until(lambda text=text: text.encode() in zsh.seen)  # type: ignore[misc]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_lines_in_fish(project: Project, home: dict[str, str]) -> None:
    lines = {
        "provision app": ["apply\tbring the hosts into the desired state"],
        "provision plan -l web": ["web1\thost", "web2\thost"],
        "provision plan -l 'all:!db": ["all:!db1\thost"],
        "provision plan --limit=pro": ["--limit=proxy1\thost"],
        "provision plan -i 'other.ini' -l sp": ["spare\tgroup"],
        "provision plan -i oth": ["other.ini"],
        "provision plan --out=oth": ["--out=other.ini"],
        "provision plan -l @oth": ["@other.ini"],
        "provision rollback 2": [f"{NEWER}\trollback", f"{RUN}\tapply"],
        "provision init inv": ["inventory/\tDirectory"],
        "provision lint --ignore DJ001": ["DJ001\tjson-syntax"],
        "provision plan -l nothing": [],
    }
    installed = provision(project, home, "--completion", "fish", "--install")
    assert installed.returncode == 0, installed.stderr
    for line, wanted in lines.items():
        code = "complete -C $argv[1]"
        done = subprocess.run(
            ["fish", "-c", code, line], cwd=project.folder, env=home, capture_output=True, text=True, check=True
        )
        assert (done.stdout.splitlines(), done.stderr) == (wanted, ""), line


# -- the installation --


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".local/share/bash-completion/completions/provision"),
        ("zsh", ".local/share/zsh/site-functions/_provision"),
        ("fish", ".config/fish/completions/provision.fish"),
    ],
)
def test_install_writes_one_file_and_no_other(project: Project, home: dict[str, str], shell: str, file: str) -> None:
    done = provision(project, home, "--completion", "--install", SHELL=f"/bin/{shell}")
    path = Path(home["HOME"]) / file
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"wrote {path}\n")
    assert path.read_text() == completion.script(shell)
    assert [one for one in Path(home["HOME"]).rglob("*") if one.is_file()] == [path]
    again = provision(project, home, "--completion", shell, "--install")
    assert again.stdout.startswith(f"up to date: {path}\n")
    path.write_text(f"{path.read_text()}# of an earlier version\n")
    assert provision(project, home, "--completion", shell, "--install").stdout.startswith(f"wrote {path}\n")
    assert path.read_text() == completion.script(shell)


def test_install_follows_the_xdg_directories(project: Project, home: dict[str, str], tmp_path: Path) -> None:
    done = provision(project, home, "--completion", "bash", "--install", XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.stdout.startswith(f"wrote {tmp_path}/data/bash-completion/completions/provision\n")
    done = provision(project, home, "--completion", "fish", "--install", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert done.stdout.startswith(f"wrote {tmp_path}/config/fish/completions/provision.fish\n")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_install_uses_a_directory_of_fpath(project: Project, home: dict[str, str]) -> None:
    own = Path(home["HOME"]) / "functions"
    own.mkdir()
    (Path(home["HOME"]) / ".zshrc").write_text(f"echo welcome; fpath=({own} $fpath)\n")
    done = provision(project, home, "--completion", "zsh", "--install")
    assert done.stdout.splitlines()[0] == f"wrote {own}/_provision"
    assert "fpath=" not in done.stdout
    # The new file, found by a new shell.
    code = "autoload -Uz compinit; compinit -u -D; print -r -- $_comps[provision]"
    shown = subprocess.check_output(["zsh", "-ic", code], env=home, text=True, stdin=subprocess.DEVNULL)
    assert shown.splitlines()[-1] == "_provision"


def test_without_a_directory_of_fpath_the_line_for_zshrc_is_named(project: Project, home: dict[str, str]) -> None:
    done = provision(project, home, "--completion", "zsh", "--install")
    assert f"fpath=({home['HOME']}/.local/share/zsh/site-functions $fpath)\n" in done.stdout


@pytest.mark.parametrize("text", ["", "complete -c provision\n", "#\n#\n# made by `provision --completion bash`\n"])
def test_install_replaces_no_file_of_another_program(project: Project, home: dict[str, str], text: str) -> None:
    file = Path(home["HOME"]) / ".config/fish/completions/provision.fish"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = provision(project, home, "--completion", "fish", "--install")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"provision: {file} is not replaced: provision did not write it" in done.stderr
    assert file.read_text() == text


def test_install_follows_no_link(project: Project, home: dict[str, str], tmp_path: Path) -> None:
    file = Path(home["HOME"]) / ".config/fish/completions/provision.fish"
    file.parent.mkdir(parents=True)
    (tmp_path / "kept").write_text(completion.script("fish") + "# more\n")
    file.symlink_to(tmp_path / "kept")
    done = provision(project, home, "--completion", "fish", "--install")
    assert (done.returncode, f"{file} is a link" in done.stderr) == (1, True)
    assert (tmp_path / "kept").read_text().endswith("# more\n")


def test_an_unknown_shell_is_an_error(project: Project, home: dict[str, str]) -> None:
    done = provision(project, home, "--completion", "--install", SHELL="/bin/tcsh")
    assert (done.returncode, done.stdout) == (1, "")
    assert "give the shell's name" in done.stderr
    assert provision(project, home, "--completion", "tcsh").returncode == 1
