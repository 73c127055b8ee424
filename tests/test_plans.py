"""Plans of many hosts on a terminal, and the status line below them."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from provision.commands.reporters import reporter
from provision.model import Call, Change, Drift, Event, Failure, Impact, Plan, Platform
from provision.report.jsonlines import JsonLines
from provision.report.layout import Style, View, cells, coloured, compressed, fold, middle, ranges
from provision.report.layout import plain as plain_style
from provision.report.plans import HOST, LABEL
from provision.report.shown import Shown, shown
from provision.report.status import Status, duration
from provision.report.terminal import Terminal
from provision.report.text import Text

DEBIAN = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
ROCKY = Platform("rocky", "9", "", "amd64", "rpm", "Rocky Linux 9")
RESTART = Impact("restart", "service:docker", "mtu is read at the start only")


def change(resource: str, want: dict[str, str], seen: dict[str, str]) -> Change:
    return Change(resource, Drift(want, seen, tuple(want)), ())


FORWARD = change("sysctl:net/ipv4/ip_forward", {"live": "1"}, {"live": "0"})
PACKAGES = change("packages:all", {"docker-ce": "5:28.5.2"}, {})
ODD = change("file:/etc/odd", {"content": "absent"}, {"content": "x\n"})
LONG = change("file:/etc/long", {"content": "".join(f"line {n}\n" for n in range(40))}, {})


def kernel(number: int) -> Change:
    return change("sysctl:vm/max_map_count", {"live": str(number)}, {"live": "0"})


def plan(
    host: str, *changes: Change, platform: Platform = DEBIAN, impacts: Sequence[Impact] = (RESTART,)
) -> tuple[Event, Event]:
    found = Plan(host, platform, changes, tuple(impacts))
    done = {"status": "changed" if changes else "ok", "changes": len(changes), "seconds": 1.0}
    return Event("host.plan", host, {"plan": found}), Event("host.done", host, done)


def begin(number: int, mode: str = "plan") -> Event:
    return Event("run.begin", data={"mode": mode, "hosts": number, "waves": 1})


def end(mode: str = "plan") -> Event:
    return Event("run.done", data={"mode": mode, "counts": {"ok": 0, "changed": 1}, "seconds": 1.0})


def text(events: Sequence[Event], view: View | None = None, style: Style = plain_style) -> list[str]:
    out = io.StringIO()
    report = Text(out, view, style)
    for event in events:
        report(shown(event))
    return out.getvalue().splitlines()


def fleet(number: int, *changes: Change, mode: str = "plan") -> list[Event]:
    plans = [event for n in range(1, number + 1) for event in plan(f"web{n:02}", *changes)]
    return [begin(number, mode), *plans, end(mode)]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([f"web{n:02}" for n in range(1, 21)], "web01-web20"),
        ([f"web{n}" for n in range(120, 0, -1)] + ["db1"], "db1, web1-web120"),
        ([f"web{n:02}.example.com" for n in range(8, 13)], "web08-web12.example.com"),
        ([f"192.0.2.{n}" for n in range(8, 13)], "192.0.2.8-192.0.2.12"),
        (["192.0.2.9", "192.0.3.10", "192.0.4.11"], "192.0.2.9, 192.0.3.10, 192.0.4.11"),
        (["web09a", "web10a", "web11a"], "web09a-web11a"),
        (["web1", "web2"], "web1, web2"),
        (["web98", "web99", "web100"], "web98-web100"),
        (["web099", "web100", "web101"], "web099-web101"),
        (["web9", "web010", "web011"], "web9, web010, web011"),
        (["a.n1", "a.n2", "a.n3"], "a.n1, a.n2, a.n3"),
        (["n1.a", "n2.b", "n3.a"], "n1.a, n2.b, n3.a"),
        ([f"h{'9' * 5000}", "h1"], f"h1, h{'9' * 5000}"),
        (["web1", "web1", ""], ", web1"),
        ([], ""),
    ],
)
def test_host_names_are_shown_as_ranges(hosts: list[str], words: str) -> None:
    assert compressed(hosts) == words


def test_host_names_that_exceed_the_width_are_counted() -> None:
    hosts = [f"web{n}" for n in (1, 2, 3, 5, 7, 9, 11)]
    assert compressed(hosts, 24) == "web1-web3 and 4 more"
    assert compressed(hosts, 28) == "web1-web3, web5 and 3 more"
    assert compressed(hosts, 1) == "web1-web3 and 4 more", "at least one range is shown"
    assert compressed(hosts, 60) == ", ".join(ranges(hosts))


def test_hosts_with_equal_plans_share_a_block() -> None:
    lines = text(fleet(20, FORWARD, PACKAGES))
    assert lines == [
        "web01-web20 (20 hosts, Debian GNU/Linux 13): 2 changes",
        "  ~ change sysctl:net/ipv4/ip_forward",
        "      live: 0 -> 1",
        "  + create packages:all",
        "      docker-ce: absent -> 5:28.5.2",
        "  ! impact: restart: service:docker: mtu is read at the start only",
        "Plan: 1 to create, 1 to change on 20 hosts; docker restarts on 20, no container stops",
        "",
        f"{'host':11}  status        changes  seconds",
        f"web01-web20  would change  {2:7}  {1.0:7}",
        "0 ok, 1 would change in 1.0 s",
    ]


def test_hosts_of_two_distributions_share_a_block() -> None:
    events = [begin(3), *plan("a1", FORWARD), *plan("a2", FORWARD, platform=ROCKY), *plan("a3", FORWARD), end()]
    assert text(events)[0] == "a1-a3 (3 hosts, 2 with Debian GNU/Linux 13, 1 with Rocky Linux 9): 1 change"


def test_values_that_differ_are_listed_by_host() -> None:
    events = [begin(9)]
    for n in range(1, 10):
        events += plan(f"web{n}", kernel(n), FORWARD)
    events.append(end())
    lines = text(events)
    assert lines[:9] == [
        "web1-web9 (9 hosts, Debian GNU/Linux 13): 2 changes",
        "  ~ change sysctl:vm/max_map_count",
        "      web1: live: 0 -> 1",
        "      web2: live: 0 -> 2",
        "      web3: live: 0 -> 3",
        "      web4: live: 0 -> 4",
        "      web5-web9: 5 more variants (-v shows all)",
        "  ~ change sysctl:net/ipv4/ip_forward",
        "      live: 0 -> 1",
    ]
    assert "      web9: live: 0 -> 9" in text(events, View(verbose=True))


def named(host: str) -> list[Change]:
    label = host.partition(".")[0]
    names = change(f"hostname:{host}", {"static": host}, {"static": "debian"})
    return [names, change("file:/etc/hosts", {"content": f"::1 {host} {label}\n::2 my-{host} my_{label}\n"}, {})]


def test_a_hosts_own_name_does_not_make_plans_differ() -> None:
    hosts = [f"web{n}.example.com" for n in (1, 2, 3)]
    events = [begin(3), *(event for host in hosts for event in plan(host, *named(host))), end()]
    lines = text(events, View(verbose=True))
    assert lines[:4] == [
        "web1-web3.example.com (3 hosts, Debian GNU/Linux 13): 2 changes",
        "  ~ change hostname:<host>",
        "      static: debian -> <host>",
        "  + create file:/etc/hosts",
    ]
    assert "      web2.example.com:" in lines
    assert "        +::2 my-web2.example.com my_web2" in lines
    assert any(line.startswith("Plan: 1 to create, 1 to change on 3 hosts") for line in lines)
    alone = text([begin(1), *plan(hosts[0], *named(hosts[0])), end()])
    assert "  ~ change hostname:web1.example.com" in alone
    assert "      +::1 web1.example.com web1" in alone
    assert not [line for line in alone if "<host" in line]


def server(name: str) -> Change:
    return change("file:/etc/x", {"content": f"server {name};\n"}, {})


@pytest.mark.parametrize("placeholder", ["<host>", "<host's first label>"])
def test_a_text_with_the_placeholder_is_not_the_name_of_the_host(placeholder: str) -> None:
    hosts = {"web1.example": placeholder, "web2.example": "web2.example", "web3.example": "web3"}
    odd = server("<host> and <host's first label> and web1")
    lines = text([begin(3), *(e for host, name in hosts.items() for e in plan(host, server(name))), end()])
    assert lines[1:8] == [
        "  + create file:/etc/x",
        "      web1.example:",
        f"        +server {placeholder};",
        "      web2.example:",
        "        +server web2.example;",
        "      web3.example:",
        "        +server web3;",
    ]
    assert f"      +server {placeholder};" in text([begin(1), *plan("web1.example", server(placeholder)), end()])
    alone = text([begin(1), *plan("web1.example", odd), end()])
    assert "      +server <host> and <host's first label> and web1;" in alone
    several = text([begin(2), *plan("db1", odd), *plan("db2", odd), end()])
    assert "      +server <host> and <host's first label> and web1;" in several


def test_a_resource_with_the_placeholder_is_another_resource() -> None:
    def created(name: str) -> Change:
        return change(f"file:/etc/{name}", {"content": "x\n"}, {})

    lines = text([begin(2), *plan("web1", created("<host>")), *plan("web2", created("web2")), end()])
    assert "  + create file:/etc/<host>" in lines
    assert "  + create file:/etc/web2" in lines
    assert any(line.startswith("Plan: 2 to create on 2 hosts") for line in lines)
    apply = [begin(2, "apply"), plan("web1", created("<host>"))[0], step("web1", 1, "write x")]
    assert not [
        line for line in text([*apply, *plan("web2", created("web2")), end("apply")]) if "the same changes as" in line
    ]


def test_marks_of_the_block_are_no_text_of_a_host() -> None:
    odd = server(f"{HOST} {LABEL}")
    lines = text([begin(2), *plan("web1", odd), *plan("web2", odd), end()])
    assert "      +server \\ue000 \\ue001;" in lines


def test_a_different_plan_is_shown_as_its_differences() -> None:
    events = [begin(5)]
    for n in (1, 2, 3):
        events += plan(f"web{n}", FORWARD, PACKAGES, LONG)
    events += [*plan("web4", FORWARD, PACKAGES, ODD), *plan("db1", ODD, impacts=()), end()]
    lines = text(events)
    first = lines.index("web4 (Debian GNU/Linux 13): 3 changes, 2 of them as on web1-web3")
    assert lines[first + 1 : first + 7] == [
        "  - remove file:/etc/odd",
        "      @@ -1 +1,2 @@",
        "      -x",
        "      +absent",
        "      +\\ No newline at end of file",
        "  (not on these hosts: create file:/etc/long)",
    ]
    assert lines[first + 7].startswith("Plan: "), "the impact is as on the others, too"
    assert "db1 (Debian GNU/Linux 13): 1 change" in lines[:first]
    summary = "Plan: 2 to create, 1 to change, 1 to remove on 5 hosts; docker restarts on 4, no container stops"
    assert summary in lines


def test_changes_with_one_title_and_different_diffs_are_not_common() -> None:
    other = change("packages:all", {"docker-ce": "5:29.0.0"}, {})
    events = [begin(3), *plan("a1", FORWARD, LONG, PACKAGES), *plan("a2", FORWARD, LONG, PACKAGES)]
    events += [*plan("a3", FORWARD, LONG, other, ODD), end()]
    lines = text(events)
    place = lines.index("a3 (Debian GNU/Linux 13): 4 changes, 2 of them as on a1, a2")
    assert "      docker-ce: absent -> 5:29.0.0" in lines[place:]
    assert "  ~ change sysctl:net/ipv4/ip_forward" not in lines[place:]


def test_a_value_that_differs_in_the_block_before_is_shown() -> None:
    events = [begin(3), *plan("a1", FORWARD, PACKAGES, kernel(1)), *plan("a2", FORWARD, PACKAGES, kernel(2))]
    lines = text([*events, *plan("a3", FORWARD, PACKAGES, kernel(1), ODD), end()])
    place = lines.index("a3 (Debian GNU/Linux 13): 4 changes, 2 of them as on a1, a2")
    assert "      live: 0 -> 1" in lines[place:], "on a2 it is 2"


def test_long_files_are_cut_in_the_middle() -> None:
    lines = text(fleet(1, LONG))
    assert "      ... 29 more lines (-v shows all)" in lines
    assert lines[1:3] == ["  + create file:/etc/long", "      +line 0"]
    assert "      +line 39" in lines
    assert len([line for line in lines if line.startswith("      ")]) == 12
    whole = text(fleet(1, LONG), View(verbose=True))
    assert [line for line in whole if line.startswith("      ")] == [f"      +line {n}" for n in range(40)]
    assert not [line for line in text(fleet(1, LONG), View(diff=False)) if line.startswith("      ")]


@pytest.mark.parametrize(
    ("impacts", "words"),
    [
        ([], "docker is not restarted on any, no container stops"),
        ([RESTART], "docker restarts on 2, no container stops"),
        ([Impact("reload", "service:docker", "")], "docker reloads on 2, no container stops"),
        ([RESTART, Impact("stop", "containers", "would be stopped: a")], "docker restarts on 2, containers stop on 2"),
        ([Impact("stop", "container:a", "ends"), Impact("stop", "container:b", "ends")], "containers stop on 2"),
        ([Impact("stop", "volume:a", "")], "data of a volume is removed on 2, no container stops"),
    ],
)
def test_the_summary_lists_what_stops(impacts: list[Impact], words: str) -> None:
    lines = text([begin(2), *plan("a", ODD, impacts=impacts), *plan("b", ODD, impacts=impacts), end()])
    (summary,) = (line for line in lines if line.startswith("Plan: "))
    words = words.replace("docker is not restarted on any", "docker is not restarted")
    assert summary.startswith("Plan: 1 to remove on 2 hosts; ")
    assert summary.endswith(words)


def test_the_summary_shows_that_docker_starts() -> None:
    calls = (Call("svc_settle", disturbs=("docker",)),)
    started = Change("service:docker", Drift({"running": "yes"}, {"running": "no"}, ("running",)), calls)
    lines = text([begin(1), *plan("a", started, impacts=()), end()])
    assert "Plan: 1 to change on 1 host; docker starts on 1, no container stops" in lines


def test_the_plan_comes_before_the_first_step_of_each_host() -> None:
    def step(host: str) -> Event:
        return Event("step.begin", host, {"step": "x", "title": "write x", "number": 1, "of": 1})

    plans = [plan(f"web{n}", FORWARD) for n in (1, 2, 3)]
    events = [begin(3, "apply"), plans[0][0], step("web1"), plans[1][0], step("web2"), plans[2][0], step("web3")]
    events += [done for _, done in plans]
    lines = text([*events, end("apply")])
    assert lines[:4] == [
        "web1 (Debian GNU/Linux 13): 1 change",
        "  ~ change sysctl:net/ipv4/ip_forward",
        "      live: 0 -> 1",
        "  ! impact: restart: service:docker: mtu is read at the start only",
    ]
    assert "web2, web3: the same changes as web1" in lines
    assert not [line for line in lines if line.startswith("Plan: ")], "it would count only the first hosts"


def test_json_has_a_plan_for_each_host() -> None:
    out = io.StringIO()
    report = JsonLines(out)
    for event in fleet(3, FORWARD):
        report(shown(event))
    plans = [one for line in out.getvalue().splitlines() if (one := json.loads(line))["event"] == "host.plan"]
    assert [(one["host"], one["items"][0]["diff"]) for one in plans] == [
        (f"web0{n}", ["live: 0 -> 1"]) for n in (1, 2, 3)
    ]


def test_progress_is_for_a_terminal_alone() -> None:
    events = [begin(1, "apply"), Event("progress", "web1", {"text": "downloading, 40 %"})]
    assert text(events) == []
    out = io.StringIO()
    report = JsonLines(out)
    for event in events:
        report(shown(event))
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["run.begin"]


def test_a_failed_host_has_a_separate_row() -> None:
    events = fleet(20, FORWARD)[:-1]
    for n in (3, 9):
        failure = Failure("unreachable", "no route")
        events[2 * n] = Event("host.done", f"web{n:02}", {"status": "unreachable", "changes": 0, "failure": failure})
    rows = [line.split()[0] for line in text([*events, end()]) if "would change  " in line or "unreachable  " in line]
    assert rows == ["web01,", "web03", "web09"]


def terminal(events: Sequence[Event], width: int = 80, **settings: str) -> tuple[str, Console]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, highlight=False, _environ=settings)
    report = Terminal(console)
    report._live.auto_refresh = False
    for event in events:
        report(shown(event))
    return out.getvalue(), console


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_the_width_of_the_terminal(width: int) -> None:
    wide = change("file:/etc/wide", {"content": "数" * 100 + " " + "q" * 100 + "\n"}, {})
    events = [begin(2), *plan("web1", wide, FORWARD), *plan("web2", wide), end()]
    out, _ = terminal(events, width, TERM="xterm", NO_COLOR="1")
    plans = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out[out.index("web1") : out.index("host ")])
    assert max(cells(line) for line in plans.splitlines()) <= width
    assert plans.count("数") == 200
    assert plans.count("q") == 200


@pytest.mark.parametrize("settings", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}])
def test_a_terminal_without_colour_shows_the_same_text(settings: dict[str, str]) -> None:
    events = fleet(2, FORWARD, PACKAGES, ODD)
    plain, _ = terminal(events, 80, **settings)
    colours, _ = terminal(events, 80, TERM="xterm-256color")
    sgr = re.compile(r"\x1b\[[0-9;]*m")
    shown_plain = [line for line in plain.splitlines() if line[:2] == "  " or line.startswith("Plan")]
    assert not sgr.search("".join(shown_plain))
    assert shown_plain[0].startswith("  ~ ")
    assert {line.strip()[0] for line in shown_plain if line[:2] == "  " and line[2] in "+~-!"} == {*"+~-!"}
    assert sgr.search(colours)
    assert set(shown_plain) <= set(sgr.sub("", colours).splitlines())


def status(events: Sequence[Event], now: list[float], width: int = 80) -> tuple[Status, list[str]]:
    found = Status(lambda: now[0])
    for event in events:
        found(shown(event))
    return found, drawn(found, width)


def drawn(found: Status, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(found.render(width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def step(host: str, number: int, title: str) -> Event:
    return Event("step.begin", host, {"step": "x", "title": title, "number": number, "of": 4})


def test_the_status_lists_a_few_hosts() -> None:
    now = [0.0]
    note = Event("note", "web1", {"text": "waiting for the package manager's lock"})
    events = [begin(2, "apply"), Event("host.begin", "web1"), Event("host.begin", "web2"), step("web1", 2, "install x")]
    found, _ = status([*events, note], now)
    now[0] = 12
    lines = drawn(found)
    assert lines[0] == "web1  [2/4] install x: waiting for the package manager's lock  12 s"
    assert lines[1].split("  ")[:2] == ["web2", "connecting"]
    found(shown(Event("progress", "web2", {"text": "reading the state"})))
    assert drawn(found)[1].split("  ")[:2] == ["web2", "reading the state"]
    assert lines[-1].endswith("0/2 hosts, 12 s, about 84 s left")
    found(shown(Event("progress", "web1", {"text": "downloading, 40 %"})))
    (line,) = (line for line in drawn(found) if line.startswith("web1  [2/4] install x: waiting "))
    assert line.endswith("\u2026  downloading, 40 %  12 s")
    assert cells(line) <= 80
    found(shown(step("web1", 3, "restart docker")))
    assert drawn(found)[0].startswith("web1  [3/4] restart docker ")


def test_the_status_of_500_hosts_is_short() -> None:
    now = [0.0]
    names = [f"web{n:03}" for n in range(1, 501)]
    wave = Event("wave.begin", data={"play": "x", "wave": 2, "of": 3, "hosts": names})
    events = [begin(500, "apply"), wave, *(Event("host.begin", name) for name in names)]
    events += [step(name, 1 + n % 3, f"step {n % 3}") for n, name in enumerate(names[:400])]
    events += [step("web500", 1, "a slow one")]
    _, lines = status(events, now)
    assert len(lines) <= 8
    assert lines[0].startswith("134 hosts  step 0")
    assert any(line.startswith("web500 ") and "a slow one" in line for line in lines)
    assert any(line.startswith("wave 2 of 3") and "0/500 hosts" in line for line in lines)
    many = [step(name, 1, f"step {n}") for n, name in enumerate(names)]
    _, lines = status([*events, *many], now)
    assert len(lines) == 14
    assert any("489 hosts" in line and "in other steps" in line for line in lines)


@pytest.mark.parametrize("width", [30, 80])
def test_the_status_fits_the_terminal(width: int) -> None:
    events = [begin(1), Event("host.begin", "a" * 50), step("a" * 50, 1, "install " + "x" * 200)]
    _, lines = status(events, [0.0], width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 2


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (240, "4 min"), (7200, "2.0 h")])
def test_durations_of_the_status_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_last_lines_of_a_failing_step_are_shown() -> None:
    detail = "\n".join(f"line {n}" for n in range(100))
    failure = Failure("step", "install x: failed with status 100", detail=detail)
    done = Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": failure})
    out, _ = terminal([begin(1, "apply"), done, end("apply")], 80, TERM="dumb")
    assert re.findall(r"^    \| line (\d+)$", out, re.MULTILINE) == [str(n) for n in range(85, 100)]
    assert "85 lines before these (provision report last --html FILE shows all)" in out
    assert "    | line 0" in text([begin(1, "apply"), done, end("apply")]), "a log has all of it"


@pytest.mark.parametrize("text_", ["", "a", "a b  c", "  x", "word " * 30, "x" * 50])
@pytest.mark.parametrize("width", [5, 11, 80])
def test_folded_text_keeps_all_words(text_: str, width: int) -> None:
    lines = list(fold(text_, width, 2))
    assert "".join("".join(lines).split()) == "".join(text_.split())
    assert all(cells(line) <= width for line in lines)
    assert list(fold(text_, None)) == [text_]


@pytest.mark.parametrize("number", range(20))
def test_a_long_list_is_cut_in_the_middle(number: int) -> None:
    lines = [str(n) for n in range(number)]
    begin_, left, end_ = middle(lines, 6)
    assert len(begin_) + left + len(end_) == number
    assert len(begin_) + bool(left) + len(end_) == (number if number <= 8 else 6)
    assert [*begin_, *lines[len(begin_) : len(begin_) + left], *end_] == lines


_CHILD = """
import sys
from provision.report.terminal import Terminal
from provision.report.shown import shown
from tests.test_plans import FORWARD, fleet
report = Terminal()
for event in fleet(20, FORWARD):
    report(shown(event))
"""


@pytest.mark.parametrize(
    ("settings", "colour"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_output_on_a_real_terminal_is_coloured_as_its_settings_say(settings: dict[str, str], colour: bool) -> None:
    near_end, far_end = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent), "LANG": "C.UTF-8"}
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=far_end, stdout=far_end, stderr=far_end, env=environment | settings
    )
    os.close(far_end)
    got = b""
    try:
        while piece := os.read(near_end, 4096):
            got += piece
    except OSError:
        pass  # the end of a pseudo-terminal (Linux)
    finally:
        os.close(near_end)
    assert child.wait(60) == 0
    assert b"web01-web20" in got
    assert b"Plan: 1 to change on 20 hosts; docker restarts on 20" in got
    # The symbol alone is yellow: a whole line of it cannot be read on a light terminal.
    assert (b"\x1b[33m~\x1b[0m change" in got) is colour
    if settings["TERM"] == "dumb":
        assert b"\x1b" not in got


def test_text_of_a_host_is_made_visible_before_plans_are_grouped() -> None:
    """A host's text in a plan is visible text before it is grouped."""
    evil = change("file:/etc/\x1b[31mx", {"content": "\u202eevil\n"}, {})
    lines = text([begin(1), *plan("web1", evil), end()])
    assert "  + create file:/etc/\\x1b[31mx" in lines
    assert "      +\\u202eevil" in lines
    assert isinstance(shown(Event("note", "x", {"text": "y"})), Shown)


def test_coloured_text_is_the_same_text() -> None:
    """--color always in a pipe. Only symbols are yellow, whose contrast on white is 1.7 to 1."""
    failed = Event("host.done", "web1", {"status": "failed", "changes": 0, "failure": Failure("step", "it failed")})
    events = [begin(1), *plan("web1", FORWARD), failed, end()]
    coloured_lines = text(events, style=coloured)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured_lines] == text(events)
    shown_text = "\n".join(coloured_lines)
    assert "\x1b[1;31mweb1: step: it failed\x1b[0m" in shown_text
    parts = re.findall(r"\x1b\[[0-9;]*3[36]m([^\x1b]*)", shown_text)
    assert parts == ["~"]


@pytest.mark.parametrize(
    ("option", "variables", "expected"),
    [
        ("auto", {}, None),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "0"}, None),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_the_option_has_precedence_over_the_environment(
    option: str, variables: dict[str, str], expected: bool | None, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    report = reporter(argparse.Namespace(json=False, plain=False, color=option, diff=True, verbose=False))
    for event in fleet(1, FORWARD):
        report(shown(event))
    assert ("\x1b[33m~" in out.getvalue()) is (terminal if expected is None else expected)
