"""The store in which a dockerd keeps images and containers: a graph driver's below data-root, or containerd's.

Source: moby, daemon/image_store_choice.go, daemon/graphdriver/driver.go (``scanPriorDrivers``) and
daemon/command/daemon_linux.go as of 29.7.2; daemon/daemon.go as of 24.0 and 28.5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from provision.engine.keys import Version

#: Graph drivers in the order in which dockerd prefers them (driver_linux.go), and drivers that dockerd no longer has.
GRAPH_DRIVERS = ("overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs")
_REMOVED = ("aufs", "devicemapper", "overlay")
#: With features.containerd-migration: graph driver without images -> the snapshotter that replaces it (daemon.go).
_SNAPSHOTTERS = {"overlay2": "overlayfs", "vfs": "native"}
#: The first engine whose default is containerd's store, and the first that has it at all.
CONTAINERD_BY_DEFAULT, _CONTAINERD_SINCE = (29, 0), (24, 0)


class ImageStore(Struct, frozen=True):
    """``driver`` is a graph driver, or containerd's snapshotter. ``remap`` is the value of ``userns-remap``: each value
    has its own directory in a store. An ``embedded`` containerd has its data below data-root."""

    driver: str
    containerd: bool = False
    remap: str = ""
    embedded: bool = False

    def __str__(self) -> str:
        name = f"containerd's image store ({self.driver})" if self.containerd else f"the storage driver {self.driver}"
        if self.embedded:
            name = f"{name} of the containerd in dockerd"
        return f"{name} with userns-remap {self.remap}" if self.remap else name


def image_store(
    engine: Version, daemon: Mapping[str, Any], prior: Collection[str] = (), used: Collection[str] = ()
) -> ImageStore:
    """The store that an engine of this version uses with this daemon.json.

    ``prior`` are the graph drivers that have left state at data-root: dockerd continues to use one (but ignores vfs).
    ``used`` are those with images or containers.
    """
    features = daemon.get("features")
    features = features if isinstance(features, dict) else {}
    driver, remap = str(daemon.get("storage-driver") or ""), str(daemon.get("userns-remap") or "")
    before = [name for name in GRAPH_DRIVERS if name in prior and name != "vfs"]
    wanted = features.get("containerd-snapshotter")
    if engine < CONTAINERD_BY_DEFAULT:
        containerd = wanted is True and engine >= _CONTAINERD_SINCE
    elif remap:
        containerd = False
    elif isinstance(wanted, bool):
        containerd = wanted
    else:
        containerd = not before and driver not in (*GRAPH_DRIVERS, *_REMOVED)
    if not containerd:
        # dockerd uses vfs if no better driver works. The only state that vfs leaves is its images and containers.
        driver = driver or next(iter((*before, *sorted(used))), GRAPH_DRIVERS[0])
        migrates = engine >= CONTAINERD_BY_DEFAULT and features.get("containerd-migration") is True and not used
        if not migrates or driver not in _SNAPSHOTTERS:
            return ImageStore(driver, False, remap)
        driver = _SNAPSHOTTERS[driver]
    return ImageStore(driver or "overlayfs", True, remap, features.get("embedded-containerd") is True)
