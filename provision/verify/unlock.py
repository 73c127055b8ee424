"""Let threads ask testinfra's hosts in parallel."""

from __future__ import annotations

import functools
import importlib
import sys
from contextlib import nullcontext

import testinfra.modules


def unlock() -> None:
    """Remove the lock of ``functools.cached_property``. Before Python 3.12 it has one lock for all instances of a
    class, held while the value is computed: one host that freezes would delay all others. Each host of provision has
    one thread and its own instances, so no lock is needed."""
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
                            member.lock = nullcontext()  # type: ignore[attr-defined]  # private, and removed in 3.12
