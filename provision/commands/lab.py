"""Manage throwaway hosts on this machine, with a real systemd, sshd and Docker, to try a spec before a fleet has it."""

from __future__ import annotations

import argparse
import os
import re
import sys

from provision.commands import options
from provision.errors import UsageError
from provision.visible import say, show


def arguments(parser: argparse.ArgumentParser) -> None:
    options.group(parser, "what").add_argument(
        "--lab", default="lab", metavar="NAME", help="name of the lab (default: lab); its hosts are NAME01, NAME02 ..."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    up = actions.add_parser("up", help="boot the hosts that do not run yet")
    what = options.group(up, "what")
    what.add_argument("--hosts", type=int, default=3, metavar="N", help="number of hosts (default: 3)")
    what.add_argument(
        "--suite",
        default="trixie",
        help="image of the hosts: a Debian release, or in a checkout a look-alike (default: trixie)",
    )
    what.add_argument("--vm", action="store_true", help="virtual machines, each with its own kernel (slower)")
    actions.add_parser("down", help="stop and remove this lab's hosts")
    actions.add_parser("status", help="show this lab's hosts")
    actions.add_parser("inventory", help="print this lab as an inventory")
    ssh = actions.add_parser("ssh", help="log in to a host as root, or run a command there")
    ssh.add_argument("name", metavar="NAME")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")


def run(args: argparse.Namespace) -> int:
    from provision.lab.labs import Lab

    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,14}[a-z])?", args.lab):
        allowed = "1 to 16 characters of a-z, 0-9 and -, starting and ending with a letter"
        raise UsageError(f"invalid lab name {args.lab!r}: use {allowed}")
    lab = Lab(args.lab)
    if args.action == "up":
        if not 1 <= args.hosts <= 99:
            raise UsageError("a lab has 1 to 99 hosts")
        started = lab.up(dict.fromkeys(lab.names(args.hosts), args.suite), "vm" if args.vm else "nspawn")
        say(f"{len(started)} started; inventory: {lab.inventory_file}", sys.stdout)
    elif args.action == "down":
        gone = lab.down()
        say(f"{len(gone)} removed", sys.stdout)
    elif args.action == "status":
        for record, running in lab.status():
            state = "running" if running else "dead"
            say(f"{record.name}  {record.address}  {record.suite}  {record.kind}  {state}", sys.stdout)
    elif args.action == "inventory":
        show(lab.inventory())
    else:
        words = lab.ssh(args.name) + args.words
        os.execvp(words[0], words)
    return 0
