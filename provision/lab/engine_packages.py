"""Docker's packages without Docker's server: what goes into each, whichever format it is packed in.

The binaries are real (Debian's dockerd, docker, containerd, runc); names, units and relations follow Docker's
packaging (github.com/docker/docker-ce-packaging), so that installing, pinning, upgrading and the restart on upgrade
behave like the real ones.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

_DOCKER_SERVICE = """\
[Unit]
Description=Docker Application Container Engine
Documentation=https://docs.docker.com
After=network-online.target nss-lookup.target docker.socket firewalld.service containerd.service time-set.target
Wants=network-online.target containerd.service
Requires=docker.socket
StartLimitBurst=3
StartLimitIntervalSec=60

[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
RestartSec=2
Restart=always
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
KillMode=process
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""

_DOCKER_SOCKET = """\
[Unit]
Description=Docker Socket for the API

[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
"""

_CONTAINERD_SERVICE = """\
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders with the unpacked Debian packages that one engine is made of."""

    docker: Path
    cli: Path
    containerd: Path
    runc: Path
    tini: Path
    buildx: Path
    compose: Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """One package: ``files`` are paths on the host and where they come from, ``units`` systemd units."""

    name: str
    version: str
    description: str
    files: dict[str, Path]
    units: dict[str, str] = field(default_factory=dict)
    #: whether it makes the group docker
    group: bool = False
    #: what it depends on besides what every version of it does
    depends: tuple[str, ...] = ()


def upstream(debian_version: str) -> str:
    """``26.1.5+dfsg1-9+deb13u1+b1`` -> ``26.1.5``; ``1.7.24~ds1-6`` -> ``1.7.24``."""
    version = debian_version.rpartition(":")[2].partition("-")[0]
    return version.partition("+")[0].partition("~")[0]


def recipes(sources: Sources, versions: dict[str, str]) -> list[Recipe]:
    """The five packages; ``versions`` maps ``docker``, ``containerd``, ``buildx`` and ``compose`` to upstream's."""
    plugins = "usr/libexec/docker/cli-plugins"
    docker_init = sources.docker / "usr/bin/docker-init"
    return [
        Recipe(
            "docker-ce",
            versions["docker"],
            "Docker: the open-source application container engine",
            {
                "usr/bin/dockerd": sources.docker / "usr/sbin/dockerd",
                "usr/bin/docker-proxy": sources.docker / "usr/sbin/docker-proxy",
                "usr/bin/docker-init": docker_init if docker_init.is_file() else _tini(sources.tini),
            },
            {"docker.service": _DOCKER_SERVICE, "docker.socket": _DOCKER_SOCKET},
            group=True,
        ),
        Recipe(
            "docker-ce-cli",
            versions["docker"],
            "Docker CLI: the open-source application container engine",
            {"usr/bin/docker": sources.cli / "usr/bin/docker"},
        ),
        Recipe(
            "containerd.io",
            versions["containerd"],
            "An open and reliable container runtime",
            {
                "usr/bin/runc": _first(sources.runc, "usr/bin/runc", "usr/sbin/runc"),
                **{f"usr/bin/{path.name}": path for path in sorted((sources.containerd / "usr/bin").glob("c*"))},
            },
            {"containerd.service": _CONTAINERD_SERVICE},
        ),
        Recipe(
            "docker-buildx-plugin",
            versions["buildx"],
            "Docker Buildx plugin for Docker CLI",
            {f"{plugins}/docker-buildx": sources.buildx / plugins / "docker-buildx"},
        ),
        Recipe(
            "docker-compose-plugin",
            versions["compose"],
            "Docker Compose (V2) plugin for the Docker CLI",
            {f"{plugins}/docker-compose": sources.compose / plugins / "docker-compose"},
        ),
    ]


def lay_out(recipe: Recipe, tree: Path) -> None:
    """The package's files and units below ``tree``."""
    shutil.rmtree(tree, ignore_errors=True)
    for name, source in recipe.files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, file)
        file.chmod(0o755)
    for name, text in recipe.units.items():
        file = tree / "usr/lib/systemd/system" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _tini(folder: Path) -> Path:
    return _first(folder, "usr/bin/tini-static", "usr/bin/tini")


def _first(folder: Path, *names: str) -> Path:
    return next(folder / name for name in names if (folder / name).is_file())
