"""What dockerd of some version makes of a daemon.json: refuses, dies of, ignores, or does and is regretted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provision.dockerd.daemon_keys import NEWEST, Key, Version, keys
from provision.errors import Where
from provision.lint import loose_json
from provision.lint.checks import CHECKS
from provision.lint.finding import Finding, Level
from provision.lint.rules import finding
from provision.lint.values import problem
from provision.text.yamlfile import Map, closest, nearest


def lint_text(path: Path, text: str, engine: Version = NEWEST) -> list[Finding]:
    """Everything wrong with a daemon.json, broken ones too, in the order of its lines."""
    parsed = loose_json.parse(path, text)
    found = [
        finding(
            "DJ001", fault.where, f"column {fault.column}: {fault.message}", fault.hint, _fault_level(fault, engine)
        )
        for fault in parsed.faults
    ]
    for key, where, first in parsed.twice:
        message = f"{key} stands twice, first on line {first.line}; dockerd takes this one"
        found.append(finding("DJ002", where, message, level="warning"))
    if isinstance(parsed.value, Map):
        found += lint(parsed.value, engine)
    elif not parsed.faults:
        found.append(finding("DJ003", Where(path, 1), "is no JSON object", "{ and } around the keys"))
    return sorted(found, key=lambda one: one.where.line)


def _fault_level(fault: loose_json.Fault, engine: Version) -> Level:
    """Engines before 23 stopped reading at the closing brace; later ones take an empty file for an empty object."""
    harmless = fault.kind == "rest" if engine < (23, 0) else fault.kind == "empty"
    return "warning" if harmless else "error"


def lint(daemon: Map, engine: Version = NEWEST) -> Iterator[Finding]:
    """The same for one that is already read, from a spec say."""
    sound = Map(here=daemon.here)
    for name, value in daemon.items():
        faults = list(_key(name, value, daemon.where[name], engine))
        yield from faults
        if name in keys() and not any(fault.level == "error" for fault in faults):
            sound[name] = value
            sound.where[name] = daemon.where[name]
    meant = _meant(daemon, sound)
    for check in (_values, *CHECKS):
        yield from check(meant, engine)


def _meant(daemon: Map, sound: Map) -> Map:
    """With a near miss (gragh) under the name that was meant, so that its value is checked all the same."""
    for name, value in daemon.items():
        word = _meaning(name) if name not in keys() else None
        if word is not None and word not in daemon and _typed(keys()[word], value) is None:
            sound[word] = value
            sound.where[word] = daemon.where[name]
    return sound


def _meaning(name: str) -> str | None:
    """The key that a misspelt one stands for today: of a removed one its successor."""
    word = closest(name, keys())
    return keys()[word].instead if word is not None and keys()[word].instead in keys() else word


def _key(name: str, value: Any, where: Where, engine: Version) -> Iterator[Finding]:
    key = keys().get(name)
    shown = ".".join(map(str, engine))
    if key is None:
        yield from _unknown(name, value, where, engine)
        return
    if key.until is not None and engine >= key.until:
        gone = ".".join(map(str, key.until))
        yield finding("DJ102", where, f"{name} was removed in {gone}", f"use {key.instead}" if key.instead else "")
    elif key.since is not None and engine < key.since:
        came = ".".join(map(str, key.since))
        yield finding("DJ104", where, f"{name} came with {came}, and this is for {shown}")
    elif key.ignored:
        yield finding("DJ105", where, f"{name} has no effect")
    elif key.deprecated is not None and engine >= key.deprecated:
        yield finding("DJ103", where, f"{name} is deprecated", f"use {key.instead}" if key.instead else "")
    if (wanted := _typed(key, value)) is not None:
        yield finding("DJ110", where, f"{name} must be {wanted}, not {_shown(value)}")


def _unknown(name: str, value: Any, where: Where, engine: Version) -> Iterator[Finding]:
    if name in ("http-proxy", "https-proxy", "no-proxy") and engine >= (23, 0):
        yield finding("DJ105", where, f"{name} has no effect here", f'write "proxies": {{"{name}": …}}')
        return
    if isinstance(value, Map) and value and set(value) <= set(keys()):
        # moby flattens objects before it looks for unknown keys, and decodes without flattening.
        yield finding("DJ105", where, f"{name} is no key, and what is in it has no effect", "take the braces away")
        return
    hint = nearest(name, keys())
    meant = _meaning(name)
    if meant is not None and meant != closest(name, keys()):
        hint = f'{hint.rstrip("?")}, now "{meant}"?'
    lower = name.lower()
    yield finding("DJ101", where, f"unknown key {name}", f'write "{lower}"' if lower in keys() else hint or "")


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "text": ("text", lambda value: isinstance(value, str)),
    "texts": ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "objects": ("a list of objects", lambda value: isinstance(value, list) and all(isinstance(o, dict) for o in value)),
    "table": (
        "an object of texts",
        lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
    ),
    "switches": (
        "an object of true and false",
        lambda value: isinstance(value, dict) and all(isinstance(one, bool) for one in value.values()),
    ),
    "size": (
        'a number of bytes, or "64M"',
        lambda value: isinstance(value, (int, str)) and not isinstance(value, bool),
    ),
}
_SHAPES = {"network": "text", "address": "text", "path": "text", "addresses": "texts", "urls": "texts"}


def _typed(key: Key, value: Any) -> str | None:
    """What the key's type is called, when the value is of another. A null is as if the key were not there."""
    kind = "text" if isinstance(key.type, tuple) else _SHAPES.get(key.type, key.type)
    words, test = _TYPES[kind]
    return None if value is None or test(value) else words


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)[:60]


def _values(daemon: Map, engine: Version) -> Iterator[Finding]:
    for name, value in daemon.items():
        if value is not None and (said := problem(name, keys()[name], value, engine)) is not None:
            yield finding("DJ222", daemon.where[name], f"{name}: {said}")
