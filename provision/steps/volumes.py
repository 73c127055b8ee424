"""Steps with docker's volumes. They are data: the host keeps none of them."""

from __future__ import annotations

from collections.abc import Sequence

from provision.model import Call, Impact, Risk


def volume_put(name: str, *, words: Sequence[str]) -> Call:
    """``words`` are those of ``docker volume create``."""
    return Call("volume_put", (name, *words), title=f"create the volume {name}", risk=Risk.NONE)


def volume_remove(name: str) -> Call:
    """It is removed when the run has succeeded."""
    return Call(
        "volume_remove",
        (name,),
        title=f"remove the volume {name} and its data",
        impact=Impact("stop", "", "its data is removed, and no rollback brings it back"),
    )
