"""Find what the modules of resources declare (``DECLARATION``), so that a new module needs no entry elsewhere."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

from provision import resources
from provision.model import Resource
from provision.resources.declaration import Declaration, Entry, Kind, Place
from provision.spec import Spec


@cache
def declarations() -> tuple[Declaration, ...]:
    """The declarations of all modules, in the order of the modules' names."""
    names = sorted(found.name for found in pkgutil.walk_packages(resources.__path__, f"{resources.__name__}."))
    declared = (getattr(importlib.import_module(name), "DECLARATION", None) for name in names)
    return tuple(one for one in declared if isinstance(one, Declaration))


def made(place: Place, spec: Spec) -> Iterator[Resource]:
    """The resources that the parts with this place make of a spec."""
    for one in declarations():
        if one.part is not None and one.part.place is place:
            yield from one.part.make(spec)


def kinds() -> dict[str, Kind]:
    return {name: kind for one in declarations() for name, kind in one.kinds.items()}


def entries() -> dict[str, Entry]:
    return {word: entry for one in declarations() for word, entry in one.entries.items()}
