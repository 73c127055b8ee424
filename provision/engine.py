"""Docker Engine in terms of the rest: daemon.json, and whether a running daemon has what it says."""

from __future__ import annotations

import json
from typing import Any

UNIT = "docker"
DAEMON_JSON = "/etc/docker/daemon.json"
GROUP = "docker"


def canonical(daemon: dict[str, Any]) -> bytes:
    """daemon.json as we write it: sorted keys, two blanks, one newline at the end."""
    return (json.dumps(daemon, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def same(content: bytes) -> bytes | None:
    """Canonical form of any daemon.json, for comparing what files mean; ``None`` for what dockerd would not take."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return None
    return canonical(parsed) if isinstance(parsed, dict) else None


def agrees(daemon: dict[str, Any], answer: str) -> bool:
    """Whether ``docker info``'s JSON shows every declared key that it can show with its declared value.

    Field names are those of moby's ``api/types/system/info.go``. A daemon that did not answer agrees with nothing.
    """
    try:
        info = json.loads(answer)
    except ValueError:
        return False
    if not isinstance(info, dict) or not info.get("ServerVersion"):
        return False
    return all(_shows(info, key, value) for key, value in daemon.items())


def _shows(info: dict[str, Any], key: str, value: Any) -> bool:
    registry = info.get("RegistryConfig") or {}
    if key == "exec-opts":
        drivers = [str(option).partition("=")[2] for option in value if str(option).startswith("native.cgroupdriver=")]
        return not drivers or drivers[-1] == info.get("CgroupDriver")
    if key == "insecure-registries":
        networks = {str(network) for network in registry.get("InsecureRegistryCIDRs") or []}
        hosts = {name for name, index in (registry.get("IndexConfigs") or {}).items() if not index.get("Secure", True)}
        return {str(item) for item in value} <= networks | hosts
    if key == "registry-mirrors":
        return [str(url).rstrip("/") for url in value] == [url.rstrip("/") for url in registry.get("Mirrors") or []]
    if key == "labels":
        return sorted(map(str, value)) == sorted(info.get("Labels") or [])
    if key == "runtimes":
        return set(value) <= set(info.get("Runtimes") or {})
    field = _FIELDS.get(key)
    return field is None or info.get(field) == value


#: daemon.json keys whose value ``docker info`` shows as it is.
_FIELDS = {
    "data-root": "DockerRootDir",
    "debug": "Debug",
    "default-runtime": "DefaultRuntime",
    "experimental": "ExperimentalBuild",
    "live-restore": "LiveRestoreEnabled",
    "log-driver": "LoggingDriver",
    "storage-driver": "Driver",
}
