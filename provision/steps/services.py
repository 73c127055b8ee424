"""Steps for services, and for the ports that they listen on."""

from __future__ import annotations

from msgspec.structs import replace

from provision.engine.daemon_json import UNIT
from provision.model import USUAL, Call, Impact, Kept, Loading, Risk

_VERBS = {
    "restart": "restart {}",
    "reload": "reload {}",
    "live-restart": "enable live-restore, then restart {}",
    "bridge-restart": "stop the containers, restart {}, and start them again",
}


def svc_reread() -> Call:
    return Call("svc_reread", title="reload the unit files of the service manager")


def _of_service(function: str, words: tuple[str, ...], title: str, link: str | None = None) -> Call:
    """A step that changes the service of the first word. ``link`` is the link of a service that only the boot starts: a
    step that creates or removes the link disturbs no running service."""
    kept = Kept("service", words[0])
    if link is not None:
        return Call(function, words, title, touches=words[:1], keeps=(Kept("file", link), kept))
    return Call(function, words, title, touches=words[:1], disturbs=words[:1], keeps=(kept,))


def svc_enable(unit: str, *, link: str | None = None) -> Call:
    """Have a service start at boot."""
    return _of_service("svc_enable", (unit,), f"enable {unit}", link)


def svc_disable(unit: str, *, link: str | None = None) -> Call:
    return _of_service("svc_disable", (unit,), f"disable {unit}", link)


def svc_start(unit: str) -> Call:
    return replace(_of_service("svc_start", (unit,), f"start {unit}"), engine="start" if unit == UNIT else "")


def svc_stop(unit: str) -> Call:
    impact = Impact("restart", "", "stops") if unit == UNIT else None
    return replace(_of_service("svc_stop", (unit,), f"stop {unit}"), impact=impact)


def svc_retire(unit: str, *, path: str) -> Call:
    """Stop and disable a service before its unit file ``path`` is removed. Without the file the service manager can't
    disable it: the process and the links that enable it would stay (systemctl(1), disable). Does nothing where a
    package has a unit of this name, which is in effect when the file is removed (systemd.unit(5), Unit File Load
    Path)."""
    return _of_service("svc_retire", (unit, path), f"stop and disable {unit}, whose unit file is removed")


def svc_settle(loading: Loading, *, stale: bool, starts: bool = False, why: str = "") -> Call:
    """Make a running service load what is on disk, and record what its process has loaded. ``stale`` says that it has
    not loaded the files of the desired state. ``starts`` says that an earlier step starts the service. ``why`` names
    what the service has to load."""
    unit = loading.unit
    level = "reload" if loading.verb == "reload" else "restart"
    return Call(
        "svc_settle",
        (unit, loading.verb, loading.watched),
        title=_VERBS[loading.verb].format(unit) if stale else f"record which files {unit} has loaded",
        risk=Risk.PROVEN if loading.proven and stale and not starts else Risk.CUT_OFF,
        touches=(unit,),
        impact=Impact(level, "", why) if unit == UNIT and stale and not starts else None,
        disturbs=(unit,) if stale else (),
        engine="load" if unit == UNIT else "",
        loading=loading,
        keeps=(Kept("service", unit),) if stale else (),
    )


def svc_mark(unit: str, *, watched: str, loaded: str) -> Call:
    """The step before the first write to a file that the service watches. ``loaded`` says whether its process has
    loaded the files as they are now (``current`` or ``stale``)."""
    return Call(
        "svc_mark",
        (unit, watched, loaded),
        title=f"record which files {unit} has loaded until now",
        risk=Risk.PROVEN,
        touches=(unit,),
    )


def port_wait(port: int, *, seconds: int, unit: str) -> Call:
    """``unit`` is the service (or the container) whose log says why nothing listens."""
    return Call(
        "port_wait",
        (str(port), str(seconds), unit),
        title=f"wait until {unit} listens on port {port}",
        risk=Risk.NONE,
        limit=USUAL + seconds,
    )
