"""Values that are wrong by themselves or together, by the rows of ``combinations.yml``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from provision.engine.keys import NEWEST, Version
from provision.lint.finding import Finding, Level
from provision.lint.reading import Target, since
from provision.lint.rules import finding
from provision.text.yamlfile import Map

_Wanted = bool | Literal["set", "unset", "declared", "not false", "not true"] | tuple[str, ...]


class _Row(Struct, frozen=True, rename={"first": "from"}):
    rule: str
    given: dict[str, _Wanted]
    message: str
    hint: str = ""
    first: Version = (0, 0)
    before: Version = (NEWEST[0] + 1, 0)
    error_from: Version | None = None
    level: Level | None = None
    alone: bool = False


_TESTS: dict[object, Callable[[Any], bool]] = {
    True: lambda value: value is True,
    False: lambda value: value is False,
    "set": bool,
    "unset": lambda value: not value,
    "declared": lambda value: value is not None,
    "not false": lambda value: value is not False,
    "not true": lambda value: value is not True,
}
#: Each row with its first key: most files do not have it.
_ROWS = [
    (*next(iter(row.given)).partition(".")[::2], row)
    for row in msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=tuple[_Row, ...])
]


def combinations(daemon: Map, target: Target) -> Iterator[Finding]:
    for key, member, row in _ROWS:
        if key not in daemon or not row.first <= target.engine < row.before or (row.alone and target.in_spec):
            continue
        if all(any(_is(daemon, one, wanted) for one in names.split(" or ")) for names, wanted in row.given.items()):
            where = daemon[key].where[member] if member else daemon.where[key]
            level = row.level if row.error_from is None else since(target.engine, row.error_from)
            yield finding(row.rule, where, row.message, row.hint, level)


def _is(daemon: Map, name: str, wanted: _Wanted) -> bool:
    key, _, member = name.partition(".")
    value = (daemon.get(key) or {}).get(member) if member else daemon.get(key)
    return value in wanted if isinstance(wanted, tuple) else _TESTS[wanted](value)
