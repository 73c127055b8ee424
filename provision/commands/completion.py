"""``provision --completion [SHELL] [--install]``: print or install the script with which a shell completes commands.

``eval "$(provision --completion bash)"`` in ~/.bashrc has the effect of ``--install`` for each new shell; the same with
``zsh`` in ~/.zshrc. The scripts (``shells/``) ask ``provision --complete`` what may come next (``completing.py``).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from provision.errors import UsageError
from provision.lines import lines_of
from provision.visible import say, show
from provision.whole_file import write_whole

SHELLS = ("bash", "zsh", "fish")
#: The line of a script by which ``--install`` recognizes a file that provision wrote.
_MARK = "made by `provision --completion"
_SCRIPTS = Path(__file__).parent / "shells"
#: Seconds in which a new zsh must have read its own startup files.
_ZSH = 10


def script(shell: str) -> str:
    """The completion script for one of :data:`SHELLS`."""
    return (_SCRIPTS / f"provision.{shell}").read_text(encoding="utf-8")


def run(args: argparse.Namespace) -> int:
    """Raises :class:`UsageError` for an unknown shell, and for a file that provision must not replace."""
    shell = args.completion or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise UsageError(f"--completion: $SHELL names none of {', '.join(SHELLS)}; give the shell's name")
    if not args.install:
        show(script(shell))
        return 0
    file, more = _PLACES[shell]()
    written = _write(file, script(shell))
    say(f"{'wrote' if written else 'up to date:'} {file}", sys.stdout)
    for line in more:
        say(line, sys.stdout)
    return 0


def _write(file: Path, text: str) -> bool:
    """Write the script; return whether the file has changed. Raises :class:`UsageError` for a file that provision did
    not write, and for a link, which leads to a file of another program."""
    if file.is_symlink():
        raise UsageError(f"{file} is a link, and is not replaced (remove it, or use `provision --completion` and >)")
    if file.exists():
        before = file.read_text(encoding="utf-8", errors="replace")
        if not any(_MARK in line for line in lines_of(before)[:2]):
            raise UsageError(f"{file} is not replaced: provision did not write it (move it away, then repeat)")
        if before == text:
            return False
    file.parent.mkdir(parents=True, exist_ok=True)
    # Another shell may read the file at this moment.
    write_whole(file, text.encode("utf-8"))
    return True


def _folder(variable: str, default: str) -> Path:
    """A directory of the XDG base directory specification, which ignores a relative path."""
    given = Path(os.environ.get(variable, ""))
    return given if given.is_absolute() else Path.home() / default


def _bash() -> tuple[Path, list[str]]:
    own = os.environ.get("BASH_COMPLETION_USER_DIR")
    folder = Path(own) if own else _folder("XDG_DATA_HOME", ".local/share") / "bash-completion"
    file = folder / "completions" / "provision"
    return file, [
        "The package bash-completion loads it in new shells.",
        f"Without the package, add to ~/.bashrc: . {file}",
    ]


def _zsh() -> tuple[Path, list[str]]:
    home = Path.home()
    for folder in _fpath():
        if folder.is_absolute() and home in folder.parents and os.access(folder, os.W_OK):
            return folder / "_provision", ["New shells load it, if ~/.zshrc runs compinit."]
    folder = _folder("XDG_DATA_HOME", ".local/share") / "zsh/site-functions"
    lines = (
        "This account owns no directory of fpath. Add these lines to ~/.zshrc, above any other compinit:",
        f"fpath=({folder} $fpath)",
        "autoload -Uz compinit && compinit",
    )
    return folder / "_provision", list(lines)


def _fpath() -> list[Path]:
    """The directories in which an interactive zsh of this account searches functions; none without zsh."""
    import subprocess

    argv = ["zsh", "-ic", 'print -rl -- "" "$fpath[@]"']
    try:
        done = subprocess.run(  # noqa: S603 # the operator's own shell
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ZSH, check=False, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [Path(os.fsdecode(line)) for line in done.stdout.split(b"\n") if line]


def _fish() -> tuple[Path, list[str]]:
    folder = _folder("XDG_CONFIG_HOME", ".config") / "fish/completions"
    return folder / "provision.fish", ["New shells load it."]


_PLACES = {"bash": _bash, "zsh": _zsh, "fish": _fish}
