"""Checks that a Docker host must pass with any engine. The tests run each on hosts with an older and a newer engine."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import yaml

from provision.engine.keys import key_effects, keys, version
from provision.lab import cgroups
from provision.spec.containers import Container
from tests.lab import images
from tests.lab.conftest import LabHost, Outcome
from tests.lab.test_registry import api, play, project, serving, with_registry


def applied(outcome: Outcome, how: str = "changed", hosts: int = 1) -> None:
    assert outcome.counts == {how: hosts}, outcome.out[-6000:] + outcome.err


def image(host: LabHost, tag: str, **more: Any) -> dict[str, Any]:
    """An image that provision sends to the host, and its declaration."""
    file = f"{tag.replace(':', '-').replace('/', '-')}.tar"
    images.archive(host.folder / file, tag, **more)
    return {tag: {"archive": file}}


#: Fields that docker shows in another form than the declared one. Each once made provision roll back, because the
#: container never equalled its declaration.
AS_DOCKER_SHOWS_IT: dict[str, dict[str, Any]] = {
    "privileged": {"privileged": True},
    "addresses": {
        "ports": ["0.0.0.0:8081:80", "[::1]:8082:80", "[0:0::1]:8083:81", "8084:080"],
        "command": ["httpd", "-f", "-p", "80", "-h", "/"],
    },
    "tmpfs": {"tmpfs": ["/t:size=1m,mode=1777", "/run"]},
    "logs": {"log": {"driver": "json-file", "options": {"max-size": "5m"}}},
    "other-logs": {"log": {"driver": "local", "options": {"max-size": "5m"}}},
}


#: A container with every field, apart from those of which a container can have one value only (``SINGLE``).
WHOLE: dict[str, Any] = {
    "entrypoint": ["/bin/sleep"],
    "command": ["100000"],
    "environment": {"MODE": "fast"},
    "ports": ["8086:80"],
    "volumes": ["data:/data", "/srv:/srv:ro"],
    "tmpfs": ["/run:size=1m"],
    "networks": ["back", "front"],
    "hostname": "whole.example.com",
    "user": "1000:1000",
    "workdir": "/data",
    "memory": "64m",
    "memory_swap": "96m",
    "cpus": 0.5,
    "pids": 100,
    "restart": "on-failure",
    "log": {"driver": "local", "options": {"max-size": "5m", "max-file": "2"}},
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["MKNOD"],
    "security": ["no-new-privileges"],
    "read_only": True,
    "stop_timeout": 0,
    "health": {"command": "test -d /data", "interval": "1s", "retries": 2, "start_period": "1s", "timeout": "5s"},
    "labels": {"by": "the tests"},
    "within": 60,
    "adopt": True,
}
#: The lab's docker-init needs a later libc than the images of these tests.
NOT_HERE = {"init"}
SINGLE = {"image", "privileged", "running", "steady", "absent"}


def converges(host: LabHost, declared: dict[str, Any]) -> None:
    """A field that docker adds to, merges or writes in another form counts as declared."""
    options = {"max-size": "10m", "max-file": "3", "cache-max-file": "2"}
    known = image(host, "app:1")
    assert set(WHOLE) == set(Container.model_fields) - SINGLE - NOT_HERE, "a field that is not tested"
    fields = {**AS_DOCKER_SHOWS_IT, "whole": WHOLE, "stopped": {"running": False}}
    named = {name: {"image": "app:1", "stop_timeout": 0, **one} for name, one in fields.items()}
    objects = {"images": known, "volumes": {"data": {}}, "networks": {"back": {}, "front": {}}, "containers": named}
    spec = {"engine": {**declared, "daemon": {**declared["daemon"], "log-opts": options}}, **objects}
    applied(host.apply(spec, "--no-lint"))
    applied(host.apply(None, "--no-lint"), "ok")
    assert host.sh("docker inspect --format '{{json .HostConfig.LogConfig.Config}}' logs") == (
        '{"cache-max-file":"2","max-file":"3","max-size":"5m"}'
    )
    checked = host.provision("verify", "--suite", "containers")
    assert checked.failed == set(), checked.out[-4000:]
    # If no play of this run has the engine, provision cannot determine what docker adds.
    host.playbook({"name": "Others", "spec": objects})
    applied(host.apply(None, "--no-lint"), "ok")


def volume_goes_with_its_container(host: LabHost, declared: dict[str, Any]) -> None:
    known = image(host, "app:1")
    web = {"image": "app:1", "volumes": ["data:/data"], "stop_timeout": 0}
    spec = {"engine": declared, "images": known, "volumes": {"data": {}}, "containers": {"web": web}}
    applied(host.apply(spec, "--no-lint"))
    host.sh("docker exec web sh -c 'echo kept >/data/file'")
    gone = {"volumes": {"data": {"absent": True}}, "containers": {"web": {"absent": True}}}
    # A later failure restores both, with their content.
    failing = {"net": {"image": "app:1", "networks": ["nosuch"], "stop_timeout": 0}}
    failed = host.apply(
        {**spec, "volumes": gone["volumes"], "containers": {**gone["containers"], **failing}}, "--no-lint"
    )
    assert failed.done["status"] == "rolled_back", failed.out[-4000:]
    assert host.sh("docker exec web cat /data/file") == "kept"
    applied(host.apply({**spec, **gone}, "--no-lint"))
    assert host.sh("docker ps -aq; docker volume ls -q") == ""
    applied(host.apply(None, "--no-lint"), "ok")
    # A volume that another container uses is not removed.
    host.sh("docker volume create data; docker run -d --name other -v data:/data app:1")
    failed = host.apply(None, "--no-lint")
    assert "in use by the container other" in failed.done["error"]["detail"]
    assert host.sh("docker volume ls -q") == "data"
    host.sh("docker rm -f other; docker volume rm data")


#: Keys that dockerd reloads on SIGHUP, each with a value that is not the default.
RELOADED: dict[str, Any] = {
    "debug": True,
    "default-cgroupns-mode": "host" if cgroups.version() == 2 else "private",
    "default-ipc-mode": "shareable",
    "default-runtime": "other",
    "default-shm-size": "32M",
    "default-stop-timeout": 5,
    "features": {"buildkit": True},
    "insecure-registries": ["r.example.com:5000"],
    "labels": ["rack=7"],
    "live-restore": True,
    "max-concurrent-downloads": 5,
    "max-concurrent-uploads": 4,
    "max-download-attempts": 3,
    "registry-mirrors": ["https://m.example.com/"],
    "runtimes": {"other": {"path": "/usr/bin/runc"}},
    "shutdown-timeout": 20,
}
#: Keys that dockerd reads only at its start.
AT_START: dict[str, Any] = {
    "bip": "10.203.0.1/24",
    "experimental": True,
    "icc": False,
    "ip": "127.0.0.1",
    "log-driver": "local",
    "log-level": "debug",
    "log-opts": {"max-size": "10m"},
    "mtu": 1400,
    "no-new-privileges": True,
    "userland-proxy": False,
}
_REPORTS = "journalctl --sync; journalctl -q -o cat -u docker | grep 'Reloaded configuration' || true"


def reloads(host: LabHost) -> list[dict[str, Any]]:
    """The configuration that dockerd itself reports after each of its reloads."""
    texts = [re.sub(r"^[^{]*|[^}]*$", "", line) for line in host.sh(_REPORTS).splitlines()]
    return [json.loads(json.loads(f'"{text}"')) for text in texts]


def reload(host: LabHost, daemon: dict[str, Any]) -> dict[str, Any]:
    """Write a file and send the signal, as an operator does; returns what dockerd has loaded."""
    before = len(reloads(host))
    host.sh(f"cat >/etc/docker/daemon.json <<'X'\n{json.dumps(daemon)}\nX\nsystemctl reload docker")
    for _ in range(100):
        if len(found := reloads(host)) > before:
            break
        time.sleep(0.2)
    assert len(found) == before + 1, "dockerd has not loaded the file"
    return found[-1]


def loads_its_keys(host: LabHost, declared: dict[str, Any]) -> None:
    """A key is planned as a reload if, and only if, dockerd reloads it."""
    engine = version(host.docker_info("ServerVersion"))
    assert engine is not None
    live = {key: value for key, value in RELOADED.items() if keys()[key].known_to(engine)}

    def change(**daemon: Any) -> str:
        """Apply further keys; returns the impact that the plan names."""
        outcome = host.apply({"engine": {**declared, "daemon": {**declared["daemon"], **daemon}}}, "--no-lint")
        applied(outcome)
        (event,) = outcome.all("host.plan")
        impact: str = event["impact"]
        return impact

    pid = host.dockerd_pid()
    assert change(**live) == "reload"
    assert host.dockerd_pid() == pid
    report = reloads(host)[-1]
    shown = live | {"default-shm-size": 32 << 20}
    assert {key: report.get(key) for key in live} == {key: shown[key] for key in live}
    applied(host.apply(None, "--no-lint"), "ok")
    assert host.provision("verify", "--suite", "daemon", "--suite", "settings").failed == set()
    # dockerd keeps what it has read at its start, when an operator sends the signal with other values in the file.
    report = reload(host, {**declared["daemon"], **live, **AT_START})
    assert {key for key, value in AT_START.items() if report.get(key, False) == value} == set()
    assert set(key_effects(declared["daemon"], {**declared["daemon"], **AT_START}, engine).values()) == {"restart"}
    assert change(**live, **AT_START) == "restart"
    assert host.dockerd_pid() != pid
    applied(host.apply(None, "--no-lint"), "ok")
    report = reload(host, {**declared["daemon"], **live, **AT_START})
    assert {key: report.get(key, False) for key in AT_START} == AT_START  # false is left out


def prunes(host: LabHost, declared: dict[str, Any]) -> None:
    """Images that are old, unused and not declared are removed, and no others."""
    known = image(host, "kept:1", more={"kept": b""}) | image(host, "used:1", more={"used": b""})
    app = {"app": {"image": "used:1", "running": False}}

    def after(time: str, **more: Any) -> dict[str, Any]:
        return {"engine": declared, "prune": {"after": time}, "images": known, "containers": app, **more}

    applied(host.apply(after("1h"), "--no-lint"))
    host.sh("docker tag used:1 stopped:1; docker run -d --name other used:1; docker stop -t 0 other")
    host.sh("docker export app | docker import - old:1")
    # An image that lost its name to a newer one.
    host.sh("docker export app | docker import --message one - app:1")
    host.sh("docker export app | docker import --message two - app:1")
    count = int(host.sh("docker image ls -aq | sort -u | wc -l"))
    host.sh("systemctl start provision-prune.service")
    assert int(host.sh("docker image ls -aq | sort -u | wc -l")) == count, "none is old enough"
    applied(host.apply(after("0s"), "--no-lint"))
    host.sh("systemctl start provision-prune.service")
    left = host.sh("docker image ls -a --format '{{.Repository}}:{{.Tag}}' | sort").splitlines()
    assert left == ["kept:1", "stopped:1", "used:1"]
    applied(host.apply(None, "--no-lint"), "ok")


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def pulls(host: LabHost, declared: dict[str, Any]) -> None:
    """A registry with certificates and logins: push, pull by tag, by the digest of an index and of one platform; a tag
    that moves, and its pin in the lock file."""
    name = f"{host.address}:5000"
    repository = f"{name}/team/app"
    app = f"{repository}:1"
    spec = {
        "engine": {**declared, "registries": with_registry(name)["registries"]},
        "registry": serving(host.address),
    }

    def run(images_: dict[str, Any], containers: dict[str, str]) -> LabHost:
        named = {one: {"image": of, "steady": 0, "stop_timeout": 0} for one, of in containers.items()}
        return project([host], play("Docker hosts", host, **spec, images=images_, containers=named))

    images.archive(host.folder / "one.tar", app, {"is": b"one"})
    images.archive(host.folder / "two.tar", f"{repository}:2", {"is": b"two"})
    pushed = {app: {"archive": "one.tar", "push": True}, f"{repository}:2": {"archive": "two.tar", "push": True}}
    applied(run(pushed, {}).apply(None, "--no-lint"))
    applied(host.apply(None, "--no-lint"), "ok")
    one, two = (api(host, "GET", f"/v2/team/app/manifests/{tag}", media=MANIFEST) for tag in "12")
    host.sh(f"docker image rm {app} {repository}:2")
    # By tag.
    applied(run({app: {}}, {"web": app}).apply(None, "--no-lint"))
    assert host.sh("docker exec web cat /is") == "one"
    applied(host.apply(None, "--no-lint"), "ok")
    assert host.provision("lock").code == 0
    # The tag moves to an index with the other image.
    part = {"mediaType": MANIFEST, "digest": two.digest, "size": len(two.body), "platform": images.PLATFORM}
    whole = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": [part]}).encode()
    index = api(host, "PUT", "/v2/team/app/manifests/1", whole, LIST)
    lock = host.folder / "site.lock.yml"
    lock.write_text(yaml.safe_dump({"images": yaml.safe_load(lock.read_text())["images"]}))
    assert host.plan(None, "--no-lint", "--detailed-exitcode").code == 0
    lock.unlink()
    (event,) = host.plan(None, "--no-lint").all("host.plan")
    assert {item["resource"] for item in event["items"]} == {f"image:{app}", "container:web"}
    applied(host.apply(None, "--no-lint"))
    assert host.sh("docker exec web cat /is") == "two"
    applied(host.apply(None, "--no-lint"), "ok")
    # By digest.
    host.sh("docker rm -f web; docker image prune -af")
    digests = {"first": one.digest, "index": index.digest, "platform": two.digest}
    named = {each: f"{repository}@{digest}" for each, digest in digests.items()}
    applied(run({of: {} for of in named.values()}, named).apply(None, "--no-lint"))
    assert [host.sh(f"docker exec {each} cat /is") for each in digests] == ["one", "two", "two"]
    applied(host.apply(None, "--no-lint"), "ok")
    checked = host.provision("verify", "--suite", "registry", "--suite", "containers")
    assert checked.failed == set(), checked.out[-4000:]
