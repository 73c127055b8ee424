"""Steps that start and remove projects of docker compose."""

from __future__ import annotations

from provision.model import LONG, Call, Impact, Kept


def compose_up(name: str, *, file: str, within: int, images: tuple[str, ...], runs: bool) -> Call:
    """``within`` is in seconds; ``runs`` says whether the project has containers now."""
    return Call(
        "compose_up",
        (name, file, str(within)),
        title=f"start the compose project {name}",
        impact=Impact("stop", "", "services that differ are recreated") if runs else None,
        keeps=(Kept("compose", name, file),),
        pulls=images,
        limit=LONG + within,
    )


def compose_down(name: str, *, file: str) -> Call:
    return Call(
        "compose_down",
        (name,),
        title=f"stop and remove the compose project {name}",
        impact=Impact("stop", "", "is stopped and removed"),
        keeps=(Kept("compose", name, file),),
        limit=LONG,
    )
