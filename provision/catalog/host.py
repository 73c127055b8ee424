"""The resources of the host itself: kernel, firewall, who can be root through docker, and logins at registries."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Literal

from provision.catalog.context import CompileContext, sysctl_dropin
from provision.engine import daemon_json
from provision.model import Resource
from provision.resources.access import GuardedSocket, PlainPrograms, SocketUnit
from provision.resources.boot_service import BootService
from provision.resources.dropin import Dropin
from provision.resources.file import File
from provision.resources.folder import Folder
from provision.resources.forward import Forward, OpenForward
from provision.resources.module import KernelModule, ModulesElsewhere
from provision.resources.sysctl import Sysctl, SysctlElsewhere
from provision.secrets import secret


def kernel(ctx: CompileContext) -> Iterator[Resource]:
    """Each play has its own drop-ins, so that one can be removed without the other. Modules come first: some settings
    exist only when their module is loaded."""
    dropins: dict[str, str] = {}
    for play, slug, spec in ctx.plays:
        if spec.modules:
            path = f"/etc/modules-load.d/provision-{slug}.conf"
            content = ctx.render("modules.conf.j2", play=play, modules=spec.modules)
            yield Dropin(ctx.file(path, content), ModulesElsewhere(tuple(spec.modules)))
        if spec.sysctl:
            path = sysctl_dropin(slug)
            dropins |= dict.fromkeys(spec.sysctl, path)
            content = ctx.render("sysctl.conf.j2", play=play, sysctl=spec.sysctl)
            yield Dropin(ctx.file(path, content), SysctlElsewhere(spec.sysctl))
    for module in ctx.spec.modules:
        yield KernelModule(module)
    paths = frozenset(ctx.spec.files).union(sysctl_dropin(slug) for _, slug, _ in ctx.plays)
    for key, value in ctx.spec.sysctl.items():
        yield Sysctl(key, value, dropins[key], paths)


UNIT = "provision-forward"


def boot_rules(ctx: CompileContext) -> Iterator[Resource]:
    """Files. They come before the packages, so that a service that a package starts finds them."""
    if ctx.spec.engine is None or (declared := ctx.spec.engine.firewall) is None:
        return
    if declared.firewalld:
        bridge = str((ctx.spec.engine.daemon or {}).get("bridge") or "docker0")
        yield ctx.file(daemon_json.ZONE, ctx.render("firewalld/docker.xml.j2", bridge=bridge))


def live_rules(ctx: CompileContext) -> Iterator[Resource]:
    """After the packages, because a package brings iptables."""
    if ctx.spec.engine is None:
        return
    forward = ctx.spec.engine.firewall.forward if ctx.spec.engine.firewall is not None else None
    if (ctx.spec.engine.daemon or {}).get("firewall-backend") == "nftables":
        if forward == "drop":
            raise ctx.error(
                "iptables' FORWARD chain would drop what dockerd's rules in nftables accept, so containers would"
                " have no network",
                *("engine", "firewall", "forward"),
                hint="remove it with firewall-backend: nftables, or use the backend iptables",
            )
        if forward is None:
            yield OpenForward()
    if forward is None:
        return
    policy: Literal["ACCEPT", "DROP"] = "ACCEPT" if forward == "accept" else "DROP"
    init = ctx.family.init
    template = {"systemd": "systemd/forward.service.j2", "openrc": "openrc/forward.j2"}[init.name]
    file = File(init.unit.format(UNIT), ctx.render(template, policy=policy), mode=init.mode)
    yield BootService(file, UNIT, init.link.format(UNIT))
    yield Forward(policy)


#: The programs of Docker's packages, and of the packages of distributions.
_NAMES = ("docker", "dockerd", "docker-init", "docker-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc")
_PROGRAMS = tuple(f"/usr/bin/{name}" for name in _NAMES)


def access(ctx: CompileContext) -> Iterator[Resource]:
    if ctx.spec.engine is None:
        return
    systemd = ctx.family.init.name == "systemd"
    # With systemd the socket is systemd's, and the key of daemon.json has no effect on it (systemd.socket(5)).
    daemon = daemon_json.daemon_json(ctx.spec.engine) or {}
    group = daemon_json.GROUP if systemd else str(daemon.get("group") or daemon_json.GROUP)
    unit = f"/etc/systemd/system/{daemon_json.SOCKET}"
    if systemd:
        yield SocketUnit(daemon_json.SOCKET, group, frozenset(ctx.spec.files))
    if not any(path == unit or path.startswith(f"{unit}.d/") for path in ctx.spec.files):
        yield GuardedSocket("/run/docker.sock", group)
    if daemon_json.CONTAINERD_TOML not in ctx.spec.files:
        yield GuardedSocket("/run/containerd/containerd.sock", "root")
    yield PlainPrograms(_PROGRAMS)


#: The name of Docker Hub for docker's client (docker/cli, registry.IndexServer).
_HUB = "https://index.docker.io/v1/"


def logins(ctx: CompileContext, root: bool) -> Iterator[Resource]:
    """The whole of an account's ``.docker/config.json``. Root's comes before the others: the daemon's pulls need it."""
    accounts: dict[str, dict[str, str]] = {}
    registries = ctx.spec.engine.registries if ctx.spec.engine is not None else {}
    for name, registry in registries.items():
        login = registry.login
        for account in login.accounts if login is not None else ():
            if login is not None and (account == "root") == root:
                pair = secret.derived(f"login_{login.user}", login.password, _basic(login.user))
                accounts.setdefault(account, {})[_HUB if name == "docker.io" else name] = pair
    for account, found in accounts.items():
        home = _home(ctx, account)
        auths = {name: {"auth": pair} for name, pair in found.items()}
        # The form that docker's client writes. The look parses the same form.
        content = json.dumps({"auths": auths}, indent="\t", ensure_ascii=False) + "\n"
        path = f"{home}/.docker/config.json"
        if path in ctx.spec.files:
            raise ctx.error("engine.registries declares this file too", "files", path)
        # The account's own group has its name (useradd(8)).
        yield Folder(f"{home}/.docker", account, account, "0700")
        yield File(path, content.encode(), account, account, "0600", secret=True)


def _basic(user: str) -> secret.Derivation:
    def encoded(password: str) -> str:
        return base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()

    return secret.Derivation("basic", user, encoded)


def _home(ctx: CompileContext, account: str) -> str:
    if account == "root":
        return "/root"
    declared = ctx.spec.users.get(account)
    return (declared.home if declared is not None else None) or f"/home/{account}"
