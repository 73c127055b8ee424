"""Certificates of the project's own authorities: which are needed, and which files a host gets from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provision.catalog.context import CompileContext
from provision.errors import Where
from provision.project.host_config import Context, HostConfig
from provision.secrets import secret
from provision.secrets.authority import Wanted, ca_file, leaf_files
from provision.text import limits


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
