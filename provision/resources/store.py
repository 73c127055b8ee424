"""The engine's and containerd's stores: they have enough space, and no data is left behind without a warning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from provision.distros import DOCKER
from provision.engine.daemon_json import DAEMON_JSON, DATA_ROOT, parsed
from provision.engine.image_store import CONTAINERD_BY_DEFAULT, GRAPH_DRIVERS, ImageStore, image_store
from provision.engine.keys import NEWEST, NEWEST_MINOR, Version, version
from provision.lines import lines_of
from provision.model import Call, Drift, HostReport, State
from provision.remote.frames import number
from provision.remote.protocol import decoded
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable
from provision.resources.packages import installed

#: Where an engine and containerd keep their data by default (moby, daemon/config/config_linux.go).
DOCKER_ROOT, CONTAINERD_ROOT = "/var/lib/docker", "/var/lib/containerd"
#: Free KiB that an engine needs at least.
LEAST = 1024 * 1024
#: The word of a look for the driver of a container that is in containerd's store and not in a graph driver's.
_CONTAINERD = "containerd"
#: The possible versions if the repository determines it: the last one before the default changed, and the newest.
_EITHER: tuple[Version, ...] = ((CONTAINERD_BY_DEFAULT[0] - 1, NEWEST_MINOR), NEWEST)


class Store(Base, frozen=True):
    """``root`` is the declared data-root, ``daemon`` the declared daemon.json (``None``: the one that the host has),
    ``containerd`` containerd's declared root. ``config`` and ``containerd_config`` are the files that have the values
    from before the change. ``leave`` accepts that the engine no longer sees data of the old store.

    ``package`` installs the engine, at the version that ``pin`` means (``None``: any; with ``upgrade`` the newest).
    ``packages`` are all packages that may contain an engine.
    """

    config: str
    containerd_config: str
    root: str
    daemon: Mapping[str, Any] | None = None
    containerd: str | None = None
    leave: bool = False
    package: str = ""
    packages: tuple[str, ...] = ()
    pin: str | None = None
    upgrade: bool = False
    #: dockerd starts a containerd itself, whose data is below data-root
    below: bool = False
    #: the engine's version, where it does not follow from a package
    engine: Version | None = None

    @property
    def id(self) -> str:
        return f"store:{self.root}"

    def want(self) -> State:
        return {"space": "enough", "left behind": "nothing"}

    def look(self) -> tuple[Call, ...]:
        """Free space is measured only for the roots that the engine may use."""
        used = dict.fromkeys((self.root, self.containerd or CONTAINERD_ROOT), "measure")
        roots = {DOCKER_ROOT: "-"} | used
        if self.containerd not in (None, CONTAINERD_ROOT):
            roots[CONTAINERD_ROOT] = "-"
        return (
            *(Call("look_stores", pair) for pair in roots.items()),
            *(Call("look_files", (path,)) for path in (self.config, self.containerd_config)),
            *(Call("look_packages", (name,)) for name in self.packages),
        )

    def seen(self, report: HostReport) -> State:
        behind = [] if self.leave else [*self._moved(report), *self._switched(report)]
        roots = (self.root, self.containerd or CONTAINERD_ROOT) if self._uses_containerd(report) else (self.root,)
        short = [f"{root}: {free // 1024} MiB free" for root in roots if (free := _free(report, root)) < LEAST]
        return {"space": "; ".join(short) or "enough", "left behind": "; ".join(behind) or "nothing"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        """provision never fixes this: images and containers are data, and an operator must make space."""
        reasons = []
        if "space" in drift:
            reasons.append(f"too little disk space for an engine ({drift.seen['space']}; it needs 1 GiB)")
        if "left behind" in drift:
            reasons.append(
                f"the engine would no longer see its images and containers: {drift.seen['left behind']} (leave the "
                "store as it is, move its data by hand, or set engine.existing_store: leave)"
            )
        raise Unfixable("; ".join(reasons))

    def _uses_containerd(self, report: HostReport) -> bool:
        """True if images and snapshots will be in containerd's root, as far as that is known."""
        if self.containerd is not None:
            return True
        if self.below:
            return False
        daemon = self._before(report) if self.daemon is None else self.daemon
        *_, then = self._versions(report)
        if len(self._versions(report)) > 1 and self.package != DOCKER["engine"]:
            return False  # Docker's repository has the newest engine, a distribution's may have any
        return _chosen(report, self.root, then, daemon).containerd

    def _moved(self, report: HostReport) -> Iterator[str]:
        """The data in roots that the change stops using."""
        if (before := self._root_before(report)) != self.root:
            yield from _left(report, before)
        if self.containerd is not None and (before := self._containerd_before(report)) != self.containerd:
            yield from _left(report, before)

    def _switched(self, report: HostReport) -> Iterator[str]:
        """The data in a store that the engine stops using because it changes to another store."""
        old_root = self._root_before(report)
        if report.get("store", old_root) is None:
            return  # _moved reports it
        old = self._before(report)
        new = old if self.daemon is None else self.daemon
        there = self._installed(report)
        before = _chosen(report, old_root, there, old) if there is not None else None
        for then in self._versions(report):
            after = _chosen(report, self.root, then, new)
            if before == after:
                continue
            lost = self._unseen(report, old_root, before, after)
            if lost:
                how = f"change from {before} to" if before is not None else "use"
                yield f"{', '.join(lost)}, because docker would {how} {after}{_because(there, then, old, new)}"
                return

    def _unseen(self, report: HostReport, root: str, before: ImageStore | None, after: ImageStore) -> list[str]:
        """The data in ``before``. If no package shows the version of the old engine, return the data in all stores
        except ``after``, unless ``after`` holds data."""
        if before is not None:
            return self._held(report, root, before)
        if self._held(report, root, after):
            return []
        others = [ImageStore(driver) for driver in GRAPH_DRIVERS]
        used = not report.fields("store", root)[0] and _holds(report, root)
        found = [word for one in others if one != after for word in self._held(report, root, one)]
        if used and not after.containerd and f"containers of {_CONTAINERD}" in _holds(report, root):
            found += self._held(report, root, ImageStore("overlayfs", True))
        return found

    def _held(self, report: HostReport, root: str, store: ImageStore) -> list[str]:
        prefix = "remapped " if store.remap else ""
        driver = _CONTAINERD if store.containerd else store.driver
        words = [f"{prefix}images of {driver}", f"{prefix}containers of {driver}"]
        found = [f"{word} in {root}" for word in words if word in _holds(report, root)]
        if not store.containerd:
            return found
        place, snapshots = self._containerd_before(report), f"snapshots of {store.driver}"
        if f"embedded {snapshots}" in _holds(report, root):  # of a containerd that dockerd has started
            found.insert(0, f"{snapshots} in {root}/containerd")
        if self.below or store.embedded:
            return found
        if report.get("store", place) is None:
            return [f"the content of containerd's {place}", *found]
        if snapshots in _holds(report, place):
            found.insert(0, f"{snapshots} in {place}")
        return found

    def _installed(self, report: HostReport) -> Version | None:
        """The version of the engine that the host has, normally from a package."""
        if self.engine is not None:
            return self.engine
        there = installed(report) if self.packages else {}
        return next((found for name in self.packages if (found := version(there.get(name, ""))) is not None), None)

    def _versions(self, report: HostReport) -> tuple[Version, ...]:
        """The versions that the engine may have after this run."""
        if self.pin is not None and (pinned := version(self.pin)) is not None:
            return (pinned,)
        # For an engine that stays as it is installed, no package is declared here.
        own = self.package and self.packages
        stays = version(installed(report).get(self.package, "")) if own else self._installed(report)
        if stays is None:
            return _EITHER
        return tuple(one for one in _EITHER if one > stays) or (stays,) if self.upgrade else (stays,)

    def _root_before(self, report: HostReport) -> str:
        return str(self._before(report).get("data-root") or DOCKER_ROOT)

    def _containerd_before(self, report: HostReport) -> str:
        found = re.search(rb'^root *= *"([^"]*)"', _content(report, self.containerd_config), re.MULTILINE)
        return found[1].decode() if found else CONTAINERD_ROOT

    def _before(self, report: HostReport) -> dict[str, Any]:
        """The daemon.json that the host has before the change."""
        return parsed(_content(report, self.config)) or {}


class UndeclaredStore(Base, frozen=True):
    """The store of an engine whose daemon.json (``config``) or containerd's config.toml an earlier run has made. The
    files in ``undeclared`` are removed now, and without them dockerd may use another store."""

    config: str
    containerd_config: str
    undeclared: frozenset[str]

    kind = "store"
    name = "undeclared"
    place = d.Place.NEW_PROJECTS
    desired = ("left behind", "nothing")

    def look(self) -> tuple[Call, ...]:
        files = " ".join(sorted(self.undeclared))
        return (
            *(Call("look_files", (path,)) for path in (self.config, self.containerd_config)),
            *(Call("look_undeclared", (root, files)) for root in (DOCKER_ROOT, CONTAINERD_ROOT)),
        )

    def seen(self, report: HostReport) -> State:
        """In the desired state where no such file is removed, and where the host has no engine any more."""
        said, removed = report.get("undeclared"), report.pending & self.undeclared
        there = re.search(r"version ([0-9]+\.[0-9]+)", said[0]) if said is not None else None
        if there is None or not removed:
            return self.want()
        before = Store(self.config, self.containerd_config, DOCKER_ROOT, engine=version(there[1]))
        if self.config in removed:
            after = replace(before, daemon={})
        else:
            after = replace(before, root=before._root_before(report))
        if self.containerd_config in removed:
            after = replace(after, containerd=CONTAINERD_ROOT)
        return {"left behind": after.seen(report)["left behind"]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        raise Unfixable(
            f"the engine would no longer see its images and containers: {drift.seen['left behind']}, because the keys "
            "that set its store are no longer declared (declare them again, move the data by hand, or first apply the "
            "engine without these keys and with existing_store: leave)"
        )


def _chosen(report: HostReport, root: str, engine: Version, daemon: Mapping[str, Any]) -> ImageStore:
    prefix = "remapped " if daemon.get("userns-remap") else ""
    words = [word.removeprefix(prefix) for word in _holds(report, root) if word.startswith(prefix)]
    used = {name for name in GRAPH_DRIVERS if f"images of {name}" in words or f"containers of {name}" in words}
    prior = {name for name in GRAPH_DRIVERS if f"driver {name}" in words}
    return image_store(engine, daemon, prior, used)


def _because(there: Version | None, then: Version, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The changes of the spec that make docker use another store."""
    found = [] if there in (None, then) else [f"engine {_shown(there)} -> {_shown(then)}"]
    for key in ("storage-driver", "features", "userns-remap", "data-root"):
        if old.get(key) != new.get(key):
            found.append(f"{key} {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}")
    return f" [{', '.join(found)}]" if found else ""


def _shown(engine: Version | None) -> str:
    major, minor = engine or (0, 0)
    return f"{major}" if minor == NEWEST_MINOR else f"{major}.{minor}"


def _content(report: HostReport, path: str) -> bytes:
    return (report.content(path) if report.get("file", path) is not None else None) or b""


def _left(report: HostReport, root: str) -> Iterator[str]:
    if report.get("store", root) is None:  # a place that the look did not know about
        yield f"its data was in {root}"
    elif there := [word for word in _holds(report, root) if " of " in word]:
        yield f"{', '.join(there)} in {root}"


def _holds(report: HostReport, root: str) -> tuple[str, ...]:
    """The contents of a store: ``images of overlay2``, ``containers of containerd``, ``snapshots of overlayfs``, or
    ``driver overlay2`` (it has left state there). The prefix ``remapped`` marks a directory of userns-remap."""
    return tuple(word for word in lines_of(report.fields("store", root)[1]) if word)


def _free(report: HostReport, root: str) -> int:
    """Free KiB; the space of a store that is already in use is not measured."""
    free = report.fields("store", root)[0]
    return number(free, "free KiB") if free else LEAST


def restored_stores(before: d.Record) -> Iterator[Store]:
    """The stores of a rollback, which must keep docker's objects reachable too."""
    daemon: dict[str, Any] | None = None
    for kind, _, path in before.lines:
        if path == DAEMON_JSON and kind in ("file", "absent"):
            content = decoded(before.report.fields("kept", path)[1]) if kind == "file" else b"{}"
            daemon = parsed(content) or {}
    for one in before.desired:
        if isinstance(one, Store):
            root = one.root if daemon is None else str(daemon.get("data-root") or DATA_ROOT)
            pin = before.versions.get(one.package)
            yield replace(one, root=root, daemon=daemon, containerd=None, pin=pin, upgrade=False)


DECLARATION = d.Declaration(
    # The data that a new engine wrote to its data-root is undone last, so it is kept first.
    kinds={"store": d.Kind("keep_store", {"store": d.RecordLine("undo_store")}, d.Stage.FILES)}
)
