"""The JSON Schema of a playbook accepts what provision accepts, and refuses what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from provision.project.playbook import playbook_schema

DOCS = Path(__file__).parent.parent / "docs"
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCHEMA = jsonschema.Draft202012Validator(playbook_schema())


class _Loader(yaml.SafeLoader):
    """As an editor reads YAML: a tag of provision means nothing."""


_Loader.add_multi_constructor("!", lambda loader, tag, node: _untagged(loader, node))


def _untagged(loader: Any, node: Any) -> Any:
    return loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else node.value


def _playbooks() -> list[tuple[str, Any]]:
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        for number, block in enumerate(_BLOCK.findall(page.read_text())):
            try:
                data = yaml.load(block, Loader=_Loader)  # noqa: S506 - a safe loader
            except yaml.YAMLError:
                continue
            first = data[0] if isinstance(data, list) and data else None
            if isinstance(first, dict) and "hosts" in first and isinstance(first.get("spec"), dict):
                found.append((f"{page.relative_to(DOCS)}:{number}", data))
    return found


PLAYBOOKS = _playbooks()


@pytest.mark.parametrize(("place", "data"), PLAYBOOKS, ids=[place for place, _ in PLAYBOOKS])
def test_each_playbook_of_the_docs_is_valid(place: str, data: Any) -> None:
    assert [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(data)] == [], place


def _valid(spec: str, rollout: str = "{}") -> bool:
    text = f"- {{name: a, hosts: all, rollout: {rollout}, spec: {spec}}}"
    return bool(SCHEMA.is_valid(yaml.load(text, Loader=_Loader)))  # noqa: S506 - a safe loader


@pytest.mark.parametrize(
    "rollout", ["{serial: 2}", "{serial: 10%}", "{serial: [1, 50%]}", "{domain: rack}", "{verify: docker}"]
)
def test_short_forms_of_a_rollout_are_valid(rollout: str) -> None:
    assert _valid("{}", rollout)


@pytest.mark.parametrize(
    ("spec", "valid"),
    [
        ("{containers: {app: {image: a, environment: {A: !secret {env: X}, B: 1, C: true, D: '{{ d }}'}}}}", True),
        ("{containers: {app: {image: a, environment: {A: {nev: X}}}}}", False),
        ("{files: {/a: {content: a, mode: '0640'}}}", True),
        ("{files: {/a: {content: a, mode: '{{ mode }}'}}}", True),
        ("{files: {/a: {content: a, mode: rw}}}", False),
        ("{containers: {app: {image: a, ports: ['80:80', '{{ port }}:80', '[::1]:80:80/udp']}}}", True),
        ("{containers: {app: {image: a, ports: ['80']}}}", False),
        ("{containers: {app: {image: a, memory: 64m, memory_swap: 100}}}", True),
        ("{containers: {app: {image: a, memory: 64 MB}}}", False),
        ("{containers: {app: {image: 'r.example:5000/a/b:1.2'}}}", True),
        ("{containers: {app: {image: 'a b'}}}", False),
        ("{engine: {daemon: {debug: true, mtu: '{{ mtu }}', dns: [10.0.0.1], log-opts: {max-size: 10m}}}}", True),
        ("{engine: {daemon: {default-cgroupns-mode: host, features: {buildkit: true}, builder: {gc: {}}}}}", True),
        ("{engine: {daemon: {debgu: true}}}", False),
        ("{engine: {daemon: {debug: 'yes'}}}", False),
        ("{engine: {daemon: {dns: 10.0.0.1}}}", False),
        ("{engine: {daemon: {default-cgroupns-mode: none}}}", False),
    ],
)
def test_a_value_has_a_pattern(spec: str, valid: bool) -> None:
    assert _valid(spec) == valid
