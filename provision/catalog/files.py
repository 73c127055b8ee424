"""Files, also the certificates of the project's own authorities.

Root's come before the packages, so that a service starts with the right files; others' after their users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from provision import limits
from provision.catalog.context import CompileContext
from provision.errors import Where
from provision.model import Resource
from provision.project.host_config import Context, HostConfig
from provision.resources.file import File, NoFile
from provision.secrets import secret
from provision.secrets.authority import Wanted, ca_file, leaf_files
from provision.secrets.secret import marked, whole
from provision.text.yamlfile import locate

#: The largest file that is sent inside a script, in bytes. A larger file belongs into a package or an image.
LARGEST = 16 * 1024 * 1024


def files_of_root(ctx: CompileContext) -> Iterator[Resource]:
    for path, declared in ctx.spec.files.items():
        if declared.absent:
            yield NoFile(path, ctx.watchers.get(path, ()))
        elif (declared.owner, declared.group) == ("root", "root"):
            yield _file(ctx, path)


def files_of_others(ctx: CompileContext) -> Iterator[Resource]:
    for path, declared in ctx.spec.files.items():
        if not declared.absent and (declared.owner, declared.group) != ("root", "root"):
            yield _file(ctx, path)


def _file(ctx: CompileContext, path: str) -> File:
    declared = ctx.spec.files[path]
    owned = {"owner": declared.owner, "group": declared.group, "mode": declared.mode}
    # A file is sent unchanged: text in it that looks like a token is not a token.
    return ctx.file(path, content(ctx, path), literal=declared.src is not None, **owned)


def content(ctx: CompileContext, path: str) -> bytes:
    """The bytes of a declared file. Raises :class:`SpecError` for a template or a source that gives none."""
    declared = ctx.spec.files[path]
    if declared.content is not None:
        return declared.content.encode()
    if declared.template is not None:
        where = locate(ctx.own.source, ("files", path, "template"))
        text = ctx.context.render(declared.template, ctx.own.scope, where)
        return (whole(text, where, f"files.{path}.template") if marked(text) else text).encode()
    found = ctx.read(str(declared.src), "files", path, "src")
    if len(found) > LARGEST:
        raise ctx.error(f"{declared.src} is larger than 16 MiB", "files", path, "src", hint="install it by a package")
    return found


def wanted(configs: Iterable[HostConfig]) -> dict[str, tuple[Wanted, ...]]:
    """Authority -> the certificates that it must issue."""
    found: dict[str, tuple[Wanted, ...]] = {}
    for config in configs:
        if config.spec.engine is not None:
            for registry in config.spec.engine.registries.values():
                if registry.authority is not None:
                    found.setdefault(registry.authority, ())
        served = config.spec.registry
        if served is not None and served.tls is not None and served.tls.ca is not None:
            one = Wanted(served.tls.ca, served.name, tuple(served.tls.names))
            found[one.authority] = (*found.get(one.authority, ()), one)
    return found


def missing(configs: Iterable[HostConfig], context: Context) -> list[str]:
    """The authorities of which files are missing."""
    found = []
    for authority, all_ in wanted(configs).items():
        files = [
            ca_file(folder(context), authority),
            *(file for one in all_ for file in leaf_files(folder(context), one)),
        ]
        if not all(file.exists() for file in files):
            found.append(authority)
    return sorted(found)


def folder(context: Context) -> Path:
    """``ca/`` next to the playbook."""
    return context.folder / "ca"


def of_authority(ctx: CompileContext, authority: str, *path: str) -> bytes:
    file = ca_file(folder(ctx.context), authority)
    if not file.exists():
        if ctx.context.foresees:
            return f"# the certificate of the authority {authority}, which provision apply creates\n".encode()
        raise ctx.error(
            f"there is no authority {authority}",
            *path,
            hint="provision secrets ca creates what is missing, and so does apply",
        )
    return limits.read(file)


def given(ctx: CompileContext, one: Wanted) -> tuple[bytes, str]:
    """A certificate, and its key as a secret."""
    certificate, key = leaf_files(folder(ctx.context), one)
    if not certificate.exists() or not key.exists():
        if ctx.context.foresees:
            text = f"# of {one.name}, which provision apply makes by the authority {one.authority}"
            return f"{text}\n".encode(), text
        raise ctx.error(
            f"{one.name} has no certificate of {one.authority}",
            *("registry", "tls", "ca"),
            hint="provision secrets ca creates what is missing, and so does apply",
        )
    return limits.read(certificate), secret.declare(f"key_{one.name}", {"age": key.name}, Where(key, 1))
