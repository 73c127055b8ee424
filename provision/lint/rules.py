"""Every rule, by its id. ``rules.yml`` has their texts: the docs' pages and the findings are made from it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from provision.errors import Where
from provision.lint.finding import Finding, Level, Rule

_FOLDER = Path(__file__).parent
_TEXTS = msgspec.yaml.decode((_FOLDER / "rules.yml").read_bytes(), type=dict[str, dict[str, str]])
RULES = {id: msgspec.convert({"id": id, **texts}, Rule) for id, texts in _TEXTS.items()}
#: Lists of names, each by what it has (``names.yml``).
NAMES = msgspec.yaml.decode((_FOLDER / "names.yml").read_bytes(), type=dict[str, tuple[str, ...]])


def finding(id: str, where: Where, message: str, hint: str = "", level: Level | None = None) -> Finding:
    """A finding of the rule ``id``, at the rule's level unless ``level`` is given."""
    return Finding(RULES[id], where, message, hint, level or RULES[id].level)
