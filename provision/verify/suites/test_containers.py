"""The objects in the engine are as the spec declares them, by docker's answer and by the kernel's."""

from __future__ import annotations

import json
import os.path
from typing import Any

import pytest
from testinfra.host import Host

from provision.lines import lines_of, words_of
from provision.verify.declared import Named
from provision.verify.docker import ask


def _inspect(host: Host, kind: str, name: str) -> Any:
    (found,) = ask(host, f"docker {kind} inspect '{name}'")
    return found


def test_network(host: Host, network: Named) -> None:
    found = _inspect(host, "network", network.name)
    assert found["Driver"] == network.value.driver
    assert found["Internal"] is network.value.internal
    if network.value.subnet is not None:
        assert network.value.subnet in [part["Subnet"] for part in found["IPAM"]["Config"]]


def test_volume(host: Host, volume: Named) -> None:
    assert _inspect(host, "volume", volume.name)["Driver"] == volume.value.driver


def test_image(host: Host, image: Named) -> None:
    """It exists, and has the digest that it is pinned to."""
    found = _inspect(host, "image", image.name)
    if image.value is not None:
        assert image.value in [digest.partition("@")[2] for digest in found["RepoDigests"]]


def test_loaded_image(host: Host, loaded_image: Named) -> None:
    """Its id is the hash of the archive's own config, or of its manifest where containerd keeps images. An archive
    without an index leaves the manifest to containerd: then the layers are compared with those of the archive."""
    ids, layers = loaded_image.value
    found = _inspect(host, "image", loaded_image.name)
    in_containerd = any(digest.endswith(f"@{found['Id']}") for digest in found["RepoDigests"])
    assert found["Id"] in ids or (in_containerd and len(ids) == 1 and found["RootFS"]["Layers"] == layers)


def test_image_absent(host: Host, absent_image: Named) -> None:
    assert host.run("docker image inspect %s", absent_image.name).rc != 0


def test_container_runs(host: Host, container: Named) -> None:
    state = _inspect(host, "container", container.name)["State"]
    assert state["Running"] is container.value.running
    if container.value.running:
        # docker's answer, and the kernel's.
        assert host.file(f"/proc/{state['Pid']}").is_directory


def test_container_image(host: Host, container: Named) -> None:
    """It uses the image that its image name refers to now."""
    found = _inspect(host, "container", container.name)
    assert found["Image"] == _inspect(host, "image", container.value.image)["Id"]


def test_container_environment(host: Host, container_environment: Named) -> None:
    name, variables = container_environment.value
    given = dict(line.partition("=")[::2] for line in _inspect(host, "container", name)["Config"]["Env"])
    wrong = sorted(key for key, value in variables.items() if given.get(key) != value)
    assert wrong == [], "a different value (not shown, because it may be a secret)"


def test_container_fields(host: Host, container: Named) -> None:
    declared, found = container.value, _inspect(host, "container", container.name)
    limits = found["HostConfig"]
    assert limits["RestartPolicy"]["Name"] == declared.restart
    assert limits["ReadonlyRootfs"] is declared.read_only
    assert limits["Privileged"] is declared.privileged
    added = {name.removeprefix("CAP_") for name in limits["CapAdd"] or []}
    dropped = {name.removeprefix("CAP_") for name in limits["CapDrop"] or []}
    assert (added, dropped) == (set(declared.cap_add), set(declared.cap_drop))
    assert set(found["NetworkSettings"]["Networks"]) == set(declared.networks or ["bridge"])
    assert declared.labels.items() <= found["Config"]["Labels"].items()
    if declared.command is not None and declared.entrypoint is None:
        assert found["Config"]["Cmd"] == declared.command
    if declared.user is not None:
        assert found["Config"]["User"] == declared.user


def test_container_mounts(host: Host, container: Named) -> None:
    mounts = _inspect(host, "container", container.name)["Mounts"]
    there = {(mount.get("Name") or mount["Source"], mount["Destination"], mount["RW"]) for mount in mounts}
    for bind in container.value.volumes:
        source, inner, *options = bind.split(":")
        # docker reports paths in their clean form (filepath.Clean): /var/lib/docker/ is /var/lib/docker.
        source, inner = (os.path.normpath(path) for path in (source, inner))
        assert (source, inner, "ro" not in ",".join(options).split(",")) in there


def test_container_port(host: Host, published_port: Named) -> None:
    """A process listens on the host's port."""
    address, port, protocol = published_port.value
    socket = host.socket(f"{protocol}://{address}{port}")
    assert socket.is_listening


def test_container_limit(host: Host, container_limit: Named) -> None:
    """The kernel's own number, in the cgroup of the container's first process; cgroup version 2 or 1."""
    name, limit, wanted = container_limit.value
    pid = _inspect(host, "container", name)["State"]["Pid"]
    files = {
        "memory": ("memory", "memory.max", "memory.limit_in_bytes"),
        "pids": ("pids", "pids.max", "pids.max"),
        "cpus": ("cpu", "cpu.max", "cpu.cfs_quota_us"),
    }
    controller, second, first = files[limit]
    # "0::/path" is the line of version 2; version 1 has a line for each controller (cgroups(7)).
    lines = [line.split(":", 2) for line in lines_of(host.check_output("cat /proc/%s/cgroup", str(pid)))]
    old = [path for _, names, path in lines if controller in names.split(",")]
    new = [path for number, names, path in lines if (number, names) == ("0", "")]
    place = f"/sys/fs/cgroup/{controller}{old[0]}/{first}" if old else f"/sys/fs/cgroup{new[0]}/{second}"
    words = host.check_output("cat %s", place).split()
    if limit == "cpus":
        period = words[1] if len(words) > 1 else host.check_output("cat %s", place.replace("quota", "period"))
        assert int(words[0]) / int(period) == pytest.approx(wanted)
    else:
        assert int(words[0]) == wanted


def test_container_healthy(host: Host, healthy_container: Named) -> None:
    assert _inspect(host, "container", healthy_container.name)["State"]["Health"]["Status"] == "healthy"


def test_container_absent(host: Host, absent_container: Named) -> None:
    assert host.run("docker container inspect %s", absent_container.name).rc != 0


def test_compose_project(host: Host, compose_project: Named) -> None:
    """Each of its services has a container of the declared file, and no container has failed."""
    text = host.check_output(
        "docker ps -a --filter label=com.docker.compose.project=%s --format '{{json .}}'", compose_project.name
    )
    rows = [json.loads(line) for line in lines_of(text)]
    services = {
        label.partition("=")[2]
        for row in rows
        for label in row["Labels"].split(",")
        if label.startswith("com.docker.compose.service=")
    }
    assert services == set(compose_project.value)
    for row in rows:
        assert row["State"] == "running" or row["Status"].startswith("Exited (0)"), row["Names"]
        assert "(unhealthy)" not in row["Status"], row["Names"]


def test_compose_image(host: Host, compose_project: Named) -> None:
    """Each container of a project uses the image that the name in its record refers to now."""
    label = f"label=com.docker.compose.project={compose_project.name}"
    ids = words_of(host.check_output("docker ps -aq --filter %s", label))
    for found in ask(host, f"docker container inspect {' '.join(ids)}") if ids else ():
        config = found["Config"]
        if config["Labels"].get("com.docker.compose.oneoff") == "True":
            continue
        assert found["Image"] == _inspect(host, "image", config["Image"])["Id"], found["Name"]


def test_prune_timer(host: Host, prune: Named) -> None:
    assert host.check_output("systemctl is-active provision-prune.timer") == "active"
    assert host.check_output("systemctl is-enabled provision-prune.timer") == "enabled"
