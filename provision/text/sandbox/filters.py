"""jinja2's filters and tests, each guarded: work on a secret's characters is refused, and results have a limited size.

A filter or test that is not named here, or that a later jinja2 adds, is assumed to work on characters.
"""

from __future__ import annotations

import base64
import inspect
import json
import shlex
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

import jinja2
from jinja2 import utils
from jinja2.filters import make_attrgetter

from provision.secrets import secret
from provision.text.sandbox.ansible_data import STRUCTURAL, different
from provision.text.sandbox.ansible_filters import FILTERS, TESTS
from provision.text.sandbox.bounds import (
    GROWTH,
    WIDTHS,
    WORKING,
    blind,
    compared,
    derived,
    measured,
    percent,
    room,
    step,
    through,
    weigh,
    width,
)
from provision.text.sandbox.operators import INTERNAL, comparison, joined, shown


def _encoder(kind: str, make: Callable[[str], str]) -> Callable[[Any], str]:
    def encode(value: Any) -> str:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        text = "" if value is None and kind == "quote" else shown(f'filter "{kind}"', value)
        return derived(kind, text, make) if secret.holds(text) else make(text)

    return encode


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _quoted(text: str) -> str:
    """Encoded for every part of a URL. Unlike jinja2's own filter it also encodes ``/``: a password may have one."""
    return urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe="")


def _urlencode(value: Any) -> str:
    if isinstance(value, str):
        return derived("urlencode", value, _quoted) if secret.holds(value) else str(_jinja_urlencode(value))
    if not isinstance(value, Iterable):
        return str(_jinja_urlencode(value))
    pairs = value.items() if isinstance(value, Mapping) else value
    return "&".join("=".join(_form(part) for part in pair) for pair in pairs)


def _form(value: Any) -> str:
    """A key or a value of a URL's query."""
    text = shown('filter "urlencode"', value)
    return derived("urlencode", text, _quoted) if secret.holds(text) else urllib.parse.quote_plus(text)


_jinja_urlencode = jinja2.filters.FILTERS["urlencode"]


def _json_in(text: str) -> str:
    """The text as it is between the quotes of a JSON string."""
    return json.dumps(text)[1:-1]


def _json_in_unicode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_in_html(text: str) -> str:
    return str(utils.htmlsafe_json_dumps(text, dumps=json.dumps))[1:-1]


@jinja2.pass_environment
def _tojson(environment: jinja2.Environment, value: Any, indent: int | None = None) -> str:
    """As jinja2's filter: keys sorted, and safe in HTML."""
    options = {**environment.policies["json.dumps_kwargs"], **({} if indent is None else {"indent": indent})}

    def dumps(value: Any) -> str:
        return str(utils.htmlsafe_json_dumps(value, dumps=_dumped, **options))

    return _json("tojson", value, indent, dumps, _json_in_html)


def _to_json(value: Any, indent: int | None = None, sort_keys: bool = False, ensure_ascii: bool = True) -> str:
    """As Ansible's filter: plain JSON, with keys in their order."""
    encode = _json_in if ensure_ascii else _json_in_unicode

    def dumps(value: Any) -> str:
        return _dumped(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii)

    return _json("to_json", value, indent, dumps, encode)


def _to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, ensure_ascii: bool = True) -> str:
    return _to_json(value, indent, sort_keys, ensure_ascii)


def _dumped(value: Any, **options: Any) -> str:
    """As ``json.dumps``. With an indentation it stops at the limit of a text, before it has made the whole of it."""
    if options.get("indent") is None:
        return json.dumps(value, **options)
    return joined(json.JSONEncoder(**options).iterencode(value))


def _json(kind: str, value: Any, indent: object, dumps: Callable[[Any], str], encode: Callable[[str], str]) -> str:
    """JSON in which each secret is replaced by a secret that is encoded for its JSON string."""
    width(f'filter "{kind}"', indent, len(indent) if isinstance(indent, str) else 0)
    if not measured(value):
        return dumps(value)
    tokens: set[str] = set()

    def encoded(value: Any) -> Any:
        if isinstance(value, str) and secret.holds(value):
            token = derived(kind, value, encode)
            tokens.add(token)
            return token
        if isinstance(value, dict):
            return {encoded(key): encoded(one) for key, one in value.items()}
        return [encoded(one) for one in value] if isinstance(value, (list, tuple)) else value

    text = dumps(encoded(value))
    for token in tokens:
        # The JSON encoder has escaped the token's quotation marks.
        text = text.replace(encode(token), token)
    return text


_FUNCTIONS: tuple[Callable[..., str], ...] = (
    _encoder("b64encode", _base64),
    _encoder("quote", shlex.quote),
    _to_json,
    _tojson,
    _urlencode,
    _to_nice_json,
)
ENCODERS = dict(zip(WORKING, _FUNCTIONS, strict=True))


Check = Callable[[str, tuple[Any, ...], dict[str, Any]], None]


def _all_blind(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    blind(what, *args, *kwargs.values())


def first_through(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for value in args[:1]:
        through(what, value)


def _all_through(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        through(what, value)


def _first_blind(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    blind(what, *args[:1])


def _anything(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    pass


def _sorted_dict(what: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    by_value = "value" in (*args[2:3], kwargs.get("by"))
    blind(what, args[0] if by_value else list(args[0]) if isinstance(args[0], dict) else args[0])


#: What each filter reads of its input. For all others :func:`_all_blind` assumes that they read characters.
_PASSING = ("default", "d", "string", "join", *ENCODERS)


_GOING_THROUGH = (
    *("list", "first", "last", "length", "count", "items", "reverse", "random", "batch", "slice"),
    *("map", "select", "reject", "selectattr", "rejectattr", "attr"),
)


_FILTERS: dict[str, Check] = {
    **dict.fromkeys(_PASSING, _anything),
    **dict.fromkeys(_GOING_THROUGH, first_through),
    "dictsort": _sorted_dict,
    **dict.fromkeys(STRUCTURAL, _all_through),
    "mandatory": _anything,
    "ternary": _first_blind,
    "type_debug": _anything,
}


#: Filters and tests that work on an undefined value. Of any other one the result is undefined too, as in Ansible.
_OF_UNDEFINED = ("default", "d", "mandatory", "ternary", "type_debug", "defined", "undefined", *INTERNAL)


#: Filters that compare the items of a list, by an attribute where one is given.
_COMPARING = ("sort", "unique", "groupby", "min", "max", "sum")


#: Tests of a value's type, which do not depend on its content.
_OF_TYPE = (
    *("defined", "undefined", "none", "boolean", "false", "true", "integer", "float", "number", "string"),
    *("mapping", "sequence", "iterable", "callable"),
)


@jinja2.pass_environment
def _join(environment: jinja2.Environment, value: Any, d: object = "", attribute: str | int | None = None) -> str:
    through('filter "join"', value)
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    return joined(value, shown('filter "join"', d))


@jinja2.pass_environment
def _unique(environment: jinja2.Environment, value: Any, case_sensitive: Any = None, attribute: Any = None) -> Any:
    """Items that have no hash (lists and mappings) are compared one by one, as in Ansible."""
    compared(value if attribute is None else map(make_attrgetter(environment, attribute), value))
    try:
        return list(jinja2.filters.do_unique(environment, value, bool(case_sensitive), attribute))
    except TypeError:
        if attribute is not None or case_sensitive is False:
            raise
        return different(value)


def _string(value: Any) -> Any:
    return value if isinstance(value, str) else shown('filter "string"', value)


def _guarded(kind: str, name: str, function: Callable[..., Any], check: Check) -> Callable[..., Any]:
    """A filter or test whose arguments are checked before it runs."""
    what = f'{kind} "{name}"'
    skip = 1 if hasattr(function, "jinja_pass_arg") else 0
    growth = GROWTH.get(name)
    if function.__name__ == "<lambda>":
        function.__qualname__ = name  # for Python's message about its arguments

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        step()
        given = args[skip:]
        if name not in _OF_UNDEFINED:
            for value in (*given, *kwargs.values()):
                if isinstance(value, jinja2.Undefined):
                    return value
        check(what, given, kwargs)
        if name in WIDTHS:
            width(what, *given[1:], *kwargs.values())
        if growth is not None:
            room(what, growth(*given, **kwargs))
        if name == "format":
            percent(what, str(given[0]), kwargs or given[1:])
        weigh(name, *given)
        found = function(*args, **kwargs)
        return list(found) if isinstance(found, Iterator) else found

    return guarded


def _comparing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that compares items: only the values that it compares must hold no secret."""
    what = f'filter "{name}"'
    signature = inspect.signature(function)

    @wraps(function)
    def guarded(environment: jinja2.Environment, value: Any, *args: Any, **kwargs: Any) -> Any:
        step()
        if isinstance(value, jinja2.Undefined):
            return value
        weigh(name, value)
        through(what, value)
        items = list(value)
        attribute = signature.bind(environment, items, *args, **kwargs).arguments.get("attribute")
        if attribute is None:
            blind(what, items)
        else:
            parts = [attribute] if isinstance(attribute, int) else str(attribute).split(",")
            for getter in [make_attrgetter(environment, part) for part in parts]:
                blind(what, [getter(item) for item in items])
        found = function(environment, items, *args, **kwargs)
        return list(found) if isinstance(found, Iterator) else found

    return guarded


def filters(given: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    functions = {**given, **FILTERS, **ENCODERS, "join": _join, "string": _string, "unique": _unique}
    found = {
        name: _comparing(name, function)
        if name in _COMPARING
        else _guarded("filter", name, function, _FILTERS.get(name, _all_blind))
        for name, function in functions.items()
    }
    return {**found, **_full_names(found), **INTERNAL}


def _full_names(found: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {f"ansible.builtin.{name}": function for name, function in found.items()}


def tests(given: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    found = {
        name: _guarded("test", name, function, _anything if name in _OF_TYPE else _all_blind)
        for name, function in {**given, **TESTS}.items()
    }
    # jinja2 has several names for each of them, all with the same function.
    names = {given[word]: word for word in ("eq", "ne", "gt", "ge", "lt", "le", "in")}
    words = {"ge": "gteq", "le": "lteq"}
    for name, function in given.items():
        if (word := names.get(function)) is not None:
            found[name] = comparison(words.get(word, word))
    return {**found, **_full_names(found)}
