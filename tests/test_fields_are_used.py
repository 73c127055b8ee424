"""Each field of a spec is read by a module that makes a host's configuration of it. A field that no module reads fails
here.

A search for the name in the source would pass for any field that shares its name with another one. So the models record
each read, by class and name, while the cases of all resources run.
"""

from __future__ import annotations

import contextlib
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyrage
import pytest
import yaml
from fabric import Connection
from pydantic import BaseModel

import provision
from provision import spec, tasks
from provision.catalog import Options, compile_catalog
from provision.commands.authorities import renewed
from provision.distros import platform
from provision.model import Call, Change, Drift, Plan
from provision.planning.plan import Inspection, inspection
from provision.project.dependencies import dependencies
from provision.project.host_config import Context, HostConfig, context
from provision.remote.protocol import Seen
from provision.resources.obstacle import Unfixable
from provision.rollout.run_request import Pulls
from provision.secrets import secret
from provision.spec import Spec
from tests.conftest import Project
from tests.test_cases import CASES, frames

PACKAGE = Path(provision.__file__).parent
#: Modules that check and show a spec, and make nothing of it.
READS_ALL = (str(Path(spec.__file__).parent), str(PACKAGE / "validate.py"))


def models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models that a type consists of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from models(field.annotation)
    for part in typing.get_args(kind):
        yield from models(part)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Model and field, of each field that a module of provision has read."""
    found: set[tuple[str, str]] = set()

    def reads(self: BaseModel, name: str) -> Any:
        if name in type(self).model_fields:
            caller = sys._getframe(1).f_code.co_filename
            if caller.startswith(str(PACKAGE)) and not caller.startswith(READS_ALL):
                found.add((type(self).__name__, name))
        return object.__getattribute__(self, name)

    for model in set(models(Spec)):
        monkeypatch.setattr(model, "__getattribute__", reads, raising=False)
    return found


#: Fields that the cases of resources leave out: secrets, an authority's certificates, files of the project.
REST = """\
risky: [/etc/x]
registry:
  name: reg.example
  tls: {cert: reg.crt, key: "{{ pw }}"}
  users: {ci: {password: "{{ pw }}"}}
  proxy: {url: "https://registry-1.docker.io", user: hub, password: "{{ pw }}"}
  collect: {every: daily, untagged: true}
engine:
  health: {mirrors: true}
  daemon: {registry-mirrors: ["https://mirror.example"]}
  registries:
    a.example: {ca: reg.crt, cert: reg.crt, key: "{{ pw }}", pulls: 3, login: {user: ci, password: "{{ pw }}"}}
    b.example: {authority: lab}
images: {a.example/app:1: {}}
files: {/etc/x: {template: x.j2}}
containers: {web: {image: a.example/app:1, log: {driver: local}}}
compose: {one: {src: x.j2}, two: {template: x.j2}}
"""
SIGNED = "registry: {name: reg.example, tls: {ca: lab, names: [10.0.0.1]}}\n"


class _NoJob:
    """A job that is not sent to a host."""

    def __init__(self, *_: object) -> None: ...

    def run(self, *_: object) -> None: ...


@pytest.fixture
def offline(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project in which every value is known, without a host to connect to."""
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    monkeypatch.setenv("PASSWORD", "x")
    project.write("inventory/group_vars/docker.yml", "pw: !secret {env: PASSWORD}\n")
    project.write("playbooks/files/reg.crt", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    project.write("playbooks/files/x.j2", "services: {}\n")
    project.write("playbooks/templates/x.j2", "services: {}\n")
    key = project.write("identity.txt", f"{pyrage.x25519.Identity.generate()}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(key))
    monkeypatch.setattr(tasks, "Job", _NoJob)
    monkeypatch.setattr(tasks, "send", lambda connection, *_: connection)
    monkeypatch.setattr(tasks, "_again", lambda _: None)


def loaded(project: Project, given: Any) -> tuple[HostConfig, Context]:
    """Read a spec, and compute the order of its hosts."""
    project.spec(given if isinstance(given, str) else yaml.safe_dump(given))
    path = project.folder / "playbooks/site.yml"
    renewed(project.declared(), context(path))
    found = project.load()
    dependencies(found.configs, found.context)
    return found.configs[0], found.context


def plan(project: Project, case: dict[str, Any]) -> None:
    """Make the plan of a case."""
    for name, text in case.get("given", {}).items():
        project.write(name, text)
    on = platform(*case.get("platform", ("debian", "13", "trixie")))
    assert on is not None
    config, context = loaded(project, case["spec"])
    with contextlib.suppress(Unfixable):
        inspection(config, on, context, Options(), Seen.of(frames(case)))


def run(project: Project, spec: str) -> None:
    """Make all resources of a host, and the run that applies them, with a place at the registry that it pulls from."""
    on = platform("debian", "13", "trixie")
    assert on is not None
    config, context = loaded(project, spec)
    resources = compile_catalog(config, on, context, Options())
    for resource in resources:
        resource.want()
    pull = Change("image", Drift({}, {}, ()), (Call("image_pull", (), pulls=("a.example/app:1",)),))
    found = Inspection(Plan(config.host.name, on, (pull,)), resources, Seen.of([]))
    with Pulls().held(config, found.plan):
        tasks.fix(Connection(config.host.name), config, found)


@pytest.mark.usefixtures("offline")
def test_each_spec_field_is_read_when_resources_are_made(project: Project, read: set[tuple[str, str]]) -> None:
    for case in CASES:
        plan(project, cast("dict[str, Any]", case.values[0]))
    for text in (REST, SIGNED):
        run(project, text)
    fields = {(model.__name__, name) for model in set(models(Spec)) for name in model.model_fields}
    assert not (unread := sorted(fields - read)), f"no module reads {unread}"
