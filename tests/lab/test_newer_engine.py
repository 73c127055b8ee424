"""An engine that no Debian release has yet, as a new installation receives it: with containerd's image store.

Most tests share one host, and each leaves it without images and containers. Behaviour that an older engine shares is
tested on both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import images
from tests.lab.any_engine import (
    applied,
    converges,
    image,
    loads_its_keys,
    prunes,
    pulls,
    volume_goes_with_its_container,
)
from tests.lab.conftest import LAB, LabHost, NewHost, Outcome, docker_answers, engine, newer_engine, together
from tests.lab.runs import leftovers
from tests.lab.test_containers import follows_its_file, follows_its_image, repairs_alone
from tests.lab.test_registry import identity as identity  # a fixture of this file too
from tools.leftovers import own


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """One host with the newest engine, for all tests of this file."""
    declared = newer_engine()
    name = f"{LAB.name}newest"
    own(LAB)
    (record,) = LAB.up({name: "trixie"})
    host = LabHost(name, record.address, tmp_path_factory.mktemp(name))
    outcome = host.apply({"engine": declared})
    assert outcome.counts == {"changed": 1}, outcome.out + outcome.err
    yield host
    LAB.down([name])


@pytest.fixture
def newest(shared: LabHost) -> Iterator[LabHost]:
    """That host in its initial state, with the playbook of its engine."""
    shared.inventory()
    applied(shared.apply({"engine": newer_engine()}, "--no-lint"), "ok")
    yield shared
    shared.inventory()
    shared.sh("docker ps -aq | xargs -r docker rm -f")
    assert shared.apply({"engine": newer_engine()}, "--no-lint").code == 0
    shared.sh("docker image prune -af; docker builder prune -af; docker volume prune -af")


def refused(outcome: Outcome, *words: str) -> None:
    """The host is refused as unsuited, before anything is touched."""
    assert (outcome.code, outcome.counts) == (3, {"failed": 1}), outcome.out[-6000:]
    error = outcome.done["error"]
    assert error["kind"] == "unsuited"
    for word in words:
        assert word in error["message"], error["message"]


def test_a_new_installation_is_in_the_desired_state(shared: LabHost) -> None:
    declared = newer_engine()
    applied(shared.apply({"engine": declared}), "ok")
    assert shared.docker_info("ServerVersion") == declared["version"]
    assert "containerd" in shared.docker_info("DriverStatus"), "a new installation has containerd's image store"


def test_all_suites_pass_and_live_restore_keeps_containers(newest: LabHost) -> None:
    host = newest
    spec = {
        "engine": newer_engine(**{"live-restore": True}),
        "images": image(host, "app:1"),
        "containers": {"web": {"image": "app:1", "stop_timeout": 0}},
    }
    applied(host.apply(spec))
    started = host.sh("docker inspect --format '{{.State.Pid}}' web")
    checked = host.provision("verify", "--disruptive")
    assert checked.failed == set(), checked.out[-4000:]
    assert len(checked.all("check.done")) > 30
    assert host.sh("docker inspect --format '{{.State.Pid}}' web") == started
    # A restart because of a changed key keeps it as well.
    applied(host.apply({**spec, "engine": newer_engine(**{"live-restore": True, "log-level": "warn"})}))
    assert host.sh("docker inspect --format '{{.State.Pid}}' web") == started


def test_a_switch_of_the_store_that_would_hide_images_is_refused(newest: LabHost) -> None:
    host = newest
    spec = {"engine": newer_engine(), "images": image(host, "app:1"), "containers": {"web": {"image": "app:1"}}}
    applied(host.apply(spec))
    pid, before = host.dockerd_pid(), host.sh("docker ps -q; docker image ls -q; sha256sum /etc/docker/daemon.json")
    held = ("snapshots of overlayfs in /var/lib/containerd", "containers of containerd in /var/lib/docker")
    for daemon, why in (
        ({"storage-driver": "overlay2"}, 'storage-driver null -> "overlay2"'),
        ({"storage-driver": "vfs"}, "to the storage driver vfs"),
        ({"features": {"containerd-snapshotter": False}}, "features null"),
        ({"userns-remap": "default"}, 'userns-remap null -> "default"'),
    ):
        refused(host.apply({**spec, "engine": newer_engine(**daemon)}, "--no-lint"), *held, why)
    moved = newer_engine(**{"data-root": "/srv/docker"})
    refused(host.apply({**spec, "engine": moved}, "--no-lint"), held[1])
    older = {**newer_engine(), "version": "28.5"}
    refused(host.apply({**spec, "engine": older}, "--no-lint"), *held, "engine 29.7 -> 28.5")
    assert host.sh("docker ps -q; docker image ls -q; sha256sum /etc/docker/daemon.json") == before
    assert host.dockerd_pid() == pid
    assert host.sh("ls -d /var/lib/docker/overlay2 /var/lib/docker/vfs 2>/dev/null || true") == ""
    applied(host.apply(spec), "ok")


def test_archives_saved_from_other_stores_are_loaded(newest: LabHost) -> None:
    """Archives without an index, as docker save wrote them before 25.0, and with several images."""
    host = newest
    both = images.archives(host.folder / "both.tar", {"one:1": {"one": b"1"}, "two:1": {"two": b"2"}})
    assert len(both) == 2
    known = {**image(host, "app:1"), "one:1": {"archive": "both.tar"}, "two:1": {"archive": "both.tar"}}
    named = {"two": {"image": "two:1", "stop_timeout": 0}, "app": {"image": "app:1", "stop_timeout": 0}}
    spec = {"engine": newer_engine(), "images": known, "containers": named}
    applied(host.apply(spec))
    assert host.sh("docker exec two cat /two") == "2"
    assert host.provision("verify", "--suite", "containers").failed == set()
    applied(host.apply(), "ok")
    assert host.sh("ls /var/lib/provision/blobs") == ""
    # Another image with the same name is a change.
    host.sh("docker tag one:1 two:1")
    assert "change image:two:1" in host.plan().items
    assert host.provision("verify", "--suite", "containers").failed == {"loaded_image two:1", "container_image two"}
    applied(host.apply())
    # The archive as this engine saves it: with an index, in which each image has its name.
    host.sh("docker save one:1 two:1 -o /tmp/both.tar")
    saved = host.sh("base64 -w0 /tmp/both.tar")
    (host.folder / "both.tar").write_bytes(base64.b64decode(saved))
    host.sh("docker rm -f two; docker image rm one:1 two:1")
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    assert host.sh("docker exec two cat /two") == "2"


def test_a_push_of_an_image_with_one_of_its_platforms(newest: LabHost, docker_host: LabHost) -> None:
    name = f"{newest.address}:5000"
    app = f"{name}/team/app:1"
    whole, part = images.platforms(newest.folder / "app.tar", app)
    insecure = {"insecure-registries": [name]}
    first = together([newest, docker_host])[0]
    first.playbook(
        {
            "hosts": newest.name,
            "spec": {
                "engine": newer_engine(**insecure),
                "registry": {"name": newest.address},
                "images": {app: {"archive": "app.tar", "push": True}},
            },
        },
        {
            "name": "Runners",
            "hosts": docker_host.name,
            "spec": {
                "engine": engine(**insecure),
                "prune": {"after": "1h"},
                "containers": {"app": {"image": app, "stop_timeout": 0}},
            },
        },
    )
    applied(first.apply(None, "--no-lint"), hosts=2)
    assert newest.sh(f"docker image inspect --format '{{{{.Id}}}}' {app}") == whole
    digests = docker_host.sh(f"docker image inspect --format '{{{{json .RepoDigests}}}}' {app}")
    assert part in digests, "the other host has the pushed image"
    applied(first.apply(None, "--no-lint"), "ok", 2)
    # The image is old, was pulled a moment ago, and is used by no container: prune keeps it for an hour.
    docker_host.sh(f"docker rm -f app; docker image rm -f {app}; docker pull -q {app}")
    docker_host.sh(f"docker tag {app} other:1; docker image rm {app}; docker image rm other:1; docker pull -q {app}")
    docker_host.sh(f"sed -i 's, {name}[^ ]*,,' /etc/systemd/system/provision-prune.service; systemctl daemon-reload")
    docker_host.sh("systemctl start provision-prune.service")
    assert docker_host.sh(f"docker image inspect --format '{{{{.Id}}}}' {app}"), "the image was pulled a moment ago"


def test_a_rollback_restores_the_image_that_a_build_replaced(newest: LabHost) -> None:
    host = newest
    folder = host.folder / "site"
    folder.mkdir()
    known = {**image(host, "base:1"), "web:1": {"build": {"folder": "site"}}}
    web = {"image": "web:1", "within": 10, "stop_timeout": 0}
    spec: dict[str, Any] = {
        "engine": {**newer_engine(), "plugins": ["buildx"]},
        "images": known,
        "containers": {"web": web},
    }

    def build(text: str) -> None:
        (folder / "Dockerfile").write_text(f"FROM base:1\nENV IS={text}\n")

    def is_now() -> str:
        ask = "docker image inspect --format '{{json .Config.Env}}' web:1; docker inspect --format '{{.Image}}' web"
        env, of_container = host.sh(ask).splitlines()
        assert host.sh("docker image inspect --format '{{.Id}}' web:1") == of_container
        return env

    build("one")
    applied(host.apply(spec))
    first = is_now()
    build("two")
    failed = host.apply({**spec, "containers": {"web": {**web, "command": ["false"]}}})
    assert failed.done["status"] == "rolled_back", failed.out[-4000:]
    assert failed.done["restored"] == "complete", failed.done
    assert is_now() == first
    assert host.sh("docker image ls -q provision-before") == ""
    assert leftovers(host) == ""
    applied(host.apply(spec))
    assert "IS=two" in is_now()
    back = host.rollback(host.provision("runs", "--on-hosts").all("run")[-1]["run"])
    applied(back)
    assert is_now() == first


def test_a_compose_service_follows_its_image(newest: LabHost) -> None:
    follows_its_image(newest, {**newer_engine(), "plugins": ["buildx", "compose"]})


def test_the_nftables_backend_replaces_iptables(newest: LabHost) -> None:
    host = newest
    forwarding = {"net.ipv4.ip_forward": 1}
    declared = newer_engine(**{"firewall-backend": "nftables"})
    never = {"engine": {**declared, "firewall": {"forward": "drop"}}, "sysctl": forwarding}
    outcome = host.apply(never)
    assert outcome.code == 1, "an error of the spec, before a host is touched"
    assert "containers would have no network" in outcome.out + outcome.err
    # dockerd has left a policy of iptables that drops what its rules in nftables accept.
    assert host.sh("iptables -S FORWARD | head -n 1") == "-P FORWARD DROP"
    refused(host.apply({"engine": declared, "sysctl": forwarding}), "FORWARD chain is DROP")
    spec = {"engine": {**declared, "firewall": {"forward": "accept"}}, "sysctl": forwarding}
    applied(host.apply(spec))
    applied(host.apply(), "ok")
    checked = host.provision("verify", "--suite", "foundation", "--suite", "settings")
    assert checked.failed == set(), checked.out[-4000:]
    host.sh("nft flush table ip docker-bridges")
    assert "nat docker0" in host.provision("verify", "--suite", "foundation").failed
    applied(host.apply({"engine": newer_engine()}, "--no-lint"))
    host.sh("iptables -P FORWARD DROP")


def test_prune_keeps_images_that_are_used_or_declared(newest: LabHost) -> None:
    """The client of this engine shows images without a name only on request."""
    prunes(newest, newer_engine())


def test_images_are_pulled_by_tag_and_by_digest(newest: LabHost) -> None:
    pulls(newest, newer_engine())


def test_a_compose_project_is_applied_changed_and_removed(newest: LabHost) -> None:
    follows_its_file(newest, {**newer_engine(), "plugins": ["compose"]})


def test_each_manual_change_is_repaired_alone(newest: LabHost) -> None:
    repairs_alone(newest, newer_engine())


def test_a_key_is_reloaded_or_needs_a_restart(newest: LabHost) -> None:
    loads_its_keys(newest, newer_engine())


def test_a_key_of_an_older_engine_is_reloaded_or_needs_a_restart(docker_host: LabHost) -> None:
    loads_its_keys(docker_host, engine())


def test_a_feature_that_is_read_at_start_needs_a_restart(newest: LabHost) -> None:
    host = newest
    pid = host.dockerd_pid()
    planned = host.plan({"engine": newer_engine(features={"cdi": False})}, "--no-lint")
    (event,) = planned.all("host.plan")
    assert event["impact"] == "restart", event["impacts"]
    applied(host.apply(None, "--no-lint"))
    assert host.dockerd_pid() != pid
    assert "CDI" not in host.docker_info("CDISpecDirs")
    assert host.docker_info("CDISpecDirs") == "[]"
    applied(host.apply(None, "--no-lint"), "ok")


def test_the_doctor_checks_the_store_of_the_engine(newest: LabHost) -> None:
    """The root of a lab host is an overlay, on which no container starts."""
    host = newest
    assert host.provision("doctor", spec={"engine": newer_engine()}).code == 0
    moved = host.provision("doctor", spec={"engine": {**newer_engine(), "containerd_root": "/srv/containerd"}})
    refused(moved, "space /srv/containerd: an overlay itself")
    root = newer_engine(**{"data-root": "/srv/docker"})
    levels = {
        event["subject"]: event["level"] for event in host.provision("doctor", spec={"engine": root}).all("verdict")
    }
    assert levels["space /srv/docker"] == "warning"


def test_fields_in_dockers_form_count_as_declared(newest: LabHost) -> None:
    converges(newest, newer_engine())


def test_fields_in_an_older_dockers_form_count_as_declared(docker_host: LabHost) -> None:
    converges(docker_host, engine())


def test_a_volume_is_removed_with_its_container(newest: LabHost) -> None:
    volume_goes_with_its_container(newest, newer_engine())


def test_a_volume_is_removed_with_its_container_of_an_older_engine(docker_host: LabHost) -> None:
    volume_goes_with_its_container(docker_host, engine())


def test_an_empty_store_is_switched_and_switched_back(new_host: NewHost) -> None:
    """dockerd prefers a driver that has left state, so a rollback must remove that state."""
    declared = newer_engine()
    host = new_host()
    applied(host.apply({"engine": declared}))
    graph = {"engine": newer_engine(**{"storage-driver": "overlay2"}), "images": image(host, "app:1")}
    failing = {"web": {"image": "app:1", "command": ["false"], "within": 5, "stop_timeout": 0}}
    failed = host.apply({**graph, "containers": failing}, "--no-lint")
    assert failed.done["status"] == "rolled_back", failed.out[-4000:]
    assert host.docker_info("Driver") == "overlayfs"
    assert host.sh("ls -d /var/lib/docker/overlay2 /var/lib/docker/image/overlay2 2>/dev/null || true") == ""
    assert host.sh("ls /var/lib/docker/containers; docker ps -aq; docker image ls -aq") == ""
    assert leftovers(host) == ""
    applied(host.apply({"engine": declared}, "--no-lint"), "ok")
    # With an empty store the switch succeeds, and later runs keep the driver.
    working = {**graph, "containers": {"web": {"image": "app:1", "stop_timeout": 0}}}
    applied(host.apply(working, "--no-lint"))
    assert host.docker_info("Driver") == "overlay2"
    applied(host.apply({**working, "engine": declared}, "--no-lint"))
    assert host.docker_info("Driver") == "overlay2", "without a declaration dockerd keeps the driver that it finds"
    snapshotter = newer_engine(features={"containerd-snapshotter": True})
    held = ("images of overlay2 in /var/lib/docker", "containers of overlay2 in /var/lib/docker")
    refused(host.apply({**working, "engine": snapshotter}, "--no-lint"), *held)
    # A downgrade and an upgrade keep the driver, and every container starts again.
    host.sh("docker run -d --name other --restart always app:1")
    for version in ("28.5.2", declared["version"]):
        applied(host.apply({**working, "engine": {**declared, "version": version}}, "--no-lint"))
        assert host.docker_info("ServerVersion").startswith(version)
        assert host.sh("docker ps --format '{{.Names}}' | sort").split() == ["other", "web"]
    # A store that the operator leaves on purpose is left.
    left = {"engine": {**snapshotter, "existing_store": "leave"}}
    host.sh("docker stop -t 0 other web")
    applied(host.apply(left, "--no-lint"))
    assert host.docker_info("Driver") == "overlayfs"


def test_an_upgrade_that_ends_a_container_fails(docker_host: LabHost) -> None:
    declared = newer_engine()
    host = docker_host
    host.sh("mkdir /srv/data")
    applied(host.apply({"engine": engine(), "images": image(host, "app:1")}))
    host.sh(
        "docker run -d --restart always --mount type=bind,src=/srv/data,dst=/data --name web app:1; rm -r /srv/data"
    )
    # An engine from another channel than stable: only the packages of the engine change.
    outcome = host.apply({"engine": declared}, "--no-lint")
    assert outcome.done["status"] == "rolled_back", outcome.out[-4000:]
    assert "containers that ran before do not run any more: web" in outcome.out
    host.sh("mkdir /srv/data; docker start web")
    docker_answers(host)
    applied(host.apply(None, "--no-lint"))


def test_an_upgrade_and_its_rollback_keep_containers_running(docker_host: LabHost) -> None:
    """From the previous engine to the newest and back, with containers of provision, of compose and of an operator."""
    host = docker_host
    declared = {**newer_engine(**{"live-restore": True}), "plugins": ["compose"]}
    older = {**declared, "version": "28.5.2"}
    shop = {"content": json.dumps({"services": {"one": {"image": "app:1", "stop_grace_period": "0s"}}})}
    web = {"image": "app:1", "volumes": ["data:/data"], "ports": ["8080:80"], "stop_timeout": 0}
    spec = {
        "images": image(host, "app:1"),
        "volumes": {"data": {}},
        "networks": {"back": {}},
        "containers": {"web": web, "worker": {"image": "app:1", "networks": ["back"], "stop_timeout": 0}},
        "compose": {"shop": shop},
        "prune": {"after": "1h"},
    }
    applied(host.apply({**spec, "engine": older}, "--no-lint"))
    host.sh("docker run -d --name other --restart always app:1; docker exec web sh -c 'echo kept >/data/file'")
    ask = "docker ps -q | xargs docker inspect --format '{{.Name}} {{.State.Pid}}' | sort"
    before = host.sh(ask)
    assert len(before.splitlines()) == 4
    applied(host.apply({**spec, "engine": declared}, "--no-lint"))
    assert host.docker_info("ServerVersion") == declared["version"]
    assert host.docker_info("Driver") == "overlay2", "an upgraded host keeps its images"
    assert host.sh(ask) == before
    applied(host.apply(None, "--no-lint"), "ok")
    checked = host.provision("verify", "--disruptive")
    assert checked.failed == set(), checked.out[-4000:]
    assert host.sh(ask) == before
    applied(host.rollback(host.provision("runs", "--on-hosts").all("run")[-1]["run"]))
    assert host.docker_info("ServerVersion").startswith("28.5.2")
    assert host.sh(ask) == before
    assert host.sh("docker exec web cat /data/file") == "kept"
    applied(host.apply({**spec, "engine": older}, "--no-lint"), "ok")
