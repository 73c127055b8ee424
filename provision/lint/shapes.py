"""The types of values, nested ones too, as Go's decoder accepts them, and the correct form of a value of another type.

Source: moby v29.7.2, ``daemon/config/config.go``, ``daemon/config/builder.go``, ``daemon/pkg/opts/nri_opts.go``,
``api/types/system/runtime.go``; encoding/json (a field's name matches in any letter case, null leaves the default).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from provision.engine.keys import NEWEST, Key, Version
from provision.text.yamlfile import Map, Seq

Basic = Literal["bool", "int", "text", "size", "duration", "any"]


class ListOf(Struct, frozen=True, tag_field="is", tag="list"):
    item: Shape


class TableOf(Struct, frozen=True, tag_field="is", tag="table"):
    """An object with any names."""

    item: Shape


class Fields(Struct, frozen=True, tag_field="is", tag="fields"):
    """An object with known names; ``strict`` when dockerd refuses others. ``newer``: the first engine that knows a
    name, where that is later than the object's."""

    known: dict[str, Shape]
    strict: bool = False
    newer: dict[str, Version] = {}

    def of(self, engine: Version) -> dict[str, Shape]:
        return {name: shape for name, shape in self.known.items() if engine >= self.newer.get(name, (0, 0))}


class Either(Struct, frozen=True, tag_field="is", tag="either"):
    """The first shape, or an old form that dockerd still accepts."""

    first: Shape
    other: Shape


Shape = Basic | ListOf | TableOf | Fields | Either
#: Shapes by the name of a key, or by a word of the table of keys.
_SHAPES = msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=dict[str, Shape])


class Misfit(Struct, frozen=True):
    """``path`` leads to the value below its key; ``right`` is the intended value, as JSON, where it is certain.
    ``unknown``: a field that dockerd does not know, and refuses or, where it is ``ignored``, ignores."""

    path: tuple[str | int, ...]
    wanted: str
    value: Any
    right: str = ""
    unknown: bool = False
    ignored: bool = False


_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "text": "a string",
    "size": "a string with a size",
    "duration": 'a string such as "24h"',
}


#: Go's time.ParseDuration: 0 alone needs no unit. Every other number has one, so there is one way to match a text.
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")


def is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None


def of(key: Key) -> Shape:
    return _SHAPES.get(key.name) or _SHAPES["text" if isinstance(key.type, tuple) else key.type]


def misfits(key: Key, value: Any, engine: Version) -> Iterator[Misfit]:
    """The values that do not fit the key's type in an engine, each with the value that would fit."""
    return _misfits(of(key), value, (), engine)


def fits(key: Key, value: Any, engine: Version) -> bool:
    return all(misfit.ignored for misfit in misfits(key, value, engine))


def decoded(shape: Shape, value: Any) -> Any:
    """The value as Go's decoder stores it: a null item is the zero value of its type (an object without fields stays
    null, because moby has a pointer to it), and a null field, list or table is the same as none. A null scalar stays
    null, because it leaves the default, which is not always the zero value. A value that does not fit stays the same:
    an engine that does not know the field ignores it."""
    if isinstance(shape, Either):
        first = next(_misfits(shape.first, value, (), NEWEST), None) is None
        return decoded(shape.first if first else shape.other, value)
    if isinstance(shape, ListOf):
        if value is not None and not isinstance(value, list):
            return value
        items = Seq(here=getattr(value, "here", None))
        items.extend(_item(shape.item, item) for item in value or ())
        items.where = value.where if isinstance(value, Seq) else []
        return items
    if isinstance(shape, str) or not (value is None or isinstance(value, dict)):
        return value
    members: dict[str, Any] = value or {}
    if isinstance(shape, TableOf):
        pairs = {name: _item(shape.item, item) for name, item in members.items()}
    else:
        known = {name: shape.known.get(field(name, shape.known) or "", "any") for name in members}
        pairs = {name: decoded(known[name], item) for name, item in members.items() if item is not None}
    found = Map(pairs.items(), here=getattr(value, "here", None))
    found.where = value.where if isinstance(value, Map) else {}
    return found


def _item(shape: Shape, value: Any) -> Any:
    """A value in a list or a table."""
    if value is None and isinstance(shape, str):
        return {"bool": False, "int": 0, "any": None}.get(shape, "")
    return None if value is None and isinstance(shape, Fields) else decoded(shape, value)


def field(name: str, known: dict[str, Any]) -> str | None:
    """The field in which Go's decoder stores the value: names match in any letter case."""
    return next((one for one in known if one.lower() == name.lower()), None)


def _misfits(shape: Shape, value: Any, path: tuple[str | int, ...], engine: Version) -> Iterator[Misfit]:
    if shape == "size" and value is None:  # the type has its own decoder (moby, opts/opts.go, MemBytes.UnmarshalJSON)
        yield Misfit(path, _NAMES[shape], value)
        return
    if value is None or shape == "any":
        return
    if isinstance(shape, Either):
        first = list(_misfits(shape.first, value, path, engine))
        if first and next(_misfits(shape.other, value, path, engine), None) is not None:
            yield from first
    elif isinstance(shape, ListOf):
        if not isinstance(value, list):
            one = _fits(shape.item, value) and not (isinstance(value, str) and ("," in value or " " in value))
            yield Misfit(path, f"a list{_plural(shape.item)}", value, f"[{written(value)}]" if one else "")
            return
        for index, item in enumerate(value):
            yield from _misfits(shape.item, item, (*path, index), engine)
    elif isinstance(shape, (TableOf, Fields)):
        if not isinstance(value, dict):
            yield Misfit(path, "an object", value)
            return
        known = shape.of(engine) if isinstance(shape, Fields) else {}
        for name, item in value.items():
            inner = shape.item if isinstance(shape, TableOf) else known.get(field(name, known) or "")
            if inner is not None:
                yield from _misfits(inner, item, (*path, name), engine)
            elif isinstance(shape, Fields):
                yield Misfit((*path, name), ", ".join(known), item, unknown=True, ignored=not shape.strict)
    elif not _fits(shape, value):
        yield Misfit(path, _NAMES[shape], value, _meant(shape, value))


def _fits(shape: Shape, value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if shape == "bool":
        return isinstance(value, bool)
    if shape == "int":
        return whole and -(2**63) <= value < 2**63
    if shape == "duration":  # a number is one of seconds (buildkit, cmd/buildkitd/config/gcpolicy.go, Duration)
        return isinstance(value, str) and (is_duration(value) or re.fullmatch(r"([-+]?[0-9]+)?", value) is not None)
    if shape in ("text", "size"):
        return isinstance(value, str)
    return shape == "any"


def _plural(item: Shape) -> str:
    return " of strings" if item == "text" else " of objects" if not isinstance(item, str) else ""


def _meant(shape: Shape, value: Any) -> str:
    """The one value of the right type with the same meaning; ``""`` where there is none or more than one."""
    if shape in ("text", "size") and isinstance(value, (bool, int)):
        return json.dumps(written(value))
    if shape == "bool" and value in ("true", "false"):
        return str(value)
    if shape == "int" and isinstance(value, str) and re.fullmatch("-?[0-9]{1,18}", value):
        return str(int(value))
    return ""


def written(value: Any) -> str:
    """A value in JSON notation, for a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
