"""The identity of the mirror that this code builds, and where hosts find it.

If labs run from several checkouts, one machine has the mirrors of several recipes. The identity is in the URL, so each
lab reads the mirror of its own recipe.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from provision.lab import newer
from provision.lab.store import MIRROR

_FILES = (
    "apt.py",
    "archives.py",
    "debs.py",
    "engine_packages.py",
    "lookalike.py",
    "mirror.py",
    "newer.py",
    "pacman.py",
    "rpms.py",
)
#: The code as it was loaded. If a file is edited later, the mirror that this code builds keeps the name of this code.
_TEXT = "".join((Path(__file__).parent / name).read_text() for name in _FILES) + newer.identity()
RECIPE = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
URL = f"http://{MIRROR}/{RECIPE}"
