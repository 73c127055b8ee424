"""A plan as a file: what would be done to each host, to the byte. An operator approves it, ``apply --plan`` does it.

It holds no code and is no source of what is done: ``apply --plan`` plans again, and goes on with hosts whose plan is
the very one in the file. So a file that was tampered with can only keep hosts from being changed.

It has no secret, and no text that only some users of a host may read: references, which are the same in every run,
and keyed hashes stand for them. So a value that has changed since is noticed, and the file does not tell what it is.
The salt that keys the hashes stands in the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from provision.errors import UsageError
from provision.model import Call, Impact, Plan, Salt
from provision.project.host_config import HostConfig
from provision.project.rollout_options import RolloutOptions
from provision.secrets.private_file import write_private
from provision.secrets.secret import each, fingerprint, fingerprinted, stable

#: 3: keyed hashes for what is not shown, impacts (those of a rollback too), and the rollout with its commands.
_FORMAT = "provision-plan-3"


class PlanFile(Struct, frozen=True):
    """``head`` says who made it, when and of what; ``salt`` keys its hashes; ``rollout`` is what :func:`rollout` made
    of the plays, and ``hosts`` what :func:`entry` made of each host's plan."""

    head: dict[str, Any]
    salt: Salt
    rollout: dict[str, Any]
    hosts: dict[str, dict[str, Any]]


def entry(plan: Plan, salt: Salt) -> dict[str, Any]:
    """One host's plan, with all that matters: what is not in the desired state, what the host has, every step, and what
    is restarted or stopped, by the plan and by its rollback. It is compared with that of another process, so it has
    references in the place of secrets.
    """
    if plan.entry is not None:
        return dict(plan.entry)
    made = {
        "platform": plan.platform.name,
        "flavour": plan.platform.flavour,
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
    # A plain text: what is withheld equals no text that was read from a file.
    return None if value is None else str(fingerprinted(value, salt))


def _step(call: Call, salt: Salt) -> dict[str, Any]:
    settled = call.args[: len(call.args) - call.late]
    words: list[str | dict[str, Any]] = [
        {"keyed hash": fingerprint(word, salt)} if place in call.private else fingerprinted(word, salt)
        for place, word in enumerate(settled)
    ]
    return {"do": call.function, "with": words, "replaces": list(call.replaces)}


def rollout(configs: Iterable[HostConfig], folder: Path) -> dict[str, Any]:
    """How the hosts would be processed: the ``rollout`` of each play, the commands of each host with its variables in
    them, and the SHA-256 of each file in ``folder`` (the playbook's, where they run) that a command names."""
    plays: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    argvs: list[tuple[str, ...]] = []
    for config in configs:
        if config.rollout_options is None:
            continue
        part, rollout_options = config.rollout_options
        if part.play not in plays:
            plays[part.play] = _plain(rollout_options)
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


def _plain(rollout_options: RolloutOptions) -> dict[str, Any]:
    """As JSON has it, so that it equals what is read again."""
    found: dict[str, Any] = json.loads(json.dumps(rollout_options.model_dump(), default=str))
    return found


def _files(argv: tuple[str, ...], folder: Path) -> dict[str, str]:
    """A word without a slash at the first place is a program on PATH (execvp(3))."""
    found = {}
    for place, word in enumerate(argv):
        path = folder / word
        if (place or "/" in word) and path.is_file():
            with open(path, "rb") as file:
                found[word] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def other_rollout(approved: Mapping[str, Any], now: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """What of the rollout of ``hosts`` is not as it was approved, in words."""
    found = []
    for play, rollout_options in now["plays"].items():
        before = approved["plays"].get(play, {})
        keys = [key for key in rollout_options if before.get(key) != rollout_options[key]]
        found += [f"{', '.join(keys)} of the play {play!r}"] if keys else []
    others = [name for name in hosts if approved["hosts"].get(name) != now["hosts"].get(name)]
    found += [f"the play or the commands of {', '.join(others)}"] if others else []
    return found + [f"the file {name}" for name, sum_ in now["files"].items() if approved["files"].get(name) != sum_]


def text(plan: PlanFile) -> bytes:
    """The file. In ASCII: what a host has in a file may be no UTF-8."""
    whole = {
        "format": _FORMAT,
        **plan.head,
        "salt": plan.salt.text,
        "rollout": plan.rollout,
        "hosts": dict(sorted(plan.hosts.items())),
    }
    return (json.dumps(whole, indent=1) + "\n").encode("ascii")


def write(path: Path, data: bytes) -> None:
    """Readable by its owner only: it has the text of files that would be written."""
    write_private(path, data.decode("ascii"))


def load(path: Path) -> bytes:
    """The bytes of a plan file, read once: what is verified is what is parsed. Raises :class:`UsageError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error


def parse(path: Path, data: bytes) -> PlanFile:
    """The plan in ``data``, which was read from ``path``. Raises :class:`UsageError` for what is no plan."""
    try:
        whole = json.loads(data)
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}") from error
    given = whole.get("format") if isinstance(whole, dict) else None
    if given != _FORMAT and isinstance(given, str) and given.startswith("provision-plan-"):
        raise UsageError(
            f"{path} is no plan of this version: it has the format {given}, this version knows {_FORMAT}; "
            "make it again with provision plan --out"
        )
    if given != _FORMAT or not _whole(whole):
        raise UsageError(f"{path} is no plan (provision plan --out makes one)")
    head = {key: value for key, value in whole.items() if key not in ("format", "salt", "rollout", "hosts")}
    return PlanFile(head, Salt(whole["salt"], stored=True), whole["rollout"], whole["hosts"])


def _whole(found: dict[str, Any]) -> bool:
    hosts, parts = found.get("hosts"), found.get("rollout")
    return (
        isinstance(found.get("salt"), str)
        and bool(found["salt"])
        and isinstance(parts, dict)
        and all(isinstance(parts.get(key), dict) for key in ("plays", "hosts", "files"))
        and all(isinstance(one, dict) and "play" in one for one in parts["hosts"].values())
        and isinstance(hosts, dict)
        and all(isinstance(one, dict) and isinstance(one.get("changes"), list) for one in hosts.values())
        and all(isinstance(each, dict) and "resource" in each for one in hosts.values() for each in one["changes"])
    )
