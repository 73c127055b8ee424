"""Which files may be opened for a project that is only linted, whose author may be unknown.

Without it, a link of the project (``group_vars/all.yml -> /proc/self/environ``), or a path in one of its files, would
show what else the machine has. Every reader of a project's file calls :func:`check`. What the operator's command line
and the environment name is not confined.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from provision.errors import SpecError, Where

_HINT = "`provision lint --trusted` reads it"
_PACKAGE = Path(__file__).parent.parent
#: The directories of the project, without links; empty where the project is trusted.
_ROOTS: list[Path] = []


def confine(named: Iterable[Path], also: Iterable[Path] = ()) -> None:
    """From now on, open only files of the projects that have the paths ``named``, and of the directories ``also``;
    without any path, every file."""
    _ROOTS[:] = [*dict.fromkeys(_project(path) for path in named)]
    if _ROOTS:
        # provision's own files.
        _ROOTS.extend(one.resolve() for one in (_PACKAGE, *also))


def confined() -> bool:
    return bool(_ROOTS)


def _project(path: Path) -> Path:
    """The directory of the project that has a path: the outermost one with ``.git``, because a project can't make
    directories above its own. Without ``.git`` it is the working directory, or that of a file elsewhere."""
    here = Path.cwd()
    whole = Path(os.path.normpath(here / path))
    for folder in reversed([*whole.parents]):
        if folder.parent != folder and (folder / ".git").exists():
            return folder.resolve()
    if whole.is_relative_to(here) and here.parent != here:
        return here
    return whole.parent.resolve()


def inside(path: Path) -> bool:
    """True if a path may be opened. Git's own directory is outside: CI keeps its credentials there."""
    if not _ROOTS:
        return True
    found = Path(os.path.realpath(path))
    return any(found.is_relative_to(root) and ".git" not in found.relative_to(root).parts for root in _ROOTS)


def check(path: Path) -> Path:
    """The path to open: without links where the project is confined, so that no directory outside decides whether it
    exists. Raises :class:`SpecError` for a path that leads out of the project, whether it exists or not."""
    if inside(path):
        return Path(os.path.realpath(path)) if _ROOTS else path
    message = "leads out of the project, so it is not read: the project is not trusted"
    raise SpecError(message, where=Where(path, 1), hint=_HINT)


def expanded(text: str) -> str:
    """A path of Ansible's settings, with the variables of the environment; as written where the project is confined,
    because messages show paths."""
    return text if _ROOTS else str(Path(os.path.expandvars(text)).expanduser())


def home(text: str) -> str:
    """A path with ``~``, which is a variable of the environment too."""
    return text if _ROOTS else str(Path(text).expanduser())
