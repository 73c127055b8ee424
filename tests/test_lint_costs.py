"""What a file of an unknown author may cost lint: no expression that tries each way to match, no list that is compared
item by item with itself, no number that Python refuses to convert."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision import limits
from provision.lint import loose_json
from provision.lint.daemon_file import lint_text
from provision.lint.finding import Finding

FILE = Path("daemon.json")
DIGITS = "1" * 5000
#: Labels, or parts, of which each can be matched in two ways: 2^64 ways together.
MANY = 64


def lint(**keys: Any) -> list[Finding]:
    return lint_text(FILE, json.dumps(keys))


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("DJ222", {"dns-search": ["a" + ".:a" * MANY + "!"]}),
        ("DJ208", {"log-driver": "fluentd", "log-opts": {"fluentd-retry-wait": "00s" * MANY + "!"}}),
        ("DJ110", {"builder": {"history": {"maxAge": "00s" * MANY + "!"}}}),
        ("DJ208", {"log-opts": {"max-size": "1m", "tag": "{{" * 400_000}}),
        ("DJ210", {"log-opts": {"labels": "{{" + "." * 1_000_000}}),
    ],
    ids=["domain", "duration", "age", "tag", "template"],
)
def test_no_text_has_many_ways_to_match(rule: str, keys: dict[str, Any]) -> None:
    assert rule in {one.rule.id for one in lint(**keys)}


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("DJ110", {"mtu": "--5"}),
        ("DJ110", {"mtu": DIGITS}),
        ("DJ219", {"insecure-registries": ["registry:²"]}),
        ("DJ219", {"insecure-registries": [f"registry:{DIGITS}"]}),
        ("DJ222", {"metrics-addr": f"127.0.0.1:{DIGITS}"}),
        ("DJ222", {"min-api-version": f"1.{DIGITS}"}),
        ("DJ208", {"log-opts": {"max-size": "1m", "max-file": DIGITS}}),
        ("DJ208", {"log-opts": {"max-size": "1m", "max-file": "²"}}),
        ("DJ208", {"log-driver": "gelf", "log-opts": {"gelf-address": "udp://["}}),
        ("DJ208", {"log-driver": "splunk", "log-opts": {"splunk-url": "http://[", "splunk-token": "a"}}),
    ],
)
def test_what_python_cannot_convert_is_a_finding(rule: str, keys: dict[str, Any]) -> None:
    assert rule in {one.rule.id for one in lint(**keys)}


def test_a_resource_is_compared_with_its_names_once() -> None:
    one = [f"gpu=UUID{number}" for number in range(50_000)]
    assert not lint(**{"log-driver": "local", "node-generic-resources": one})
    assert {one.rule.id for one in lint(**{"node-generic-resources": ["gpu=2", "gpu=a"]})} >= {"DJ222"}


def test_each_pool_is_compared_with_those_that_it_overlaps() -> None:
    pools = [{"base": f"10.{number // 256}.{number % 256}.0/24", "size": 28} for number in range(20_000)]
    same = [{"base": "172.16.0.0/16", "size": 24}] * 3
    found = lint(**{"log-driver": "local", "default-address-pools": [*pools, *same]})
    assert [one.rule.id for one in found] == ["DJ205", "DJ205"]


def test_numbers_in_range_are_still_accepted() -> None:
    assert not lint(**{"metrics-addr": "127.0.0.1:09323", "insecure-registries": ["registry:05000"], "mtu": 1400})[1:]


def test_reading_stops_after_many_faults() -> None:
    found = loose_json.parse(FILE, "[" + "\uff0c" * 1_000_000)
    assert len(found.faults) == 1001
    assert "more than 1,000 faults" in found.faults[-1].message


def test_the_values_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "of", lambda limit: 3)
    found = loose_json.parse(FILE, "[1, 2, 3, 4]")
    assert [fault.message for fault in found.faults] == ["the file has more than 3 values"]
    assert found.value is None


def test_the_place_of_a_member_needs_no_other_look_at_the_text() -> None:
    class Counted(str):
        looks = 0

        def count(self, *words: Any) -> int:
            Counted.looks += 1
            return super().count(*words)

    members = ",\n".join(f'"a{number}": 1' for number in range(100))
    reader = loose_json._Reader(FILE, Counted(f"{{{members}}}"))
    assert reader.document().where["a99"].line == 100
    assert not Counted.looks
