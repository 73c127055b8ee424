"""A change of daemon.json that dockerd's own reload proves: it needs no validation before, no timer and no second
login. Every other change of the file keeps all three."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.catalog import Options
from provision.distros import platform
from provision.engine.keys import key_effects, local
from provision.planning.plan import inspection
from provision.planning.prepare import work
from provision.remote.protocol import Seen
from provision.remote.script import job_script, submit_script
from provision.remote.transaction import Work
from tests.conftest import Project
from tests.shells import each_shell, run, stub
from tests.test_cases import frames

RUNS = "ActiveState=active\nUnitFileState=enabled\nMainPID=7\nNeedDaemonReload=no"
OLD: dict[str, Any] = {"labels": ["x=old"], "icc": False}
NEW: dict[str, Any] = {"labels": ["x=new"], "icc": False}


def planned(
    project: Project, new: dict[str, Any], old: dict[str, Any] | str | None = None, loaded: str = "current", **spec: Any
) -> Work:
    """The work of a host whose daemon has the file ``old``, where ``new`` is declared."""
    return work_of(project, {"engine": {"source": "installed", "daemon": new}, **spec}, old, loaded)


def work_of(
    project: Project, whole: dict[str, Any], old: dict[str, Any] | str | None = None, loaded: str = "current"
) -> Work:
    there = OLD if old is None else old
    text = there if isinstance(there, str) else json.dumps(there)
    project.spec(yaml.safe_dump(whole))
    project_loaded = project.load()
    on = platform("debian", "13", "trixie")
    assert on is not None
    case = {
        "spec": whole,
        "files": {"/etc/docker/daemon.json": {"content": text} if text else None, "/etc/motd": None},
        "seen": [["service", "docker", RUNS, loaded, ""], ["service", "other", RUNS, loaded, ""]],
    }
    config, context = project_loaded.configs[0], project_loaded.context
    found = inspection(config, on, context, Options(), Seen.of(frames(case)))
    return work("20260101T000000-00000000", found.plan, found.report, risky=config.spec.risky)


def check_all_three(made: Work) -> None:
    """The file is validated, a timer is armed, and a login confirms the run."""
    functions = [step.call.function for step in made.steps]
    assert functions.index("daemon_check_content") < functions.index("put_file")
    assert (made.watched, made.proven, made.risky) == (False, False, True)
    text = job_script(made, (), {})
    assert "\narm 60 " in text
    assert "\nfinish login\n" in text


def test_a_reload_that_proves_itself_needs_no_login(project: Project) -> None:
    made = planned(project, NEW)
    assert [step.call.function for step in made.steps] == ["svc_mark", "put_file", "svc_settle"]
    assert (made.watched, made.proven, made.risky) == (True, True, False)
    text = job_script(made, (), {})
    assert "\narm_watched 60 1\n" in text, "before the file is written"
    assert "\nfinish proven\n" in text


@pytest.mark.parametrize(
    ("new", "how"),
    [
        # A key that only a restart loads, and a reloaded key together with one.
        ({**OLD, "icc": True}, {}),
        ({**NEW, "mtu": 1400}, {}),
        # Keys that are reloaded and concern what runs, or who may ask dockerd.
        ({**OLD, "live-restore": True}, {}),
        ({**OLD, "authorization-plugins": ["x"]}, {}),
        ({**OLD, "runtimes": {"x": {"path": "/x"}}}, {}),
        # A deleted key keeps its old value until a restart.
        ({"icc": False}, {}),
        # What the daemon has loaded is not known, or is not this file.
        (NEW, {"loaded": "stale"}),
        (NEW, {"loaded": "unknown"}),
        (NEW, {"old": ""}),
        (NEW, {"old": "{"}),
        # Another service watches the file.
        (NEW, {"services": {"other": {"running": True, "watch": ["/etc/docker/daemon.json"]}}}),
    ],
)
def test_every_other_change_is_validated_armed_and_confirmed(
    project: Project, new: dict[str, Any], how: dict[str, Any]
) -> None:
    check_all_three(planned(project, new, **how))


def as_file(new: dict[str, Any] | str, **docker: Any) -> dict[str, Any]:
    """A play that declares daemon.json as a file, and has docker reload it."""
    content = new if isinstance(new, str) else json.dumps(new)
    service = {"running": True, "watch": ["/etc/docker/daemon.json"], "on_change": "reload", **docker}
    return {"files": {"/etc/docker/daemon.json": {"content": content}}, "services": {"docker": service}}


def test_a_daemon_json_that_is_declared_as_a_file_proves_itself_too(project: Project) -> None:
    made = work_of(project, as_file(NEW))
    assert [step.call.function for step in made.steps] == ["svc_mark", "put_file", "svc_settle"]
    assert (made.watched, made.proven, made.risky) == (True, True, False)
    assert made.steps[-1].call.args[1] == "reload"


@pytest.mark.parametrize(
    ("spec", "how"),
    [
        (as_file(NEW, on_change="restart"), {}),
        # The play has docker reload a key that only a restart loads: no reload proves it.
        (as_file({**OLD, "icc": True}), {}),
        (as_file({"icc": False}), {}),
        (as_file("[]"), {}),
        (as_file(NEW), {"loaded": "stale"}),
        (as_file(NEW), {"old": ""}),
        (as_file(NEW), {"old": "{"}),
        # The plan does not know the content: another step writes a watched file too.
        (
            {
                "files": {**as_file(NEW)["files"], "/etc/motd": {"content": "x\n"}},
                "services": as_file(NEW, watch=["/etc/docker/daemon.json", "/etc/motd"])["services"],
            },
            {},
        ),
    ],
)
def test_every_other_change_of_such_a_file_keeps_all_three(
    project: Project, spec: dict[str, Any], how: dict[str, Any]
) -> None:
    check_all_three(work_of(project, spec, **how))


@pytest.mark.parametrize("risky", ["/etc/docker/daemon.json", "docker"])
def test_the_spec_may_declare_it_risky(project: Project, risky: str) -> None:
    made = planned(project, NEW, risky=[risky])
    assert (made.watched, made.proven, made.risky) == (False, False, True)


def test_a_risky_step_in_the_same_run_arms_before_the_first_change(project: Project) -> None:
    """The step of daemon.json would need no timer, but the rollback of the run restores it too."""
    made = planned(project, NEW, services={"other": {"running": False}})
    assert [step.call.function for step in made.steps] == ["svc_mark", "put_file", "svc_stop", "svc_settle"]
    text = job_script(made, (), {})
    assert "\narm 60 1\n" in text
    assert "\nfinish login\n" in text


def test_the_login_stays_where_a_harmless_step_is_not_proven(project: Project) -> None:
    made = planned(project, NEW, files={"/etc/motd": {"content": "x\n"}})
    assert (made.watched, made.proven, made.risky) == (True, False, False)


def test_a_template_of_the_operator_decides_how_docker_loads_the_file(project: Project) -> None:
    """The keys that the template adds count too: docker would not load ``mtu`` by a reload."""
    template = project.write("playbooks/templates/daemon.json.j2", "{{ daemon }}")
    assert planned(project, NEW).steps[-1].call.args[1] == "reload"
    template.write_text('{"mtu": 1400, {{ daemon[1:] }}')
    made = planned(project, NEW)
    assert made.steps[-1].call.args[1] == "restart"
    (written,) = [step.call.writes for step in made.steps if step.call.writes is not None]
    assert written.content is not None
    assert json.loads(written.content) == {**NEW, "mtu": 1400}
    template.write_text("{{ daemon }}}")
    check_all_three(planned(project, NEW))


def test_keys_that_are_local() -> None:
    assert local(key_effects(OLD, NEW))
    assert not local({}), "no key has changed, so nothing proves anything"
    assert not local({"labels": "restart"})


def test_only_a_watched_job_asks_systemd_to_watch_it() -> None:
    assert "\nsubmit r 540 <<" in submit_script("r", "job\n", limit=540)
    assert "\nsubmit r - <<" in submit_script("r", "job\n")


@each_shell
@pytest.mark.parametrize("knows", [True, False])
def test_an_older_systemd_starts_a_job_that_arms_its_timer(shell: list[str], tmp_path: Path, knows: bool) -> None:
    """systemd-run refuses a setting that it does not know. The job learns by its argument whether it is watched."""
    refuse = "" if knows else 'case "$*" in *ExecStopPost*) exit 1 ;; esac\n'
    stub(tmp_path / "bin", "systemd-run", f'{refuse}echo "$*" >>{tmp_path}/asked')
    text = "run=/runs/r\njob_systemd r 540\nemit started"
    found, done = run(shell, [], text, path=tmp_path / "bin", frame="submit.sh")
    assert found == [("started",)], done.stderr
    asked = (tmp_path / "asked").read_text()
    assert asked.rstrip().endswith("/runs/r/job run watched") is knows
    assert ("RuntimeMaxSec=540" in asked) is knows
    assert asked.count("\n") == 1
