"""Show what apply would change, with diffs; change nothing."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.commands import clustering, options, running
from provision.commands.authorities import announce
from provision.commands.reporters import whoami, writable
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.load import Loaded
    from provision.model import Event, Salt
    from provision.transport.ssh import Transport


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.connecting(parser)
    options.showing(parser)
    options.group(parser, "output").add_argument(
        "--detailed-exitcode", action="store_true", help="exit 2 when changes are pending"
    )
    options.group(parser, "output").add_argument(
        "--out", type=Path, metavar="FILE", help="write the plan to a file, for apply --plan"
    )
    options.group(parser, "output").add_argument(
        "--sign", type=Path, metavar="KEY", help="sign that file with an ssh key (FILE.sig)"
    )
    options.group(parser, "output").add_argument(
        "--drift-report", action="store_true", help="show each difference once, with the hosts that have it"
    )


def run(args: argparse.Namespace) -> int:
    if args.sign is not None and args.out is None:
        raise UsageError("--sign needs --out FILE")
    if args.sign is not None and not args.sign.is_file():
        raise UsageError(f"--sign {args.sign}: there is no such key file")
    if args.out is not None:
        from provision.secrets.private_file import check_private

        writable(args.out)
        check_private(args.out)
    plans = None if args.out is None else _Plans(args)
    status = _plan(args, plans)
    if plans is not None and status != 1:
        plans.write()
    return status


def _plan(args: argparse.Namespace, plans: _Plans | None) -> int:
    from provision.catalog import Options
    from provision.rollout.run_request import Goal
    from provision.secrets.disclosure import new_salt

    clustering.check(args)
    options = Options(args.upgrade, args.lock_timeout, salt=new_salt(stored=plans is not None))
    if plans is None:
        found = running.loaded(args, options, announce, foresees=True)
    else:
        # A plan file has exactly the bytes that apply writes, so certificates must exist.
        found = running.loaded(args, options)
        plans.of(found, options.salt)
    if not running.sound(found, args.no_lint):
        return 1
    prepared = None if plans is None else plans.prepared
    result = running.read(args, Goal.PLAN, found, options, plans, prepared, max_impact=args.max_impact)
    return running.exit_code(result, args.detailed_exitcode)


class _Plans:
    """Collects the plans of a run, and writes them into the plan file."""

    def __init__(self, args: argparse.Namespace) -> None:
        from provision.inventory import program

        program.approve(None)
        self.args = args
        self.hosts: dict[str, dict[str, Any]] = {}

    def of(self, found: Loaded, salt: Salt) -> None:
        """Before the first host, record the salt and the rollout, with which apply compares its own plan later."""
        from provision.planning import planfile

        self.salt = salt
        self.logins = {config.host.name: config.host.login for config in found.configs}
        self.rollout = planfile.rollout(found.configs, self.args.playbook.resolve().parent)

    def prepared(self, ways: Transport) -> None:
        self.ways = ways

    def __call__(self, event: Event) -> None:
        from provision.model import Plan
        from provision.planning import planfile

        if event.name == "host.plan" and isinstance(plan := event.data["plan"], Plan):
            self.hosts[event.host] = planfile.entry(plan, self.salt)

    def write(self) -> None:
        from provision.inventory import program
        from provision.planning import planfile
        from provision.secrets import signing
        from provision.transport import destination, known_hosts

        # The keys of --accept-new may have been stored by another process of this run.
        known_hosts.read.cache_clear()
        logins = {
            name: {
                "asked": destination.asked(self.logins[name]),
                "reached": destination.reached(self.ways.route(self.logins[name])),
            }
            for name in self.hosts
        }
        args = self.args
        head = {"made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "by": whoami(), "playbook": str(args.playbook)}
        data = planfile.text(planfile.PlanFile(head, self.salt, self.rollout, self.hosts, program.started(), logins))
        planfile.write(args.out, data)
        if args.sign is not None:
            signing.sign(args.out, data, args.sign)
