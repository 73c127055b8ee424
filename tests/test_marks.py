"""Each marked test is run by a job of tools/host_tests.py."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_marked_tests_are_where_their_job_collects_them() -> None:
    """tools/host_tests.py collects only these directories, and the fast tests leave these marks out: a marked test
    elsewhere would never run."""
    places = {"browser": "browser", "lab": "lab", "alone": "lab", "virtual": "lab", "torture": "lab"}
    found = [
        (path.relative_to(ROOT / "tests"), mark)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for mark in re.findall(r"\bmark\.(\w+)", path.read_text())
        if mark in places
    ]
    assert {mark for _, mark in found} == set(places)
    assert [(str(path), mark) for path, mark in found if path.parts[0] != places[mark]] == []
