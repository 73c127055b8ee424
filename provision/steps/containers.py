"""Steps that make, change and remove containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from provision.model import Call, Impact, Kept

_DONE = {"stop": "is stopped", "restart": "is restarted"}


def container_put(
    name: str,
    *,
    running: bool,
    within: int,
    steady: int,
    networks: Sequence[str],
    secrets: Mapping[str, str],
    words: Sequence[str],
    differs: tuple[str, ...],
    limit: int,
) -> Call:
    """Make a container from the ``words`` of ``docker create``. An existing container of that name, which ``differs``
    in these fields, is stopped, renamed and kept until the run has succeeded. ``networks`` are those that the new one
    joins after its creation. ``secrets`` are the variables whose values no plan shows. ``within`` and ``steady`` are in
    seconds."""
    hidden = tuple(word for pair in secrets.items() for word in pair)
    state = "running" if running else "created"
    head = (name, state, str(within), str(steady), " ".join(networks), str(len(secrets)))
    keys = ", ".join(differs)
    return Call(
        "container_put",
        (*head, *hidden, *words),
        title=f"replace the container {name} ({keys})" if differs else f"create the container {name}",
        impact=Impact("stop", "", f"recreated because of: {keys}") if differs else None,
        keeps=_kept(name),
        limit=limit,
    )


def container_follow(reference: str, *, put: Call) -> Call:
    """Do ``put`` only where the name of its image stands for another image when the step runs."""
    return replace(
        put,
        function="container_follow",
        args=(reference, *put.args),
        title=f"{put.title} if {reference} then names another image",
        impact=Impact("stop", "", "recreated if its image name then names another image"),
    )


def container_state(
    name: str, *, verb: Literal["start", "restart", "stop"], within: int, steady: int, limit: int
) -> Call:
    return Call(
        "container_state",
        (name, verb, str(within), str(steady)),
        title=f"{verb} the container {name}",
        impact=Impact("stop", "", _DONE[verb]) if verb in _DONE else None,
        keeps=_kept(name),
        limit=limit,
    )


def container_remove(name: str, *, limit: int) -> Call:
    return Call(
        "container_remove",
        (name,),
        title=f"remove the container {name}",
        impact=Impact("stop", "", "is stopped and removed"),
        keeps=_kept(name),
        limit=limit,
    )


def _kept(name: str) -> tuple[Kept, ...]:
    return (Kept("container", name),)
