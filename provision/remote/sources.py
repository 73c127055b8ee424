"""The shell files that scripts are made of: their text as a host receives it, and the functions that they define.

``sh/look`` and ``sh/fix`` have whole files for one of the two kinds of script. ``sh/resources`` has the look and the
fix of a resource in one file. A script gets only the part of its kind. This part begins with the line
``# --- look ---`` or ``# --- fix ---``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from pathlib import Path
from typing import NamedTuple, TypeVar

from provision.lines import lines_of

SH = Path(__file__).parent.parent / "sh"
#: The kinds of script, each with a directory of its own.
KINDS = ("look", "fix")

_Asked = TypeVar("_Asked", bound=Hashable)
_Found = TypeVar("_Found")
_FINDING = threading.RLock()


def once(find: Callable[[_Asked], _Found]) -> Callable[[_Asked], _Found]:
    """Cache the results. The threads of all hosts ask for the same result at the same moment. The first one finds it
    and the others wait; otherwise each thread would read all the files."""
    kept = lru_cache(maxsize=256)(find)

    @wraps(find)
    def found(asked: _Asked) -> _Found:
        with _FINDING:
            return kept(asked)

    return found


class Source(NamedTuple):
    """A shell file, or one part of it."""

    path: Path
    part: str = ""

    @property
    def label(self) -> str:
        """The name for a reader: ``fix/files.sh``, ``resources/sysctl.sh (look)``."""
        name = self.path.relative_to(SH).as_posix()
        return f"{name} ({self.part})" if self.part else name


@once
def sources(kind: str) -> tuple[Source, ...]:
    """The sources for scripts of a kind, in the order of their names."""
    whole = [Source(path) for path in (SH / kind).glob("*.sh")]
    parts = [Source(path, kind) for path in (SH / "resources").glob("*.sh")]
    return tuple(sorted(whole + parts, key=lambda source: source.path.name))


@once
def defined(kind: str) -> dict[Source, set[str]]:
    """The functions that each source of a kind defines."""
    return {source: set(re.findall(r"^([a-z_]+)\(\)", included(source), re.MULTILINE)) for source in sources(kind)}


@once
def included(source: Source) -> str:
    """The text of a source without its comments and blank lines: a host does not need them."""
    lines = lines_of(source.path.read_text())
    if source.part:
        lines = _part(lines, source.part)
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _part(lines: list[str], part: str) -> list[str]:
    """The lines between the marker of a part and the next marker."""
    marks = {number: line for number, line in enumerate(lines) if line in (f"# --- {kind} ---" for kind in KINDS)}
    begin = next((number for number, line in marks.items() if line == f"# --- {part} ---"), len(lines))
    return lines[begin : next((number for number in marks if number > begin), len(lines))]
