"""provision renders templates to Ansible's values, or refuses them (tests/templates.py)."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.templates import Value, cases, read_here, recorded, verdict, write

CASES = cases()
SAID = recorded()["values"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Value]:
    folder = tmp_path_factory.mktemp("templates")
    write(folder, CASES)
    return {case.key: value for case, value in read_here(folder, CASES)}


def test_each_template_is_recorded_and_there_are_enough() -> None:
    assert len(CASES) >= 600
    assert {case.key for case in CASES} == set(SAID)
    assert len(SAID) == len(CASES)
    for case in CASES:
        assert not set(case.group.refused) & set(case.group.accepted)


def test_no_template_has_another_value_than_in_ansible(here: dict[str, Value]) -> None:
    found = {case.key: verdict(here[case.key], SAID[case.key]) for case in CASES}
    wrong = {
        case.key: (found[case.key], here[case.key], SAID[case.key])
        for case in CASES
        if found[case.key] != (case.declared or "same")
    }
    assert not wrong
    count = Counter(found.values())
    assert count["different"] == 0
    assert count["refused"] <= 20
    assert count["accepted"] <= 2


def test_a_refused_template_names_its_file_and_line(here: dict[str, Value]) -> None:
    for case in CASES:
        if error := here[case.key].error:
            assert error.startswith(f"inv/host_vars/{case.host}.yml:"), error
