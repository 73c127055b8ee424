"""Host configurations from inventory and playbook: what each host should have, before provision connects to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from provision import limits
from provision.distros import Distribution
from provision.errors import SpecError, UsageError, Where, all_of
from provision.inventory import Inventory
from provision.model import Host
from provision.project.lockfile import Locks, of_playbook, read
from provision.project.memo import Memo, Same
from provision.project.playbook import Play
from provision.project.rollout_options import RolloutOptions
from provision.spec import Spec
from provision.spec.validate import misread, validate, validate_field
from provision.text.merge import refine, unite
from provision.text.render import Fixed, Scope, Templates
from provision.text.yamlfile import Map, Seq


class Declared(Struct, frozen=True):
    """The declarations of one play for a host; ``number`` is the play's position in the playbook."""

    play: str
    slug: str
    spec: Spec
    verify: tuple[Path, ...] = ()
    rollout: RolloutOptions | None = None
    number: int = 0


class HostConfig(Struct, frozen=True):
    """The configuration of one host: its plays in order, and all of them merged in ``spec``."""

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
        return tuple(str(self.scope.render(word, f"rollout.{when}.host")) for word in hooks.host)


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
    #: values that differ in most fleets, such as those of hosts' reports: only those that were asked for last
    recent: Memo = field(default_factory=lambda: Memo(256), compare=False, repr=False)

    def find(self, name: str) -> Path | None:
        """The path of a file or directory of that name; ``None`` when there is none. Raises :class:`SpecError` for a
        name that leads out of a project that is not trusted."""
        # The check is first: whether a path outside exists is not shown.
        return next((folder / name for folder in self.files if limits.check(folder / name).exists()), None)

    def read(self, name: str) -> bytes | None:
        """The bytes of a ``src`` file, read once for all hosts; ``None`` when there is none of that name."""
        return self.memo.of(("src", name), lambda: self._read(name))

    def is_shipped(self, template: str) -> bool:
        """True if the template of that name is provision's own, and not one of the operator."""
        return self.memo.of(("shipped", template), lambda: self.templates.is_shipped(template))

    def render(self, template: str, scope: Scope, where: Where | None = None, **values: Any) -> str:
        """The text of a template, rendered once for the same variables and values: a host has a catalog for each
        family. Raises :class:`SpecError`."""
        key = ("text", template, Same(scope), repr(values))
        return self.recent.of(key, lambda: self.templates.render(template, scope, where, **values))

    def _read(self, name: str) -> bytes | None:
        path = self.find(name)
        return limits.read(path) if path is not None and limits.check(path).is_file() else None


def context(playbook: Path, *, foresees: bool = False) -> Context:
    folder = playbook.parent
    templates, files = Templates(folder / "templates"), (folder / "files", folder)
    return Context(templates, files, folder, read(of_playbook(playbook)), foresees=foresees)


def declare(inventory: Inventory, plays: list[Play], limit: str | None = None) -> list[HostConfig]:
    """Every host of every play. Raises :class:`SpecError` with every fault of their specs."""
    configs, faults = read_configs(inventory, plays, limit)
    if faults:
        raise all_of(faults)
    return configs


def read_configs(
    inventory: Inventory, plays: list[Play], limit: str | None = None
) -> tuple[list[HostConfig], list[SpecError]]:
    """Every host of every play, in inventory order, and the faults. A host with faults has a spec without the fields
    that are wrong. Raises :class:`UsageError` when no host is left."""
    chosen: dict[str, list[tuple[int, Play]]] = {}
    faults: list[SpecError] = []
    for number, play in enumerate(plays):
        try:
            hosts = inventory.limit(inventory.select(play.hosts, where=play.hosts_where, key="hosts"), limit)
        except SpecError as error:
            faults.append(error)
            continue
        for host in hosts:
            chosen.setdefault(host, []).append((number, play))
    if not chosen and not faults:
        if limit is not None:
            raise UsageError(f"no host of the playbook matches --limit {limit or repr(limit)}")
        raise UsageError("the playbook names no host")
    specs, fixed = Specs(), Fixed(play.spec for play in plays)
    names = [name for name in inventory.tree.members("all") if name in chosen]
    found = [_config(inventory, name, chosen[name], specs, fixed, faults) for name in names]
    return [config for config in found if config is not None], faults


class Specs:
    """Validated specs. For each field of a spec, equal YAML is validated once: most hosts of a fleet differ in a few
    fields. Equal specs are one object, so that equal hosts have one catalog."""

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

    def valid(self, rendered: Map) -> Spec:
        """The spec without the fields that have a fault."""
        given: dict[str, Any] = {}
        for name in filter(_KNOWN, rendered):
            with contextlib.suppress(SpecError):
                given[name] = self._field(name, rendered[name])
        return Spec.model_construct(set(given), **{**self._defaults, **given})

    def misread(self, rendered: Map, fixed: Fixed) -> Iterator[SpecError]:
        """An error for each boolean that was probably meant as text. Equal values may be written in different ways, so
        each host is checked, except for what hosts share."""
        for name, value in rendered.items():
            if id(value) not in self._checked:
                yield from misread(Spec, Map([(name, value)]))
                if value in fixed:
                    self._checked.add(id(value))

    def _field(self, name: str, value: Any) -> Any:
        # repr() shows the type of a value too ('1', 1, True), and a secret as its unique token.
        key = (name, repr(value))
        if key not in self._fields:
            self._fields[key] = validate_field(Spec, name, value)
        return self._fields[key]


_KNOWN = frozenset(Spec.model_fields).__contains__


def _config(
    inventory: Inventory,
    name: str,
    plays: list[tuple[int, Play]],
    specs: Specs,
    fixed: Fixed,
    faults: list[SpecError],
) -> HostConfig | None:
    """The configuration of one host. Adds its faults to ``faults``; ``None`` where nothing can be read."""
    parts: list[tuple[int, Play, Map]] = []
    failed: dict[str, SpecError] = {}
    try:
        _paced_once(name, plays)
        for number, play in plays:
            scope, own = inventory.scope(name, play.vars)
            parts.append((number, play, _rendered(scope, refine(play.spec, own), fixed, failed)))
        host = inventory.host(name, scope)
    except SpecError as error:
        faults.append(error)
        return None
    faults += failed.values()
    united = parts[0][2]
    wrong: list[SpecError] = []
    declared: list[Declared] = []
    for number, play, part in parts:
        wrong += specs.misread(part, fixed)
        try:
            declared.append(Declared(play.name, play.slug, specs.of(part), play.verify, play.rollout, number))
        except SpecError as error:
            wrong += error.each()
    try:
        united = reduce(unite, (part for _, _, part in parts))
        spec = declared[0].spec if len(parts) == 1 and declared else specs.of(united)
    except SpecError as error:
        wrong += error.each()
        spec = specs.valid(united)
    # Where a template failed, its value is missing.
    faults += [_of_host(error, name) for error in wrong if not any(key.startswith(error.key) for key in failed)]
    config = HostConfig(host, scope, tuple(declared), spec, united)
    faults += _of_hooks(config, plays)
    return config


def _of_hooks(config: HostConfig, plays: list[tuple[int, Play]]) -> Iterator[SpecError]:
    """The errors of the host's commands: in the middle of a rollout it is too late to find them."""
    where = next((play.where for _, play in plays if play.rollout is not None), None)
    whens: tuple[Literal["before", "after"], ...] = ("before", "after")
    for when in whens:
        try:
            config.hook(when)
        except SpecError as error:
            message = f"{error.message} [host {config.host.name}]"
            yield SpecError(message, where=error.where or where, key=error.key, hint=error.hint)


def _of_host(error: SpecError, name: str) -> SpecError:
    return SpecError(f"{error.message} [host {name}]", where=error.where, key=error.key, hint=error.hint)


def _rendered(scope: Scope, source: Map, fixed: Fixed, failed: dict[str, SpecError]) -> Map:
    """A play's spec with its templates rendered. Adds the error of each template that fails to ``failed``."""
    try:
        return scope.whole(source, "spec", fixed)  # type: ignore[no-any-return]  # a mapping stays one
    except SpecError:
        result = _one_by_one(scope, source, "spec", source.here, failed)
        if not failed:
            raise
        return result  # type: ignore[no-any-return]


def _one_by_one(scope: Scope, value: Any, key: str, where: Where | None, failed: dict[str, SpecError]) -> Any:
    """``value`` rendered, without the parts whose template fails."""
    if isinstance(value, Map):
        result = Map(here=value.here)
        for name, item in value.items():
            rendered = _one_by_one(scope, item, path := f"{key}.{name}", value.where.get(name, where), failed)
            if path not in failed:
                result[name] = rendered
                result.where.update({name: value.where[name]} if name in value.where else {})
        return result
    if isinstance(value, Seq):
        items = Seq(here=value.here)
        for at, (item, place) in enumerate(zip(value, value.where, strict=True)):
            rendered = _one_by_one(scope, item, path := f"{key}[{at}]", place, failed)
            if path not in failed:
                items.append(rendered)
                items.where.append(place)
        return items
    try:
        return scope.render(value, key, where)
    except SpecError as error:
        failed[key] = error
        return None


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
