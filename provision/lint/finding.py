"""One thing that is wrong, and where."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from provision.errors import Where

#: ``error``: dockerd refuses it, dies of it or can't do what it says; ``warning``: it works, until it is regretted.
Level = Literal["error", "warning"]


class Rule(Struct, frozen=True):
    """``why`` and ``instead`` are sentences; ``bad`` and ``good`` are examples; ``source`` is where it is from."""

    id: str
    name: str
    level: Level
    why: str
    instead: str
    bad: str
    good: str
    source: str


class Finding(Struct, frozen=True):
    """``message`` says what is wrong here, ``hint`` the way out of just this; ``level`` may be milder than the rule's
    (an engine that takes what a later one refuses)."""

    rule: Rule
    where: Where
    message: str
    hint: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.level} {self.rule.id} {self.message}" + (f" ({self.hint})" if self.hint else "")
