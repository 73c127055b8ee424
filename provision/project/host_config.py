"""Inventory and playbook, put together: what each host should be, before anybody has looked at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from provision.distros import Distribution
from provision.errors import SpecError, UsageError
from provision.inventory import Inventory
from provision.model import Host
from provision.project.lockfile import Locks, beside, read
from provision.project.playbook import Play
from provision.project.rollout_options import RolloutOptions
from provision.spec import Spec
from provision.spec.validate import validate
from provision.text.merge import refine, unite
from provision.text.render import Scope, Templates
from provision.text.yamlfile import Map


class Declared(Struct, frozen=True):
    """One play's part in a host; ``number`` is the play's place in the playbook."""

    play: str
    slug: str
    spec: Spec
    verify: tuple[Path, ...] = ()
    rollout: RolloutOptions | None = None
    number: int = 0


class HostConfig(Struct, frozen=True):
    """What one host should be: its plays in order, and all of them together in ``spec``."""

    host: Host
    scope: Scope
    plays: tuple[Declared, ...]
    spec: Spec
    source: Map
    #: the project's own rows of the table of distributions
    distributions: tuple[Distribution, ...] = ()

    @property
    def rollout_options(self) -> tuple[Declared, RolloutOptions] | None:
        """The play whose ``rollout`` paces the host, and that; one play at most has it."""
        return next(((part, part.rollout) for part in self.plays if part.rollout is not None), None)

    def hook(self, when: Literal["before", "after"]) -> tuple[str, ...] | None:
        """The words of the play's command for this host, with its variables in them; ``None`` where it has none.
        Raises :class:`SpecError` for a template that fails."""
        if self.rollout_options is None:
            return None
        hooks = self.rollout_options[1].before if when == "before" else self.rollout_options[1].after
        if hooks.host is None:
            return None
        return tuple(str(self.scope.render(word, "rollout")) for word in hooks.host)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a host's templates and files come from."""

    templates: Templates
    files: tuple[Path, ...]
    #: the playbook's own
    folder: Path = Path()
    #: exact versions that hosts follow
    locks: Locks = field(default_factory=dict)
    #: what has been worked out already: checking, looking and planning all ask for the same
    memo: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    #: which host pushes an image in this run, and the digests of those that are pushed by now
    pushed_by: dict[str, str] = field(default_factory=dict, compare=False)
    published: dict[str, str] = field(default_factory=dict, compare=False)
    #: authorities that are not there yet: text stands for their certificates, which ``apply`` makes before it connects
    foreseen: set[str] = field(default_factory=set, compare=False)
    #: host with a registry -> the hosts that are to use it, with their addresses
    clients: dict[str, dict[str, str]] = field(default_factory=dict, compare=False)

    def find(self, name: str) -> Path | None:
        """Where a file or folder of that name is; ``None`` when there is none."""
        return next((folder / name for folder in self.files if (folder / name).exists()), None)

    def read(self, name: str) -> bytes | None:
        """The bytes of a ``src`` file, read once for all hosts; ``None`` when there is none of that name."""
        key = ("src", name)
        if key not in self.memo:
            path = self.find(name)
            self.memo[key] = path.read_bytes() if path is not None and path.is_file() else None
        content: bytes | None = self.memo[key]
        return content


def context(playbook: Path) -> Context:
    folder = playbook.parent
    return Context(Templates(folder / "templates"), (folder / "files", folder), folder, read(beside(playbook)))


def declare(
    inventory: Inventory,
    plays: list[Play],
    limit: str | None = None,
    login: Callable[[Host], Host] = lambda host: host,
) -> list[HostConfig]:
    """Every host of every play, in inventory order, with its validated spec.

    ``login`` may refine how a host is reached (options of the command line). Raises :class:`SpecError` for
    whatever is wrong in the files and :class:`UsageError` when no host is left.
    """
    chosen: dict[str, list[tuple[int, Play]]] = {}
    for number, play in enumerate(plays):
        for host in inventory.limit(inventory.select(play.hosts, where=play.hosts_where, key="hosts"), limit):
            chosen.setdefault(host, []).append((number, play))
    if not chosen:
        raise UsageError(f"no host of the playbook matches --limit {limit}" if limit else "the playbook names no host")
    return [_config(inventory, name, chosen[name], login) for name in inventory.tree.hosts if name in chosen]


def _config(
    inventory: Inventory, name: str, plays: list[tuple[int, Play]], login: Callable[[Host], Host]
) -> HostConfig:
    _paced_once(name, plays)
    parts: list[tuple[int, Play, Map]] = []
    for number, play in plays:
        scope, own = inventory.scope(name, play.vars)
        parts.append((number, play, scope.whole(refine(play.spec, own), "spec")))
    try:
        united = reduce(unite, (part for _, _, part in parts))
        declared = tuple(
            Declared(play.name, play.slug, validate(Spec, part), play.verify, play.rollout, number)
            for number, play, part in parts
        )
        spec = declared[0].spec if len(declared) == 1 else validate(Spec, united)
    except SpecError as error:
        raise SpecError(f"{error.message} [host {name}]", where=error.where, key=error.key, hint=error.hint) from error
    return HostConfig(login(inventory.host(name, scope)), scope, declared, spec, united)


def _paced_once(name: str, plays: list[tuple[int, Play]]) -> None:
    """A host goes with one wave: two plays that pace it contradict each other."""
    paced = [play for _, play in plays if play.rollout is not None]
    if len(paced) > 1:
        raise SpecError(
            f"host {name} has a rollout in two plays ({paced[0].name!r} and {paced[1].name!r})",
            where=paced[1].where,
            key="rollout",
            hint="give it to one of them",
        )
