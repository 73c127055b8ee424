"""What the distributions of a family have in common. A new package or service manager is a row here, and shell files.

Sources: Docker's installation pages for conflicting packages and the fingerprints of the signing keys
(docs.docker.com/engine/install/debian, .../ubuntu, .../raspberry-pi-os, .../rhel, .../centos, .../fedora).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Repositories(Struct, frozen=True):
    """How repositories are declared to a family's package manager. Patterns take a repository's name."""

    #: one of the forms in ``catalog.packages``
    form: str
    source: str
    keyring: str
    #: the file of Docker's own repository, as Docker's pages name it; empty where Docker publishes no packages
    docker: str = ""
    #: the fingerprints of the keys that Docker publishes for signing these packages; the packages on a mirror are
    #: signed by the same keys
    docker_keys: tuple[str, ...] = ()


class Init(Struct, frozen=True):
    """Where an init system has the file of a service of provision, and the link that starts the service at boot.
    Patterns take the service's name. ``mode`` is that of the file."""

    name: str
    unit: str
    link: str
    mode: str


SYSTEMD = Init(
    "systemd", "/etc/systemd/system/{}.service", "/etc/systemd/system/multi-user.target.wants/{}.service", "0644"
)
OPENRC = Init("openrc", "/etc/init.d/{}", "/etc/runlevels/default/{}", "0755")


class Family(Struct, frozen=True):
    """What the distributions of a family have in common: package names, and the shell files for the family's tools."""

    name: str
    repositories: Repositories
    #: packages that conflict with Docker's
    conflicts: tuple[str, ...]
    #: a tool that a step may need -> (its path when it is installed, the package that brings it)
    tools: Mapping[str, tuple[str, str]]
    #: the packages that make it possible to hold a version, where the host needs them for that (``look_locks``)
    holds: tuple[str, ...]
    #: shell files, relative to ``sh/look`` and ``sh/fix``
    files: tuple[str, ...]
    #: packages that are needed to create an account
    accounts: tuple[str, ...] = ()
    init: Init = SYSTEMD
    #: the service that brings the network up again; empty where no setting needs that
    network: str = ""
    #: the engine's services and their programs, where packages restart no service: each watches its own program
    programs: Mapping[str, str] = {}
    #: the family whose rows this one serves too, on hosts with this one's programs (``own_family`` in ``sh/look.sh``)
    instead_of: str = ""


#: The family of hosts whose packages come with the system's image.
IMAGE = "image"

#: Docker's own packages have one name everywhere.
DOCKER: Mapping[str, str] = {
    "engine": "docker-ce",
    "cli": "docker-ce-cli",
    "containerd": "containerd.io",
    "buildx": "docker-buildx-plugin",
    "compose": "docker-compose-plugin",
}
#: Engines under names that no row has: Docker's own from before 2017, and Fedora's.
OTHER_ENGINES = frozenset({"docker", "docker-engine", "docker.io", "moby-engine"})
_RPM = Repositories(
    "rpm",
    "/etc/yum.repos.d/{}.repo",
    "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}",
    "/etc/yum.repos.d/docker-ce.repo",
    ("060A61C51B558A7F742B77AAC52FEB6B621E9F35",),
)
_RPM_TOOLS = {
    "gpg": ("/usr/bin/gpg", "gnupg2"),
    "certificates": ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
    "curl": ("/usr/bin/curl", "curl"),
}
#: docs.docker.com/engine/install/debian and .../ubuntu: "Uninstall all conflicting packages".
_APT_CONFLICTS = (
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "docker-doc",
    "docker-compose",
    "docker-compose-v2",
    "podman-docker",
    "containerd",
    "runc",
)
_APT_TOOLS = {
    "gpg": ("/usr/bin/gpg", "gpg"),
    "certificates": ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
}
#: docs.docker.com/engine/install/centos and .../fedora: "Uninstall old versions".
_RPM_CONFLICTS = (
    "docker",
    "docker-client",
    "docker-client-latest",
    "docker-common",
    "docker-latest",
    "docker-latest-logrotate",
    "docker-logrotate",
    "docker-engine",
    "podman-docker",
    "buildah",
    "runc",
)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="apt",
            repositories=Repositories(
                "apt",
                "/etc/apt/sources.list.d/{}.sources",
                "/etc/apt/keyrings/{}.asc",
                "/etc/apt/sources.list.d/docker.sources",
                ("9DC858229FC7DD38854AE2D88D81803C0EBFCD88",),
            ),
            conflicts=_APT_CONFLICTS,
            tools=_APT_TOOLS,
            holds=(),
            files=("locks.sh", "pkg_apt.sh", "svc_systemd.sh", "undo_systemd.sh"),
        ),
        Family(
            name="dnf",
            repositories=_RPM,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("python3-dnf-plugin-versionlock",),
            files=(
                "locks.sh",
                "pkg_dnf.sh",
                "pkg_rpm.sh",
                "progress.sh",
                "rpm.sh",
                "rpm_locks.sh",
                "svc_systemd.sh",
                "undo_systemd.sh",
            ),
        ),
        # dnf5(8), dnf5-versionlock(8): the lock is a command of dnf5, and needs no package.
        Family(
            name="dnf5",
            repositories=_RPM,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=(),
            files=("locks.sh", "pkg_dnf5.sh", "rpm.sh", "svc_systemd.sh", "undo_systemd.sh"),
            instead_of="dnf",
        ),
        # CentOS 7's manual: yum(8), yum-versionlock(1).
        Family(
            name="yum",
            repositories=_RPM,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("yum-plugin-versionlock",),
            files=(
                "locks.sh",
                "pkg_rpm.sh",
                "pkg_yum.sh",
                "progress.sh",
                "rpm.sh",
                "rpm_locks.sh",
                "svc_systemd.sh",
                "undo_systemd.sh",
            ),
            network="network",
        ),
        # zypper(8). Docker publishes no packages for it: the engine is the distribution's own.
        Family(
            name="zypper",
            repositories=Repositories("rpm", "/etc/zypp/repos.d/{}.repo", "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}"),
            conflicts=(),
            tools={
                "gpg": ("/usr/bin/gpg", "gpg2"),
                "certificates": ("/etc/ssl/ca-bundle.pem", "ca-certificates-mozilla"),
                "curl": ("/usr/bin/curl", "curl"),
            },
            holds=(),
            files=(
                "locks.sh",
                "pkg_zypper.sh",
                "progress.sh",
                "rpm.sh",
                "rpm_locks.sh",
                "svc_systemd.sh",
                "undo_systemd.sh",
            ),
        ),
        # Devuan offers OpenRC in place of sysvinit; the packages are Debian's.
        Family(
            name="apt-openrc",
            repositories=Repositories("apt", "/etc/apt/sources.list.d/{}.sources", "/etc/apt/keyrings/{}.asc"),
            conflicts=(),
            tools=_APT_TOOLS,
            holds=(),
            files=("locks.sh", "pkg_apt.sh", "svc_openrc.sh", "undo_openrc.sh"),
            init=OPENRC,
        ),
        # apk(8), apk-world(5), apk-repositories(5). A package's version in the world file holds it.
        Family(
            name="apk",
            repositories=Repositories("apk", "/etc/apk/repositories.d/{}.list", "/etc/apk/keys/{}.rsa.pub"),
            conflicts=(),
            tools={},
            holds=(),
            files=("pkg_apk.sh", "progress.sh", "svc_openrc.sh", "undo_openrc.sh"),
            accounts=("shadow",),
            init=OPENRC,
        ),
        # pacman(8), pacman.conf(5). A repository has one version of a package; others come from pacman's cache.
        Family(
            name="pacman",
            repositories=Repositories("none", "", ""),
            conflicts=(),
            tools={},
            holds=(),
            files=("pkg_pacman.sh", "progress.sh", "svc_systemd.sh", "undo_systemd.sh"),
            programs={"docker": "/usr/bin/dockerd", "containerd": "/usr/bin/containerd"},
        ),
        # Packages are part of a read-only image (ostree, transactional-update, Flatcar): provision changes none.
        Family(
            name=IMAGE,
            repositories=Repositories("none", "", ""),
            conflicts=(),
            tools={},
            holds=(),
            files=("pkg_none.sh", "svc_systemd.sh", "undo_systemd.sh"),
        ),
    )
}
