"""Markdown: tables, anchors, and the text of cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """Text in a cell of a table: one line, and no bar that ends the cell. In code, a bar is escaped too."""
    return " ".join(text.replace("|", "\\|").split())


def code(text: str) -> str:
    """``text`` as code; an empty text is unchanged."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def anchor(heading: str) -> str:
    """The anchor that Markdown gives a heading (toc's slugify, and GitHub's for such plain headings)."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def prose(text: str) -> str:
    """A docstring as Markdown: with the same paragraphs, and with ``code`` and :class:`names` as code."""
    text = re.sub(r":[a-z]+:`~?([^`]*)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    text = text.replace("``", "`")
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
