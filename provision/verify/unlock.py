"""Let testinfra's hosts be asked side by side."""

from __future__ import annotations

import functools
import importlib
import sys
from contextlib import nullcontext

import testinfra.modules


def unlock() -> None:
    """Before Python 3.12 ``functools.cached_property`` has one lock for all instances of a class, held while the
    value is worked out: a host that freezes then would hold up all others. Each of our hosts has one thread and
    instances of its own, so nothing is there to be locked."""
    if sys.version_info >= (3, 12):
        return
    for place in testinfra.modules.modules.values():
        importlib.import_module(f"testinfra.modules.{place.partition(':')[0]}")
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "testinfra":
            for kind in vars(module).values():
                if isinstance(kind, type):
                    for member in vars(kind).values():
                        if isinstance(member, functools.cached_property):
                            member.lock = nullcontext()  # type: ignore[attr-defined]  # private, and gone in 3.12
