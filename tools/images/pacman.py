"""Packages and repositories in pacman's formats (PKGBUILD(5), makepkg(8), repo-add(8)), signed."""

from __future__ import annotations

import hashlib
import io
import platform
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.lab.engine_packages import Recipe, lay_out
from provision.lab.keys import Signer
from provision.lab.process import run

#: The name of the repository that has a look-alike's packages; Arch has the engine in one of this name.
REPOSITORY = "extra"
#: gitlab.archlinux.org/archlinux/packaging/packages/docker
_EPOCHS = {"docker": "1:"}
_DEPENDS = {"docker": ("containerd", "runc", "iptables", "systemd"), "containerd": ("runc", "systemd")}
_SYSUSERS = "g docker - -\n"


@dataclass(frozen=True, slots=True)
class Package:
    """What a package's .PKGINFO and its entry of the repository say."""

    name: str
    version: str
    description: str
    architecture: str
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    size: int = 0

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}-{self.architecture}.pkg.tar.zst"


def pack(recipe: Recipe, release: str, target: Path, signer: Signer) -> Package:
    """Pack into ``target``; ``release`` is the last part of the version."""
    tree = target / f".{recipe.name}"
    lay_out(recipe, tree)
    if recipe.group:
        file = tree / "usr/lib/sysusers.d/docker.conf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SYSUSERS)
    package = Package(
        recipe.name,
        f"{_EPOCHS.get(recipe.name, '')}{recipe.version}-{release}",
        recipe.description,
        platform.machine(),
        _DEPENDS.get(recipe.name, ()),
        size=sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()),
    )
    return _build(package, tree, target, signer)


def dummy(name: str, version: str, provides: tuple[str, ...], target: Path, signer: Signer) -> Package:
    """A package with nothing in it but a name: a look-alike has the real thing from elsewhere, or needs none."""
    tree = target / f".{name}"
    tree.mkdir(parents=True)
    return _build(Package(name, version, f"{name} of a look-alike", "any", (), provides), tree, target, signer)


def _build(package: Package, tree: Path, target: Path, signer: Signer) -> Package:
    fields = [
        ("pkgname", package.name),
        ("pkgbase", package.name),
        ("pkgver", package.version),
        ("pkgdesc", package.description),
        ("url", "https://example.com"),
        ("builddate", "0"),
        ("packager", "provision lab <lab@example.com>"),
        ("size", str(package.size)),
        ("arch", package.architecture),
        ("license", "Apache-2.0"),
        *(("depend", one) for one in package.depends),
        *(("provides", one) for one in package.provides),
    ]
    (tree / ".PKGINFO").write_text("".join(f"{key} = {value}\n" for key, value in fields))
    # .PKGINFO is the first member (alpm reads no further for the metadata).
    names = [".PKGINFO", *sorted(path.name for path in tree.iterdir() if path.name != ".PKGINFO")]
    words = ["--owner=0", "--group=0", "--numeric-owner", "--format=posix", "--use-compress-program=zstd -1 -q -T0"]
    run(["tar", *words, "-C", tree, "-cf", target / package.file, *names])
    shutil.rmtree(tree)
    _sign(target / package.file, signer)
    return package


def index(folder: Path, packages: list[Package], signer: Signer) -> None:
    """The repository's database, as repo-add(8) writes it, and its signature, which is written last."""
    database = folder / f"{REPOSITORY}.db"
    with tarfile.open(database, "w:gz", compresslevel=1) as archive:
        for package in packages:
            entry = tarfile.TarInfo(f"{package.name}-{package.version}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
            text = _description(folder, package).encode()
            entry = tarfile.TarInfo(f"{package.name}-{package.version}/desc")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    _sign(database, signer)


def _description(folder: Path, package: Package) -> str:
    content = (folder / package.file).read_bytes()
    fields: Mapping[str, tuple[str, ...]] = {
        "FILENAME": (package.file,),
        "NAME": (package.name,),
        "BASE": (package.name,),
        "VERSION": (package.version,),
        "DESC": (package.description,),
        "CSIZE": (str(len(content)),),
        "ISIZE": (str(package.size),),
        "SHA256SUM": (hashlib.sha256(content).hexdigest(),),
        "ARCH": (package.architecture,),
        "BUILDDATE": ("0",),
        "PACKAGER": ("provision lab <lab@example.com>",),
        "PROVIDES": package.provides,
        "DEPENDS": package.depends,
    }
    return "".join("\n".join((f"%{key}%", *values, "", "")) for key, values in fields.items() if values)


def _sign(file: Path, signer: Signer) -> None:
    gpg: list[str | Path] = ["gpg", "--homedir", signer.home, "--batch", "--quiet", "--yes"]
    run([*gpg, "--local-user", signer.name, "--detach-sign", file])
