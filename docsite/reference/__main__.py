"""Write the reference pages, the man page and the page of each lint rule: ``python -m docsite.reference docs``."""

from __future__ import annotations

import sys
from pathlib import Path

from docsite.reference import manual, pages
from provision.lint import pages as rules


def write(folder: Path, texts: dict[str, str]) -> None:
    """Replace all pages of a directory."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    write(docs / "reference", pages())
    write(docs / "lint", rules.pages())
    (docs / "man").mkdir(exist_ok=True)
    (docs / "man/provision.1").write_text(manual.page(), encoding="utf-8")
