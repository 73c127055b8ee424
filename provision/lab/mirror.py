"""A docker-ce mirror, and a small Debian archive for the prerequisites, without the internet.

Laid out like the real one (``linux/debian/dists/SUITE/...`` with a key at ``linux/debian/gpg``), signed
with a throwaway key. Two engines per suite, and they are really two; a newer one in the channel ``test``, where its
binaries are there (:mod:`provision.lab.newer`).
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError
from provision.lab import base, cgroups, debs, engine_packages, keys, network, newer, rpms
from provision.lab.engine_packages import Recipe
from provision.lab.lookalike import Lookalike
from provision.lab.process import output, run
from provision.lab.store import MIRROR, Store
from provision.lines import lines_of

URL = f"http://{MIRROR}/docker-ce"
GROUP = "provlab-mirror"
PORT = 80

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
_FILES = ("mirror.py", "engine_packages.py", "newer.py", "debs.py", "rpms.py", "lookalike.py")
#: Of the code as it was loaded: a mirror that it builds must not have the name of what it is edited to meanwhile.
_TEXT = "".join((Path(__file__).parent / name).read_text() for name in _FILES) + newer.identity()
_RECIPE = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
#: The suite whose libc and containerd a newer engine runs with.
NEWER = "trixie"
RELEASES = {"trixie": "debian.13~trixie", "bookworm": "debian.12~bookworm"}


def path(store: Store) -> Path:
    return store.root / "mirrors" / _RECIPE


def ensure(store: Store, suites: tuple[str, ...], likes: Sequence[Lookalike]) -> Path:
    """Build what is missing of the mirror for ``suites`` and look-alikes; about half a minute each, then cached."""
    mirror = path(store)
    mirror.mkdir(parents=True, exist_ok=True)
    if not (mirror / "recipe").exists():
        (mirror / "recipe").write_text(mirror.name)
    for suite in suites:
        parts: list[str | Lookalike] = [suite, *(like for like in likes if like.suite == suite)]
        if not all(_last(mirror, part).exists() for part in parts):
            with store.building(mirror / f"mirror-{suite}"):
                builder = _Builder(store, mirror, suite)
                for part in parts:
                    if not _last(mirror, part).exists():
                        builder.build(part)
                builder.clean_up()
    return mirror


def there(store: Store, suites: Sequence[str], likes: Sequence[Lookalike]) -> bool:
    parts: list[str | Lookalike] = [*suites, *likes]
    return all(_last(path(store), one).exists() for one in parts)


def _last(mirror: Path, of: str | Lookalike) -> Path:
    """What is written last of a suite's, or of a look-alike's, part of the mirror."""
    if isinstance(of, str):
        return mirror / "debian/dists" / of / "InRelease"
    return mirror / of.folder / "repodata/repomd.xml.key"


class _Builder:
    def __init__(self, store: Store, mirror: Path, suite: str) -> None:
        self.store, self.mirror, self.suite = store, mirror, suite
        self.work = mirror / f"work-{suite}"
        self.architecture = output(["dpkg", "--print-architecture"])
        self.clean_up()

    def clean_up(self) -> None:
        """The unpacked packages are used for all parts of a suite, and not afterwards."""
        shutil.rmtree(self.work, ignore_errors=True)

    def build(self, of: str | Lookalike) -> None:
        if isinstance(of, str):
            self._debs()
        else:
            self._rpms(of)

    def _debs(self) -> None:
        root = self.mirror / "docker-ce/linux/debian"
        pools = root / "dists" / self.suite / "pool"
        components = {"stable": pools / "stable" / self.architecture}
        for engine in ENGINES[self.suite]:
            latest = self._engine(engine)
            self._pack(components["stable"], latest)
        for version in newer.versions(self.architecture) if self.suite == NEWER else ():
            # The engine before it too: an upgrade and its way back go within one channel.
            components["test"] = pools / "test" / self.architecture
            self._pack(components["test"], latest)
            self._pack(components["test"], newer.recipes(version, self.architecture, latest, self.work / version))
        self._index(root, components, "docker")
        self._show_key("debian")
        archive = self.mirror / "debian/pool" / self.suite
        archive.mkdir(parents=True, exist_ok=True)
        self._closure(archive)
        self._index(self.mirror / "debian", {"main": archive}, "archive")

    def _pack(self, pool: Path, recipes: list[Recipe]) -> None:
        pool.mkdir(parents=True, exist_ok=True)
        for recipe in recipes:
            debs.pack(recipe, RELEASES[self.suite], pool)

    def _rpms(self, like: Lookalike) -> None:
        """The same engines as Docker's rpms, and the look-alike's own archive."""
        home = keys.folder(self.store)
        archive = self.mirror / like.folder
        docker = (
            self.mirror / "docker-ce/linux" / like.docker / platform.machine() / "stable" if like.docker else archive
        )
        own = rpms.Signer(keys.owner(keys.ARCHIVE), home)
        signers = {archive: own, docker: rpms.Signer(keys.owner(keys.DOCKER), home) if like.docker else own}
        for folder in signers:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for engine in ENGINES[self.suite]:
            recipes = self._engine(engine)
            for recipe in recipes if like.docker else engine_packages.own(recipes):
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
        """apt with a state of its own, for ``release``, as it would resolve on a fresh host of this suite."""
        folder = self.work / f"apt-{release}"
        root = base.ensure(self.store, self.suite)
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": root / "var/lib/dpkg/status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "APT::Architecture": self.architecture,
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        if not folder.exists():
            for name in ("state/lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True)
            lines = lines_of((self.store.root / "bases" / f"{self.suite}.list").read_text())
            if release != self.suite:
                lines = [lines[0].replace(f" {self.suite} ", f" {release} ")]
            keyring = root / "usr/share/keyrings/debian-archive-keyring.gpg"
            signed = [line.replace("deb ", f"deb [signed-by={keyring}] ", 1) for line in lines if line]
            (folder / "sources.list").write_text("\n".join(signed) + "\n")
            run(["apt-get", *words, "update"])
        return words

    def _unpack(self, package: str, release: str) -> tuple[Path, str]:
        folder = self.work / f"{package}-{release}"
        if not folder.exists():
            folder.mkdir(parents=True)
            run(["apt-get", *self._apt(release), "download", package], cwd=folder)
            run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder])
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

    def _index(self, root: Path, components: dict[str, Path], key: str) -> None:
        dist = root / "dists" / self.suite
        for component, pool in components.items():
            index = dist / component / f"binary-{self.architecture}"
            index.mkdir(parents=True, exist_ok=True)
            packages = run(["apt-ftparchive", "packages", pool.relative_to(root)], cwd=root).stdout
            (index / "Packages").write_bytes(packages)
            run(["gzip", "-kf9", index / "Packages"])
        fields = {
            "Origin": "Docker" if key == "docker" else "provision lab",
            "Suite": self.suite,
            "Codename": self.suite,
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


def serve(store: Store) -> None:
    """Serve the mirror from a network namespace of its own, as a host among the lab's hosts."""
    if _answers(store):
        return
    stop()
    network.add_host(network.mirror_index())
    entries = cgroups.create(GROUP)
    with open(store.root / "mirror.log", "ab") as log:
        server = subprocess.Popen(
            [
                *(
                    "ip",
                    "netns",
                    "exec",
                    network.namespace(network.mirror_index()),
                    sys.executable,
                    "-m",
                    "http.server",
                ),
                *("--bind", MIRROR, str(PORT), "--directory", str(path(store))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    for entry in entries:
        entry.write_text(str(server.pid))
    end = time.monotonic() + 10
    while not _answers(store):
        if time.monotonic() > end or server.poll() is not None:
            raise LabError(f"the lab's mirror does not answer; see {store.root / 'mirror.log'}")
        time.sleep(0.05)


def _answers(store: Store) -> bool:
    """Whether the mirror is served, and the one of this recipe: one of an older recipe may still run."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy must not be asked for the lab
    try:
        with opener.open(f"http://{MIRROR}/recipe", timeout=2) as reply:
            return bool(reply.read().decode() == path(store).name)
    except OSError:
        return False


def stop() -> None:
    cgroups.kill(GROUP)
    cgroups.remove(GROUP)
    network.remove_host(network.mirror_index())
