"""docs/environment.md names every variable of the environment that the code reads, and no other."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import limits
from provision.inventory import config

ROOT = Path(__file__).parent.parent
CODE = ROOT / "provision"
PAGE = (ROOT / "docs/environment.md").read_text(encoding="utf-8")
HOOKS, LIBRARIES = "## Passed to commands of a rollout", "Libraries and programs that provision uses"

#: Methods of Config whose first argument is the name of a variable; a setting of ansible.cfg follows.
READERS = ("get", "path_of", "paths", "words", "flag")
#: Functions that read a variable whose name is a value. The comment says where its name comes from.
VARIABLE_NAMES = {
    ("limits.py", "of"),  # limits.ALL
    ("inventory/config.py", "get"),  # READERS, and _LOGIN
    ("inventory/config.py", "login"),  # _LOGIN
    ("inventory/config.py", "_not_followed"),  # _NOT_FOLLOWED
    ("commands/completion.py", "_folder"),  # READERS
    ("commands/support_bundle.py", "collected"),  # it records them, and uses none
    ("text/sandbox/lookups.py", "lookup"),  # the project's own
    ("text/sandbox/lookups.py", "_env"),
    ("secrets/secret.py", "_reader"),
    ("secrets/redaction.py", "_node"),
    ("transport/ssh_config.py", "one"),  # the name is in ssh's configuration
    ("transport/target.py", "_agent"),
}


def named(text: str) -> set[str]:
    return set(re.findall(r"`([A-Z][A-Z0-9_]+|[a-z]+_proxy)`", text))


def part(heading: str, end: str) -> str:
    return PAGE.split(heading)[1].split(end)[0]


def is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ"


def accesses(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The name of each variable that is read, and the function that reads it."""

    def walk(node: ast.AST, function: str) -> Iterator[tuple[ast.expr, str]]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            function = node.name
        if isinstance(node, ast.Subscript) and is_environ(node.value):
            yield node.slice, function
        elif isinstance(node, ast.Compare) and any(is_environ(one) for one in node.comparators):
            yield node.left, function
        elif isinstance(node, ast.Call) and node.args:
            of, first = node.func, node.args[0]
            called = getattr(of, "attr", getattr(of, "id", ""))
            whole = isinstance(first, ast.Constant) and re.fullmatch(r"[A-Z][A-Z0-9_]+", str(first.value))
            of_system = called == "getenv" or (isinstance(of, ast.Attribute) and is_environ(of.value))
            of_config = called in READERS and isinstance([*node.args, None][1], ast.Tuple)
            if of_system or (whole and (of_config or called == "_folder")):
                yield first, function
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    yield from walk(tree, "")


def read_by_code() -> set[str]:
    found = {limit.variable for limit in limits.ALL}
    found |= {variable for variable, *_ in config._LOGIN.values()}
    found |= {name for _, *names in config._NOT_FOLLOWED.values() for name in names}
    for path in CODE.rglob("*.py"):
        for name, _ in accesses(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(name, ast.Constant):
                found.add(str(name.value))
    return found


def test_the_page_has_the_variables_that_the_code_reads() -> None:
    own = named(PAGE) - named(part(HOOKS, "## ")) - named(part(LIBRARIES, "## ")) - {"PATH", "LC_ALL"}
    code = read_by_code() - named(part(LIBRARIES, "## "))
    assert sorted(own - code) == [], "no code reads these"
    assert sorted(code - own) == [], "docs/environment.md does not name these"


def test_no_other_function_reads_a_variable_by_a_computed_name() -> None:
    places = {
        (path.relative_to(CODE).as_posix(), function)
        for path in CODE.rglob("*.py")
        for name, function in accesses(ast.parse(path.read_text(encoding="utf-8")))
        if not isinstance(name, ast.Constant)
    }
    assert places == VARIABLE_NAMES


def test_the_limits_are_all_listed() -> None:
    assert {one.variable for one in vars(limits).values() if isinstance(one, limits.Limit)} == {
        one.variable for one in limits.ALL
    }


def test_the_page_has_the_variables_that_a_hook_gets() -> None:
    """The keys that the code gives to a hook: a mapping with WHEN is one of a hook."""
    given = {"RUN"}
    for path in (CODE / "rollout").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                keys = {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
                given |= keys if {"WHEN", "STATUS"} & keys else set()
    assert {f"PROVISION_{name}" for name in given} == named(part(HOOKS, "## "))


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+)` \| (\w+) \|", part(LIBRARIES, "## "), re.MULTILINE))
def test_a_library_reads_its_variable(row: tuple[str, str]) -> None:
    variable, library = row
    module = importlib.import_module({"rich": "rich.console", "urllib": "urllib.request"}.get(library, library))
    assert variable.removeprefix("https") in inspect.getsource(module)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("os.environ['A_B']", "A_B"),
        ("os.environ.get('A_B') or 1", "A_B"),
        ("'A_B' in os.environ", "A_B"),
        ("os.getenv('A_B')", "A_B"),
        ("settings.flag('A_B', ('x', 'y'))", "A_B"),
    ],
)
def test_an_access_is_found(text: str, name: str) -> None:
    assert [getattr(one, "value", None) for one, _ in accesses(ast.parse(text))] == [name]
