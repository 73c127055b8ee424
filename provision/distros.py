"""The one table of distributions. A new distribution of a known family is one row here and nothing else.

Sources: os-release(5) for IDs, Docker's installation pages for repository folders and conflicting packages
(docs.docker.com/engine/install/debian, .../ubuntu, .../raspberry-pi-os).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provision.model import Platform


@dataclass(frozen=True, slots=True)
class Flavour:
    """What the distributions of a family have in common: package names and the shell files that know the tools."""

    name: str
    #: our word for a part of the engine -> the package that brings it
    engine: Mapping[str, str]
    #: packages that can't be on a host together with Docker's
    conflicts: tuple[str, ...]
    #: a tool that a step may need -> (where it is when it is there, the package that brings it)
    tools: Mapping[str, tuple[str, str]]
    #: shell files, relative to ``sh/look`` and ``sh/fix``
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """``minimum`` is the oldest version that works; ``codename`` and ``version`` are those of an example,
    for rendering offline."""

    id: str
    name: str
    flavour: str
    repository: str
    minimum: str
    version: str
    codename: str
    #: version -> the day on which its security support ends (Debian: LTS; Ubuntu: standard, the month's last day)
    support: Mapping[str, str]


FLAVOURS: Mapping[str, Flavour] = {
    "apt": Flavour(
        name="apt",
        engine={
            "engine": "docker-ce",
            "cli": "docker-ce-cli",
            "containerd": "containerd.io",
            "buildx": "docker-buildx-plugin",
            "compose": "docker-compose-plugin",
        },
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
        files=("pkg_apt.sh", "svc_systemd.sh"),
    ),
}

_DEBIAN = {"11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"}
_UBUNTU = {"20.04": "2025-04-30", "22.04": "2027-04-30", "24.04": "2029-04-30"}

DISTRIBUTIONS: Mapping[str, Distribution] = {
    row.id: row
    for row in (
        Distribution("debian", "Debian", "apt", "debian", "11", "13", "trixie", _DEBIAN),
        Distribution("ubuntu", "Ubuntu", "apt", "ubuntu", "20.04", "24.04", "noble", _UBUNTU),
        Distribution("raspbian", "Raspberry Pi OS (32 bit)", "apt", "raspbian", "11", "12", "bookworm", _DEBIAN),
    )
}


def platform(id: str, version: str, codename: str, name: str = "", architecture: str = "") -> Platform | None:
    """The platform of a host that said this of itself; ``None`` for one that is not in the table.

    A version that is not given (a testing release has none) is taken as new enough.
    """
    row = DISTRIBUTIONS.get(id)
    if row is None or (version and _number(version) < _number(row.minimum)):
        return None
    return Platform(id, version, codename, architecture, row.flavour, name or f"{row.name} {version}".strip())


def example(row: Distribution) -> Platform:
    return Platform(row.id, row.version, row.codename, "", row.flavour, f"{row.name} {row.version}")


def supported() -> str:
    return ", ".join(f"{row.name} from {row.minimum} on" for row in DISTRIBUTIONS.values())


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
