"""The files that the mirror serves: Docker's packages and a small archive, for each Debian release.

Laid out like the real ones (``linux/debian/dists/SUITE/...`` with a key at ``linux/debian/gpg``), signed with a
throwaway key. Two engines per suite, and they are really two; a newer one in the channel ``test``, where its binaries
are there (:mod:`provision.lab.newer`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provision.lab import apt, base, debs, engine_packages, keys, newer
from provision.lab.engine_packages import Recipe
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
#: The suite whose libc and containerd a newer engine runs with.
NEWER = "trixie"
#: The end of the versions of Docker's packages for each suite.
RELEASES = {"trixie": "1~debian.13~trixie", "bookworm": "1~debian.12~bookworm"}


class Part(Protocol):
    """A part of the mirror. All parts of a suite are made of its unpacked packages."""

    @property
    def suite(self) -> str: ...

    def last(self, mirror: Path) -> Path:
        """The file that is written last. If it exists, this part of the mirror is complete."""

    def build(self, builder: Builder) -> None: ...


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

    def docker_ce(self, family: str, codename: str, tag: str) -> dict[str, Path]:
        """Docker's packages of all engines of the suite, and where each channel is."""
        stable = _stable(self.mirror, family, codename, self.architecture)
        for engine in ENGINES[self.suite]:
            self.pack(stable, self.engine(engine), tag)
        return {"stable": stable}

    def pack(self, pool: Path, recipes: list[Recipe], revision: str) -> None:
        pool.mkdir(parents=True, exist_ok=True)
        for recipe in recipes:
            debs.pack(recipe, revision, pool)

    def show_key(self, family: str) -> None:
        """Write Docker's public key into the mirror, whole at once: other suites of the family may be in use."""
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

    def engine(self, engine: Engine) -> list[Recipe]:
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

    def closure(self, archive: Path) -> None:
        """Everything a fresh host needs of Debian itself: the extras, and what the engine's packages depend on."""
        words = self._apt(self.suite)
        wanted = (*EXTRAS, *OWN[self.suite], "libseccomp2", "iptables", "libsystemd0")
        run(["apt-get", *words, "install", "--download-only", "-y", "--no-install-recommends", *wanted])
        for file in (self.work / f"apt-{self.suite}/cache/archives").glob("*.deb"):
            shutil.move(file, archive / file.name)

    def index(self, root: Path, codename: str, components: Mapping[str, Path], key: str) -> None:
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


@dataclass(frozen=True, slots=True)
class Suite:
    """Docker's packages for a Debian release, and what its hosts need of Debian."""

    suite: str

    def last(self, mirror: Path) -> Path:
        return mirror / "debian/dists" / self.suite / "InRelease"

    def build(self, builder: Builder) -> None:
        components = builder.docker_ce("debian", self.suite, RELEASES[self.suite])
        pools = components["stable"].parents[1]
        for version in newer.versions(builder.architecture) if self.suite == NEWER else ():
            # The engine before it too: an upgrade and its way back go within one channel.
            components["test"] = pools / "test" / builder.architecture
            latest = builder.engine(ENGINES[self.suite][-1])
            builder.pack(components["test"], latest, RELEASES[self.suite])
            made = newer.recipes(version, builder.architecture, latest, builder.work / version)
            builder.pack(components["test"], made, RELEASES[self.suite])
        builder.index(builder.mirror / "docker-ce/linux/debian", self.suite, components, keys.DOCKER)
        builder.show_key("debian")
        archive = builder.mirror / "debian/pool" / self.suite
        archive.mkdir(parents=True, exist_ok=True)
        builder.closure(archive)
        builder.index(builder.mirror / "debian", self.suite, {"main": archive}, keys.ARCHIVE)
