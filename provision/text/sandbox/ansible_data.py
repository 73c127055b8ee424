"""Filters of Ansible on lists and mappings, by the documentation of each (``ansible-doc -t filter NAME``).

The result of a filter on sets has the order of its inputs. Ansible's has none: it changes from run to run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jinja2

from provision.text.sandbox.bounds import Refused, blind, check_key, compared, measured_size, room_for, step

#: The most lists or items whose combinations are counted.
_MOST = 100
_MERGES = ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")


def _list(name: str, value: Any) -> list[Any]:
    """The items of ``value``. Raises :class:`Refused` for a value without items."""
    if not isinstance(value, Iterable):
        raise Refused(f'filter "{name}" takes lists, not {value!r}')
    return list(value)


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> Any:
    if list_merge not in _MERGES:
        raise Refused(f'filter "combine": list_merge is one of {", ".join(_MERGES)}')
    if list_merge.endswith("_rp"):
        blind('filter "combine"', *terms)
    maps = flatten(terms, levels=1)
    for one in maps:
        if not isinstance(one, Mapping):
            raise Refused(f'filter "combine" takes mappings, not {type(one).__name__}')
    result: Any = maps[0] if maps else {}
    for one in maps[1:]:
        result = _merged(result, one, recursive, list_merge)
    return result


def _merged(low: Any, high: Any, recursive: bool, lists: str) -> dict[Any, Any]:
    step(1 + len(low) + len(high))
    result = dict(low)
    for key, new in high.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and recursive:
            new = _merged(old, new, recursive, lists)
        elif isinstance(old, list) and isinstance(new, list):
            new = _merged_lists(old, new, lists)
        result[key] = new
    return result


def _merged_lists(old: list[Any], new: list[Any], how: str) -> list[Any]:
    room_for('filter "combine"', len(old) + len(new))
    if how in ("replace", "keep"):
        return new if how == "replace" else old
    if how.endswith("_rp"):
        _compared(old, new)
        old = [item for item in old if item not in new]
    return old + new if how.startswith("append") else new + old


def _compared(left: Any, right: Any) -> None:
    """Count the steps of comparing each item of a list with each of another one."""
    step(measured_size(left, {}) * (1 + len(right)) // 8 + measured_size(right, {}))


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise Refused(f'filter "dict2items" takes a mapping, not {type(value).__name__}')
    return [{key_name: key, value_name: one} for key, one in value.items()]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    items = _list("items2dict", value)
    if not all(isinstance(item, Mapping) and key_name in item and value_name in item for item in items):
        raise Refused(f'filter "items2dict" takes mappings with {key_name} and {value_name}')
    keys = [item[key_name] for item in items]
    blind('a key in filter "items2dict"', keys)
    for one in keys:
        check_key('a key in filter "items2dict"', one)
    return {item[key_name]: item[value_name] for item in items}


def flatten(value: Any, levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    found: list[Any] = []
    for item in value:
        # Also of an item that is left out: a list may occur in itself many times.
        step()
        if skip_nulls and (item is None or (isinstance(item, str) and item in ("None", "null"))):
            continue
        if isinstance(item, (list, tuple)) and (levels is None or levels >= 1):
            found += flatten(item, None if levels is None else int(levels) - 1, skip_nulls)
            room_for('filter "flatten"', len(found))
        else:
            found.append(item)
    return found


def subelements(value: Any, path: Any, skip_missing: bool = False) -> list[tuple[Any, Any]]:
    if not isinstance(value, (Mapping, list)):
        raise Refused('filter "subelements" takes a list or a mapping')
    blind('the path of filter "subelements"', path)
    names = path if isinstance(path, list) else str(path).split(".")
    found: list[tuple[Any, Any]] = []
    for element in value.values() if isinstance(value, Mapping) else value:
        inner: Any = element
        for name in names:
            if not isinstance(inner, Mapping) or (name not in inner and not skip_missing):
                raise Refused(f'filter "subelements": an item has no {name}')
            inner = inner.get(name, [])
            if not isinstance(inner, (Mapping, list)):
                break
        if not isinstance(inner, list):
            raise Refused(f'filter "subelements": {".".join(map(str, names))} is not a list')
        found += [(element, item) for item in inner]
        room_for('filter "subelements"', len(found))
    return found


def rekey_on_member(value: Any, key: Any, duplicates: str = "error") -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for item in value.values() if isinstance(value, Mapping) else _list("rekey_on_member", value):
        if not isinstance(item, Mapping) or key not in item:
            raise Refused(f'filter "rekey_on_member": an item has no {key}')
        blind('a key in filter "rekey_on_member"', item[key])
        check_key('a key in filter "rekey_on_member"', item[key])
        if item[key] in found and duplicates != "overwrite":
            raise Refused(f'filter "rekey_on_member": {item[key]!r} is not unique')
        found[item[key]] = item
    return found


@jinja2.pass_environment
def extract(environment: jinja2.Environment, key: Any, container: Any, more: Any = None) -> Any:
    blind('a key in filter "extract"', key, more)
    for one in [key, *([] if more is None else more if isinstance(more, list) else [more])]:
        container = environment.getitem(container, one)
    return container


def different(items: list[Any]) -> list[Any]:
    """The different items, in their order."""
    try:
        compared(items)
        return list(dict.fromkeys(items))
    except TypeError:
        _compared(items, items)
        return [item for at, item in enumerate(items) if item not in items[:at]]


def _inside(name: str, value: Any, other: Any) -> tuple[list[Any], Callable[[Any], bool]]:
    """The different items of ``value``, and whether an item is in ``other``."""
    items, others = different(_list(name, value)), _list(name, other)
    try:
        compared((*items, *others))
        known = frozenset(others)
        hash(tuple(items))
        return items, known.__contains__
    except TypeError:
        _compared(items, others)
        return items, others.__contains__


def union(value: Any, other: Any) -> list[Any]:
    return different([*_list("union", value), *_list("union", other)])


def intersect(value: Any, other: Any) -> list[Any]:
    items, inside = _inside("intersect", value, other)
    return [item for item in items if inside(item)]


def difference(value: Any, other: Any) -> list[Any]:
    items, inside = _inside("difference", value, other)
    return [item for item in items if not inside(item)]


def symmetric_difference(value: Any, other: Any) -> list[Any]:
    return [*difference(value, other), *difference(other, value)]


def zipped(*lists: Any) -> list[Any]:
    given = [_list("zip", one) for one in lists]
    _room_for_rows("zip", min(map(len, given), default=0), given)
    return list(zip(*given, strict=False))


def zip_longest(*lists: Any, fillvalue: Any = None) -> list[Any]:
    given = [_list("zip_longest", one) for one in lists]
    _room_for_rows("zip_longest", max(map(len, given), default=0), given)
    return list(itertools.zip_longest(*given, fillvalue=fillvalue))


def _room_for_rows(name: str, rows: int, columns: list[Any]) -> None:
    room_for(f'filter "{name}"', rows * len(columns))
    step(rows)


def product(*lists: Any, repeat: int = 1) -> list[Any]:
    if len(lists) * repeat > _MOST:
        raise Refused(f'filter "product" takes at most {_MOST} lists')
    given = [_list("product", one) for one in lists] * max(repeat, 0)
    count = math.prod(len(one) for one in given)
    room_for('filter "product"', count * max(len(given), 1))
    step(count)
    return list(itertools.product(*given))


def combinations(value: Any, size: int) -> list[Any]:
    items = _list("combinations", value)
    # Python makes a list of the size even where there is no such combination.
    if size > len(items):
        return []
    if min(size, len(items) - size) > _MOST:
        raise Refused(f'filter "combinations" takes at most {_MOST} items')
    count = math.comb(len(items), size)
    room_for('filter "combinations"', count * max(size, 1))
    step(count)
    return list(itertools.combinations(items, size))


def permutations(value: Any, size: int | None = None) -> list[Any]:
    items = _list("permutations", value)
    length = len(items) if size is None else size
    if length > _MOST:
        raise Refused(f'filter "permutations" takes at most {_MOST} items')
    count = math.perm(len(items), length)
    room_for('filter "permutations"', count * max(length, 1))
    step(count)
    return list(itertools.permutations(items, length))


def _set(value: Any) -> set[Any]:
    items = _list("subset", value)
    compared(items)
    return set(items)


def subset(value: Any, other: Any) -> bool:
    return _set(value) <= _set(other)


def superset(value: Any, other: Any) -> bool:
    return _set(value) >= _set(other)


def by_name(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {function.__name__: function for function in functions}


#: Filters that return values unchanged, and read only keys and the structure of their input.
STRUCTURAL = {
    **by_name(combine, dict2items, items2dict, flatten, subelements, rekey_on_member, extract),
    "zip": zipped,
    **by_name(zip_longest, product, combinations, permutations),
}
#: Filters that compare items.
SETS = by_name(union, intersect, difference, symmetric_difference)
TESTS: dict[str, Callable[..., Any]] = {
    **by_name(subset, superset, any, all),
    "issubset": subset,
    "issuperset": superset,
    "contains": lambda value, item: bool(item in value),
}
