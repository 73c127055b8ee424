"""The limit of a host's answers in the inventory, and reports that no script of provision sends."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from provision import tasks
from provision.errors import SpecError
from provision.model import Event
from provision.remote.protocol import WireError
from provision.remote.transaction import Step
from provision.steps.files import put_file
from provision.transport.execute import Finished
from provision.transport.job import _Progress, reported
from provision.transport.ssh import HostError
from tests.conftest import Project

STEP = Step("file:/etc/x", put_file("/etc/x", content=b"x"))

DEEP = "[" * 50_000 + "]" * 50_000


def test_the_limit_is_a_variable_of_the_inventory(project: Project) -> None:
    project.spec("{}")
    assert project.load().configs[0].host.login.answer_limit == 64 * 1024 * 1024
    project.write("inventory/host_vars/web1.yml", "provision_answer_limit: 256\n")
    assert project.load().configs[0].host.login.answer_limit == 256 * 1024 * 1024
    for value in ("0", "-1", "5000", "many", "true", "1.5"):
        project.write("inventory/host_vars/web1.yml", f"provision_answer_limit: {value}\n")
        with pytest.raises(SpecError, match="must be a number of MiB"):
            project.load()


@pytest.mark.parametrize(
    "frames",
    [
        [("docker", "container", "{" + f'"a": {DEEP}' + "}"), ("container", "app", '{"a": ' + DEEP + "}", "", "")],
        [("docker", "container", "{}"), ("container", "app", "[]", "", "")],
        [("docker", "container", "{}"), ("container", "app", "{", "", "")],
    ],
    ids=["too deep", "no object", "no JSON"],
)
def test_invalid_json_from_docker_fails_the_host(
    project: Project, monkeypatch: pytest.MonkeyPatch, frames: list[tuple[str, ...]]
) -> None:
    project.spec("containers: {app: {image: 'docker.io/library/app:1'}}")
    loaded = project.load()
    os_release = ("platform", "debian", "13", "trixie", "Debian", "", "", "")
    files = [("file", path, "absent") for path in ("/etc/docker/daemon.json",)]
    sent = [os_release, *files, *frames, ("docker", "image", ""), ("docker", "network", ""), ("end",)]

    def execute(connection: Any, login: Any, script: str, deadline: float, on_frame: Any) -> Finished:
        for frame in sent:
            on_frame(frame)
        return Finished(0, "")

    monkeypatch.setattr(tasks, "execute", execute)
    monkeypatch.setattr(tasks, "inspection", lambda *words: _container(words[-1]))
    connection: Any = None
    look: Any = tasks.look
    with pytest.raises(HostError, match="the host reported") as caught:
        look.body(connection, loaded.configs[0], loaded.context)
    assert caught.value.failure.kind == "protocol"


def _container(report: Any) -> None:
    from provision.resources.docker.inspected import container

    container(report, "app")


def test_a_daemon_json_that_is_nested_too_deeply_counts_as_invalid() -> None:
    from provision.engine.daemon_json import agrees, same

    assert same(DEEP.encode()) is None
    assert not agrees({"mtu": 1}, DEEP)


@pytest.mark.parametrize(
    ("shown", "resolved", "more", "agreed"),
    [
        ("/srv/docker", "/srv/docker", {}, True),
        ("/srv/other", "/srv/other", {}, True),  # the declared directory is a link
        ("/srv/other", "/srv/third", {}, False),  # a link that has another target since
        ("/srv/other", "", {}, False),
        ("/srv/docker", "", {}, True),
        ("/srv/docker/165536.165536", "/srv/docker", {"userns-remap": "default"}, True),
        ("/srv/docker/165536.165536", "/srv/docker", {}, False),
        ("/srv/docker/overlay2", "/srv/docker", {"userns-remap": "default"}, False),
    ],
)
def test_the_data_root_is_compared_as_dockerd_resolves_it(
    shown: str, resolved: str, more: dict[str, Any], agreed: bool
) -> None:
    from provision.engine.daemon_json import agrees

    answer = json.dumps({"ServerVersion": "29", "DockerRootDir": shown}) + f"\n{resolved}"
    assert agrees({"data-root": "/srv/docker", **more}, answer) is agreed


@pytest.mark.parametrize(
    "frame",
    [
        ("step.begin",),
        ("step.begin", "9"),
        ("step.begin", "-1"),
        ("step.done", "x"),
        ("step.failed", "0"),
        ("armed", "9" * 20),
        ("armed", "x"),
        ("note",),
        ("undone", "x"),
        ("result",),
        ("locked", "x"),
        ("died", "x"),
    ],
)
def test_an_unknown_frame_is_an_error_of_the_host(frame: tuple[str, ...]) -> None:
    received: list[Event] = []
    progress = _Progress("web1", (STEP,), received.append)
    with pytest.raises(WireError, match="not an event of a job"):
        progress.frame(frame)
    assert not received


@pytest.mark.parametrize("frames", [[("died",)], [("died", "x"), ("end",), ("died", "x")]])
def test_a_look_without_an_end_frame_is_an_error_of_the_host(frames: list[tuple[str, ...]]) -> None:
    with pytest.raises(HostError) as caught:
        reported(frames, Finished(0, ""))
    assert caught.value.failure.kind == "protocol"


def test_contents_that_are_not_base64_are_an_error_of_the_host() -> None:
    good = base64.b64encode(json.dumps({}).encode()).decode()
    assert reported([("content", "/a", good), ("end",)], Finished(0, "")).content("/a") == b"{}"
    with pytest.raises(HostError) as caught:
        reported([("content", "/a", "é"), ("end",)], Finished(0, ""))
    assert caught.value.failure.kind == "look"
