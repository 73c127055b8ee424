"""The files of the project's own certificate authorities, made and renewed on the controller before hosts get them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.visible import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provision.load import Loaded
    from provision.project.host_config import Context, HostConfig


def renewed(
    configs: Iterable[HostConfig], context: Context, recipients: Iterable[str] = (), force: bool = False
) -> list[str]:
    """Make what is missing and renew what expires soon (``force``: all); return what was done, a line each. Raises
    :class:`UsageError` where no recipient is known who could decrypt the keys."""
    from provision.catalog.files import folder, wanted
    from provision.secrets import age
    from provision.secrets.authority import due, renew

    place, done = folder(context), []
    for authority, all_ in wanted(configs).items():
        if force or due(place, authority, all_):
            done += renew(place, authority, all_, age.recipients(recipients), force=force)
    return done


def renew(found: Loaded) -> None:
    """Renew the files at the start of a run, and report it."""
    for done in renewed(found.configs, found.context):
        say(f"provision: {done}")


def announce(found: Loaded) -> None:
    """Report which authorities have files to make, where a placeholder text represents them (``foresees``)."""
    from provision.catalog.files import missing

    for authority in missing(found.configs, found.context):
        say(f"provision: the authority {authority} has missing files: `apply` or `secrets ca` creates them")
