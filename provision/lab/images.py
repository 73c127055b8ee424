"""Every image that a lab host can be booted from: the releases of Debian, and in a checkout those of the tests."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provision.lab import base, disk, keys, mirror, recipe
from provision.lab.archives import Part, Suite
from provision.lab.store import Store

#: The file of a host that is not the distribution that its os-release names.
MARKER = "etc/provision-lab"


class Image(Protocol):
    @property
    def suite(self) -> str:
        """The Debian release that it is made of."""

    @property
    def part(self) -> Part | None:
        """Its own part of the mirror."""

    def path(self, store: Store) -> Path: ...

    def under(self, store: Store) -> Path:
        """The base that it is made of."""

    def ensure(self, store: Store) -> object:
        """Build it unless it is cached."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Debian itself."""

    suite: str
    part: None = None

    def path(self, store: Store) -> Path:
        return base.path(store, self.suite)

    under = path

    def ensure(self, store: Store) -> Path:
        return base.ensure(store, self.suite)


IMAGES: dict[str, Image] = {suite: Release(suite) for suite in base.SUITES}
#: Programs that only the further images need -> the Debian package that contains each.
PROGRAMS: dict[str, str] = {}
if recipe.OF_TESTS:
    _of_tests = importlib.import_module("tools.images")
    IMAGES |= _of_tests.IMAGES
    PROGRAMS |= _of_tests.PROGRAMS
NAMES = tuple(IMAGES)


def is_lookalike(name: str) -> bool:
    """True if an image is not a release of Debian itself."""
    return name not in base.SUITES


def path(store: Store, name: str) -> Path:
    return IMAGES[name].path(store)


def current(store: Store) -> set[Path]:
    """Every base and mirror of the current recipes; all others are of older recipes."""
    disks = {disk.path(store, name) for name in disk.SUITES}
    bases = {folder for image in IMAGES.values() for folder in (image.path(store), image.under(store))}
    return {mirror.path(store), *bases, *disks}


def there(store: Store, names: tuple[str, ...], virtual: bool) -> bool:
    """True if hosts of these images can be booted without a build."""
    suites = _suites(names)
    wanted = [path(store, suite) for suite in suites]
    wanted += [disk.path(store, name) if virtual else path(store, name) for name in names]
    return all(folder.is_dir() for folder in wanted) and mirror.there(store, _parts(suites, names))


def ensure(store: Store, names: tuple[str, ...], virtual: bool) -> None:
    """Build the missing parts: first the Debian releases, then the mirror of their packages, then the images made of
    both. Several processes may do this at the same time."""
    suites = _suites(names)
    keys.ensure(store)
    for suite in suites:
        base.ensure(store, suite)
    mirror.ensure(store, _parts(suites, names))
    for name in names:
        if virtual:
            disk.ensure(store, name)
        else:
            IMAGES[name].ensure(store)


def _suites(names: tuple[str, ...]) -> list[str]:
    """The Debian releases that the images are made of."""
    return list(dict.fromkeys(disk.SUITES.get(name) or IMAGES[name].suite for name in names))


def _parts(suites: list[str], names: tuple[str, ...]) -> list[Part]:
    """The parts of the mirror that the hosts need, each release before what is made of it."""
    further = [IMAGES[name].part for name in names if name in IMAGES]
    return [*(Suite(suite) for suite in suites), *(part for part in further if part)]
