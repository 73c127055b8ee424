"""Engines that no Debian release has yet: static binaries in a directory, for the mirror's ``test`` channel.

The directory is named by ``PROVISION_LAB_ENGINES``; it has ``dockerd-VERSION-linux-ARCH.xz`` and the same for
``docker`` and ``docker-proxy``. Without it the mirror has stable engines alone, and the tests of newer ones are
skipped.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from provision.lab.engine_packages import Recipe

#: What one engine is made of, and where its package has it.
_PROGRAMS = {"dockerd": "docker-ce", "docker-proxy": "docker-ce", "docker": "docker-ce-cli"}
_DEFAULT = Path(__file__).parents[3] / "shared" / "engine29"


def folder() -> Path:
    """Where the binaries are."""
    return Path(os.environ.get("PROVISION_LAB_ENGINES") or _DEFAULT)


def versions(architecture: str) -> tuple[str, ...]:
    """The engines that are there whole for a Debian architecture, the oldest first."""
    found = {
        match[1]
        for file in folder().glob(f"dockerd-*-linux-{architecture}.xz")
        if (match := re.fullmatch(r"dockerd-(\d+\.\d+\.\d+)-linux-.*", file.name))
        and all(_file(program, match[1], architecture).is_file() for program in _PROGRAMS)
    }
    return tuple(sorted(found, key=lambda version: [int(part) for part in version.split(".")]))


def identity() -> str:
    """Changes when the binaries do: a mirror that was built of others is another one."""
    files = sorted(folder().glob("*.xz"))
    return hashlib.sha256("".join(f"{file.name} {file.stat().st_size}\n" for file in files).encode()).hexdigest()


def recipes(version: str, architecture: str, base: list[Recipe], work: Path) -> list[Recipe]:
    """The packages of an engine: its own daemon and client, and the rest as ``base`` has it.

    The dependencies are those of docker-ce 29 (docker-ce-packaging, ``deb/common/control``).
    """
    made = []
    for recipe in base:
        files = dict(recipe.files)
        for program, package in _PROGRAMS.items():
            if package == recipe.name:
                files[f"usr/bin/{program}"] = _unpacked(_file(program, version, architecture), work / program)
        if recipe.name not in _PROGRAMS.values():
            continue  # the other packages are in the pool already
        depends = ("containerd.io (>= 2.1.5)", "nftables") if recipe.name == "docker-ce" else ()
        made.append(replace(recipe, version=version, files=files, depends=depends))
    return made


def _file(program: str, version: str, architecture: str) -> Path:
    return folder() / f"{program}-{version}-linux-{architecture}.xz"


def _unpacked(packed: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(packed) as source, open(target, "wb") as made:
        shutil.copyfileobj(source, made)
    return target
