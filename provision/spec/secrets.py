"""Which values of a spec may be, or hold, a secret.

A value whose type is marked with :data:`TAKES_SECRET` may hold one; every other value, and every key of a mapping,
refuses one. The mark guarantees that no plan, event, label or argument of a process contains the value.
``tests/test_secret_fields.py`` checks this: it puts a secret into every value of the models.
"""

# No postponed annotations: with them pydantic would compile and evaluate each annotation at every start.

import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from provision.secrets.secret import holds

#: The key of a marked value in the output of ``provision schema``.
SCHEMA_KEY = "x-takes-secret"

#: A place in a spec: names of keys and numbers of items.
Place = tuple[str | int, ...]


class TakesSecret:
    """The type of :data:`TAKES_SECRET`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), _TAGGED], SCHEMA_KEY: True}


#: ``!secret`` with a mapping, as a program sees it that ignores the tag.
_TAGGED: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("env", "file", "age")},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


TAKES_SECRET = TakesSecret()


def refused(model: type[BaseModel], data: Any) -> Iterator[tuple[Place, bool]]:
    """Every place of ``data`` that holds a secret but may not, and whether the key itself holds it."""
    yield from _refused((model,), data, ())


def _refused(kinds: tuple[Any, ...], data: Any, place: Place) -> Iterator[tuple[Place, bool]]:
    if isinstance(data, str):
        if holds(data) and not any(has_mark(kind, TAKES_SECRET) for kind in kinds):
            yield place, False
    elif isinstance(data, dict):
        for key, value in data.items():
            here = (*place, key)
            if isinstance(key, str) and holds(key):
                yield here, True
            else:
                yield from _refused(inner(kinds, key), value, here)
    elif isinstance(data, (list, tuple)):
        for number, value in enumerate(data):
            yield from _refused(inner(kinds, number), value, (*place, number))


def takers(model: type[BaseModel], below: str = "") -> list[str]:
    """The paths of all values that take a secret, below a key or in the whole model; ``*`` stands for a name."""
    return [path for path, marked in leaves(model) if marked and (not below or path.split(".")[0] == below)]


def leaves(model: type[BaseModel]) -> Iterator[tuple[str, bool]]:
    """Every value of a model that is not a mapping, list or model: its path, and whether it takes a secret."""
    yield from dict.fromkeys(_leaves(model, (), False))


def _leaves(kind: Any, path: tuple[str, ...], marked: bool) -> Iterator[tuple[str, bool]]:
    marked = marked or has_mark(kind, TAKES_SECRET)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if (parts := tuple(alternatives(kind))) != (kind,):
        for one in parts:
            yield from _leaves(one, path, marked)
    elif origin is dict:
        yield from _leaves(arguments[1], (*path, "*"), marked)
    elif origin in (list, tuple):
        yield from _leaves(arguments[0], (*path[:-1], f"{path[-1]}[*]"), marked)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, inner in fields(kind).items():
            yield from _leaves(inner, (*path, name), False)
    else:
        yield ".".join(path), marked


def has_mark(kind: Any, mark: object) -> bool:
    """True if a type, or the type inside an optional one, has the mark."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return mark in arguments[1:] or has_mark(arguments[0], mark)
    return origin in (typing.Union, types.UnionType) and any(has_mark(one, mark) for one in arguments)


def alternatives(kind: Any) -> Iterator[Any]:
    """``Annotated[X, ...]`` and ``X | None`` -> ``X``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated or origin in (typing.Union, types.UnionType):
        for one in arguments[:1] if origin is typing.Annotated else arguments:
            yield from alternatives(one)
    elif kind is not type(None):
        yield kind


def inner(kinds: tuple[Any, ...], key: object) -> tuple[Any, ...]:
    """The types that are allowed at a key (or index) inside values of these types."""
    return tuple(inner for kind in kinds for one in alternatives(kind) for inner in _inner_of(one, key))


def _inner_of(kind: Any, key: object) -> Iterator[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if (origin is dict and isinstance(key, str)) or (origin in (list, tuple) and isinstance(key, int)):
        yield arguments[1 if origin is dict else 0]
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and key in (found := fields(kind)):
        yield found[str(key)]


@cache
def fields(model: type[BaseModel]) -> dict[str, Any]:
    hints = typing.get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}
