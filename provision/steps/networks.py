"""Steps that change docker's networks. ``words`` are those of ``docker network create``; ``before`` are the words that
made the network as it is now, one word a line."""

from __future__ import annotations

from collections.abc import Sequence

from provision.model import Call, Impact, Kept


def network_put(name: str, *, words: Sequence[str], before: str = "-", private: tuple[int, ...] = ()) -> Call:
    return Call(
        "network_put",
        (name, *words),
        title=f"create the network {name}",
        keeps=(Kept("network", name, before),),
        private=private,
    )


def network_replace(
    name: str, *, words: Sequence[str], before: str, differs: Sequence[str], private: tuple[int, ...] = ()
) -> Call:
    keys = ", ".join(differs)
    return Call(
        "network_replace",
        (name, *words),
        title=f"replace the network {name} ({keys})",
        impact=Impact("reload", "", f"recreated ({keys}); its containers lose this network for a moment"),
        keeps=(Kept("network", name, before),),
        private=private,
    )


def network_remove(name: str, *, before: str) -> Call:
    return Call("network_remove", (name,), title=f"remove the network {name}", keeps=(Kept("network", name, before),))
