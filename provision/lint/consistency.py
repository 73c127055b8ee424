"""The engine, its registries and package repositories compared with the rest of the spec: settings of one part that
another part requires."""

from __future__ import annotations

from collections.abc import Iterator

from provision.engine.keys import NEWEST, version
from provision.errors import Where
from provision.lint.finding import Finding
from provision.lint.reading import daemon_of
from provision.lint.rules import finding
from provision.project.host_config import HostConfig
from provision.text.yamlfile import Map

_FORWARDING = ("net.ipv4.ip_forward", "net/ipv4/ip_forward")
#: The first engine that keeps images with containerd by default (in a fresh installation).
_CONTAINERD_STORE = (29, 0)


def lint(configs: list[HostConfig]) -> Iterator[Finding]:
    for config in configs:
        if config.spec.engine is not None:
            yield from _forwarding(config)
            yield from _stores(config)
            yield from _logins(config)
            yield from _nftables(config)
        yield from _registry(config)
        yield from _repositories(config)


def _forwarding(config: HostConfig) -> Iterator[Finding]:
    """dockerd closes the FORWARD chain only when dockerd itself enables forwarding. With nftables dockerd does neither:
    there, an iptables chain that drops packets blocks packets that the rules of dockerd allow."""
    engine, settings = config.spec.engine, config.source.get("sysctl")
    if engine is None or not isinstance(settings, Map):
        return
    if (engine.daemon or {}).get("firewall-backend") == "nftables":
        return
    if engine.firewall is not None and (engine.firewall.forward is not None or engine.firewall.firewalld):
        return
    for name in _FORWARDING:
        if config.spec.sysctl.get(name) == "1":
            message = f"{name} is enabled here, so dockerd leaves the FORWARD chain open to every network"
            yield finding("SP401", settings.where[name], message, "engine.firewall: {forward: drop}")


def _stores(config: HostConfig) -> Iterator[Finding]:
    engine, written = config.spec.engine, daemon_of(config)
    if engine is None or written is None or engine.containerd_root is not None or "data-root" not in written:
        return
    features = written.get("features")
    chosen = features.get("containerd-snapshotter") if isinstance(features, Map) else None
    by_default = (version(engine.version or "") or NEWEST) >= _CONTAINERD_STORE and engine.source in (None, "docker")
    if chosen is True or (chosen is None and by_default and "storage-driver" not in written):
        where: Where = written.where["data-root"]
        message = "images and snapshots of this engine are in containerd's root, and data-root does not move them"
        yield finding("SP402", where, message, "add engine.containerd_root")


def _logins(config: HostConfig) -> Iterator[Finding]:
    """A password for a registry that the daemon may contact without a certificate."""
    engine = config.spec.engine
    if engine is None:
        return
    insecure = {str(name) for name in (engine.daemon or {}).get("insecure-registries") or []}
    for name, registry in engine.registries.items():
        if registry.login is not None and name in insecure:
            where = config.source["engine"]["registries"][name].where["login"]
            message = f"{name} is an insecure registry, so the login's password is sent there unencrypted"
            yield finding("SP403", where, message, "engine.registries: {authority: ...}")


def _nftables(config: HostConfig) -> Iterator[Finding]:
    """With nftables dockerd leaves forwarding to the host, and does not start while forwarding is off."""
    written = daemon_of(config)
    if written is None or written.get("firewall-backend") != "nftables":
        return
    if written.get("ip-forward") is False or written.get("iptables") is False:
        return
    if any(config.spec.sysctl.get(name) == "1" for name in _FORWARDING):
        return
    message = "with nftables dockerd does not start while net.ipv4.ip_forward is 0"
    yield finding("SP407", written.where["firewall-backend"], message, "sysctl: {net.ipv4.ip_forward: 1}")


def _registry(config: HostConfig) -> Iterator[Finding]:
    registry = config.spec.registry
    if registry is not None and registry.tls is None:
        where = config.source.where["registry"]
        also = ", passwords too" if registry.users else ""
        message = f"{registry.name}:{registry.port} speaks plain HTTP{also}; hosts must declare it insecure"
        yield finding("SP404", where, message, "registry.tls: {ca: ...}")


def _repositories(config: HostConfig) -> Iterator[Finding]:
    for name, repository in config.spec.repositories.items():
        if repository.key_url is not None and not repository.fingerprint:
            where = config.source["repositories"][name].where["key_url"]
            message = f"{name} is trusted with any key that {repository.key_url} has"
            yield finding("SP405", where, message, f"repositories.{name}: {{fingerprint: ...}}")
