"""Runs that are interrupted at every step, in every way. Each file and setting is old or new, never a mixture. Changes
that arm a rollback are old or new as a whole, and so is a reload that proves itself. The next run continues from there.

``make test-all`` takes a sample. ``make torture`` runs as many as requested, and cuts the power of a virtual machine.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provision.lab import disk
from provision.lab.labs import Lab
from tests.lab.conftest import LAB, LabHost, NewHost, engine
from tests.lab.runs import RUNS, leftovers, start
from tools.leftovers import own

OLD: dict[str, Any] = {"labels": ["x=old"], "mtu": 1400}
NEW: dict[str, Any] = {"labels": ["x=new"], "mtu": 1450}


def toggled(new: bool, **daemon: Any) -> dict[str, Any]:
    word = "new" if new else "old"
    return {
        "files": {"/etc/one": {"content": f"{word}\n" * 500}, "/etc/two": {"content": f"{word}\n"}},
        "sysctl": {"net.ipv4.conf.all.rp_filter": 2 if new else 1},
        "engine": engine(**(NEW if new else OLD), **daemon),
    }


STATE = (
    "head -c 4 /etc/one; wc -c </etc/one; cat /etc/two; cat /proc/sys/net/ipv4/conf/all/rp_filter; "
    "grep -o 'x=...' /etc/docker/daemon.json; docker info --format '{{.Labels}}'; "
    "docker network inspect bridge --format '{{json .Options}}' | grep -o 'mtu\":\"[0-9]*'; "
    "grep -o 'rp_filter = .' /etc/sysctl.d/99-zz-provision-docker-hosts.conf"
)
_NEW = {"new", "2", "x=new", "[x=new]", 'mtu":"1450', "rp_filter = 2"}
_OLD = {"old", "1", "x=old", "[x=old]", 'mtu":"1400', "rp_filter = 1"}


def reloaded(new: bool, **daemon: Any) -> dict[str, Any]:
    """A change that dockerd's own reload proves: it arms no timer, and needs no second login."""
    return {"engine": engine(**OLD | {"labels": [f"x={'new' if new else 'old'}"]}, **daemon)}


RELOADED = "grep -o 'x=...' /etc/docker/daemon.json; docker info --format '{{.Labels}}'"


def neither(host: LabHost, run: str) -> str:
    """What is wrong with a host whose run changed files, settings and docker."""
    words = host.sh(STATE).splitlines()
    size = words.pop(1)
    if not set(words) <= _OLD | _NEW or size != "2000":
        return f"torn: {size} {words}"
    if not (set(words) <= _OLD or set(words) <= _NEW) and "armed" in host.sh(f"cat {run}/events"):
        return f"risky, and neither old nor new: {words}; {host.sh(f'cat {run}/result')}"
    return ""


def reload_neither(host: LabHost, run: str) -> str:
    """What is wrong with a host whose run reloaded docker: the file and the daemon have one state, and no timer was
    started for it."""
    words = host.sh(RELOADED).splitlines()
    if not (words == ["x=old", "[x=old]"] or words == ["x=new", "[x=new]"]):
        return f"neither old nor new: {words}; {host.sh(f'cat {run}/result', check=False)}"
    if ":armed," in host.sh(f"cat {run}/events"):
        return "a timer was armed"
    return ""


#: The changed object -> the function that reports what is wrong with a host afterwards.
Subject = tuple[Callable[..., dict[str, Any]], Callable[[LabHost, str], str]]
WHOLE: Subject = (toggled, neither)
RELOAD: Subject = (reloaded, reload_neither)
#: The host's own recovery is finished: nothing is armed, no job runs, docker answers.
_RECOVERED = (
    f"for n in $(seq 900); do busy=; for one in {RUNS}/*/armed {RUNS}/*/undoing; do [ ! -e $one ] || busy=$one; done; "
    f"for run in {RUNS}/*; do [ -e $run/result ] || kill -0 $(cut -d: -f1 $run/owner) 2>/dev/null && "
    "[ ! -e $run/result ] && busy=$run; done; "
    '[ -n "$busy" ] || docker info >/dev/null 2>&1 && [ -z "$busy" ] && exit 0; sleep 0.2; done; exit 1'
)

Broken = Callable[[LabHost, "subprocess.Popen[str]", int, str], None]
#: Waits until a run that is newer than the last one has done a step, and acts then.
_AT = (
    "for n in $(seq 3000); do run=$(ls -d /var/lib/provision/runs/* 2>/dev/null | tail -n 1); "
    "[ \"$run\" != BEFORE ] && grep -q '^2;9:step.done,[0-9]*:STEP,' $run/events 2>/dev/null && "
    "{ ACT; exit 0; }; sleep 0.01; done; exit 0"
)


def _from_inside(host: LabHost, process: subprocess.Popen[str], step: int, before: str, act: str) -> None:
    thread = threading.Thread(target=process.communicate, daemon=True)
    thread.start()
    host.within(_AT.replace("BEFORE", before).replace("STEP", str(step)).replace("ACT", act))
    if act == "true":
        process.kill()
    thread.join(timeout=180)


def job(host: LabHost, process: subprocess.Popen[str], step: int, before: str) -> None:
    _from_inside(host, process, step, before, "kill -9 $(cut -d: -f1 $run/owner)")


def connection(host: LabHost, process: subprocess.Popen[str], step: int, before: str) -> None:
    _from_inside(host, process, step, before, "pkill -KILL -f 'sshd-session: root@[n]otty'")


def controller(host: LabHost, process: subprocess.Popen[str], step: int, before: str) -> None:
    _from_inside(host, process, step, before, "true")


def power(host: LabHost, process: subprocess.Popen[str], step: int, before: str) -> None:
    """A power cut: the emulator is killed as soon as the controller has received the step's event."""
    assert process.stdout is not None
    done = 0
    for line in process.stdout:
        done += '"step.done"' in line
        if done > step:
            LAB.cut_power(host.name)
            LAB.switch_on(host.name)
            break
    process.communicate(timeout=600)


def broken_off(
    host: LabHost, spec: dict[str, Any], breaks: Broken, step: int, within: int, wrong: Callable[[LabHost, str], str]
) -> str:
    """One injection. Returns what is wrong with the host afterwards, or nothing."""
    host.playbook({"spec": spec})
    before = host.sh(f"ls -d {RUNS}/* | tail -n 1")
    process = start(host, "--confirm-within", str(within))
    breaks(host, process, step, before)
    process.wait(timeout=180)
    host.sh(_RECOVERED)
    run = host.sh(f"ls -d {RUNS}/* | tail -n 1")
    if fault := wrong(host, run):
        return fault
    again = host.apply()
    if again.code != 0:
        return f"the next run: {again.out[-600:]}"
    if host.apply().counts != {"ok": 1}:
        return "not idempotent afterwards"
    left = leftovers(host)
    return f"left: {left}" if left else ""


def prepared(host: LabHost, subject: Subject = WHOLE, **daemon: Any) -> int:
    """Set the host to the old state. Returns the number of steps that lead to the new one."""
    for new in (False, True, False):
        outcome = host.apply(subject[0](new, **daemon))
        assert outcome.code == 0, outcome.out
    return int(host.sh(f"grep -c step.done $(ls -d {RUNS}/* | tail -n 1)/events"))


def torture(hosts: list[LabHost], count: int, subject: Subject) -> tuple[int, list[str]]:
    """``count`` injections, spread over hosts, steps and kinds. Returns their number and what went wrong."""
    kinds: list[Broken] = [job, job, connection, controller]
    steps = [prepared(host, subject) for host in hosts]
    print(f"\n{steps[0]} steps each")

    def one(host: LabHost, first: int) -> list[str]:
        said, new = [], True
        for number in range(first, count, len(hosts)):
            way, step = kinds[number % len(kinds)], number // len(kinds) % steps[0]
            fault = broken_off(host, subject[0](new), way, step, 2, subject[1])
            said.append(f"{way.__name__} after step {step}: {fault}" if fault else "")
            new = not new
        return said

    with ThreadPoolExecutor(len(hosts)) as pool:
        said = [word for words in pool.map(one, hosts, range(len(hosts))) for word in words]
    return len(said), [word for word in said if word]


@pytest.mark.parametrize("subject", [WHOLE, RELOAD], ids=["all kinds of changes", "a reload"])
def test_a_run_killed_after_any_step_can_be_continued(
    new_host: NewHost, request: pytest.FixtureRequest, subject: Subject
) -> None:
    count = int(request.config.getoption("--injections"))
    hosts = [new_host() for _ in range(4)]
    done, wrong = torture(hosts, count, subject)
    print(f"{done} injections, {len(wrong)} hosts that were neither")
    assert wrong == []
    assert done == count


_SYSTEMD = {"exec-opts": ["native.cgroupdriver=systemd"]}


@pytest.fixture(scope="module")
def vm(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    name = f"{LAB.name}cut"
    own(LAB)
    (record,) = lab.up({name: disk.DOCKER}, "vm")
    folder: Path = tmp_path_factory.mktemp(name)
    yield LabHost(name, record.address, folder)
    lab.down([name])


@pytest.mark.torture
@pytest.mark.parametrize("subject", [WHOLE, RELOAD], ids=["all kinds of changes", "a reload"])
def test_a_run_continues_after_a_power_cut_at_any_step(vm: LabHost, subject: Subject) -> None:
    steps, wrong = prepared(vm, subject, **_SYSTEMD), []
    for step in range(steps):
        fault = broken_off(vm, subject[0](step % 2 == 0, **_SYSTEMD), power, step, 60, subject[1])
        print(f"power cut after step {step} of {steps}: {fault or 'old or new, and new after the next run'}")
        if fault:
            wrong.append(f"step {step}: {fault}")
    assert wrong == []


@pytest.mark.torture
def test_timers_work_while_the_clock_jumps(vm: LabHost) -> None:
    """Change the clock by days, forwards and backwards, all the time. Timers on the host must go by its uptime."""
    vm.sh(
        "systemctl stop systemd-timesyncd 2>/dev/null; systemd-run -q --unit=jumps sh -c "
        "'while :; do date -s +3days; sleep 0.7; date -s -5days; sleep 0.4; done'"
    )
    for new in (True, False, True):
        spec = toggled(new, **_SYSTEMD)
        assert vm.apply(spec, "--confirm-within", "60").code == 0
        words = set(vm.sh(STATE).splitlines()) - {"2000"}
        assert words <= (_NEW if new else _OLD)
        assert vm.apply(spec).counts == {"ok": 1}
        assert leftovers(vm) == ""
    vm.sh("systemctl stop jumps")
    assert vm.apply(toggled(True, **_SYSTEMD)).counts == {"ok": 1}
