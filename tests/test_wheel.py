"""The content of an installed wheel: the code, its shell files and types, the templates and an example project."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_has_all_files_that_provision_reads(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built) as wheel:
        wheel.extractall(tmp_path / "site")
    site = tmp_path / "site"
    sources = {path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*.j2")}
    assert sources
    shipped = site / "provision/shipped/templates"
    assert sources == {path.relative_to(shipped) for path in shipped.rglob("*.j2")}
    assert (site / "provision/report/page.html.j2").exists()
    scripts = {path.name for path in (site / "provision/commands/shells").iterdir()}
    assert scripts == {"provision.bash", "provision.zsh", "provision.fish"}
    (manual,) = site.glob("*.data/data/share/man/man1/provision.1")
    assert manual.read_text() == (ROOT / "docs/man/provision.1").read_text()
    assert {path.name for path in site.iterdir() if not path.name.startswith("provision_hosts-")} == {"provision"}
    assert len(list(site.rglob("*.sh"))) == len(list((ROOT / "provision").rglob("*.sh")))


def test_an_installed_wheel_works_without_a_checkout(built: Path, tmp_path: Path) -> None:
    """Installed by pip into a separate environment, which takes the dependencies from this one."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    own = next(place.glob("lib/python*/site-packages"))
    (own / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    argv = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install", "--quiet", "--no-deps"]
    argv += ["--no-index", "--disable-pip-version-check", "--ignore-installed", str(built)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def provision(*words: str, folder: Path = tmp_path) -> str:
        argv = [str(place / "bin/provision"), *words]
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    code = "import provision; print(provision.__file__)"
    where = subprocess.check_output([str(place / "bin/python"), "-c", code], text=True, cwd=tmp_path)
    assert where.startswith(str(own)), "the installed package, not the checkout"
    # The images of this project's tests are not in the wheel. A directory of their name is another project's.
    other = own / "tools/images"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise AssertionError")
    code = "from provision.lab import images; print(*images.NAMES, *images.PROGRAMS)"
    names = subprocess.check_output([str(place / "bin/python"), "-c", code], text=True, cwd=tmp_path)
    assert names.split() == ["trixie", "bookworm"]
    provision("init", str(tmp_path / "new"))
    provision("lint", folder=tmp_path / "new")
    assert "==> /etc/docker/daemon.json <==" in provision("render", "web1.example.com", folder=tmp_path / "new")


def test_the_command_line_starts_without_linux_only_functions() -> None:
    """A controller may run macOS: the start must not need functions that Python documents as Linux only."""
    code = """
import os
for name in ("sched_setaffinity", "memfd_create", "pidfd_open", "setns", "unshare", "splice", "eventfd", "getrandom"):
    if hasattr(os, name):
        delattr(os, name)
import select
del select.epoll
import provision.cli
provision.cli.parser()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
