"""A plan as a file: what would be done to each host, exactly. An operator approves it, ``apply --plan`` applies it.

It holds no code, and nothing is executed from it: ``apply --plan`` plans again, and continues only with hosts whose
plan equals the one in the file. So a manipulated file can only prevent changes of hosts.

It binds where the hosts are: the login of each of them, the host keys that are accepted, and the programs of the
inventory. A login that differs is refused before it is made, so no secret reaches another machine.

It has no secret, and no text that only some users of a host may read. It has references instead, which are the same in
every run, and keyed hashes. So provision notices a value that changed since, and the file does not disclose the value.
The file holds the salt of the hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Struct

from provision.errors import UsageError
from provision.model import Call, Impact, Plan, Salt
from provision.project.host_config import HostConfig
from provision.secrets.private_file import write_private
from provision.secrets.secret import each, fingerprint, fingerprinted, stable

#: Format 4: keyed hashes for what is not shown, impacts (also of a rollback), the rollout with its commands, and where
#: the hosts are.
_FORMAT = "provision-plan-4"


class _Play(TypedDict):
    play: str


class _Rollout(TypedDict):
    plays: dict[str, dict[str, Any]]
    hosts: dict[str, _Play]
    files: dict[str, str]


#: The keys whose values are not only compared.
_Place = TypedDict("_Place", {"host keys": NotRequired[list[str]]})


class _Login(TypedDict):
    asked: dict[str, Any]
    reached: list[_Place]


class _Change(TypedDict):
    resource: str


class _Host(TypedDict):
    changes: list[_Change]


class _Form(TypedDict):
    salt: Annotated[str, msgspec.Meta(min_length=1)]
    rollout: _Rollout
    programs: dict[str, str]
    logins: dict[str, _Login]
    hosts: dict[str, _Host]


class PlanFile(Struct, frozen=True):
    """``head`` says who made the plan, when and of what. ``salt`` keys its hashes. ``rollout`` is the result of
    :func:`rollout` for the plays, and ``hosts`` has the result of :func:`entry` for each host's plan. ``programs`` are
    those that the inventory has started, with the SHA-256 of their files. ``logins`` has for each host what the
    inventory says (``asked``), and what ssh answers about it and its jump hosts (``reached``)."""

    head: dict[str, Any]
    salt: Salt
    rollout: dict[str, Any]
    hosts: dict[str, dict[str, Any]]
    programs: dict[str, str] = {}
    logins: dict[str, dict[str, Any]] = {}


def entry(plan: Plan, salt: Salt) -> dict[str, Any]:
    """The form in which one host's plan is approved. It has what is not in the desired state, what the host has, every
    step, and what the plan and its rollback restart or stop. Another process compares it with its own plan, so it has
    references in the place of secrets.
    """
    if plan.entry is not None:
        return dict(plan.entry)
    made = {
        "platform": plan.platform.name,
        "flavour": plan.platform.family,
        "impacts": _impacts(plan.impacts),
        "rollback_impacts": _impacts(plan.rollback_impacts),
        "changes": [
            {
                "resource": change.resource,
                "seen": {key: _state(change.drift.seen.get(key), salt) for key in change.drift.keys},
                "want": {key: _state(change.drift.want[key], salt) for key in change.drift.keys},
                "steps": [_step(call, salt) for call in change.calls],
            }
            for change in plan.changes
        ],
    }
    return {key: each(value, stable) for key, value in made.items()}


def _impacts(found: Iterable[Impact]) -> list[dict[str, str]]:
    return [{"level": one.level, "subject": one.subject, "reason": one.reason} for one in found]


def _state(value: str | None, salt: Salt) -> str | None:
    # Plain text: a withheld value never equals text that was read from a file.
    return None if value is None else str(fingerprinted(value, salt))


def _step(call: Call, salt: Salt) -> dict[str, Any]:
    words: list[str | dict[str, Any]] = [
        {"keyed hash": fingerprint(word, salt)} if place in call.private else fingerprinted(word, salt)
        for place, word in enumerate(call.settled)
    ]
    return {"do": call.function, "with": words, "replaces": list(call.replaces)}


def rollout(configs: Iterable[HostConfig], folder: Path) -> dict[str, Any]:
    """How the hosts would be processed: the ``rollout`` of each play, the commands of each host with its variables
    filled in, and the SHA-256 of each file in ``folder`` that a command names. The commands run in ``folder``, which is
    the playbook's."""
    plays: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    argvs: list[tuple[str, ...]] = []
    for config in configs:
        if config.rollout_options is None:
            continue
        part, rollout_options = config.rollout_options
        if part.play not in plays:
            # In JSON's types, so that they equal what is read from a file.
            plays[part.play] = json.loads(json.dumps(rollout_options.model_dump(), default=str))
            argvs += [
                tuple(one.wave) for one in (rollout_options.before, rollout_options.after) if one.wave is not None
            ]
        commands = {"before": config.hook("before"), "after": config.hook("after")}
        argvs += [words for words in commands.values() if words is not None]
        hosts[config.host.name] = {
            "play": part.play,
            **{when: list(words) for when, words in commands.items() if words is not None},
        }
    files: dict[str, str] = {}
    for argv in dict.fromkeys(argvs):
        files |= _files(argv, folder)
    return {"plays": plays, "hosts": hosts, "files": files}


def _files(argv: tuple[str, ...], folder: Path) -> dict[str, str]:
    """The files that a command names. A first word without a slash is a program on PATH (execvp(3))."""
    found = {}
    for place, word in enumerate(argv):
        path = folder / word
        if (place or "/" in word) and path.is_file():
            with open(path, "rb") as file:
                found[word] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def other_rollout(approved: Mapping[str, Any], now: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """The differences between the rollout of ``hosts`` and the approved one, as texts."""
    found = []
    for play, rollout_options in now["plays"].items():
        before = approved["plays"].get(play, {})
        keys = [key for key in rollout_options if before.get(key) != rollout_options[key]]
        found += [f"{', '.join(keys)} of the play {play!r}"] if keys else []
    others = [name for name in hosts if approved["hosts"].get(name) != now["hosts"].get(name)]
    found += [f"the play or the commands of {', '.join(others)}"] if others else []
    return found + [f"the file {name}" for name, sum_ in now["files"].items() if approved["files"].get(name) != sum_]


def text(plan: PlanFile) -> bytes:
    """The file's content. In ASCII, because a file on a host may not be UTF-8."""
    whole = {
        "format": _FORMAT,
        **plan.head,
        "salt": plan.salt.text,
        "rollout": plan.rollout,
        "programs": plan.programs,
        "logins": dict(sorted(plan.logins.items())),
        "hosts": dict(sorted(plan.hosts.items())),
    }
    return (json.dumps(whole, indent=1) + "\n").encode("ascii")


def write(path: Path, data: bytes) -> None:
    """Write a plan file that only its owner can read: it has the text of files that would be written."""
    write_private(path, data.decode("ascii"))


def load(path: Path) -> bytes:
    """The bytes of a plan file, read once: the verified bytes are the parsed ones. Raises :class:`UsageError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def parse(path: Path, data: bytes) -> PlanFile:
    """Parse the plan in ``data``, which was read from ``path``. Raises :class:`UsageError` for an invalid plan."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a plan: {error}") from error
    given = whole.get("format") if isinstance(whole, dict) else None
    if given != _FORMAT and isinstance(given, str) and given.startswith("provision-plan-"):
        raise UsageError(
            f"{path} is not a plan of this version: it has the format {given}, this version knows {_FORMAT}; "
            "write a new one with provision plan --out"
        )
    if given != _FORMAT or not _whole(whole):
        raise UsageError(f"{path} is not a plan (provision plan --out writes one)")
    parts = ("format", "salt", "rollout", "hosts", "programs", "logins")
    head = {key: value for key, value in whole.items() if key not in parts}
    salt = Salt(whole["salt"], stored=True)
    return PlanFile(head, salt, whole["rollout"], whole["hosts"], whole["programs"], whole["logins"])


def _whole(found: dict[str, Any]) -> bool:
    try:
        whole = msgspec.convert(found, _Form)
    except msgspec.ValidationError:
        return False
    return whole["hosts"].keys() <= whole["logins"].keys()
