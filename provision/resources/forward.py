"""The policy of iptables' FORWARD chain: what a host does with packets that are not addressed to the host itself.

dockerd sets it to DROP only when dockerd itself switches forwarding on (moby,
libnetwork/drivers/bridge/setup_ip_forwarding.go). If a sysctl has switched it on before, the host forwards everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from provision.model import Call, Drift, HostReport, Impact, Kept, State
from provision.resources import declaration as d
from provision.resources.base import Base
from provision.resources.obstacle import Unfixable

_FAMILIES = ("ipv4", "ipv6")
_POLICIES = ("ACCEPT", "DROP")


def forward_set(policy: str, *, before: str | None, before_ipv6: str = "-") -> Call:
    """Set the policy of iptables' FORWARD chain. ``before`` and ``before_ipv6`` are the policies now; a value that is
    not a policy is not restored."""
    return Call(
        "forward_set",
        (policy,),
        title=f"set the policy of the FORWARD chain to {policy}",
        impact=Impact("none", "", "the host forwards packets between all its networks") if policy == "ACCEPT" else None,
        keeps=(Kept("forward", before, before_ipv6),) if before in _POLICIES else (),
    )


class Policy(Base, frozen=True):
    kind = "forward"
    name = "policy"
    place = d.Place.SETTINGS

    def look(self) -> tuple[Call, ...]:
        return (Call("look_forward"),)


class Forward(Policy, frozen=True):
    """The live policy; a :class:`~provision.resources.boot_service.BootService` sets it at each boot."""

    policy: Literal["ACCEPT", "DROP"]

    entry = "forward"

    def want(self) -> State:
        return dict.fromkeys(_FAMILIES, self.policy)

    def seen(self, report: HostReport) -> State:
        """Without IPv6, or without a table for it in the kernel, no rule of iptables forwards IPv6."""
        found = {family: report.fields("forward", family)[0] for family in _FAMILIES}
        if found["ipv6"] == "none":
            found["ipv6"] = self.policy
        return {**found, "live": found["ipv4"]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield forward_set(self.policy, before=drift.seen["ipv4"], before_ipv6=drift.seen["ipv6"])


class OpenForward(Policy, frozen=True):
    """For a dockerd that writes its rules with nftables. A packet that a chain of iptables drops is lost, even where
    those rules accept it.

    dockerd's own iptables backend leaves the policy DROP behind when a running host changes to nftables.
    """

    name = "open"
    desired = ("ipv4", "not DROP")

    def seen(self, report: HostReport) -> State:
        policy = report.fields("forward", "ipv4")[0]
        return {"ipv4": policy if policy == "DROP" else "not DROP"}

    def fix(self, drift: Drift) -> Iterator[Call]:
        raise Unfixable(
            "the policy of iptables' FORWARD chain is DROP on this host, so with firewall-backend: nftables containers "
            "would have no network (set engine.firewall: {forward: accept}, or change the policy manually)"
        )


class ForwardBefore(Policy, frozen=True):
    """A policy that provision has set and that is no longer declared: it is restored to its value before that."""

    policy: str

    def want(self) -> State:
        return {"ipv4": self.policy}

    def seen(self, report: HostReport) -> State:
        """The first look does not read the policy, so its value is not known then."""
        if report.get("forward", "ipv4") is None:
            return {"ipv4": "provision"}
        return {"ipv4": report.fields("forward", "ipv4")[0]}

    def fix(self, drift: Drift) -> Iterator[Call]:
        yield forward_set(self.policy, before=drift.seen["ipv4"])


_LINE = d.RecordLine("undo_forward", lambda line, record: [ForwardBefore(line.word)])
DECLARATION = d.Declaration(
    kinds={"forward": d.Kind("keep", {"forward": _LINE}, d.Stage.SETTINGS)},
    entries={
        "forward": d.Entry(
            lambda rest, before, watchers: ForwardBefore(before) if before in _POLICIES else None, live=True
        )
    },
)
