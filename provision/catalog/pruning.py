"""A timer on the host removes images that no container uses; those that the spec names stay."""

from __future__ import annotations

from collections.abc import Iterator

from provision.catalog.context import CompileContext
from provision.catalog.images import named
from provision.catalog.timers import timer
from provision.model import Resource
from provision.remote.sources import SH
from provision.resources.docker.fields import nanoseconds, size
from provision.resources.docker.inspected import familiar
from provision.resources.file import File

_PROGRAM = "/usr/local/lib/provision/prune-images"


def pruning(ctx: CompileContext) -> Iterator[Resource]:
    declared = ctx.spec.prune
    if declared is None:
        return
    yield File(_PROGRAM, (SH / "host" / "prune.sh").read_bytes(), mode="0755")
    kept = dict.fromkeys(familiar(name) for name in named(ctx))
    seconds = nanoseconds(declared.after) // 10**9
    words = " ".join([_PROGRAM, str(seconds), str(size(declared.free) // 1024), *kept])
    yield from timer(
        ctx, "provision-prune", "Remove images that no container uses", declared.every, (f"ExecStart={words}",)
    )
