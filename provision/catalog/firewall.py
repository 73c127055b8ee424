"""The rules of the host's own firewall for containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from provision.catalog.context import CompileContext
from provision.engine import daemon_json
from provision.model import Resource
from provision.resources.boot_service import BootService
from provision.resources.file import File
from provision.resources.forward import Forward, OpenForward

UNIT = "provision-forward"


def boot_rules(ctx: CompileContext) -> Iterator[Resource]:
    """Files. They come before the packages, so that a service that a package starts finds them."""
    if ctx.spec.engine is None or (declared := ctx.spec.engine.firewall) is None:
        return
    if declared.firewalld:
        bridge = str((ctx.spec.engine.daemon or {}).get("bridge") or "docker0")
        content = ctx.render("firewalld/docker.xml.j2", bridge=bridge)
        yield File(daemon_json.ZONE, content, watchers=ctx.watchers.get(daemon_json.ZONE, ()))


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
    yield BootService(UNIT, file, init.link.format(UNIT))
    yield Forward(policy)
