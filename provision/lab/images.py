"""Every image that a lab host can be booted from, by its name."""

from __future__ import annotations

from pathlib import Path

from provision.lab import base, devuan, disguise, disk, keys, lookalike, mirror
from provision.lab.store import Store

NAMES = (*base.SUITES, *lookalike.LOOKALIKES, devuan.NAME)

#: The file of a host that is not the distribution that its os-release names.
MARKER = "etc/provision-lab"


def is_lookalike(name: str) -> bool:
    """Whether an image is not a release of Debian itself."""
    return name not in base.SUITES


def path(store: Store, name: str) -> Path:
    if name == devuan.NAME:
        return devuan.path(store)
    return disguise.path(store, name) if name in lookalike.LOOKALIKES else base.path(store, name)


def current(store: Store) -> set[Path]:
    """Every base and mirror of the current recipes; all others are of older recipes."""
    disks = {disk.path(store, name) for name in disk.SUITES}
    bases = {base.path(store, like.suite, like.packages) for like in lookalike.LOOKALIKES.values()}
    return {mirror.path(store), *(path(store, name) for name in NAMES), *bases, *disks}


def there(store: Store, names: tuple[str, ...], virtual: bool) -> bool:
    """Whether hosts of these images can be booted without a build."""
    suites, likes = _parts(names)
    wanted = [path(store, name) for name in suites]
    wanted += [disk.path(store, name) if virtual else path(store, name) for name in names]
    return all(folder.is_dir() for folder in wanted) and mirror.there(store, suites, likes)


def ensure(store: Store, names: tuple[str, ...], virtual: bool) -> None:
    """Build the missing parts: first the Debian releases, then the mirror of their packages, then the images made of
    both. Several processes may do this at the same time."""
    suites, likes = _parts(names)
    keys.ensure(store)
    for suite in suites:
        base.ensure(store, suite)
    mirror.ensure(store, suites, likes)
    for name in names if virtual else ():
        disk.ensure(store, name)
    for like in likes:
        disguise.ensure(store, like, mirror.path(store) / like.folder)
    if devuan.NAME in names:
        devuan.ensure(store)


def _parts(names: tuple[str, ...]) -> tuple[tuple[str, ...], list[lookalike.Lookalike]]:
    """The Debian releases that the images are made of, and the look-alikes among them."""
    likes = [lookalike.LOOKALIKES[name] for name in names if name in lookalike.LOOKALIKES]
    suites = dict.fromkeys(
        [
            *(disk.SUITES[name] for name in names if name in disk.SUITES),
            *(like.suite for like in likes),
            *(devuan.SUITE for name in names if name == devuan.NAME),
        ]
    )
    return tuple(suites), likes
