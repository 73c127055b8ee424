"""Who goes with whom: hosts that one play's ``rollout`` paces are one stage; the others go first, all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.declare import Wish
from provision.errors import SpecError
from provision.pacing import Pacing
from provision.waves import Schedule, ordered, waves


@dataclass(frozen=True, slots=True)
class Stage:
    """``pacing`` is ``None`` for hosts that no play paces: one wave, without a budget. ``play`` names the other's."""

    play: str
    pacing: Pacing | None
    schedule: Schedule


def stages(wishes: Iterable[Wish], seed: str = "") -> list[Stage]:
    """The stages of a run, in the playbook's order; ``seed`` is what ``order: shuffle`` goes by.

    Raises :class:`SpecError` for a host that has no such domain.
    """
    of_play: dict[int, list[Wish]] = {}
    for wish in wishes:
        paced = [part.number for part in wish.plays if part.rollout is not None]
        of_play.setdefault(paced[0] if paced else -1, []).append(wish)
    return [_stage(of_play[number], number, seed) for number in sorted(of_play)]


def _stage(wishes: list[Wish], number: int, seed: str) -> Stage:
    names = [wish.host.name for wish in wishes]
    if number < 0:
        return Stage("", None, Schedule(waves(names)))
    part = next(part for part in wishes[0].plays if part.number == number)
    pacing = part.rollout
    if pacing is None:
        raise RuntimeError("a stage of a play that paces nobody")
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
