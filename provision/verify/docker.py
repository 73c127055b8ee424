"""The daemon's report, its running containers and images, and temporary containers for the suites.

Each answer is read once per host and run. Fields that no check needs are not kept: environments, commands and log
options may hold secrets. Containers and images of the suites themselves are left out.

The image of the temporary containers needs no registry: it is made on the host from the host's programs. All of these
objects have the label, are limited in time, memory and processes, and are removed afterwards. Containers remove
themselves when their only command ends. A timer on the host removes the rest, even if provision is killed. The label's
value is that of the run: several runs may check a host at once, and none removes the objects of another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from testinfra.host import Host

from provision.lines import lines_of
from provision.verify.services import LATER, Once, dockerd, never, uses_systemd

RUN = uuid4().hex[:12]
LABEL = f"provision.verify={RUN}"
IMAGE = f"provision-verify:{RUN}"
#: Seconds after which the host itself removes the remaining objects. All checks together take less on a slow host.
_LATEST = 3600
#: Seconds that one container may run. An emulated or overloaded host takes a minute to start one.
_LONGEST = 300
#: Seconds after which a packet without an answer counts as not forwarded. By then the kernel has sent it three times
#: (tcp(7), tcp_syn_retries: after 1 s, 3 s and 7 s).
_UNANSWERED = 5
#: Seconds to wait for an answer that must come.
_ANSWERED = 60
#: Limits of every container: memory, processes, and no new privileges.
BOUNDS = f"--label {LABEL} --memory 64m --pids-limit 32 --security-opt no-new-privileges"
#: Only checks of the network get a network, because its creation takes longer than all other steps.
OFFLINE = f"{BOUNDS} --network none"

# Repeated, because docker refuses to remove the image of a container that it is removing at that moment.
_CLEAN = (
    "for round in 1 2 3 4 5 6 7 8 9 10; do "
    f"docker ps -aq --filter label={LABEL} | xargs -r docker rm -f && "
    f"docker images -q --filter label={LABEL} | xargs -r docker rmi -f && break; sleep 1; done"
)

# Each program, and the libraries that the dynamic linker lists for it (ldd(1)), at the same paths as on the host.
_BUILD = """
set -e
if docker image inspect IMAGE >/dev/null 2>&1; then exit 0; fi
later BOUND provision-verify-clean-RUN 'CLEAN'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/proc" "$folder/sys" "$folder/tmp"
for program in sh bash cat sleep ls readlink uname touch timeout; do
    path=$(command -v "$program")
    for file in $(ldd "$path" | grep -o '/[^ )]*'); do
        mkdir -p "$folder${file%/*}"
        cp -L "$file" "$folder$file"
    done
    cp -L "$path" "$folder/bin/$program"
done
tar -C "$folder" -c . | docker import --change 'LABEL LABEL' --change 'ENV PATH=/bin' - IMAGE
"""

#: What docker printed when it made the image, until :func:`clean` removes it.
_MADE: Once[str] = Once()


def prepare(host: Host) -> None:
    """Make sure that the image exists; raises ``AssertionError`` with docker's message when it can't be made.

    The host is asked once, because each start of docker's client takes processor time: a second on an emulated host.
    """
    _MADE.of(host, _make)


def _make(host: Host) -> str:
    script = (
        _BUILD.replace("BOUND", str(_LATEST))
        .replace("CLEAN", _CLEAN)
        .replace("IMAGE", IMAGE)
        .replace("LABEL LABEL", f"LABEL {LABEL}")
        .replace("RUN", RUN)
    )
    return str(host.check_output(LATER + script))


def run(host: Host, command: str, options: str = OFFLINE) -> str:
    """Run ``command`` in a separate container, and return its output."""
    prepare(host)
    return host.check_output(f"timeout {_LONGEST} docker run --rm {options} {IMAGE} sh -c %s", command)


@contextmanager
def running(host: Host, options: str = OFFLINE) -> Iterator[str]:
    """The id of a container that sleeps until it is removed."""
    prepare(host)
    name = host.check_output(f"docker run -d --rm {options} {IMAGE} sleep {_LATEST}")
    try:
        yield name
    finally:
        host.run("docker rm -f %s", name)


def reaches(host: Host, address: str, port: int, *, expected: bool) -> bool:
    """True if a container on docker's bridge reaches ``address``: the other end accepts or refuses the connection.

    A refusal is an answer too, so the port need not be open. A packet that is not forwarded is never answered. On a
    busy host an ``expected`` answer may take long.
    """
    script = (
        f"timeout {_ANSWERED if expected else _UNANSWERED} bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>&1 || echo $?"
    )
    said = run(host, script, BOUNDS)
    return said == "" or "Connection refused" in said


def members(host: Host, group: str) -> set[str]:
    """The accounts in a group, also those whose first group it is (passwd(5)), which group(5) does not list."""
    _, _, number, listed = host.check_output("getent group %s", group).split(":")
    accounts = [line.split(":") for line in lines_of(host.check_output("getent passwd"))]
    first = {fields[0] for fields in accounts if len(fields) > 3 and fields[3] == number}
    return first | {member for member in listed.split(",") if member}


def clean(host: Host) -> None:
    """Remove what is left: containers, the image, and the timer that would have removed them."""
    _MADE.forget(host)
    host.run(f"{_CLEAN}; {never(f'provision-verify-clean-{RUN}')}")


_INFO: Once[Any] = Once()

# The client starts every plugin that it finds, only to list them, which takes longer than the answer. In a separate
# mount namespace (unshare(1)) it finds no plugin. If that namespace can't be made, the client runs without one.
_INFO_COMMAND = """
docker_info="docker info --format '{{json .}}'"
bound=
! command -v timeout >/dev/null || bound="timeout -s KILL 30"
$bound unshare --mount sh -c "
    for folder in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do
        folder=\\$folder/docker/cli-plugins
        [ ! -d \\$folder ] || mount -t tmpfs none \\$folder || exit 1
    done
    exec $docker_info" 2>/dev/null || eval "$docker_info"
"""


def info(host: Host) -> Any:
    """`docker info` as JSON (moby, api/types/system/info.go)."""
    return _INFO.of(host, _info)


def _info(host: Host) -> Any:
    found = ask(host, _INFO_COMMAND)
    # Without a daemon the client prints an empty answer and succeeds.
    assert found.get("ServerVersion"), found.get("ServerErrors") or "the daemon does not answer"  # noqa: S101 - a failed check
    return found


def ask(host: Host, command: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(host.check_output(command))


def started(host: Host) -> int:
    """The latest possible time of the daemon's start: seconds since 1970. `ps` counts whole seconds, so one is
    added."""
    now, age = host.check_output("date +%%s; ps -o etimes= -p %s", dockerd(host)).split()
    return int(now) - int(age) + 1


def reloaded(host: Host, since: int) -> bool:
    """True if the daemon has reloaded its file after ``since`` (seconds since 1970), by its own events and then by its
    log. The daemon keeps only the last 256 events."""
    now = host.check_output("date +%s")
    events = "docker events --since %s --until %s --filter type=daemon --filter event=reload --format x"
    if host.check_output(events, str(since), now):
        return True
    log = f"journalctl -q -u docker --since @{since} -o cat | grep -c '^.*Reloaded configuration'"
    return uses_systemd(host) and host.run(log).stdout.strip() not in ("", "0")


def is_pinned(version: str, pin: str) -> bool:
    """True if the daemon's version is that of a package's pin, with or without epoch and revision."""
    pin = pin.rpartition(":")[2].partition("-")[0]
    return version == pin or version.startswith((f"{pin}.", f"{pin}+"))


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
