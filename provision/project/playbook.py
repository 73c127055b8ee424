"""A playbook: a list of plays, each of which gives a spec to a pattern of hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.errors import SpecError, Where
from provision.project.rollout_options import RolloutOptions
from provision.secrets.secret import holds
from provision.spec.validate import validate
from provision.text.yamlfile import Map, Seq, load, nearest

_KEYS = ("name", "hosts", "spec", "vars", "verify", "rollout")


class Play(Struct, frozen=True):
    """``slug`` is the name in characters that a file name may have: manifests and drop-ins on the hosts have it in
    their names. ``verify`` are the user's own testinfra tests (files and directories). ``rollout`` says how the hosts
    are processed."""

    name: str
    slug: str
    hosts: str
    spec: Map
    vars: Map
    verify: tuple[Path, ...]
    where: Where
    hosts_where: Where
    rollout: RolloutOptions | None = None


def load_playbook(path: Path) -> list[Play]:
    """Read ``path``; raises :class:`SpecError` for an item that is not a play."""
    if not path.exists():
        raise SpecError(
            f"no such playbook: {path}", hint="give one as the argument, or write one with `provision init`"
        )
    data = load(path)
    if not isinstance(data, Seq):
        raise SpecError("a playbook is a list of plays", where=Where(path, 1), hint='each begins with "- name:"')
    plays = [_play(item, data.where[index], f"[{index}]", path.parent) for index, item in enumerate(data)]
    by_slug: dict[str, Play] = {}
    for play in plays:
        first = by_slug.setdefault(play.slug, play)
        if first is not play:
            raise SpecError(
                f"two plays of one name ({first.name!r} on line {first.where.line})",
                where=play.where,
                key="name",
                hint="a host records what a play made under the play's name",
            )
    return plays


def _play(item: Any, where: Where, key: str, folder: Path) -> Play:
    if not isinstance(item, Map):
        raise SpecError("a play is a mapping", where=where, key=key)
    for name in item:
        if name not in _KEYS:
            hint = nearest(name, _KEYS) or "a play has " + ", ".join(_KEYS)
            raise SpecError("unknown key", where=item.where[name], key=f"{key}.{name}", hint=hint)
    for name in ("name", "hosts", "spec"):
        if item.get(name) is None:
            raise SpecError(f"a play needs {name}", where=where, key=key)
    for name in ("name", "hosts", "verify"):
        if holds(f"{item.get(name)}"):
            message = "does not accept a secret: plans and logs would show it"
            raise SpecError(message, where=item.where[name], key=f"{key}.{name}")
    name, hosts = item["name"], item["hosts"]
    if isinstance(hosts, Seq) and all(isinstance(part, str) for part in hosts):
        hosts = ",".join(hosts)
    for part, value in (("name", name), ("hosts", hosts)):
        if not isinstance(value, str) or not value.strip():
            raise SpecError("must be text", where=item.where[part], key=f"{key}.{part}")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        message = "needs a letter a-z or a digit: its record on the hosts is named by these"
        raise SpecError(message, where=item.where["name"], key=f"{key}.name")
    for part in ("spec", "vars", "rollout"):
        if not isinstance(item.get(part, Map()), Map):
            raise SpecError("must be a mapping", where=item.where[part], key=f"{key}.{part}")
    tests = _tests(item, key, folder)
    rollout_options = validate(RolloutOptions, item["rollout"], f"{key}.rollout") if "rollout" in item else None
    return Play(
        name, slug, hosts, item["spec"], item.get("vars") or Map(), tests, where, item.where["hosts"], rollout_options
    )


def _tests(item: Map, key: str, folder: Path) -> tuple[Path, ...]:
    """The user's own tests: one path or a list of paths, relative to the playbook's directory."""
    given = item.get("verify")
    if given is None:
        return ()
    words = given if isinstance(given, Seq) else [given]
    found = []
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise SpecError("must be a path or a list of paths", where=item.where["verify"], key=f"{key}.verify")
        path = (folder / word).resolve()
        if not path.exists():
            raise SpecError(
                f"no such tests: {word}",
                where=item.where["verify"],
                key=f"{key}.verify",
                hint=f"a file or directory next to {folder or '.'}/",
            )
        found.append(path)
    return tuple(found)
