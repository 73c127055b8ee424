"""The one table of distributions. A new distribution of a known family is one row here and nothing else.

Sources: os-release(5) for IDs, Docker's installation pages for repository folders and conflicting packages
(docs.docker.com/engine/install/debian, .../ubuntu, .../raspberry-pi-os).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provision.model import Platform


@dataclass(frozen=True, slots=True)
class Repositories:
    """How a family's package manager is told of repositories. Patterns take a repository's name."""

    #: which of ``desire.repositories``' forms
    form: str
    source: str
    #: Docker's own, by the name that Docker's pages give the file; empty where Docker publishes no packages
    docker: str
    keyring: str


@dataclass(frozen=True, slots=True)
class Flavour:
    """What the distributions of a family have in common: package names and the shell files that know the tools."""

    name: str
    repositories: Repositories
    #: our word for a part of the engine -> the package that brings it; parts that are in another's package are left out
    engine: Mapping[str, str]
    #: packages that can't be on a host together with Docker's
    conflicts: tuple[str, ...]
    #: a tool that a step may need -> (where it is when it is there, the package that brings it)
    tools: Mapping[str, tuple[str, str]]
    #: what holding a package takes
    holds: tuple[str, ...]
    #: shell files, relative to ``sh/look`` and ``sh/fix``
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """``minimum`` is the oldest version that works, ``below`` (if any) the first that another row is for;
    ``codename`` and ``version`` are those of an example, for rendering offline."""

    id: str
    name: str
    flavour: str
    #: Docker's folder of it below ``linux/``
    repository: str
    minimum: str
    version: str
    codename: str
    #: version -> the day on which its security support ends (Debian: LTS; Ubuntu: standard, the month's last day)
    support: Mapping[str, str]
    below: str = ""
    #: packages that must be there before the engine's
    prerequisites: tuple[str, ...] = ()

    def covers(self, version: str) -> bool:
        """A version that is not given (a testing release has none) is taken as new enough."""
        if not version:
            return not self.below
        above = _number(version) >= _number(self.minimum)
        return above and (not self.below or _number(version) < _number(self.below))


#: Docker's own packages have one name everywhere.
_DOCKER = {
    "engine": "docker-ce",
    "cli": "docker-ce-cli",
    "containerd": "containerd.io",
    "buildx": "docker-buildx-plugin",
    "compose": "docker-compose-plugin",
}
_RPM = Repositories(
    "rpm",
    "/etc/yum.repos.d/{}.repo",
    "/etc/yum.repos.d/docker-ce.repo",
    "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}",
)
_RPM_TOOLS = {
    "gpg": ("/usr/bin/gpg", "gnupg2"),
    "certificates": ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
    "curl": ("/usr/bin/curl", "curl"),
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

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        Flavour(
            name="apt",
            repositories=Repositories(
                "apt",
                "/etc/apt/sources.list.d/{}.sources",
                "/etc/apt/sources.list.d/docker.sources",
                "/etc/apt/keyrings/{}.asc",
            ),
            engine=_DOCKER,
            conflicts=(
                "docker.io",
                "docker-cli",
                "docker-buildx",
                "docker-doc",
                "docker-compose",
                "docker-compose-v2",
                "podman-docker",
                "containerd",
                "runc",
            ),
            tools={
                "gpg": ("/usr/bin/gpg", "gpg"),
                "certificates": ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
            },
            holds=(),
            files=("locks.sh", "pkg_apt.sh", "svc_systemd.sh"),
        ),
        Flavour(
            name="dnf",
            repositories=_RPM,
            engine=_DOCKER,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("python3-dnf-plugin-versionlock",),
            files=("locks.sh", "pkg_dnf.sh", "pkg_rpm.sh", "rpm.sh", "svc_systemd.sh"),
        ),
        # CentOS 7's manual: yum(8), yum-versionlock(1).
        Flavour(
            name="yum",
            repositories=_RPM,
            engine=_DOCKER,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("yum-plugin-versionlock",),
            files=("locks.sh", "pkg_rpm.sh", "pkg_yum.sh", "rpm.sh", "svc_systemd.sh"),
        ),
        # zypper(8). Docker publishes no packages for it: the engine is the distribution's own.
        Flavour(
            name="zypper",
            repositories=Repositories("rpm", "/etc/zypp/repos.d/{}.repo", "", "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}"),
            engine={
                "engine": "docker",
                "containerd": "containerd",
                "buildx": "docker-buildx",
                "compose": "docker-compose",
            },
            conflicts=("docker-ce", "docker-ce-cli", "containerd.io", "podman-docker"),
            tools={
                "gpg": ("/usr/bin/gpg", "gpg2"),
                "certificates": ("/etc/ssl/ca-bundle.pem", "ca-certificates-mozilla"),
                "curl": ("/usr/bin/curl", "curl"),
            },
            holds=(),
            files=("locks.sh", "pkg_zypper.sh", "rpm.sh", "svc_systemd.sh"),
        ),
    )
}

_DEBIAN = {"11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"}
_UBUNTU = {"20.04": "2025-04-30", "22.04": "2027-04-30", "24.04": "2029-04-30"}
_EL = {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"}
_STREAM = {"8": "2024-05-31", "9": "2027-05-31", "10": "2030-05-31"}
_FEDORA = {"41": "2025-12-15", "42": "2026-05-13", "43": "2026-12-09"}
_EL7 = {"7": "2024-06-30"}
_LEAP = {"15.6": "2026-04-30", "16.0": "2027-10-31"}
#: The walkthrough's own, for what it was written for.
_EL7_NEEDS = ("yum-utils", "device-mapper-persistent-data", "lvm2")

ROWS: tuple[Distribution, ...] = (
    Distribution("debian", "Debian", "apt", "debian", "11", "13", "trixie", _DEBIAN),
    Distribution("ubuntu", "Ubuntu", "apt", "ubuntu", "20.04", "24.04", "noble", _UBUNTU),
    Distribution("raspbian", "Raspberry Pi OS (32 bit)", "apt", "raspbian", "11", "12", "bookworm", _DEBIAN),
    Distribution("rhel", "Red Hat Enterprise Linux", "dnf", "rhel", "8", "9.4", "", _EL),
    Distribution("rocky", "Rocky Linux", "dnf", "centos", "8", "9.4", "", _EL),
    Distribution("almalinux", "AlmaLinux", "dnf", "centos", "8", "9.4", "", _EL),
    Distribution("centos", "CentOS Stream", "dnf", "centos", "8", "9", "", _STREAM),
    Distribution("fedora", "Fedora", "dnf", "fedora", "41", "42", "", _FEDORA),
    Distribution("opensuse-leap", "openSUSE Leap", "zypper", "", "15", "15.6", "", _LEAP),
    Distribution("sles", "SUSE Linux Enterprise Server", "zypper", "", "15", "15.7", "", {"15": "2031-07-31"}),
    Distribution("centos", "CentOS Linux", "yum", "centos", "7", "7", "", _EL7, below="8", prerequisites=_EL7_NEEDS),
    Distribution(
        "rhel", "Red Hat Enterprise Linux", "yum", "rhel", "7", "7.9", "", _EL7, below="8", prerequisites=_EL7_NEEDS
    ),
)


def ids() -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.id for row in ROWS))


def find(id: str, version: str) -> Distribution | None:
    """The row for what a host says of itself; ``None`` for one that is not in the table, or too old."""
    return next((row for row in ROWS if row.id == id and row.covers(version)), None)


def newest(id: str) -> Distribution:
    """The row of a distribution's newest versions."""
    return next(row for row in ROWS if row.id == id and not row.below)


def platform(id: str, version: str, codename: str, name: str = "", architecture: str = "") -> Platform | None:
    """The platform of a host that said this of itself; ``None`` for one that is not supported."""
    row = find(id, version)
    if row is None:
        return None
    return Platform(id, version, codename, architecture, row.flavour, name or f"{row.name} {version}".strip())


def example(row: Distribution) -> Platform:
    return Platform(row.id, row.version, row.codename, "", row.flavour, f"{row.name} {row.version}")


def examples() -> dict[str, Platform]:
    """A platform of each flavour."""
    return {row.flavour: example(row) for row in reversed(ROWS)}


def support_ends(platform: Platform) -> str | None:
    """The day (ISO 8601); ``None`` when it is not known."""
    row = find(platform.id, platform.version)
    if row is None:
        return None
    return row.support.get(platform.version) or row.support.get(major(platform.version))


def major(version: str) -> str:
    return version.partition(".")[0]


def supported() -> str:
    oldest = {row.id: row for row in ROWS}
    return ", ".join(f"{row.name} from {row.minimum} on" for row in oldest.values())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
