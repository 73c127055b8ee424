"""Certificates that our own authorities give: who needs one, and what a host gets of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provision import sealing, secret
from provision.authority import Wanted, ca_file, due, leaf_files, renew
from provision.declare import Context, Wish
from provision.desire.setting import Setting
from provision.errors import Where


def wanted(wishes: Iterable[Wish]) -> dict[str, tuple[Wanted, ...]]:
    """Authority -> the certificates that it is to have given."""
    found: dict[str, tuple[Wanted, ...]] = {}
    for wish in wishes:
        if wish.spec.engine is not None:
            for registry in wish.spec.engine.registries.values():
                if registry.authority is not None:
                    found.setdefault(registry.authority, ())
        served = wish.spec.registry
        if served is not None and served.tls is not None and served.tls.ca is not None:
            one = Wanted(served.tls.ca, served.name, tuple(served.tls.names))
            found[one.authority] = (*found.get(one.authority, ()), one)
    return found


def renewed(wishes: Iterable[Wish], context: Context, recipients: Iterable[str] = (), force: bool = False) -> list[str]:
    """Make and renew what is due, and say what was done. Raises :class:`UsageError` where nobody can read the keys."""
    place, said = folder(context), []
    for authority, all_ in wanted(wishes).items():
        if force or due(place, authority, all_):
            said += renew(place, authority, all_, sealing.recipients(recipients), force=force)
    return said


def folder(context: Context) -> Path:
    """``ca/`` beside the playbook."""
    return context.folder / "ca"


def of_authority(at: Setting, authority: str, *path: str) -> bytes:
    file = ca_file(folder(at.context), authority)
    if not file.exists():
        raise at.error(f"there is no authority {authority}", *path, hint="provision secrets ca makes and renews them")
    return file.read_bytes()


def given(at: Setting, one: Wanted) -> tuple[bytes, str]:
    """A certificate, and its key as a secret."""
    certificate, key = leaf_files(folder(at.context), one)
    if not certificate.exists() or not key.exists():
        raise at.error(
            f"{one.name} has no certificate of {one.authority}",
            *("registry", "tls", "ca"),
            hint="provision secrets ca makes and renews them",
        )
    return certificate.read_bytes(), secret.declare(f"key_{one.name}", {"age": key.name}, Where(key, 1))
