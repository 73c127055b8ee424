"""Filters and tests of Ansible on texts and numbers, by the documentation of each (``ansible-doc -t filter NAME``)."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import ntpath
import os
import posixpath
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from provision import limits
from provision.errors import SpecError
from provision.text.sandbox.bounds import Refused, measured_size, room, room_for, step, too_much, width

#: The namespace of Ansible's ``to_uuid`` (its documentation names it).
_ANSIBLE = uuid.UUID("361E6D51-FAEC-444A-9079-341386DA8E2E")
_LONG_NUMBER = re.compile(r"[0-9_:.]{401}|0x[0-9a-fA-F_]{401}")
_UNITS = "BKMGTPEZY"
_OPTIONS_OF_YAML = ("indent", "width", "default_flow_style", "sort_keys", "explicit_start", "explicit_end")


def from_json(value: Any) -> Any:
    text = str(value)
    room_for('filter "from_json"', limits.parts(text))
    step(1 + len(text) // 64)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise too_much('filter "from_json" takes', limits.DEPTH) from error


def from_yaml(value: Any) -> Any:
    if not isinstance(value, str):
        if value is None:
            return None
        raise Refused('filter "from_yaml" takes text')
    if _LONG_NUMBER.search(value):
        raise Refused('filter "from_yaml" takes no number of more than 400 characters')
    from provision.text.yamlfile import bounded

    step(1 + len(value) // 8)
    try:
        return bounded(Path("from_yaml"), value)
    except SpecError as error:
        raise Refused(f'filter "from_yaml": {error.message}', error.hint) from error


def to_yaml(value: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    import yaml

    if unknown := [name for name in options if name not in _OPTIONS_OF_YAML]:
        raise Refused(f'filter "to_yaml" takes no {unknown[0]}')
    width('filter "to_yaml"', options.get("indent"))
    step(measured_size(value, {}) * 8)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(_plain(value), Dumper=dumper, allow_unicode=True, default_flow_style=default_flow_style, **options)
    return str(text)


def _plain(value: Any) -> Any:
    """``value`` of exact types only: YAML writes an alias for a list that occurs twice, as in Ansible."""
    made: dict[int, Any] = {}

    def of(value: Any) -> Any:
        if isinstance(value, str):
            return str(value)
        if not isinstance(value, (Mapping, list, tuple)):
            return value
        if id(value) not in made:
            if isinstance(value, Mapping):
                made[id(value)] = {of(key): of(one) for key, one in value.items()}
            else:
                made[id(value)] = [of(one) for one in value]
        return made[id(value)]

    return of(value)


def hashed(value: Any, kind: str = "sha1") -> str:
    try:
        return hashlib.new(kind, str(value).encode(), usedforsecurity=False).hexdigest()
    except (ValueError, TypeError) as error:
        raise Refused(f'filter "hash": no such hash: {kind}') from error


def urlsplit(value: Any, query: str = "") -> Any:
    parts = urllib.parse.urlsplit(str(value))
    names = ("fragment", "hostname", "netloc", "password", "path", "port", "query", "scheme", "username")
    found = {name: getattr(parts, name) for name in names}
    if query and query not in found:
        raise Refused(f'filter "urlsplit": no such part: {query}')
    return found[query] if query else found


def path_join(value: Any) -> str:
    parts = [value] if isinstance(value, str) else value
    room('filter "path_join"', sum(len(part) + 1 for part in parts))
    return posixpath.join(*parts)


def type_debug(value: Any) -> str:
    for kind in (bool, str, int, float, dict, list, tuple):
        if isinstance(value, kind):
            return kind.__name__
    return type(value).__name__


_COMMENTS = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}


def comment(value: Any, style: str = "plain", **options: Any) -> str:
    if style not in _COMMENTS:
        raise Refused(f'filter "comment": the style is one of {", ".join(_COMMENTS)}')
    edge = options.get("decoration", _COMMENTS[style]["decoration"]).rstrip()
    part: dict[str, Any] = {
        "newline": "\n",
        "beginning": "",
        "prefix": edge,
        "prefix_count": 1,
        "decoration": "",
        "postfix": edge,
        "postfix_count": 1,
        "end": "",
    } | {**_COMMENTS[style], **options}
    newline, decoration = part["newline"], part["decoration"]
    width('filter "comment"', part["prefix_count"], part["postfix_count"])
    text = str(value)
    # A negative count must not make up for the other one.
    times = max(part["prefix_count"], 0) + max(part["postfix_count"], 0)
    longest = len(decoration) + len(part["prefix"]) + len(part["postfix"]) + len(newline)
    room('filter "comment"', len(text) * (1 + longest) + longest * times)
    lines = (decoration + text.replace(newline, newline + decoration)).replace(
        decoration + newline, decoration.rstrip() + newline
    )
    before = "" if part["prefix"] == newline else part["prefix"]
    return "".join(
        (
            part["beginning"] + newline if part["beginning"] else "",
            (before + newline) * int(part["prefix_count"]) if part["prefix"] else "",
            lines,
            (newline + part["postfix"]) * int(part["postfix_count"]),
            newline + part["end"] if part["end"] else "",
        )
    )


def human_readable(value: Any, isbits: bool = False, unit: str | None = None) -> str:
    size = float(value) if isinstance(value, (int, float)) else None
    if size is None:
        raise Refused('filter "human_readable" takes a number')
    for power in range(len(_UNITS) - 1, -1, -1):
        if size >= 1024**power if unit is None else unit.upper() == _UNITS[power]:
            break
    else:
        power = 0
    long, short = ("bits", "b") if isbits else ("Bytes", "B")
    return f"{size / 1024**power:.2f} {_UNITS[power] + short if power else long}"


def human_to_bytes(value: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(?:\s*([A-Za-z]+))?\s*", str(value)) if len(str(value)) <= 300 else None
    unit = (match[2] or default_unit) if match else None
    if match is None or (unit is not None and unit[0].upper() not in _UNITS):
        raise Refused(f'filter "human_to_bytes" takes a size such as 10M, not {value!r}')
    if unit is None:
        return round(float(match[1]))
    power: int = _UNITS.index(unit[0].upper())
    one, name = ("b", "bit") if isbits else ("B", "byte")
    prefixes = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
    short = one if power == 0 else _UNITS[power] + one
    if len(unit) > 1 and unit != short and unit.lower() != prefixes[power] + name:
        raise Refused(f'filter "human_to_bytes": the unit is {short}, not {unit!r}')
    scale: float = 1024.0**power
    return round(float(match[1]) * scale)


_SIGNS = {
    **dict.fromkeys(("==", "=", "eq"), (0,)),
    **dict.fromkeys(("<", "lt"), (-1,)),
    **dict.fromkeys(("<=", "le"), (-1, 0)),
    **dict.fromkeys((">", "gt"), (1,)),
    **dict.fromkeys((">=", "ge"), (0, 1)),
    **dict.fromkeys(("!=", "<>", "ne"), (-1, 1)),
}


def version(value: Any, other: Any, operator: str = "eq", strict: Any = None, version_type: Any = None) -> bool:
    """Compares loosely: the numbers and words of a version, one after the other."""
    if strict or version_type not in (None, "loose"):
        raise Refused('test "version" compares only loosely here', "leave strict and version_type out")
    if operator not in _SIGNS:
        raise Refused(f'test "version": no such operator: {operator}')
    if not value or not other:
        raise Refused('test "version" takes two versions')
    left, right = _version(value), _version(other)
    return ((left > right) - (left < right)) in _SIGNS[operator]


def _version(value: Any) -> list[int | str]:
    """The parts of a version, as ``distutils.version.LooseVersion`` had them."""
    text = str(value)
    room('test "version"', len(text) * 1000)
    parts = (part for part in re.split(r"(\d+|[a-z]+|\.)", text) if part and part != ".")
    return [int(part) if part.isdecimal() else part for part in parts]


def truthy(value: Any, convert_bool: bool = False) -> bool:
    if convert_bool and isinstance(value, (str, int, float)):
        text = str(value).lower().strip()
        if text in _YES or text in _NO:
            return text in _YES
    return bool(value)


#: The texts of the filter bool.
_TRUE, _FALSE = ("yes", "on", "true", "1"), ("no", "off", "false", "0")
#: The texts that Ansible converts to true and false (``ansible.module_utils.parsing.convert_bool``).
_YES = ("y", "yes", "on", "1", "true", "t", "1.0")
_NO = ("n", "no", "off", "0", "false", "f", "0.0")


def ternary(value: Any, if_true: Any, if_false: Any, if_none: Any = None) -> Any:
    if value is None and if_none is not None:
        return if_none
    return if_true if value else if_false


def as_bool(value: Any) -> bool:
    """Ansible warns of any other text, list or mapping, and takes it as false."""
    if value is None or isinstance(value, (int, float)):
        return bool(value == 1)
    text = value.lower() if isinstance(value, str) else ""
    if text not in (*_TRUE, *_FALSE):
        raise Refused(f'filter "bool" takes yes, no, true, false, on, off, 1 and 0, not {value!r}')
    return text in _TRUE


def mandatory(value: Any, message: str = "") -> Any:
    import jinja2

    if isinstance(value, jinja2.Undefined):
        raise Refused(message or "a mandatory variable is not defined")
    return value


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": lambda value, encoding="utf-8", urlsafe=False: (
        base64.urlsafe_b64decode if urlsafe else base64.b64decode
    )(str(value).encode()).decode(encoding),
    "basename": lambda value: os.path.basename(str(value)),
    "bool": as_bool,
    "checksum": lambda value: hashed(value),
    "comment": comment,
    "commonpath": lambda value: str(posixpath.commonpath(value)),
    "dirname": lambda value: os.path.dirname(str(value)),
    "from_json": from_json,
    "from_yaml": from_yaml,
    "hash": hashed,
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "log": lambda value, base=math.e: math.log10(value) if base == 10 else math.log(value, base),
    "mandatory": mandatory,
    "md5": lambda value: hashed(value, "md5"),
    "normpath": lambda value: posixpath.normpath(str(value)),
    "path_join": path_join,
    "pow": lambda value, exponent: math.pow(value, exponent),
    # Needs the start: the directory of the program is not the same on another controller.
    "relpath": lambda value, start: posixpath.relpath(str(value), start),
    "root": lambda value, base=2: math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base)),
    "sha1": lambda value: hashed(value),
    "split": lambda value, separator=None, most=-1: str(value).split(separator, most),
    "splitext": lambda value: list(posixpath.splitext(str(value))),
    "ternary": ternary,
    "to_nice_yaml": lambda value, indent=4, default_flow_style=False, **options: to_yaml(
        value, default_flow_style, indent=indent, **options
    ),
    "to_uuid": lambda value, namespace=_ANSIBLE: str(
        uuid.uuid5(namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(namespace), str(value))
    ),
    "to_yaml": to_yaml,
    "type_debug": type_debug,
    "urldecode": lambda value: urllib.parse.unquote_plus(str(value)),
    "urlsplit": urlsplit,
    "win_basename": lambda value: ntpath.basename(str(value)),
    "win_dirname": lambda value: ntpath.dirname(str(value)),
    "win_splitdrive": lambda value: list(ntpath.splitdrive(str(value))),
}
TESTS: dict[str, Callable[..., Any]] = {
    "falsy": lambda value, convert_bool=False: not truthy(value, convert_bool),
    "nan": lambda value: isinstance(value, float) and math.isnan(value),
    "truthy": truthy,
    "version": version,
}
TESTS |= {"isnan": TESTS["nan"], "version_compare": version}
