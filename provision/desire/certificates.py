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


def foresee(wishes: Iterable[Wish], context: Context) -> list[str]:
    """Let text stand for what authorities are yet to give, so that a new project can be planned and checked; says for
    which. Never for a run that writes it to a host."""
    for authority, all_ in wanted(wishes).items():
        files = [
            ca_file(folder(context), authority),
            *(file for one in all_ for file in leaf_files(folder(context), one)),
        ]
        if not all(file.exists() for file in files):
            context.foreseen.add(authority)
    return [
        f"the authority {one} has files to make: apply does, or provision secrets ca"
        for one in sorted(context.foreseen)
    ]


def folder(context: Context) -> Path:
    """``ca/`` beside the playbook."""
    return context.folder / "ca"


def of_authority(at: Setting, authority: str, *path: str) -> bytes:
    file = ca_file(folder(at.context), authority)
    if not file.exists():
        if authority in at.context.foreseen:
            return f"# the certificate of the authority {authority}, which provision apply makes\n".encode()
        raise at.error(
            f"there is no authority {authority}",
            *path,
            hint="provision secrets ca makes what is missing, and so does apply",
        )
    return file.read_bytes()


def given(at: Setting, one: Wanted) -> tuple[bytes, str]:
    """A certificate, and its key as a secret."""
    certificate, key = leaf_files(folder(at.context), one)
    if not certificate.exists() or not key.exists():
        if one.authority in at.context.foreseen:
            text = f"# of {one.name}, which provision apply makes by the authority {one.authority}"
            return f"{text}\n".encode(), text
        raise at.error(
            f"{one.name} has no certificate of {one.authority}",
            *("registry", "tls", "ca"),
            hint="provision secrets ca makes what is missing, and so does apply",
        )
    return certificate.read_bytes(), secret.declare(f"key_{one.name}", {"age": key.name}, Where(key, 1))
