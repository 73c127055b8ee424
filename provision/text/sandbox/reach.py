"""Which attributes of which types a template can reach. Of any other type it can reach none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import jinja2
import jinja2.runtime
from jinja2 import utils

from provision.text.sandbox.bounds import is_model


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT = _words(
    "capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii"
    " isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip"
    " partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines"
    " startswith strip swapcase title upper zfill"
)
_OF_DATES = _words(
    "year month day hour minute second microsecond date time isoformat isoweekday weekday strftime timestamp"
    " days seconds total_seconds"
)
_OF_LOOPS = _words("index index0 revindex revindex0 first last length depth depth0 previtem nextitem cycle changed")
#: Type -> the attributes that a template may reach; the first matching type counts. All other types have none.
_ATTRIBUTES: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, _TEXT),
    (Mapping, _words("get items keys values copy")),
    ((list, tuple), _words("index count copy")),
    ((int, float), _words("bit_length is_integer real imag")),
    (bytes, _words("decode hex")),
    ((date, timedelta), _OF_DATES),
    (jinja2.runtime.LoopContext, _OF_LOOPS),
    (utils.Cycler, _words("next reset current pos items")),
    (jinja2.runtime.BlockReference, _words("super")),
    (jinja2.runtime.Macro, _words("name arguments catch_kwargs catch_varargs caller")),
)


#: Their attributes are a template's own variables.
_OWN = (utils.Namespace, jinja2.environment.TemplateModule)


#: Methods that return values unchanged, and read no character of them: type -> names.
CARRYING: tuple[tuple[type, frozenset[str]], ...] = (
    (Mapping, _words("items keys values copy")),
    (list, _words("copy")),
    (jinja2.runtime.LoopContext, _words("cycle")),
    (utils.Cycler, _words("next reset")),
)


def reachable(value: object, attribute: str) -> bool:
    if attribute.startswith("_"):
        return False
    if isinstance(value, _OWN):
        return True
    if is_model(value):
        return attribute in type(value).model_fields  # type: ignore[attr-defined]
    return next((attribute in names for kind, names in _ATTRIBUTES if isinstance(value, kind)), False)
