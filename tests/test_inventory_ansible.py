"""provision reads inventories and patterns as Ansible does: compared with Ansible's recorded output
(tests/inventories.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provision.errors import ProvisionError
from tests.inventories import Case, ansibles, ansibles_hosts, cases, hosts_here, patterns, read_here, recorded, version

CASES = {case.name: case for case in cases()}
SAID = recorded()
FILES, PATTERNS = patterns()


def test_each_case_is_recorded_and_there_are_enough() -> None:
    alike = [case for case in CASES.values() if not case.differs]
    assert len(alike) >= 60
    assert len(PATTERNS) >= 60
    assert set(SAID["inventories"]) == set(CASES)
    assert set(SAID["patterns"]) == set(PATTERNS)
    kinds = {case.name.split()[0] for case in alike}
    assert {"ini", "yaml", "script", "vault", "toml", "plugin"} <= kinds


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.differs])
def test_an_inventory_is_read_as_by_ansible(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if case.program:
        pytest.importorskip("ansible")
    case.write(tmp_path)
    assert read_here(case, tmp_path) == SAID["inventories"][name]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.differs])
def test_a_declared_difference_from_ansible_exists(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    case.write(tmp_path)
    strict = Case(**{**{key: getattr(case, key) for key in case.__struct_fields__}, "lenient": False})
    found: Any = None
    try:
        found = read_here(strict, tmp_path)
    except ProvisionError:
        assert "an error" in case.differs
    else:
        assert "an error" not in case.differs
    if case.error:
        assert found is None
        assert SAID["inventories"][name] is None
        return
    assert found != SAID["inventories"][name]
    if case.lenient:
        assert read_here(case, tmp_path) == SAID["inventories"][name]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    Case("patterns", FILES).write(folder)
    return folder


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_selects_the_same_hosts_as_in_ansible(pattern: str, fleet: Path) -> None:
    # A pattern without a host is an error here and a warning in Ansible.
    assert (hosts_here(fleet, pattern) or []) == (SAID["patterns"][pattern] or [])


@pytest.mark.parametrize("name", ["ini numbers and text", "a folder with subfolders", "vault value with an id"])
def test_the_recording_equals_ansibles_output(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ansible")
    CASES[name].write(tmp_path)
    assert ansibles(CASES[name], tmp_path) == SAID["inventories"][name]


def test_the_recorded_patterns_and_version_equal_ansibles(fleet: Path) -> None:
    pytest.importorskip("ansible")
    assert ansibles_hosts(fleet, "web*[0:2]") == SAID["patterns"]["web*[0:2]"]
    assert version().split(".")[:2] == SAID["ansible-core"].split(".")[:2], "record again: python -m tests.inventories"
