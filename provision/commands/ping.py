"""Log in to each host as the other commands do, run one trivial command, and report it. Exit 3 when a host fails.

It needs the inventory only, no playbook.
"""

from __future__ import annotations

import argparse

from provision.commands import options, running
from provision.errors import UsageError, Where


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser, "group_vars/ and host_vars/ in its directory count too; it need not exist")
    options.logging_in(parser)


def run(args: argparse.Namespace) -> int:
    from provision.catalog import Options
    from provision.inventory import Inventory
    from provision.load import Loaded
    from provision.project.host_config import Context, declare
    from provision.project.playbook import Play
    from provision.rollout.run_request import Goal
    from provision.secrets.disclosure import new_salt
    from provision.text.render import Templates
    from provision.text.yamlfile import Map

    folder = args.playbook.parent
    known = Inventory(
        args.inventory,
        playbook_dir=folder if folder.is_dir() else None,
        extra=options.extra_vars(args.extra_vars),
        reading=options.reading(args),
        logins=options.logins(args),
    )
    if not known.tree.hosts:
        raise UsageError("the inventory has no host")
    nowhere = Where(args.playbook, 1)
    everyone = Play("ping", "ping", "all", Map(), Map(), (), nowhere, nowhere)
    context = Context(Templates(folder / "templates"), (folder / "files", folder), folder)
    found = Loaded(declare(known, [everyone], args.limit), context, tuple(known.notes))
    options.warn(found.notes)
    return running.exit_code(running.read(args, Goal.PING, found, Options(salt=new_salt())))
