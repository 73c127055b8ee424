"""The policy of iptables' FORWARD chain: what a host does with packets that are not for itself.

dockerd sets it to DROP only when it is the one that switches forwarding on (moby,
libnetwork/drivers/bridge/setup_ip_forwarding.go); where a sysctl did that before, everything is forwarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from provision.model import Call, Drift, HostReport, State
from provision.resources.obstacle import Unfixable

_FAMILIES = ("ipv4", "ipv6")


class Forward(Struct, frozen=True):
    """Live; a :class:`~provision.resources.boot_service.BootService` sets it again at each boot."""

    policy: Literal["ACCEPT", "DROP"]

    @property
    def id(self) -> str:
        return "forward:policy"

    @property
    def makes(self) -> tuple[str, ...]:
        return ("forward policy",)

    def want(self) -> State:
        return dict.fromkeys(_FAMILIES, self.policy)

    def look(self) -> tuple[Call, ...]:
        return (Call("look_forward"),)

    def seen(self, report: HostReport) -> State:
        """A host without IPv6, or whose kernel has no table for it, forwards none of it by rules of iptables."""
        found = {family: report.fields("forward", family)[0] for family in _FAMILIES}
        if found["ipv6"] == "none":
            found["ipv6"] = self.policy
        return {**found, "live": found["ipv4"]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("forward_set", (self.policy,))


class OpenForward(Struct, frozen=True):
    """For a dockerd that writes its rules with nftables: a chain of iptables that drops drops what those accept.

    dockerd's own backend iptables leaves the policy DROP behind when the other one follows it on a running host.
    """

    @property
    def id(self) -> str:
        return "forward:open"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"ipv4": "not DROP"}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_forward"),)

    def seen(self, report: HostReport) -> State:
        policy = report.fields("forward", "ipv4")[0]
        return {"ipv4": policy if policy == "DROP" else "not DROP"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        raise Unfixable(
            "the policy of iptables' FORWARD chain is DROP here, so with firewall-backend: nftables no container would"
            " reach anything (set engine.firewall: {forward: accept}, or the policy by hand)"
        )


class ForwardBefore(Struct, frozen=True):
    """A policy of ours that is no longer declared: it goes back to what it was before."""

    policy: str

    @property
    def id(self) -> str:
        return "forward:policy"

    @property
    def makes(self) -> tuple[str, ...]:
        return ()

    def want(self) -> State:
        return {"ipv4": self.policy}

    def look(self) -> tuple[Call, ...]:
        return (Call("look_forward"),)

    def seen(self, report: HostReport) -> State:
        """The first look does not know of it; what it was is not known then."""
        if report.get("forward", "ipv4") is None:
            return {"ipv4": "ours"}
        return {"ipv4": report.fields("forward", "ipv4")[0]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield Call("forward_set", (self.policy,))
