"""The documentation is true: its commands run, its generated pages match the code, and its READMEs agree.

A block of ``console`` (commands after ``$``, and what they print; a line of … stands for any lines) or ``sh``
(commands) runs in a temporary project, block after block of a page, as a reader types them. ``<!-- file: NAME -->``
before a block writes it into the project. ``<!-- host -->`` marks a block that needs a host, the network or root: its
commands are only parsed. A page that does not run ``provision init`` itself begins in a project that it has written.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from docsite import reference
from docsite.reference import manual
from provision import cli
from provision.report.jsonlines import EVENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GAP = "…"
PARSER = cli.parser()
TUTORIALS = ("first-host", "fleet", "from-ansible", "from-get-docker", "ci", "reference-setup")


class Block(Struct, frozen=True):
    """A fenced block: the line that it begins on, its language, the marks above it, and its text."""

    line: int
    language: str
    marks: tuple[str, ...]
    text: str


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").split("\n")
    marks: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        if mark := re.fullmatch(r"\s*<!-- (host|file: \S+) -->", line):
            marks.append(mark[1])
        elif fence := re.fullmatch(r"(\s*)```([a-z-]*)", line):
            end = next(other for other in range(number + 1, len(lines)) if lines[other] == f"{fence[1]}```")
            text = "\n".join(one.removeprefix(fence[1]) for one in lines[number + 1 : end])
            yield Block(number + 1, fence[2], tuple(marks), text)
            marks, number = [], end
        elif line.strip():
            marks = []
        number += 1


def commands(block: Block) -> list[tuple[str, list[str]]]:
    """Each command, and the lines that it must print."""
    if block.language == "sh":
        return [(re.sub(r"\\\n\s*", " ", block.text), [])]
    found: list[tuple[str, list[str]]] = []
    for line in block.text.split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def ran(page: Path) -> list[Block]:
    return [one for one in blocks(page) if one.language in ("console", "sh") and "host" not in one.marks]


@pytest.mark.parametrize("page", [one for one in PAGES if one.exists() and ran(one)], ids=named)
def test_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    bin = Path(sys.executable).parent
    environment = {"PATH": f"{bin}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    folder = tmp_path
    if not any("provision init" in one.text for one in ran(page)):
        subprocess.run([bin / "provision", "init", "."], cwd=folder, env=environment, check=True, capture_output=True)
    for block in blocks(page):
        where = f"{named(page)}:{block.line}"
        for name in (mark.removeprefix("file: ") for mark in block.marks if mark != "host"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text + "\n", encoding="utf-8")
        if block.language not in ("console", "sh") or "host" in block.marks:
            continue
        for command, expected in commands(block):
            script = f"{command}\nstatus=$?\npwd >{shlex.quote(str(tmp_path / '.where'))}\nexit $status"
            done = subprocess.run(["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
            printed = done.stdout + done.stderr
            failing = bool(re.search(r"[1-9][0-9]* errors", "\n".join(expected)))
            assert done.returncode == (1 if failing else 0), f"{where}: {command}\n{printed}"
            folder = Path((tmp_path / ".where").read_text().removesuffix("\n"))
            if expected:
                assert matches(expected, printed.split("\n")), f"{where}: {command}\n{printed}"


def matches(expected: list[str], printed: list[str]) -> bool:
    """Whether the expected lines were printed, one after the other. A gap stands for any number of lines."""
    parts = [[]]  # type: list[list[str]]
    for line in expected:
        if line == GAP:
            parts.append([])
        else:
            parts[-1].append(line)
    while printed and not printed[-1]:
        printed = printed[:-1]
    pattern = r"(?:.*\n)*".join("".join(re.escape(line) + "\n" for line in part) for part in parts)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def test_a_page_whose_printed_output_differs_is_found() -> None:
    assert matches(["a", GAP, "d"], ["a", "b", "c", "d", ""])
    assert not matches(["a", "d"], ["a", "b", "d"])
    assert not matches(["a", GAP], ["b"])


@pytest.mark.parametrize("page", [one for one in PAGES if one.exists()], ids=named)
def test_commands_of_a_page_that_need_a_host_can_be_parsed(page: Path) -> None:
    """The command line's own parser parses the commands that need a host."""
    for block in blocks(page):
        where = f"{named(page)}:{block.line}"
        if block.language == "":
            assert not re.search(r"^(\$ )?provision [a-z]+", block.text, re.MULTILINE), f"{where}: name a language"
        if block.language not in ("console", "sh"):
            continue
        for text, _ in commands(block):
            for words in simple(text):
                if words[:1] == ["provision"]:
                    parses(words[1:], where)


def simple(text: str) -> Iterator[list[str]]:
    """The simple commands of a piece of shell: the words between ``&&``, ``|`` and ``;``, without assignments, ``sudo``
    and redirections."""
    for line in text.split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("&|;"):
                words.append(word)
                continue
            words = words[: words.index(">")] if ">" in words else words
            while words and (words[0] == "sudo" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
                words = words[1:]
            if words:
                yield words
            words = []


def parses(words: list[str], where: str) -> None:
    if words == ["--version"] or words[:1] == ["--completion"]:
        return
    try:
        PARSER.parse_args(words)
    except SystemExit as error:
        raise AssertionError(f"{where}: provision {' '.join(words)} is no command") from error


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "A=b sudo provision plan -l 'a;b' >x && cd y # provision z\nprovision lint"
    assert list(simple(text)) == [["provision", "plan", "-l", "a;b"], ["cd", "y"], ["provision", "lint"]]
    with pytest.raises(AssertionError, match="is no command"):
        parses(["plan", "--no-such-option"], "here")


def test_nothing_installs_provision_by_its_name() -> None:
    """No package index has the name, so another party could register it."""
    by_name = re.compile(
        r"\b(?:install|inject)(?:[ \t]+-\S+)*[ \t]+[\"']?provision[-_]hosts(?=[\[\s\"'`,;=<>~!]|$)",
        re.MULTILINE,
    )
    assert by_name.search("pipx install provision-hosts")
    assert by_name.search("pip install --user 'provision-hosts[molecule]'")
    assert not by_name.search('pip install "$(echo ./provision_hosts-*.whl)[molecule]"')
    shown = [
        *PAGES,
        *(ROOT / "docs/man").iterdir(),
        ROOT / "action.yml",
        ROOT / ".pre-commit-hooks.yaml",
        ROOT / "SECURITY.md",
    ]
    for folder in ("provision", "molecule", "inventory", "playbooks", "templates"):
        shown += [one for one in (ROOT / folder).rglob("*") if one.suffix in (".py", ".yml", ".md", ".sh", ".j2")]
    found = [f"{named(one)}: {hit[0]}" for one in shown for hit in by_name.finditer(one.read_text(encoding="utf-8"))]
    assert found == []


def test_the_reference_pages_are_up_to_date() -> None:
    folder = ROOT / "docs/reference"
    assert {one.name: one.read_text(encoding="utf-8") for one in folder.glob("*.md")} == reference.pages(), (
        "run `make docs`"
    )


MAN = ROOT / "docs/man/provision.1"


def test_the_man_page_is_up_to_date() -> None:
    assert MAN.read_text(encoding="utf-8") == manual.page(), "run `make docs`"


@pytest.mark.parametrize("argv", [["mandoc", "-Tlint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]])
def test_the_man_page_has_no_fault(argv: list[str]) -> None:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run([*argv, MAN], capture_output=True, text=True, check=False)
    # A date would make the page differ from build to build.
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert lines == []


def test_the_man_page_has_every_command_and_option() -> None:
    text = MAN.read_text(encoding="utf-8").replace("\\-", "-")
    actions = [action for action in PARSER._actions if isinstance(action, argparse._SubParsersAction)]
    for name, command in actions[0].choices.items():
        section = text.split(f".SS provision {name}\n")[1].split(".SH ")[0]
        for option in command._option_string_actions:
            assert option in ("-h", "--help") or f"\\fB{option}\\fR" in section, f"provision {name} {option}"


#: Events that other code emits under these names: a job's frames become events of the same name (job.py).
_FRAMES = {"step.begin", "step.done", "note", "progress"}


def test_every_event_is_described() -> None:
    """The events that the code emits, and the keys that the code gives them at that place."""
    emitted: dict[str, set[str]] = {}
    for path in (*(ROOT / "provision").rglob("*.py"), *(ROOT / "tools").rglob("*.py")):
        for call in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)):
            function = call.func
            of = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if of not in ("Event", "Shown", "_emit", "emit") or not call.args:
                continue
            if of == "emit" and not call.keywords:
                continue  # a note: its argument is a text
            name = call.args[0]
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value):
                continue
            keys = emitted.setdefault(name.value, set())
            data = [*call.args[2:], *(one.value for one in call.keywords if one.arg == "data")]
            words = [word for one in data if isinstance(one, ast.Dict) for word in one.keys]
            keys |= {str(word.value) for word in words if isinstance(word, ast.Constant)}
            if of in ("_emit", "emit"):
                keys |= {one.arg for one in call.keywords if one.arg is not None and one.arg != "data"}
    assert set(emitted) | _FRAMES == set(EVENTS)
    shown = {"plan": {"items"}, "failure": {"error"}}
    for event, given in emitted.items():
        for key in given:
            assert shown.get(key, {key}) <= set(EVENTS[event].keys), f"{event}.{key} is not described"


def headings(page: Path) -> list[int]:
    lines = page.read_text(encoding="utf-8").split("\n")
    outside = re.sub(r"```.*?```", "", "\n".join(lines), flags=re.DOTALL)
    return [len(one) for one in re.findall(r"^(#+) ", outside, re.MULTILINE)]


def shapes(page: Path) -> list[tuple[int, int]]:
    """The numbers of a section's table rows and list items, for each section."""
    outside = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    sections = re.split(r"^#+ ", outside, flags=re.MULTILINE)
    return [(len(re.findall(r"^\|", one, re.M)), len(re.findall(r"^(?:- |\d+\. )", one, re.M))) for one in sections]


def uncommented(text: str) -> str:
    """A block of shell without its comments, which a translation translates."""
    return re.sub(r"(^|\s+)# .*", "", text, flags=re.M)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("README.md", "README.zh.md"),
        ("docs/guides/rollback.md", "docs/zh/rollback.md"),
        ("docs/guides/troubleshooting.md", "docs/zh/troubleshooting.md"),
        *((f"docs/start/{name}.md", f"docs/zh/{name}.md") for name in TUTORIALS),
    ],
)
def test_translations_have_the_same_sections(english: str, chinese: str) -> None:
    assert headings(ROOT / english) == headings(ROOT / chinese)
    code = [
        {uncommented(one.text) for one in blocks(ROOT / name) if one.language == "sh"} for name in (english, chinese)
    ]
    assert code[0] == code[1], "the same commands"
    assert shapes(ROOT / english) == shapes(ROOT / chinese), (
        "the same rows of tables and items of lists in each section"
    )
    files = [
        [uncommented(one.text) for one in blocks(ROOT / name) if one.language != "sh"] for name in (english, chinese)
    ]
    assert files[0] == files[1], "the same files and output"


def test_the_picture_of_a_plan_shows_what_a_reader_would_see() -> None:
    """Docker's own mirror and systemd's control groups, and not those of the lab in which it was recorded."""
    picture = (ROOT / "docs/img/plan.svg").read_text(encoding="utf-8")
    assert "https://download.docker.com/linux/debian" in picture
    assert "native.cgroupdriver=systemd" in picture
    for image in (ROOT / "docs/img").glob("*.svg"):
        text = image.read_text(encoding="utf-8")
        assert not re.search(r"198\.51\.100|cgroupfs", text), image


def test_the_chinese_readme_links_every_page_of_the_english_one() -> None:
    """To its translation where there is one."""

    def linked(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"\]\((docs/[^)#]+|[A-Z]+\.md)", text)) - {"README.md", "README.zh.md"}

    translated = {page for page in linked("README.md") if (ROOT / "docs/zh" / Path(page).name).exists()}
    english = linked("README.md") - translated
    chinese = {f"docs/zh/{Path(page).name}" for page in translated}
    assert {"docs/inventory.md", "docs/ssh.md", "docs/concepts/comparison.md"} <= english
    assert len(chinese) > 5
    assert english | chinese == linked("README.zh.md")


def test_the_chinese_comparison_says_that_a_failed_change_stays_half_done() -> None:
    rows = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md")]
    cells = [
        next(
            line
            for line in text.splitlines()
            if "| host rolls back |" in line or ("主机自行回滚" in line and "|" in line)
        )
        for text in rows
    ]
    assert cells[0].count("stays half-done") == cells[1].count("停留在变更到一半的状态") == 3


def test_the_readmes_link_to_each_other() -> None:
    assert "(README.zh.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(README.md)" in (ROOT / "README.zh.md").read_text(encoding="utf-8")
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split("\n")) < 100, (
        "the page fits two screens of a browser"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("lint", "--format", "json"),
        ("lint", "--format", "sarif"),
        ("inventory", "--list"),
        ("schema",),
        ("plan", "--json", "--connect-timeout", "1"),
        ("render", "web1"),
    ],
    ids=" ".join,
)
def test_a_chinese_locale_does_not_change_json_output(words: tuple[str, ...], tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "provision"
    subprocess.run([program, "init", tmp_path], check=True, capture_output=True)
    (tmp_path / "inventory/hosts.yml").write_text(
        "docker: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1, note: 镜像}}}\n", encoding="utf-8"
    )

    def output(**locale: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **locale}
        done = subprocess.run([program, *words], cwd=tmp_path, env=environment, capture_output=True, check=False)
        text = done.stdout.decode("utf-8")
        # Times, and the names of runs, differ in each run.
        return re.sub(r'"(at|seconds)": [0-9.]+', "", text)

    plain = output(LC_ALL="C.UTF-8")
    assert plain
    assert output(LANG="zh_CN.UTF-8", LC_ALL="zh_CN.UTF-8", LANGUAGE="zh_CN:zh") == plain


def test_the_site_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    """The strict build succeeds, and its pages load no file from another host."""
    site = tmp_path / "site"
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    loads = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)")
    assert loads.findall('<script defer src="//host.example/x.js">') == ["//host.example/x.js"]
    for page in site.rglob("*.html"):
        assert not loads.findall(page.read_text(encoding="utf-8")), page
    for style in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        assert not re.findall(r"url\([\"']?(?:https?:)?//[^)]+", style.read_text(encoding="utf-8")), style
    assert 'lang="zh"' in (site / "zh/index.html").read_text(encoding="utf-8")
    assert 'lang="en"' in (site / "index.html").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        tabs = re.findall(r'md-tabs__link">\s*(.+?)\s*</a>', page.read_text(encoding="utf-8"), re.DOTALL)
        chinese = page.relative_to(site).parts[0] == "zh"
        assert page.name == "404.html" or tabs[:2] == (["首页", "入门"] if chinese else ["Home", "Start"]), page
