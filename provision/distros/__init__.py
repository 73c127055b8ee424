"""Distributions: what the table (``distros.yml``) has about a host. A new distribution of a known family is one row.

A host that has reported its distribution becomes a :class:`~provision.model.Platform`. It holds all values of the table
for the host, so no other module reads the table for a host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from msgspec import Struct

from provision.distros.table import DOCKER, FAMILIES, IMAGE, OTHER_ENGINES, Distribution, Family, engines, major, rows
from provision.model import Platform

__all__ = ["DOCKER", "FAMILIES", "IMAGE", "Distribution", "Family", "engines", "major", "rows"]


class Packaged(Struct, frozen=True):
    """An engine as Docker or a distribution packages it: part -> the package that brings it, and the packages that
    conflict with it. A part that another part's package contains is left out."""

    parts: Mapping[str, str]
    conflicts: tuple[str, ...]


def ids(extra: Sequence[Distribution] = ()) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.id for row in (*extra, *rows())))


def find(id: str, version: str, extra: Sequence[Distribution] = ()) -> Distribution | None:
    """The row for what a host reports about itself; ``None`` where it is not in the table, or too old. ``extra`` are
    the rows of a project, which come first."""
    return next((row for row in (*extra, *rows()) if row.id == id and row.covers(version)), None)


def newest(id: str, extra: Sequence[Distribution] = ()) -> Distribution:
    """The row of a distribution's newest versions. Of some distributions the table has only versions below a limit."""
    found = [row for row in (*extra, *rows()) if row.id == id]
    return next((row for row in found if not row.below), found[-1])


def platform(
    id: str,
    version: str,
    codename: str,
    name: str = "",
    architecture: str = "",
    *,
    base: str = "",
    family: str = "",
    extra: Sequence[Distribution] = (),
) -> Platform | None:
    """The platform of a host that reported these values; ``None`` for one that is not supported. ``base`` is the
    codename of the distribution that it is derived from; ``family`` is what the host has detected."""
    row = find(id, version, extra)
    if row is None:
        return None
    return Platform(
        id,
        version,
        codename,
        architecture,
        # A host may report any text.
        family if family in FAMILIES else row.family,
        name or f"{row.name} {version}".strip(),
        docker=row.directory(version),
        suite={"": codename, "base": base or codename}.get(row.suite, row.suite),
        release=".".join(version.split(".")[: row.parts]) or codename or "rolling",
        engine=row.engine,
        needs=row.needs,
        support_ends=row.release_of(version).ends,
        like=row.like,
    )


def example(row: Distribution, family: str = "") -> Platform:
    release = row.release_of(row.version)
    found = platform(row.id, row.version, release.codename, family=family, extra=(row,))
    if found is None:
        raise ValueError(f"the example of {row.id}, {row.version}, is not one of the row's versions")
    return found


@cache
def examples() -> Mapping[str, Platform]:
    """A platform of each family, from its first row, in the order of the table."""
    return MappingProxyType({name: example(rows_of(name)[0], name) for name in FAMILIES})


@cache
def rows_of(family: str) -> tuple[Distribution, ...]:
    """The rows whose hosts may be of a family."""
    names = (family, FAMILIES[family].instead_of)
    return tuple(row for row in rows() if row.family in names)


@cache
def mentioned(family: str) -> tuple[str, ...]:
    """Every package that an engine may need on some distribution of a family. A look asks for all of them, because the
    host's distribution is not known yet."""
    names = [name for row in rows_of(family) for name in (*row.needs, *_own(row.engine).values())]
    found = FAMILIES[family]
    return tuple(dict.fromkeys((*DOCKER.values(), *names, *found.conflicts, *found.accounts, *found.holds)))


@cache
def engines_of(family: str) -> tuple[str, ...]:
    """The packages of a family that may bring dockerd."""
    own = [_own(row.engine)["engine"] for row in rows_of(family) if row.engine]
    others = [name for name in FAMILIES[family].conflicts if name in OTHER_ENGINES]
    return tuple(dict.fromkeys((DOCKER["engine"], *own, *others)))


def daemons() -> frozenset[str]:
    """The packages whose own scripts restart dockerd, or the containerd that it uses, when the package changes."""
    parts = (DOCKER, *engines().values())
    return frozenset({own[part] for own in parts for part in ("engine", "containerd") if part in own} | OTHER_ENGINES)


def engine_packages() -> frozenset[str]:
    """Every package, on any distribution, that is part of an engine or conflicts with one."""
    own = (name for parts in engines().values() for name in parts.values())
    return frozenset((*DOCKER.values(), *own, *(name for one in FAMILIES.values() for name in one.conflicts)))


def packaged(platform: Platform, source: str | None) -> Packaged | None:
    """The engine's packages from the source ``docker`` or ``distribution``. The source ``None`` means Docker, where
    Docker publishes packages, and otherwise the distribution. Returns ``None`` where the source has no engine for this
    platform. An ``installed`` engine has no packages that provision manages."""
    if source == "installed":
        return Packaged({}, ())
    if platform.family == IMAGE:
        return None
    if source != "distribution" and platform.docker:
        return Packaged(DOCKER, FAMILIES[platform.family].conflicts)
    if source == "docker" or not platform.engine:
        return None
    return Packaged(_own(platform.engine), (*DOCKER.values(), "podman-docker"))


def supported() -> str:
    oldest = {row.id: row for row in rows()}
    return ", ".join(f"{row.name} from {row.minimum} on" if row.minimum else row.name for row in oldest.values())


def _own(engine: str) -> Mapping[str, str]:
    return engines()[engine] if engine else {}
