"""A host's running containers and its images: the fields that the CIS benchmark checks.

Both are read once per host. Other fields are not kept: environments, commands and log options may hold secrets.
Containers and images of the suites themselves are left out.
"""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

from provision.verify.container import LABEL
from provision.verify.once import Once

_HOST_CONFIG = (
    "CapAdd",
    "CgroupParent",
    "CpuQuota",
    "CpuShares",
    "Devices",
    "IpcMode",
    "Memory",
    "NanoCpus",
    "NetworkMode",
    "PidMode",
    "PidsLimit",
    "Privileged",
    "ReadonlyRootfs",
    "RestartPolicy",
    "SecurityOpt",
    "UTSMode",
    "UsernsMode",
)

# The command fails for an object that is removed between the list and the answer, so the list is made again.
_INSPECT = """(
kind=%s
for round in 1 2 3 4 5; do
    case $kind in
    container) ids=$(docker ps -q --no-trunc) ;;
    image) ids=$(docker image ls -q --no-trunc) ;;
    esac || exit
    [ -n "$ids" ] || exit 0
    if found=$(docker inspect --type "$kind" --format '{{json .}}' $ids); then
        printf '%%s\\n' "$found"
        exit 0
    fi
done
exit 1
)"""
_HISTORY = """(
ids=$(docker image ls -q --no-trunc) || exit
for id in $(printf '%s\\n' "$ids" | sort -u); do
    docker history --no-trunc --format '{"Id":"'"$id"'","CreatedBy":{{json .CreatedBy}}}' "$id" && continue
    ! docker image inspect "$id" >/dev/null 2>&1 || exit 1
done
)"""
# How the kernel confines the first process of each container. A process that has ended meanwhile has no line.
_CONFINED = """(
pids=%s
for pid in $pids; do grep -s -H '^NoNewPrivs:' "/proc/$pid/status"; done
true
)"""
# sshd's children have such names too (sshd-session, sshd-auth). A process's control group contains its container's id.
_SSHD = """(
for name in $(grep -l -s -E '^sshd(-|$)' /proc/[0-9]*/comm); do cat "${name%/comm}/cgroup" 2>/dev/null; done
true
)"""


_CONTAINERS: Once[list[dict[str, Any]]] = Once()
_IMAGES: Once[list[dict[str, Any]]] = Once()


def containers(host: Host) -> list[dict[str, Any]]:
    """Running containers, with the fields that the CIS rules need (``_containers``)."""
    return list(_CONTAINERS.of(host, _containers))


def images(host: Host) -> list[dict[str, Any]]:
    """The images; ``History`` is the command of each layer, newest first."""
    return list(_IMAGES.of(host, _images))


def unconfined(host: Host) -> set[str]:
    """The ids of the containers whose first process may gain privileges (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    running = {str(one["Pid"]): one["Id"] for one in containers(host)}
    found = set()
    for line in str(host.check_output(_CONFINED, " ".join(running))).split("\n"):
        path, _, value = line.partition(":NoNewPrivs:")
        if value.strip() == "0":
            found.add(running[path.split("/")[2]])
    return found


def with_sshd(host: Host) -> set[str]:
    """The ids of the containers in which an sshd runs."""
    groups = str(host.check_output(_SSHD))
    return {one["Id"] for one in containers(host) if one["Id"] in groups}


def _inspected(host: Host, kind: str) -> list[dict[str, Any]]:
    """The fields by the API's own names: a template of single fields would depend on the client's version."""
    lines = str(host.check_output(_INSPECT, kind)).split("\n")
    found = [json.loads(line) for line in lines if line]
    return [one for one in found if LABEL not in ((one["Config"] or {}).get("Labels") or {})]


def _containers(host: Host) -> list[dict[str, Any]]:
    return [
        {
            "Id": one["Id"],
            "Name": one["Name"],
            "Pid": one["State"]["Pid"],
            "Health": (one["State"].get("Health") or {}).get("Status", ""),
            "User": one["Config"].get("User", ""),
            "AppArmorProfile": one.get("AppArmorProfile", ""),
            "ProcessLabel": one.get("ProcessLabel", ""),
            "Mounts": one.get("Mounts"),
            "Ports": one["NetworkSettings"].get("Ports"),
            "Networks": one["NetworkSettings"].get("Networks"),
            **{name: one["HostConfig"].get(name) for name in _HOST_CONFIG},
        }
        for one in _inspected(host, "container")
        if one["State"]["Running"]
    ]


def _images(host: Host) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in _inspected(host, "image"):
        health = (one["Config"] or {}).get("Healthcheck")
        found[one["Id"]] = {"Id": one["Id"], "RepoTags": one.get("RepoTags"), "Health": health, "History": []}
    for line in str(host.check_output(_HISTORY)).split("\n"):
        layer = json.loads(line) if line else {}
        if layer.get("Id") in found:
            found[layer["Id"]]["History"].append(layer["CreatedBy"])
    return list(found.values())
