"""Worker processes: a run with two is the same run as with one. The hosts are a stand-in: an SSH server in this
process, whose commands are real programs of this machine. No test changes a host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
import pytest

from provision.rollout import processes
from provision.rollout.processes import Places, suitable
from provision.rollout.worker import Channel, Closed
from provision.transport.prompter import Prompter
from tests import preloaded
from tests.process_tree import alive, children
from tests.sshd import Sshd, listening
from tests.terminal import Terminal

BOTH = pytest.mark.parametrize("count", [1, 2])
PASSWORD = "of-the-login-1"
#: Seconds after which a test stops waiting for a condition.
_LONGEST = 60


class Counted(Sshd):
    """A server that accepts one password, and counts logins."""

    def __init__(self, shell: str = "/bin/sh") -> None:
        super().__init__({}, shell)
        self.logins: Counter[str] = Counter()

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.logins[username] += 1
        return paramiko.common.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.common.AUTH_FAILED


@dataclass
class Outcome:
    code: int
    out: str
    err: str
    events: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.events = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def all(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def ends(self) -> dict[str, str]:
        done = self.all("host.done")
        assert len({event["host"] for event in done}) == len(done), self.out + self.err
        return {event["host"]: event["status"] for event in done}


class Fleet:
    """Hosts ``h0``, ``h1`` ... on one server, and a project for them. ``unreachable`` hosts have a closed port."""

    def __init__(self, folder: Path, sshd: Counted, port: int, known: str) -> None:
        self.folder, self.sshd, self.port = folder, sshd, port
        (folder / "known_hosts").write_text(known)

    def hosts(self, count: int, unreachable: tuple[int, ...] = (), **variables: Any) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            none = closed.getsockname()[1]
        base = {"ansible_host": "127.0.0.1", "provision_known_hosts": str(self.folder / "known_hosts")}
        base |= {"ansible_password": PASSWORD, **variables}
        found = {
            f"h{number}": {
                **{key: value for key, value in base.items() if value is not None},
                "ansible_user": f"u{number}",
                "ansible_port": none if number in unreachable else self.port,
            }
            for number in range(count)
        }
        (self.folder / "hosts.yml").write_text(json.dumps({"docker": {"hosts": found}}))

    def play(self, spec: dict[str, Any], **more: Any) -> None:
        (self.folder / "site.yml").write_text(json.dumps([{"name": "P", "hosts": "docker", "spec": spec, **more}]))

    def argv(self, command: str, *words: str) -> list[str]:
        files = ["-i", str(self.folder / "hosts.yml"), str(self.folder / "site.yml")]
        return [sys.executable, "-m", "provision", command, *files, *words]

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        argv = self.argv(command, "--json", *(["--yes"] if command == "apply" else []), *words)
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, command: str, *words: str) -> Outcome:
        argv = self.argv(command, "--json", *(["--yes"] if command == "apply" else []), *words)
        done = preloaded.run(argv[3:])
        return Outcome(done.returncode, done.stdout, done.stderr)


def ended(process: subprocess.Popen[str]) -> Outcome:
    out, err = process.communicate(timeout=_LONGEST)
    return Outcome(process.returncode, out, err)


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.RSAKey.generate(2048)


@contextlib.contextmanager
def serving(folder: Path, key: paramiko.PKey, shell: str = "/bin/sh") -> Iterator[Fleet]:
    sshd = Counted(shell)
    with listening(sshd, key) as (port, known):
        yield Fleet(folder, sshd, port, known)


@pytest.fixture
def fleet(tmp_path: Path, key: paramiko.PKey) -> Iterator[Fleet]:
    with serving(tmp_path, key) as found:
        yield found


@pytest.fixture
def slow(tmp_path: Path, key: paramiko.PKey) -> Iterator[Fleet]:
    """Its hosts answer a look when the file ``go`` exists. Each look leaves a file ``begun.PID``."""
    shell = tmp_path / "shell"
    shell.write_text(
        f'#!/bin/sh\n: >{tmp_path}/begun.$$\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\nexec /bin/sh "$@"\n'
    )
    shell.chmod(0o755)
    with serving(tmp_path, key, str(shell)) as found:
        yield found
        (tmp_path / "go").touch()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST
    while not condition():
        assert time.monotonic() < end, "the condition was not met"
        time.sleep(0.02)


def begun(fleet: Fleet, count: int) -> None:
    until(lambda: len(list(fleet.folder.glob("begun.*"))) >= count)


def by_host(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    """The events of each host in their order, without times."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in outcome.events:
        timeless = {key: value for key, value in event.items() if key != "seconds"}
        found.setdefault(event.get("host", ""), []).append(timeless)
    return found


def test_the_events_are_those_of_one_process(fleet: Fleet) -> None:
    fleet.hosts(7, unreachable=(3,))
    fleet.play({"sysctl": {"vm.swappiness": "77"}, "files": {f"{fleet.folder}/made": {"content": "x\n"}}})
    one, two = (fleet.run("plan", "--processes", str(count), "-f", "4") for count in (1, 2))
    assert (one.code, two.code) == (3, 3), one.err + two.err
    assert two.ends == {f"h{number}": "unreachable" if number == 3 else "changed" for number in range(7)}
    assert by_host(one) == by_host(two)
    assert [two.events[place]["event"] for place in (0, -1)] == ["run.begin", "run.done"]
    assert (len(two.all("run.done")), two.events[-1]["counts"]["changed"]) == (1, 6)
    assert fleet.sshd.logins == {f"u{number}": 2 for number in range(7) if number != 3}
    assert len(fleet.sshd.commands) == 12, "one exec for each host and run"


def test_hosts_without_changes_have_the_events_of_one_process(fleet: Fleet) -> None:
    fleet.hosts(5)
    fleet.play({})
    one, two = (fleet.run("apply", "--processes", str(count), "-f", "4") for count in (1, 2))
    assert two.ends == {f"h{number}": "ok" for number in range(5)}
    assert by_host(one) == by_host(two)
    plans = two.all("host.plan")
    assert len(plans) == 5
    assert all(event["platform"] and event["items"] == [] for event in plans)


def test_a_plan_file_has_the_same_approvals(fleet: Fleet) -> None:
    fleet.hosts(3)
    (fleet.folder / "word").write_text("hush-hush-1\n")
    (fleet.folder / "site.yml").write_text(
        "- name: P\n  hosts: docker\n  vars: {word: !secret {file: word}}\n  spec:\n"
        f"    files: {{{fleet.folder}/made: {{content: '{{{{ word }}}}', mode: '0600'}}}}\n"
    )
    outcome = fleet.run("plan", "--processes", "2", "--out", str(fleet.folder / "plan.json"))
    assert outcome.code == 0, outcome.err
    assert "hush-hush-1" not in outcome.out
    approved = json.loads((fleet.folder / "plan.json").read_text())["hosts"]
    assert len({json.dumps(approved[name]["changes"]) for name in ("h0", "h1", "h2")}) == 1
    assert "hush-hush-1" not in json.dumps(approved)
    assert "keyed hash" in json.dumps(approved)


@BOTH
def test_the_budget_stops_the_rollout(fleet: Fleet, count: int) -> None:
    fleet.hosts(6, unreachable=(2,))
    fleet.play({}, rollout={"serial": 2})
    outcome = fleet.run("apply", "--processes", str(count))
    assert outcome.code == 3
    assert outcome.ends == dict(
        zip([f"h{n}" for n in range(6)], ["ok", "ok", "unreachable", "ok", "skipped", "skipped"], strict=True)
    )
    assert [event["hosts"] for event in outcome.all("wave.begin")] == [["h0", "h1"], ["h2", "h3"]]
    assert [event["reason"] for event in outcome.all("rollout.stopped")] == [
        "1 of 2 hosts of wave 2 failed; allowed: 0"
    ]


@BOTH
def test_hooks_run_for_each_host(fleet: Fleet, count: int) -> None:
    fleet.hosts(4)
    (fleet.folder / "hook").write_text(
        '#!/bin/sh\necho "$1 $PROVISION_WHEN $PROVISION_STATUS" >>log\n[ "$1 $PROVISION_WHEN" != "h2 before" ]\n'
    )
    (fleet.folder / "hook").chmod(0o755)
    hook = {"host": ["./hook", "{{ inventory_hostname }}"]}
    fleet.play({}, rollout={"before": hook, "after": hook})
    outcome = fleet.run("apply", "--processes", str(count))
    assert (outcome.code, outcome.ends) == (3, {"h0": "ok", "h1": "ok", "h2": "skipped", "h3": "ok"}), outcome.err
    wanted = [f"h{number} {when}" for number in (0, 1, 3) for when in ("after ok", "before ")]
    assert sorted((fleet.folder / "log").read_text().splitlines()) == sorted([*wanted, "h2 before "])


@BOTH
def test_a_command_that_can_not_be_started_ends_only_its_host(fleet: Fleet, count: int) -> None:
    fleet.hosts(3)
    fleet.play({}, rollout={"before": {"host": ["true", "{{ inventory_hostname }}\0"]}})
    outcome = fleet.run("apply", "--processes", str(count))
    assert (outcome.code, outcome.ends) == (3, dict.fromkeys(("h0", "h1", "h2"), "skipped")), outcome.err
    assert "Traceback" not in outcome.err


@BOTH
def test_the_verification_uses_the_same_connection(fleet: Fleet, count: int) -> None:
    fleet.hosts(4)
    (fleet.folder / "test_own.py").write_text(
        "def test_name(host, spec):\n    assert host.run('id -u').rc == 0\n    assert host.backend.hostname != 'h2'\n"
    )
    fleet.play({}, rollout={"verify": "own"}, verify="test_own.py")
    outcome = fleet.run("apply", "--processes", str(count))
    assert outcome.code == 3, outcome.err
    assert outcome.ends == {"h0": "ok", "h1": "ok", "h2": "failed", "h3": "ok"}
    assert Counter((event["host"], event["outcome"]) for event in outcome.all("check.done")) == {
        ("h0", "passed"): 1,
        ("h1", "passed"): 1,
        ("h2", "failed"): 1,
        ("h3", "passed"): 1,
    }
    assert set(fleet.sshd.logins.values()) == {1}


@BOTH
def test_ctrl_c_lets_the_hosts_under_way_finish(slow: Fleet, count: int) -> None:
    slow.hosts(6)
    slow.play({})
    process = slow.start("apply", "--processes", str(count), "-f", "2")
    begun(slow, 2)
    # As a terminal does: to the controller and its workers.
    for pid in [process.pid, *(children(process.pid) if count > 1 else [])]:
        os.kill(pid, signal.SIGINT)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"interrupted"' in line:
            (slow.folder / "go").touch()
    process.wait(_LONGEST)
    outcome = Outcome(process.returncode, "".join(lines), "")
    assert outcome.code == 130
    assert Counter(outcome.ends.values()) == {"ok": 2, "skipped": 4}
    assert outcome.events[-1]["event"] == "run.done"


@BOTH
def test_a_second_ctrl_c_leaves_the_hosts(slow: Fleet, count: int) -> None:
    slow.hosts(6)
    slow.play({})
    process = slow.start("apply", "--processes", str(count), "-f", "2")
    begun(slow, 2)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"interrupted"' in line and "again" in line:
            process.send_signal(signal.SIGINT)
    process.wait(_LONGEST)
    outcome = Outcome(process.returncode, "".join(lines), "")
    assert (outcome.code, Counter(outcome.ends.values())) == (130, {"failed": 2, "skipped": 4})
    assert {event["error"]["kind"] for event in outcome.all("host.done") if "error" in event} == {"disconnected"}


def test_a_third_ctrl_c_ends_the_workers_too(slow: Fleet) -> None:
    slow.hosts(4)
    slow.play({})
    process = slow.start("apply", "--processes", "2", "-f", "2")
    begun(slow, 2)
    workers = children(process.pid)
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # the test must pass without an answer from them
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        # To the kernel two signals at once are one.
        until(lambda: not pending(process.pid) or not alive(process.pid))
    process.wait(_LONGEST)
    assert process.returncode == 130
    until(lambda: not any(alive(pid) for pid in workers))
    process.communicate()


def pending(pid: int) -> bool:
    """Whether a process has not received its SIGINT yet."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(int(line.split()[1], 16) & 1 << (signal.SIGINT - 1) for line in lines if line.startswith("ShdPnd"))


def end_after_a_host(slow: Fleet, process: subprocess.Popen[str]) -> Outcome:
    """Let the slow hosts continue once the first host has ended, and wait for the end of the run."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"host.done"' in line:
            (slow.folder / "go").touch()
    process.wait(_LONGEST)
    return Outcome(process.returncode, "".join(lines), "")


def until_line(process: subprocess.Popen[str], text: str) -> str:
    """Read the output up to the first line with ``text``."""
    assert process.stdout is not None
    lines = ""
    for line in iter(process.stdout.readline, ""):
        lines += line
        if text in line:
            return lines
    raise AssertionError(f"no {text}:\n{lines}")


def test_the_hosts_of_a_killed_worker_have_failed_and_the_others_continue(slow: Fleet) -> None:
    slow.hosts(8)
    slow.play({}, rollout={"max_failures": 4})
    process = slow.start("apply", "--processes", "2", "-f", "4")
    begun(slow, 4)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    outcome = end_after_a_host(slow, process)
    assert (outcome.code, Counter(outcome.ends.values())) == (3, {"failed": 2, "ok": 6})
    errors = [event["error"] for event in outcome.all("host.done") if "error" in event]
    assert {error["kind"] for error in errors} == {"worker"}
    (message,) = {error["message"] for error in errors}
    assert message.startswith("its worker process ended unexpectedly (killed by signal 9, SIGKILL); the state of")
    assert outcome.events[-1]["event"] == "run.done"


def test_a_killed_worker_spends_the_budget(slow: Fleet) -> None:
    slow.hosts(8)
    (slow.folder / "hook").write_text('#!/bin/sh\necho "$1 $PROVISION_STATUS" >>log\n')
    (slow.folder / "hook").chmod(0o755)
    slow.play({}, rollout={"after": {"host": ["./hook", "{{ inventory_hostname }}"]}})
    process = slow.start("apply", "--processes", "2", "-f", "2")
    begun(slow, 2)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    outcome = end_after_a_host(slow, process)
    assert (outcome.code, Counter(outcome.ends.values())) == (3, {"failed": 1, "ok": 1, "skipped": 6})
    (lost,) = [host for host, status in outcome.ends.items() if status == "failed"]
    assert f"{lost} failed" in (slow.folder / "log").read_text(), "its after hook puts the host into service again"


def test_the_controller_continues_alone_when_no_worker_is_left(slow: Fleet) -> None:
    slow.hosts(6)
    slow.play({}, rollout={"max_failures": 4})
    process = slow.start("apply", "--processes", "2", "-f", "2")
    begun(slow, 2)
    for pid in children(process.pid):
        os.kill(pid, signal.SIGKILL)
    (slow.folder / "go").touch()
    outcome = ended(process)
    assert outcome.code == 3, outcome.err
    assert Counter(outcome.ends.values()) == {"failed": 2, "ok": 4}
    assert slow.sshd.logins.total() == 6


def test_workers_end_with_the_controller(slow: Fleet) -> None:
    slow.hosts(4)
    slow.play({})
    process = slow.start("plan", "--processes", "2")
    begun(slow, 4)
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    until(lambda: not any(alive(pid) for pid in workers))


@pytest.mark.parametrize("killed", ["worker", "controller"])
def test_no_process_keeps_the_pipe_of_another_worker_open(slow: Fleet, killed: str) -> None:
    """The second worker is stopped (SIGSTOP), so it cannot close its open files. The end of the first worker, or of the
    controller, must still be noticed."""
    slow.hosts(4)
    slow.play({}, rollout={"max_failures": 4})
    process = slow.start("apply", "--processes", "2", "-f", "2")
    begun(slow, 2)
    first, second = children(process.pid)
    os.kill(second, signal.SIGSTOP)
    try:
        if killed == "controller":
            process.kill()
            process.wait(_LONGEST)
            until(lambda: not alive(first))
            return
        os.kill(first, signal.SIGKILL)
        lines = until_line(process, '"host.done"')
    finally:
        os.kill(second, signal.SIGCONT)
        (slow.folder / "go").touch()
    rest = ended(process)
    outcome = Outcome(rest.code, lines + rest.out, rest.err)
    assert (outcome.code, Counter(outcome.ends.values())) == (3, {"failed": 1, "ok": 3})


def test_a_fault_of_a_worker_is_reported(fleet: Fleet, tmp_path: Path) -> None:
    fleet.hosts(4)
    fleet.play({})
    broken = tmp_path / "broken.py"
    broken.write_text(
        "import sys\nfrom provision import cli\nfrom provision.rollout.host_run import HostRun\n"
        "def whole(self): raise LookupError('of a test')\nHostRun.whole = whole\ncli.console()\n"
    )
    argv = fleet.argv("apply", "--json", "--yes", "--processes", "2")
    done = subprocess.run([sys.executable, str(broken), *argv[3:]], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "a worker process failed" in done.stderr
    assert "LookupError: of a test" in done.stderr


_SHARING = """
import os, sys, time
from provision import cli
from provision.rollout.host_run import HostRun

def note(text):
    os.write(log, text.encode() + b"\\n")

def whole(self):
    name = self.config.host.name
    # Each process has two places: the other two hosts of the first wave are the other process's.
    note(f"arrived {os.getpid()}")
    while len({line for line in open(os.environ["SHARING_LOG"]) if line.startswith("arrived")}) < 2:
        time.sleep(0.02)
    with self.run_context.restarts, self.run_context.pulls.shared("registry", 2):
        note("begin")
        time.sleep(0.02)  # for the hosts of the other process
        note("end")
    self.run_context.published.add({name: "digest"})
    note("sees " + " ".join(image for image, _ in self.run_context.published.now()))
    self._end("ok")

log = os.open(os.environ["SHARING_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
HostRun.whole = whole
cli.console()
"""


def test_processes_share_restarts_and_pushed_images(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """One host at a time restarts, and the hosts of a later wave see what those of an earlier wave have pushed."""
    fleet.hosts(8)
    fleet.play({}, rollout={"serial": 4})
    (fleet.folder / "sharing.py").write_text(_SHARING)
    log = fleet.folder / "sharing.log"
    monkeypatch.setenv("SHARING_LOG", str(log))
    argv = fleet.argv("apply", "--json", "--yes", "--processes", "2", "-f", "4")
    argv[1:3] = [str(fleet.folder / "sharing.py")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert [line for line in lines if line in ("begin", "end")] == ["begin", "end"] * 8
    later = [line.split()[1:] for line in lines if line.startswith("sees")][4:]
    assert all({"h0", "h1", "h2", "h3"} <= {*seen} for seen in later), lines


@BOTH
def test_a_password_is_asked_at_the_controllers_terminal(fleet: Fleet, count: int) -> None:
    """A login's password that the inventory does not have is asked for while hosts are processed."""
    fleet.hosts(2, ansible_password=None, ansible_ssh_common_args="-o IdentityFile=none -o IdentityAgent=none")
    fleet.play({})
    terminal = Terminal(fleet.argv("plan", "--plain", "--processes", str(count)), fleet.folder)
    questions = terminal.answer_all({"password: ": PASSWORD})
    assert terminal.close() == 0, terminal.seen
    assert sorted(questions) == [f"{user}@[127.0.0.1]:{fleet.port}: password: " for user in ("u0", "u1")]
    assert PASSWORD not in terminal.seen
    for user in ("u0", "u1"):
        assert fleet.sshd.logins[user] == 1


def test_a_question_is_asked_once_where_it_has_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(self: Prompter, question: str, until: float) -> str:
        asked.append(question)
        return f"answer {len(asked)}"

    monkeypatch.setattr(Prompter, "_asked", answer)
    prompter = Prompter(True)
    assert [prompter.ask("key", "passphrase", once=True) for _ in range(2)] == ["answer 1"] * 2
    assert [prompter.ask("host", "password") for _ in range(2)] == ["answer 2", "answer 3"]
    assert asked == ["key: passphrase: ", "host: password: ", "host: password: "]


@pytest.mark.parametrize(
    ("wanted", "hosts", "forks", "cores", "count"),
    [
        (None, 100, 50, 8, 1),
        (None, 101, 50, 8, 2),
        (None, 1000, 50, 1, 1),
        (None, 1000, 50, 8, 8),
        (None, 10_000, 50, 64, 12),
        (None, 1000, 1, 8, 1),
        (3, 5, 50, 1, 3),
        (8, 5, 50, 8, 5),
        (8, 500, 2, 8, 2),
        (1, 1000, 50, 8, 1),
    ],
)
def test_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, wanted: int | None, hosts: int, forks: int, cores: int, count: int
) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: cores)
    assert suitable(wanted, hosts, forks) == count


def test_a_cluster_has_its_own_number_of_workers(fleet: Fleet) -> None:
    fleet.hosts(1)
    fleet.play({})
    outcome = fleet.run("plan", "--processes", "2", "--cluster", "tls://192.0.2.1:8786")
    assert outcome.code == 1
    assert "--processes is for this machine" in outcome.err


def test_places_are_granted_in_order_and_freed_with_their_process() -> None:
    places, granted = Places(), []
    for owner, name in ((1, "a"), (2, "b"), (1, "c"), (2, "d")):
        places.take(owner, "registry", 2, lambda name=name: granted.append(name))  # type: ignore[misc]
    places.take(1, "other", 1, lambda: granted.append("other"))
    assert granted == ["a", "b", "other"]
    places.free(2, "registry")
    assert granted == ["a", "b", "other", "c"]
    # Process 1 ends with both places: one is granted to the next, one is free.
    places.ended(1)
    assert granted == ["a", "b", "other", "c", "d"]
    places.take(3, "registry", 2, lambda: granted.append("e"))
    places.take(3, "registry", 2, lambda: granted.append("f"))
    assert granted == ["a", "b", "other", "c", "d", "e"]
    places.ended(2)
    assert granted[-1] == "f"


def test_messages_arrive_whole_and_in_order() -> None:
    here, there = map(Channel, socket.socketpair())
    sent = [("small", 1), ("large", "x" * 5_000_000), ("last", None)]

    def send() -> None:
        for message in sent:
            there.send(*message)
        there.close()

    threading.Thread(target=send).start()
    received: list[tuple[Any, ...]] = []
    with contextlib.suppress(Closed):
        while True:
            received += here.receive()
    assert received == sent
    with pytest.raises(Closed):
        here.send("the other end is closed")


def test_a_message_that_waits_is_sent_before_the_next_one() -> None:
    here, there = map(Channel, socket.socketpair())
    there.send_later("first")
    there.send_later("second")
    there.send("third")
    assert here.receive() == [("first",), ("second",), ("third",)]
