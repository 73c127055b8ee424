"""A private registry: push on one host, pull on another, over TLS and with logins."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import Struct

from tests.lab import images
from tests.lab.conftest import LAB, LabHost, engine, together
from tests.lab.registry_log import COMMAND, blob_spans, most_at_once

PASSWORD = "registry-secret-1"  # the canary of this file


@pytest.fixture(scope="module", autouse=True)
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An age key for the authority's private key, and the password of the registry's only account."""
    import pyrage

    path = tmp_path_factory.mktemp("identity") / "identity.txt"
    path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVISION_IDENTITY", str(path))
        patch.setenv("REGISTRY_PASSWORD", PASSWORD)
        yield


def with_registry(name: str, **more: Any) -> dict[str, Any]:
    login = {"user": "ci", "password": "{{ registry_password }}"}
    return {**engine(), "registries": {name: {"authority": "lab", "login": login, **more}}}


def serving(address: str, **more: Any) -> dict[str, Any]:
    users = {"ci": {"password": "{{ registry_password }}"}}
    return {"name": address, "tls": {"ca": "lab"}, "users": users, **more}


def project(hosts: list[LabHost], *plays: dict[str, Any]) -> LabHost:
    """The first host's directory has the playbook and the inventory of all hosts."""
    first = together(hosts)[0]
    whole = yaml.safe_dump(list(plays), sort_keys=False)
    lines = whole.replace("vars: secret", "vars: {registry_password: !secret {env: REGISTRY_PASSWORD}}")
    (first.folder / "site.yml").write_text(lines)
    return first


def play(name: str, host: LabHost, **spec: Any) -> dict[str, Any]:
    return {"name": name, "hosts": host.name, "vars": "secret", "spec": spec}


@pytest.fixture(scope="module")
def fleet(docker_fleet: Callable[[int], list[LabHost]]) -> list[LabHost]:
    return docker_fleet(5)


def test_an_image_is_pushed_on_one_host_and_pulled_on_another(docker_fleet: Callable[[int], list[LabHost]]) -> None:
    hosts = docker_fleet(3)  # no host has a registry or an authority yet
    registry, builder, runner = hosts
    name = f"{registry.address}:5000"
    app = f"{name}/team/app:1"
    folder = registry.folder / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM base:1\nCOPY message /message\n")
    (folder / "message").write_text("built here\n")
    images.archive(registry.folder / "base.tar", "base:1")
    use_all_memory = "a=x; while :; do a=$a$a; done"
    container = {"image": app, "command": ["sleep", "100000"], "memory": "64m", "memory_swap": "64m"}
    # The runner's play is first in the playbook: the order of hosts comes from what they need.
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
    own = [line for line in asked if runner.address in line and "GET" in line]
    assert own, "the registry's log has the runner's pull, by its digest"
    print("the registry's log:", own[0][:300])
    assert runner.sh("docker exec app cat /message") == "built here"

    # The parent process reports the kill: the event behind docker's OOMKilled may arrive after the container's end.
    said = runner.sh(f"docker run --rm --memory 64m --memory-swap 64m {app} sh -c '({use_all_memory}); echo $?'")
    assert said.splitlines()[-1] == "137"

    again = first.apply()
    assert again.counts == {"ok": 3}, again.out[-3000:]

    wrong = runner.sh(f"echo wrong | docker --config /tmp/none login -u ci --password-stdin {name} 2>&1", check=False)
    assert "401" in wrong or "unauthorized" in wrong
    anonymous = runner.sh(f"docker --config /tmp/none pull {name}/team/app:none 2>&1", check=False)
    assert "no basic auth credentials" in anonymous
    stranger = registry.sh(f"docker pull {app} 2>&1", check=False)  # this host has no certificate of the authority
    assert "certificate signed by unknown authority" in stranger
    print("a wrong password:", wrong, "\na stranger to the authority:", stranger)

    verified = first.provision("verify")
    assert verified.code == 0, verified.out[-4000:]
    for host in hosts:
        found = host.sh(f"grep -rlF '{PASSWORD}' /var/lib/provision /run/provision /tmp /etc/docker /var/log || true")
        assert found == "", found


def test_a_moved_tag_is_pulled_and_its_container_recreated(fleet: list[LabHost]) -> None:
    """The registry is asked, the new image pulled, and its container recreated. With a pin in the lock file it
    stays."""
    registry, builder, runner = fleet[:3]
    name = f"{registry.address}:5000"
    app = f"{name}/moving:1"
    images.archive(registry.folder / "one.tar", app, {"one": b""})
    images.archive(registry.folder / "two.tar", app, {"two": b""})
    (registry.folder / "site.lock.yml").unlink(missing_ok=True)

    def plays(archive: str) -> LabHost:
        container = {"image": app, "steady": 0, "stop_timeout": 0}
        return project(
            [registry, builder, runner],
            play("Registry", registry, engine=engine(), registry=serving(registry.address)),
            play("Builders", builder, engine=with_registry(name), images={app: {"archive": archive, "push": True}}),
            play("Runners", runner, engine=with_registry(name), images={app: {}}, containers={"app": container}),
        )

    first = plays("one.tar")
    outcome = first.apply()
    assert outcome.code == 0, outcome.out[-3000:] + outcome.err
    old = runner.sh(f"docker image inspect --format '{{{{.Id}}}}' {app}")
    # An operator moves the tag. Only the runner's own look can see that, because its builder is not in this run.
    builder.sh(f"docker build -q -t {app} - <<'X'\nFROM {app}\nLABEL moved=yes\nX\ndocker push -q {app}")
    lock = first.provision("lock", "-l", runner.name)
    assert lock.code == 0, lock.out + lock.err
    assert app in (first.folder / "site.lock.yml").read_text()
    # Only the image of the lock file: packages have separate tests.
    locked = first.folder / "site.lock.yml"
    locked.write_text(yaml.safe_dump({"images": yaml.safe_load(locked.read_text())["images"]}))
    pinned = first.plan(None, "-l", runner.name, "--detailed-exitcode")
    assert pinned.code == 0, pinned.out
    (first.folder / "site.lock.yml").unlink()
    (event,) = first.plan(None, "-l", runner.name).all("host.plan")
    (item,) = [item for item in event["items"] if item["resource"] == f"image:{app}"]
    assert item["diff"][0].startswith("tag: moved: ")
    print(item["diff"][0])
    moved = first.apply(None, "-l", runner.name)
    assert moved.counts == {"changed": 1}, moved.out[-2000:]
    new = runner.sh("docker inspect --format '{{.Image}}' app")
    assert new != old
    assert first.apply(None, "-l", runner.name).counts == {"ok": 1}
    # A run on all hosts: the builder pushes the declared image again, and the runner uses it again.
    back = first.apply()
    assert back.counts == {"ok": 1, "changed": 2}, back.out[-3000:]
    assert runner.sh("docker inspect --format '{{.Image}}' app") == old


def test_no_more_hosts_pull_at_once_than_the_limit(fleet: list[LabHost]) -> None:
    registry, *clients = fleet
    name = f"{registry.address}:5000"
    app = f"{name}/large:1"
    images.archive(registry.folder / "large.tar", app, {"blob": os.urandom(20_000_000)})
    first = project(
        fleet,
        play("Registry", registry, engine=engine(), registry=serving(registry.address)),
        play("Builder", clients[0], engine=with_registry(name), images={app: {"archive": "large.tar", "push": True}}),
        *(
            play(f"Client {one.name}", one, engine=with_registry(name, pulls=1), images={app: {}})
            for one in clients[1:]
        ),
    )
    outcome = first.apply()
    assert outcome.code == 0, outcome.out[-3000:] + outcome.err
    pulling = [one.address for one in clients[1:]]
    spans = blob_spans(registry.sh(COMMAND), "large")
    assert set(pulling) <= spans.keys(), "every host has pulled"
    assert most_at_once({address: spans[address] for address in pulling}) == 1, f"two at once: {spans}"


def test_pulls_work_while_certificates_are_renewed(fleet: list[LabHost]) -> None:
    registry, client = fleet[0], fleet[1]
    name = f"{registry.address}:5000"
    app = f"{name}/small:1"
    images.archive(registry.folder / "small.tar", app)
    first = project(
        [registry, client],
        play("Registry", registry, engine=engine(), registry=serving(registry.address)),
        play("Builders", client, engine=with_registry(name), images={app: {"archive": "small.tar", "push": True}}),
    )
    outcome = first.apply()
    assert outcome.code == 0, outcome.out[-3000:] + outcome.err
    loop = f"while [ ! -e /tmp/stop ]; do docker pull -q {app} >/dev/null 2>>/tmp/refused || echo no; done | wc -l"
    client.sh("rm -f /tmp/stop /tmp/refused")
    started = registry.sh("systemctl show -p MainPID --value docker-registry")
    ca = first.folder / "ca/lab.crt"
    before = ca.read_bytes()
    with subprocess.Popen([*LAB.ssh(client.name), loop], stdout=subprocess.PIPE, text=True) as puller:
        # Renew only the authority's certificate, as when it is about to expire. Its key stays.
        leaf = (first.folder / f"ca/lab/{registry.address}.crt").read_bytes()
        renewed = renew_authority(first.folder / "ca")
        assert renewed == ["renewed the certificate of the authority lab"]
        assert ca.read_bytes() != before
        assert (first.folder / f"ca/lab/{registry.address}.crt").read_bytes() == leaf
        applied = first.apply()
        client.sh("sleep 1; touch /tmp/stop")
        assert puller.stdout is not None
        refused = puller.stdout.read().strip()
    assert applied.counts == {"ok": 1, "changed": 1}, applied.out[-3000:]
    assert refused == "0", client.sh("cat /tmp/refused")
    assert registry.sh("systemctl show -p MainPID --value docker-registry") == started
    # Renew all certificates, the registry's too: the registry restarts, and hosts with the new authority trust it.
    command = [sys.executable, "-m", "provision", "secrets", "ca", "--renew"]
    done = subprocess.run(
        [*command, str(first.folder / "site.yml"), "-i", str(first.folder / "inventory.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    again = first.apply()
    assert again.counts == {"changed": 2}, again.out[-3000:] + again.err
    client.sh(f"docker pull -q {app}")
    assert first.provision("verify", "--suite", "registry").code == 0
    # No host trusts a certificate of another authority.
    client.sh(f"cp /etc/docker/certs.d/{name}/ca.crt /tmp/ca.crt")
    stranger = other_authority(first.folder / "other")
    client.sh(f"cat >/etc/docker/certs.d/{name}/ca.crt <<'X'\n{stranger}X")
    wrong = client.sh(f"docker pull {name}/small:none 2>&1", check=False)
    assert "certificate signed by unknown authority" in wrong
    print("a wrong authority:", wrong)
    assert first.apply().counts == {"ok": 1, "changed": 1}


def renew_authority(folder: Path) -> list[str]:
    from provision.secrets.age import recipients
    from provision.secrets.authority import CA_DAYS, CA_LEFT, renew

    # Near the end of the authority's time, a new certificate is valid from that date on. So the renewal uses today's
    # date.
    assert renew(folder, "lab", [], recipients(), datetime.now(UTC) + timedelta(days=CA_DAYS - CA_LEFT - 1)) == []
    return renew(folder, "lab", [], recipients(), force=True)


def other_authority(folder: Path) -> str:
    from provision.secrets.age import recipients
    from provision.secrets.authority import renew

    renew(folder, "lab", [], recipients())
    return (folder / "lab.crt").read_text()


def test_a_pull_through_mirror_is_used(fleet: list[LabHost]) -> None:
    """A pull-through registry in front of another one. The other one is open, because a mirror supports only token
    logins, as Docker Hub has them. What a host pulls from Docker Hub, by name, comes from the mirror."""
    upstream, mirror, client = fleet[0], fleet[3], fleet[4]
    app = f"{upstream.address}:5000/library/hello:1"
    images.archive(upstream.folder / "hello.tar", app)
    name = f"{upstream.address}:5000"
    first = project(
        [upstream, mirror, client],
        play(
            "Registry",
            upstream,
            engine=with_registry(name),
            registry={"name": upstream.address, "tls": {"ca": "lab"}, "collect": {"untagged": True}},
            images={app: {"archive": "hello.tar", "push": True}},
        ),
        play(
            "Mirror",
            mirror,
            engine=engine(),
            registry={"name": mirror.address, "proxy": {"url": f"https://{upstream.address}:5000"}},
        ),
        play(
            "Clients",
            client,
            engine=engine(**{"registry-mirrors": [f"http://{mirror.address}:5000"]}),
            images={"hello:1": {"moved": "ignore"}},
        ),
    )
    # The mirror's program itself trusts the authorities that its host trusts.
    done = first.apply(None, "-l", upstream.name)
    assert done.code == 0, done.out[-3000:] + done.err
    mirror.sh("apt-get -qq update; apt-get -qq -y install ca-certificates >/dev/null 2>&1")
    mirror.sh(f"cat >>/etc/ssl/certs/ca-certificates.crt <<'X'\n{(first.folder / 'ca/lab.crt').read_text()}X")
    outcome = first.apply()
    assert outcome.code == 0, outcome.out[-3000:] + mirror.sh("journalctl -q -u docker-registry -n 20 -o cat")
    asked = f"grep -c 'method=GET.*remoteaddr=\"{client.address}:.*/v2/library/hello/manifests'"
    assert int(mirror.sh(f"journalctl -q -u docker-registry -o cat | {asked}")) > 0
    assert first.apply().counts == {"ok": 3}
    verified = first.provision("verify", "--suite", "registry", "-l", f"{mirror.name}:{upstream.name}")
    assert verified.code == 0, verified.failed
    checks = {event["check"] for event in verified.all("check.done") if event["outcome"] == "passed"}
    assert f"registry_serves {client.name}" not in checks, "only hosts of the run are expected"
    whole = first.provision("verify", "--suite", "registry")
    assert f"registry_serves {client.name}" in {event["check"] for event in whole.all("check.done")}
    assert whole.code == 0, whole.failed

    # The timer's service collects what is removed over the API, and the other images still work.
    size = int(upstream.sh("du -sk /var/lib/docker-registry").split()[0])
    upstream.sh(f"docker tag {app} {name}/gone:1; docker push -q {name}/gone:1")
    digest = upstream.sh(f"docker image inspect --format '{{{{json .RepoDigests}}}}' {name}/gone:1")
    (gone,) = [one.partition("@")[2] for one in json.loads(digest) if "/gone@" in one]
    assert api(upstream, "DELETE", f"/v2/gone/manifests/{gone}").status == 202
    upstream.sh("systemctl start provision-registry-collect.service")
    assert upstream.sh("systemctl is-active docker-registry") == "active"
    assert int(upstream.sh("du -sk /var/lib/docker-registry").split()[0]) <= size + 64
    client.sh("docker rmi hello:1 >/dev/null; docker pull -q hello:1")


CONFIG = "/etc/docker/registry/config.yml"
SELF_SIGNED = "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=x"
#: How the registry's host is broken by hand -> the checks that must fail.
BROKEN: list[tuple[str, str, set[str]]] = [
    ("stopped", "systemctl stop docker-registry", {"answers", "certificate", "refuses", "push_and_pull"}),
    ("open without a login", f"sed -i '/^auth:/,/htpasswd/d' {CONFIG}; RESTART", {"refuses"}),
    (
        "no client may remove images",
        f"sed -i 's/delete: .*/delete: {{enabled: false}}/' {CONFIG}; RESTART",
        {"push_and_pull"},
    ),
    ("another password", "sed -i 's/:.*/:$2y$10$x/' /etc/docker/registry/htpasswd", {"answers", "push_and_pull"}),
    (
        "another certificate",
        f"cd /etc/docker/registry; {SELF_SIGNED} -keyout tls.key -out tls.crt 2>/dev/null; RESTART",
        {"answers", "refuses", "push_and_pull"},
    ),
    ("a log without a client", "journalctl --rotate; journalctl --vacuum-time=1s", {"serves"}),
]


def test_the_checks_of_a_registry_fail_for_each_fault(fleet: list[LabHost]) -> None:
    registry, client = fleet[0], fleet[1]
    name = f"{registry.address}:5000"
    app = f"{name}/witness:1"
    images.archive(registry.folder / "witness.tar", app)
    first = project(
        [registry, client],
        play(
            "Registry",
            registry,
            engine=engine(),
            registry=serving(registry.address),
            packages=["openssl"],
        ),
        play("Builders", client, engine=with_registry(name), images={app: {"archive": "witness.tar", "push": True}}),
        play("Clients", client, containers={"app": {"image": app}}),
    )
    outcome = first.apply()
    assert outcome.code == 0, outcome.out[-3000:] + outcome.err
    assert first.provision("verify", "--suite", "registry").code == 0
    for what, command, wanted in BROKEN:
        restart = "systemctl restart docker-registry; sleep 1"
        registry.sh(command.replace("RESTART", restart))
        failed = first.provision("verify", "--suite", "registry").failed
        assert {check.split()[0].removeprefix("registry_") for check in failed} == wanted, what
        assert first.apply().code == 0
    client.sh("chmod 0644 /root/.docker/config.json")
    assert first.provision("verify", "--suite", "registry").failed == {f"login root at {name}"}


class Answer(Struct, frozen=True):
    status: int
    digest: str  # of a manifest
    body: bytes


def api(host: LabHost, method: str, path: str, body: bytes | None = None, media: str = "") -> Answer:
    """A request of this machine to the registry on a host. ``media`` is the type of the manifest that is sent or
    asked for."""
    pair = base64.b64encode(f"ci:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", **({"Content-Type": media, "Accept": media} if media else {})}
    request = urllib.request.Request(f"https://{host.address}:5000{path}", body, headers, method=method)
    context = ssl.create_default_context(cadata=(host.folder / "ca/lab.crt").read_text())
    with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - it is https
        return Answer(answer.status, answer.headers.get("Docker-Content-Digest", ""), answer.read())


def test_a_registry_runs_as_a_container(fleet: list[LabHost]) -> None:
    """The registry's own image is not available here. An image with Debian's build of the same program replaces it."""
    registry, host = fleet[0], fleet[2]
    other = project([registry, host], play("Registry", registry, engine=engine(), registry=serving(registry.address)))
    assert other.apply().code == 0
    program = base64.b64decode(registry.sh("base64 -w0 /usr/bin/docker-registry"))
    libraries = registry.sh("ldd /usr/bin/docker-registry | grep -o '/[^ )]*' || true").split()
    more = {name.lstrip("/"): base64.b64decode(registry.sh(f"base64 -w0 {name}")) for name in libraries}
    more |= {"bin/docker-registry": program, "entry": b'#!/bin/sh\nexec /bin/docker-registry "$@"\n'}
    images.archive(registry.folder / "registry.tar", "registry:2", more, Entrypoint=["/entry"])
    first = project(
        [registry, host],
        play(
            "Container",
            host,
            engine=engine(),
            images={"registry:2": {"archive": "registry.tar"}},
            registry=serving(host.address, source="container", read_only=True, port=5001, storage="/srv/registry"),
        ),
    )
    outcome = first.apply()
    assert outcome.counts == {"changed": 1}, outcome.out[-3000:] + outcome.err
    assert first.apply().counts == {"ok": 1}
    verified = first.provision("verify", "--suite", "registry", "--suite", "containers")
    assert verified.code == 0, verified.failed
    checks = {event["check"].split()[0] for event in verified.all("check.done") if event["outcome"] == "passed"}
    assert {"registry_answers", "registry_certificate", "registry_refuses", "registry_takes_nothing"} <= checks
