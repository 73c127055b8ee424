"""The order of hosts, computed from the names of images and registries."""

from __future__ import annotations

import pytest

from provision.errors import SpecError
from provision.project.dependencies import Dependencies, dependencies
from provision.rollout.stages import stages
from tests.conftest import Project

HOSTS = "all: {hosts: {reg: {ansible_host: 10.0.0.1}, build: , run1: , run2: , alone: }}\n"


def found(project: Project, plays: str) -> Dependencies:
    project.write("inventory/hosts.yml", HOSTS)
    project.write("playbooks/site.yml", plays)
    project.write("playbooks/app/Dockerfile", "FROM scratch\n")
    loaded = project.load()
    return dependencies(loaded.configs, loaded.context)


PLAYS = """\
- {name: Run, hosts: "run*", spec: {containers: {app: {image: "10.0.0.1:5000/app:1"}}}}
- {name: Build, hosts: build, spec: {images: {"10.0.0.1:5000/app:1": {build: {folder: app}, push: true}}}}
- {name: Alone, hosts: alone, spec: {hostname: alone}}
- {name: Registry, hosts: reg, spec: {registry: {name: 10.0.0.1}}}
"""


def test_hosts_are_ordered_by_the_images_and_registries_that_they_use(project: Project) -> None:
    known = found(project, PLAYS)
    assert known.level == {"reg": 0, "build": 1, "run1": 2, "run2": 2}
    assert known.pushed_by == {"10.0.0.1:5000/app:1": "build"}
    assert known.clients == {"reg": ("run1", "run2")}
    cut = stages(project.load().configs, known)
    assert [stage.schedule.left for stage in cut] == [("reg", "alone"), ("build",), ("run1", "run2")]


def test_a_host_without_dependencies_starts_at_once(project: Project) -> None:
    known = found(project, '- {name: All, hosts: all, spec: {containers: {app: {image: "docker.io/app:1"}}}}\n')
    assert (known.level, known.after) == ({}, {})


@pytest.mark.parametrize(
    ("plays", "words"),
    [
        (
            """\
- {name: A, hosts: run1, spec: {images: {"a:1": {build: {folder: app}, push: true}, "b:1": {}}}}
- {name: B, hosts: run2, spec: {images: {"b:1": {build: {folder: app}, push: true}, "a:1": {}}}}
""",
            "need each other's images or registries: run1 -> run2 -> run1",
        ),
        (
            '- {name: A, hosts: "run*", spec: {images: {"a:1": {build: {folder: app}, push: true}}}}\n',
            "a:1 is pushed by run1 and by run2",
        ),
    ],
)
def test_dependencies_without_an_order_are_refused(project: Project, plays: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        found(project, plays)


def test_a_rollout_that_contradicts_the_dependencies_is_refused(project: Project) -> None:
    known = found(
        project,
        """\
- {name: Build, hosts: build, spec: {images: {"a:1": {build: {folder: app}, push: true}}}}
- {name: Run, hosts: run1, spec: {images: {"a:1": {}}}}
- {name: Both, hosts: "build:run1", spec: {hostname: x}, rollout: {serial: 1}}
""",
    )
    with pytest.raises(SpecError, match="run1 comes after build"):
        stages(project.load().configs, known)
