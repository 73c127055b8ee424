"""docs/findings.md lists each change of the lab's matrix, and the matrix has each change that the page lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.test_mutations import MUTATIONS, Mutation

TABLE, _, REST = Path("docs/findings.md").read_text(encoding="utf-8").partition("## What to do about a finding")
NOT_LOOKED_FOR = REST.partition("## What is not looked for")[2]
#: Checks of rows that tests/lab/test_undo.py and tests/lab/test_engine.py make, each on a host of its own.
ELSEWHERE = {"daemon_program"}


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.name)
def test_each_mutation_is_on_the_page(one: Mutation) -> None:
    if not one.fails:
        assert one.name in NOT_LOOKED_FOR
    for check in one.fails - {"daemon_listens engine", "container_reaches_container docker0"}:
        assert f"`{check.partition(' ')[0]}`" in TABLE, check


def test_each_check_of_the_page_fails_for_a_mutation() -> None:
    rows = [line.split("|")[4] for line in TABLE.splitlines() if line.startswith("| ") and line.count("|") == 5]
    named = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert named - ELSEWHERE <= {check.partition(" ")[0] for one in MUTATIONS for check in one.fails}
    assert len(rows) > 40
