"""What can be undone: all kinds that a run keeps, and all entries of a manifest. The modules of the resources declare
them. A kind declares how a run keeps the old state on the host, how the host restores it, and which resources
``provision rollback`` makes from the record later. An entry declares what removes an undeclared object.

:mod:`provision.planning.prepare` (the undo of a run), :mod:`provision.planning.rollback` and
:mod:`provision.planning.manifest` read this registry, and name no kind themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.resources.declaration import Entry, Kind, RecordLine
from provision.resources.discovery import entries, kinds

KINDS: Mapping[str, Kind] = kinds()
#: First word of a manifest's entry -> what the registry has for it; the same for a record's line.
ENTRIES: Mapping[str, Entry] = entries()
LINES: Mapping[str, RecordLine] = {word: line for kind in KINDS.values() for word, line in kind.lines.items()}
