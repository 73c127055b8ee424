"""The store in which a dockerd keeps its images (moby, daemon/image_store_choice.go and its test)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from provision.engine.image_store import ImageStore, image_store
from provision.engine.keys import Version
from provision.planning.plan import drift
from provision.planning.prepare import resources
from provision.remote.protocol import Seen
from provision.resources.obstacle import Unfixable
from provision.resources.store import Store
from tests.test_cases import frames

OLD, NEW = (28, 5), (29, 7)
CONTAINERD, OVERLAY2, VFS = ImageStore("overlayfs", True), ImageStore("overlay2"), ImageStore("vfs")
ON, OFF = {"features": {"containerd-snapshotter": True}}, {"features": {"containerd-snapshotter": False}}

ENGINE: dict[str, Any] = {"package": "docker-ce", "packages": ("docker-ce",)}


@pytest.mark.parametrize(
    ("engine", "daemon", "prior", "used", "store"),
    [
        (NEW, {}, (), (), CONTAINERD),
        (NEW, {}, ("overlay2",), (), OVERLAY2),
        # vfs is not among the drivers that dockerd looks for (scanPriorDrivers)
        (NEW, {}, ("vfs",), ("vfs",), CONTAINERD),
        (NEW, ON, ("overlay2",), ("overlay2",), CONTAINERD),
        (NEW, OFF, (), (), OVERLAY2),
        (NEW, OFF, (), ("vfs",), VFS),
        (NEW, {"storage-driver": "overlay2"}, (), (), OVERLAY2),
        (NEW, {"storage-driver": "vfs"}, (), (), VFS),
        (NEW, {"storage-driver": "native"}, (), (), ImageStore("native", True)),
        (NEW, {"storage-driver": "native", **ON}, ("overlay2",), (), ImageStore("native", True)),
        (NEW, {"userns-remap": "default"}, (), (), ImageStore("overlay2", remap="default")),
        (NEW, {"features": {"containerd-migration": True}}, ("overlay2",), (), CONTAINERD),
        (NEW, {"features": {"containerd-migration": True}}, ("overlay2",), ("overlay2",), OVERLAY2),
        (NEW, {"features": {"embedded-containerd": True}}, (), (), ImageStore("overlayfs", True, embedded=True)),
        (OLD, {}, (), (), OVERLAY2),
        (OLD, {}, (), ("vfs",), VFS),
        (OLD, {}, ("btrfs",), (), ImageStore("btrfs")),
        (OLD, ON, ("overlay2",), (), CONTAINERD),
        ((20, 10), ON, ("overlay2",), (), OVERLAY2),
        (OLD, {"features": {"containerd-migration": True}}, (), (), OVERLAY2),
        (NEW, {"features": ["nonsense"]}, (), (), CONTAINERD),
    ],
)
def test_an_engine_uses_the_store_that_moby_would_choose(
    engine: Version, daemon: dict[str, Any], prior: tuple[str, ...], used: tuple[str, ...], store: ImageStore
) -> None:
    assert image_store(engine, daemon, prior, used) == store


def test_a_rollback_checks_for_images_that_it_would_hide() -> None:
    """A run gave an empty host containerd's store, which has images now. A rollback would restore its old
    daemon.json."""
    content = b'{"storage-driver":"overlay2"}'
    record: list[tuple[str, ...]] = [
        ("before", "RUN", "there", "file 1 /etc/docker/daemon.json\npackage docker-ce 5:28.5.2-1\nend - -"),
        ("kept", "/etc/docker/daemon.json", "regular file:644:root:root", base64.b64encode(content).decode()),
    ]
    desired = Store("/etc/docker/daemon.json", "/etc/containerd/config.toml", "/var/lib/docker", {}, **ENGINE)
    store, *_ = resources("RUN", Seen.of(record), (desired,), 300)
    assert isinstance(store, Store)
    assert (store.daemon, store.pin) == ({"storage-driver": "overlay2"}, "5:28.5.2-1")
    here: dict[str, Any] = {
        "files": {"/etc/docker/daemon.json": {"content": "{}"}, "/etc/containerd/config.toml": None},
        "seen": [
            ["packages", "", "docker-ce ii 5:29.7.2-1"],
            ["store", "/var/lib/containerd", "", "snapshots of overlayfs\n"],
        ],
    }
    found = drift(store, Seen.of(frames(here)))
    assert found is not None
    with pytest.raises(Unfixable, match=r"snapshots of overlayfs in /var/lib/containerd, because docker would change"):
        list(store.fix(found))
    assert drift(desired, Seen.of(frames(here))) is None, "the current daemon.json is in the desired state"


def test_an_upgrade_after_a_downgrade_keeps_the_storage_driver() -> None:
    """``existing_store: leave`` has left containerd's store behind. Since then dockerd prefers the driver that has
    state."""
    case = {
        "files": {"/etc/docker/daemon.json": {"content": "{}"}},
        "seen": [
            ["packages", "", "docker-ce ii 5:28.5.2-1~debian.13~trixie"],
            ["store", "/var/lib/docker", "", "containers of containerd\nimages of overlay2\ndriver overlay2\n"],
            ["store", "/var/lib/containerd", "", "snapshots of overlayfs\n"],
        ],
    }
    store = Store("/etc/docker/daemon.json", "/etc/containerd/config.toml", "/var/lib/docker", {}, pin="29.7", **ENGINE)
    assert drift(store, Seen.of(frames(case))) is None
