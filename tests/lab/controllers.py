"""Controllers as a new user has them: a Debian release with its own Python and pipx, and an account without rights."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from provision.lab import base
from provision.lab.store import Store
from tests.terminal import ROOT, Terminal

#: The releases, each with the version of its Python.
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}

#: What `pipx install .` and pipx's own environment need in addition to the dependencies of the wheel.
_TOOLS = ("hatchling", "pip", "setuptools", "wheel")

#: $1 is the root. The mounts end with the command.
_ENTER = """
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"""


class Controller:
    """A copy of the release's base, in which commands run as the account ``ops``.

    It reaches the lab's hosts. It has no package index: pip finds the packages in /srv/packages.
    """

    def __init__(self, store: Store, suite: str, folder: Path) -> None:
        packages = ("python3", "python3-venv", "pipx")
        self.root = folder / suite
        base.copy(base.with_packages(store, suite, packages), self.root)
        self.home = self.root / "home/ops"
        self._fill(PYTHONS[suite])
        shutil.copy(store.key, self.home / ".ssh/id_ed25519")
        self._own()

    def _fill(self, python: str) -> None:
        """Put a checkout, the wheel of a release, and all packages that they need where the account finds them."""
        checkout = self.home / "provision"
        checkout.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", checkout], input=archive.stdout, check=True)
        built = self.root / "srv/built"
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", built], cwd=ROOT, check=True)
        (wheel,) = built.glob("*.whl")
        shutil.copy(wheel, checkout)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        download += ["--only-binary", ":all:", "--python-version", python, "--dest", str(self.root / "srv/packages")]
        subprocess.run([*download, str(wheel), *_TOOLS], check=True)

    def _own(self) -> None:
        subprocess.run(["chroot", self.root, "chown", "-R", "ops:ops", "/home/ops"], check=True)

    def _argv(self, line: str, folder: str) -> list[str]:
        words = ["HOME=/home/ops", "USER=ops", "TERM=dumb", "LANG=C.UTF-8", "PIP_NO_INDEX=1"]
        words += ["PIP_FIND_LINKS=/srv/packages", "PATH=/home/ops/.local/bin:/usr/bin:/bin"]
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER, "sh", str(self.root)]
        # util-linux's setpriv keeps the terminal as the controlling one.
        drop = ["setpriv", "--reuid", "ops", "--regid", "ops", "--init-groups", "env", "-i", *words]
        return [*enter, *drop, "sh", "-ec", f"cd {shlex.quote(folder)}; {line}"]

    def run(self, line: str, folder: str = "/home/ops/provision") -> str:
        """The output of a command line, which must succeed."""
        done = subprocess.run(self._argv(line, folder), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def terminal(self, line: str, folder: str = "/home/ops") -> Terminal:
        return Terminal(self._argv(line, folder), self.root)
