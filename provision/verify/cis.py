"""The rules of the CIS Docker Benchmark (1.6.0) for running containers (4.1, section 5) and for images (4.6, 4.7, 4.9).

Each rule names the containers or images that violate it, by their ``docker inspect``. This module sends no command to a
host. There is no rule for checks that only an operator can judge (docs/commands.md lists them).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any, NamedTuple

Inspected = dict[str, Any]


class Rule(NamedTuple):
    """``offends`` returns whether one container, or one image, violates the rule."""

    id: str
    title: str
    offends: Callable[[Inspected], bool]


#: 5.6: the directories that the benchmark names.
_SENSITIVE = frozenset(("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"))
#: 5.32: the paths that give a container the daemon's socket: the socket itself, and each directory above it.
_SOCKET = frozenset(("/run/docker.sock", "/var/run/docker.sock", "/run", "/var/run", "/"))
#: 5.8: a port below this needs privileges (ip(7), ip_unprivileged_port_start).
_UNPRIVILEGED = 1024
#: 5.12: the shares that the kernel gives where none are set (docs.docker.com/engine/containers/resource_constraints).
_DEFAULT_SHARES = (0, 1024)
#: 5.15: restart attempts.
_MOST_RESTARTS = 5


def root(container: Inspected) -> bool:
    return container["User"].partition(":")[0] in ("", "0", "root")


def _sources(container: Inspected) -> set[str]:
    """The host's paths in a container; docker chooses the directory of a volume, so volumes are not included."""
    found = [one.get("Source") or "" for one in container["Mounts"] or () if one.get("Type") == "bind"]
    return {posixpath.normpath(source) for source in found if source}


def _published(container: Inspected) -> list[tuple[str, int]]:
    """Address and port on the host of each published port."""
    bound = [one for many in (container["Ports"] or {}).values() for one in many or ()]
    return [(str(one.get("HostIp") or ""), int(one.get("HostPort") or 0)) for one in bound]


def _no_cpu_limit(container: Inspected) -> bool:
    limits = (container["NanoCpus"], container["CpuQuota"])
    return container["CpuShares"] in _DEFAULT_SHARES and not any((limit or 0) > 0 for limit in limits)


def _restarts(container: Inspected) -> bool:
    policy = container["RestartPolicy"] or {}
    attempts = policy.get("MaximumRetryCount") or 0
    if policy.get("Name") == "on-failure":
        return not 0 < attempts <= _MOST_RESTARTS
    return policy.get("Name") in ("always", "unless-stopped")


def _unconfined_calls(container: Inspected) -> bool:
    options = [option.replace(":", "=", 1) for option in container["SecurityOpt"] or ()]
    return "seccomp=unconfined" in options


#: For each running container.
CONTAINERS = (
    Rule("4.1", "containers run as a user of their own", root),
    Rule("5.4", "no capabilities are added", lambda one: bool(one["CapAdd"])),
    Rule("5.5", "no privileged containers", lambda one: bool(one["Privileged"])),
    Rule("5.6", "no sensitive directories of the host", lambda one: bool(_sources(one) & _SENSITIVE)),
    Rule(
        "5.8",
        "no privileged ports are published",
        lambda one: any(0 < port < _UNPRIVILEGED for _, port in _published(one)),
    ),
    Rule("5.10", "the host's network is not shared", lambda one: one["NetworkMode"] == "host"),
    Rule("5.11", "memory is limited", lambda one: not one["Memory"]),
    Rule("5.12", "CPU shares are set", _no_cpu_limit),
    Rule("5.13", "the root file system is read only", lambda one: not one["ReadonlyRootfs"]),
    Rule(
        "5.14",
        "ports are published on one address",
        lambda one: any(address in ("", "0.0.0.0", "::") for address, _ in _published(one)),  # noqa: S104
    ),
    Rule("5.15", "restarts are on failure, five at most", _restarts),
    Rule("5.16", "the host's processes are not shared", lambda one: one["PidMode"] == "host"),
    Rule("5.17", "the host's IPC is not shared", lambda one: one["IpcMode"] == "host"),
    Rule("5.18", "no devices of the host", lambda one: bool(one["Devices"])),
    Rule(
        "5.20",
        "mounts are not propagated to the host",
        lambda one: any("shared" in (mount.get("Propagation") or "") for mount in one["Mounts"] or ()),
    ),
    Rule("5.21", "the host's UTS namespace is not shared", lambda one: one["UTSMode"] == "host"),
    Rule("5.22", "seccomp is not switched off", _unconfined_calls),
    Rule("5.25", "the default cgroup is used", lambda one: bool(one["CgroupParent"])),
    Rule("5.27", "health is checked", lambda one: one["Health"] in ("", "none")),
    Rule("5.29", "processes are limited", lambda one: (one["PidsLimit"] or 0) <= 0),
    Rule("5.30", "docker's default bridge is not used", lambda one: "bridge" in (one["Networks"] or {})),
    Rule("5.31", "the host's user namespace is not shared", lambda one: one["UsernsMode"] == "host"),
    Rule("5.32", "docker's socket is not in a container", lambda one: bool(_sources(one) & _SOCKET)),
)

#: A command that refreshes the list of packages, or installs from it.
_UPDATE = re.compile(r"\b(apt-get|apt|aptitude|apk|dnf|yum|microdnf|zypper)\b[^&|;]*\b(update|makecache|refresh|ref)\b")
_INSTALL = re.compile(
    r"\b(apt-get|apt|aptitude|apk|dnf|yum|microdnf|zypper)\b[^&|;]*\b(install|add|in|upgrade|dist-upgrade|full-upgrade)\b"
)
#: The instruction as the classic builder and as BuildKit write it into an image's history.
_ADD = re.compile(r"^(\|\d+ .*)?(/bin/sh -c )?(#\(nop\)\s+)?ADD\s")


def _updates_alone(image: Inspected) -> bool:
    return any(_UPDATE.search(made) and not _INSTALL.search(made) for made in image["History"])


def _adds(image: Inspected) -> bool:
    """The oldest layer is the file system of the base image, which is always an ADD."""
    return any(_ADD.search(made) for made in image["History"][:-1])


def _healthless(image: Inspected) -> bool:
    test = (image["Health"] or {}).get("Test") or ["NONE"]
    return bool(test[0] == "NONE")


#: For each image on the host.
IMAGES = (
    Rule("4.6", "images have a HEALTHCHECK", _healthless),
    Rule("4.7", "lists of packages are not updated alone", _updates_alone),
    Rule("4.9", "COPY is used instead of ADD", _adds),
)


def name(inspected: Inspected) -> str:
    """The operator's name of a container (its name), or of an image (its tags)."""
    if "Name" in inspected:
        return str(inspected["Name"]).removeprefix("/")
    return ", ".join(inspected["RepoTags"] or ()) or str(inspected["Id"])
