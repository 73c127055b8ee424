"""The base of the resources."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from provision.model import Call, State
from provision.resources.declaration import Place


class Base(Struct, frozen=True):
    """A resource whose id is ``kind:name``. The name is the first field, unless the subclass has a ``name``.

    What is the same for all resources of a class is data of the class: the key and the value that are ``desired``, the
    shell function that ``looks`` at a name, the first word of the ``entry`` that a manifest has of it, before the name
    (none without a word), and its ``place`` among the resources of a host.
    """

    kind: ClassVar[str]
    desired: ClassVar[tuple[str, str]]
    looks: ClassVar[str] = ""
    entry: ClassVar[str] = ""
    place: ClassVar[Place] = Place.FILES

    @property
    def name(self) -> str:
        return str(getattr(self, self.__struct_fields__[0]))

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def makes(self) -> tuple[str, ...]:
        return (f"{self.entry} {self.name}",) if self.entry else ()

    def want(self) -> State:
        return dict((self.desired,))

    def look(self) -> tuple[Call, ...]:
        return (Call(self.looks, (self.name,)),) if self.looks else ()
