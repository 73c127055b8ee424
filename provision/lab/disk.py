"""The disk that virtual lab hosts boot from: the lab's minimal Debian with a kernel and udev, built once and cached."""

from __future__ import annotations

import shutil
from pathlib import Path

from provision.lab import base
from provision.lab.process import run
from provision.lab.store import Store

#: gpg, which provision installs first on a Docker host: emulated, that takes 42 s of processor time.
_PACKAGES = ("udev", "linux-image-cloud-amd64", "gpg")
_SIZE = "8G"  # of the file system; the file holds only what is written

# Who the host is comes on a second disk, as a tar; read once, so that what is changed afterwards stays.
_SEED = """\
#!/bin/sh
set -eu
tar -xf /dev/vdb -C /
# Power may be cut at once: who the host is must be there before the note that it is.
sync
hostname "$(cat /etc/hostname)"
touch /var/lib/lab-seeded
"""

_SEED_UNIT = """\
[Unit]
Description=Lab host: name, address and host keys
DefaultDependencies=no
ConditionPathExists=!/var/lib/lab-seeded
Wants=dev-vdb.device
After=dev-vdb.device systemd-remount-fs.service
Before=sysinit.target systemd-networkd.service ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-seed
"""

#: The recipe as it was loaded.
_SELF = Path(__file__).read_text()


def path(store: Store, suite: str) -> Path:
    """A directory with ``disk.img``, ``vmlinuz`` and ``initrd``."""
    recipe = (suite, *_PACKAGES, _SIZE, _SELF)
    return store.root / "bases" / f"{suite}-vm-{base.digest(*recipe)}"


def ensure(store: Store, suite: str) -> Path:
    """Build the disk for ``suite`` unless it is cached; about 25 s."""
    return store.built(path(store, suite), lambda folder: _build(store, suite, folder))


def _build(store: Store, suite: str, folder: Path) -> None:
    root = folder / "root"
    base.bootstrap(store, suite, root, (*base.PACKAGES, *_PACKAGES))
    base.write(root / "usr/local/sbin/lab-seed", _SEED, 0o755)
    base.unit(root, "lab-seed.service", _SEED_UNIT)
    run(["chroot", root, "systemctl", "--quiet", "enable", "systemd-networkd.service"])
    for name in ("vmlinuz", "initrd"):
        (boot,) = root.glob(f"boot/{name}*")
        boot.rename(folder / name)
    run(["mke2fs", "-q", "-t", "ext4", "-d", root, folder / "disk.img", _SIZE])
    shutil.rmtree(root)
