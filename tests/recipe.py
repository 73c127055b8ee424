"""The recipe of CONTRIBUTING.md, "Add a resource, file by file": its blocks, written into a copy of the repository.

``<!-- file: NAME -->`` above a block makes a file. ``<!-- insert: NAME before: TEXT -->`` inserts the block before the
first line that begins with TEXT. ``python -m tests.recipe FOLDER`` follows the recipe there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_MARK = re.compile(
    r"^<!-- (?P<what>file|insert): (?P<name>\S+)(?: before: (?P<before>.*?))? -->\n```[a-z]+\n(?P<text>.*?\n)```$",
    re.MULTILINE | re.DOTALL,
)


def follow(folder: Path) -> list[str]:
    """Write the blocks of the recipe below ``folder``; returns the names of the files."""
    page = (folder / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = page.split("\n## Add a resource, file by file\n")[1].split("\n## ")[0]
    names = []
    for mark in _MARK.finditer(recipe):
        path = folder / mark["name"]
        if mark["what"] == "file":
            path.write_text(mark["text"], encoding="utf-8")
        else:
            before, found, after = f"\n{path.read_text(encoding='utf-8')}".partition(f"\n{mark['before']}")
            assert found, f"{mark['name']} has no line that begins with {mark['before']!r}"
            path.write_text(f"{before}\n{mark['text']}{mark['before']}{after}"[1:], encoding="utf-8")
        names.append(mark["name"])
    return names


if __name__ == "__main__":
    print("\n".join(follow(Path(sys.argv[1]))))
