"""Select what processes the hosts: threads, worker processes, or a cluster; refuse what a cluster does not support."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from provision.commands import options as given
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.catalog import Options
    from provision.load import Loaded
    from provision.rollout.cluster import Cluster
    from provision.rollout.fanout import FanOut
    from provision.rollout.run_request import RunRequest


def check(args: argparse.Namespace) -> None:
    """Check the command line alone, before the operator is asked for a password."""
    if getattr(args, "cluster", None) is not None and (args.ask_pass or args.ask_become_pass):
        raise UsageError("--cluster sends no password to workers: they log in with their own keys")
    if getattr(args, "cluster", None) is not None and args.processes is not None:
        raise UsageError("--processes is for this machine: a cluster has its own number of workers")
    asked = args.ask_vault_pass or any(id.endswith("@prompt") for id in args.vault_id)
    if getattr(args, "cluster", None) is not None and asked:
        raise UsageError(
            "--cluster sends no vault password to workers: give --vault-id ID@FILE, with the file on each worker"
        )


def fan_out(args: argparse.Namespace, options: Options, request: RunRequest, found: Loaded) -> FanOut | None:
    """What processes the hosts instead of the threads of this process. Raises :class:`UsageError`."""
    if (chosen := _cluster(args, options, request, found)) is not None:
        return chosen
    from provision.rollout.processes import Processes, suitable

    count = suitable(getattr(args, "processes", 1), len(found.configs), request.forks)
    if count == 1:
        return None
    return Processes(count, request.forks)


def _cluster(args: argparse.Namespace, options: Options, request: RunRequest, found: Loaded) -> Cluster | None:
    """The cluster that processes the hosts, if one was named. Raises :class:`UsageError`, also for what works only on
    this machine."""
    if getattr(args, "cluster", None) is None:
        return None

    try:
        from provision.rollout.cluster import Address, Cluster
    except ImportError as error:
        raise UsageError(
            f"--cluster needs the package distributed, which the extra `cluster` of the wheel installs ({error})"
        ) from error
    from provision.rollout.shard import Project, digest, resolved
    from provision.transport.ssh import Connecting

    rollouts = [config.rollout_options[1] for config in found.configs if config.rollout_options is not None]
    if any(hooks.host is not None for one in rollouts for hooks in (one.before, one.after)):
        raise UsageError("--cluster does not support commands for each host (before, after), only those for waves")
    if any(one.reboot != "never" and one.domain is None for one in rollouts):
        raise UsageError("--cluster supports restarts only with a domain, which limits them to one host at a time")
    project = Project(
        resolved(args.inventory),
        args.playbook.resolve(),
        given.extra_vars(args.extra_vars),
        given.logins(args),
        options,
        Connecting(args.connect_timeout, args.accept_new),
        digest(args.inventory, args.playbook),
        found.context.foresees,
        given.reading(args),
    )
    address = Address(args.cluster, args.cluster_ca, args.cluster_cert, args.cluster_key)
    return Cluster(address, project, request, args.shard)
