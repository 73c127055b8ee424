"""Imports go one way, effects stay in their room, and every command is documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from provision import cli

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "provision"

#: From the ground floor up; a module may import from lower floors and from its own.
FLOORS = [
    ("model", "errors", "visible", "lines"),
    ("limits",),
    ("secret", "disclosure", "blobs", "private"),
    ("sealing",),
    ("yamlfile", "distros", "wire", "work", "waves", "authority"),
    ("merge", "sandbox", "render", "script", "formats"),
    ("daemon_keys", "imagestore"),
    ("resources", "spec", "validate", "pacing"),
    ("inventory", "playbook", "engine", "doctor", "manifest", "schema", "lockfile", "impact"),
    ("declare",),
    ("compose",),
    ("needs",),
    ("desire",),
    ("plan", "planfile", "load", "lint", "back"),
    ("transport", "signing"),
    ("job",),
    ("tasks",),
    ("verify",),
    ("rollout",),
    ("commands",),
    ("completion",),
    ("cli",),
    ("__main__",),
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
#: What stands beside the house: may import these of ours, and nobody but commands imports it.
ASIDE = {"report": {"model", "visible", "lines"}, "lab": {"errors", "lines"}}
#: The only rooms that may import what reaches out.
ONLY = {
    "fabric": {"transport", "job", "tasks", "verify", "rollout"},
    "paramiko": {"transport"},
    "subprocess": {"lab", "commands", "rollout", "signing", "transport"},
    "rich": {"report"},
    "pytest": {"verify"},
    "testinfra": {"verify"},
}
#: A witness must not ask those whose work it judges.
INDEPENDENT = {"resources", "desire", "plan", "script", "manifest", "tasks"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: no relative imports"
            found.update(
                [f"provision.{a.name}" for a in node.names] if node.module == "provision" else [str(node.module)]
            )
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top in ONLY:
            assert here in ONLY[top], f"{path} must not import {top}"
        if top != "provision" or rest.startswith("__version__"):
            continue
        other = rest.partition(".")[0]
        if here in ASIDE:
            assert other in ASIDE[here] | {here}, f"{path} imports {name}"
        elif here == "verify" and other != "verify":
            assert other not in INDEPENDENT, f"{path} imports {name}"
            assert FLOOR[other] < FLOOR[here]
        elif other in ASIDE:
            assert here == "commands", f"{path} imports {name}"
        else:
            assert FLOOR[other] <= FLOOR[here], f"{path} imports {name}, which is above it"


def test_every_module_has_a_floor() -> None:
    assert {room(path) for path in modules()} == {*FLOOR, *ASIDE}


def test_modules_on_one_floor_have_no_ring() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import provision.cli, provision.rollout.fleet, provision.lab.fleet"], check=False
    )
    assert done.returncode == 0


def test_no_file_is_called_utils() -> None:
    assert not [path for path in PACKAGE.rglob("*") if path.stem in ("utils", "util", "helpers", "common", "misc")]


def test_every_command_is_documented() -> None:
    parser = cli.parser()
    manual = (ROOT / "docs/commands.md").read_text()
    for name in cli.COMMANDS:
        assert f"## `provision {name}`" in manual, f"docs/commands.md says nothing of {name}"
    actions = [action for action in parser._actions if action.dest == "command"]
    for name, command in actions[0].choices.items():  # type: ignore[union-attr]  # a mapping of parsers
        section = manual.split(f"## `provision {name}`")[1].split("\n## ")[0]
        for action in command._actions:
            for option in action.option_strings:
                if option.startswith("--") and option != "--help":
                    assert option in manual, f"docs/commands.md says nothing of {name} {option}"
        assert len(section.strip()) > 80


def test_every_spec_key_is_documented() -> None:
    from provision.schema import playbook_schema

    manual = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("spec", "rollout", "containers"))
    for name, model in playbook_schema()["$defs"].items():
        for key in model.get("properties", {}):
            assert f"`{key}`" in manual, f"docs/spec.md, rollout.md and containers.md say nothing of {name}.{key}"


#: Modules that read what a host reports.
HOST_TEXT = {"resources", "manifest", "back", "work", "doctor", "tasks", "plan", "job"}


def test_text_is_split_as_the_host_splits_it() -> None:
    """str.splitlines, and str.split and str.strip without arguments, know more line ends and blanks than a host."""
    wrong = []
    for path in modules():
        taken = {"splitlines", *(("split", "rsplit", "strip", "lstrip", "rstrip") if room(path) in HOST_TEXT else ())}
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name = node.func.attr
            if name in taken and (name == "splitlines" or not (node.args or node.keywords)):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: .{name}()")
    assert not wrong, f"use provision.lines: {wrong}"


#: Where a secret becomes its value: the script of a job, the comparison with a host's file, a login's password.
REVEALING = {
    "secret.py",
    "script.py",
    "resources/file.py",
    "resources/docker/container.py",
    "inventory/login.py",
    "verify/declared/host.py",
    "verify/declared/objects.py",
    "verify/declared/registry.py",
}


def test_secrets_are_revealed_where_they_must_be_and_nowhere_else() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in modules() if re.search(r"\breveal", path.read_text())}
    assert found == REVEALING


@pytest.mark.parametrize("path", sorted((PACKAGE / "sh/look").glob("*.sh")), ids=lambda path: path.name)
def test_each_look_says_which_programs_it_starts(path: Path) -> None:
    """In the comment that it begins with: a fork on a thousand hosts wants a reason."""
    head = "".join(line for line in path.read_text().partition("\n\n")[0].splitlines(keepends=True) if line[:1] == "#")
    assert re.search(r"\b(forks?:|no fork|its forks)", head, re.IGNORECASE), f"{path.name} says nothing of its forks"


#: Packages of which provision uses something private, by the module that does.
PRIVATE = {
    "paramiko": ("transport/tunnel.py", r"\._channel_handler_table"),
    "fabric": ("transport/line.py", r"class Line\(Connection\)"),
    "pytest": ("verify/plugin.py", r"\._fixtureinfo"),
    "pytest-testinfra": ("verify/unlock.py", r"testinfra\.modules\.modules"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_used_privately_has_an_upper_bound(name: str) -> None:
    module, use = PRIVATE[name]
    assert re.search(use, (PACKAGE / module).read_text()), f"{module} uses nothing private of {name} any more"
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bounds,) = (text.removeprefix(name) for text in dependencies if re.match(rf"{name}[<>=]", text))
    assert re.search(r",<\d+$", bounds), f"{name}{bounds} takes any later version"
