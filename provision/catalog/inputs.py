"""Record what each part of a catalog reads, so that hosts with the same values there share the part.

The key of a part is the identity of these values and not their content. Equal values are one object
(:class:`~provision.project.host_config.Specs`), so the key of a host needs no comparison of specs.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, cast

from msgspec.structs import replace

from provision.project.host_config import Declared, HostConfig
from provision.spec import Engine, Spec

#: The identities of all that a part can read and that hosts may have in common, in the order of :data:`PLACES`.
Vector = tuple[Any, ...]

_FIELDS = tuple(Spec.model_fields)
_FIELDS_OF = attrgetter(*_FIELDS)

_ENGINE = tuple(Engine.model_fields)
_ENGINE_OF = attrgetter(*_ENGINE)
_NO_ENGINE = (None,) * len(_ENGINE)

#: The places of a vector. ``PATHS`` are the paths of the declared files, and ``HAS_ENGINE`` is whether there is one.
PLATFORM, OPTIONS, PLAYS, PATHS, HAS_ENGINE = range(5)


def _places(names: Sequence[str], first: int) -> dict[str, int]:
    return {name: first + number for number, name in enumerate(names)}


#: Field -> its place: that of the whole spec, of its engine, and of the specs of the single plays.
_OF_SPEC = _places(_FIELDS, HAS_ENGINE + 1)
_OF_ENGINE = _places(_ENGINE, HAS_ENGINE + 1 + len(_FIELDS))
_OF_PLAYS = _places(_FIELDS, HAS_ENGINE + 1 + len(_FIELDS) + len(_ENGINE))


def vector(config: HostConfig) -> Vector:
    """The part of a vector after :data:`PLATFORM` and :data:`OPTIONS`. It holds only as long as ``config`` does."""
    spec, plays = config.spec, config.plays
    fields, engine = tuple(map(id, _FIELDS_OF(spec))), spec.engine
    of_engine = _NO_ENGINE if engine is None else tuple(map(id, _ENGINE_OF(engine)))
    names = tuple((play.slug, play.play) for play in plays)
    of_plays: tuple[Any, ...] = fields
    if len(plays) != 1 or plays[0].spec is not spec:
        each = [tuple(map(id, _FIELDS_OF(play.spec))) for play in plays]
        of_plays = tuple(zip(*each, strict=True)) if each else _FIELDS
    return (names, tuple(spec.files), engine is None, *fields, *of_engine, *of_plays)


class Reads:
    """The places of a vector that one computation has read, and whether it has read a value of one host alone
    (``private``). After :meth:`close`, a computation that is not private cannot read other places. A resource may read
    the spec again later; the result must not depend on the host that the resource was made for."""

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
    """A model whose reads of fields are recorded. Anything but a field counts as a read of the whole model."""

    __slots__ = ("_model", "_places", "_reads")

    def __init__(self, model: Spec | Engine, reads: Reads, places: dict[str, int]) -> None:
        self._model, self._reads, self._places = model, reads, places

    def __getattr__(self, name: str) -> Any:
        place = self._places.get(name)
        if place is not None:
            self._reads.add(place)
        else:
            self._reads.add(*self._places.values(), HAS_ENGINE, _OF_SPEC["engine"])
        return getattr(self._model, name)

    def __eq__(self, other: object) -> bool:
        raise TypeError("compare the fields of a spec, so that the catalog knows what is read")

    # A hash would cover the whole model. Python sets None for a class with __eq__; the type of object has no None.
    __hash__ = None  # type: ignore[assignment]


class _SpecView(_View):
    """A host's spec. Reads of its engine are recorded field by field: hosts differ in their daemon.json."""

    __slots__ = ()

    @property
    def engine(self) -> Engine | None:
        self._reads.add(HAS_ENGINE)
        engine = cast("Spec", self._model).engine
        return None if engine is None else cast("Engine", _View(engine, self._reads, _OF_ENGINE))


def view(spec: Spec, reads: Reads) -> Spec:
    """A host's whole spec, as a view that records each read."""
    return cast("Spec", _SpecView(spec, reads, _OF_SPEC))


def views(plays: Sequence[Declared], reads: Reads) -> tuple[Declared, ...]:
    """The plays of a host, each with a view of its spec. A field that is read from one of them counts as read from
    all."""
    reads.add(PLAYS)
    return tuple(replace(play, spec=cast("Spec", _View(play.spec, reads, _OF_PLAYS))) for play in plays)
