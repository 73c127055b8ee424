"""Variables of hosts: names that are almost those of a connection setting, and secrets whose file is missing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from provision import limits
from provision.errors import SpecError
from provision.inventory.login import VARIABLES
from provision.lint.finding import Finding
from provision.lint.rules import NAMES, finding
from provision.project.host_config import HostConfig
from provision.secrets import secret
from provision.text.yamlfile import closest, nearest

_PREFIXES = ("ansible", "provision")


def lint(configs: list[HostConfig]) -> Iterator[Finding]:
    files = set()
    for config in configs:
        raw = config.scope.raw
        for name, where in raw.where.items():
            files.add(where.file)
            if name in raw and (meant := misspelt(name)):
                # A list for the project's own use has the plural of a setting as its name.
                level = "warning" if name == f"{meant}s" else "error"
                message = f"{name} is not a variable of a connection, so it has no effect"
                yield finding("SP413", where, message, f'did you mean "{meant}"?', level)  # type: ignore[arg-type]
        files |= {config.source.here.file} if config.source.here is not None else set()
    for where, path in secret.files():
        if where.file in files and limits.inside(path) and not limits.check(path).is_file():
            names = _beside(path)
            message = f"the file of a secret does not exist: {path}"
            hint = nearest(path.name, names) or "the run needs it; its path is relative to this file"
            yield finding("SP414", where, message, hint, "error" if closest(path.name, names) else "warning")


def _beside(path: Path) -> list[str]:
    """The names in the directory of a path; none where it can't be listed."""
    folder = path.parent
    try:
        return [one.name for one in limits.check(folder).iterdir()]
    except (OSError, SpecError):
        return []


def misspelt(name: str) -> str | None:
    """The connection variable that was probably meant by a name that is not one."""
    prefix, _, rest = name.partition("_")
    party = difflib.get_close_matches(prefix, _PREFIXES, n=1, cutoff=0.8)
    if name in VARIABLES or name in NAMES["variables of Ansible"] or not party:
        return None
    known = [one.partition("_")[2] for one in sorted(VARIABLES) if one.startswith(party[0])]
    found = difflib.get_close_matches(rest, known, n=1, cutoff=0.75)
    return f"{party[0]}_{found[0]}" if found else None
