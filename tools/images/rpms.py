"""The engine's packages as Docker's own .rpm files, signed; and the few that a look-alike's own distribution has."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from provision.lab.engine_packages import Recipe, lay_out
from provision.lab.keys import Signer
from provision.lab.process import run

#: What docker-ce-packaging's ``rpm/`` and Docker's repository say of each.
_EPOCHS = {"docker-ce": 3, "docker-ce-cli": 1}
_RELATIONS = {
    "docker-ce": (
        "Requires: docker-ce-cli, containerd.io >= 1.6, container-selinux, iptables, systemd",
        "Conflicts: docker, docker-io, docker-engine, docker-ee",
    ),
    "docker-ce-cli": ("Conflicts: docker, docker-io, docker-engine, docker-ee-cli",),
    "docker": ("Requires: containerd, runc, iptables, systemd",),
    "containerd.io": (
        "Requires: container-selinux",
        "Provides: containerd, runc",
        "Obsoletes: containerd, runc",
        "Conflicts: containerd, runc",
    ),
}

# What systemd's rpm macros come to: nothing is enabled or started by installing; an upgrade restarts what runs.
_SCRIPTS = """\
%post
{group}systemctl daemon-reload >/dev/null 2>&1 || :
if [ $1 -eq 1 ]; then systemctl --no-reload preset {units} >/dev/null 2>&1 || :; fi
%preun
if [ $1 -eq 0 ]; then systemctl --no-reload disable --now {units} >/dev/null 2>&1 || :; fi
%postun
systemctl daemon-reload >/dev/null 2>&1 || :
if [ $1 -ge 1 ]; then systemctl try-restart {first} >/dev/null 2>&1 || :; fi
"""
_GROUP = "getent group docker >/dev/null || groupadd --system docker\n"

_SPEC = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
Name: {name}
Version: {version}
Release: {release}
Epoch: {epoch}
Summary: {summary}
License: Apache-2.0
BuildArch: {architecture}
AutoReqProv: no
{relations}
%description
{description}
%files
{files}
{scripts}
"""


def pack(recipe: Recipe, release: str, target: Path, signer: Signer) -> Path:
    """Pack into ``target``; ``release`` ends in the distribution's tag (``1.el9``)."""
    work = target / f".{recipe.name}"
    lay_out(recipe, work / "tree")
    units = list(recipe.units)
    scripts = ""
    if units:
        group = _GROUP if recipe.group else ""
        scripts = _SCRIPTS.format(group=group, units=" ".join(units), first=units[0])
    text = _SPEC.format(
        name=recipe.name,
        version=recipe.version,
        release=release,
        epoch=_EPOCHS.get(recipe.name, 0),
        summary=recipe.description,
        architecture=platform.machine(),
        relations="\n".join(_RELATIONS.get(recipe.name, ())),
        description="Debian's own build, repacked under Docker's name for provision's lab.",
        files="\n".join(f"/{p.relative_to(work / 'tree')}" for p in (work / "tree").rglob("*") if p.is_file()),
        scripts=scripts,
    )
    return _build(text, work, target, signer)


def dummy(name: str, version: str, release: str, provides: tuple[str, ...], target: Path, signer: Signer) -> Path:
    """A package with nothing in it but a name: a look-alike has the real thing from elsewhere, or needs none."""
    text = _SPEC.format(
        name=name,
        version=version,
        release=release,
        epoch=0,
        summary=f"{name} of a look-alike",
        architecture="noarch",
        relations="\n".join(f"Provides: {one}" for one in provides),
        description="Empty: provision's lab imitates this distribution.",
        files="",
        scripts="",
    )
    work = target / f".{name}"
    (work / "tree").mkdir(parents=True, exist_ok=True)
    return _build(text, work, target, signer)


def _build(spec: str, work: Path, target: Path, signer: Signer) -> Path:
    (work / "package.spec").write_text(spec)
    defined = {
        "_topdir": work / "top",
        # Not compressed: the packages stay on this machine, and old versions of rpm can read them.
        "_binary_payload": "w.ufdio",
        "_source_filedigest_algorithm": "8",
        "_binary_filedigest_algorithm": "8",
    }
    words = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
    run(["rpmbuild", "-bb", "--quiet", *words, "--buildroot", work / "tree", "--noclean", work / "package.spec"])
    (built,) = (work / "top/RPMS").rglob("*.rpm")
    define = {"_gpg_name": signer.name, "_gpg_path": signer.home, "__gpg": shutil.which("gpg")}
    sign = [word for name, value in define.items() for word in ("--define", f"{name} {value}")]
    run(["rpmsign", *sign, "--addsign", built])
    file = target / built.name
    shutil.move(built, file)
    shutil.rmtree(work)
    return file


def index(folder: Path, signer: Signer) -> None:
    """The repository's metadata (createrepo_c(8)), signed: zypper takes no other."""
    run(["createrepo_c", "--quiet", "--general-compress-type", "gz", folder])
    gpg: list[str | Path] = ["gpg", "--homedir", signer.home, "--batch", "--quiet", "--yes", "--armor"]
    index = folder / "repodata/repomd.xml"
    run([*gpg, "--local-user", signer.name, "--detach-sign", index])
    run([*gpg, "--output", f"{index}.key", "--export", signer.name])
