"""Storage drivers and their options."""

from __future__ import annotations

from collections.abc import Iterator

from provision.dockerd.daemon_keys import Version
from provision.lint.finding import Finding
from provision.lint.reading import each
from provision.lint.rules import finding
from provision.text.yamlfile import Map, nearest

#: Storage drivers, and the first version that no longer has them.
_STORAGE: dict[str, Version | None] = {
    "overlay2": None,
    "btrfs": None,
    "zfs": None,
    "vfs": None,
    "fuse-overlayfs": None,
    "windowsfilter": None,
    "aufs": (24, 0),
    "overlay": (24, 0),
    "devicemapper": (25, 0),
}
_PREFIXES = {"devicemapper": "dm", "windowsfilter": "windowsfilter", "overlay2": "overlay2"}
_OVERLAY = {"overlay2.size", "overlay2.override_kernel_check"}


def storage(daemon: Map, engine: Version) -> Iterator[Finding]:
    driver = daemon.get("storage-driver") or ""
    if driver and "/" not in driver and ":" not in driver:
        where = daemon.where["storage-driver"]
        if driver not in _STORAGE:
            yield finding("DJ211", where, f"there is no storage driver {driver}", nearest(driver, _STORAGE) or "")
            return
        gone = _STORAGE[driver]
        if gone is not None and engine >= gone:
            yield finding("DJ211", where, f"{driver} was removed in {gone[0]}.{gone[1]}", "use overlay2")
            return
    for option, where in each(daemon, "storage-opts"):
        name = option.partition("=")[0].lower()
        prefix = name.partition(".")[0]
        if driver and prefix != _PREFIXES.get(driver, driver):
            yield finding("DJ212", where, f"{name} is no option of {driver}")
        elif prefix == "overlay2" and name not in _OVERLAY:
            yield finding("DJ212", where, f"overlay2 has no option {name}", nearest(name, _OVERLAY) or "")
