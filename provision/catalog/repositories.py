"""Package repositories: the declared ones, and Docker's from the mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from provision.catalog.context import CompileContext
from provision.model import Resource
from provision.resources.apt_source import AptSource, Entry, OtherEntries
from provision.resources.file import File
from provision.resources.keyring import Keyring
from provision.resources.obstacle import Obstacle
from provision.resources.openpgp import fingerprints
from provision.spec import Engine, Repository

#: The name of Docker's own repository.
DOCKER = "docker"


class _Source(Struct, frozen=True):
    """One repository: the ``path`` of the file that declares it, and of the file of its ``key``. The former is rendered
    from ``template`` with further ``values``. ``field`` is the key of the spec that declares whose keys may sign it."""

    name: str
    field: str
    declared: Repository
    url: str
    path: str
    key: str
    template: str
    values: Mapping[str, str]


def repositories(ctx: CompileContext) -> Iterator[Resource]:
    for source in _sources(ctx):
        yield from _FORMS[ctx.family.repositories.form](ctx, source)


def source_files(ctx: CompileContext) -> tuple[str, ...]:
    """The source files of provision, whose indexes must be fresh before packages are installed."""
    return tuple(source.path for source in _sources(ctx))


def _sources(ctx: CompileContext) -> Iterator[_Source]:
    form = ctx.family.repositories
    for name, declared in ctx.spec.repositories.items():
        template = _TEMPLATES[form.form]
        field = f"repositories.{name}.fingerprint"
        yield _Source(
            name, field, declared, declared.url, form.source.format(name), form.keyring.format(name), template, {}
        )
    if ctx.spec.engine is not None and form.docker and _from_docker(ctx, ctx.spec.engine):
        yield _docker(ctx, ctx.spec.engine)


def _from_docker(ctx: CompileContext, engine: Engine) -> bool:
    return bool(ctx.platform.docker) and engine.source not in ("distribution", "installed")


def _docker(ctx: CompileContext, engine: Engine) -> _Source:
    form = ctx.family.repositories
    # The key is in the directory of the distribution, for all its versions.
    folder = f"{engine.package_mirror}/linux/{ctx.platform.docker.partition('/')[0]}"
    if form.form == "apt":
        url, template = folder, "apt/docker.sources.j2"
    else:
        # The major version and not $releasever: a mirror has no directory for 9.4 or 9-stream.
        url = f"{engine.package_mirror}/linux/{ctx.platform.docker}/$basearch/{engine.channel}"
        template = "rpm/docker-ce.repo.j2"
    declared = Repository(
        url=folder,
        suites=[ctx.platform.suite] if form.form == "apt" else [],
        components=[engine.channel],
        key_url=f"{folder}/gpg",
        # Never accept any key that a mirror serves: a mirror that signs with its own key must be declared.
        fingerprint=engine.fingerprint or list(form.docker_keys),
    )
    values = {"channel": engine.channel}
    return _Source(
        DOCKER, "engine.fingerprint", declared, url, form.docker, form.keyring.format(DOCKER), template, values
    )


def _apt(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    declared = source.declared
    suites = tuple(declared.suites) or (ctx.platform.codename,)
    entry = Entry(declared.url, suites, tuple(declared.components), source.key)
    yield OtherEntries(source.path, entry)
    yield _key(ctx, source)
    content = ctx.render(
        source.template, uri=declared.url, suites=suites, components=declared.components, signed_by=source.key
    )
    yield AptSource(source.path, content, entry)


def _rpm(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    yield _key(ctx, source)
    content = ctx.render(source.template, repository=source.name, baseurl=source.url, key=source.key, **source.values)
    yield File(source.path, content)


def _apk(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    """Signed with RSA keys in /etc/apk/keys. Every host has the keys of Alpine's own repositories and mirrors."""
    declared = source.declared
    if declared.key != "host":
        yield Obstacle(f"repository {source.name}", f"apk does not use PGP keys ({source.name}); set key: host")
        return
    suites = tuple(declared.suites) or (f"v{ctx.platform.release}",)
    content = ctx.render(source.template, uri=declared.url, suites=suites, components=declared.components)
    yield File(source.path, content)


def _none(ctx: CompileContext, source: _Source) -> Iterator[Resource]:
    yield Obstacle(f"repository {source.name}", f"{ctx.platform.name} has no repositories that provision can declare")


_TEMPLATES = {
    "apt": "apt/repository.sources.j2",
    "rpm": "rpm/repository.repo.j2",
    "apk": "apk/repository.list.j2",
    "none": "",
}
_FORMS: dict[str, Callable[[CompileContext, _Source], Iterator[Resource]]] = {
    "apt": _apt,
    "rpm": _rpm,
    "apk": _apk,
    "none": _none,
}


def _key(ctx: CompileContext, source: _Source) -> Resource:
    declared = source.declared
    if declared.key == "host":
        return Obstacle(f"repository {source.name}", f"{source.name} needs key_url or a PGP key on {ctx.platform.name}")
    if declared.key is not None:
        _check_key(ctx, source.name, declared, declared.key)
        return File(source.key, declared.key.encode())
    needs = {
        "certificates": any(str(url).startswith("https:") for url in (declared.url, declared.key_url)),
        "gpg": bool(declared.fingerprint),
        "curl": "curl" in ctx.family.tools,
    }
    tools = {tool: ctx.family.tools[tool] for tool, needed in needs.items() if needed}
    accepted = tuple(declared.fingerprint)
    return Keyring(source.key, str(declared.key_url), accepted, source.field, tools, ctx.options.lock_timeout)


def _check_key(ctx: CompileContext, name: str, declared: Repository, key: str) -> None:
    """A key that the spec contains is checked here, before any host is touched."""
    try:
        found = fingerprints(key.encode())
    except ValueError as error:
        raise ctx.error(f"the key {error}", "repositories", name, "key") from error
    if declared.fingerprint and not set(found) <= set(declared.fingerprint):
        raise ctx.error(f"the key has the fingerprint {' and '.join(found)}", "repositories", name, "fingerprint")
