"""Show the inventory as it is understood: groups, hosts, variables."""

from __future__ import annotations

import argparse

from provision.commands import options
from provision.visible import json_text, show


def arguments(parser: argparse.ArgumentParser) -> None:
    options.inventory(parser)
    parser.add_argument(
        "--playbook",
        metavar="FILE",
        default="playbooks/site.yml",
        help="its group_vars/ and host_vars/ count too (default: playbooks/site.yml)",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="all groups and all hosts' variables, as JSON")
    what.add_argument("--graph", action="store_true", help="the groups as a tree")
    what.add_argument("--host", metavar="NAME", help="one host's variables, as JSON")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from provision.errors import UsageError
    from provision.inventory import Inventory
    from provision.text.yamlfile import nearest

    folder = Path(args.playbook).parent
    known = Inventory(
        args.inventory, playbook_dir=folder if folder.is_dir() else None, extra=options.extra_vars(args.extra_vars)
    )
    if args.graph:
        show(known.graph() + "\n")
    elif args.list:
        show(json_text(known.listing(), indent=4) + "\n")
    else:
        if args.host not in known.tree.hosts:
            hint = nearest(args.host, known.tree.hosts)
            raise UsageError(f"no host {args.host} in {args.inventory}" + (f" ({hint})" if hint else ""))
        show(json_text(known.visible(args.host), indent=4) + "\n")
    return 0
