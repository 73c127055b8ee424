"""The base of the resources."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Base(Struct, frozen=True):
    """A resource whose id is ``kind:name``, and which leaves no entry in a manifest. The name is the first field,
    unless the subclass has a ``name``."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        return str(getattr(self, self.__struct_fields__[0]))

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()
