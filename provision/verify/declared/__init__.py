"""What a spec declares, one checkable thing at a time: the values that the suites are parametrized with.

Worked out from the spec itself, apart from ``desire``: a thing that ``desire`` forgets must show here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.declare import Context, Wish
from provision.verify.declared import host, objects, registry
from provision.verify.declared.named import Archive, FileBytes, Named

__all__ = ["PROVIDERS", "Archive", "FileBytes", "Named"]

#: A test's argument of this name is each of these things in turn.
PROVIDERS: dict[str, Callable[[Wish, Context], Iterator[Named]]] = {
    provider.__name__: provider
    for provider in (
        host.hostname,
        host.declared_file,
        host.absent_file,
        host.sysctl,
        host.module,
        host.package,
        host.pinned_package,
        host.held_package,
        host.absent_package,
        host.archive,
        host.signed_archive,
        host.user,
        host.absent_user,
        host.member,
        host.enabled_service,
        host.running_service,
        host.engine,
        host.pinned_engine,
        host.bridged,
        host.outside,
        host.namespace,
        host.controller,
        host.live_restore,
        host.daemon,
        host.daemon_key,
        host.proxy,
        host.certificate,
        host.certificate_list,
        host.docker_users,
        host.signed_sources,
        host.docker_unit,
        host.docker_socket,
        host.guarded_folder,
        host.data_root,
        host.forward_policy,
        host.firewalld,
        host.containerd_root,
        *objects.PROVIDERS,
        *registry.PROVIDERS,
    )
}
