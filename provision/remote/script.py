"""Generate the scripts that a host runs, from calls. Only this module quotes words for the shell.

The whole script is one function that is called on the last line, so an incomplete transfer does nothing.
The running script reads nothing from its standard input, so no program can consume a part of it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from provision.distros import FAMILIES, Distribution, major, rows
from provision.errors import SpecError
from provision.model import Call, Risk
from provision.remote.sources import SH, Source, defined, included, once
from provision.remote.transaction import Work
from provision.secrets import secret

#: The files that every script begins with.
_PRELUDE = (Source(SH / "environment.sh"), Source(SH / "prelude.sh"))
MANIFESTS = "/var/lib/provision/manifests"
RUNS = "/var/lib/provision/runs"
#: provision's own directories. Only root may write in them: what a look reads there decides what is removed.
OWN = ("/run/provision", "/var/lib/provision")

#: Family -> looks. A look that depends on the family is made for each family; the host runs its own.
Looks = dict[str, Sequence[Call]]
#: The fields of a row in the table of distributions: ID, oldest version, the first version of the next row, family.
_Arm = tuple[str, str, str, str]


def quote(word: str) -> str:
    """``word`` as one word of the shell, byte for byte (POSIX: no character is special between single quotes)."""
    if "\0" in word:
        raise ValueError("a word of the shell can't have a NUL byte")
    return word if re.fullmatch(r"[A-Za-z0-9_./:@%+=,-]+", word) else "'" + word.replace("'", "'\\''") + "'"


def encoded(content: bytes, literal: bool = False) -> tuple[str, str]:
    """``text`` or ``base64``, and the word that stands for the bytes. In ``literal`` content nothing is a token."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "base64", base64.b64encode(content).decode()
    return "text", secret.foreign(text) if literal else text


#: Other looks ask look_files for paths as they run. look_packages and look_services use the result of look_files.
_LATE = {
    name: place
    for place, name in enumerate(
        ("look_files", "look_packages", "look_services", "look_docker", "look_moved", "look_compose"), 1
    )
}


def merged(calls: Iterable[Call]) -> list[Call]:
    """Merge the calls of one function into one call: all arguments in order, without duplicates."""
    groups: dict[str, dict[tuple[str, ...], None]] = {}
    for call in calls:
        groups.setdefault(call.function, {})[call.args] = None
    names = sorted(groups, key=lambda name: _LATE.get(name, 0))
    return [Call(name, tuple(word for args in groups[name] for word in args)) for name in names]


def look_script(looks: Looks, extra: tuple[Distribution, ...] = ()) -> str:
    """The script that only reads the host's state. ``extra`` are a project's own rows of the table of distributions."""
    arms = tuple((row.id, row.minimum, row.below, row.family) for row in extra)
    return _look_script((tuple((family, tuple(calls)) for family, calls in looks.items()), arms))


@once
def _look_script(asked: tuple[tuple[tuple[str, tuple[Call, ...]], ...], tuple[_Arm, ...]]) -> str:
    """Hosts with equal configuration have the same look script, so it is made once."""
    declared, extra = asked
    looks: Looks = dict(declared)
    files = _files("look", looks.keys(), {call.function for calls in looks.values() for call in calls})
    body = [
        "platform",
        family_case(extra),
        "own_family",
        "supported",
        *_of_families(files, list(looks)),
        *_looks(looks),
        "emit end",
    ]
    _without_tokens(body)
    return _script([file for file in files if len(_whose(file, looks)) == len(looks)], body, prologue=_LOOK)


def job_script(work: Work, look: Sequence[Call], secrets: dict[str, str]) -> str:
    """The script of a job: it makes the changes as one transaction, and then reads the state again.

    The same script also rolls the changes back and confirms them. ``secrets`` receives the tokens that the script
    needs, and the variables that stand for them. Raises :class:`SpecError` where a step holds a secret that the host's
    own configuration does not refer to, or the remains of a token.
    """
    family = work.plan.platform.family
    body = ["lock_take", _words("base_check", *work.base), _words("keep", *work.keep)]
    names = {call.function for call in look}
    names |= work.undo
    if work.disturbs_engine:
        names |= {"keep_containers", "health"}
        body.append("keep_containers")
    arms = _arms(work)
    for number, step in enumerate(work.steps):
        names.add(step.call.function)
        if number == arms:
            body.append(f"{'arm' if work.risky else 'arm_watched'} {work.confirm_within} {number}")
        kind = "live_step" if step.call.live else "step"
        words = [sendable(word, work.secrets, step.resource) for word in step.call.args]
        head = f"{kind} {number} {step.call.limit}"
        body.append(_step_words(head, (step.resource, step.call.function, *words), secrets))
    if work.disturbs_engine:
        body.append(_words("health", work.health))
    finish = "finish login" if work.risky else "finish proven"
    body += ["steps_end", "platform", *_looks({family: look}), "emit end", finish]
    text = "\n".join(included(source) for source in [*_PRELUDE, *_needed(family, frozenset(names)), _FIX])
    _without_tokens(body)
    lines = "\n".join(body)
    # The verbs of _APART run without the values of secrets, so they can't mask what the steps print.
    private = f"run_private={'yes' if work.secrets else ''}"
    apart = "\n".join(f'    {name}) begin_apart {work.run}; {name} "${{2-}}"; exit 0 ;;' for name in _APART)
    return (
        f"provision_main() {{\n{text}\n{private}\ncase $1 in\n{apart}\nesac\n"
        f"run_watched=${{2-}}\nbegin {work.run}\n{lines}\nexit 0\n}}\n"
        'provision_main "${1-run}" "${2-}"\n'
    )


def _arms(work: Work) -> int | None:
    """The number of the step before which the host arms the rollback."""
    if not (work.risky or work.watched):
        return None
    return next(number for number, step in enumerate(work.steps) if step.risk is Risk.CUT_OFF or step.proven)


def submit_script(
    run: str,
    job: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
    allowed: Collection[str] = frozenset(),
    limit: int | None = None,
) -> str:
    """The script that starts a job independently of the connection and reports its progress. With a ``limit`` (seconds)
    systemd watches the job (:attr:`~provision.remote.transaction.Work.watched`).

    The job is embedded unchanged, up to a line that can't occur in it. The values of secrets go into a separate file in
    the same directory, which the job reads once and removes. The job masks secrets in the recorded output of its steps.
    So the file also has every secret of ``allowed`` (the tokens that the host's own configuration refers to), in all
    forms. Raises :class:`SpecError` for any other token in ``secrets``.
    """
    for token in secrets:
        sendable(token, allowed, "the job")
    masks = secret.spellings(allowed)
    pairs = [(name, secret.reveal(token)) for token, name in secrets.items()]
    pairs += [(f"mask_{number}", form) for number, form in enumerate(masks)]
    lines = "".join(f"{name}={quote(value)}\n" for name, value in pairs)
    lines += f"masks={len(masks)}\n" if allowed else ""
    end = f"END-{hashlib.sha256(job.encode('utf-8', 'surrogateescape')).hexdigest()}"
    body = [f"submit_secrets={quote(lines)}", f"submit {run} {limit or '-'} <<'{end}'\n{job}{end}", "emit end"]
    return _script([], body, prologue=_SUBMIT)


def receipt_script(verb: Literal["attach", "confirm", "reached", "revoke"], run: str, reason: str = "drift") -> str:
    """The script for a job that was started. ``attach`` waits for its end, ``confirm`` confirms the change, and
    ``revoke`` rolls it back for ``reason``. ``reached`` shows that this login can still become root."""
    words = (run, reason) if verb == "revoke" else (run,)
    return _script([], [_words(verb, words), "emit end"], prologue=_SUBMIT)


def blob_script(verb: Literal["blob_state", "blob_end"], *words: str) -> str:
    """The script that asks which part of a blob a host has, or reports that the blob was sent completely."""
    return _script([], [_words(verb, words), "emit end"], prologue=_BLOBS)


def environment() -> str:
    """The lines that set provision's own environment in a shell on a host."""
    return f"{included(_PRELUDE[0])}\nown_environment\n"


#: The other verbs of a job's script: they run after the job, or in parallel with it.
_APART = ("guard", "watch", "confirm", "revoke")


def sendable(word: str, allowed: Collection[str], subject: str) -> str:
    """Return the word if the host may receive it: its configuration must refer to the word's tokens (``allowed``).
    Raises :class:`SpecError`, which names ``subject``."""
    for piece, token in secret.split(word):
        if token and not secret.permitted(piece, allowed):
            name = secret.stable(piece)
            raise SpecError(f"{subject} holds the secret {name}, which this host's configuration does not refer to")
    return secret.whole(word, key=subject)


def _without_tokens(lines: Iterable[str]) -> None:
    """Check the lines before they are sent. Variables have replaced the tokens, so a part of a token is an error."""
    for line in lines:
        if left := secret.remnant(line):
            raise SpecError(f"a script for a host holds {left!r}, which is a secret's token, or a part of one")


def _words(command: str, *groups: tuple[str, ...]) -> str:
    return " ".join([command, *(quote(word) for group in groups for word in group)])


def _step_words(command: str, words: Iterable[str], secrets: dict[str, str]) -> str:
    """Quote the words, with a variable of the job for each secret: no script holds the value of a secret."""
    found = []
    for word in words:
        pieces = [
            f'"${{{secrets.setdefault(piece, f"secret_{len(secrets)}")}}}"' if token else quote(piece)
            for piece, token in secret.split(word)
            if piece
        ]
        found.append("".join(pieces) or quote(""))
    return " ".join([command, *found])


def _looks(looks: Looks) -> Iterator[str]:
    yield f"at look_manifests {quote(MANIFESTS)}"
    # Also when the spec declares nothing of docker: the manifests may name objects that no longer exist.
    looks = {name: [*calls, Call("look_docker"), Call("look_files", OWN)] for name, calls in looks.items()}
    if len(looks) == 1:
        yield from (_look(call) for call in merged(next(iter(looks.values()))))
        return
    per_family = {name: [_look(call) for call in merged(calls)] for name, calls in looks.items()}
    common = [line for line in next(iter(per_family.values())) if all(line in lines for lines in per_family.values())]
    yield from common
    yield "case $family in"
    for name, lines in per_family.items():
        yield f"    {name})"
        yield from (f"        {line}" for line in lines if line not in common)
        yield "        ;;"
    yield "esac"


def _look(call: Call) -> str:
    return "at " + " ".join(quote(word) for word in (call.function, *call.args))


def _files(kind: str, families: Iterable[str], names: set[str]) -> list[Source]:
    """The sources that define ``names``, and the files that a family requires, without files of other families."""
    own = {file for family in families for file in FAMILIES[family].files}
    foreign = {file for family in FAMILIES.values() for file in family.files} - own
    always = own | ({"manifests.sh", "engine.sh", "docker.sh", "files.sh"} if kind == "look" else set())
    return [
        source
        for source, functions in defined(kind).items()
        if source.path.name not in foreign and (functions & names or source.path.name in always)
    ]


@lru_cache(maxsize=256)
def _needed(family: str, names: frozenset[str]) -> tuple[Source, ...]:
    """The sources of a job's script: those that define the functions which its steps and its frame call, directly or
    indirectly. Which function a step calls may depend on the host (a reload instead of a restart)."""
    names |= called(included(_FIX))
    while True:
        files = (*_files("look", [family], set(names)), *_files("fix", [family], set(names)))
        more = names.union(*(called(included(source)) for source in files))
        if more == names:
            return files
        names = more


@lru_cache(maxsize=256)
def called(text: str) -> frozenset[str]:
    """The words of a shell text that may be a command, and the words after a command that runs its arguments (``at``).

    An unnecessary word adds a few bytes to the script; a missing word makes a step fail. So this may return too many.
    """
    return frozenset(_COMMAND.findall(text))


#: A command follows the start of a line, an operator, a bracket, or a word that introduces one (POSIX, XCU 2.9, 2.4).
_COMMAND = re.compile(
    r"(?:^|[;&|(){!`]|(?<![\w-])(?:then|do|else|elif|if|while|until|at|step|live_step)\b)[ \t]*(?=([a-z_]+)\b)",
    re.MULTILINE,
)


def _whose(source: Source, families: Iterable[str]) -> list[str]:
    """The families that need a source: all, unless its file belongs to certain families."""
    file = source.path.name
    if not any(file in family.files for family in FAMILIES.values()):
        return list(families)
    return [name for name in families if file in FAMILIES[name].files]


def _of_families(files: Iterable[Source], families: list[str]) -> Iterator[str]:
    """Include the files of each family. They define functions of the same names, so a host uses only its own."""
    for file in files:
        whose = _whose(file, families)
        if len(whose) < len(families):
            yield f"case $family in\n{' | '.join(whose)})\n{included(file)}\n;;\nesac"


def family_case(extra: Iterable[_Arm]) -> str:
    """A shell ``case`` from os-release's ID and version to the family, by the rows of the table. Python judges whether
    a version is supported, so a version occurs here only where it decides the family. Rows that end at a version come
    first."""
    known = [(row.id, row.minimum, row.below, row.family) for row in rows()]
    families: dict[str, set[str]] = {}
    for id, _, _, family in known:
        families.setdefault(id, set()).add(family)
    whole = [(id, "", "", family) for id, (family, *more) in families.items() if not more]
    parts = sorted((arm for arm in known if len(families[arm[0]]) > 1), key=lambda arm: not arm[2])
    arms = [f"    {' | '.join(_patterns(*arm[:3]))}) family={arm[3]} ;;" for arm in (*extra, *parts, *whole)]
    return "case $os_id:$os_version in\n" + "\n".join(arms) + "\n    *) family= ;;\nesac"


def _patterns(id: str, least: str, below: str) -> Iterator[str]:
    """Shell patterns for the versions of a row: ``centos:7``, ``centos:7.*``; without ``below``, all versions."""
    if not below:
        yield f"{quote(id)}:*"
        return
    for number in range(int(major(least)), int(major(below))):
        yield from (f"{quote(id)}:{number}{end}" for end in ("", ".*"))


def _script(files: Sequence[Source], body: Iterable[str], *, prologue: Source) -> str:
    text = "\n".join(included(source) for source in [*_PRELUDE, *files, prologue])
    lines = "\n".join(body)
    return f"provision_main() {{\n{text}\nbegin\n{lines}\nexit 0\n}}\nprovision_main\n"


_LOOK, _FIX, _SUBMIT, _BLOBS = (Source(SH / f"{name}.sh") for name in ("look", "fix", "submit", "blobs"))
