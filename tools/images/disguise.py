"""The file system of a look-alike: Debian under another name, with another package manager in the place of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from provision.lab import base, keys, mirror, recipe
from provision.lab.process import run
from provision.lab.store import Store
from tools.images import pacman
from tools.images.lookalike import Lookalike
from tools.images.repositories import SNAPSHOTS, Repository

_RPM_REPOSITORY = """\
[base]
name=Base of a look-alike
baseurl={mirror}/{folder}
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-lab
"""
# As the distributions of this family have it: a package enables nothing.
_PRESET = "disable *\n"

_APT_SOURCES = """\
Types: deb
URIs: {mirror}/{folder}
Suites: {codename}
Components: main universe
Signed-By: /usr/share/keyrings/lab-archive.asc
"""

#: Arch's own, with the only repository that the mirror has (pacman.conf(5)).
_PACMAN = """\
[options]
HoldPkg = pacman glibc
Architecture = auto
{more}ParallelDownloads = 5
SigLevel = Required DatabaseOptional
LocalFileSigLevel = Optional

[{repository}]
Include = /etc/pacman.d/mirrorlist
"""


@dataclass(frozen=True, slots=True)
class Disguise:
    """The image of a look-alike."""

    like: Lookalike

    @property
    def suite(self) -> str:
        return self.like.suite

    @property
    def part(self) -> Repository:
        return Repository(self.like)

    def path(self, store: Store) -> Path:
        return store.root / "bases" / f"{self.like.name}-{base.digest()}"

    def under(self, store: Store) -> Path:
        return base.path(store, self.suite, self.like.packages)

    def ensure(self, store: Store) -> None:
        """Build the image unless it is cached. The mirror must have the look-alike's packages."""
        archive = mirror.path(store) / self.like.folder
        store.built(self.path(store), lambda root: _build(store, self.like, archive, root))


def _build(store: Store, like: Lookalike, archive: Path, root: Path) -> None:
    base.copy(base.with_packages(store, like.suite, like.packages), root)
    (root / "etc/os-release").unlink()
    base.write(root / "etc/os-release", like.os_release)
    for name, text in like.files.items():
        base.write(root / name, text)
    for link, program in like.links.items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(program)
    if like.manager == "apt":
        shutil.rmtree(root / "etc/apt/sources.list.d")
        sources = _APT_SOURCES.format(mirror=recipe.URL, folder=like.folder, codename=like.codename)
        base.write(root / "etc/apt/sources.list.d" / f"{like.name}.sources", sources)
        return
    # As the distributions of these families have it: a package enables nothing.
    base.write(root / "usr/lib/systemd/system-preset/99-default-disable.preset", _PRESET)
    release = next(dummy for dummy, provides in like.dummies.items() if provides)
    if like.manager == "pacman":
        _with_pacman(store, like, archive / SNAPSHOTS[-1], release, root)
    else:
        _with_rpm(store, like, archive, release, root)
    _hide_apt(root)


def _with_rpm(store: Store, like: Lookalike, archive: Path, release: str, root: Path) -> None:
    base.write(root / "etc/pki/rpm-gpg/RPM-GPG-KEY-lab", keys.public(store, keys.ARCHIVE).read_text())
    repositories = "etc/yum.repos.d" if like.manager == "dnf" else "etc/zypp/repos.d"
    text = _RPM_REPOSITORY.format(mirror=recipe.URL, folder=like.folder)
    base.write(root / repositories / "base.repo", text)
    (root / "etc/sysconfig").mkdir(exist_ok=True)
    (rpm,) = archive.glob(f"{release}-*.rpm")
    shutil.copy(rpm, root / "root/release.rpm")
    run(["chroot", root, "rpm", "--import", "/etc/pki/rpm-gpg/RPM-GPG-KEY-lab"])
    run(["chroot", root, "rpm", "-i", "/root/release.rpm"])
    (root / "root/release.rpm").unlink()


def _with_pacman(store: Store, like: Lookalike, snapshot: Path, release: str, root: Path) -> None:
    # Here pacman finds no mount points, by which it would find the space that is left.
    base.write(root / "etc/pacman.conf", _PACMAN.format(repository=pacman.REPOSITORY, more=""))
    server = f"Server = {recipe.URL}/{like.folder}/{snapshot.name}\n"
    base.write(root / "etc/pacman.d/mirrorlist", server)
    # What pacman-key(8) sets up: the archive's key, which is trusted.
    home = root / "etc/pacman.d/gnupg"
    home.mkdir(mode=0o755)
    gpg: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-permission-warning"]
    run([*gpg, "--import", keys.public(store, keys.ARCHIVE)])
    run([*gpg, "--import-ownertrust"], stdin=f"{keys.fingerprint(store, keys.ARCHIVE)}:6:\n".encode())
    run(["gpgconf", "--homedir", home, "--kill", "all"])
    (package,) = snapshot.glob(f"{release}-*.zst")
    shutil.copy(package, root / "root" / package.name)
    run(["chroot", root, "pacman", "-U", "--noconfirm", f"/root/{package.name}"])
    (root / "root" / package.name).unlink()
    base.write(root / "etc/pacman.conf", _PACMAN.format(repository=pacman.REPOSITORY, more="CheckSpace\n"))


def _hide_apt(root: Path) -> None:
    """Debian's own package manager is out of the way, and with it apt-daily."""
    away = root / "usr/lib/lab-debian"
    away.mkdir()
    for program in ("apt", "apt-get", "apt-cache", "apt-mark", "dpkg", "dpkg-query", "dpkg-deb"):
        if (root / "usr/bin" / program).exists():
            (root / "usr/bin" / program).rename(away / program)
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"):
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    shutil.rmtree(root / "etc/apt")
