"""One host's part of a run, made from its plan: its steps, the state that it is based on, and how it is undone."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from provision.model import USUAL, Call, Change, Drift, Kept, Loading, Plan, Platform, Risk
from provision.planning.manifest import KINDS
from provision.planning.prepare import work
from provision.remote.protocol import Seen
from provision.remote.transaction import Step, Work, new_run
from provision.steps.files import put_file
from provision.steps.services import port_wait, svc_mark, svc_settle, svc_start

HOST = Platform("debian", "13", "trixie", "amd64", "apt")
NONE = Drift({}, {}, ())
STAT = "regular file:644:root:root:1:2:3:5"


def made(
    *calls: Call,
    report: Sequence[tuple[str, ...]] = (),
    max_impact: str | None = None,
    data_root: str = "",
    risky: Sequence[str] = (),
) -> Work:
    plan = Plan("web1", HOST, (Change("x", NONE, calls),))
    return work("run", plan, Seen.of(list(report)), max_impact=max_impact, data_root=data_root, risky=risky)


def test_manifests_are_written_before_the_changes_and_shortened_after_them() -> None:
    before, change, after = (put_file(f"/etc/{name}", content=b"x") for name in ("before", "change", "after"))
    plan = Plan("web1", HOST, (Change("file:/etc/change", NONE, (change,)),))
    found = work("run", plan, Seen.of([]), (before,), (after,))
    assert [(step.resource, step.call) for step in found.steps] == [
        ("manifest", before),
        ("file:/etc/change", change),
        ("manifest", after),
    ]
    assert [one[1] for one in found.keep] == ["/etc/before", "/etc/change", "/etc/after"]


def test_the_base_has_what_was_reported_of_the_files_that_a_run_replaces() -> None:
    """A file that was not reported has no base, and neither has a service: the run itself reads its state."""
    found = made(
        *(put_file(path, content=b"x") for path in ("/etc/there", "/etc/absent", "/etc/unread")),
        svc_start("x"),
        report=[("file", "/etc/there", STAT), ("file", "/etc/absent", "absent"), ("file", "x", STAT)],
    )
    assert found.base == (("file", "/etc/there", STAT), ("file", "/etc/absent", "absent"))
    assert [one[:2] for one in found.keep] == [
        ("file", "/etc/there"),
        ("file", "/etc/absent"),
        ("file", "/etc/unread"),
        ("service", "x"),
    ]


def test_an_item_is_kept_once_and_files_come_before_the_services_that_load_them() -> None:
    write, again = (put_file("/etc/x.conf", content=text) for text in (b"a", b"b"))
    found = made(svc_start("x"), write, svc_start("x"), again)
    assert found.keep == (Kept("file", "/etc/x.conf"), Kept("service", "x"))
    assert found.undo == KINDS["file"].functions | KINDS["service"].functions


@pytest.mark.parametrize(
    ("live", "max_impact", "words"),
    [(False, None, "reload,stale,,-"), (True, None, "reload,stale,,live"), (False, "stop", "reload,stale,stop,-")],
)
def test_a_service_is_kept_with_how_a_rollback_loads_its_files(live: bool, max_impact: str | None, words: str) -> None:
    loading = Loading("x", "/etc/a\n/etc/b", "restart", "reload", "stale", "icc mtu", live)
    # A file may have the name of the unit, and another service has no files to load.
    named = Call("put_file", keeps=(Kept("file", "x"),))
    found = made(named, svc_start("y"), svc_settle(loading, stale=True), max_impact=max_impact)
    assert found.keep == (
        Kept("file", "x"),
        Kept("service", "y"),
        Kept("service", "x", f"{words}\nicc mtu\n/etc/a\n/etc/b"),
    )


def test_the_data_directory_is_kept_first_where_a_step_concerns_the_engine() -> None:
    write = put_file("/etc/docker/daemon.json", content=b"{}")
    found = made(write, svc_start("docker"), data_root="/srv/docker")
    assert found.disturbs_engine
    assert found.keep[0] == Kept("store", "/srv/docker")
    assert [one[:2] for one in found.keep].count(("store", "/srv/docker")) == 1
    assert Kept("file", "/etc/docker/daemon.json") in found.keep
    assert found.undo >= KINDS["store"].functions
    for other in (made(write, svc_start("x"), data_root="/srv/docker"), made(write, svc_start("docker"))):
        assert "store" not in {one[0] for one in other.keep}
        assert not other.undo & KINDS["store"].functions
    assert not made(write, svc_start("x")).disturbs_engine


@pytest.mark.parametrize(
    ("risky", "arms"),
    [
        ((), False),
        (("/etc/motd",), True),
        (("/srv", "/etc"), True),
        (("/etc/",), True),
        (("/",), True),
        (("/srv",), False),
        (("/etc/motd.d",), False),
        (("/etc/mot",), False),
    ],
)
def test_a_path_or_a_directory_above_it_may_be_declared_risky(risky: tuple[str, ...], arms: bool) -> None:
    found = made(put_file("/etc/motd", content=b"x"), risky=risky)
    assert [step.risk for step in found.steps] == [Risk.CUT_OFF if arms else Risk.NONE]
    assert found.risky is arms


def test_a_unit_that_a_step_touches_may_be_declared_risky() -> None:
    mark = svc_mark("x", watched="/etc/x", loaded="current")
    assert not made(mark).risky
    assert made(mark, risky=("x",)).risky
    assert not made(mark, risky=("xy", "y")).risky
    mark = svc_mark("x-y", watched="/etc/x", loaded="current")
    assert not made(mark, risky=("x",)).risky
    mark = svc_mark("x.socket", watched="/etc/x", loaded="current")
    assert made(mark, risky=("x",)).risky


def test_a_job_may_take_as_long_as_all_of_its_steps_together() -> None:
    found = made(put_file("/etc/motd", content=b"x"), port_wait(80, seconds=30, unit="x"))
    assert found.limit == USUAL + USUAL + 30
    assert made().limit == 0


@pytest.mark.parametrize(
    ("risks", "watched", "proven"),
    [
        ((Risk.PROVEN,), True, True),
        ((Risk.NONE,), False, False),
        ((Risk.PROVEN, Risk.NONE), True, False),
        ((Risk.PROVEN, Risk.CUT_OFF), False, False),
        ((), False, True),
    ],
)
def test_a_job_is_watched_where_a_step_proves_its_effect_and_none_is_risky(
    risks: tuple[Risk, ...], watched: bool, proven: bool
) -> None:
    found = made(*(Call("f", risk=risk, keeps=(Kept("file", "/etc/x"),)) for risk in risks))
    assert (found.watched, found.proven, found.risky) == (watched, proven, Risk.CUT_OFF in risks)
    marks = made(*(Call("f", risk=risk) for risk in risks))
    assert not marks.watched, "a step that replaces nothing needs no rollback"


def test_a_step_has_a_name_for_programs_and_a_title_for_people() -> None:
    write = Step("file:/etc/motd", put_file("/etc/motd", content=b"x"))
    assert (write.name, write.title) == ("file:/etc/motd put_file", "write /etc/motd")
    assert Step("x", Call("f")).title == "x f"


def test_a_run_does_not_change_after_it_was_planned() -> None:
    found = made(put_file("/etc/motd", content=b"x"))
    # mypy refuses both assignments too.
    with pytest.raises(AttributeError):
        found.steps[0].risk = Risk.PROVEN  # type: ignore[misc]
    with pytest.raises(AttributeError):
        found.steps = ()  # type: ignore[misc]


def test_the_name_of_a_run_is_its_start_in_utc_and_a_random_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-5")
    time.tzset()
    try:
        start = datetime.now(UTC) - timedelta(seconds=1)
        names = {new_run() for _ in range(3)}
        end = datetime.now(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", name)
        assert start <= datetime.strptime(f"{name[:15]}Z", "%Y%m%dT%H%M%S%z") <= end


def test_the_names_of_runs_that_begin_in_one_second_sort_by_time() -> None:
    """In an earlier version a rollback of the last run could take the one before it."""
    names = []
    for _ in range(40):
        names.append(new_run())
        begun = time.monotonic()
        while time.monotonic() - begun < 0.002:
            pass
    assert sorted(names) == names
