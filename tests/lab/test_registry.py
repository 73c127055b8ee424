"""A registry of one's own: push on one host, pull on another, over TLS and with logins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import images
from tests.lab.conftest import LabHost, engine, together

PASSWORD = "registry-secret-1"  # the canary of this file


@pytest.fixture(autouse=True)
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key of age's own, for the authority's."""
    import pyrage

    path = tmp_path / "identity.txt"
    path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    monkeypatch.setenv("PROVISION_IDENTITY", str(path))
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    return path


def with_registry(name: str, **more: Any) -> dict[str, Any]:
    login = {"user": "ci", "password": "{{ registry_password }}"}
    return {**engine(), "registries": {name: {"authority": "lab", "login": login, **more}}}


def serving(address: str, **more: Any) -> dict[str, Any]:
    users = {"ci": {"password": "{{ registry_password }}"}}
    return {"name": address, "tls": {"ca": "lab"}, "users": users, **more}


def project(hosts: list[LabHost], *plays: dict[str, Any]) -> LabHost:
    """The first host's folder has the playbook and the inventory of all."""
    first = together(hosts)[0]
    whole = yaml.safe_dump(list(plays), sort_keys=False)
    lines = whole.replace("vars: secret", "vars: {registry_password: !secret {env: REGISTRY_PASSWORD}}")
    (first.folder / "site.yml").write_text(lines)
    return first


def play(name: str, host: LabHost, **spec: Any) -> dict[str, Any]:
    return {"name": name, "hosts": host.name, "vars": "secret", "spec": spec}


def test_push_here_pull_there(docker_fleet: Callable[[int], list[LabHost]]) -> None:
    hosts = docker_fleet(3)
    registry, builder, runner = hosts
    name = f"{registry.address}:5000"
    app = f"{name}/team/app:1"
    folder = registry.folder / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM base:1\nCOPY message /message\n")
    (folder / "message").write_text("built here\n")
    images.archive(registry.folder / "base.tar", "base:1")
    eater = "a=x; while :; do a=$a$a; done"
    container = {"image": app, "command": ["sleep", "100000"], "memory": "64m", "memory_swap": "64m"}
    # The runner's play stands first: who comes after whom follows from what they need.
    first = project(
        hosts,
        play("Runners", runner, engine=with_registry(name), containers={"app": container}),
        play("Registry", registry, engine=engine(), registry=serving(registry.address)),
        play(
            "Builders",
            builder,
            engine={**with_registry(name), "plugins": ["buildx"]},
            images={"base:1": {"archive": "base.tar"}, app: {"build": {"folder": "app"}, "push": True}},
        ),
    )
    outcome = first.apply()
    assert outcome.counts == {"changed": 3}, outcome.out[-6000:] + outcome.err
    order = [event["host"] for event in outcome.events if event["event"] == "host.done"]
    assert order == [registry.name, builder.name, runner.name]

    pushed = builder.sh(f"docker image inspect --format '{{{{index .RepoDigests 0}}}}' {app}").partition("@")[2]
    pulled = runner.sh(f"docker image inspect --format '{{{{index .RepoDigests 0}}}}' {app}").partition("@")[2]
    assert pushed == pulled
    log = registry.sh("journalctl -q -u docker-registry -o cat")
    asked = [line for line in log.splitlines() if f"GET /v2/team/app/manifests/{pushed}" in line or pushed in line]
    mine = [line for line in asked if runner.address in line and "GET" in line]
    assert mine, "the runner's pull stands in the registry's log, by its digest"
    print("the registry's log:", mine[0][:300])
    assert runner.sh("docker exec app cat /message") == "built here"

    said = runner.sh(
        f"docker run --name eater --memory 64m --memory-swap 64m {app} sh -c '{eater}'; echo $?", check=False
    )
    assert said.splitlines()[-1] == "137"
    assert runner.sh("docker inspect --format '{{.State.OOMKilled}}' eater") == "true"
    runner.sh("docker rm eater")

    again = first.apply()
    assert again.counts == {"ok": 3}, again.out[-3000:]

    wrong = runner.sh(f"echo wrong | docker --config /tmp/none login -u ci --password-stdin {name} 2>&1", check=False)
    assert "401" in wrong or "unauthorized" in wrong
    anonymous = runner.sh(f"docker --config /tmp/none pull {name}/team/app:none 2>&1", check=False)
    assert "no basic auth credentials" in anonymous
    stranger = registry.sh(f"docker pull {app} 2>&1", check=False)  # it was never given the authority's certificate
    assert "certificate signed by unknown authority" in stranger
    print("a wrong password:", wrong, "\na stranger to the authority:", stranger)

    verified = first.provision("verify")
    assert verified.code == 0, verified.out[-4000:]
    for host in hosts:
        found = host.sh(f"grep -rlF '{PASSWORD}' /var/lib/provision /run/provision /tmp /etc/docker /var/log || true")
        assert found == "", found
