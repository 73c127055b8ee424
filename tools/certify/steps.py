"""The steps of the acceptance suite. Each step tests one promise of provision on the host. Otherwise it reports why the
promise does not hold, or why it cannot be tested there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from provision import distros
from provision.engine.keys import NEWEST, Version, key_effects, version, worst
from provision.load import Loaded
from provision.model import Failure, Platform
from provision.spec import Engine
from provision.verify.subjects import OPT_IN
from provision.verify.suite_files import names
from tools.certify import facts, offers
from tools.certify.evidence import Source
from tools.certify.overlay import daemon, overlaid
from tools.certify.samples import Sample, sample
from tools.certify.trial import Checked, Ran, Trial

#: A file that a run writes and the host removes again.
CUT_OFF_FILE = "/etc/provision-certify"
#: Seconds for the confirmation in the step that gives none.
_WITHIN = 5
_DATA_ROOT = "data-root"


class Skipped(Exception):
    """The step cannot be tried on this host; the text says why."""


class Failed(Exception):
    """The promise does not hold; the text says how. The text has no address and no name of the host; ``failure`` may
    have them."""

    def __init__(self, reason: str, failure: Failure | None = None) -> None:
        super().__init__(reason)
        self.failure = failure


class Bench(Struct):
    """What the steps share. ``platform`` and ``facts`` are known after the first step."""

    trial: Trial
    allow_reboot: bool = False
    platform: Platform | None = None

    @property
    def base(self) -> Loaded:
        return self.trial.base

    @property
    def source(self) -> Source:
        """Where the engine comes from, as evidence names it."""
        engine = self.base.configs[0].spec.engine
        declared = engine.source if engine is not None else None
        if declared is not None:
            return declared
        return "docker" if self.platform is not None and self.platform.docker else "distribution"

    @property
    def mirror(self) -> bool:
        """Whether Docker's packages come from another server than Docker's."""
        engine = self.base.configs[0].spec.engine
        default = Engine.model_fields["package_mirror"].default
        return self.source == "docker" and engine is not None and engine.package_mirror != default

    def with_engine(self, **keys: Any) -> Loaded:
        return overlaid(self.base, {"engine": keys})

    def with_daemon(self, **keys: Any) -> Loaded:
        return self.with_engine(daemon=keys, existing_store="leave")


class Step(Struct, frozen=True):
    """``name`` is its name in evidence, ``title`` says what is shown. ``run`` returns what it has seen; it raises
    :class:`Skipped` or :class:`Failed`."""

    name: str
    title: str
    run: Callable[[Bench], str]


def steps() -> tuple[Step, ...]:
    return (
        Step("bare", "the host has no engine", _bare),
        Step("applied", "one run brings it into the desired state", _applied),
        Step("idempotent", "the next run changes nothing, with one connection and one exec", _idempotent),
        Step("pinned down", "an older version of the engine is installed", _pinned_down),
        Step("pinned up", "a newer version of the engine is installed", _pinned_up),
        Step("daemon reload", "a key that dockerd reloads: no restart", _sampled("reload")),
        Step("daemon deleted", "such a key is deleted: a restart", _deleted),
        Step("daemon reload-resets", "a key whose deletion is reloaded too", _sampled("reload-resets", back=True)),
        Step("daemon restart", "a key that dockerd reads at its start: a restart", _sampled("restart", back=True)),
        Step("daemon ignored", "a key without effect: dockerd is left alone", _sampled("ignored", back=True)),
        Step("daemon data-root", "the engine's data move, and move back", _data_root),
        Step("rolled back", "the host is cut off, and rolls the change back by itself", _rolled_back),
        Step("rebooted", "the host is in the desired state after a restart", _rebooted),
        Step("verified", "all suites of verify pass", _verified),
        Step("benchmark", "the suite of the CIS benchmark passes", _benchmark),
    )


def _bare(bench: Bench) -> str:
    ran = bench.trial.plan()
    _well(ran, "plan")
    bench.platform = ran.plan.platform if ran.plan is not None else None
    if facts.has_engine(bench.trial.ask):
        raise Skipped("the host has an engine already")
    return f"no dockerd; changes planned: {ran.changes}"


def _applied(bench: Bench) -> str:
    ran = bench.trial.apply()
    _well(ran, "apply")
    if not ran.changes:
        raise Skipped("the host was in the desired state before")
    return f"changes: {ran.changes}, engine: {facts.engine_version(bench.trial.ask)}"


def _idempotent(bench: Bench) -> str:
    ran = bench.trial.apply()
    _well(ran, "apply")
    found = f"changes: {ran.changes}, connections: {ran.logins}, execs: {ran.execs}"
    if (ran.changes, ran.logins, ran.execs) != (0, 1, 1):
        raise Failed(found)
    return found


def _pinned_down(bench: Bench) -> str:
    _, older = _pins(bench)
    return _pinned(bench, older)


def _pinned_up(bench: Bench) -> str:
    newer, _ = _pins(bench)
    seen = _pinned(bench, newer)
    _back(bench)
    return seen


def _pins(bench: Bench) -> tuple[str, str]:
    """The newest version that the host's repository offers, and the one before it."""
    if bench.source == "installed":
        raise Skipped("the engine came with the image: no package is changed")
    if bench.base.context.locks:
        raise Skipped("the playbook has a lock file, which pins the engine")
    packaged = distros.packaged(_platform(bench), bench.source)
    if packaged is None:
        raise Skipped("the distribution has no package of the engine")
    found = offers.offers(bench.trial.ask, _platform(bench).family, packaged.parts["engine"])
    if len(found) < 2:
        raise Skipped(f"the repository offers {len(found)} version of the engine")
    return found[0], found[1]


def _pinned(bench: Bench, pin: str) -> str:
    ran = bench.trial.apply(bench.with_engine(version=pin))
    _well(ran, "apply")
    runs = facts.engine_version(bench.trial.ask)
    if offers.plain(runs) != offers.plain(pin):
        raise Failed(f"engine {runs} runs, {pin} is declared", ran.failure)
    return f"engine {runs}"


def _sampled(name: str, back: bool = False) -> Callable[[Bench], str]:
    """The step of a class of keys; with ``back`` the key is deleted again."""

    def run(bench: Bench) -> str:
        one = _sample(bench, name)
        seen = _set(bench, one)
        if not back:
            return f"{one.key}: {seen}"
        return f"{one.key}: {seen}; deleted: {_reset(bench, one)}"

    return run


def _deleted(bench: Bench) -> str:
    one = _sample(bench, "reload")
    return f"{one.key}: {_reset(bench, one)}"


def _data_root(bench: Bench) -> str:
    root = facts.info(bench.trial.ask, "{{.DockerRootDir}}")
    # Below the old one, so that it is on the same file system.
    one = Sample(_DATA_ROOT, f"{root}/provision-certify", "{{.DockerRootDir}}", f"{root}/provision-certify")
    seen = _set(bench, one)
    return f"{seen}; back: {_reset(bench, one)}"


def _sample(bench: Bench, name: str) -> Sample:
    one = sample(name, daemon(bench.base.configs[0]), _engine(bench))
    if one is None:
        raise Skipped("the spec declares every key of this class that the suite knows")
    return one


def _set(bench: Bench, one: Sample) -> str:
    """Declare a key, and return what happened to dockerd."""
    declared = daemon(bench.base.configs[0])
    seen = _changed(bench, bench.with_daemon(**{one.key: one.value}), declared, {**declared, one.key: one.value})
    if one.info and one.shows not in facts.info(bench.trial.ask, one.info):
        raise Failed(f"the running daemon does not show {one.key}")
    return seen


def _reset(bench: Bench, one: Sample) -> str:
    declared = daemon(bench.base.configs[0])
    seen = _changed(bench, bench.with_daemon(), {**declared, one.key: one.value}, declared)
    if one.info and one.shows in facts.info(bench.trial.ask, one.info) and one.key not in declared:
        raise Failed(f"the running daemon still shows {one.key}")
    return seen


def _changed(bench: Bench, wanted: Loaded, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Apply a change of daemon.json, and compare what happened to dockerd's process with the table of keys."""
    expected = worst(key_effects(old, new, _engine(bench)).values())
    before = facts.daemon(bench.trial.ask)
    ran = bench.trial.apply(wanted)
    _well(ran, "apply")
    if not ran.changes:
        raise Failed("the plan had no change")
    after = facts.daemon(bench.trial.ask)
    restarted = before != after
    if not after or restarted != (expected == "restart"):
        raise Failed(f"expected {_words(expected)}; dockerd was {'restarted' if restarted else 'not restarted'}")
    return _words(expected)


def _words(effect: str) -> str:
    return {"restart": "restarted", "reload": "reloaded, not restarted"}.get(effect, "left alone")


def _rolled_back(bench: Bench) -> str:
    files = {CUT_OFF_FILE: {"content": "written by provision certify\n"}}
    one = _sample(bench, "restart")
    changes = {"files": files, "engine": {"daemon": {one.key: one.value}}}
    ran = bench.trial.cut_off(overlaid(bench.base, changes), _WITHIN)
    failure = ran.failure
    if ran.status != "rolled_back" or failure is None or failure.kind != "unconfirmed":
        raise Failed(f"the run ended with {ran.status}{_kind(failure)}", failure)
    if bench.trial.ask(f"[ ! -e {CUT_OFF_FILE} ] || echo left").strip():
        raise Failed("the host has left a file of the change")
    if one.info and one.shows in facts.info(bench.trial.ask, one.info):
        raise Failed(f"the running daemon still has {one.key}")
    after = bench.trial.apply()
    _well(after, "apply")
    if after.changes:
        raise Failed(f"{after.changes} changes were left after the rollback", after.failure)
    return f"rolled back: a file and {one.key}; changes left: 0"


def _rebooted(bench: Bench) -> str:
    if not bench.allow_reboot:
        raise Skipped("--allow-reboot was not given")
    checked = bench.trial.verify(("settings", "daemon"), reboot=True)
    _checked(checked)
    ran = bench.trial.apply()
    _well(ran, "apply")
    if ran.changes:
        raise Failed(f"{ran.changes} changes after the restart")
    return f"changes after the restart: 0, checks passed: {checked.count('passed')}"


def _verified(bench: Bench) -> str:
    checked = bench.trial.verify(tuple(name for name in names() if name not in OPT_IN))
    _checked(checked)
    return f"checks passed: {checked.count('passed')}, skipped: {checked.count('skipped')}"


def _benchmark(bench: Bench) -> str:
    raise Skipped("it checks how a spec hardens a host, not the distribution")


def _checked(checked: Checked) -> None:
    if checked.failure is not None:
        failed = checked.names("failed")
        raise Failed(f"checks failed: {', '.join(failed)}" if failed else _why(checked.failure), checked.failure)


def _well(ran: Ran, what: str) -> None:
    if ran.status not in ("ok", "changed"):
        raise Failed(f"{what}: {ran.status}{_kind(ran.failure)}", ran.failure)


def _why(failure: Failure) -> str:
    return f"the run failed{_kind(failure)}"


def _kind(failure: Failure | None) -> str:
    return f" ({failure.kind})" if failure is not None else ""


def _back(bench: Bench) -> None:
    """Return to the user's spec."""
    _well(bench.trial.apply(), "apply of the spec")


def _platform(bench: Bench) -> Platform:
    if bench.platform is None:
        raise Failed("the host has not reported its distribution")
    return bench.platform


def _engine(bench: Bench) -> Version:
    return version(facts.engine_version(bench.trial.ask)) or NEWEST
