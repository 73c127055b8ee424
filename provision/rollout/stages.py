"""Who goes with whom: hosts that one play's ``rollout`` paces are one stage; the others go first, all at once. A host
that needs what another one makes (:mod:`provision.project.dependencies`) is of a later stage."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from provision.errors import SpecError
from provision.project.dependencies import Needs
from provision.project.host_config import Wish
from provision.project.rollout_options import Pacing
from provision.rollout.waves import Schedule, ordered, waves


class Stage(Struct, frozen=True):
    """``pacing`` is ``None`` for hosts that no play paces: one wave, without a budget. ``play`` names the other's."""

    play: str
    pacing: Pacing | None
    schedule: Schedule


def stages(wishes: Iterable[Wish], needs: Needs, seed: str = "", paced: bool = True) -> list[Stage]:
    """The stages of a run: level by level of who needs whom, and on each in the playbook's order; ``seed`` is what
    ``order: shuffle`` goes by. Not ``paced``, all of a level go at once.

    Raises :class:`SpecError` for a host that has no such domain, and for a play that paces hosts that need each other.
    """
    wishes = list(wishes)
    of_play: dict[int, list[Wish]] = {}
    for wish in wishes:
        number = wish.pacing[0].number if paced and wish.pacing is not None else -1
        of_play.setdefault(number, []).append(wish)
    found: dict[tuple[int, int], list[Wish]] = {}
    for number, group in of_play.items():
        for wish in group:
            level = needs.level.get(wish.host.name, 0)
            if number >= 0:
                level = _level_of_all(group, needs)
            found.setdefault((level, number), []).append(wish)
    return [_stage(found[key], key[1], seed) for key in sorted(found)]


def _level_of_all(group: list[Wish], needs: Needs) -> int:
    """The hosts of a play with a rollout go together, when all have what they need."""
    names = {wish.host.name for wish in group}
    for wish in group:
        for other, what in needs.after.get(wish.host.name, {}).items():
            if other in names:
                raise SpecError(
                    f"{wish.host.name} comes after {other} ({what}), but one play's rollout has both",
                    key="rollout",
                    hint="give them a play each",
                )
    return max(needs.level.get(name, 0) for name in names)


def _stage(wishes: list[Wish], number: int, seed: str) -> Stage:
    names = [wish.host.name for wish in wishes]
    if number < 0 or wishes[0].pacing is None:
        return Stage("", None, Schedule(waves(names)))
    part, pacing = wishes[0].pacing
    domain = pacing.domain
    domains = {wish.host.name: _domain(wish, domain.variable) for wish in wishes} if domain else None
    order = ordered(names, pacing.order, seed)
    cut = waves(order, pacing.serial, domains, domain.apart if domain else "waves")
    return Stage(part.play, pacing, Schedule(cut, pacing.max_failures, domains))


def _domain(wish: Wish, variable: str) -> str:
    value = wish.scope.get(variable)
    if not isinstance(value, (str, int)) or value == "":
        raise SpecError(
            f"host {wish.host.name} has no {variable}, by which the rollout keeps domains apart",
            key="rollout.domain",
            hint="a variable of each host, or of its group",
        )
    return str(value)
