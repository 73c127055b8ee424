"""Steps of the package manager: check or repair its state, refresh its indexes, then make all changes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.distros import daemons, engine_packages
from provision.model import LONG, Call, Impact, Kept, Risk

#: The word of a record for a package that was not installed.
ABSENT = "absent"
#: What a refresh renews, for the resources that come after it.
INDEXES = "package indexes"


def pkg_whole(*, lock_timeout: int, repair: bool = False) -> Call:
    """Refuse to run where an interrupted package manager has left work, or finish that work (``repair``), which may
    configure any package."""
    return Call(
        "pkg_whole",
        (str(lock_timeout), "repair" if repair else "-"),
        title="finish what an interrupted package manager left"
        if repair
        else "check that the package manager was not interrupted",
        risk=Risk.CUT_OFF if repair else Risk.NONE,
        live=True,
        limit=LONG + lock_timeout,
    )


def pkg_refresh(*, lock_timeout: int, sources: Sequence[str] = ()) -> Call:
    return Call(
        "pkg_refresh",
        (str(lock_timeout), *sources),
        title="refresh the package indexes",
        risk=Risk.NONE,
        # Without sources it is a refresh for a tool, before the sources are written.
        renews=(INDEXES,) if sources else (),
        live=True,
        limit=LONG + lock_timeout,
    )


def pkg_spare(name: str, *, version: str) -> Call:
    """Fail if a package that the operator needs to log in could not be installed again."""
    return Call(
        "pkg_spare", (name, version), title=f"check that {name} {version} could be installed again", risk=Risk.NONE
    )


def pkg_transaction(
    *,
    lock_timeout: int,
    install: Mapping[str, str | None],
    remove: Sequence[str] = (),
    before: Mapping[str, str] | None = None,
    programs: tuple[str, ...] = (),
    watchers: tuple[str, ...] = (),
) -> Call:
    """Install and remove packages. ``install`` maps a name to its version, or to ``None`` for any. ``before`` maps each
    name to the version that the host has now, or to ``absent``. Without ``before`` the host keeps no record, and
    installed packages stay after a rollback.

    A rollback installs a removed package again. The engine's packages, and those that conflict with them, are not
    installed again: after a change of the engine, the new engine stays installed. The scripts of a daemon's package
    restart the daemon. Where they do not, ``programs`` are those that the services ``watchers`` run and watch.
    """
    before = before or {}
    words = [word for name, version in install.items() for word in ("install", name, version or "-")]
    words += [word for name in remove for word in ("remove", name, "-")]
    moved = sorted(name for name in daemons() & before.keys() if before[name] != ABSENT)
    gone = [name for name in remove if name in before and name not in engine_packages()]
    return Call(
        "pkg_transaction",
        (str(lock_timeout), *words),
        title=_title(install, remove),
        impact=Impact(
            "restart",
            "",
            f"{', '.join(moved)}: the daemon is restarted; a rollback needs a repository with the old version",
        )
        if moved
        else None,
        renews=programs if moved else (),
        watchers=watchers if moved else (),
        engine="package" if not daemons().isdisjoint(before) else "",
        keeps=(
            *(Kept("package", name, version) for name, version in before.items()),
            *(Kept("removed", before[name], name) for name in gone),
        ),
        live=True,
        limit=LONG + lock_timeout,
    )


def _title(install: Mapping[str, str | None], remove: Sequence[str]) -> str:
    installed = ", ".join(f"{name} {version}" if version else name for name, version in install.items())
    removed = ", ".join(remove)
    return "; ".join(part for part in (installed and f"install {installed}", removed and f"remove {removed}") if part)


def pkg_hold(names: Sequence[str], *, lock_timeout: int, hold: bool) -> Call:
    what = ", ".join(names)
    return Call(
        "pkg_hold",
        (str(lock_timeout), "hold" if hold else "unhold", *names),
        title=f"hold {what} at the installed version" if hold else f"release the hold of {what}",
        risk=Risk.NONE,
        limit=LONG + lock_timeout,
    )
