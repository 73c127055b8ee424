"""A test that expects a text to be absent can fail only while something can produce that text.

``assert "could not be restored" not in output`` always passes after the message has got another wording. So each such
text must occur in provision, in its documentation, or once more in the test's own file, where the test plants it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ("provision/**/*.py", "provision/**/*.sh", "provision/**/*.yml", "provision/**/*.j2", "docs/**/*.md")
#: Texts that another program prints: file -> texts.
FOREIGN = {"browser/chromium.py": {"exceptionDetails"}}


def absent_texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each assertion that a constant text is not in something."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assert):
            continue
        for one in ast.walk(node.test):
            if not (isinstance(one, ast.Compare) and any(isinstance(operator, ast.NotIn) for operator in one.ops)):
                continue
            if isinstance(one.left, ast.Constant) and isinstance(one.left.value, str):
                yield one.lineno, one.left.value


def unproducible(source: str, sources: str, foreign: set[str]) -> list[tuple[int, str]]:
    """The absent texts of a test file that occur neither in ``sources`` nor a second time in the file."""
    return [
        (line, text)
        for line, text in absent_texts(source)
        if text not in sources and source.count(text) < 2 and text not in foreign
    ]


def test_each_text_that_a_test_expects_to_be_absent_can_occur() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for one in SOURCES for path in sorted(ROOT.glob(one)))
    folder = ROOT / "tests"
    found = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if wrong := unproducible(path.read_text(encoding="utf-8"), sources, FOREIGN.get(name, set())):
            found[name] = wrong
    assert not found, f"follow the new wording, or name a text of another program in FOREIGN: {found}"


def test_a_text_that_nothing_produces_is_found() -> None:
    source = (
        'def test_x():\n    assert "old words" not in out\n    assert "words" not in out and "planted" not in out\n'
    )
    assert unproducible(source, "new words", set()) == [(2, "old words"), (3, "planted")]
    assert unproducible(source, "old words", {"planted"}) == []
    assert unproducible(source + 'plant("planted")', "old words", set()) == []
