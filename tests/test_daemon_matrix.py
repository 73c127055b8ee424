"""The linter gives the same answer as ``dockerd --validate`` for each cell of the matrix (tests/daemon_matrix.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.engine.keys import keys, version
from provision.lint.daemon_file import lint_text
from tests import daemon_matrix
from tests.daemon_matrix import LATER, OF_HOST, compared, contents, differences, excused, read

ENGINES = ("26.1.5", "28.5.2", "29.7.2")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_linter_and_the_engine_agree_on_each_cell(engine: str) -> None:
    """No false error, no miss and no traceback."""
    assert differences(engine) == []


def test_each_engine_has_answered_each_file() -> None:
    assert [path.stem for path in sorted(daemon_matrix.DATA.glob("*.txt"))] == list(ENGINES)
    for engine in ENGINES:
        marks = read(engine)
        assert set(marks) == set(contents())
        assert set(marks.values()) == {".", "t", "u", "v"}
    assert set(keys()) < set(daemon_matrix.rows())


def test_the_matrix_finds_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = read("28.5.2")
    files = ('{"debug": true}', '{"debug": 1}')
    assert [marks[file] for file in files] == [".", "t"]
    monkeypatch.setattr(daemon_matrix, "read", lambda engine: dict(zip(files, "t.", strict=True)))
    assert [one.partition("}")[0] for one in differences("28.5.2")] == ['28.5.2 {"debug": true', '28.5.2 {"debug": 1']


def test_each_exception_is_needed() -> None:
    used = [excused(engine, *file) for engine in ENGINES for file in compared(engine)]
    assert set().union(*used) == LATER.keys() | OF_HOST.keys()


@pytest.mark.parametrize("engine", ["20.10", "23.0", "25.0", "27.5"])
def test_each_file_is_linted_without_a_traceback_for_other_engines(engine: str) -> None:
    target = version(engine)
    assert target is not None
    for content in contents():
        assert all(finding.where.line == 1 for finding in lint_text(Path("f"), content, target)), content
