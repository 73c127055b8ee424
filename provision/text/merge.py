"""Two ways to merge mappings: *refine* (the most specific value wins) and *unite* (a contradiction is an error)."""

from __future__ import annotations

from typing import Any

from provision.errors import SpecError
from provision.text.yamlfile import Map, Seq, locate


def refine(base: Any, over: Any) -> Any:
    """Mappings merge key by key; ``over`` replaces all other values, lists too."""
    if not (isinstance(base, Map) and isinstance(over, Map)):
        return over
    result = base.copy()
    for key, value in over.items():
        result[key] = refine(base[key], value) if key in base else value
        if not (key in base and isinstance(value, Map)):
            result.where[key] = over.where.get(key, over.here)  # type: ignore[assignment]  # a parsed Map has one
    return result


#: Lists whose order does not matter, so that each of two plays can declare some of the items.
_SETS = {("packages",), ("modules",), ("engine", "plugins"), ("engine", "users")}


def unite(first: Any, second: Any, path: tuple[str, ...] = ()) -> Any:
    """The union of two plays' declarations for one host. Two different values for one key are an error."""
    if isinstance(first, Map) and isinstance(second, Map):
        result = first.copy()
        for key, value in second.items():
            if key in first:
                result[key] = unite_at(first, second, key, path)
            else:
                result[key] = value
                result.where[key] = second.where[key]
        return result
    if path in _SETS and isinstance(first, Seq) and isinstance(second, Seq):
        result_list = Seq(first, first.here)
        result_list.where.extend(first.where)
        known = {item for item in first if isinstance(item, str)}
        for index, item in enumerate(second):
            if item not in known if isinstance(item, str) else item not in first:
                result_list.append(item)
                result_list.where.append(second.where[index])
        return result_list
    return first


def unite_at(first: Map, second: Map, key: str, path: tuple[str, ...]) -> Any:
    a, b, here = first[key], second[key], (*path, key)
    mergeable = (isinstance(a, Map) and isinstance(b, Map)) or (here in _SETS and isinstance(a, Seq))
    if not mergeable and (a != b or type(a) is not type(b)):
        raise SpecError(
            f"two plays declare this differently for one host: {a!r} at {locate(first, [key])}, {b!r} here",
            where=locate(second, [key]),
            key=".".join(here),
            hint="declare it in one play, or refine it for the host by a `spec` variable",
        )
    return unite(a, b, here)
