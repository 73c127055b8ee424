"""The verification at the end of a host's run, by the suites that a rollout or ``--verify`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.load import Loaded
    from provision.model import Event, Failure
    from provision.rollout.run_request import Verify


def verification(found: Loaded) -> Verify:
    """The suites for hosts with open connections; testinfra is loaded at the first use. Raises :class:`SpecError` for
    an unknown suite in a rollout."""

    def verify(
        held: list[Any], emit: Callable[[Event], None], suites: tuple[str, ...], forks: int
    ) -> dict[str, Failure | None]:
        from provision.verify.run import VerifyRequest, prove

        return prove(found.context, VerifyRequest(suites, forks), held, emit)

    _check_suites(found)
    return verify


def _check_suites(found: Loaded) -> None:
    rollouts = [config.rollout_options for config in found.configs if config.rollout_options is not None]
    wanted = {(part.play, suite) for part, rollout_options in rollouts for suite in rollout_options.verify}
    if not wanted:
        return
    from provision.errors import SpecError
    from provision.text.yamlfile import nearest
    from provision.verify.run import known_suites

    known = known_suites(found.configs)
    for play, suite in sorted(wanted):
        if suite not in known:
            hint = nearest(suite, known) or f"there are: {', '.join(known)}"
            raise SpecError(f"play {play!r} has no suite {suite}", key="rollout.verify", hint=hint)
