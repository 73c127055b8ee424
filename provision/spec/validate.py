"""pydantic's errors in words for the author of the YAML: file, line, key, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from provision.errors import SpecError, Where, all_of
from provision.spec.secrets import alternatives, fields, has_mark, inner, refused, takers
from provision.spec.values import AS_TEXT
from provision.text.yaml_hints import wide
from provision.text.yamlfile import Map, Seq, Spelled, locate, named, nearest, quoted

Model = TypeVar("Model", bound=BaseModel)

_WORDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "missing": "is missing",
}


def validate(model: type[Model], data: Any, key: str = "spec") -> Model:
    """``data`` as a ``model``; raises :class:`SpecError` with every fault, each at its place.

    A secret in a value that takes none is reported as such: other checks would only reject its token.
    """
    faults = {_path(key, place): _no_secret(model, data, key, place, is_key) for place, is_key in refused(model, data)}
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        for one in error.errors():
            # A type with alternatives has an error for each of them, at one place.
            faults.setdefault(_path(key, _location(data, one)), _explain(model, data, key, one))
        raise all_of(faults.values()) from error
    if faults:
        raise all_of(faults.values())
    return found


def misread(model: type[BaseModel], data: Any, key: str = "spec") -> Iterator[SpecError]:
    """An error for each text that is a boolean only because YAML 1.1 has many words for one (``COUNTRY: no``)."""
    yield from _misread((model,), data, key)


def _misread(kinds: tuple[Any, ...], data: Any, key: str) -> Iterator[SpecError]:
    if isinstance(data, Map):
        items: Iterable[tuple[str | int, Any, Where | None]] = (
            (name, one, data.where.get(name)) for name, one in data.items()
        )
    elif isinstance(data, Seq):
        items = zip(range(len(data)), data, data.where, strict=False)
    else:
        return
    for part, value, where in items:
        if isinstance(value, (Map, Seq)):
            yield from _misread(inner(kinds, part), value, _path(key, (part,)))
        elif (
            isinstance(where, Spelled)
            and isinstance(value, bool)
            and any(has_mark(kind, AS_TEXT) for kind in inner(kinds, part))
        ):
            message = f"{where.written} is the boolean {named(value)} in YAML, and must be text"
            yield SpecError(message, where=where, key=_path(key, (part,)), hint=quoted(where.written))


def validate_field(model: type[BaseModel], name: str, value: Any) -> Any:
    """``value`` as the field ``name`` of a ``model``. Raises :class:`SpecError`."""
    return getattr(validate(_alone(model, name), {name: value}), name)


@cache
def _alone(model: type[BaseModel], name: str) -> type[BaseModel]:
    """A model with one field of another model, so that pydantic makes no defaults of the other fields."""
    one: dict[str, Any] = {name: (fields(model)[name], model.model_fields[name])}
    return create_model(f"{model.__name__}_{name}", __config__=model.model_config, **one)


def _no_secret(model: type[BaseModel], data: Any, key: str, place: tuple[str | int, ...], is_key: bool) -> SpecError:
    where = locate(data, place)
    if is_key:
        return SpecError(f"a key must not hold a secret: {_SHOWN}", where=where, key=_path(key, place[:-1]))
    takes = dict.fromkeys([*takers(model, str(place[0])), *takers(model, "files")])
    hint = f"keys that accept one: {', '.join(takes)}" if takes else ""
    return SpecError(f"does not accept a secret: {_SHOWN}", where=where, key=_path(key, place), hint=hint)


_SHOWN = "plans, logs or lists of processes would show it"


def _path(key: str, place: tuple[str | int, ...]) -> str:
    return key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def _explain(model: type[BaseModel], data: Any, key: str, error: ErrorDetails) -> SpecError:
    location = _location(data, error)
    where = locate(data, location)
    path = _path(key, location)
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _fields(model, location[:-1])
        hint = nearest(str(location[-1]), known) or "known keys: " + ", ".join(known)
        return SpecError("unknown key", where=where, key=path, hint=hint)
    given = error["input"]
    if kind == "literal_error":
        expected = str(error["ctx"]["expected"])
        hint = nearest(str(given), [word.strip("' ") for word in expected.replace(" or ", ",").split(",")])
        return SpecError(f"must be {expected}, not {named(given)}", where=where, key=path, hint=hint)
    if kind in _WORDS:
        found = "" if kind == "missing" else f", not {named(given)}"
        written = where.written if isinstance(where, Spelled) else named(given)
        hint = quoted(written) if kind == "string_type" and isinstance(given, (int, float, date)) else wide(given)
        return SpecError(_WORDS[kind] + found, where=where, key=path, hint=hint)
    # A validator's ValueError has a message, and may have a hint.
    message, *hints = error["ctx"]["error"].args if kind == "value_error" else (error["msg"],)
    return SpecError(str(message), where=where, key=path, hint="".join(hints))


def _location(data: Any, error: ErrorDetails) -> tuple[str | int, ...]:
    """The place of an error in ``data``. pydantic's own location has more parts: one for each alternative of a type
    that it tried. The YAML does not have these (``function-after[_absolute(), str]``)."""
    found: list[str | int] = []
    parts = error["loc"]
    for number, part in enumerate(parts, 1):
        index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if index or (isinstance(data, dict) and part in data):
            data = data[part]
        elif number < len(parts) or error["type"] != "missing":
            continue
        found.append(part)
    return tuple(found)


def _fields(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that ``model`` knows at ``location``."""
    kinds: tuple[Any, ...] = (model,)
    for part in location:
        kinds = inner(kinds, part) or inner(kinds, str(part))
    models = (one for kind in kinds for one in alternatives(kind))
    return [key for one in models if isinstance(one, type) and issubclass(one, BaseModel) for key in one.model_fields]
