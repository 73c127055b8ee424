"""Journals of rollouts that did not happen, in the form of provision's journal, with as many hosts as a page must
handle."""

from __future__ import annotations

import random
from pathlib import Path

from provision.model import Call, Change, Drift, Event, Failure, Impact, Plan, Platform
from provision.report import journal as journals
from provision.report.journal import Journal
from provision.report.shown import shown

PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13 (trixie)")
STEPS = {
    "manifest put_file": "write /var/lib/provision/manifests/docker-hosts",
    "file:/etc/docker/daemon.json svc_mark": "record which files docker has loaded until now",
    "file:/etc/docker/daemon.json daemon_check_content": "have dockerd check the new /etc/docker/daemon.json",
    "file:/etc/docker/daemon.json put_file": "write /etc/docker/daemon.json",
    "sysctl:net/ipv4/ip_forward sysctl_set": "set the kernel setting net/ipv4/ip_forward to 1",
    "service:docker svc_settle": "restart docker",
}
#: A text that a host may have in a file, and that must not become part of the page's markup.
EVIL = '<script>document.title = \'evil\'</script>" onload="evil()" </pre></script> & {{ evil }} \udcff'


def plan(host: str) -> Plan:
    drift = Drift({"content": '{\n  "mtu": 1450\n}\n'}, {"content": '{\n  "mtu": 1400\n}\n' + EVIL}, ("content",))
    change = Change("file:/etc/docker/daemon.json", drift, (Call("put_file", ("/etc/docker/daemon.json",)),))
    impact = Impact("restart", "service:docker", "mtu is read at the start only")
    return Plan(host, PLATFORM, (change,), (impact,))


class _Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def time(self) -> float:
        return self.now


def rollout(playbook: Path, run: str, hosts: int, waves: tuple[int, ...], bad: frozenset[int] = frozenset()) -> Path:
    """Write the journal of a rollout in ``waves``. Hosts whose numbers are ``bad`` are rolled back, which stops it."""
    clock, dice = _Clock(), random.Random(1)  # noqa: S311 - no secret
    names = [f"web{number:03d}" for number in range(1, hosts + 1)]
    head = {"mode": "apply", "playbook": str(playbook), "by": "ops@control", "hosts": names, "resumes": ""}
    journal = Journal(playbook, run, head, clock.time)
    journal(shown(Event("run.begin", data={"mode": "apply", "hosts": hosts, "waves": len(waves)})))
    first, stopped = 0, False
    for number, size in enumerate(waves, 1):
        if stopped:
            break
        wave = names[first : first + size]
        first += size
        data = {"play": "Docker hosts", "wave": number, "of": len(waves), "hosts": wave}
        journal(shown(Event("wave.begin", data=data)))
        events: list[tuple[float, Event]] = []
        for host in wave:
            failed = names.index(host) + 1 in bad
            stopped = stopped or failed
            events += _of_host(host, clock.now + dice.random(), failed, dice)
        for at, event in sorted(events, key=lambda pair: pair[0]):
            clock.now = at
            journal(shown(event))
        counts = {"changed": sum(names.index(host) + 1 not in bad for host in wave)}
        journal(shown(Event("wave.done", data={"play": "Docker hosts", "wave": number, "counts": counts})))
    if stopped:
        journal(shown(Event("rollout.stopped", data={"reason": "1 of 1 hosts of wave 1 failed; allowed: 0"})))
    for host in names[first:]:
        journal(shown(Event("host.done", host, {"status": "skipped", "changes": 0, "reason": "the budget is spent"})))
    journal(shown(Event("run.done", data={"counts": {}, "seconds": 1.0, "mode": "apply"})))
    return journals.folder(playbook) / run


def _of_host(host: str, at: float, failed: bool, dice: random.Random) -> list[tuple[float, Event]]:
    found = [(at, Event("host.begin", host)), (at + 0.2, Event("host.plan", host, {"plan": plan(host)}))]
    at += 0.2
    names, titles = tuple(STEPS), tuple(STEPS.values())
    for number, (step, title) in enumerate(STEPS.items(), 1):
        begun = {"step": step, "title": title, "number": number, "of": len(STEPS)}
        found.append((at, Event("step.begin", host, begun)))
        at += dice.random() * (3 if "settle" in step else 0.3)
        if failed and number == len(STEPS):
            failure = Failure(
                "step",
                f"{title}: failed with status 1",
                step,
                EVIL,
                names[:-1],
                names[-1:],
                rolled_back=True,
                title=title,
                done_titles=titles[:-1],
                undone_titles=titles[-1:],
            )
            data = {"status": "rolled_back", "changes": 0, "failure": failure, "seconds": 4.0}
            return [*found, (at + 1, Event("host.done", host, data))]
        found.append((at, Event("step.done", host, {"step": step, "title": title})))
    check = {"suite": "daemon", "check": "daemon_key mtu", "outcome": "passed", "message": "", "seconds": 0.1}
    found.append((at + 0.3, Event("check.done", host, check)))
    return [*found, (at + 0.5, Event("host.done", host, {"status": "changed", "changes": 1, "seconds": 3.0}))]
