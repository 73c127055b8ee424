"""The time limit of a step, after which the host treats it as hung. And what dockerd is asked before it loads a
file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.distros import platform
from provision.engine.checks import checked
from provision.engine.daemon_json import DAEMON_JSON, askable, parsed
from provision.engine.steps import daemon_check, daemon_check_content
from provision.model import LONG, USUAL, Call, Change, Drift, Loading, Plan, Resource, Risk
from provision.remote.protocol import Seen
from provision.remote.script import job_script
from provision.remote.transaction import Step, Work
from provision.resources.docker.compose import NoProject, Project
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import NoImage, PulledImage
from provision.resources.hold import Hold
from provision.resources.packages import Packages
from provision.resources.port import Listening
from provision.spec import Container as Declared
from provision.steps.files import put_file, remove_file
from provision.steps.services import svc_settle
from tests.shells import each_shell, run, stub
from tests.test_lock import identity

WEB = Container("web", Declared(image="app:1", within=600, stop_timeout=5))


def of_container(stop: str, **seen: str) -> Drift:
    return Drift({}, {"made by": "provision", "state": "running", "stop_timeout": stop, **seen}, ("memory",))


NONE = Drift({}, {}, ("image", "state"))
STOPPED = Drift({}, {"made by": "provision", "state": "stopped", "stop_timeout": "3600"}, ("state",))


@pytest.mark.parametrize(
    ("resource", "drift", "limits"),
    [
        # The existing container is stopped, so its stop timeout counts, and not the declared one.
        (WEB, of_container("3600"), {"container_put": USUAL + 3600 + 600}),
        (WEB, of_container("docker's"), {"container_put": USUAL + 10 + 600}),
        (WEB, of_container("-1"), {"container_put": USUAL + LONG + 600}),
        (WEB, NONE, {"container_put": USUAL + 600}),
        (WEB, STOPPED, {"container_state": USUAL + 3600 + 600}),
        (NoContainer("web"), of_container("3600"), {"container_remove": USUAL + 3600}),
        (Project("p", ("/c", "/e"), 3600), NONE, {"compose_up": LONG + 3600}),
        (NoProject("p", "/c"), NONE, {"compose_down": LONG}),
        (PulledImage("app:1"), NONE, {"image_pull": LONG}),
        (NoImage("app:1"), NONE, {"image_remove": LONG}),
        (
            Packages({}, lock_timeout=7200),
            NONE,
            dict.fromkeys(("pkg_whole", "pkg_refresh", "pkg_transaction"), LONG + 7200),
        ),
        (Hold(("a",), 7200), NONE, {"pkg_hold": LONG + 7200}),
        (Listening(80, "x"), NONE, {"port_wait": USUAL + 30}),
    ],
)
def test_the_time_limit_of_a_step_follows_from_its_work(
    resource: Resource, drift: Drift, limits: dict[str, int]
) -> None:
    if isinstance(resource, Packages):
        drift = Drift({}, {}, ())
    assert {call.function: call.limit for call in resource.fix(drift)} == limits


def test_the_drift_of_a_removed_container_has_its_stop_timeout() -> None:
    host = {"RestartPolicy": {"Name": "no"}, "LogConfig": {"Type": "local"}}
    own = {"Image": "app:1", "StopTimeout": 3600}
    whole = {"Name": "/web", "Image": "sha256:1", "Status": "running", "HostConfig": host, "Config": own}
    report = Seen.of([("docker", "container", ""), ("container", "web", json.dumps(whole), "", ""), ("end",)])
    assert NoContainer("web").seen(report)["stop_timeout"] == "3600"


ARMED = """\
run={folder} run_armed=yes run_log={folder}/log run_written={folder}/w run_queue={folder}/queue run_lock={folder}/lock
uptime_now() {{ uptime=$now boot=1:1; }}
"""


@each_shell
def test_a_slow_stop_does_not_count_as_hung(shell: list[str], tmp_path: Path) -> None:
    """The guard gives a job the time that docker gives a container to stop."""
    on = platform("debian", "13", "trixie")
    assert on is not None
    steps = (Step("container:web", next(WEB.fix(of_container("3600"))), Risk.CUT_OFF), Step("x", Call("true")))
    text = job_script(Work("20260101T000000-00000000", Plan("web1", on), steps, (), ()), (), {})
    words = [line.split()[:5] for line in text.splitlines() if line.startswith("step ")]
    assert words == [["step", "0", "4380", "container:web", "container_put"], ["step", "1", "180", "x", "true"]]
    lines = (
        ARMED.format(folder=tmp_path)
        + 'now=1000\nstep 0 4380 x alive\nIFS= read -r until <"$run/deadline"\nemit "$until"'
    )
    frames, done = run(shell, [], lines, frame="fix.sh")
    assert frames[-1] == ("1:1 5380",), done.stderr
    # The timer checks while the job runs.
    (tmp_path / "armed").touch()
    (tmp_path / "owner").write_text(f"{identity(os.getpid())}\n")
    lines = ARMED.format(folder=tmp_path) + "kill() { emit kill; }\nundo() { emit undo; }\nnow={}\nguard"
    for now, asked in ((5379, []), (5380, [("kill",), ("undo",)])):
        frames, done = run(shell, [], lines.replace("now={}", f"now={now}"), frame="fix.sh")
        assert frames == asked, done.stderr
        assert (tmp_path / "armed").exists() is (asked == [])


SPANS = {"infinity": 2 * LONG + 90, "1min 30s": 270, "1h 2min 3.500s": 7536, "500ms": 90, "2d": 345690, "": 90}


@each_shell
@pytest.mark.parametrize("span", SPANS)
def test_the_time_limit_of_a_unit_comes_from_systemd(shell: list[str], span: str, tmp_path: Path) -> None:
    show = f"LoadState=loaded\\nNeedDaemonReload=no\\nMainPID=0\\nActiveState=active\\nTimeoutStopUSec={span}\\nX=y\\n"
    stub(tmp_path / "bin", "systemctl", f'case "$*" in show*) printf "{show}" ;; esac')
    files = ["look/services.sh", "look/svc_systemd.sh", "fix/services.sh", "fix/svc_systemd.sh"]
    lines = (
        ARMED.format(folder=tmp_path)
        + 'now=0\nstep 0 0 x svc_stop x\nIFS= read -r until <"$run/deadline"\nemit "$until"'
    )
    frames, done = run(shell, files, lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames[-1] == (f"1:1 {SPANS[span]}",), done.stderr


@each_shell
def test_the_time_limit_of_a_project_comes_from_its_containers(shell: list[str], tmp_path: Path) -> None:
    answers = 'ps) printf "a\\nb\\nc\\n" ;;\ninspect) printf "600\\n-1\\n10\\n" ;;'
    stub(tmp_path / "bin", "docker", f"case $1 in\n{answers}\nesac")
    lines = (
        ARMED.format(folder=tmp_path)
        + 'now=0\nstep 0 1800 x compose_down p\nIFS= read -r until <"$run/deadline"\nemit "$until"'
    )
    frames, done = run(shell, ["fix/files.sh", "fix/compose.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames[-1] == ("1:1 2410",), done.stderr


@pytest.mark.parametrize(
    ("daemon", "asked"),
    [
        ({"debug": True, "userns-remap": "default"}, {"debug": True}),
        ({"userns-remap": "default:default"}, {}),
        ({"userns-remap": "deploy", "debug": True}, {"userns-remap": "deploy", "debug": True}),
        ({"userns-remap": 5}, {"userns-remap": 5}),
        ({"debug": True}, {"debug": True}),
        (["userns-remap"], ["userns-remap"]),
    ],
)
def test_dockerd_validates_no_key_that_validation_acts_on(daemon: Any, asked: Any) -> None:
    assert json.loads(asked_of(json.dumps(daemon).encode())) == asked
    assert asked_of(b"{broken") == b"{broken"
    deep = b"[" * 100_000
    assert asked_of(deep) == deep, "a host's file may have any depth"


def asked_of(content: bytes) -> bytes:
    return askable(content, parsed(content))


REMAP = b'{"debug": true, "userns-remap": "default"}'


def checks(*calls: Call, there: bytes | None, upgraded: bool = False) -> list[Call]:
    changes = [Change("packages:all", NONE, ())] if upgraded else []
    report: Any = SimpleNamespace(content={DAEMON_JSON: there}.get)
    found = checked([*changes, Change("x", NONE, calls)], report)
    return [call for change in found for call in change.calls if call.function.startswith("daemon_check")]


def test_dockerd_does_not_validate_the_default_userns_remap() -> None:
    write = put_file(DAEMON_JSON, content=REMAP)
    settle = svc_settle(Loading("docker", "", "restart"), stale=True)
    text = b'{\n  "debug": true\n}\n'
    copy = daemon_check_content(text, private=False)
    assert copy.args == ("text", text.decode())
    assert checks(write, settle, there=None) == [copy]
    assert checks(write, settle, there=b"{}", upgraded=True) == [copy]
    of_host = daemon_check_content(text, private=True)
    assert checks(settle, there=REMAP, upgraded=True) == [of_host], "a plan with an upgrade alone"
    on_disk = daemon_check()
    assert checks(settle, there=b"{}", upgraded=True) == [on_disk]
    removed = remove_file(DAEMON_JSON)
    assert checks(removed, settle, there=REMAP, upgraded=True) == [on_disk], "there is no file to validate"


@each_shell
def test_a_file_that_was_not_read_is_not_validated(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "dockerd", "echo asked >&2; exit 1")
    for daemon, status in ((' {"debug": true,\n "userns-remap" : "default"}', 0), ('{"userns-remap": "x"}', 1)):
        (tmp_path / "daemon.json").write_text(daemon)
        _, done = run(
            shell, ["fix/engine.sh"], f"daemon_check {tmp_path}/daemon.json", path=tmp_path / "bin", frame="fix.sh"
        )
        assert done.returncode == status, done.stderr
