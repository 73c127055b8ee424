"""What the mirror serves: Docker's packages and small archives, for each Debian release and each look-alike.

Laid out like the real ones (``linux/debian/dists/SUITE/...`` with a key at ``linux/debian/gpg``), signed with a
throwaway key. Two engines per suite, and they are really two; a newer one in the channel ``test``, where its binaries
are there (:mod:`provision.lab.newer`).
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.lab import apt, base, debs, engine_packages, keys, newer, pacman, rpms
from provision.lab.engine_packages import Recipe
from provision.lab.lookalike import Lookalike
from provision.lab.process import output, run
from provision.lab.store import Store
from provision.lines import lines_of

#: What a lab host can install besides the engine: the prerequisites, and a few small tools.
EXTRAS = (
    "ca-certificates",
    "curl",
    "gnupg",
    "gpg",
    "tree",
    "jq",
    "auditd",
    "firewalld",
    "docker-registry",
    "nftables",
    "opendoas",
    "python3-apt",
)
#: Debian's own engine, as far as a suite has its parts.
OWN = {
    "trixie": ("docker.io", "docker-cli", "containerd", "runc", "docker-buildx", "docker-compose"),
    "bookworm": ("docker.io", "containerd", "runc"),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine of a suite: the Debian release of the engine, and of runc and tini (bound to a libc)."""

    engine: str
    runtime: str


#: The older one first. A later release's runc needs a later libc, so bookworm keeps its own.
ENGINES = {
    "trixie": (Engine("trixie", "trixie"), Engine("forky", "forky")),
    "bookworm": (Engine("bookworm", "bookworm"), Engine("trixie", "bookworm")),
}
#: The states of a pacman repository, one for each engine.
SNAPSHOTS = ("older", "newer")
#: The suite whose libc and containerd a newer engine runs with.
NEWER = "trixie"
#: The end of the versions of Docker's packages for each suite.
RELEASES = {"trixie": "1~debian.13~trixie", "bookworm": "1~debian.12~bookworm"}


def last(mirror: Path, of: str | Lookalike) -> Path:
    """What is written last of a suite's, or of a look-alike's, part of the mirror."""
    if isinstance(of, str):
        return mirror / "debian/dists" / of / "InRelease"
    if of.manager == "apt":
        return mirror / of.folder / "dists" / of.codename / "InRelease"
    if of.manager == "pacman":
        return mirror / of.folder / SNAPSHOTS[-1] / f"{pacman.REPOSITORY}.db.sig"
    return mirror / of.folder / "repodata/repomd.xml.key"


def docker_ce(mirror: Path, suite: str) -> Path:
    """The directory of Docker's packages for a Debian release, of the channel ``stable``."""
    return _stable(mirror, "debian", suite, output(["dpkg", "--print-architecture"]))


def _stable(mirror: Path, family: str, codename: str, architecture: str) -> Path:
    return mirror / "docker-ce/linux" / family / "dists" / codename / "pool/stable" / architecture


class Builder:
    def __init__(self, store: Store, mirror: Path, suite: str) -> None:
        self.store, self.mirror, self.suite = store, mirror, suite
        #: The unpacked packages, which all parts of the suite are made of. They stay: to unpack them takes longer than
        #: to make a part, and the parts are made one by one, when a host needs them.
        self.work = mirror / f"work-{suite}"
        self.architecture = output(["dpkg", "--print-architecture"])
        # What apt knows of the archive is of this moment.
        for state in self.work.glob("apt-*"):
            shutil.rmtree(state)

    def build(self, of: str | Lookalike) -> None:
        if isinstance(of, str):
            self._debian()
        elif of.manager == "apt":
            self._apt_distribution(of)
        elif of.manager == "pacman":
            self._snapshots(of)
        else:
            self._rpms(of)

    def _debian(self) -> None:
        components = self._docker_ce("debian", self.suite, RELEASES[self.suite])
        pools = components["stable"].parents[1]
        for version in newer.versions(self.architecture) if self.suite == NEWER else ():
            # The engine before it too: an upgrade and its way back go within one channel.
            components["test"] = pools / "test" / self.architecture
            latest = self._engine(ENGINES[self.suite][-1])
            self._pack(components["test"], latest, RELEASES[self.suite])
            made = newer.recipes(version, self.architecture, latest, self.work / version)
            self._pack(components["test"], made, RELEASES[self.suite])
        self._index(self.mirror / "docker-ce/linux/debian", self.suite, components, keys.DOCKER)
        self._show_key("debian")
        archive = self.mirror / "debian/pool" / self.suite
        archive.mkdir(parents=True, exist_ok=True)
        self._closure(archive)
        self._index(self.mirror / "debian", self.suite, {"main": archive}, keys.ARCHIVE)

    def _apt_distribution(self, like: Lookalike) -> None:
        """Docker's packages for it, and its own archive: Debian's packages, and its own engine."""
        components = self._docker_ce(like.docker, like.codename, like.tag)
        self._index(self.mirror / "docker-ce/linux" / like.docker, like.codename, components, keys.DOCKER)
        self._show_key(like.docker)
        root = self.mirror / like.folder
        shutil.rmtree(root, ignore_errors=True)
        main, universe = root / "pool/main", root / "pool/universe"
        main.mkdir(parents=True)
        for file in (self.mirror / "debian/pool" / self.suite).glob("*.deb"):
            if file.name.partition("_")[0] not in OWN[self.suite]:
                os.link(file, main / file.name)
        for engine in ENGINES[self.suite]:
            self._pack(universe, engine_packages.own(self._engine(engine), like.own), like.own_tag)
        self._index(root, like.codename, {"main": main, "universe": universe}, keys.ARCHIVE)

    def _docker_ce(self, family: str, codename: str, tag: str) -> dict[str, Path]:
        """Docker's packages of all engines of the suite, and where each channel is."""
        stable = _stable(self.mirror, family, codename, self.architecture)
        for engine in ENGINES[self.suite]:
            self._pack(stable, self._engine(engine), tag)
        return {"stable": stable}

    def _pack(self, pool: Path, recipes: list[Recipe], revision: str) -> None:
        pool.mkdir(parents=True, exist_ok=True)
        for recipe in recipes:
            debs.pack(recipe, revision, pool)

    def _snapshots(self, like: Lookalike) -> None:
        """A repository of pacman has one version of a package. So there is one for each engine, as in Arch's archive
        of its days."""
        own = keys.signer(self.store, keys.ARCHIVE)
        for name, engine in zip(SNAPSHOTS, ENGINES[self.suite], strict=True):
            folder = self.mirror / like.folder / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            recipes = engine_packages.own(self._engine(engine), like.own)
            packages = [pacman.pack(recipe, like.tag, folder, own) for recipe in recipes]
            dummies = like.dummies.items()
            packages += [pacman.dummy(dummy, f"1-{like.tag}", provides, folder, own) for dummy, provides in dummies]
            pacman.index(folder, packages, own)

    def _rpms(self, like: Lookalike) -> None:
        """The same engines as Docker's rpms, and the look-alike's own archive."""
        archive = self.mirror / like.folder
        docker = (
            self.mirror / "docker-ce/linux" / like.docker / platform.machine() / "stable" if like.docker else archive
        )
        own = keys.signer(self.store, keys.ARCHIVE)
        signers = {archive: own, docker: keys.signer(self.store, keys.DOCKER) if like.docker else own}
        for folder in signers:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for engine in ENGINES[self.suite]:
            recipes = self._engine(engine)
            for recipe in recipes if like.docker else engine_packages.own(recipes, like.own):
                rpms.pack(recipe, like.tag, docker, signers[docker])
        for name, provides in like.dummies.items():
            rpms.dummy(name, like.folder.rpartition("/")[2], like.tag, provides, archive, own)
        if like.docker:
            self._show_key(like.docker.partition("/")[0])
        for folder, signer in reversed(signers.items()):
            rpms.index(folder, signer)

    def _show_key(self, family: str) -> None:
        """Where Docker shows its key. Other suites of the family may be in use already."""
        part = self.mirror / "docker-ce/linux" / family / f"gpg-{self.suite}"
        part.write_text(keys.public(self.store, keys.DOCKER).read_text())
        part.rename(part.with_name("gpg"))

    def _apt(self, release: str) -> list[str]:
        """apt for ``release``, as it would resolve on a fresh host of this suite."""
        sources = (self.store.root / "bases" / f"{self.suite}.list").read_text()
        if release != self.suite:
            sources = f"{lines_of(sources)[0].replace(f' {self.suite} ', f' {release} ')}\n"
        root = base.ensure(self.store, self.suite)
        return [*apt.apart(self.work / f"apt-{release}", root, sources), "-o", f"APT::Architecture={self.architecture}"]

    def _unpack(self, package: str, release: str) -> tuple[Path, str]:
        folder = self.work / f"{package}-{release}"
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)  # of a build that broke off
            part.mkdir(parents=True)
            run(["apt-get", *self._apt(release), "download", package], cwd=part)
            run(["dpkg-deb", "-x", next(part.glob("*.deb")), part])
            part.rename(folder)
        return folder, output(["dpkg-deb", "-f", next(folder.glob("*.deb")), "Version"])

    def _engine(self, engine: Engine) -> list[Recipe]:
        docker, docker_version = self._unpack("docker.io", engine.engine)
        # bookworm's docker.io still holds the client that later releases package as docker-cli.
        cli = docker if engine.engine == "bookworm" else self._unpack("docker-cli", engine.engine)[0]
        containerd, containerd_version = self._unpack("containerd", engine.engine)
        later = engine.engine if engine.engine != "bookworm" else "trixie"  # bookworm has no buildx and compose v2
        buildx, buildx_version = self._unpack("docker-buildx", later)
        compose, compose_version = self._unpack("docker-compose", later)
        sources = engine_packages.Sources(
            docker,
            cli,
            containerd,
            self._unpack("runc", engine.runtime)[0],
            self._unpack("tini", engine.runtime)[0],
            buildx,
            compose,
        )
        versions = {
            "docker": engine_packages.upstream(docker_version),
            "containerd": engine_packages.upstream(containerd_version),
            "buildx": engine_packages.upstream(buildx_version),
            "compose": engine_packages.upstream(compose_version),
        }
        return engine_packages.recipes(sources, versions)

    def _closure(self, archive: Path) -> None:
        """Everything a fresh host needs of Debian itself: the extras, and what the engine's packages depend on."""
        words = self._apt(self.suite)
        wanted = (*EXTRAS, *OWN[self.suite], "libseccomp2", "iptables", "libsystemd0")
        run(["apt-get", *words, "install", "--download-only", "-y", "--no-install-recommends", *wanted])
        for file in (self.work / f"apt-{self.suite}/cache/archives").glob("*.deb"):
            shutil.move(file, archive / file.name)

    def _index(self, root: Path, codename: str, components: Mapping[str, Path], key: str) -> None:
        dist = root / "dists" / codename
        for component, pool in components.items():
            index = dist / component / f"binary-{self.architecture}"
            index.mkdir(parents=True, exist_ok=True)
            packages = run(["apt-ftparchive", "packages", pool.relative_to(root)], cwd=root).stdout
            (index / "Packages").write_bytes(packages)
            run(["gzip", "-kf9", index / "Packages"])
        fields = {
            "Origin": "Docker" if key == keys.DOCKER else "provision lab",
            "Suite": codename,
            "Codename": codename,
            "Architectures": self.architecture,
            "Components": " ".join(components),
        }
        words = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
        (dist / "Release").unlink(missing_ok=True)
        (dist / "InRelease").unlink(missing_ok=True)
        release = run(["apt-ftparchive", *words, "release", dist]).stdout
        (dist / "Release").write_bytes(release)
        signer = [*keys.gnupg(self.store), "--local-user", keys.owner(key)]
        run([*signer, "--clearsign", "--output", dist / "InRelease", dist / "Release"])
