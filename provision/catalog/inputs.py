"""What the parts of a catalog read, recorded, so that hosts share each part by the values that it has read.

The key of a part is the identity of these values and not their content. Equal values are one object
(:class:`~provision.project.host_config.Specs`), so the key of a host costs no comparison of its spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, cast

from msgspec.structs import replace

from provision.project.host_config import Declared, HostConfig
from provision.spec import Spec

#: The identities of all that a part can read and that hosts may have in common, in the order of :data:`PLACES`.
Vector = tuple[Any, ...]

_FIELDS = tuple(Spec.model_fields)
_FIELDS_OF = attrgetter(*_FIELDS)

PLATFORM, OPTIONS, PLAYS = 0, 1, 2
#: Field -> its place in a vector: that of the whole spec, and that of the specs of the single plays.
_OF_SPEC = {name: 3 + number for number, name in enumerate(_FIELDS)}
_OF_PLAYS = {name: 3 + len(_FIELDS) + number for number, name in enumerate(_FIELDS)}


def vector(config: HostConfig) -> Vector:
    """The part of a vector after :data:`PLATFORM` and :data:`OPTIONS`. It holds only as long as ``config`` does."""
    fields = tuple(map(id, _FIELDS_OF(config.spec)))
    plays = config.plays
    names = tuple((play.slug, play.play) for play in plays)
    if len(plays) == 1 and plays[0].spec is config.spec:
        return (names, *fields, *fields)
    of_plays = [tuple(map(id, _FIELDS_OF(play.spec))) for play in plays]
    return (names, *fields, *(zip(*of_plays, strict=True) if of_plays else _FIELDS))


class Reads:
    """The places of a vector that one computation has read, and whether it has read what only one host has
    (``private``). After :meth:`close` a computation that was not private reads no others: a resource may ask the spec
    again later, and then its answer must not depend on the host that it was made for."""

    def __init__(self) -> None:
        self.places: set[int] = set()
        self.private = False
        self._closed = False

    def add(self, *places: int) -> None:
        if self._closed and not self.places.issuperset(places):
            raise RuntimeError(_LATE)
        self.places.update(places)

    def add_own(self) -> None:
        if self._closed:
            raise RuntimeError(_LATE)
        self.private = True

    def close(self) -> None:
        self._closed = not self.private


_LATE = "a shared part of a catalog reads a value that it did not read when it was made"


class _View:
    """A spec whose reads of fields are recorded. Anything but a field counts as a read of the whole spec."""

    __slots__ = ("_places", "_reads", "_spec")

    def __init__(self, spec: Spec, reads: Reads, places: dict[str, int]) -> None:
        self._spec, self._reads, self._places = spec, reads, places

    def __getattr__(self, name: str) -> Any:
        place = self._places.get(name)
        self._reads.add(*(self._places.values() if place is None else (place,)))
        return getattr(self._spec, name)

    def __eq__(self, other: object) -> bool:
        raise TypeError("compare the fields of a spec, so that the catalog knows what is read")

    __hash__ = None  # type: ignore[assignment]  # the same


def view(spec: Spec, reads: Reads) -> Spec:
    """A host's whole spec; what is read of it is recorded."""
    return cast("Spec", _View(spec, reads, _OF_SPEC))


def views(plays: Sequence[Declared], reads: Reads) -> tuple[Declared, ...]:
    """The plays of a host, each with a view of its spec. A field that one of them reads counts as read of all."""
    reads.add(PLAYS)
    return tuple(replace(play, spec=cast("Spec", _View(play.spec, reads, _OF_PLAYS))) for play in plays)
