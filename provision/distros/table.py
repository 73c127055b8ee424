"""The table of distributions (``distros.yml``) and that of their families (``families.yml``), with the types of their
rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from provision.text.yamlfile import shipped

#: How a distribution was tested where there is no evidence; docs/distributions.md explains the words.
Tested = Literal["recorded", "unproven"]


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """``ends``: the day (ISO 8601) on which its security support ends; empty when that is not known."""

    codename: str = ""
    ends: str = ""


class Distribution(Struct, frozen=True, forbid_unknown_fields=True):
    """One row; ``distros.yml`` explains each field. ``minimum`` is its ``from``."""

    id: str
    name: str
    family: str
    releases: dict[str, Release]
    sources: tuple[str, ...]
    tested: Tested = "unproven"
    minimum: str = field(default="", name="from")
    below: str = ""
    docker: str = ""
    suite: str = ""
    engine: str = ""
    needs: tuple[str, ...] = ()
    parts: int = 1
    example: str = ""
    note: str = ""
    #: of a project's own row (``custom.py``): the end of support of all its versions, and the row that it is treated as
    ends: str = ""
    like: str = ""

    def covers(self, version: str) -> bool:
        """A missing version (a testing release has none) counts as new enough."""
        if not version:
            return not self.below
        above = not self.minimum or number(version) >= number(self.minimum)
        return above and (not self.below or number(version) < number(self.below))

    @property
    def version(self) -> str:
        """The version that represents the row where no host has reported its own."""
        return self.example or next(reversed(self.releases.keys()), "")

    def release_of(self, version: str) -> Release:
        """The release of a version, or of the version that contains it (9 for 9.4)."""
        parts = version.split(".")
        names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((self.releases[name] for name in names if name in self.releases), Release(ends=self.ends))

    def directory(self, version: str) -> str:
        """Docker's directory for a version, below ``linux/``; for rpm packages it ends with the major version."""
        if not self.docker or "/" in self.docker or self.family.startswith("apt"):
            return self.docker
        return f"{self.docker}/{major(version)}"


class Repositories(Struct, frozen=True, forbid_unknown_fields=True):
    """How repositories are declared to a family's package manager. Patterns take a repository's name."""

    #: one of the forms in ``catalog.packages``
    form: str = "none"
    source: str = ""
    keyring: str = ""
    #: the file of Docker's own repository, as Docker's pages name it; empty where Docker publishes no packages
    docker: str = ""
    #: the fingerprints of the keys that Docker publishes for signing these packages; the packages on a mirror are
    #: signed by the same keys
    docker_keys: tuple[str, ...] = ()


class Init(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an init system has the file of a service of provision, and the link that starts the service at boot.
    Patterns take the service's name. ``mode`` is that of the file."""

    name: str
    unit: str
    link: str
    mode: str


class Family(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of ``families.yml``."""

    name: str
    #: shell files, relative to ``sh/look`` and ``sh/fix``
    files: tuple[str, ...]
    init: Init
    repositories: Repositories = Repositories()
    #: packages that conflict with Docker's
    conflicts: tuple[str, ...] = ()
    #: a tool that a step may need -> (its path when it is installed, the package that brings it)
    tools: Mapping[str, tuple[str, str]] = {}
    #: the packages that make it possible to hold a version, where the host needs them for that (``look_locks``)
    holds: tuple[str, ...] = ()
    #: packages that are needed to create an account
    accounts: tuple[str, ...] = ()
    #: the service that brings the network up again; empty where no setting needs that
    network: str = ""
    #: the engine's services and their programs, where packages restart no service: each watches its own program
    programs: Mapping[str, str] = {}
    #: the family whose rows this one serves too, on hosts with this one's programs (``own_family`` in ``sh/look.sh``)
    instead_of: str = ""


_FAMILIES = shipped(Path(__file__).with_name("families.yml"))["families"]
FAMILIES: Mapping[str, Family] = {row["name"]: msgspec.convert(row, Family) for row in _FAMILIES}
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


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    engines: Mapping[str, Mapping[str, str]]
    distributions: tuple[Distribution, ...]


@cache
def _table() -> _Table:
    # Not strict: numbers are text here.
    return msgspec.convert(shipped(Path(__file__).with_name("distros.yml")), _Table, strict=False)


def rows() -> tuple[Distribution, ...]:
    return _table().distributions


def engines() -> Mapping[str, Mapping[str, str]]:
    """The distributions' own engines: name -> part -> the package that brings it."""
    return _table().engines


def major(version: str) -> str:
    return version.partition(".")[0]


def number(version: str) -> tuple[int, ...]:
    """``22.04`` -> (22, 4); the letter of ``V10`` is ignored."""
    return tuple(int(found[0]) for part in version.split(".") if (found := re.search(r"[0-9]+", part)))
