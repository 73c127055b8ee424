"""The page of the measurements shows the stored result, and only that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import pages, plot
from bench.full import CASES
from bench.measure import Sample
from bench.result import Cost, Found, Machine, Result, Value, read, write

MACHINE = Machine("2026-01-02", 2, "CPU", 20, "3.11.7", {"pyinfra": "3.10.0", "ansible-core": "2.19.14"})


def test_the_page_shows_the_stored_result() -> None:
    page = pages.PAGE.read_text()
    assert pages.written(page, read(pages.RESULT)) == page, "run python -m bench.pages"
    assert pages.PICTURE.read_text() == pages.picture(read(pages.RESULT).found)


@pytest.mark.parametrize("path", pages.COMPARISONS, ids=lambda path: path.name)
def test_a_comparison_shows_the_stored_times(path: Path) -> None:
    page, rows = path.read_text(), pages.COMPARISONS[path]
    assert pages.compared(page, rows, read(pages.RESULT).found) == page, "run python -m bench.pages"


def test_a_comparison_has_the_medians_of_three_contenders_in_its_row() -> None:
    costs = [Cost("a", name, (Sample(wall, 1, 1, 1),)) for name, wall in (("provision", 0.9), ("ansible", 40.123))]
    costs += [Cost("a", "pyinfra", tuple(Sample(wall, 1, 1, 1) for wall in (1, 2.5, 9)))]
    page = "| 20 hosts [4] | 1 s | **2 s** | 3 s | - |\n| 30 hosts | 1 s | 2 s | 3 s | - |\n"
    made = pages.compared(page, {"20 hosts": "a"}, Found(costs))
    assert made == "| 20 hosts [4] | 0.90 s | 40.1 s | 2.50 s | - |\n| 30 hosts | 1 s | 2 s | 3 s | - |\n"
    with pytest.raises(ValueError, match="0 rows"):
        pages.compared(page, {"40 hosts": "a"}, Found(costs))


def test_every_case_of_the_page_has_rows() -> None:
    """The stored result is of a run of all cases."""
    found = read(pages.RESULT).found
    cases = {cost.case[0] for cost in found.costs} | {value.case[0] for value in found.values}
    assert cases == set(CASES)


def test_a_result_is_stored_and_read_again(tmp_path: Path) -> None:
    found = Found([Cost("a", "provision", (Sample(0.5, 0.2, 60, 700), Sample(0.7, 0.4, 62, 900)))], [])
    found.values.append(Value("a", "pyinfra / provision", 2.5, "x", 3, "least"))
    write(tmp_path / "result.json", Result(MACHINE, found))
    assert read(tmp_path / "result.json") == Result(MACHINE, found)


def test_the_tables_have_medians_targets_and_the_versions_of_the_peers() -> None:
    samples = tuple(Sample(wall, wall / 2, 60.4, 10_500) for wall in (12.34, 0.5, 20))
    found = Found([Cost("d, 100 names", "provision", samples), Cost("a", "--help", (Sample(0.0264, 0.03, 31, 0),))], [])
    found.values += [
        Value("a", "x", 1.234, "x", 1.2),
        Value("a", "y", 1.234, "x", 1.2, "least"),
        Value("a", "z", 2, ""),
    ]
    text = pages.tables(Result(MACHINE, found))
    assert "Of 2026-01-02: 2 cores (CPU), 20 hosts" in text
    assert "ansible-core 2.19.14, pyinfra 3.10.0" in text
    lines = [line for line in text.splitlines() if line.startswith(("| a |", "| d, "))]
    assert lines == [
        "| a | --help | 26 ms | 0.03 s | 31 MB | |",
        "| d, 100 names | provision | 12.3 s | 6.17 s | 60 MB | 10.5 MB |",
        "| a | x | 1.23 x | ≤ 1.2 x | **missed** |",
        "| a | y | 1.23 x | ≥ 1.2 x | kept |",
        "| a | z | 2 | | |",
    ]


def test_only_the_text_between_the_markers_changes() -> None:
    page = f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n"
    made = pages.written(page, Result(MACHINE, Found()))
    assert made.startswith(f"before\n{pages.BEGIN}\n")
    assert made.endswith(f"{pages.END}\nafter\n")
    assert "old" not in made
    assert pages.written(made, Result(MACHINE, Found())) == made


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        pages.written("no markers", Result(MACHINE, Found()))


def test_the_picture_has_a_bar_for_each_contender_and_each_time() -> None:
    found = Found([Cost("a", "pyinfra", (Sample(2.23, 1, 1, 1),))], [])
    found.values += [Value("c, round 1", "provision, whole process", 11.8, "s"), Value("c", "other", 9.87, "s")]
    picture = pages.picture(found)
    assert "2.23 s" in picture
    shown = re.findall(r"[0-9.]+ s", picture)
    assert "11.80 s" in shown
    assert not [text for text in shown if text.startswith("9.8")], "the other value is no whole process"


def test_a_bar_has_the_colour_of_its_tool() -> None:
    """Each name of the stored result; a row of provision in the peers' colour would compare it with itself."""
    found = read(pages.RESULT).found
    bars: dict[str, set[str]] = {}
    for name in {cost.name for cost in found.costs} | {*pages._TIMES.values()}:
        bars.setdefault(plot.kind(name), set()).add(name)
    assert bars == {
        "peer": {"ansible", "ansible with facts", "fabric, five questions", "pyinfra"},
        "floor": {"login + true", "login + reload", "docker's own restart", "package transactions", "python -c pass"},
        "provision": {
            *("provision", "verify", "lint", "lint, 10000 equal hosts", "lint, 10000 different hosts"),
            *("--help", "--version", "--completion", "1 process", "2 processes"),
        },
    }
    classes = set(re.findall(r'class="(\w+)"', pages.PICTURE.read_text()))
    assert classes == {"page", *bars}


def _light(colour: str) -> float:
    """The relative luminance (WCAG 2.1)."""
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [part / 255 for part in bytes.fromhex(digits)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_can_be_read_in_both_schemes(scheme: str) -> None:
    light, dark = pages.PICTURE.read_text().partition("</style>")[0].split("@media (prefers-color-scheme: dark)")
    fills = dict(re.findall(r"\.?(\w+) \{ fill: #(\w+); \}", light if scheme == "light" else dark))
    assert set(fills) == {"page", "text", "provision", "peer", "floor"}
    ground = _light(fills.pop("page"))
    assert (ground > 0.5) is (scheme == "light")
    for name, colour in fills.items():
        low, high = sorted((_light(colour), ground))
        assert (high + 0.05) / (low + 0.05) >= (4.5 if name == "text" else 3), name
