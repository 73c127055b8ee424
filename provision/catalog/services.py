"""The engine's own files and the services. Services come last, because they must see the changes before them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from provision import spec
from provision.catalog.context import CompileContext
from provision.catalog.files import content, of_authority
from provision.catalog.packages import engine_package
from provision.engine import daemon_json, loading
from provision.engine.keys import NEWEST, Version, version
from provision.model import HostReport, Resource
from provision.resources.bridge import BridgeAddress
from provision.resources.file import File
from provision.resources.folder import GuardedFolder
from provision.resources.obstacle import Obstacle
from provision.resources.packages import installed
from provision.resources.service import Service
from provision.secrets.secret import holds
from provision.spec import Engine, Proxy, Registry
from provision.text.formats import SYSTEMD, USERINFO


def services(ctx: CompileContext) -> Iterator[Resource]:
    for unit, declared in ctx.services.items():
        if unit == daemon_json.UNIT and ctx.spec.engine is not None:
            yield from _docker(ctx, declared, ctx.spec.engine)
            continue
        yield Service(
            unit,
            enabled=declared.enabled,
            running=declared.running,
            watch=tuple(declared.watch),
            on_change=declared.on_change,
            optional=unit == ctx.family.network,
            effect=_effect_of_a_file(ctx, declared) if unit == daemon_json.UNIT else None,
        )


def _docker(ctx: CompileContext, service: spec.Service, engine: spec.Engine) -> Iterator[Resource]:
    """docker's service where the spec declares an engine, and the address of its bridge."""
    declared = ctx.once(daemon_file)
    daemon, watch = (declared.data if declared is not None else None) or {}, tuple(service.watch)
    there, stop = partial(_engine_of, engine_package(ctx)), engine.bridge_change == "stop"
    yield Service(
        daemon_json.UNIT,
        enabled=service.enabled,
        running=service.running,
        watch=watch,
        on_change=service.on_change,
        compare=("docker_compare", daemon_json.data_root(engine)),
        agrees=partial(daemon_json.agrees, daemon),
        effect=partial(loading.effect, daemon, there, stop) if service.on_change == "restart" else None,
        missing=loading.missing(engine),
        same=loading.means_the_same if declared is not None else None,
    )
    if "bip" in daemon and "bridge" not in daemon:
        yield BridgeAddress(daemon_json.UNIT, daemon_json.DAEMON_JSON, str(daemon["bip"]), engine.bridge_change, watch)


def _engine_of(package: str | None, report: HostReport) -> Version:
    """The version of the engine that a host has; the newest one where that is not known."""
    return (version(installed(report).get(package, "")) if package is not None else None) or NEWEST


def _effect_of_a_file(ctx: CompileContext, docker: spec.Service) -> loading.EffectOf | None:
    """For a daemon.json that the play declares as a file, and that docker reloads."""
    file = ctx.spec.files.get(daemon_json.DAEMON_JSON)
    if docker.on_change != "reload" or file is None or file.absent or (file.owner, file.group) != ("root", "root"):
        return None
    return loading.effect_of_a_file(content(ctx, daemon_json.DAEMON_JSON))


#: A template of the operator that writes daemon.json, in ``templates/`` next to the playbook. None is shipped.
_TEMPLATE = "daemon.json.j2"


def engine_files(ctx: CompileContext) -> Iterator[Resource]:
    declared = ctx.spec.engine
    if declared is None:
        return
    yield from _guarded(declared)
    yield from _containerd(ctx, declared)
    yield from _proxy(ctx, declared)
    for name, registry in declared.registries.items():
        yield from _certificates(ctx, name, registry)
    yield from _daemon_json(ctx, declared)


def _guarded(declared: Engine) -> Iterator[Resource]:
    """The directories come first: an account that may write into a directory can replace each file in it."""
    if daemon_json.daemon_json(declared) is None and not declared.registries:
        return
    yield GuardedFolder(daemon_json.DAEMON_JSON.rpartition("/")[0])
    if declared.registries:
        yield GuardedFolder(daemon_json.CERTIFICATES)
        yield from (GuardedFolder(f"{daemon_json.CERTIFICATES}/{name}") for name in declared.registries)


def _daemon_json(ctx: CompileContext, declared: Engine) -> Iterator[Resource]:
    """Exactly the declared keys. A file that means the same in another form is left unchanged."""
    if (made := ctx.once(daemon_file)) is None:
        if declared.proxy is not None and declared.proxy.place == "daemon":
            raise ctx.error(
                "needs engine.daemon, because it is a key of daemon.json", "engine", "proxy", hint="daemon: {}"
            )
        return
    _check_free(ctx, daemon_json.DAEMON_JSON)
    yield ctx.file(daemon_json.DAEMON_JSON, made.content, same=made.same, data=made.data)


def daemon_file(ctx: CompileContext) -> daemon_json.DaemonJson | None:
    """The declared daemon.json; ``None`` where the spec does not declare one. An operator's own template may write it
    in another form, or with further keys."""
    declared = daemon_json.daemon_json(ctx.spec.engine)
    if declared is None:
        return None
    content = daemon_json.canonical(declared)
    if ctx.context.is_shipped(_TEMPLATE):
        return daemon_json.DaemonJson(content, declared, content)
    content = ctx.render(_TEMPLATE, daemon=content.decode())
    return daemon_json.DaemonJson(content, daemon_json.parsed(content), daemon_json.same(content))


def _proxy(ctx: CompileContext, declared: Engine) -> Iterator[Resource]:
    proxy = declared.proxy
    if proxy is None or proxy.place == "daemon":
        return
    if ctx.family.init.name != "systemd":
        yield Obstacle(
            "proxy", f"{ctx.platform.name} has no systemd unit for proxy settings; set engine.proxy.place: daemon"
        )
        return
    _check_free(ctx, daemon_json.DROPIN)
    if proxy.secret:
        _check_free(ctx, daemon_json.PROXY_FILE)
        lines = "".join(
            f"{name}={ctx.written(value, SYSTEMD, 'engine', 'proxy', _PROXIES[name])}\n"
            for name, value in _variables(ctx, proxy).items()
        )
        yield ctx.file(daemon_json.PROXY_FILE, lines.encode(), mode="0600", secret=True)
    proxies = {} if proxy.secret else _variables(ctx, proxy)
    content = ctx.render("systemd/proxy.conf.j2", proxies=proxies, file=daemon_json.PROXY_FILE)
    yield ctx.file(daemon_json.DROPIN, content)


#: Variables as dockerd reads them (docs.docker.com/engine/daemon/proxy), and the keys of a spec.
_PROXIES = {"HTTP_PROXY": "http", "HTTPS_PROXY": "https", "NO_PROXY": "no_proxy"}


def _variables(ctx: CompileContext, proxy: Proxy) -> dict[str, str]:
    given = {"http": _url(ctx, proxy.http, "http"), "https": _url(ctx, proxy.https, "https")}
    given["no_proxy"] = ",".join(proxy.no_proxy)
    return {name: given[key] for name, key in _PROXIES.items() if given[key]}


def _url(ctx: CompileContext, url: str | None, key: str) -> str:
    """The URL of a proxy. A password that is a secret is plain text in the spec, and percent-encoded in the URL."""
    if url is None or not holds(url):
        return url or ""
    scheme, separator, rest = url.partition("://")
    credentials, _, address = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    return f"{scheme}{separator}{user}:{ctx.written(password, USERINFO, 'engine', 'proxy', key)}@{address}"


def _containerd(ctx: CompileContext, declared: Engine) -> Iterator[Resource]:
    """Only with systemd: with OpenRC dockerd starts its own containerd, whose data is below data-root."""
    if declared.containerd_root is not None and ctx.family.init.name == "systemd":
        _check_free(ctx, daemon_json.CONTAINERD_TOML)
        content = ctx.render("containerd/config.toml.j2", root=declared.containerd_root)
        yield ctx.file(daemon_json.CONTAINERD_TOML, content)


def _certificates(ctx: CompileContext, name: str, registry: Registry) -> Iterator[Resource]:
    """dockerd reads them at each pull and push, without a restart (docs.docker.com/engine/security/certificates)."""
    if registry.authority is not None:
        content = of_authority(ctx, registry.authority, "engine", "registries", name, "authority")
        yield File(f"{daemon_json.CERTIFICATES}/{name}/ca.crt", content, mode=daemon_json.CERTIFICATE_MODES["ca.crt"])
    for part, file in (("ca", "ca.crt"), ("cert", "client.cert"), ("key", "client.key")):
        if (given := getattr(registry, part)) is None:
            continue
        path = f"{daemon_json.CERTIFICATES}/{name}/{file}"
        _check_free(ctx, path)
        content = ctx.pem(given, "engine", "registries", name, part)
        yield File(path, content, mode=daemon_json.CERTIFICATE_MODES[file], secret=part == "key")


def _check_free(ctx: CompileContext, path: str) -> None:
    if path in ctx.spec.files:
        raise ctx.error("engine declares this file too", "files", path)
