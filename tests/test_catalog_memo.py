"""The memo of catalogs, compared with catalogs that are compiled for one host and one platform alone."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import pytest

from provision import catalog, distros
from provision.catalog import Inputs, Options, compile_catalogs
from provision.catalog.context import CompileContext
from provision.engine import daemon_json
from provision.errors import SpecError
from provision.load import Loaded
from provision.model import Platform
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Memo
from provision.spec import Spec
from provision.spec.validate import validate
from tests.conftest import Project

#: Fields of a spec, some with variables in which the hosts may differ.
FIELDS: dict[str, Any] = {
    "hostname": "{{ a }}",
    "sysctl": {"vm.swappiness": "{{ n }}", "net.ipv4.ip_forward": 1},
    "modules": ["{{ a }}", "br_netfilter"],
    "packages": {"curl": {}, "{{ b }}": {"absent": "{{ n == 1 }}"}},
    "files": {
        "/etc/x": {"content": "{{ b }}"},
        "/etc/{{ a }}": {"content": "y", "owner": "ada"},
        "/etc/t": {"template": "own.j2"},
    },
    "services": {"ssh": {"running": True, "watch": ["/etc/x"]}, "docker": {"running": True, "watch": ["/etc/{{ a }}"]}},
    "users": {"ada": {}},
    "engine": {
        "daemon": {"labels": ["of={{ a }}"], "live-restore": "{{ n == 1 }}"},
        "users": ["ada"],
        "firewall": {"forward": "accept", "firewalld": True},
        "proxy": {"http": "http://{{ b }}.example:3128"},
        "containerd_root": "/srv/containerd",
    },
    "containers": {"web": {"image": "nginx:1.27", "environment": {"A": "{{ b }}"}}},
    "compose": {"app": {"template": "own.j2"}},
    "networks": {"net-{{ a }}": {}},
    "prune": {"every": "daily"},
    "registry": {"name": "{{ a }}.example", "source": "package"},
}
TEMPLATE = "# {{ inventory_hostname }} {{ b }}\nservices: {}\n"
OPTIONS = (Options(), Options(upgrade=True), Options(lock_timeout=5))


def fleet(project: Project, seed: int) -> Loaded:
    """A random project: hosts that are equal or differ in a few values, and one play or two for each."""
    choose = random.Random(seed)  # noqa: S311 - the seed is the case
    fields = choose.sample(sorted(FIELDS), choose.randint(1, len(FIELDS)))
    cut = choose.randint(1, len(fields))
    hosts = {
        f"web{number}": {"a": choose.choice(["a1", "a2"]), "b": choose.choice(["b1", "b2"]), "n": choose.randint(1, 2)}
        for number in range(4)
    }
    other = choose.sample(sorted(hosts), 2)
    groups: dict[str, Any] = {"docker": {"hosts": hosts}, "other": {"hosts": dict.fromkeys(other)}}
    project.write("inventory/hosts.yml", json.dumps(groups))
    plays = [
        {"name": "One", "hosts": "docker", "spec": {name: FIELDS[name] for name in fields[:cut]}},
        {"name": "Two", "hosts": "other", "spec": {name: FIELDS[name] for name in fields[cut:]}},
    ]
    if choose.random() < 0.3:  # equal specs by different plays
        groups["docker"]["hosts"] = dict.fromkeys(hosts, hosts["web0"])
        project.write("inventory/hosts.yml", json.dumps(groups))
        plays = [{**plays[0], "hosts": "docker:!other"}, {**plays[0], "name": "Three", "hosts": "other"}]
    project.write("playbooks/site.yml", json.dumps(plays))
    project.write("playbooks/templates/own.j2", TEMPLATE)
    if choose.random() < 0.3:  # the operator's own template in place of a shipped one
        project.write("playbooks/templates/sysctl.conf.j2", TEMPLATE)
    return project.load()


def plain(value: Any) -> Any:
    """``value`` without what has no equality: a resource may hold the function that decides later."""
    if isinstance(value, msgspec.Struct):
        return type(value), {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, partial):
        return value.func, plain(value.args), plain(value.keywords)
    if isinstance(value, Mapping):
        return [(key, plain(one)) for key, one in value.items()]
    return [plain(one) for one in value] if isinstance(value, (tuple, list)) else value


def outcome(compiled: Callable[[], Any]) -> Any:
    try:
        return plain(compiled())
    except SpecError as error:
        return str(error)


def alone(config: HostConfig, platform: Platform, context: Context, options: Options) -> Any:
    """The catalog in the slow way: without a value that another host, platform or part has left in a memo."""
    context = dataclasses.replace(context, memo=Memo(), recent=Memo())
    return outcome(lambda: catalog._compiled(Inputs(config, (platform,), options), config, context)[1][0])


def differences(found: Loaded, seed: int) -> Iterator[str]:
    """The catalogs that differ from those of the slow way, in a random order of hosts, platforms and options."""
    choose = random.Random(seed)  # noqa: S311 - the seed is the case
    platforms = list(distros.examples().values())
    groups = (choose.sample(platforms, 3), choose.sample(platforms, 1))
    cases = [(config, group, options) for config in found.configs for group in groups for options in OPTIONS]
    for config, group, options in choose.sample(cases, len(cases)):
        expected: Any = [alone(config, platform, found.context, options) for platform in group]
        if errors := [one for one in expected if isinstance(one, str)]:
            expected = errors[0]
        if outcome(partial(compile_catalogs, config, group, found.context, options)) != expected:
            yield f"{config.host.name}: {[one.id for one in group]} {options}"


def test_a_host_has_one_daemon_json_for_all_platforms(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.spec("engine: {daemon: {debug: true}}")
    found, made = project.load(), []

    def canonical(daemon: dict[str, Any]) -> bytes:
        made.append(daemon)
        return b"{}"

    monkeypatch.setattr(daemon_json, "canonical", canonical)
    context = dataclasses.replace(found.context, memo=Memo(), recent=Memo())
    platforms = distros.examples().values()
    assert len(compile_catalogs(found.configs[0], platforms, context, Options())) == len(platforms) > 1
    assert made == [{"debug": True}]


@pytest.mark.parametrize("seed", range(30))
def test_a_catalog_is_that_of_its_host_alone(project: Project, seed: int) -> None:
    found = fleet(project, seed)
    assert list(differences(found, seed)) == []
    for config in found.configs:
        assert config.spec == validate(Spec, config.source)


def _without(*left_out: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A memo that does not compare some inputs."""

    def key(inputs: Inputs) -> tuple[object, ...]:
        return tuple(one for name, one in zip(_KEY, inputs._key, strict=True) if name not in left_out)

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Inputs, "__hash__", lambda one: hash(key(one)))
        monkeypatch.setattr(Inputs, "__eq__", lambda one, other: isinstance(other, Inputs) and key(one) == key(other))

    return patch


_KEY = ("spec", "plays", "platforms", "options")


def _unread(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A context that does not record some reads."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CompileContext, name, property(lambda _: False, lambda _, __: None), raising=False)

    return patch


def _any_render(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of templates that are remembered without the host's variables."""
    known = Context.render

    def render(context: Context, template: str, scope: Any, *rest: Any, **values: Any) -> str:
        key = ("any", template, repr(values))
        return context.memo.of(key, lambda: known(context, template, scope, *rest, **values))

    monkeypatch.setattr(Context, "render", render)


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(_without("spec", "plays"), id="spec"),
        *(pytest.param(_without(name), id=name) for name in ("plays", "platforms", "options")),
        *(pytest.param(_unread(name), id=name) for name in ("has_read_own", "has_read_platform")),
        pytest.param(_any_render, id="render"),
    ],
)
def test_the_comparison_notices_an_input_that_is_not_in_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch, patch: Callable[[pytest.MonkeyPatch], None]
) -> None:
    patch(monkeypatch)
    assert any(list(differences(fleet(project, seed), seed)) for seed in range(30))
