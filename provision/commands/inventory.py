"""Show the inventory as it is understood: groups, hosts, variables, and what Ansible reads differently."""

from __future__ import annotations

import argparse
import fnmatch
from typing import TYPE_CHECKING

from provision.commands import options
from provision.errors import Note, SpecError, UsageError
from provision.visible import json_text, line, show

if TYPE_CHECKING:
    from provision.inventory import Inventory
    from provision.model import Login


def arguments(parser: argparse.ArgumentParser) -> None:
    options.inventory(parser)
    options.group(parser, "what").add_argument(
        "--playbook",
        metavar="FILE",
        default="playbooks/site.yml",
        help="its group_vars/ and host_vars/ count too (default: playbooks/site.yml)",
    )
    what = options.group(parser, "what").add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="all groups and all hosts' variables, as JSON")
    what.add_argument(
        "--graph", nargs="?", const="all", metavar="PATTERN", help="the groups as a tree, or some of them"
    )
    what.add_argument("--host", metavar="HOST", help="one host's variables, as JSON")
    what.add_argument(
        "--list-hosts", metavar="PATTERN", help="the hosts that a pattern names, one a line, in its order"
    )
    what.add_argument("--check", action="store_true", help="differences from Ansible, and what is not supported")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from provision.inventory import Inventory

    folder = Path(args.playbook).parent
    reading = options.reading(args)
    known = Inventory(
        args.inventory,
        playbook_dir=folder if folder.is_dir() else None,
        extra=options.extra_vars(args.extra_vars),
        reading=reading,
    )
    if args.check:
        _check(args, known)
        return 0
    if args.graph is not None:
        show("".join(f"{known.graph(name)}\n" for name in _groups(known, args.graph)))
    elif args.list:
        show(json_text(known.listing(), indent=4) + "\n")
    elif args.list_hosts is not None:
        hosts = known.select(args.list_hosts, key="--list-hosts")
        show("".join(f"{line(host)}\n" for host in hosts))
        if not hosts:
            known.tree.notes.append(Note(f"the pattern {line(args.list_hosts)!r} selects no host", loud=True))
    else:
        show(json_text(known.visible(_host(known, args.host)), indent=4) + "\n")
    options.warn(known.notes)
    return 0


def _host(known: Inventory, name: str) -> str:
    from provision.text.yamlfile import nearest

    if name not in known.tree.hosts:
        hint = nearest(name, known.tree.hosts)
        raise UsageError(f"no host {name} in the inventory" + (f" ({hint})" if hint else ""))
    return name


def _groups(known: Inventory, pattern: str) -> list[str]:
    """The groups of a pattern, without those that are shown below another one of them already."""
    from provision.text.yamlfile import nearest

    found = [name for name in known.tree.groups if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        hint = nearest(pattern, known.tree.groups)
        raise UsageError(f"--graph: no group matches {pattern!r}" + (f" ({hint})" if hint else ""))
    return ["all"] if "all" in found else found


def _check(args: argparse.Namespace, known: Inventory) -> None:
    from provision.inventory.check import check
    from provision.transport.ssh_config import Resolver
    from provision.transport.target import question, target

    resolver = Resolver()

    def judge(logins: list[Login]) -> list[SpecError | None]:
        resolver.ask(map(question, logins))
        return [why(login) for login in logins]

    def why(login: Login) -> SpecError | None:
        try:
            (answer,) = resolver.resolve([question(login)])
            target(login, answer, accept_new=False)
        except SpecError as error:
            return error
        return None

    found, compared = check(known, args.inventory, judge)
    for note in found:
        show(f"{line(str(note))}\n")
    how = (
        f"compared with ansible-inventory {compared}"
        if compared
        else "ansible-inventory is not installed: not compared"
    )
    show(f"{len(found)} difference{'' if len(found) == 1 else 's'} ({how})\n")
