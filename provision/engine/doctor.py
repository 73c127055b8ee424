"""Judge whether a host is suitable, from the results of a look, before anything is installed.

Sources: Docker's install pages and moby's ``contrib/check-config.sh`` (kernel features), moby's
``libnetwork/ipamutils`` (default address pools), wiki.debian.org/LTS and ubuntu.com/about/release-cycle (support).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from msgspec import Struct

from provision import distros
from provision.distros import FAMILIES
from provision.engine.daemon_json import DATA_ROOT, daemon_json
from provision.engine.image_store import image_store
from provision.engine.keys import NEWEST, Version, version
from provision.lines import words_of
from provision.model import Call, HostReport, Platform
from provision.remote.frames import number, rows
from provision.remote.protocol import WireError
from provision.spec import Engine

#: Where containerd keeps images and snapshots, whatever the engine's data-root is (containerd's own default).
CONTAINERD_ROOT = "/var/lib/containerd"

_NAMESPACES = ("pid", "net", "ipc", "mnt", "uts", "user")
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
_LEAST_KERNEL = (3, 10)
_GIB = 1024 * 1024
#: Free KiB below which an engine can't work, and below which it will soon stop working.
_TOO_LITTLE, _LITTLE = 1 * _GIB, 10 * _GIB
_SKEW = 60
#: The end of the year 9999, in seconds since 1970.
_LATEST = 253402300799
_DEFAULT_POOLS = [*(f"172.{n}.0.0/16" for n in range(17, 32)), "192.168.0.0/16"]
_DOCKERS_OWN = ("docker0", "br-", "veth", "docker_gwbridge")


class Verdict(Struct, frozen=True):
    """``level`` is ok, warning (it works, but has a drawback) or bad (it will not work)."""

    subject: str
    level: str
    text: str


#: The level and the text of a verdict.
Said = tuple[str, str]


def folders(daemon: dict[str, Any], containerd: str | None = None) -> tuple[str, str]:
    """The data directories of the engine and of containerd (``containerd``: its declared root)."""
    return str(daemon.get("data-root") or DATA_ROOT), containerd or CONTAINERD_ROOT


def look(declared: Engine | None) -> Call:
    return Call("look_doctor", folders(daemon_json(declared) or {}, declared.containerd_root if declared else None))


def judged(report: HostReport, platform: Platform, declared: Engine | None, now: float, today: date) -> list[Verdict]:
    """The verdicts on the spec's engine, from what :func:`look` has found."""
    packaged = distros.packaged(platform, declared.source if declared else None)
    # The version of a distribution's engine is not known here; Docker's repository has the newest.
    newest = NEWEST if packaged is not None and packaged.parts is distros.DOCKER else None
    comes = version(declared.version) if declared and declared.version else newest
    containerd = declared.containerd_root if declared else None
    return examine(report, platform, daemon_json(declared) or {}, now, today, comes, containerd)


def examine(
    report: HostReport,
    platform: Platform,
    daemon: dict[str, Any],
    now: float,
    today: date,
    engine: Version | None = None,
    containerd: str | None = None,
) -> list[Verdict]:
    """Return one verdict per subject. ``now`` is the controller's clock, in seconds since the epoch. ``engine`` is the
    version to install (``None``: not known), ``containerd`` containerd's declared root."""
    root, other = folders(daemon, containerd)
    prior = words_of(report.fields("doctor", "storage drivers")[0])
    in_containerd = engine is not None and image_store(engine, daemon, prior).containerd
    said = {
        "kernel": _kernel(report),
        "service manager": _init(report, platform),
        "namespaces": _namespaces(report),
        "cgroups": _cgroups(report, daemon),
        "overlay": _module(report, "overlay", "the storage driver overlay2 needs it"),
        "bridge": _module(report, "bridge", "containers' networks need it"),
        "firewall": _firewall(report),
        f"space {root}": _space(report, root, layers=not in_containerd),
        **({f"space {other}": _space(report, other, layers=in_containerd)} if other != root else {}),
        "clock": _clock(report, now),
    }
    found = [Verdict(subject, *one) for subject, one in said.items()]
    return [distribution(platform, today), *found, *_networks(report, daemon)]


def distribution(platform: Platform, today: date) -> Verdict:
    """Judge how long the host's distribution is supported."""
    ends = platform.support_ends
    name = f"{platform.name}, served as {platform.like} (distributions.yml)" if platform.like else platform.name
    if not ends:
        return Verdict("distribution", "warning", f"{name}: the end of its security support is not known")
    if today > date.fromisoformat(ends):
        return Verdict("distribution", "warning", f"{name}: its security support ended on {ends}")
    return Verdict("distribution", "ok", f"{name}, supported until {ends}")


def _kernel(report: HostReport) -> Said:
    (release,) = report.fields("doctor", "kernel")
    (machine,) = report.fields("doctor", "machine")
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if numbers < _LEAST_KERNEL:
        return ("bad", f"{release} is too old; Docker needs 3.10 or later")
    if machine not in ("x86_64", "aarch64", "armv7l", "s390x", "ppc64le"):
        return ("bad", f"Docker publishes no packages for {machine}")
    return ("ok", f"{release} on {machine}")


def _init(report: HostReport, platform: Platform) -> Said:
    """Judge whether the service manager runs that provision uses on this distribution (sd_booted(3), openrc-run(8))."""
    found, first = report.fields("doctor", "init")
    wanted = FAMILIES[platform.family].init.name
    if found != wanted:
        text = f"{wanted} does not run (the first process is {first}), and provision manages services by it"
        return ("bad", f"{text}: start the host with {wanted}")
    return ("ok", found)


def _namespaces(report: HostReport) -> Said:
    missing = [name for name in _NAMESPACES if report.fields("doctor", f"namespace {name}") != ("yes",)]
    return ("bad", f"the kernel lacks {', '.join(missing)}") if missing else ("ok", ", ".join(_NAMESPACES))


def _cgroups(report: HostReport, daemon: dict[str, Any]) -> Said:
    cgroups, controllers = report.fields("doctor", "cgroups")
    missing = [name for name in _CONTROLLERS if name not in words_of(controllers)]
    if missing:
        return ("bad", f"version {cgroups} without {', '.join(missing)}")
    driver = [str(o).partition("=")[2] for o in daemon.get("exec-opts") or [] if "native.cgroupdriver=" in str(o)]
    if cgroups == "1":
        return ("warning", "version 1, which systemd and Docker will no longer support")
    if driver == ["cgroupfs"]:
        text = "version 2, but the spec asks for cgroupfs: systemd and Docker would both manage one cgroup tree"
        return ("warning", text)
    return ("ok", f"version {cgroups} with {', '.join(_CONTROLLERS)}")


def _module(report: HostReport, name: str, why: str) -> Said:
    (found,) = report.fields("doctor", name)
    if found == "absent":
        return ("bad", f"not in the kernel, and it cannot be loaded; {why}")
    return ("ok", found)


def _firewall(report: HostReport) -> Said:
    tools = words_of(report.fields("doctor", "firewall")[0])
    if "iptables" in tools:
        return ("ok", " and ".join(tools))
    if tools:
        return ("warning", "nft without iptables: Docker's packages will install iptables")
    return ("warning", "neither iptables nor nft yet: Docker's packages will install iptables")


def _space(report: HostReport, folder: str, layers: bool) -> Said:
    """Judge the free space. ``layers``: this engine keeps the layers of its images and containers in ``folder``."""
    unfit = "bad" if layers else "warning"
    kind, free, ftype = report.fields("doctor", f"space {folder}")
    left = number(free, "free KiB")
    if kind == "xfs" and ftype == "0":
        return (unfit, "xfs made with ftype=0: overlayfs can't work; create the file system with ftype=1")
    if kind in ("nfs", "cifs", "smb2", "fuseblk"):
        return (unfit, f"overlayfs can't store its layers on {kind}")
    if kind == "overlayfs":
        return (unfit, "an overlay itself: no container starts from an overlayfs on it")
    level = "bad" if left < _TOO_LITTLE else "warning" if left < _LITTLE else "ok"
    return (level, f"{left / _GIB:.1f} GiB free on {kind}")


def _clock(report: HostReport, now: float) -> Said:
    skew = number(report.fields("doctor", "clock")[0], "a time", _LATEST) - now
    if abs(skew) > _SKEW:
        text = f"{skew:+.0f} s off the controller's clock: certificates and package signatures will be refused"
        return ("bad", text)
    return ("ok", f"within {_SKEW} s of the controller's clock")


def _networks(report: HostReport, daemon: dict[str, Any]) -> Iterator[Verdict]:
    """Compare Docker's networks with the host's own: bip, and the address pools of later networks."""
    taken = list(_taken(report))
    declared = [("bip", str(daemon["bip"]))] if daemon.get("bip") else []
    declared += [("pool", str(pool.get("base"))) for pool in daemon.get("default-address-pools") or []]
    for word, text in declared:
        clash = _clash(text, taken)
        if clash is None:
            yield Verdict(f"{word} {text}", "bad", "is not an IPv4 network")
        elif clash:
            yield Verdict(f"{word} {text}", "bad", f"overlaps {clash}: the host would lose its route to that network")
        else:
            yield Verdict(f"{word} {text}", "ok", "overlaps nothing on this host")
    if not daemon.get("default-address-pools"):
        clashes = [f"{pool} ({clash})" for pool in _DEFAULT_POOLS if (clash := _clash(pool, taken))]
        if clashes:
            # Docker skips a pool that is in use when it creates a network; later host networks may still collide.
            yield Verdict(
                "default pools", "warning", f"in use on this host: {', '.join(clashes)}; declare default-address-pools"
            )
        else:
            yield Verdict("default pools", "ok", "overlap nothing on this host")


def _taken(report: HostReport) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """The host's networks that are not Docker's own, each with its name."""
    for line in rows(report.fields("doctor", "addresses")[0], _ADDRESS, "an address of ip"):
        if not line["device"].startswith((*_DOCKERS_OWN, "lo")):
            yield f"{line['device']} {line['address']}", _network(line["address"])
    for line in rows(report.fields("doctor", "routes")[0], _ROUTE, "a route of ip"):
        if line["to"] != "default" and not (line["device"] or "").startswith(_DOCKERS_OWN):
            yield f"the route to {line['to']}", _network(line["to"])


#: Lines of ip -o -4 address show, and ip -o -4 route show (ip-address(8), ip-route(8)).
_ADDRESS = re.compile(r"[0-9]+:[ \t]+(?P<device>\S+)[ \t]+inet[ \t]+(?P<address>\S+)(?:[ \t].*)?")
_ROUTE = re.compile(
    r"(?:(?:blackhole|unreachable|prohibit|unicast|local|broadcast|throw)[ \t]+)?(?P<to>\S+)"
    r"(?:(?:[ \t]+.*?)?[ \t]+dev[ \t]+(?P<device>\S+))?(?:[ \t].*)?"
)


def _network(text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Interface(text).network
    except ValueError as error:
        raise WireError(f"a network that is not one of IPv4: {text[:80]!r}") from error


def _clash(text: str, taken: list[tuple[str, ipaddress.IPv4Network]]) -> str | None:
    """The name of the network that ``text`` overlaps: empty for none, ``None`` when ``text`` is not a network."""
    try:
        network = ipaddress.IPv4Interface(text).network
    except ValueError:
        return None
    return next((name for name, other in taken if network.overlaps(other)), "")
