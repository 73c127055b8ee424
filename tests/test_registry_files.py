"""The files of a registry's host and of the hosts that use the registry, computed offline."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from provision.catalog import Options, compile_catalog
from provision.commands.authorities import renewed
from provision.distros import platform
from provision.errors import SpecError
from provision.model import Platform
from provision.resources.file import File
from provision.secrets import secret
from provision.secrets.secret import reveal
from tests.conftest import Project

PASSWORD = "pass'word \\\" $x"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pyrage

    monkeypatch.setattr(secret, "_KNOWN", {})  # other tests have other environments
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    monkeypatch.setenv("PASSWORD", PASSWORD)
    (tmp_path / "identity.txt").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(tmp_path / "identity.txt"))


def files(project: Project, spec: str, *on: str) -> dict[str, File]:
    project.write("inventory/group_vars/docker.yml", "pw: !secret {env: PASSWORD}\n")
    project.spec(spec)
    loaded = project.load()
    where: Platform | None = platform(*(on or ("debian", "13", "trixie")))
    assert where is not None
    resources = compile_catalog(loaded.configs[0], where, loaded.context, Options())
    return {resource.path: resource for resource in resources if isinstance(resource, File)}


def config(found: dict[str, File]) -> Any:
    return yaml.safe_load(reveal(found["/etc/docker/registry/config.yml"].content.decode()))


def test_a_registry_with_defaults(project: Project) -> None:
    found = config(files(project, "registry: {name: reg.example}"))
    assert found["http"]["addr"] == ":5000"
    assert found["storage"]["filesystem"] == {"rootdirectory": "/var/lib/docker-registry"}
    assert "auth" not in found
    assert "tls" not in found["http"]


def test_a_registry_with_every_option(project: Project) -> None:
    project.write("playbooks/files/reg.crt", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    spec = """\
registry:
  name: reg.example
  port: 443
  storage: /srv/a b
  delete: false
  upload_age: 24h
  cache: 0
  read_only: true
  debug_port: 5001
  tls: {cert: reg.crt, key: "{{ pw }}"}
  users: {ci: {password: "{{ pw }}"}, ops: {password: "{{ pw }}"}}
  proxy: {url: "https://registry-1.docker.io", user: hub, password: "{{ pw }}"}
"""
    given = files(project, spec)
    found = config(given)
    assert found["storage"]["filesystem"]["rootdirectory"] == "/srv/a b"
    assert found["storage"]["delete"] == {"enabled": False}
    assert found["storage"]["maintenance"]["readonly"] == {"enabled": True}
    assert "cache" not in found["storage"]
    assert found["http"]["debug"]["addr"] == "127.0.0.1:5001"
    assert found["proxy"] == {"remoteurl": "https://registry-1.docker.io", "username": "hub", "password": PASSWORD}
    assert given["/etc/docker/registry/config.yml"].hidden
    assert given["/etc/docker/registry/tls.crt"].content.startswith(b"-----BEGIN CERTIFICATE")
    assert (given["/etc/docker/registry/tls.key"].mode, given["/etc/docker/registry/tls.key"].hidden) == ("0640", True)
    lines = dict(
        line.split(":", 1) for line in reveal(given["/etc/docker/registry/htpasswd"].content.decode()).splitlines()
    )
    assert lines["ci"] != lines["ops"], "each account has a separate salt"
    for hashed in lines.values():
        assert bcrypt.checkpw(PASSWORD.encode(), hashed.replace("$2y$", "$2b$", 1).encode())
    assert PASSWORD not in "".join(file.content.decode() for file in given.values())


def test_a_registry_with_a_custom_authority(project: Project) -> None:
    spec = """\
registry: {name: reg.example, tls: {ca: lab, names: [10.0.0.1]}}
engine: {registries: {"reg.example:5000": {authority: lab}}}
"""
    with pytest.raises(SpecError, match="there is no authority lab"):
        files(project, spec)
    # The first action of apply.
    from provision.project.host_config import context

    path = project.folder / "playbooks/site.yml"
    said = renewed(project.declared(), context(path))
    assert len(said) == 2
    given = files(project, spec)
    ca = given["/etc/docker/certs.d/reg.example:5000/ca.crt"].content
    assert ca == (project.folder / "playbooks/ca/lab.crt").read_bytes()
    key = reveal(given["/etc/docker/registry/tls.key"].content.decode())
    assert key.startswith("-----BEGIN PRIVATE KEY-----")


def test_the_logins_of_each_account_are_written(project: Project) -> None:
    spec = """\
users: {deploy: {home: /srv/deploy}}
engine:
  registries:
    reg.example:5000: {login: {user: ci, password: "{{ pw }}", accounts: [root, deploy]}}
    docker.io: {login: {user: hub, password: "{{ pw }}"}}
"""
    given = files(project, spec)
    root, deploy = given["/root/.docker/config.json"], given["/srv/deploy/.docker/config.json"]
    assert (root.mode, root.owner, deploy.owner, deploy.group) == ("0600", "root", "deploy", "deploy")
    auths = json.loads(reveal(root.content.decode()))["auths"]
    assert set(auths) == {"reg.example:5000", "https://index.docker.io/v1/"}
    assert base64.b64decode(auths["reg.example:5000"]["auth"]).decode() == f"ci:{PASSWORD}"
    assert set(json.loads(reveal(deploy.content.decode()))["auths"]) == {"reg.example:5000"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("registry: {name: reg.example, users: {ci: {password: plain}}}", "must be a secret"),
        ("registry: {name: reg.example, tls: {}}", "needs either ca, or cert and key"),
        ('engine: {registries: {"r:5000": {login: {user: ci, password: plain}}}}', "must be a secret"),
        ('engine: {registries: {"r:5000": {ca: a.crt, authority: lab}}}', "contradict"),
        (
            'containers: {web: {image: app, command: ["x", "{{ pw }}"]}}',
            r"command\[1\]: does not accept a secret: .*containers\.\*\.environment\.\*",
        ),
        ("containers: {web: {image: app, labels: {provision.spec: x}}}", "is reserved for provision"),
        ("containers: {web: {}}", "needs image"),
        ("containers: {web: {image: App}}", "is not the name of an image"),
        ("containers: {web: {image: app, memory: lots}}", "is not a size"),
        ("containers: {web: {image: app, ports: [80]}}", "must be text|is not a published port"),
        ("containers: {web: {image: app, networks: [host, back]}}", "allow no other network"),
        ("containers: {web: {image: app, health: {command: x, interval: soon}}}", "is not a duration"),
        ('images: {app: {build: {folder: x, args: {A: "{{ pw }}"}}}}', "build.args.A: does not accept a secret"),
        ("images: {app: {push: true}}", "push needs build or archive"),
        ("images: {app: {archive: none.tar}}", "no such file: none.tar"),
        ("images: {app: {build: {folder: none}}}", "no such folder: none"),
        ("compose: {shop: {}}", "needs one of content, template and src"),
        ("compose: {Shop: {content: x}}", "is not a project's name"),
        ("networks: {back: {gateway: 10.0.0.1}}", "gateway needs subnet"),
        ("networks: {back: {subnet: 10.0.0.0}}", "is not a network"),
    ],
)
def test_invalid_registries_are_refused_before_a_host_is_touched(project: Project, spec: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        files(project, spec)
