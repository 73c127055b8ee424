"""The identity of the mirror that this code builds, and where hosts find it.

If labs run from several checkouts, one machine has the mirrors of several recipes. The identity is in the URL, so each
lab reads the mirror of its own recipe.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from provision.lab import newer
from provision.lab.store import MIRROR

_FILES = ("apt.py", "archives.py", "debs.py", "engine_packages.py", "mirror.py", "newer.py")
_PACKAGE = Path(__file__).parents[1]
#: The modules of the images that only the tests need: in a checkout, and never for an installed wheel, whose parent
#: directory has the modules of other projects.
OF_TESTS = [] if (_PACKAGE / "shipped").is_dir() else sorted((_PACKAGE.parent / "tools/images").glob("*.py"))
_PATHS = [*(Path(__file__).with_name(name) for name in _FILES), *OF_TESTS]
#: The code as it was loaded. If a file is edited later, the mirror that this code builds keeps the name of this code.
_TEXT = "".join(path.read_text() for path in _PATHS) + newer.identity()
RECIPE = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
URL = f"http://{MIRROR}/{RECIPE}"
