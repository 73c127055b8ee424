"""Filters that work on a secret's value: the result is a secret too, computed when a script is made."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jinja2
from jinja2 import utils

from provision.secrets import secret
from provision.text.sandbox.blind import WORKING, derived
from provision.text.sandbox.bounds import measured, width
from provision.text.sandbox.text import joined, shown


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
