"""Log in to one host of the inventory with ssh, or run one command there. ssh replaces provision, and its exit code
counts. The command is not checked, recorded or rolled back."""

from __future__ import annotations

import argparse
import os
import shutil

from provision.commands import options
from provision.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="a host of the inventory")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="default: a shell")
    options.inventory(parser)


def run(args: argparse.Namespace) -> int:
    from provision.inventory import Inventory
    from provision.secrets import secret
    from provision.text.yamlfile import nearest
    from provision.transport.openssh import at_a_terminal

    folder = options.PLAYBOOK.parent
    known = Inventory(
        args.inventory,
        playbook_dir=folder if folder.is_dir() else None,
        extra=options.extra_vars(args.extra_vars),
        reading=options.reading(args),
    )
    if args.host not in known.tree.hosts:
        hint = nearest(args.host, known.tree.hosts) or "`provision inventory --graph` shows all of them"
        raise UsageError(f"no host {args.host} in the inventory ({hint})")
    words = [*at_a_terminal(known.host(args.host).login), *args.words]
    options.warn(known.notes)
    program = shutil.which("ssh")
    if program is None:
        raise UsageError("this machine has no ssh program")
    os.execve(program, words, secret.environment())  # noqa: S606 - the operator's own command
