"""The troubleshooting page, in both languages: its messages are the code's, and its commands exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from provision.model import FAILURES
from tests.test_documentation import parses, simple

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "docs/guides/troubleshooting.md", ROOT / "docs/zh/troubleshooting.md"
#: The character that stands for a value in a message.
VALUE = "…"


def rows(page: Path) -> Iterator[tuple[str, str, str]]:
    for line in page.read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not set(line) <= set("| -"):
            yield cells[0], cells[1], cells[2]


def messages(page: Path) -> list[str]:
    return [first[1:-1] for first, _, _ in rows(page) if re.fullmatch(r"`[^`]+`", first)]


def commands(page: Path) -> list[str]:
    return [one for row in rows(page) for one in re.findall(r"`(provision [^`]+)`", " ".join(row))]


def written(node: ast.AST) -> str | None:
    """A text of the code, with a mark in place of each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else VALUE for one in node.values)
    return None


@cache
def texts() -> tuple[str, ...]:
    code = ROOT / "provision"
    found = [
        text
        for path in code.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (text := written(node)) is not None
    ]
    # A message of a shell script may be several words.
    found += [path.read_text(encoding="utf-8").replace('" \\\n', '"') for path in code.rglob("*.sh")]
    return tuple(found)


def known(message: str) -> bool:
    """Whether one text of the code has the fixed parts of a message, in their order."""
    parts = [part for part in re.split(rf"\s*{VALUE}\s*", message) if part.strip()]
    pattern = re.compile("[^\n]*?".join(map(re.escape, parts)))
    return any(pattern.search(text) for text in texts())


@pytest.mark.parametrize("message", messages(ENGLISH))
def test_a_message_is_one_of_the_code(message: str) -> None:
    assert known(message), "no text of provision/ has these words"


def test_a_message_that_the_code_does_not_have_is_found() -> None:
    assert known("… is not known: …")
    assert not known("the key of … is unknown to the operator")
    assert not known("no host or group … inventory matches …")


def test_every_error_kind_is_on_the_page() -> None:
    for page in (ENGLISH, CHINESE):
        linked = re.findall(r"reference/errors\.md#([a-z_]+)\)", page.read_text(encoding="utf-8"))
        assert set(linked) - {"exit-codes", "error-kinds"} == set(FAILURES), page


def test_the_commands_exist() -> None:
    found = commands(ENGLISH)
    assert len(found) > 15
    for command in found:
        for words in simple(command):
            parses(words[1:], "docs/guides/troubleshooting.md")


def test_the_chinese_page_has_the_same_messages_and_commands() -> None:
    assert messages(CHINESE) == messages(ENGLISH)
    assert commands(CHINESE) == commands(ENGLISH)
