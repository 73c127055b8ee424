"""Imports have one direction, effects stay in their packages, and every command is documented."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from provision import cli

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "provision"

#: From the bottom up. A module may import its own package and the packages of lower layers, no others, so packages have
#: no cycle. A name is a package or a module directly in ``provision/``.
LAYERS = [
    ("errors", "lines", "model", "visible", "whole_file"),
    ("explanations", "limits"),
    ("secrets",),
    ("text",),
    ("distros",),
    ("remote",),
    ("spec",),
    ("engine",),
    ("steps",),
    ("inventory", "resources"),
    ("project",),
    ("catalog",),
    ("lint", "load", "planning"),
    ("transport",),
    ("tasks",),
    ("rollout", "verify"),
    ("commands",),
    ("cli",),
    ("start",),
    ("__main__",),
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
#: Packages next to the layers: each may import these, and only commands imports it.
ASIDE = {"report": {"errors", "model", "visible", "lines", "whole_file"}, "lab": {"errors", "lines"}}
#: The only packages and modules that may import these libraries.
ONLY = {
    "fabric": {"transport", "tasks", "verify", "rollout"},
    "paramiko": {"transport"},
    "subprocess": {"lab", "commands", "rollout", "secrets.signing", "inventory", "transport"},
    "rich": {"report"},
    "pytest": {"verify"},
    "testinfra": {"verify"},
}
#: verify checks the work of these packages, so it must not import them.
INDEPENDENT = {"resources", "steps", "catalog", "planning", "remote", "tasks", "rollout"}


def dotted(path: Path, package: Path = PACKAGE) -> str:
    """``resources.docker.image``: a module's name below ``provision``."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(name: str) -> str:
    """The package of a module, or the module itself if it is directly in ``provision/``."""
    return name.partition(".")[0]


def among(name: str, places: set[str]) -> bool:
    """Whether a module is one of these or inside one of them."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def modules(package: Path = PACKAGE) -> list[Path]:
    return [path for path in sorted(package.rglob("*.py")) if path != package / "__init__.py"]


def imports(path: Path) -> set[str]:
    """Everything that a module imports, wherever in it: ``provision.a.b.c`` for ``from provision.a.b import c``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: no relative imports"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Each module -> the modules of provision that it imports, also those that it imports inside functions."""
    paths = {dotted(path, package): path for path in modules(package)}
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        internal = [one.removeprefix("provision.") for one in imports(path) if one.startswith("provision.")]
        # A name that is no module is a name in a module.
        found[name] = {one if one in paths else one.rpartition(".")[0] for one in internal} & {*paths}
    return found


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """The first cycle that a depth-first search finds, as a path that ends where it begins; empty for none."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(edges.get(name, ())):
                if found := search(other, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := search(name, []))), [])


def test_modules_have_no_import_cycle() -> None:
    assert cycle(graph()) == []


def test_a_cycle_through_an_import_inside_a_function_is_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_text("from provision.sub.b import late\nfrom provision.d import x\n")
    (tmp_path / "sub/b.py").write_text("def late():\n    from provision import c\n")
    (tmp_path / "c.py").write_text("import provision.a\n")
    (tmp_path / "d.py").write_text("x = 1\n")
    assert cycle(graph(tmp_path)) == ["a", "sub.b", "c", "a"]
    (tmp_path / "c.py").write_text("import provision.d\n")
    assert cycle(graph(tmp_path)) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path: Path) -> None:
    here = dotted(path)
    package = package_of(here)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top in ONLY:
            assert among(here, ONLY[top]), f"{path} must not import {top}"
        other = package_of(rest)
        if top != "provision" or other in (package, "__version__"):
            continue
        if package in ASIDE:
            assert other in ASIDE[package], f"{path} imports {name}"
        elif other in ASIDE:
            assert package == "commands", f"{path} imports {name}"
        else:
            assert LAYER[other] < LAYER[package], f"{path} imports {name}, which is not of a lower layer"
        assert package != "verify" or not among(rest, INDEPENDENT), f"{path} imports {name}"


def test_every_package_has_a_layer() -> None:
    assert {package_of(dotted(path)) for path in modules()} == {*LAYER, *ASIDE}


#: The documented API, and pytest's plugin.
PUBLIC = {
    "provision.tasks": ("look", "fix", "apply"),
    "provision.load": ("load", "Loaded", "Logins"),
    "provision.verify.standalone": ("pytest_addoption",),
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_api_can_be_imported_by_itself(module: str) -> None:
    names = ", ".join(PUBLIC[module])
    done = subprocess.run([sys.executable, "-c", f"from {module} import {names}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_no_file_is_called_utils() -> None:
    assert not [path for path in PACKAGE.rglob("*") if path.stem in ("utils", "util", "helpers", "common", "misc")]


def _options(command: argparse.ArgumentParser) -> set[str]:
    found = {option for action in command._actions for option in action.option_strings}
    return {option for option in found if option.startswith("--") and option != "--help"}


def test_every_command_is_documented() -> None:
    parser = cli.parser()
    manual = (ROOT / "docs/commands.md").read_text()
    for name in cli.COMMANDS:
        assert f"## `provision {name}`" in manual, f"docs/commands.md says nothing of {name}"
    actions = [action for action in parser._actions if action.dest == "command"]
    commands = actions[0].choices
    taken = Counter(option for command in commands.values() for option in _options(command))  # type: ignore[union-attr]
    for name, command in commands.items():  # type: ignore[union-attr]  # a mapping of parsers
        section = manual.split(f"## `provision {name}`")[1].split("\n## ")[0]
        for option in _options(command):
            # An option that several commands take is described once.
            where = manual if taken[option] > 1 else section
            assert re.search(rf"{option}(?![\w-])", where), f"docs/commands.md says nothing of {name} {option}"
        assert len(section.strip()) > 80


def test_every_spec_key_is_documented() -> None:
    from provision.project.playbook import playbook_schema

    manual = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("spec", "rollout", "containers"))
    for name, model in playbook_schema()["$defs"].items():
        for key in model.get("properties", {}):
            assert f"`{key}`" in manual, f"docs/spec.md, rollout.md and containers.md say nothing of {name}.{key}"


#: Modules that read what a host reports.
HOST_TEXT = {"resources", "planning", "remote.transaction", "tasks", "transport.job"}


def test_text_of_a_host_is_split_only_by_the_hosts_rules() -> None:
    """str.splitlines, and str.split and str.strip without arguments, use more line ends and blanks than a host's
    programs."""
    wrong = []
    for path in modules():
        taken = {
            "splitlines",
            *(("split", "rsplit", "strip", "lstrip", "rstrip") if among(dotted(path), HOST_TEXT) else ()),
        }
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name = node.func.attr
            if name in taken and (name == "splitlines" or not (node.args or node.keywords)):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: .{name}()")
    assert not wrong, f"use provision.lines: {wrong}"


#: A call's function is read by three kinds of module: one makes text of it, one looks a step up by its name, one writes
#: a plan.
NAMING = {"remote.script", "remote.transaction", "planning.planfile"}


def matched(text: str) -> list[int]:
    """Lines that read the function of a call, or one of its arguments by position."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr == "function":
            found.append(node.lineno)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".args"):
            # The arguments of an exception are not those of a call.
            found += [node.lineno] if ast.unparse(node.value) != "error.args" else []
    return sorted(found)


def test_no_module_matches_the_name_of_a_step() -> None:
    """The constructor of a step (provision/steps) sets what other modules must know in fields of the Call."""
    wrong = {
        str(path.relative_to(PACKAGE)): lines
        for path in modules()
        if not among(dotted(path), {*NAMING, "model"}) and (lines := matched(path.read_text()))
    }
    assert not wrong, f"give the Call a field, and fill it in in provision/steps: {wrong}"
    # Modules that may read the name must not compare it.
    for name in NAMING:
        text = (PACKAGE / f"{name.replace('.', '/')}.py").read_text()
        compared = [
            node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Compare) and matched(ast.unparse(node))
        ]
        assert not compared, f"{name}: {[ast.unparse(node) for node in compared]}"


def test_a_match_of_a_steps_name_is_found() -> None:
    assert matched('if call.function == "svc_settle":\n    pass') == [1]
    assert matched('verbs = {"a"}\nx = call.function in verbs') == [2]
    assert matched('call.function.startswith("svc_")') == [1]
    assert matched("unit, _ = call.args[:2]\nx = step.call.args[0]") == [1, 2]
    assert matched("x = error.args[0]\ny = call.settled\nz = len(call.args)") == []


#: Where a secret is replaced by its value: the script of a job, the comparison with a host's file, a login's password.
REVEALING = {
    "secrets/secret.py",
    "remote/script.py",
    "resources/file.py",
    "resources/docker/container.py",
    "inventory/login.py",
    "verify/declared/system.py",
    "verify/declared/objects.py",
    "verify/declared/registries.py",
}


def test_secrets_are_revealed_only_in_the_listed_modules() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in modules() if re.search(r"\breveal", path.read_text())}
    assert found == REVEALING


LOOKS = [path for kind in ("look", "resources") for path in sorted((PACKAGE / "sh" / kind).glob("*.sh"))]


@pytest.mark.parametrize("path", LOOKS, ids=lambda path: path.name)
def test_each_look_justifies_its_forks_in_the_files_head(path: Path) -> None:
    """The comment at the top of the file gives the reason: each fork is multiplied by the number of hosts."""
    head = "".join(line for line in path.read_text().partition("\n\n")[0].splitlines(keepends=True) if line[:1] == "#")
    assert re.search(r"\b(forks?:|no fork|its forks)", head, re.IGNORECASE), f"{path.name} says nothing of its forks"


#: Packages of which provision uses something private, by the module that uses it.
PRIVATE = {
    "paramiko": ("transport/tunnel.py", r"\._channel_handler_table"),
    "fabric": ("transport/line.py", r"class Line\(Connection\)"),
    "pytest": ("verify/plugin.py", r"\._fixtureinfo"),
    "pytest-testinfra": ("verify/backend.py", r"testinfra\.modules\.modules"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_a_dependency_with_private_use_has_an_upper_version_bound(name: str) -> None:
    module, use = PRIVATE[name]
    assert re.search(use, (PACKAGE / module).read_text()), f"{module} uses nothing private of {name} any more"
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bounds,) = (text.removeprefix(name) for text in dependencies if re.match(rf"{name}[<>=]", text))
    assert re.search(r",<\d+$", bounds), f"{name}{bounds} accepts any later version"
