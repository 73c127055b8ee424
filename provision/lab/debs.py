"""The engine's packages as Docker's own .deb files, and as those of a distribution."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

from provision.lab.engine_packages import Recipe, lay_out
from provision.lab.process import output, run

_GROUP = """\
if [ "$1" = configure ] && [ -z "$2" ] && ! getent group docker >/dev/null 2>&1; then
    groupadd --system docker
fi
"""

# What dh_systemd_enable and dh_systemd_start put into Docker's packages: enable, then start or restart.
_POSTINST = """\
#!/bin/sh
set -e
{before}if [ "$1" = configure ]; then
    for unit in {units}; do
        deb-systemd-helper unmask "$unit" >/dev/null || true
        if deb-systemd-helper --quiet was-enabled "$unit"; then
            deb-systemd-helper enable "$unit" >/dev/null || true
        else
            deb-systemd-helper update-state "$unit" >/dev/null || true
        fi
    done
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        if [ -n "$2" ]; then action=restart; else action=start; fi
        deb-systemd-invoke $action {units} >/dev/null || true
    fi
fi
"""

_PRERM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
    deb-systemd-invoke stop {units} >/dev/null || true
fi
"""

_POSTRM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ]; then
    deb-systemd-helper purge {units} >/dev/null || true
fi
"""


#: What docker-ce-packaging's ``deb/`` says of each, and Debian and Ubuntu of their own packages.
_EPOCHS = {"docker-ce": "5:", "docker-ce-cli": "5:"}
_DEPENDS = {
    "docker-ce": ("containerd.io (>= 1.6)", "docker-ce-cli", "iptables", "libc6", "libsystemd0"),
    "docker-ce-cli": ("libc6",),
    "containerd.io": ("libc6", "libseccomp2"),
    "docker.io": ("containerd", "iptables", "libc6", "libsystemd0"),
    "containerd": ("libc6", "runc"),
    "runc": ("libc6", "libseccomp2"),
}
_RELATIONS = {
    "docker-ce": (
        "Recommends: docker-buildx-plugin, docker-compose-plugin",
        "Conflicts: docker, docker-engine, docker.io",
        "Replaces: docker, docker-engine, docker.io",
    ),
    "docker-ce-cli": (
        "Conflicts: docker, docker-cli, docker-engine, docker.io",
        "Replaces: docker-cli, docker.io",
    ),
    "containerd.io": ("Provides: containerd, runc", "Conflicts: containerd, runc", "Replaces: containerd, runc"),
    "docker-buildx-plugin": ("Conflicts: docker-buildx", "Replaces: docker-buildx"),
    "docker-compose-plugin": ("Conflicts: docker-compose", "Replaces: docker-compose"),
}


def pack(recipe: Recipe, revision: str, target: Path) -> Path:
    """Pack into ``target``; ``revision`` is the end of its version (``1~debian.13~trixie``)."""
    tree = target / f".{recipe.name}"
    lay_out(recipe, tree)
    control = tree / "DEBIAN"
    control.mkdir(parents=True, exist_ok=True)
    architecture = output(["dpkg", "--print-architecture"])
    version = f"{recipe.version}-{revision}"
    depends = ", ".join((*_DEPENDS.get(recipe.name, ()), *recipe.depends))
    fields = [
        f"Package: {recipe.name}",
        f"Version: {_EPOCHS.get(recipe.name, '')}{version}",
        f"Architecture: {architecture}",
        "Maintainer: provision lab <lab@example.com>",
        "Section: admin",
        "Priority: optional",
        *([f"Depends: {depends}"] if depends else []),
        *_RELATIONS.get(recipe.name, ()),
        f"Description: {recipe.description}",
        " Debian's own build, repacked under this name for provision's lab.",
    ]
    (control / "control").write_text("\n".join(fields) + "\n")
    if recipe.units:
        names = " ".join(recipe.units)
        before = _GROUP if recipe.group else ""
        for script, text in (
            ("postinst", _POSTINST.format(before=before, units=names)),
            ("prerm", _PRERM.format(units=names)),
            ("postrm", _POSTRM.format(units=names)),
        ):
            (control / script).write_text(textwrap.dedent(text))
            (control / script).chmod(0o755)
    # Debian's pool leaves the epoch out of file names.
    file = target / f"{recipe.name}_{version}_{architecture}.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "-b", tree, file])
    shutil.rmtree(tree)
    return file
