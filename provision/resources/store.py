"""The engine's and containerd's stores: room for them, and none with somebody's data silently left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from msgspec import Struct

from provision.lines import lines_of
from provision.model import Call, Drift, Report, State
from provision.resources.obstacle import Unfixable

#: Where an engine that is told nothing keeps its data (moby, daemon/config/config_linux.go), and containerd.
DOCKER_ROOT, CONTAINERD_ROOT = "/var/lib/docker", "/var/lib/containerd"
#: Free KiB below which an engine can't live.
LEAST = 1024 * 1024


class Store(Struct, frozen=True):
    """``root`` is the declared data-root, ``driver`` the declared storage driver (``None``: the daemon goes on with
    the one that it finds), ``containerd`` containerd's declared root. ``config`` and ``containerd_config`` are the
    files that say what each was until now. With ``leave`` what would no longer be seen is left on purpose."""

    config: str
    containerd_config: str
    root: str
    driver: str | None
    containerd: str | None = None
    leave: bool = False

    @property
    def id(self) -> str:
        return f"store:{self.root}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"space": "enough", "left behind": "nothing"}

    def look(self) -> tuple[Call, ...]:
        """Only what is to be used is measured."""
        used = dict.fromkeys((root for root in (self.root, self.containerd) if root is not None), "measure")
        roots = {DOCKER_ROOT: "-", CONTAINERD_ROOT: "-"} | used
        files = (self.config,) if self.containerd is None else (self.config, self.containerd_config)
        return (
            *(Call("look_stores", pair) for pair in roots.items()),
            *(Call("look_files", (path,)) for path in files),
        )

    def seen(self, report: Report) -> State:
        behind = [] if self.leave else [*self._moved(report), *self._other_driver(report)]
        roots = (self.root, self.containerd) if self.containerd is not None else (self.root,)
        short = [f"{root}: {free // 1024} MiB free" for root in roots if (free := _free(report, root)) < LEAST]
        return {"space": "; ".join(short) or "enough", "left behind": "; ".join(behind) or "nothing"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        """Nothing here is ours to mend: images and containers are data, and room is made by people."""
        reasons = []
        if "space" in drift:
            reasons.append(f"too little room for an engine ({drift.seen['space']}; it needs 1 GiB)")
        if "left behind" in drift:
            reasons.append(
                f"the engine would no longer see what it has: {drift.seen['left behind']} (move it by hand, "
                "or set engine.existing_store: leave)"
            )
        raise Unfixable("; ".join(reasons))

    def _moved(self, report: Report) -> Iterator[str]:
        """What the places that are about to be left hold."""
        before = str(self._before(report).get("data-root") or DOCKER_ROOT)
        if before != self.root:
            yield from _left(report, before)
        if self.containerd is not None:
            found = re.search(rb'^root *= *"([^"]*)"', _content(report, self.containerd_config), re.MULTILINE)
            before = found[1].decode() if found else CONTAINERD_ROOT
            if before != self.containerd:
                yield from _left(report, before)

    def _other_driver(self, report: Report) -> Iterator[str]:
        """Images of another storage driver, while the declared one is new and has none."""
        images = [word for word in _holds(report, self.root) if word.startswith("images of ")]
        if self.driver is None or self._before(report).get("storage-driver") == self.driver:
            return
        if images and f"images of {self.driver}" not in images:
            yield f"{', '.join(images)} in {self.root}, where {self.driver} is to begin anew"

    def _before(self, report: Report) -> dict[str, object]:
        """The daemon.json that the host has until now."""
        try:
            found = json.loads(_content(report, self.config) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _content(report: Report, path: str) -> bytes:
    return (report.content(path) if report.get("file", path) is not None else None) or b""


def _left(report: Report, root: str) -> Iterator[str]:
    if report.get("store", root) is None:  # a place that the look could not know of
        yield f"its data was in {root}"
    elif there := _holds(report, root):
        yield f"{', '.join(there)} in {root}"


def _holds(report: Report, root: str) -> tuple[str, ...]:
    """``images of overlay2``, ``containers``, ``snapshots of overlayfs``: what a store has."""
    return tuple(word for word in lines_of(report.fields("store", root)[1]) if word)


def _free(report: Report, root: str) -> int:
    """KiB; a store that is in use already is not measured."""
    free = report.fields("store", root)[0]
    return int(free) if free else LEAST
