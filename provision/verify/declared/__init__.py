"""The things that a spec declares, one checkable thing at a time: the values that the suites are parametrized with.

Derived from the spec itself, independent of ``catalog``: a thing that ``catalog`` forgets must show here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.project.host_config import Context, HostConfig
from provision.verify.declared import objects, registries, system
from provision.verify.declared.named import Archive, FileBytes, Named

__all__ = ["PROVIDERS", "Archive", "FileBytes", "Named"]

#: A test with an argument of this name runs once for each of these things.
PROVIDERS: dict[str, Callable[[HostConfig, Context], Iterator[Named]]] = {
    provider.__name__: provider
    for provider in (
        system.hostname,
        system.declared_file,
        system.absent_file,
        system.sysctl,
        system.module,
        system.package,
        system.pinned_package,
        system.held_package,
        system.absent_package,
        system.archive,
        system.signed_archive,
        system.user,
        system.absent_user,
        system.member,
        system.enabled_service,
        system.running_service,
        system.engine,
        system.pinned_engine,
        system.bridged,
        system.outside,
        system.namespace,
        system.controller,
        system.live_restore,
        system.daemon,
        system.daemon_key,
        system.proxy,
        system.certificate,
        system.certificate_list,
        system.docker_users,
        system.signed_sources,
        system.docker_unit,
        system.docker_socket,
        system.guarded_folder,
        system.data_root,
        system.forward_policy,
        system.firewalld,
        system.containerd_root,
        *objects.PROVIDERS,
        *registries.PROVIDERS,
    )
}
