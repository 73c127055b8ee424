"""A file of evidence (``evidence/ID-VERSION.json``): its fields, and the strict decoding of a contributed one.

Each text is limited to a small set of characters, because it comes from a host or a contributor, and is shown in pages.
There is no field for an address, a host's name or a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from provision.errors import SpecError, Where

FORMAT: Literal[1] = 1

#: What the host is. ``machine``: the distribution with its own kernel, on hardware or in a virtual machine.
#: ``container``: the distribution's programs on the kernel of another system. ``look-alike``: another distribution
#: under this one's name, as the lab has them.
Kind = Literal["machine", "container", "look-alike"]
KINDS: tuple[Kind, ...] = ("machine", "container", "look-alike")

Outcome = Literal["passed", "failed", "skipped"]

Word = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._+~:^-]{0,63}\Z")]
#: A word, or nothing: a rolling distribution has no version.
Optional = Annotated[str, Meta(pattern=r"\A([A-Za-z0-9][A-Za-z0-9._+~:^-]{0,63})?\Z")]
Line = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9 .,:;/()_+~!'=-]{0,200}\Z")]
Seconds = Annotated[float, Meta(ge=0, le=1_000_000)]

#: The steps that must pass: if one of them is missing, the file proves nothing about the distribution.
NEEDED = ("applied", "idempotent", "rolled back", "verified")


class Distribution(Struct, frozen=True, forbid_unknown_fields=True):
    """``id``, ``version`` and ``name`` are ID, VERSION_ID and PRETTY_NAME of os-release(5)."""

    id: Word
    version: Optional
    name: Line


class System(Struct, frozen=True, forbid_unknown_fields=True):
    """``virtualization`` is the word of systemd-detect-virt(1), or ``unknown``."""

    kind: Kind
    kernel: Word
    architecture: Word
    virtualization: Word
    services: Literal["systemd", "openrc"]


Source = Literal["docker", "distribution", "installed"]


class Engine(Struct, frozen=True, forbid_unknown_fields=True):
    """``source`` is the ``engine.source`` of the spec, or the effective one where the spec has none. ``mirror`` says
    that Docker's packages did not come from Docker's own server: a mirror may have others, as the lab's has."""

    source: Source
    mirror: bool
    version: Optional


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """``seen`` is what shows that it passed. ``reason`` says why it was skipped or failed."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z -]{0,39}\Z")]
    outcome: Outcome
    seconds: Seconds
    seen: Line = ""
    reason: Line = ""


class Evidence(Struct, frozen=True, forbid_unknown_fields=True):
    """``date`` is the day (ISO 8601, UTC) of the run; ``transport`` is provision_transport."""

    format: Literal[1]
    provision: Word
    date: Annotated[str, Meta(pattern=r"\A20[0-9]{2}-[01][0-9]-[0-3][0-9]\Z")]
    distribution: Distribution
    system: System
    engine: Engine
    transport: Literal["ssh", "openssh"]
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=100)]

    @property
    def file(self) -> str:
        """Its name without a suffix: ``debian-13``, ``debian-13-container``, ``rocky-9.4-look-alike``. Evidence of a
        container, a look-alike or another source of the engine never replaces the file of the distribution itself."""
        parts = [self.distribution.id, self.distribution.version]
        parts += [self.system.kind] if self.system.kind != "machine" else []
        parts += [f"{self.engine.source}-engine"] if self.engine.source != "docker" else []
        return "-".join(part for part in parts if part)

    @property
    def failed(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.outcome == "failed")

    @property
    def proves(self) -> bool:
        """Whether it shows that provision works there: no step failed, and none that is needed was skipped."""
        passed = {step.name for step in self.steps if step.outcome == "passed"}
        return not self.failed and passed.issuperset(NEEDED)


def encoded(evidence: Evidence) -> bytes:
    return msgspec.json.format(msgspec.json.encode(evidence), indent=2) + b"\n"


def read(path: Path) -> Evidence:
    """Decode a file. Raises :class:`SpecError` for one that is not exactly in the format, or whose name does not match
    its content."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Evidence)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise SpecError(f"is not a file of evidence: {error}", where=Where(path, 1)) from error
    for step in found.steps:
        if step.outcome != "passed" and not step.reason:
            raise SpecError(f"step {step.name!r} is {step.outcome} without a reason", where=Where(path, 1))
    if path.name != f"{found.file}.json":
        raise SpecError(f"must be named {found.file}.json", where=Where(path, 1))
    return found


def read_all(folder: Path) -> tuple[Evidence, ...]:
    """Every file of evidence in a directory, in the order of their names."""
    return tuple(read(path) for path in sorted(folder.glob("*.json")))


def line(text: str) -> str:
    """A text in the alphabet of :data:`Line`: other characters become ``?``."""
    return re.sub(r"[^A-Za-z0-9 .,:;/()_+~!'=-]", "?", text)[:200]


def word(text: str) -> str:
    """A text in the alphabet of :data:`Word`: other characters become ``_``; an empty text stays empty."""
    return re.sub(r"\A[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9._+~:^-]", "_", text))[:64]
