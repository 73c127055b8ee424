"""The disks that virtual lab hosts boot from: the lab's minimal Debian with a kernel and udev, built once and cached.
One of them has Docker's engine too: to install it takes minutes on an emulated machine, and seconds here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from provision.lab import archives, base, mirror
from provision.lab.process import run
from provision.lab.store import Store

#: The disk with Docker's engine, as its packages leave it.
DOCKER = "trixie-docker"
#: disk -> Debian release
SUITES = {**{suite: suite for suite in base.SUITES}, DOCKER: "trixie"}
#: gpg, which provision installs first on a Docker host: emulated, that takes 42 s of processor time.
_PACKAGES = ("udev", "linux-image-cloud-amd64", "gpg")
#: What Docker's packages depend on.
_UNDER_DOCKER = ("libseccomp2",)
_ENGINE = ("containerd.io", "docker-ce-cli", "docker-ce")
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


def path(store: Store, name: str) -> Path:
    """A directory with ``disk.img``, ``vmlinuz`` and ``initrd``."""
    recipe = (name, *_PACKAGES, _SIZE, _SELF)
    return store.root / "bases" / f"{name}-vm-{base.digest(*recipe)}"


def ensure(store: Store, name: str) -> Path:
    """Build the disk unless it is cached; about 25 s. The mirror of its release must be there."""
    return store.built(path(store, name), lambda folder: _build(store, name, folder))


def _build(store: Store, name: str, folder: Path) -> None:
    root, suite = folder / "root", SUITES[name]
    base.bootstrap(store, suite, root, (*base.PACKAGES, *_PACKAGES, *(_UNDER_DOCKER if name == DOCKER else ())))
    if name == DOCKER:
        _install_engine(archives.docker_ce(mirror.path(store), suite), root)
    base.write(root / "usr/local/sbin/lab-seed", _SEED, 0o755)
    base.unit(root, "lab-seed.service", _SEED_UNIT)
    run(["chroot", root, "systemctl", "--quiet", "enable", "systemd-networkd.service"])
    for file in ("vmlinuz", "initrd"):
        (boot,) = root.glob(f"boot/{file}*")
        boot.rename(folder / file)
    run(["mke2fs", "-q", "-t", "ext4", "-d", root, folder / "disk.img", _SIZE])
    shutil.rmtree(root)


def _install_engine(pool: Path, root: Path) -> None:
    """Install the newest engine of a mirror's pool. Its units start at the host's boot."""
    folder = root / "run/lab-engine"
    folder.mkdir()
    for package in _ENGINE:
        files = pool.glob(f"{package}_*.deb")
        newest = max(files, key=lambda file: [int(part) for part in re.findall(r"\d+", file.name)])
        shutil.copy(newest, folder)
    debs = [f"/{file.relative_to(root)}" for file in folder.iterdir()]
    run(["chroot", root, "dpkg", "--force-unsafe-io", "-i", *debs])
    shutil.rmtree(folder)
