"""Group hosts into stages. The hosts of a play with a ``rollout`` are one stage; the other hosts come before them, all
at once. A host that needs what another one makes (:mod:`provision.project.dependencies`) belongs to a later stage."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from provision.errors import SpecError
from provision.project.dependencies import Dependencies
from provision.project.host_config import HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.rollout.waves import Schedule, ordered, waves


class Stage(Struct, frozen=True):
    """``rollout_options`` is ``None`` for hosts of plays without a rollout: one wave, without a budget. Otherwise
    ``play`` is the name of the play."""

    play: str
    rollout_options: RolloutOptions | None
    schedule: Schedule


def stages(
    configs: Iterable[HostConfig], dependencies: Dependencies, seed: str = "", paced: bool = True
) -> list[Stage]:
    """The stages of a run: first by level of dependency, then in the playbook's order. ``seed`` is the seed of
    ``order: shuffle``. Without ``paced``, all hosts of a level run at once.

    Raises :class:`SpecError` for a host without the domain, and for a rollout with hosts that need each other.
    """
    configs = list(configs)
    of_play: dict[int, list[HostConfig]] = {}
    for config in configs:
        number = config.rollout_options[0].number if paced and config.rollout_options is not None else -1
        of_play.setdefault(number, []).append(config)
    found: dict[tuple[int, int], list[HostConfig]] = {}
    for number, group in of_play.items():
        for config in group:
            level = dependencies.level.get(config.host.name, 0)
            if number >= 0:
                level = _level_of_all(group, dependencies)
            found.setdefault((level, number), []).append(config)
    return [_stage(found[key], key[1], seed) for key in sorted(found)]


def _level_of_all(group: list[HostConfig], dependencies: Dependencies) -> int:
    """The hosts of a play with a rollout run together, when all their dependencies are ready."""
    names = {config.host.name for config in group}
    for config in group:
        for other, what in dependencies.after.get(config.host.name, {}).items():
            if other in names:
                raise SpecError(
                    f"{config.host.name} comes after {other} ({what}), but both are in the rollout of one play",
                    key="rollout",
                    hint="put them in separate plays",
                )
    return max(dependencies.level.get(name, 0) for name in names)


def _stage(configs: list[HostConfig], number: int, seed: str) -> Stage:
    names = [config.host.name for config in configs]
    if number < 0 or configs[0].rollout_options is None:
        return Stage("", None, Schedule(waves(names)))
    part, rollout_options = configs[0].rollout_options
    domain = rollout_options.domain
    domains = {config.host.name: _domain(config, domain.variable) for config in configs} if domain else None
    order = ordered(names, rollout_options.order, seed)
    cut = waves(order, rollout_options.serial, domains, domain.apart if domain else "waves")
    return Stage(part.play, rollout_options, Schedule(cut, rollout_options.max_failures, domains))


def _domain(config: HostConfig, variable: str) -> str:
    value = config.scope.get(variable)
    if not isinstance(value, (str, int)) or value == "":
        raise SpecError(
            f"host {config.host.name} has no variable {variable}, and the rollout needs it to separate its domains",
            key="rollout.domain",
            hint="set it for each host or group",
        )
    return str(value)
