"""What an installed wheel holds: the code, its shell files and types, the templates and a project to start from."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_ships_what_it_needs(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    site = tmp_path / "site"
    sources = {path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*.j2")}
    assert sources
    shipped = site / "provision/shipped/templates"
    assert sources == {path.relative_to(shipped) for path in shipped.rglob("*.j2")}
    assert (site / "provision/report/page.html.j2").exists()
    assert len(list(site.rglob("*.sh"))) == len(list((ROOT / "provision").rglob("*.sh")))
    # And it works from there, with nothing of the checkout beside it.
    argv = [sys.executable, "-m", "provision", "init", str(tmp_path / "new")]
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"}
    subprocess.run(argv, cwd=tmp_path, env=environment, check=True, capture_output=True)
    argv = [sys.executable, "-m", "provision", "render", "web1.example.com"]
    done = subprocess.run(argv, cwd=tmp_path / "new", env=environment, check=False, capture_output=True, text=True)
    assert "==> /etc/docker/daemon.json <==" in done.stdout, done.stderr
