"""Only marked values of a spec accept a secret, and they keep it. The tests try every value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provision.catalog import Options, compile_catalog
from provision.distros import platform
from provision.errors import SpecError, Where
from provision.model import Call, Change, Drift, Plan, State
from provision.project.playbook import playbook_schema
from provision.project.rollout_options import RolloutOptions
from provision.remote.protocol import Seen
from provision.remote.script import job_script, look_script, quote, submit_script
from provision.remote.transaction import Step, Work
from provision.resources.docker.compose import Project as ComposeProject
from provision.secrets import secret
from provision.spec import Spec
from provision.spec.secrets import SCHEMA_KEY, leaves, takers
from provision.spec.validate import validate
from provision.visible import visible
from tests.conftest import Project

HUSH = "hush-7c1f-never-shown"
PEM = f"-----BEGIN PRIVATE KEY-----\n{HUSH}\n-----END PRIVATE KEY-----"
OPEN = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"
#: Every place of the spec: the path of a value, and the models that it is a part of.
PLACES = [
    pytest.param(model, path, marked, id=f"{model.__name__}.{path}")
    for model in (Spec, RolloutOptions)
    for path, marked in leaves(model)
]
TAKERS = takers(Spec)


@pytest.fixture(autouse=True)
def _no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    monkeypatch.setenv("HUSH", HUSH)
    monkeypatch.setenv("PEM", PEM)


def token() -> str:
    return secret.declare("pw", {"env": "HUSH"}, Where(Path("site.yml"), 1))


def nested(path: str, value: Any, name: str = "name", at: int | None = None) -> Any:
    """Data with ``value`` at a path. The key for the ``at``-th star is ``value`` itself."""
    data = "x" if at is not None else value
    parts = path.split(".")
    stars = [index for index, part in enumerate(parts) if part == "*"]
    for index in reversed(range(len(parts))):
        key, lists = parts[index].rstrip("[*]") or "*", parts[index].count("[*]")
        for _ in range(lists):
            data = [data]
        here = value if at is not None and index == stars[at] else name
        data = {here if parts[index] == "*" else key: data}
    return data


def shown(path: str, name: str = "name") -> str:
    return path.replace("[*]", "[0]").replace("*", name)


@pytest.mark.parametrize(("model", "path", "marked"), PLACES)
def test_a_value_that_is_not_marked_refuses_a_secret(model: Any, path: str, marked: bool) -> None:
    """Alone, and as a part of a text. A marked value may be refused for another reason, but never because it is a
    secret."""
    for text in (token(), f"a {token()} b"):
        try:
            validate(model, nested(path, text))
            said, key = "", ""
        except SpecError as error:
            said, key = error.message, error.key
        assert HUSH not in said
        if marked:
            assert "accept a secret" not in said
        else:
            assert "does not accept a secret" in said, said
            assert key == f"spec.{shown(path)}"


@pytest.mark.parametrize(("model", "path", "marked"), PLACES)
def test_no_key_of_a_mapping_accepts_a_secret(model: Any, path: str, marked: bool) -> None:
    for star in range(path.split(".").count("*")):
        with pytest.raises(SpecError, match="a key must not hold a secret"):
            validate(model, nested(path, f"x{token()}", at=star))


@pytest.mark.parametrize(
    "data",
    [
        {"packages": ["{0}"]},
        {"packages": {"curl": "{0}"}},
        {"files": "{0}"},
        {"files": {"/etc/x": {"content": ["{0}"]}}},
        {"engine": {"daemon": {"a": {"b": [{"c": "{0}"}]}}}},
        {"containers": {"web": {"environment": "{0}"}}},
        {"containers": {"web": {"command": "run {0}"}}},
        {"containers": {"web": {"health": {"command": "check {0}"}}}},
        {"unknown": "{0}"},
    ],
    ids=json.dumps,
)
def test_data_of_an_unknown_form_refuses_a_secret(data: Any) -> None:
    filled = json.loads(json.dumps(data).replace("{0}", token()))
    with pytest.raises(SpecError, match="does not accept a secret"):
        validate(Spec, filled)


def test_the_message_has_file_line_key_and_solution(project: Project) -> None:
    project.write("inventory/group_vars/docker.yml", "pw: !secret {env: HUSH}\n")
    project.spec("sysctl:\n  kernel.x: 1\n  kernel.y: 'a {{ pw }}'")
    with pytest.raises(SpecError) as caught:
        project.load()
    said = str(caught.value)
    assert "site.yml:6: spec.sysctl.kernel.y: does not accept a secret: " in said
    assert "[host web1] (keys that accept one: files.*.content)" in said
    project.spec('containers: {web: {image: app, log: {options: {a: "{{ pw }}"}}}}')
    with pytest.raises(SpecError, match=r"keys that accept one: containers\.\*\.environment\.\*, files\.\*\.content"):
        project.load()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("playbooks/site.yml", "- {name: !secret {env: HUSH}, hosts: docker, spec: {}}", "site.yml:1: [0].name"),
        ("playbooks/site.yml", "- {name: x, hosts: !secret {env: HUSH}, spec: {}}", "site.yml:1: [0].hosts"),
        ("playbooks/site.yml", "- {name: x, hosts: [a, !secret {env: HUSH}], spec: {}}", "site.yml:1: [0].hosts"),
        ("playbooks/site.yml", "- {name: x, hosts: docker, spec: {}, verify: !secret {env: HUSH}}", "[0].verify"),
        (
            "playbooks/site.yml",
            "- {name: x, hosts: docker, spec: {}, rollout: {after: {host: [say, !secret {env: HUSH}]}}}",
            "[0].rollout.after.host[1]",
        ),
        ("playbooks/site.yml", "- {name: x, hosts: docker, spec: {? !secret {env: HUSH} : 1}}", "a key must not be"),
        ("inventory/hosts.yml", "docker: {hosts: {? !secret {env: HUSH} : }}", "a key must not be a secret"),
        ("inventory/hosts.yml", "{? !secret {env: HUSH} : {hosts: {web1: }}}", "a key must not be a secret"),
        ("inventory/hosts.yml", "docker: {hosts: {web1: {ansible_host: !secret {env: HUSH}}}}", ": ansible_host: "),
        ("inventory/hosts.yml", "docker: {hosts: {web1: {ansible_user: !secret {env: HUSH}}}}", ": ansible_user: "),
        (
            "inventory/hosts.yml",
            "docker: {hosts: {web1: {ansible_ssh_common_args: -J x, provision_known_hosts: !secret {env: HUSH}}}}",
            ": provision_known_hosts: ",
        ),
    ],
)
def test_names_and_login_variables_refuse_a_secret(project: Project, file: str, text: str, words: str) -> None:
    project.spec("hostname: web1")
    project.write(file, f"{text}\n")
    with pytest.raises(SpecError, match=r"accept a secret|must not be a secret") as caught:
        project.load()
    assert words in str(caught.value)


def test_a_template_for_a_public_file_refuses_a_secret(project: Project) -> None:
    """A custom template replaces one that provision ships, and plans would show its result."""
    project.write("inventory/group_vars/docker.yml", "pw: !secret {env: HUSH}\n")
    project.write("playbooks/templates/apt/docker.sources.j2", "URIs: https://me:{{ pw }}@mirror\n")
    project.spec("engine: {}")
    with pytest.raises(SpecError, match=r"docker\.sources\.j2:1: .*does not accept a secret"):
        project.load()


#: Each marked value, with a secret in it, and with what else must be declared.
GIVEN = {
    "files.*.content": {"files": {"/etc/x": {"content": "password {{ pw }}\n", "mode": "0600"}}},
    "engine.proxy.http": {"engine": {"proxy": {"http": "http://me:{{ pw }}@proxy:3128"}}},
    "engine.proxy.https": {"engine": {"proxy": {"https": "http://me:{{ pw }}@proxy:3128"}}},
    "engine.registries.*.key": {"engine": {"registries": {"r:5000": {"cert": OPEN, "key": "{{ pem }}"}}}},
    "engine.registries.*.login.password": {
        "engine": {"registries": {"r:5000": {"login": {"user": "me", "password": "{{ pw }}"}}}}
    },
    "registry.tls.key": {"registry": {"name": "r", "tls": {"cert": OPEN, "key": "{{ pem }}"}}},
    "registry.users.*.password": {"registry": {"name": "r", "users": {"me": {"password": "{{ pw }}"}}}},
    "registry.proxy.password": {
        "registry": {"name": "r", "proxy": {"url": "https://r2", "user": "me", "password": "{{ pw }}"}}
    },
    "containers.*.environment.*": {
        "containers": {"web": {"image": "app", "environment": {"A": "1", "PASSWORD": "x {{ pw }}"}}}
    },
    "compose.*.content": {"compose": {"shop": {"content": "services: {web: {image: app, command: '{{ pw }}'}}\n"}}},
    "compose.*.environment.*": {"compose": {"shop": {"content": "{}", "environment": {"PASSWORD": "{{ pw }} x"}}}},
}
#: Functions of a job that may receive a secret in their arguments. ``put_file`` writes it (its own test runs it with
#: every kind of content), ``container_put`` passes it to docker in a file (test_shell_docker.py).
CARRIERS = {"put_file", "container_put"}


def test_each_marked_value_has_an_example() -> None:
    assert set(GIVEN) == set(TAKERS)


def bare(project: Project) -> Iterator[tuple[Change, tuple[Call, ...]]]:
    """All changes on a host that has nothing, with their looks."""
    loaded = project.load()
    on = platform("debian", "13", "trixie")
    assert on is not None
    for resource in compile_catalog(loaded.configs[0], on, loaded.context, Options()):
        want = resource.want()
        seen: State = {}
        try:
            calls = tuple(resource.fix(Drift(want, seen, tuple(want))))
        except KeyError:  # a resource that always exists: a live setting, for example
            calls = ()
        yield Change(resource.id, Drift(want, seen, tuple(want)), calls), tuple(resource.look())


@pytest.mark.parametrize("path", TAKERS)
def test_the_secret_of_a_marked_value_reaches_the_job(project: Project, path: str) -> None:
    project.write("inventory/group_vars/docker.yml", "pw: !secret {env: HUSH}\npem: !secret {env: PEM}\n")
    project.spec(json.dumps(GIVEN[path]))
    found = list(bare(project))
    on = platform("debian", "13", "trixie")
    assert on is not None
    plan = Plan("web1", on, tuple(change for change, _ in found))
    steps = tuple(Step(change.resource, call) for change in plan.changes for call in change.calls)
    carrying = [step for step in steps if any(secret.holds(word) for word in step.call.args)]
    assert not any(secret.holds(step.title) for step in steps), "titles are shown to people"
    assert carrying, "no step has the secret"
    assert {step.call.function for step in carrying} <= CARRIERS
    for step in carrying:
        words = [number for number, word in enumerate(step.call.args) if secret.holds(word)]
        if step.call.function == "put_file":
            assert words == [5], "only the content has the secret"
            assert step.call.args[3] in ("0400", "0600", "0640")
        else:
            hidden = int(step.call.args[5])
            assert set(words) <= {6 + 2 * number + 1 for number in range(hidden)}, "no argument of docker has it"
        assert not any(secret.holds(word) for keep in step.call.keeps for word in keep)
    looks = [call for _, calls in found for call in calls]
    secrets: dict[str, str] = {}
    allowed = secret.referred(steps)
    job = job_script(Work("run", plan, steps, (), (), secrets=allowed), looks, secrets)
    assert secrets
    texts = {
        "the job": job,
        "the look": look_script({on.family: looks}),
        "the plan": msgspec.json.encode(plan, enc_hook=str).decode() + repr(plan),
    }
    for what, text in texts.items():
        assert HUSH not in text, what
    assert not secret.holds(texts["the job"]), "a token is sent to the host"
    assert not secret.holds(texts["the look"])
    lines = "".join(f"{name}={quote(secret.reveal(one))}\n" for one, name in secrets.items())
    before, _, rest = submit_script("run", job, secrets, allowed).partition("submit_secrets=")
    file, _, after = rest.partition("\nsubmit run - <<")
    assert file.startswith(quote(lines)[:-1])
    assert HUSH not in before + after, "only the job's file of secrets has the secret"


def test_the_json_schema_has_the_mark() -> None:
    def marked(schema: Any, path: tuple[str, ...], definitions: dict[str, Any]) -> Iterator[str]:
        if not isinstance(schema, dict):
            return
        if schema.get(SCHEMA_KEY):
            yield ".".join(path)
        if "$ref" in schema:
            yield from marked(definitions[schema["$ref"].rpartition("/")[2]], path, definitions)
        for name, one in schema.get("properties", {}).items():
            yield from marked(one, (*path, name), definitions)
        yield from marked(schema.get("additionalProperties"), (*path, "*"), definitions)
        for one in schema.get("anyOf", ()):
            yield from marked(one, path, definitions)

    definitions = playbook_schema()["$defs"]
    assert set(marked(definitions["Spec"], (), definitions)) == set(TAKERS)


def test_the_documentation_names_each_key_that_takes_a_secret() -> None:
    manual = (Path(__file__).parent.parent / "docs/spec.md").read_text()
    table = manual.split("<!-- takes a secret -->")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == TAKERS


def test_an_error_of_compose_shows_no_secret() -> None:
    """Compose quotes the line that it can't read."""
    value = secret.reveal(token())
    report = Seen.of([("compose", "shop", "", f"invalid interpolation format: {value}", "")])
    state = ComposeProject("shop", ("f", "e"), 120).seen(report)
    assert "can't read its file" in state["services"]
    assert HUSH not in visible(state["services"])
