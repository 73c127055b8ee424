"""Comparisons of ranges and of paths: the same answers as those of each with each, from a number of steps that does not
grow with the square."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from provision.lint.ranges import Paths, Ranges


def test_a_range_meets_those_that_have_its_numbers() -> None:
    chance = random.Random(1)  # noqa: S311 - the same values each time
    ranges: Ranges[str] = Ranges()
    owners: dict[int, str] = {}
    for number in range(2000):
        first = chance.randrange(300)
        last = first + chance.randrange(20)
        expected = {owners[one] for one in range(first, last + 1) if one in owners}
        found = ranges.first(first, last)
        lowest = next((owners[one] for one in range(first, last + 1) if one in owners), None)
        assert [owner for _, _, owner in found] == ([] if lowest is None else [lowest])
        assert {owner for _, _, owner in ranges.take(first, last, str(number))} == expected
        owners |= dict.fromkeys(range(first, last + 1), str(number))


def test_many_large_ranges_meet_a_limited_number() -> None:
    ranges: Ranges[str] = Ranges()
    met = sum(len(ranges.take(one % 7, 65535 - one % 5, str(one))) for one in range(5000))
    assert met <= 3 * 5000


def test_paths_are_found_above_and_below() -> None:
    chance = random.Random(1)  # noqa: S311 - the same values each time
    names = [
        "".join(f"/{chance.choice(['a', 'b', 'ab', 'a.b', 'a-'])}" for _ in range(depth)) for depth in [1, 2, 3] * 9
    ]
    for count in (0, 1, 5):
        paths = names[:count]
        found = Paths(paths)
        for name in (*names, "/"):
            path = PurePosixPath(name)
            assert found.cover(name) == any(path.is_relative_to(one) for one in paths), name
            assert found.inside(name) == any(PurePosixPath(one).is_relative_to(name) for one in paths), name
