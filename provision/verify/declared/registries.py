"""What a spec declares of a host that is a registry, and of the hosts that use one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from provision.project.host_config import Context, HostConfig
from provision.secrets.authority import ca_file
from provision.secrets.secret import reveal
from provision.verify.declared.objects import Named
from provision.verify.registry_client import Server


def registry(config: HostConfig, context: Context) -> Iterator[Named]:
    declared = config.spec.registry
    if declared is None:
        return
    authority = None
    if declared.tls is not None and declared.tls.ca is not None:
        authority = ca_file(context.folder / "ca", declared.tls.ca).read_text()
    elif declared.tls is not None:
        given = reveal(str(declared.tls.cert)).lstrip()
        authority = given if given.startswith("-----BEGIN ") else (context.read(given) or b"").decode()
    user, one = next(iter(declared.users.items()), ("", None))
    password = reveal(one.password) if one is not None else ""
    yield Named(f"{declared.name}:{declared.port}", Server(declared.name, declared.port, authority, user, password))


def tls_registry(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (thing for thing in registry(config, context) if thing.value.authority is not None)


def closed_registry(config: HostConfig, context: Context) -> Iterator[Named]:
    """A registry that requires a password."""
    yield from (thing for thing in registry(config, context) if thing.value.user)


def open_registry(config: HostConfig, context: Context) -> Iterator[Named]:
    """A registry that accepts pushes and deletions."""
    declared = config.spec.registry
    if declared is not None and declared.delete and not declared.read_only and declared.proxy is None:
        yield from registry(config, context)


def read_only_registry(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.registry is not None and config.spec.registry.read_only:
        yield from registry(config, context)


def puller(config: HostConfig, context: Context) -> Iterator[Named]:
    """The addresses of the hosts of this playbook that should use this registry."""
    if config.spec.registry is None or config.spec.registry.source != "package":
        return
    for name, address in context.clients.get(config.host.name, {}).items():
        try:
            yield Named(name, str(ipaddress.ip_address(address)))
        except ValueError:
            continue  # the log contains only addresses


def login(config: HostConfig, context: Context) -> Iterator[Named]:
    """``(account, file)`` for each account that has a login at a registry."""
    for name, one in (config.spec.engine.registries if config.spec.engine else {}).items():
        for account in one.login.accounts if one.login is not None else ():
            declared = config.spec.users.get(account)
            home = "/root" if account == "root" else (declared and declared.home) or f"/home/{account}"
            shown = "https://index.docker.io/v1/" if name == "docker.io" else name
            yield Named(f"{account} at {shown}", (account, f"{home}/.docker/config.json"))


PROVIDERS = (registry, tls_registry, closed_registry, open_registry, read_only_registry, puller, login)
