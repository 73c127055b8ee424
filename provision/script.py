"""Calls -> the text of the script that a host runs. The only place that quotes.

The whole script is one function that is called on the last line, so a transfer that breaks off does nothing.
It reads nothing from its standard input once it runs, so no program can eat it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from provision.distros import FLAVOURS, ROWS
from provision.model import Call, Plan

SH = Path(__file__).parent / "sh"
MANIFESTS = "/var/lib/provision/manifests"

#: A look that depends on the flavour is made for each of them; the host takes its own.
Looks = dict[str, Sequence[Call]]


def quote(word: str) -> str:
    """``word`` as one word of the shell, byte for byte (POSIX: nothing is special between single quotes)."""
    if "\0" in word:
        raise ValueError("a NUL byte can't be in a word of the shell")
    return word if re.fullmatch(r"[A-Za-z0-9_./:@%+=,-]+", word) else "'" + word.replace("'", "'\\''") + "'"


#: Other looks ask look_files for paths in passing, and look_services uses what it saw.
_LATE = {"look_files": 1, "look_services": 2}


def merged(calls: Iterable[Call]) -> list[Call]:
    """Calls of one function as one call: its arguments one after the other, an item that stands twice once."""
    groups: dict[str, dict[tuple[str, ...], None]] = {}
    for call in calls:
        groups.setdefault(call.function, {})[call.args] = None
    names = sorted(groups, key=lambda name: _LATE.get(name, 0))
    return [Call(name, tuple(word for args in groups[name] for word in args)) for name in names]


def look_script(looks: Looks) -> str:
    """The script that only looks."""
    files = _files("look", looks.keys(), _functions(looks))
    body = ["platform", _flavours(), "supported", *_of_flavours(files, list(looks)), *_looks(looks), "emit end"]
    return _script([file for file in files if len(_whose(file, looks)) == len(looks)], body, prologue=_LOOK)


def fix_script(plan: Plan, look: Sequence[Call], remember: Sequence[Call] = (), forget: Sequence[Call] = ()) -> str:
    """The script that makes ``plan``'s changes, between the bookkeeping of the manifests, and then looks again."""
    flavour = plan.platform.flavour
    body = ["lock_take"]
    names = {call.function for call in look} | {"put_file"}
    for number, (resource, call) in enumerate(steps(plan, remember, forget)):
        names.add(call.function)
        words = " ".join(quote(word) for word in (call.function, *call.args))
        body.append(f"{'live_step' if call.live else 'step'} {number} {quote(resource)} {words}")
    body += ["steps_end", "platform", *_looks({flavour: look}), "emit end"]
    files = _files("look", [flavour], names) + _files("fix", [flavour], names)
    return _script(files, body, prologue=_FIX)


def steps(plan: Plan, remember: Sequence[Call] = (), forget: Sequence[Call] = ()) -> list[tuple[str, Call]]:
    """Every step of a plan with the resource it is for, in order. What is about to be made is remembered before
    it is made, and forgotten only after it is gone: a run that dies in between loses nothing."""
    return [
        *(("manifest", call) for call in remember),
        *((change.resource, call) for change in plan.changes for call in change.calls),
        *(("manifest", call) for call in forget),
    ]


def _looks(looks: Looks) -> Iterator[str]:
    yield f"at look_manifests {quote(MANIFESTS)}"
    if len(looks) == 1:
        yield from (_look(call) for call in merged(next(iter(looks.values()))))
        return
    per_flavour = {name: [_look(call) for call in merged(calls)] for name, calls in looks.items()}
    common = [line for line in next(iter(per_flavour.values())) if all(line in lines for lines in per_flavour.values())]
    yield from common
    yield "case $flavour in"
    for name, lines in per_flavour.items():
        yield f"    {name})"
        yield from (f"        {line}" for line in lines if line not in common)
        yield "        ;;"
    yield "esac"


def _look(call: Call) -> str:
    return "at " + " ".join(quote(word) for word in (call.function, *call.args))


def _functions(looks: Looks) -> set[str]:
    return {call.function for calls in looks.values() for call in calls}


@cache
def _defined() -> dict[str, dict[str, set[str]]]:
    """Which functions each shell file defines: ``look``/``fix`` -> file -> names."""
    return {
        kind: {
            path.name: set(re.findall(r"^([a-z_]+)\(\)", path.read_text(), re.MULTILINE))
            for path in sorted((SH / kind).glob("*.sh"))
        }
        for kind in ("look", "fix")
    }


def _files(kind: str, flavours: Iterable[str], names: set[str]) -> list[Path]:
    """The shell files that define ``names``; those of other flavours never, those a flavour names always."""
    own = {file for flavour in flavours for file in FLAVOURS[flavour].files}
    foreign = {file for flavour in FLAVOURS.values() for file in flavour.files} - own
    always = own | ({"manifests.sh", "engine.sh"} if kind == "look" else set())
    return [
        SH / kind / file
        for file, defined in _defined()[kind].items()
        if file not in foreign and (defined & names or file in always)
    ]


def _whose(file: Path, flavours: Iterable[str]) -> list[str]:
    """The flavours that a file is for: all, unless some flavour has it for its own."""
    if not any(file.name in flavour.files for flavour in FLAVOURS.values()):
        return list(flavours)
    return [name for name in flavours if file.name in FLAVOURS[name].files]


def _of_flavours(files: Iterable[Path], flavours: list[str]) -> Iterator[str]:
    """Files of one family or some: they define functions of the same names, so a host takes only its own."""
    for file in files:
        whose = _whose(file, flavours)
        if len(whose) < len(flavours):
            yield f"case $flavour in\n{' | '.join(whose)})\n{_text(file)}\n;;\nesac"


@cache
def _text(path: Path) -> str:
    """A shell file without its comments and blank lines: they are for us, not for the wire."""
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _flavours() -> str:
    """os-release's ID and version -> the flavour. Rows that end at a version come first; a bound is a major one."""
    arms = []
    for row in sorted(ROWS, key=lambda row: not row.below):
        versions = range(int(row.minimum), int(row.below)) if row.below else ()
        patterns = [f"{row.id}:{number}{end}" for number in versions for end in ("", ".*")] or [f"{row.id}:*"]
        arms.append(f"    {' | '.join(patterns)}) flavour={row.flavour} ;;")
    return "case $os_id:$os_version in\n" + "\n".join(arms) + "\n    *) flavour= ;;\nesac"


def _script(files: Sequence[Path], body: Iterable[str], *, prologue: str) -> str:
    text = "\n".join(_text(path) for path in [SH / "prelude.sh", *files, SH / prologue])
    lines = "\n".join(body)
    return f"provision_main() {{\n{text}\nbegin\n{lines}\nexit 0\n}}\nprovision_main\n"


_LOOK, _FIX = "look.sh", "fix.sh"
