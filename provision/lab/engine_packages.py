"""Docker's packages without Docker's server: Debian's own engine builds, repacked under docker-ce's names.

The binaries are real (Debian's dockerd, docker, containerd, runc); names, versions, units, relations and
maintainer scripts follow Docker's packaging (github.com/docker/docker-ce-packaging, ``deb/``), so that
installing, pinning, upgrading and the restart on upgrade behave like the real ones.
"""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

from provision.lab.process import output, run

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

_GROUP = """\
if [ "$1" = configure ] && [ -z "$2" ] && ! getent group docker >/dev/null 2>&1; then
    groupadd --system docker
fi
"""

# What dh_systemd_enable and dh_systemd_start put into Docker's packages: enable, then start or restart.
_POSTINST = """\
#!/bin/sh
set -e
{before}if [ "$1" = configure ]; then
    for unit in {units}; do
        deb-systemd-helper unmask "$unit" >/dev/null || true
        if deb-systemd-helper --quiet was-enabled "$unit"; then
            deb-systemd-helper enable "$unit" >/dev/null || true
        else
            deb-systemd-helper update-state "$unit" >/dev/null || true
        fi
    done
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n "$2" ]; then action=restart; else action=start; fi
        deb-systemd-invoke $action {units} >/dev/null || true
    fi
fi
"""

_PRERM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
    deb-systemd-invoke stop {units} >/dev/null || true
fi
"""

_POSTRM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    deb-systemd-helper purge {units} >/dev/null || true
fi
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
class _Recipe:
    name: str
    version: str
    description: str
    files: dict[str, Path]
    depends: str = ""
    relations: tuple[str, ...] = ()
    units: dict[str, str] | None = None
    group: bool = False


def upstream(debian_version: str) -> str:
    """``26.1.5+dfsg1-9+deb13u1+b1`` -> ``26.1.5``; ``1.7.24~ds1-6`` -> ``1.7.24``."""
    version = debian_version.rpartition(":")[2].partition("-")[0]
    return version.partition("+")[0].partition("~")[0]


def build(sources: Sources, versions: dict[str, str], release: str, target: Path) -> list[Path]:
    """Pack docker-ce, docker-ce-cli, containerd.io and the two plugins into ``target``.

    ``versions`` maps ``docker``, ``containerd``, ``buildx`` and ``compose`` to upstream versions, ``release``
    is the end of Docker's version strings (``debian.13~trixie``).
    """
    plugins = "usr/libexec/docker/cli-plugins"
    docker_init = sources.docker / "usr/bin/docker-init"
    engine = f"5:{versions['docker']}-1~{release}"
    recipes = (
        _Recipe(
            "docker-ce",
            engine,
            "Docker: the open-source application container engine",
            {
                "usr/bin/dockerd": sources.docker / "usr/sbin/dockerd",
                "usr/bin/docker-proxy": sources.docker / "usr/sbin/docker-proxy",
                "usr/bin/docker-init": docker_init if docker_init.is_file() else _tini(sources.tini),
            },
            "containerd.io (>= 1.6), docker-ce-cli, iptables, libc6, libsystemd0",
            (
                "Recommends: docker-buildx-plugin, docker-compose-plugin",
                "Conflicts: docker, docker-engine, docker.io",
                "Replaces: docker, docker-engine, docker.io",
            ),
            {"docker.service": _DOCKER_SERVICE, "docker.socket": _DOCKER_SOCKET},
            group=True,
        ),
        _Recipe(
            "docker-ce-cli",
            engine,
            "Docker CLI: the open-source application container engine",
            {"usr/bin/docker": sources.cli / "usr/bin/docker"},
            "libc6",
            ("Conflicts: docker, docker-cli, docker-engine, docker.io", "Replaces: docker-cli, docker.io"),
        ),
        _Recipe(
            "containerd.io",
            f"{versions['containerd']}-1~{release}",
            "An open and reliable container runtime",
            {
                "usr/bin/runc": _first(sources.runc, "usr/bin/runc", "usr/sbin/runc"),
                **{f"usr/bin/{path.name}": path for path in sorted((sources.containerd / "usr/bin").glob("c*"))},
            },
            "libc6, libseccomp2",
            ("Provides: containerd, runc", "Conflicts: containerd, runc", "Replaces: containerd, runc"),
            {"containerd.service": _CONTAINERD_SERVICE},
        ),
        _Recipe(
            "docker-buildx-plugin",
            f"{versions['buildx']}-1~{release}",
            "Docker Buildx plugin for Docker CLI",
            {f"{plugins}/docker-buildx": sources.buildx / plugins / "docker-buildx"},
            relations=("Conflicts: docker-buildx", "Replaces: docker-buildx"),
        ),
        _Recipe(
            "docker-compose-plugin",
            f"{versions['compose']}-1~{release}",
            "Docker Compose (V2) plugin for the Docker CLI",
            {f"{plugins}/docker-compose": sources.compose / plugins / "docker-compose"},
            relations=("Conflicts: docker-compose", "Replaces: docker-compose"),
        ),
    )
    return [_pack(recipe, target) for recipe in recipes]


def _tini(folder: Path) -> Path:
    return _first(folder, "usr/bin/tini-static", "usr/bin/tini")


def _first(folder: Path, *names: str) -> Path:
    return next(folder / name for name in names if (folder / name).is_file())


def _pack(recipe: _Recipe, target: Path) -> Path:
    tree = target / f".{recipe.name}"
    shutil.rmtree(tree, ignore_errors=True)
    for name, source in recipe.files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, file)
        file.chmod(0o755)
    units = recipe.units or {}
    for name, text in units.items():
        file = tree / "usr/lib/systemd/system" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    control = tree / "DEBIAN"
    control.mkdir(parents=True, exist_ok=True)
    architecture = output(["dpkg", "--print-architecture"])
    relations = [f"Depends: {recipe.depends}"] if recipe.depends else []
    fields = [
        f"Package: {recipe.name}",
        f"Version: {recipe.version}",
        f"Architecture: {architecture}",
        "Maintainer: provision lab <lab@example.com>",
        "Section: admin",
        "Priority: optional",
        *relations,
        *recipe.relations,
        f"Description: {recipe.description}",
        " Debian's own build, repacked under Docker's name for provision's lab.",
    ]
    (control / "control").write_text("\n".join(fields) + "\n")
    if units:
        names = " ".join(units)
        before = _GROUP if recipe.group else ""
        for script, text in (
            ("postinst", _POSTINST.format(before=before, units=names)),
            ("prerm", _PRERM.format(units=names)),
            ("postrm", _POSTRM.format(units=names)),
        ):
            (control / script).write_text(textwrap.dedent(text))
            (control / script).chmod(0o755)
    # Debian's pool leaves the epoch out of file names.
    file = target / f"{recipe.name}_{recipe.version.rpartition(':')[2]}_{architecture}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "-b", tree, file])
    shutil.rmtree(tree)
    return file
