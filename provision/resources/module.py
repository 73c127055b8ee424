"""A kernel module, loaded now. A separate drop-in file loads it at boot (modules-load.d(5))."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from provision.lines import BLANK, lines_of
from provision.model import Call, Drift, HostReport, State
from provision.resources.base import Base


class KernelModule(Base, frozen=True):
    kind = "module"
    desired = ("live", "loaded")

    name: str

    def look(self) -> tuple[Call, ...]:
        return (Call("look_modules", (self._kernel_name,)),)

    def seen(self, report: HostReport) -> State:
        (found,) = report.fields("module", self._kernel_name)
        return {"live": "loaded" if found in ("loaded", "builtin") else found}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("module_load", (self.name,), title=f"load the kernel module {self.name}")

    @property
    def _kernel_name(self) -> str:
        """The kernel's own spelling: file names may have hyphens, the names in /sys/module never do."""
        return self.name.replace("-", "_")


class ModulesElsewhere(Struct, frozen=True):
    """A condition: the host's own files already load every one of ``names`` at boot."""

    names: tuple[str, ...]

    @property
    def look(self) -> Call:
        return Call("look_module_files")

    def __call__(self, report: HostReport) -> bool:
        (lines,) = report.fields("module_files")
        listed = {line.strip(BLANK).replace("-", "_") for line in lines_of(lines)}
        return {name.replace("-", "_") for name in self.names} <= listed
