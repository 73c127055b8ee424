"""Steps that change live settings of the kernel. Their values are lost at the next boot."""

from __future__ import annotations

from provision.model import Call, Impact, Kept

_POLICIES = ("ACCEPT", "DROP")


def sysctl_set(path: str, *, value: str, before: str | None) -> Call:
    """``path`` is below /proc/sys; ``before`` is the live value (``None``: not known, so no rollback restores it)."""
    return Call(
        "sysctl_set",
        (path, value),
        title=f"set the kernel setting {path} to {value}",
        keeps=(Kept("live", path, before),) if before is not None else (),
    )


def module_load(name: str) -> Call:
    return Call("module_load", (name,), title=f"load the kernel module {name}")


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


def hostname_set(name: str, *, before: str) -> Call:
    return Call("hostname_set", (name,), title=f"set the host name to {name}", keeps=(Kept("hostname", before, "-"),))
