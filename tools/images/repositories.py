"""The look-alikes' parts of the mirror: Docker's packages for each, and its own archive."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from provision.lab import keys
from provision.lab.archives import ENGINES, OWN, Builder
from provision.lab.engine_packages import Recipe
from tools.images import pacman, rpms
from tools.images.lookalike import Lookalike

#: The states of a pacman repository, one for each engine.
SNAPSHOTS = ("older", "newer")


@dataclass(frozen=True, slots=True)
class Repository:
    """The part of one look-alike."""

    like: Lookalike

    @property
    def suite(self) -> str:
        return self.like.suite

    def last(self, mirror: Path) -> Path:
        folder = mirror / self.like.folder
        if self.like.manager == "apt":
            return folder / "dists" / self.like.codename / "InRelease"
        if self.like.manager == "pacman":
            return folder / SNAPSHOTS[-1] / f"{pacman.REPOSITORY}.db.sig"
        return folder / "repodata/repomd.xml.key"

    def build(self, builder: Builder) -> None:
        {"apt": _apt, "pacman": _snapshots}.get(self.like.manager, _rpms)(builder, self.like)


def _apt(builder: Builder, like: Lookalike) -> None:
    """Docker's packages for it, and its own archive: Debian's packages, and its own engine."""
    components = builder.docker_ce(like.docker, like.codename, like.tag)
    builder.index(builder.mirror / "docker-ce/linux" / like.docker, like.codename, components, keys.DOCKER)
    builder.show_key(like.docker)
    root = builder.mirror / like.folder
    shutil.rmtree(root, ignore_errors=True)
    main, universe = root / "pool/main", root / "pool/universe"
    main.mkdir(parents=True)
    for file in (builder.mirror / "debian/pool" / builder.suite).glob("*.deb"):
        if file.name.partition("_")[0] not in OWN[builder.suite]:
            os.link(file, main / file.name)
    for engine in ENGINES[builder.suite]:
        builder.pack(universe, own(builder.engine(engine), like.own), like.own_tag)
    builder.index(root, like.codename, {"main": main, "universe": universe}, keys.ARCHIVE)


def _snapshots(builder: Builder, like: Lookalike) -> None:
    """A repository of pacman has one version of a package. So there is one for each engine, as in Arch's archive
    of its days."""
    signer = keys.signer(builder.store, keys.ARCHIVE)
    for name, engine in zip(SNAPSHOTS, ENGINES[builder.suite], strict=True):
        folder = builder.mirror / like.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        recipes = own(builder.engine(engine), like.own)
        packages = [pacman.pack(recipe, like.tag, folder, signer) for recipe in recipes]
        dummies = like.dummies.items()
        packages += [pacman.dummy(dummy, f"1-{like.tag}", provides, folder, signer) for dummy, provides in dummies]
        pacman.index(folder, packages, signer)


def _rpms(builder: Builder, like: Lookalike) -> None:
    """The same engines as Docker's rpms, and the look-alike's own archive."""
    archive = builder.mirror / like.folder
    docker = (
        builder.mirror / "docker-ce/linux" / like.docker / platform.machine() / "stable" if like.docker else archive
    )
    archives_own = keys.signer(builder.store, keys.ARCHIVE)
    signers = {archive: archives_own, docker: keys.signer(builder.store, keys.DOCKER) if like.docker else archives_own}
    for folder in signers:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for engine in ENGINES[builder.suite]:
        recipes = builder.engine(engine)
        for recipe in recipes if like.docker else own(recipes, like.own):
            rpms.pack(recipe, like.tag, docker, signers[docker])
    for name, provides in like.dummies.items():
        rpms.dummy(name, like.folder.rpartition("/")[2], like.tag, provides, archive, archives_own)
    if like.docker:
        builder.show_key(like.docker.partition("/")[0])
    for folder, signer in reversed(signers.items()):
        rpms.index(folder, signer)


def own(docker: list[Recipe], names: Mapping[str, str]) -> list[Recipe]:
    """The same as a distribution with an engine of its own packs it: daemon and client in one, runc apart.

    ``names`` maps each part that the distribution has to its package.
    """
    by_name = {recipe.name: recipe for recipe in docker}
    engine, cli, containerd = (by_name[name] for name in ("docker-ce", "docker-ce-cli", "containerd.io"))
    runc = {name: source for name, source in containerd.files.items() if name.endswith("/runc")}
    rest = {name: source for name, source in containerd.files.items() if name not in runc}
    parts = {
        "engine": replace(engine, files={**engine.files, **cli.files}),
        "containerd": replace(containerd, files=rest),
        "runc": replace(containerd, description="Tool for spawning and running OCI containers", files=runc, units={}),
        "buildx": by_name["docker-buildx-plugin"],
        "compose": by_name["docker-compose-plugin"],
    }
    return [replace(parts[part], name=name) for part, name in names.items()]
