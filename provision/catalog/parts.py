"""The parts of catalogs. A part is made once for all hosts that have the same values in the places that it reads.

Most hosts of a fleet differ in a few values. Only the parts that read such a value are made for each host; all others
are made once. What a part reads is recorded while it is made (:mod:`provision.catalog.inputs`), so no list of fields
can be wrong. A part that has read something that only one host has (its name, its variables, the place of a value in
the YAML) is made for each host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from provision.catalog.context import CompileContext, Options
from provision.catalog.inputs import OPTIONS, PLATFORM, Vector, vector
from provision.errors import SpecError
from provision.model import Platform, Resource
from provision.project.host_config import Context, HostConfig
from provision.project.memo import Memo

#: Makes the resources of one part.
Make = Callable[[CompileContext], Iterable[Resource]]

#: The number of catalogs that are remembered, so that hosts with the same parts have one catalog.
_MOST = 4096
#: The number of results that a part remembers. If each host has a different result, more would need too much memory.
_MOST_MADE = 20_000


class Made(Struct, frozen=True):
    """The resources that a part has made for a host, and their ids. ``private``: this host alone has them. ``source``
    keeps the values alive whose identities are the key."""

    resources: tuple[Resource, ...]
    ids: frozenset[str]
    private: bool
    source: HostConfig


class _Known:
    """What a part has made so far, by the values at the places that it reads. It is replaced as a whole when the part
    reads one more place: threads that use the old one see a complete state."""

    __slots__ = ("by_host", "made", "places")

    def __init__(self, places: set[int]) -> None:
        self.places = tuple(sorted(places))
        #: ``None`` for values with which the part also reads a value of one host alone
        self.made: dict[tuple[Any, ...], Made | None] = {}
        self.by_host: dict[tuple[Any, ...], Made] = {}

    def key(self, values: Vector) -> tuple[Any, ...]:
        return tuple([values[place] for place in self.places])

    def own(self, name: str, values: Vector) -> tuple[Any, ...]:
        """The key of a part that is made for one host. It has all values of the host, because the part may have read
        any of them. It has the platform and the options only if a run of the part has read them."""
        return (name, *(values[place] for place in (PLATFORM, OPTIONS) if place in self.places), *values[2:])


class Part:
    """One part of all catalogs."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._lock = threading.Lock()
        self.known = _Known(set())

    def of(self, ctx: CompileContext, values: Vector) -> Made:
        """Raises :class:`SpecError`, which is not remembered."""
        return self._found(ctx, values) or self._of(ctx, values)

    def _found(self, ctx: CompileContext, values: Vector) -> Made | None:
        known = self.known
        found = known.made.get(known.key(values))
        return found or known.by_host.get(known.own(ctx.name, values))

    def _of(self, ctx: CompileContext, values: Vector) -> Made:
        with self._lock:  # if several threads need the same part, one makes it
            if (found := self._found(ctx, values)) is not None:
                return found
            fresh = ctx.fresh()
            resources = tuple(self._make(fresh))
            private = fresh.reads.private
            made = Made(resources, frozenset(one.id for one in resources), private, fresh.whole)
            fresh.reads.close()
            known = self.known
            if not fresh.reads.places.issubset(known.places):
                # The keys of earlier results have too few places now. A result is made again when a host needs it.
                known = _Known(fresh.reads.places.union(known.places))
            elif len(known.made) + len(known.by_host) >= _MOST_MADE:
                known = _Known(set(known.places))
            if private:
                known.made[known.key(values)] = None
                known.by_host[known.own(ctx.name, values)] = made
            else:
                known.made[known.key(values)] = made
            self.known = known
            return made


class Parts:
    """All parts, in the order of their resources in a catalog. One object is for one context."""

    def __init__(self, makes: Sequence[Make]) -> None:
        self.parts = tuple(Part(make) for make in makes)
        self._same: dict[object, object] = {}
        self._catalogs = Memo(_MOST)
        #: the catalogs of hosts that share all their parts, by all values that parts can read. The host keeps these
        #: values alive, because their identities are the key.
        self._shared: dict[object, tuple[HostConfig, tuple[tuple[Resource, ...], ...]]] = {}

    def catalogs(
        self, config: HostConfig, platforms: Iterable[Platform], context: Context, options: Options
    ) -> tuple[tuple[Resource, ...], ...]:
        """The catalogs of one host for these platforms. Hosts whose parts are the same have one catalog."""
        rest, heads = vector(config), [(self.head(one, options), one) for one in platforms]
        key = (tuple([head for head, _ in heads]), rest)
        if (shared := self._shared.get(key)) is not None:
            return shared[1]
        found, private = [], False
        for head, one in heads:
            ctx, values = CompileContext(config, one, context, options), (*head, *rest)
            made = tuple([part.of(ctx, values) for part in self.parts])
            private = private or any(part.private for part in made)
            found.append(self._catalog(made, ctx.name))
        catalogs = tuple(found)
        if not private:
            if len(self._shared) >= _MOST:
                self._shared.clear()
            self._shared[key] = (config, catalogs)
        return catalogs

    def _catalog(self, made: tuple[Made, ...], host: str) -> tuple[Resource, ...]:
        # The value keeps the parts alive, because their identities are the key.
        return self._catalogs.of(tuple(map(id, made)), lambda: (made, _joined(made, host)))[1]

    def head(self, platform: Platform, options: Options) -> tuple[int, int]:
        """Equal platforms and options count as one object, which stays alive."""
        return id(self._same.setdefault(platform, platform)), id(self._same.setdefault(options, options))


def _joined(made: Sequence[Made], host: str) -> tuple[Resource, ...]:
    resources = tuple(chain.from_iterable(one.resources for one in made))
    seen: set[str] = set()
    for resource in resources:
        if resource.id in seen:
            raise SpecError(f"{resource.id} is declared twice [host {host}]", key="spec")
        seen.add(resource.id)
    return resources


_Entries = dict[tuple[Any, ...], frozenset[str]]


def _nothing(known: _Known) -> tuple[_Known, _Entries]:
    return known, {}


class Check:
    """Makes the parts of many hosts for the same platforms, and keeps no catalog. If an earlier host had the same
    values, a part needs one look-up for all platforms."""

    def __init__(self, parts: Parts, platforms: Sequence[Platform], context: Context, options: Options) -> None:
        self._parts, self._platforms, self._context, self._options = parts, platforms, context, options
        self._heads = [parts.head(platform, options) for platform in platforms]
        #: of each part: what it has read when its entries were made, and the ids of all platforms by these values
        self._seen = [_nothing(part.known) for part in parts.parts]

    def passes(self, config: HostConfig) -> bool:
        """Whether the host has a catalog for every platform, and no id occurs in two of its parts. ``False`` where only
        the catalogs can tell. Raises :class:`SpecError`."""
        rest = vector(config)
        first = (*self._heads[0], *rest)
        all_ids = []
        for number, part in enumerate(self._parts.parts):
            known, entries = self._seen[number]
            if known is not part.known:
                known, entries = self._seen[number] = _nothing(part.known)
            # Every key has the same platform: the first one.
            found = entries.get(known.key(first))
            if found is None and (found := self._made(number, part, config, rest, first)) is None:
                return False
            all_ids.append(found)
        # Two parts may have the same id on different platforms. Then the caller must compile each catalog.
        return len(frozenset().union(*all_ids)) == sum(map(len, all_ids))

    def _made(self, number: int, part: Part, config: HostConfig, rest: Vector, first: Vector) -> frozenset[str] | None:
        """The ids of a part on all platforms; ``None`` where one platform has an id twice."""
        ids: frozenset[str] = frozenset()
        shared = True
        for head, platform in zip(self._heads, self._platforms, strict=True):
            made = part.of(CompileContext(config, platform, self._context, self._options), (*head, *rest))
            if len(made.ids) != len(made.resources):
                return None
            ids |= made.ids
            shared = shared and not made.private
            if PLATFORM not in part.known.places:
                break  # it is the same on all platforms
        if shared:
            if self._seen[number][0] is not part.known:
                self._seen[number] = _nothing(part.known)
            self._seen[number][1][part.known.key(first)] = ids
        return ids
