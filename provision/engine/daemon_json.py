"""Docker Engine's daemon.json as provision declares it, and whether a running daemon has loaded its values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

from msgspec import Struct

from provision.engine.keys import keys
from provision.model import HostReport
from provision.remote.frames import typed
from provision.remote.protocol import WireError
from provision.spec import Engine

UNIT = "docker"
SOCKET = "docker.socket"
DAEMON_JSON = "/etc/docker/daemon.json"
GROUP = "docker"
#: docker's own bridge (moby, daemon/libnetwork/drivers/bridge/bridge_linux.go, DefaultBridgeName).
BRIDGE = "docker0"
#: A drop-in of docker's unit.
DROPIN = "/etc/systemd/system/docker.service.d/provision.conf"
#: The drop-in refers to this file where only root may read its values: proxies with a password in them.
PROXY_FILE = "/etc/docker/proxy.env"
#: The settings of docker's script with OpenRC (openrc-run(8)). If the file exists, docker must have been started with
#: it.
CONF_D = "/etc/conf.d/docker"
CERTIFICATES = "/etc/docker/certs.d"
#: The widest modes that the CIS Docker Benchmark allows (3.8; 3.14 for a key). Root can write with any mode.
CERTIFICATE_MODES = {"ca.crt": "0444", "client.cert": "0444", "client.key": "0400"}
CONTAINERD = "containerd"
CONTAINERD_TOML = "/etc/containerd/config.toml"
FIREWALLD = "firewalld"
#: Where dockerd keeps its data by default (moby, daemon/config/config_linux.go).
DATA_ROOT = "/var/lib/docker"
FORWARDING = "net.ipv4.ip_forward"
_REMAP = "userns-remap"
#: firewalld's zone for docker's networks.
ZONE = "/etc/firewalld/zones/docker.xml"


def health(declared: Engine | None) -> tuple[str, ...]:
    """The conditions after a step has disturbed the daemon: the seconds that it must stay up, and the names that must
    resolve."""
    if declared is None:
        return ("0",)
    mirrors = (daemon_json(declared) or {}).get("registry-mirrors", []) if declared.health.mirrors else []
    names = [name for url in mirrors if (name := urlsplit(str(url)).hostname)]
    return (str(declared.health.steady), *dict.fromkeys(names))


def daemon_json(declared: Engine | None) -> dict[str, Any] | None:
    """The complete declared daemon.json; ``None`` where the spec does not declare one."""
    if declared is None:
        return None
    proxy = declared.proxy
    if declared.daemon is None or proxy is None or proxy.place == "unit":
        return declared.daemon
    given = {"http-proxy": proxy.http, "https-proxy": proxy.https, "no-proxy": ",".join(proxy.no_proxy)}
    return {**declared.daemon, "proxies": {key: value for key, value in given.items() if value}}


def data_root(declared: Engine) -> str:
    """Where dockerd keeps its data."""
    return str((daemon_json(declared) or {}).get("data-root") or DATA_ROOT)


def sysctls(daemon: dict[str, Any]) -> dict[str, str]:
    """The kernel settings that a running dockerd needs. dockerd switches them on itself when it starts.

    Source: moby, daemon/libnetwork/drivers/bridge/setup_ip_forwarding.go and setup_bridgenetfiltering.go.
    """
    found = {}
    if daemon.get("ip-forward") is not False:
        found[FORWARDING] = "1"
        if daemon.get("ipv6") is True:
            found |= dict.fromkeys(("net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.forwarding"), "1")
    filters = daemon.get("icc") is False or daemon.get("userland-proxy") is False
    if filters and daemon.get("iptables") is not False:
        found |= dict.fromkeys(("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"), "1")
    return found


def left_to_docker(declared: Engine | None, gone: Mapping[str, str], report: HostReport) -> set[str]:
    """Those of the undeclared entries ``gone`` that stay as they are because a running dockerd needs them.

    dockerd changes these settings of a host itself: it enables forwarding, and then drops the forwarded packets of
    others (moby, setup_ip_forwarding.go).
    """
    if report.get("docker", "daemon") is None:
        return set()
    needed = {f"sysctl {key}": value for key, value in sysctls(daemon_json(declared) or {}).items()}
    left = {entry for entry in gone if entry in needed and gone[entry] != needed[entry]}
    if f"sysctl {FORWARDING}" in left and gone.get("forward policy") == "ACCEPT":
        left.add("forward policy")
    return left


def parsed(content: bytes | None) -> dict[str, Any] | None:
    """Any daemon.json, also a host's; ``None`` for a file that is missing or is not a JSON object."""
    try:
        found = json.loads(content or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def canonical(daemon: dict[str, Any]) -> bytes:
    """daemon.json as provision writes it: sorted keys, an indent of two blanks, one newline at the end."""
    return (json.dumps(daemon, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def askable(content: bytes, daemon: Mapping[str, Any] | None) -> bytes:
    """The daemon.json to give to ``dockerd --validate``: without a ``userns-remap`` of ``default``. For that value even
    the check makes changes: it creates the user dockremap, and its lines in /etc/subuid and /etc/subgid (moby,
    ``parseRemappedRoot`` in daemon/daemon_unix.go; seen with 26.1, 28.5 and 29.7). Other values are only looked up.
    ``daemon`` is what the content means."""
    if daemon is None or str(daemon.get(_REMAP, "")).partition(":")[0] != "default":
        return content
    return canonical({key: value for key, value in daemon.items() if key != _REMAP})


class DaemonJson(Struct, frozen=True):
    """A text of daemon.json, what it means (``None`` for a text of an operator's template that is not a JSON object),
    and its canonical form."""

    content: bytes
    data: dict[str, Any] | None
    form: bytes | None

    @property
    def same(self) -> Callable[[bytes], bool] | None:
        """The test that another text means the same; ``None`` where only the same bytes do."""
        return None if self.form is None else partial(_means, self.form)


def _means(form: bytes, content: bytes) -> bool:
    return same(content) == form


def same(content: bytes) -> bytes | None:
    """Canonical form of any daemon.json, to compare what files mean; ``None`` for a content that dockerd rejects."""
    daemon = parsed(content)
    return None if daemon is None else canonical(daemon)


class Index(TypedDict):
    Secure: NotRequired[bool]


class RegistryConfig(TypedDict):
    InsecureRegistryCIDRs: NotRequired[list[str] | None]
    IndexConfigs: NotRequired[dict[str, Index] | None]
    Mirrors: NotRequired[list[str] | None]


class Info(TypedDict):
    """The part of ``docker info`` that is compared (moby, api/types/system/info.go)."""

    ServerVersion: str
    CgroupDriver: NotRequired[str]
    RegistryConfig: NotRequired[RegistryConfig | None]
    Labels: NotRequired[list[str] | None]
    Runtimes: NotRequired[dict[str, Any] | None]
    DockerRootDir: NotRequired[str]
    Debug: NotRequired[bool]
    DefaultRuntime: NotRequired[str]
    ExperimentalBuild: NotRequired[bool]
    LiveRestoreEnabled: NotRequired[bool]
    LoggingDriver: NotRequired[str]
    Driver: NotRequired[str]


def agrees(daemon: dict[str, Any], answer: str) -> bool:
    """True if ``docker info``'s JSON has the declared value of every declared key that it can show. An optional second
    line is the data-root with its symbolic links resolved, as dockerd resolves it at its start.

    Field names are those of moby's ``api/types/system/info.go``. The result is false for a daemon that did not answer.
    Raises :class:`~provision.remote.protocol.WireError` for an answer with values of other types.
    """
    said, _, resolved = answer.partition("\n")
    try:
        info = json.loads(said)
    except RecursionError as error:
        if said.startswith("{"):
            raise WireError("docker info that nests too deeply") from error
        return False
    except ValueError:
        return False
    if not isinstance(info, dict) or not info.get("ServerVersion"):
        return False
    typed(info, Info, "docker info")
    shown = dict(daemon)
    if "data-root" in daemon and not _is_root(info, shown.pop("data-root"), resolved, _REMAP in daemon):
        return False
    return all(_shows(info, key, value) for key, value in shown.items())


def _is_root(info: dict[str, Any], declared: str, resolved: str, remapped: bool) -> bool:
    """With userns-remap dockerd works in a directory UID.GID below (moby, setupDaemonRoot in daemon/daemon_unix.go)."""
    below = r"(/[0-9]+\.[0-9]+)?" if remapped else ""
    roots = "|".join(re.escape(one.rstrip("/")) for one in (declared, resolved) if one)
    return re.fullmatch(f"({roots}){below}", str(info.get("DockerRootDir"))) is not None


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
    row = keys().get(key)
    return row is None or not row.info or info.get(row.info) == value
