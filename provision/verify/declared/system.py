"""What a spec declares of the host and its engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from provision.project.host_config import Context, HostConfig
from provision.secrets.authority import ca_file
from provision.secrets.secret import reveal
from provision.spec import Engine
from provision.verify.declared.objects import Archive, FileBytes, Named
from provision.verify.package_manager import OF_DISTRIBUTION

#: provision's names of the engine's parts, and Docker's package names (the same in all its repositories).
_ENGINE = {"buildx": "docker-buildx-plugin", "compose": "docker-compose-plugin"}
#: docs.docker.com/engine/install: "Uninstall old versions", the packages of all distributions.
_CONFLICTS = ("docker.io", "docker-doc", "docker-compose", "docker-engine", "podman-docker", "containerd", "runc")
#: Docker's directory of certificates (docs.docker.com/engine/security/certificates).
_CERTIFICATES = "/etc/docker/certs.d"


def declared_file(config: HostConfig, context: Context) -> Iterator[Named]:
    for path, file in config.spec.files.items():
        if file.absent:
            continue
        if file.content is not None:
            text = file.content
            content, secret = reveal(text).encode(), reveal(text) != text
        elif file.template is not None:
            text = context.templates.render(file.template, config.scope)
            content, secret = reveal(text).encode(), reveal(text) != text
        else:
            content, secret = context.read(str(file.src)) or b"", False
        yield Named(path, FileBytes(content, file.owner, file.group, int(file.mode, 8), secret))


def absent_file(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(path, None) for path, file in config.spec.files.items() if file.absent)


def package(config: HostConfig, context: Context) -> Iterator[Named]:
    """Installed packages and their pins."""
    rows = config.distributions
    yield from (Named(name, p.version, rows) for name, p in config.spec.packages.items() if not p.absent)
    if (engine := config.spec.engine) is not None and engine.source != "installed":
        pins = {"buildx": engine.buildx_version, "compose": engine.compose_version}
        parts = {
            "docker-ce": engine.version,
            "docker-ce-cli": engine.version,
            "containerd.io": engine.containerd_version,
            **{_ENGINE[plugin]: pins[plugin] for plugin in engine.plugins},
        }
        whose = OF_DISTRIBUTION if engine.source == "distribution" else ""
        yield from (Named(f"{name}{whose}", pin, rows) for name, pin in parts.items())


def pinned_package(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (thing for thing in package(config, context) if thing.value is not None)


def held_package(config: HostConfig, context: Context) -> Iterator[Named]:
    """Pinned packages that no upgrade may change."""
    free = {name for name, p in config.spec.packages.items() if not p.hold}
    if config.spec.engine is not None and not config.spec.engine.hold:
        parts = ("docker-ce", "docker-ce-cli", "containerd.io", *_ENGINE.values())
        free |= {f"{name}{whose}" for name in parts for whose in ("", OF_DISTRIBUTION)}
    yield from (thing for thing in pinned_package(config, context) if thing.name not in free)


def absent_package(config: HostConfig, context: Context) -> Iterator[Named]:
    """The value: whether the package is only absent because it conflicts with Docker's own packages."""
    names = {name: False for name, p in config.spec.packages.items() if p.absent}
    if (engine := config.spec.engine) is not None and engine.source == "distribution":
        names = dict.fromkeys(("docker-ce", "docker-ce-cli", "containerd.io"), False) | names
    elif engine is not None and engine.source != "installed":
        names = dict.fromkeys(_CONFLICTS, True) | names
    yield from (Named(name, conflict, config.distributions) for name, conflict in names.items())


def archive(config: HostConfig, context: Context) -> Iterator[Named]:
    for name, r in config.spec.repositories.items():
        declared = Archive(name, r.url, tuple(r.components), tuple(r.suites), tuple(r.fingerprint))
        yield Named(name, declared, config.distributions)
    if (engine := config.spec.engine) is not None and engine.source in (None, "docker"):
        url = f"{engine.package_mirror}/linux"
        declared = Archive("docker", url, (engine.channel,), (), tuple(engine.fingerprint), docker=True)
        yield Named("docker", declared, config.distributions)


def signed_archive(config: HostConfig, context: Context) -> Iterator[Named]:
    """Archives with a known fingerprint of the key: the spec gives it, or Docker publishes it."""
    yield from (thing for thing in archive(config, context) if thing.value.fingerprints or thing.value.docker)


def user(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, u) for name, u in config.spec.users.items() if not u.absent)


def absent_user(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, None) for name, u in config.spec.users.items() if u.absent)


def member(config: HostConfig, context: Context) -> Iterator[Named]:
    pairs = [(name, group) for name, u in config.spec.users.items() if not u.absent for group in u.groups]
    if config.spec.engine is not None:
        pairs += [(name, "docker") for name in config.spec.engine.users]
    yield from (Named(f"{name} in {group}", (name, group)) for name, group in dict.fromkeys(pairs))


def enabled_service(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, enabled) for name, (enabled, _) in _services(config).items() if enabled is not None)


def running_service(config: HostConfig, context: Context) -> Iterator[Named]:
    yield from (Named(name, running) for name, (_, running) in _services(config).items() if running is not None)


def _services(config: HostConfig) -> dict[str, tuple[bool | None, bool | None]]:
    found = {name.removesuffix(".service"): (s.enabled, s.running) for name, s in config.spec.services.items()}
    if config.spec.engine is not None:
        # An engine must run, unless the spec declares otherwise.
        enabled, running = found.get("docker", (None, None))
        found["docker"] = (enabled is not False, running is not False)
    return found


def engine(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.engine is not None:
        yield Named("engine", config.spec.engine)


def bridged(config: HostConfig, context: Context) -> Iterator[Named]:
    """Engines with docker's own bridge and its own firewall rules. The value: whether containers may talk to each
    other."""
    found = (config.spec.engine.daemon if config.spec.engine else None) or {}
    own = found.get("bridge") is None and found.get("iptables") is not False and found.get("ip-masq") is not False
    if config.spec.engine is not None and own:
        yield Named("docker0", found.get("icc") is not False)


def outside(config: HostConfig, context: Context) -> Iterator[Named]:
    """An address outside of the host that a container must reach through its host: the package mirror, ``(name,
    port)``."""
    if config.spec.engine is not None and any(bridged(config, context)):
        url = urlsplit(config.spec.engine.package_mirror)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
        if url.hostname and port:
            yield Named(url.hostname, (url.hostname, port))


def namespace(config: HostConfig, context: Context) -> Iterator[Named]:
    """The kinds of namespaces that a container has (namespaces(7))."""
    if config.spec.engine is not None:
        yield from (Named(name, name) for name in ("pid", "net", "ipc", "mnt", "uts", "user"))


def controller(config: HostConfig, context: Context) -> Iterator[Named]:
    """The cgroup controllers that limits of containers need (docs.docker.com: resource constraints)."""
    if config.spec.engine is not None:
        yield from (Named(name, name) for name in ("cpu", "cpuset", "memory", "pids"))


def live_restore(config: HostConfig, context: Context) -> Iterator[Named]:
    """Engines whose containers must outlive a restart of the daemon."""
    if (_daemon(config.spec.engine) or {}).get("live-restore") is True:
        yield Named("live-restore", True)


def pinned_engine(config: HostConfig, context: Context) -> Iterator[Named]:
    if config.spec.engine is not None and config.spec.engine.version is not None:
        yield Named(config.spec.engine.version, config.spec.engine.version)


def daemon(config: HostConfig, context: Context) -> Iterator[Named]:
    """The whole declared daemon.json."""
    if (found := _daemon(config.spec.engine)) is not None:
        yield Named("daemon.json", found)


def daemon_key(config: HostConfig, context: Context) -> Iterator[Named]:
    for key, value in sorted((_daemon(config.spec.engine) or {}).items()):
        yield Named(key, value)


def _daemon(declared: Engine | None) -> dict[str, Any] | None:
    if declared is None or declared.daemon is None:
        return None
    found: dict[str, Any] = json.loads(json.dumps(declared.daemon))
    if declared.proxy is not None and declared.proxy.place == "daemon":
        pairs = {
            "http-proxy": declared.proxy.http,
            "https-proxy": declared.proxy.https,
            "no-proxy": ",".join(declared.proxy.no_proxy),
        }
        found["proxies"] = {key: value for key, value in pairs.items() if value}
    return found


def proxy(config: HostConfig, context: Context) -> Iterator[Named]:
    """The proxies that the daemon must report, by ``docker info``'s names."""
    if config.spec.engine is not None and (given := config.spec.engine.proxy) is not None:
        pairs = {"HttpProxy": given.http, "HttpsProxy": given.https, "NoProxy": ",".join(given.no_proxy)}
        yield from (Named(name, _credentials_masked(value)) for name, value in pairs.items() if value)


def _credentials_masked(url: str) -> str:
    """Masked as the daemon shows them (moby, daemon/config/config.go: MaskCredentials)."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://xxxxx:xxxxx@{rest.rpartition('@')[2]}" if separator and "@" in rest else url


def certificate(config: HostConfig, context: Context) -> Iterator[Named]:
    """Certificates by registry: the path, the content, and the users who may read it."""
    for name, registry in (config.spec.engine.registries if config.spec.engine else {}).items():
        for file, given, mode in (
            ("ca.crt", registry.ca, 0o444),
            ("client.cert", registry.cert, 0o444),
            ("client.key", registry.key, 0o400),
        ):
            if given is not None:
                given = reveal(given)
                pem = given.lstrip().startswith("-----BEGIN ")
                content = given.lstrip().encode() if pem else context.read(given) or b""
                yield Named(f"{_CERTIFICATES}/{name}/{file}", FileBytes(content, "root", "root", mode))
        if registry.authority is not None:
            content = ca_file(context.folder / "ca", registry.authority).read_bytes()
            yield Named(f"{_CERTIFICATES}/{name}/ca.crt", FileBytes(content, "root", "root", 0o444))


def certificate_list(config: HostConfig, context: Context) -> Iterator[Named]:
    """Where registries are declared: every path that may exist in docker's directory of certificates."""
    if config.spec.engine is not None and config.spec.engine.registries:
        declared = {thing.name for thing in certificate(config, context)} | set(config.spec.files)
        yield Named("engine.registries", declared)


def docker_users(config: HostConfig, context: Context) -> Iterator[Named]:
    """Where ``engine.users`` is declared: every account that may be a member of docker's group."""
    if config.spec.engine is not None and config.spec.engine.users:
        members = {name for name, group in (thing.value for thing in member(config, context)) if group == "docker"}
        yield Named("engine.users", members)


def signed_sources(config: HostConfig, context: Context) -> Iterator[Named]:
    """Hosts whose packages come from a declared archive."""
    if any(archive(config, context)):
        yield Named("sources", None)


def docker_unit(config: HostConfig, context: Context) -> Iterator[Named]:
    """The engine's service, and the declared files that decide how it is started: path -> text."""
    if config.spec.engine is None:
        return
    texts = {
        thing.name: thing.value.content.decode("utf-8", "replace")
        for thing in declared_file(config, context)
        if thing.name.startswith(("/etc/systemd/system/docker.service", "/etc/default/", "/etc/sysconfig/"))
    }
    if (given := config.spec.engine.proxy) is not None and given.place == "unit":
        texts["/etc/systemd/system/docker.service.d/provision.conf"] = ""
    yield Named("docker", texts)


def docker_socket(config: HostConfig, context: Context) -> Iterator[Named]:
    """The units that docker's unit requires, where the spec itself does not declare them."""
    docker = config.spec.services.get("docker") or config.spec.services.get("docker.service")
    disabled = docker is not None and docker.enabled is False
    if config.spec.engine is None or disabled:
        return
    if "docker.socket" not in config.spec.services:
        yield Named("docker.socket", True)
    if not {"containerd", "containerd.service"} & {*config.spec.services}:
        yield Named("containerd", True)


def guarded_folder(config: HostConfig, context: Context) -> Iterator[Named]:
    """Directories whose files decide which programs run as root and what they do, and all directories above them."""
    declared = config.spec.engine
    if declared is None:
        return
    root = str((_daemon(declared) or {}).get("data-root") or _DATA_ROOT)
    roots = (root, declared.containerd_root or _CONTAINERD_ROOT)
    registries = (f"{_CERTIFICATES}/{name}" for name in declared.registries)
    paths = [*_GUARDED, _CERTIFICATES, *registries, *roots]
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    yield from (Named(path, path) for path in sorted({*paths, *parents}))


#: Where files are found by their names: programs, units, settings, the package manager's sources and keys.
_GUARDED = (
    *("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"),
    *("/etc/docker", "/etc/containerd", "/etc/systemd/system", "/etc/systemd/system/docker.service.d"),
    *("/etc/systemd/system/docker.socket.d", "/etc/systemd/system/containerd.service.d", "/etc/sysctl.d"),
    *("/etc/modules-load.d", "/etc/apt/sources.list.d", "/etc/apt/keyrings", "/etc/apt/preferences.d"),
    *("/etc/yum.repos.d", "/run/containerd", "/run/docker", "/run/provision", "/var/lib/provision"),
)
_DATA_ROOT, _CONTAINERD_ROOT = "/var/lib/docker", "/var/lib/containerd"


def data_root(config: HostConfig, context: Context) -> Iterator[Named]:
    """The directories in which the engine and containerd keep their data."""
    if config.spec.engine is not None:
        path = str((_daemon(config.spec.engine) or {}).get("data-root") or _DATA_ROOT)
        yield from (
            Named(one, one) for one in dict.fromkeys((path, config.spec.engine.containerd_root or _CONTAINERD_ROOT))
        )


def forward_policy(config: HostConfig, context: Context) -> Iterator[Named]:
    firewall = config.spec.engine.firewall if config.spec.engine else None
    if firewall is not None and firewall.forward is not None:
        yield Named(firewall.forward, firewall.forward.upper())


def firewalld(config: HostConfig, context: Context) -> Iterator[Named]:
    firewall = config.spec.engine.firewall if config.spec.engine else None
    if firewall is not None and firewall.firewalld:
        yield Named("docker", str((_daemon(config.spec.engine) or {}).get("bridge") or "docker0"))


def containerd_root(config: HostConfig, context: Context) -> Iterator[Named]:
    """Where containerd keeps its data, unless the spec itself writes containerd's configuration."""
    if config.spec.engine is not None and "/etc/containerd/config.toml" not in config.spec.files:
        root = config.spec.engine.containerd_root or _CONTAINERD_ROOT
        yield Named(root, root)


PROVIDERS = (
    declared_file,
    absent_file,
    package,
    pinned_package,
    held_package,
    absent_package,
    archive,
    signed_archive,
    user,
    absent_user,
    member,
    enabled_service,
    running_service,
    engine,
    pinned_engine,
    bridged,
    outside,
    namespace,
    controller,
    live_restore,
    daemon,
    daemon_key,
    proxy,
    certificate,
    certificate_list,
    docker_users,
    signed_sources,
    docker_unit,
    docker_socket,
    guarded_folder,
    data_root,
    forward_policy,
    firewalld,
    containerd_root,
)
