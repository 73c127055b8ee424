"""A job's script has every function that it may call on a host, on every path through the script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.catalog import Options
from provision.distros import platform
from provision.model import Change, Drift, Plan
from provision.planning.plan import inspection
from provision.planning.prepare import work
from provision.remote.protocol import Seen
from provision.remote.script import job_script
from provision.remote.sources import SH
from provision.resources.packages import Packages
from tests.conftest import Project
from tests.test_cases import CASES, frames

_DEFINITION = re.compile(r"^([a-z]+(?:_[a-z]+)+)\(\)", re.MULTILINE)
#: Every function of the project's shell files whose name can't be a word of a sentence.
_FUNCTIONS = {name for file in SH.rglob("*.sh") for name in _DEFINITION.findall(file.read_text())}


def missing(script: str) -> set[str]:
    """The functions that a script names and does not define."""
    return (set(re.findall(r"(?<![\w/.-])[a-z]+(?:_[a-z]+)+\b", script)) & _FUNCTIONS) - set(
        _DEFINITION.findall(script)
    )


def rendered(project: Project, case: dict[str, Any]) -> str:
    project.spec(yaml.safe_dump(case["spec"]))
    for name, text in case.get("given", {}).items():
        project.write(name, text)
    loaded = project.load()
    on = platform(*case.get("platform", ("debian", "13", "trixie")))
    assert on is not None
    options = Options(upgrade=case.get("upgrade", False))
    found = inspection(loaded.configs[0], on, loaded.context, options, Seen.of(frames(case)))
    calls = [call for resource in found.resources for call in resource.look()]
    job = work(
        "20260101T000000-00000000", found.plan, found.report, found.remember, found.forget, data_root="/var/lib/docker"
    )
    return job_script(job, calls, {})


@pytest.mark.parametrize("case", CASES)
def test_a_script_has_each_function_that_a_step_may_call(project: Project, case: dict[str, Any]) -> None:
    if "refused" not in case:
        assert missing(rendered(project, case)) == set()


def test_a_missing_function_is_noticed() -> None:
    assert missing("svc_settle() {\n    docker_reload\n}\n") == {"docker_reload"}


def test_a_job_of_settings_has_no_functions_for_docker(project: Project) -> None:
    """Functions that only some jobs need are not sent to all hosts."""
    case = yaml.safe_load((Path(__file__).parent / "cases/sysctl.yml").read_text())[
        "absent from the kernel and from the boot"
    ]
    defined = set(_DEFINITION.findall(rendered(project, case)))
    assert "sysctl_set" in defined
    assert not {"container_put", "image_pull", "network_put", "compose_up"} & defined


@pytest.mark.parametrize(
    ("name", "disturbed"), [("docker-ce", True), ("containerd.io", True), ("docker.io", True), ("tree", False)]
)
def test_health_is_checked_after_a_package_that_restarts_the_engine(name: str, disturbed: bool) -> None:
    """A package's own scripts restart dockerd, without a step in the plan."""
    on = platform("debian", "13", "trixie")
    assert on is not None
    packages, drift = Packages({name: "2"}), Drift({name: "2"}, {name: "1"}, (name,))
    change = Change(packages.id, drift, tuple(packages.fix(drift)))
    report = Seen.of(frames({"seen": [["packages", "", f"{name} ii 1"]]}))
    job = work("20260101T000000-00000000", Plan("web1", on, (change,)), report, data_root="/srv/docker")
    text = job_script(job, (), {})
    assert job.disturbs_engine is disturbed
    assert ("\nkeep_containers\n" in text, "\nhealth 0\n" in text) == (disturbed, disturbed)
    # What a new version of the package writes to its data-root is rolled back too.
    assert ("store /srv/docker" in text) is disturbed
