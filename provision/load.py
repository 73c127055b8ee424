"""Everything a run needs, from the files the user wrote: inventory, playbook, host configurations, templates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from provision.catalog import Options, check_catalogs
from provision.distros import custom, examples
from provision.errors import Note, SpecError, UsageError, all_of, distinct
from provision.inventory import Inventory, vault
from provision.inventory.login import Logins as Logins
from provision.inventory.sources import Given, Reading
from provision.project.dependencies import dependencies
from provision.project.host_config import Context, HostConfig, context, read_configs
from provision.project.playbook import read_playbook
from provision.secrets import secret
from provision.text.yamlfile import Map


class Loaded(Struct, frozen=True):
    """The result of :func:`load`: each host's configuration, and the context that the hosts share."""

    configs: list[HostConfig]
    context: Context
    #: what Ansible reads differently in the inventory
    notes: tuple[Note, ...] = ()
    #: with ``tolerant``: the faults of the files; hosts with faults have only the parts that are valid
    faults: tuple[SpecError, ...] = ()

    def for_host(self, name: str) -> tuple[HostConfig, Context]:
        """The arguments of a task for one host, by its name or its address; for fabfiles."""
        for config in self.configs:
            if name in (config.host.name, config.host.login.address):
                return config, self.context
        raise UsageError(f"no play is for {name}")


def load(
    inventory: Given | None,
    playbook: Path | str,
    *,
    limit: str | None = None,
    extra: Map | None = None,
    logins: Logins | None = None,
    options: Options | None = None,
    prepare: Callable[[Loaded], None] | None = None,
    foresees: bool = False,
    reading: Reading | None = None,
    tolerant: bool = False,
) -> Loaded:
    """Read and check everything; raises a :class:`~provision.errors.ProvisionError` with the faults that were found.
    With ``tolerant`` it returns the faults of plays and specs, with the hosts as far as they can be read.

    ``inventory`` is the value of ``-i``; None stands for the default. ``prepare`` is called before the files of hosts
    are rendered, to make what they need. With ``foresees`` a placeholder text stands for certificates that do not exist
    yet. It is for a run that changes nothing.
    """
    if reading is None:
        # For a program that calls load() itself: the environment and ansible.cfg name the sources of vault passwords.
        secret.open_vaults_with(vault.of_settings().open)
    path = Path(playbook)
    plays, faults = read_playbook(path)
    if faults and not plays:
        raise all_of(faults)
    known = Inventory(inventory, playbook_dir=path.parent, extra=extra, reading=reading, logins=logins)
    own = custom.read(path.with_name(custom.FILE))
    read, more = read_configs(known, plays, limit)
    configs = [replace(config, distributions=own) for config in read]
    alone = context(path, foresees=foresees)
    if (faults := distinct([*faults, *more])) and not tolerant:
        raise all_of(faults)
    if faults:
        return Loaded(configs, alone, tuple(known.notes), tuple(faults))
    order = dependencies(configs, alone)
    addresses = {config.host.name: config.host.login.address for config in configs}
    clients = {host: {one: addresses[one] for one in all_} for host, all_ in order.clients.items()}
    whole = dataclasses.replace(alone, pushed_by=order.pushed_by, clients=clients)
    found = Loaded(configs, whole, tuple(known.notes))
    if prepare is not None:
        prepare(found)
    check(found, options or Options())
    return found


def check(loaded: Loaded, options: Options) -> None:
    """Render every host's files once for a platform of each family. A bad template, a missing ``src`` or a
    contradiction must be reported before a host is touched."""
    check_catalogs(loaded.configs, tuple(examples().values()), loaded.context, options)
