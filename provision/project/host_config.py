"""Host configurations from inventory and playbook: what each host should have, before provision connects to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from provision.distros import Distribution
from provision.errors import SpecError, UsageError
from provision.inventory import Inventory
from provision.model import Host
from provision.project.lockfile import Locks, of_playbook, read
from provision.project.memo import Memo
from provision.project.playbook import Play
from provision.project.rollout_options import RolloutOptions
from provision.spec import Engine, Spec
from provision.spec.validate import misread, validate, validate_field
from provision.text.merge import refine, unite
from provision.text.render import Fixed, Scope, Templates
from provision.text.yamlfile import Map


class Declared(Struct, frozen=True):
    """What one play declares for a host; ``number`` is the play's position in the playbook."""

    play: str
    slug: str
    spec: Spec
    verify: tuple[Path, ...] = ()
    rollout: RolloutOptions | None = None
    number: int = 0


class HostConfig(Struct, frozen=True):
    """What one host should have: its plays in order, and all of them merged in ``spec``."""

    host: Host
    scope: Scope
    plays: tuple[Declared, ...]
    spec: Spec
    source: Map
    #: the project's own rows of the table of distributions
    distributions: tuple[Distribution, ...] = ()

    @property
    def rollout_options(self) -> tuple[Declared, RolloutOptions] | None:
        """The play whose ``rollout`` applies to the host, and its options; at most one play has it."""
        return next(((part, part.rollout) for part in self.plays if part.rollout is not None), None)

    def hook(self, when: Literal["before", "after"]) -> tuple[str, ...] | None:
        """The words of the play's command for this host, with its variables rendered; ``None`` where it has none.
        Raises :class:`SpecError` for a template that fails."""
        if self.rollout_options is None:
            return None
        hooks = self.rollout_options[1].before if when == "before" else self.rollout_options[1].after
        if hooks.host is None:
            return None
        return tuple(str(self.scope.render(word, "rollout")) for word in hooks.host)


@dataclass(frozen=True, slots=True)
class Context:
    """The data that all hosts of a project share: where templates and files come from, and how hosts depend on each
    other. It does not change while it is in use."""

    templates: Templates
    files: tuple[Path, ...]
    #: the directory of the playbook
    folder: Path = Path()
    #: exact versions that hosts follow
    locks: Locks = field(default_factory=dict)
    #: image -> the host that pushes it
    pushed_by: Mapping[str, str] = field(default_factory=dict, compare=False)
    #: host with a registry -> the hosts that use it, with their addresses
    clients: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    #: whether placeholder text stands for certificates that do not exist yet; never in a run that writes to a host
    foresees: bool = False
    #: values that are computed already: the check, the look and the plan need the same ones
    memo: Memo = field(default_factory=Memo, compare=False, repr=False)
    #: values computed from hosts' reports, which differ in most fleets: only the values that were asked for last
    recent: Memo = field(default_factory=lambda: Memo(256), compare=False, repr=False)

    def find(self, name: str) -> Path | None:
        """The path of a file or directory of that name; ``None`` when there is none."""
        return next((folder / name for folder in self.files if (folder / name).exists()), None)

    def read(self, name: str) -> bytes | None:
        """The bytes of a ``src`` file, read once for all hosts; ``None`` when there is none of that name."""
        return self.memo.of(("src", name), lambda: self._read(name))

    def _read(self, name: str) -> bytes | None:
        path = self.find(name)
        return path.read_bytes() if path is not None and path.is_file() else None


def context(playbook: Path, *, foresees: bool = False) -> Context:
    folder = playbook.parent
    templates, files = Templates(folder / "templates"), (folder / "files", folder)
    return Context(templates, files, folder, read(of_playbook(playbook)), foresees=foresees)


def declare(
    inventory: Inventory,
    plays: list[Play],
    limit: str | None = None,
) -> list[HostConfig]:
    """Every host of every play, in inventory order, with its validated spec.

    Raises :class:`SpecError` for errors in the files, and :class:`UsageError` when no host is left.
    """
    chosen: dict[str, list[tuple[int, Play]]] = {}
    for number, play in enumerate(plays):
        for host in inventory.limit(inventory.select(play.hosts, where=play.hosts_where, key="hosts"), limit):
            chosen.setdefault(host, []).append((number, play))
    if not chosen:
        raise UsageError(f"no host of the playbook matches --limit {limit}" if limit else "the playbook names no host")
    specs, fixed = Specs(), Fixed(play.spec for play in plays)
    return [
        _config(inventory, name, chosen[name], specs, fixed) for name in inventory.tree.members("all") if name in chosen
    ]


class Specs:
    """Validated specs. For each field of a spec, equal YAML is validated once and gives one object. A value that
    depends on some fields alone can then be computed once for all hosts with the same fields."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], Any] = {}
        self._defaults = {name: one.get_default() for name, one in Spec.model_fields.items()}
        self._specs: dict[tuple[Any, ...], Spec] = {}
        self._checked: set[int] = set()

    def of(self, rendered: Map) -> Spec:
        """Raises :class:`SpecError` at the place in this YAML."""
        if not all(map(_KNOWN, rendered)):
            return validate(Spec, rendered)
        try:
            given = {name: self._field(name, value) for name, value in rendered.items()}
        except SpecError:
            # Of several errors, the first in the order of the fields is reported.
            return validate(Spec, rendered)
        # No validator needs several fields of a spec (a test checks that), so each is valid by itself.
        values = {name: given.get(name, default) for name, default in self._defaults.items()}
        key = (*map(id, values.values()), frozenset(given))
        if key not in self._specs:
            self._specs[key] = Spec.model_construct(set(given), **values)
        return self._specs[key]

    def check(self, rendered: Map, fixed: Fixed) -> None:
        """Raise :class:`SpecError` for a boolean that was probably meant as text. Equal values may be written in
        different ways, so this is checked for each host, except for what hosts share."""
        for name, value in rendered.items():
            if id(value) not in self._checked:
                for error in misread(Spec, Map([(name, value)])):
                    raise error
                if value in fixed:
                    self._checked.add(id(value))

    def _field(self, name: str, value: Any) -> Any:
        # repr() shows the type of a value too ('1', 1, True), and a secret as its unique token.
        key = (name, repr(value))
        if key not in self._fields:
            found = validate_field(Spec, name, value)
            self._fields[key] = self._engine(found, value) if isinstance(found, Engine) else found
        return self._fields[key]

    def _engine(self, engine: Engine, rendered: Map) -> Engine:
        """The same engine. Engines with the same YAML for a field share that field's object. The validators of an
        engine compare fields, and change none."""
        values: dict[str, Any] = {}
        for name, value in engine:
            key = (f"engine.{name}", repr(rendered[name]) if name in rendered else "")
            values[name] = self._fields.setdefault(key, value)
        return Engine.model_construct(set(engine.model_fields_set), **values)


_KNOWN = frozenset(Spec.model_fields).__contains__


def _config(inventory: Inventory, name: str, plays: list[tuple[int, Play]], specs: Specs, fixed: Fixed) -> HostConfig:
    _paced_once(name, plays)
    parts: list[tuple[int, Play, Map]] = []
    for number, play in plays:
        scope, own = inventory.scope(name, play.vars)
        parts.append((number, play, scope.whole(refine(play.spec, own), "spec", fixed)))
    try:
        for _, _, part in parts:
            specs.check(part, fixed)
        united = reduce(unite, (part for _, _, part in parts))
        declared = tuple(
            Declared(play.name, play.slug, specs.of(part), play.verify, play.rollout, number)
            for number, play, part in parts
        )
        spec = declared[0].spec if len(declared) == 1 else specs.of(united)
    except SpecError as error:
        raise SpecError(f"{error.message} [host {name}]", where=error.where, key=error.key, hint=error.hint) from error
    return HostConfig(inventory.host(name, scope), scope, declared, spec, united)


def _paced_once(name: str, plays: list[tuple[int, Play]]) -> None:
    """A host belongs to one wave: two plays with a ``rollout`` for it contradict each other."""
    paced = [play for _, play in plays if play.rollout is not None]
    if len(paced) > 1:
        raise SpecError(
            f"host {name} has a rollout in two plays ({paced[0].name!r} and {paced[1].name!r})",
            where=paced[1].where,
            key="rollout",
            hint="give it to one of them",
        )
