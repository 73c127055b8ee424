"""Write a project to start from: an inventory, a playbook, and a Molecule scenario that tests it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from provision.visible import say

_FOLDERS = ("inventory", "playbooks", "molecule/default", "molecule/plays")
_KINDS = (".yml", ".py")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where (default: here)")


def run(args: argparse.Namespace) -> int:
    from provision.errors import UsageError
    from provision.text.render import shipped

    found = [path for name in _FOLDERS for path in sorted(shipped(name).rglob("*")) if path.is_file()]
    files = {path.relative_to(shipped("inventory").parent): path for path in found if path.suffix in _KINDS}
    present = [name for name in files if (args.folder / name).exists()]
    if present:
        raise UsageError(f"{args.folder / present[0]} is already there; init overwrites nothing")
    for name, path in files.items():
        target = args.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        say(str(target), sys.stdout)
    say("Put your hosts into inventory/hosts.yml, then: provision plan", sys.stdout)
    say(
        "To try the playbook on a throwaway host first, with what provision-hosts[molecule] installs: molecule test",
        sys.stdout,
    )
    return 0
