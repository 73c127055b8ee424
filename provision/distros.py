"""The one table of distributions. A new distribution of a known family is one row here and nothing else.

Sources: os-release(5) for IDs, Docker's installation pages for repository folders, conflicting packages and the
fingerprints of the signing keys (docs.docker.com/engine/install/debian, .../ubuntu, .../raspberry-pi-os, .../rhel,
.../centos, .../fedora).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from provision.model import Platform


class Repositories(Struct, frozen=True):
    """How a family's package manager is told of repositories. Patterns take a repository's name."""

    #: which of ``catalog.repositories``' forms
    form: str
    source: str
    keyring: str
    #: the file of Docker's own, by the name that Docker's pages give it; empty where Docker publishes no packages
    docker: str = ""
    #: the fingerprints of the keys that Docker publishes for signing these packages; a copy of them on any mirror is
    #: signed by the same keys
    docker_keys: tuple[str, ...] = ()


class Init(Struct, frozen=True):
    """Where an init system has a service of our own (patterns take its name), and how the boot is told of it."""

    name: str
    unit: str
    link: str
    mode: str


SYSTEMD = Init(
    "systemd", "/etc/systemd/system/{}.service", "/etc/systemd/system/multi-user.target.wants/{}.service", "0644"
)
OPENRC = Init("openrc", "/etc/init.d/{}", "/etc/runlevels/default/{}", "0755")


class Flavour(Struct, frozen=True):
    """What the distributions of a family have in common: package names and the shell files that know the tools."""

    name: str
    repositories: Repositories
    #: packages that can't be on a host together with Docker's
    conflicts: tuple[str, ...]
    #: a tool that a step may need -> (where it is when it is there, the package that brings it)
    tools: Mapping[str, tuple[str, str]]
    #: what holding a package takes
    holds: tuple[str, ...]
    #: shell files, relative to ``sh/look`` and ``sh/fix``
    files: tuple[str, ...]
    #: what making an account takes
    accounts: tuple[str, ...] = ()
    init: Init = SYSTEMD
    #: the service that brings the network up anew; only where a setting needs that to be done
    network: str = ""


class Packaged(Struct, frozen=True):
    """An engine as somebody packages it: our word for a part -> the package that brings it (parts that are in
    another's package are left out), and the packages that can't be beside them."""

    parts: Mapping[str, str]
    conflicts: tuple[str, ...]


class Distribution(Struct, frozen=True):
    """``minimum`` is the oldest version that works, ``below`` (if any) the first that another row is for;
    ``codename`` and ``version`` are those of an example, for rendering offline."""

    id: str
    name: str
    flavour: str
    #: Docker's folder of it below ``linux/``; empty where Docker publishes no packages for it
    repository: str
    minimum: str
    version: str
    codename: str
    #: version -> the day on which its security support ends (Debian: LTS; Ubuntu: standard, the month's last day)
    support: Mapping[str, str]
    below: str = ""
    #: packages that must be there before the engine's
    prerequisites: tuple[str, ...] = ()
    #: the distribution's own engine, by our words for its parts; empty where it has none
    own: Mapping[str, str] = field(default_factory=dict)
    #: how many parts of a version name a release with packages of its own: 2 for 3.22, 1 for 9 of 9.4
    parts: int = 1

    def covers(self, version: str) -> bool:
        """A version that is not given (a testing release has none) is taken as new enough."""
        if not version:
            return not self.below
        above = _number(version) >= _number(self.minimum)
        return above and (not self.below or _number(version) < _number(self.below))


#: Docker's own packages have one name everywhere.
DOCKER: Mapping[str, str] = {
    "engine": "docker-ce",
    "cli": "docker-ce-cli",
    "containerd": "containerd.io",
    "buildx": "docker-buildx-plugin",
    "compose": "docker-compose-plugin",
}
#: Engines under names that no row has: Docker's own of before 2017, and Fedora's.
_OTHER_ENGINES = frozenset({"docker", "docker-engine", "docker.io", "moby-engine"})
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

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        Flavour(
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
        Flavour(
            name="dnf",
            repositories=_RPM,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("python3-dnf-plugin-versionlock",),
            files=("locks.sh", "pkg_dnf.sh", "pkg_rpm.sh", "rpm.sh", "svc_systemd.sh", "undo_systemd.sh"),
        ),
        # CentOS 7's manual: yum(8), yum-versionlock(1).
        Flavour(
            name="yum",
            repositories=_RPM,
            conflicts=_RPM_CONFLICTS,
            tools=_RPM_TOOLS,
            holds=("yum-plugin-versionlock",),
            files=("locks.sh", "pkg_rpm.sh", "pkg_yum.sh", "rpm.sh", "svc_systemd.sh", "undo_systemd.sh"),
            network="network",
        ),
        # zypper(8). Docker publishes no packages for it: the engine is the distribution's own.
        Flavour(
            name="zypper",
            repositories=Repositories("rpm", "/etc/zypp/repos.d/{}.repo", "/etc/pki/rpm-gpg/RPM-GPG-KEY-{}"),
            conflicts=(),
            tools={
                "gpg": ("/usr/bin/gpg", "gpg2"),
                "certificates": ("/etc/ssl/ca-bundle.pem", "ca-certificates-mozilla"),
                "curl": ("/usr/bin/curl", "curl"),
            },
            holds=(),
            files=("locks.sh", "pkg_zypper.sh", "rpm.sh", "svc_systemd.sh", "undo_systemd.sh"),
        ),
        # Devuan offers OpenRC in place of sysvinit; the packages are Debian's.
        Flavour(
            name="apt-openrc",
            repositories=Repositories("apt", "/etc/apt/sources.list.d/{}.sources", "/etc/apt/keyrings/{}.asc"),
            conflicts=(),
            tools=_APT_TOOLS,
            holds=(),
            files=("locks.sh", "pkg_apt.sh", "svc_openrc.sh", "undo_openrc.sh"),
            init=OPENRC,
        ),
        # apk(8), apk-world(5), apk-repositories(5). A package's version in the world file is what holds it.
        Flavour(
            name="apk",
            repositories=Repositories("apk", "/etc/apk/repositories.d/{}.list", "/etc/apk/keys/{}.rsa.pub"),
            conflicts=(),
            tools={},
            holds=(),
            files=("pkg_apk.sh", "svc_openrc.sh", "undo_openrc.sh"),
            accounts=("shadow",),
            init=OPENRC,
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
_ALPINE = {"3.19": "2025-11-01", "3.20": "2026-04-01", "3.21": "2026-11-01", "3.22": "2027-05-01"}

# The distributions' own engines: packages.debian.org, packages.ubuntu.com, packages.fedoraproject.org,
# software.opensuse.org, and Alpine's community/docker/APKBUILD (docker is a package of nothing but dependencies).
_DEBIAN_OWN = {
    "engine": "docker.io",
    "cli": "docker-cli",
    "containerd": "containerd",
    "buildx": "docker-buildx",
    "compose": "docker-compose",
}
#: The client was in docker.io still, and compose was the old one in Python.
_OLD_DEBIAN_OWN = {"engine": "docker.io", "containerd": "containerd"}
_UBUNTU_OWN = {**_OLD_DEBIAN_OWN, "buildx": "docker-buildx", "compose": "docker-compose-v2"}
_FEDORA_OWN = {**_DEBIAN_OWN, "engine": "moby-engine"}
_SUSE_OWN = {
    "engine": "docker",
    "containerd": "containerd",
    "buildx": "docker-buildx",
    "compose": "docker-compose",
}
_ALPINE_OWN = {
    "engine": "docker-engine",
    "cli": "docker-cli",
    "containerd": "containerd",
    "buildx": "docker-cli-buildx",
    "compose": "docker-cli-compose",
}
#: The walkthrough's own, for what it was written for.
_EL7_NEEDS = ("yum-utils", "device-mapper-persistent-data", "lvm2")
#: Bridges and overlayfs are in a package of their own from 10 on (RHEL 10, "Considerations in adopting").
_EL10_NEEDS = ("kernel-modules-extra",)


def _el(
    id: str, name: str, repository: str, example: str, support: Mapping[str, str] = _EL
) -> tuple[Distribution, Distribution]:
    return (
        Distribution(id, name, "dnf", repository, "10", "10", "", support, prerequisites=_EL10_NEEDS),
        Distribution(id, name, "dnf", repository, "8", example, "", support, below="10"),
    )


def _debian(id: str, name: str) -> tuple[Distribution, Distribution]:
    return (
        Distribution(id, name, "apt", id, "13", "13", "trixie", _DEBIAN, own=_DEBIAN_OWN),
        Distribution(id, name, "apt", id, "11", "12", "bookworm", _DEBIAN, below="13", own=_OLD_DEBIAN_OWN),
    )


ROWS: tuple[Distribution, ...] = (
    *_debian("debian", "Debian"),
    Distribution("ubuntu", "Ubuntu", "apt", "ubuntu", "20.04", "24.04", "noble", _UBUNTU, own=_UBUNTU_OWN),
    *_debian("raspbian", "Raspberry Pi OS (32 bit)"),
    *_el("rhel", "Red Hat Enterprise Linux", "rhel", "9.4"),
    *_el("rocky", "Rocky Linux", "centos", "9.4"),
    *_el("almalinux", "AlmaLinux", "centos", "9.4"),
    *_el("centos", "CentOS Stream", "centos", "9", _STREAM),
    Distribution("fedora", "Fedora", "dnf", "fedora", "41", "42", "", _FEDORA, own=_FEDORA_OWN),
    Distribution("opensuse-leap", "openSUSE Leap", "zypper", "", "15", "15.6", "", _LEAP, own=_SUSE_OWN),
    Distribution(
        "sles", "SUSE Linux Enterprise Server", "zypper", "", "15", "15.7", "", {"15": "2031-07-31"}, own=_SUSE_OWN
    ),
    Distribution("centos", "CentOS Linux", "yum", "centos", "7", "7", "", _EL7, below="8", prerequisites=_EL7_NEEDS),
    Distribution(
        "rhel", "Red Hat Enterprise Linux", "yum", "rhel", "7", "7.9", "", _EL7, below="8", prerequisites=_EL7_NEEDS
    ),
    Distribution("alpine", "Alpine Linux", "apk", "", "3", "3.22.1", "", _ALPINE, own=_ALPINE_OWN, parts=2),
    Distribution("devuan", "Devuan with OpenRC", "apt-openrc", "", "6", "6", "excalibur", {}, own=_DEBIAN_OWN),
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
    """A platform of each flavour: its first row, in the order of the table."""
    found: dict[str, Platform] = {}
    for row in ROWS:
        found.setdefault(row.flavour, example(row))
    return found


def support_ends(platform: Platform) -> str | None:
    """The day (ISO 8601); ``None`` when it is not known."""
    row = find(platform.id, platform.version)
    if row is None:
        return None
    parts = platform.version.split(".")
    versions = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((row.support[version] for version in versions if version in row.support), None)


def release(platform: Platform) -> str:
    """The part of a version that names a release with packages of its own, or the codename where there is none."""
    row = find(platform.id, platform.version) or newest(platform.id)
    return ".".join(platform.version.split(".")[: row.parts]) or platform.codename


def mentioned(flavour: str) -> tuple[str, ...]:
    """Every package that an engine may take on some distribution of a flavour: a look asks for all of them, for it
    does not know yet on which one it is."""
    rows = [row for row in ROWS if row.flavour == flavour]
    names = [name for row in rows for name in (*row.prerequisites, *row.own.values())]
    found = FLAVOURS[flavour]
    return tuple(dict.fromkeys((*DOCKER.values(), *names, *found.conflicts, *found.accounts, *found.holds)))


def engines(flavour: str) -> tuple[str, ...]:
    """The packages of a flavour that may bring dockerd."""
    own = [row.own["engine"] for row in ROWS if row.flavour == flavour and row.own]
    others = [name for name in FLAVOURS[flavour].conflicts if name in _OTHER_ENGINES]
    return tuple(dict.fromkeys((DOCKER["engine"], *own, *others)))


def daemons() -> frozenset[str]:
    """The packages whose change restarts dockerd, or the containerd that it uses: their own scripts do."""
    parts = [DOCKER, *(row.own for row in ROWS if row.own)]
    return frozenset({own[part] for own in parts for part in ("engine", "containerd") if part in own} | _OTHER_ENGINES)


def engine_packages() -> frozenset[str]:
    """Every package that is part of an engine or stands in the way of one, on any distribution."""
    own = (name for row in ROWS for name in row.own.values())
    return frozenset((*DOCKER.values(), *own, *(name for one in FLAVOURS.values() for name in one.conflicts)))


def packaged(platform: Platform, source: str | None) -> Packaged | None:
    """The engine's packages from ``docker`` or from the ``distribution``; ``None``, from Docker where it publishes
    any. ``None`` is the answer where that source has no engine for this platform."""
    row = find(platform.id, platform.version) or newest(platform.id)
    flavour = FLAVOURS[row.flavour]
    if source != "distribution" and row.repository:
        return Packaged(DOCKER, flavour.conflicts)
    if source == "docker" or not row.own:
        return None
    return Packaged(row.own, (*DOCKER.values(), "podman-docker"))


def major(version: str) -> str:
    return version.partition(".")[0]


def supported() -> str:
    oldest = {row.id: row for row in ROWS}
    return ", ".join(f"{row.name} from {row.minimum} on" for row in oldest.values())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
