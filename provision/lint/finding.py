"""One fault, and its place."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from provision.errors import Where

#: ``error``: dockerd refuses it, fails with it or can't do what it says; ``warning``: it works, but has a drawback.
Level = Literal["error", "warning"]


class Rule(Struct, frozen=True):
    """``why`` and ``instead`` are sentences; ``bad`` and ``good`` are examples; ``source`` names the source of the
    rule."""

    id: str
    name: str
    level: Level
    why: str
    instead: str
    bad: str
    good: str
    source: str


class Finding(Struct, frozen=True):
    """``message`` says what is wrong here, ``hint`` is the solution for this place. ``level`` may be lower than the
    rule's (for an engine that accepts what a later one refuses)."""

    rule: Rule
    where: Where
    message: str
    hint: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.level} {self.rule.id} {self.message}" + (f" ({self.hint})" if self.hint else "")
