"""Storage drivers, their options, and the image store of containerd."""

from __future__ import annotations

from collections.abc import Iterator

from provision.engine.keys import Version
from provision.lint.finding import Finding
from provision.lint.reading import CONTAINERD_STORE, GRAPH_DRIVERS, Target, containerd_store, each, feature, since
from provision.lint.rules import finding
from provision.lint.values import is_size
from provision.text.yamlfile import Map, nearest

#: Storage drivers that were removed, and the first version without each of them.
_GONE: dict[str, Version] = {"aufs": (24, 0), "overlay": (24, 0), "devicemapper": (25, 0)}
#: Snapshotters of containerd 2 (plugins/snapshots): names for `storage-driver` with the containerd image store.
_SNAPSHOTTERS = frozenset(("overlayfs", "native", "erofs", "blockfile", "devmapper", "btrfs", "zfs"))
#: Snapshotters that containerd finds through its proxy_plugins: these, and any other name.
_PROXIES = frozenset(("stargz", "nydus", "soci", "overlaybd", "fuse-overlayfs", "cvmfs-snapshotter", "tardev"))
_PREFIXES = {"devicemapper": "dm", "windowsfilter": "windowsfilter", "overlay2": "overlay2", "overlay": "overlay"}
_KERNEL_CHECK = "overlay2.override_kernel_check"
#: The options that a driver knows (moby, daemon/graphdriver/*, parseOptions). The others have too many, or none.
_OPTIONS: dict[str, frozenset[str]] = {
    "overlay2": frozenset(("overlay2.size", _KERNEL_CHECK)),
    "vfs": frozenset(("size", "vfs.xattrs")),
    "btrfs": frozenset(("btrfs.min_space",)),
    "zfs": frozenset(("zfs.fsname",)),
}
#: Drivers that dockerd chooses by itself where the file system suggests it.
_DEFAULTS = frozenset(("overlay2", "btrfs", "zfs"))
#: moby#43187: the option was removed, and dockerd refuses unknown options.
_NO_KERNEL_CHECK = (24, 0)


def storage(daemon: Map, target: Target) -> Iterator[Finding]:
    driver = daemon.get("storage-driver") or ""
    if driver and "/" not in driver and ":" not in driver:
        wrong = _driver(daemon, driver, target.engine)
        if wrong is not None:
            yield wrong
            return
    if containerd_store(daemon, target.engine):
        return  # a snapshotter has no options here
    for option, where in each(daemon, "storage-opts"):
        if (said := _option(option, driver, target.engine)) is not None:
            message, hint = said
            yield finding("DJ212", where, message, hint)


def _option(option: str, driver: str, engine: Version) -> tuple[str, str] | None:
    """Why the driver refuses an option, and the solution. Without a configured driver it is overlay2 on nearly every
    host."""
    name, equals, value = option.partition("=")
    name = name.lower()
    prefix = name.partition(".")[0]
    if not equals:
        return f'storage-opts "{option}" is not NAME=VALUE', ""
    known = _OPTIONS.get(driver or prefix, frozenset())
    if driver and prefix != _PREFIXES.get(driver, driver) and name not in known:
        return f"{name} is not an option of {driver}", ""
    if not driver and prefix not in _DEFAULTS:
        return f"{name} is not an option of overlay2, the usual storage driver", ""
    if name == _KERNEL_CHECK and engine >= _NO_KERNEL_CHECK:
        return f"{name} was removed in 24.0", "remove it"
    if known and name not in known:
        return f"{driver or prefix} has no option {name}", nearest(name, known)
    if name == "overlay2.size" and not is_size(value):
        return f'overlay2.size "{value}" is not a size such as 20G', ""
    return None


def _driver(daemon: Map, driver: str, engine: Version) -> Finding | None:
    where, store = daemon.where["storage-driver"], feature(daemon, "containerd-snapshotter")
    if engine < (23, 0):
        store = None  # not known yet
    elif daemon.get("userns-remap"):
        store = False  # userns-remap always uses a graph driver
    if driver in _GONE:
        gone = _GONE[driver]
        message = f'storage-driver "{driver}" was removed in {gone[0]}.{gone[1]}'
        return finding("DJ211", where, message, "use overlay2") if engine >= gone else None
    if store is True and driver in GRAPH_DRIVERS - _SNAPSHOTTERS:
        message = f'storage-driver "{driver}" is not a snapshotter, and features.containerd-snapshotter is true'
        return finding("DJ226", where, message, "remove one of them", since(engine, (24, 0)))
    if driver in GRAPH_DRIVERS:
        return None
    snapshots = store is True or (store is None and engine >= CONTAINERD_STORE)
    if driver in _SNAPSHOTTERS | _PROXIES:
        if snapshots:
            return None
        message = f'storage-driver "{driver}" is a snapshotter of containerd, and this engine uses a graph driver'
        return finding("DJ211", where, message, "use overlay2")
    hint = nearest(driver, GRAPH_DRIVERS | _SNAPSHOTTERS)
    if snapshots and not hint:
        message = f'storage-driver "{driver}" is not built in: it works only as a proxy plugin of containerd'
        return finding("DJ211", where, message, "proxy_plugins in /etc/containerd/config.toml", "warning")
    return finding("DJ211", where, f'storage-driver "{driver}" does not exist', hint)
