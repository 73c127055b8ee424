"""Steps that change docker's volumes. Volumes are data: the host keeps no copy of them."""

from __future__ import annotations

from collections.abc import Sequence

from provision.model import Call, Impact, Risk


def volume_put(name: str, *, words: Sequence[str]) -> Call:
    """``words`` are those of ``docker volume create``."""
    return Call("volume_put", (name, *words), title=f"create the volume {name}", risk=Risk.NONE)


def volume_remove(name: str) -> Call:
    """The volume is removed at the end of a successful run."""
    return Call(
        "volume_remove",
        (name,),
        title=f"remove the volume {name} and its data",
        impact=Impact("stop", "", "its data is removed, and no rollback can restore it"),
    )
