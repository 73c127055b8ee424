"""Peers: their tasks, and the environment that they run in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".peers"


def environment() -> Path:
    """The directory of their programs; created at first use."""
    ready, wanted = ENVIRONMENT / "ready", (HERE / "requirements.txt").read_text()
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
        ready.write_text(wanted)
    return ENVIRONMENT / "bin"


def versions() -> dict[str, str]:
    """The versions of the peers that are installed there."""
    names = ("ansible-core", "pyinfra", "fabric")
    program = f"from importlib.metadata import version; print(*map(version, {names!r}))"
    found = subprocess.check_output([str(environment() / "python"), "-c", program], text=True).split()
    return dict(zip(names, found, strict=True))
