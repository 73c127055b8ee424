"""Evidence: every file of the repository is decoded strictly, and its steps and its host decide what the file proves.
And certify touches no host that the operator has not confirmed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docsite import distributions as pages
from provision.engine.keys import NEWEST, keys
from provision.errors import SpecError
from provision.lab import images
from tests.conftest import Project
from tools.certify import facts, offers, samples
from tools.certify.__main__ import main
from tools.certify.evidence import NEEDED, Evidence, encoded, line, read, read_all, word
from tools.certify.overlay import daemon, overlaid
from tools.certify.steps import steps
from tools.certify.suite import _hidden
from tools.certify.summary import summary

FOLDER = Path(__file__).parent.parent / "evidence"
_PASSED = [{"name": name, "outcome": "passed", "seconds": 1.5, "seen": "changes: 0"} for name in NEEDED]


def given(**changes: Any) -> dict[str, Any]:
    """A whole file, with changes of its parts."""
    whole: dict[str, Any] = {
        "format": 1,
        "provision": "0.1.0",
        "date": "2026-11-26",
        "distribution": {"id": "rocky", "version": "9.4", "name": "Rocky Linux 9.4 (Blue Onyx)"},
        "system": {
            "kind": "machine",
            "kernel": "5.14.0-427.el9",
            "architecture": "x86_64",
            "virtualization": "kvm",
            "services": "systemd",
        },
        "engine": {"source": "docker", "mirror": False, "version": "28.5.2"},
        "transport": "ssh",
        "steps": _PASSED,
    }
    for name, value in changes.items():
        whole[name] = {**whole[name], **value} if isinstance(value, dict) else value
    return whole


def file(folder: Path, whole: dict[str, Any], name: str = "rocky-9.4") -> Evidence:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(whole))
    return read(path)


# -- the files of the repository --


def test_every_file_of_evidence_is_in_the_format_and_proves_something() -> None:
    found = read_all(FOLDER)
    assert found, "the table has no claim"
    assert pages.unknown(found) == []
    for one in found:
        assert one.proves, one.file
        assert (FOLDER / f"{one.file}.json").read_bytes() == encoded(one), f"{one.file}: written by hand?"


def test_the_table_claims_only_what_evidence_shows() -> None:
    found = read_all(FOLDER)
    for row in pages.table(found).splitlines()[2:]:
        cell = row.split("|")[4]
        for words, kind in (
            ("run for real", "machine"),
            ("run in a container", "container"),
            ("look-alike:", "look-alike"),
        ):
            assert (words in cell) == any(
                one.system.kind == kind and f"#{one.file.lower().replace('.', '')})" in cell for one in found
            ), row


def test_without_evidence_no_row_claims_that_it_was_run() -> None:
    cells = [row.split("|")[4].strip() for row in pages.table(()).splitlines()[2:]]
    assert {cell.partition(":")[0] for cell in cells} == {"recorded", "unproven"}


# -- what a file proves --


@pytest.mark.parametrize(
    ("kind", "words"),
    [("machine", "run for real: "), ("container", "run in a container: "), ("look-alike", "look-alike: ")],
)
def test_the_kind_of_the_host_decides_the_claim(tmp_path: Path, kind: str, words: str) -> None:
    name = "rocky-9.4" if kind == "machine" else f"rocky-9.4-{kind}"
    one = file(tmp_path, given(system={"kind": kind}), name)
    anchor = name.replace(".", "")
    assert pages.claims([one], "x.md") == f"{words}[9.4](x.md#{anchor})"
    (row,) = [row for row in pages.table([one]).splitlines() if "](" in row]
    assert row.startswith("| Rocky Linux | from 8, before 10 |")
    assert f"| {words}[9.4](certified.md#{anchor});" in row


@pytest.mark.parametrize("name", NEEDED)
def test_a_needed_step_that_was_skipped_proves_nothing(tmp_path: Path, name: str) -> None:
    some = [{**one, "outcome": "skipped", "reason": "no"} if one["name"] == name else one for one in _PASSED]
    one = file(tmp_path, given(steps=some))
    assert not one.proves
    assert pages.claims([one], "x.md") == ""


def test_a_failed_step_proves_nothing(tmp_path: Path) -> None:
    failed = {"name": "pinned up", "outcome": "failed", "seconds": 0, "reason": "engine 1 runs"}
    one = file(tmp_path, given(steps=[*_PASSED, failed]))
    assert not one.proves
    assert "| pinned up | failed | 0.0 | engine 1 runs |" in summary(one)


def test_another_engine_is_another_file(tmp_path: Path) -> None:
    one = file(tmp_path, given(engine={"source": "distribution"}), "rocky-9.4-distribution-engine")
    assert pages.claims([one], "x.md").startswith("run for real: [9.4, distribution engine](")


@pytest.mark.parametrize(("mirror", "words"), [(False, "28.5.2, source: docker |"), (True, "docker, from a mirror |")])
def test_a_mirror_is_not_called_docker(tmp_path: Path, mirror: bool, words: str) -> None:
    assert words in summary(file(tmp_path, given(engine={"mirror": mirror})))


# -- a file that is not in the format --


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "192.0.2.1"}, "unknown field `address`"),
        ({"system": {"host": "web1"}}, "unknown field `host`"),
        ({"system": {"kind": "real"}}, "Invalid enum value 'real'"),
        ({"system": {"kernel": "6.1 <script>"}}, "matching regex"),
        ({"distribution": {"name": "a|b"}}, "matching regex"),
        ({"distribution": {"id": "../x"}}, "matching regex"),
        ({"format": 2}, "Invalid enum value 2"),
        ({"date": "today"}, "matching regex"),
        ({"steps": []}, "length >= 1"),
        ({"steps": [{"name": "applied", "outcome": "passed"}]}, "missing required field `seconds`"),
        ({"steps": [{"name": "applied", "outcome": "ok", "seconds": 1}]}, "Invalid enum value 'ok'"),
        ({"steps": [{"name": "bare", "outcome": "skipped", "seconds": 1}]}, "is skipped without a reason"),
        ({"distribution": {"version": "9.5"}}, "must be named rocky-9.5.json"),
        ({"system": {"kind": "container"}}, "must be named rocky-9.4-container.json"),
    ],
    ids=str,
)
def test_a_contributed_file_is_decoded_strictly(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        file(tmp_path, given(**changes))


def test_texts_of_a_host_are_written_in_the_alphabet_of_the_format() -> None:
    assert line("a|b`\x1b[1m<x>") == "a?b???1m?x?"
    assert word("6.1 <x>") == "6.1__x_"
    assert word("") == ""


# -- what a host is --

_HOST = (
    'ID="rocky"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\nkernel=6.1\narchitecture=x86_64\nservices=systemd\n'
)


@pytest.mark.parametrize(
    ("more", "kind", "virtualization"),
    [
        ("virtualization=none\ncontainer=none\n", "machine", "none"),
        ("virtualization=kvm\ncontainer=none\n", "machine", "kvm"),
        ("virtualization=\ncontainer=\n", "machine", "unknown"),
        ("virtualization=lxc\ncontainer=lxc\n", "container", "lxc"),
        ("virtualization=\ncontainer=docker\n", "container", "docker"),
        ("marker=look-alike\nvirtualization=kvm\ncontainer=none\n", "look-alike", "kvm"),
        ("VARIANT_ID=look-alike\nvirtualization=none\ncontainer=none\n", "look-alike", "none"),
    ],
)
def test_a_container_and_a_lookalike_are_not_the_distribution(more: str, kind: str, virtualization: str) -> None:
    found = facts.parsed(_HOST + more)
    assert (found.id, found.version, found.name) == ("rocky", "9.4", "Rocky Linux 9.4")
    assert (found.kind, found.virtualization) == (kind, virtualization)


def test_the_lab_marks_each_image_that_is_not_a_release_of_debian() -> None:
    assert f"/{images.MARKER}" == facts.MARKER
    assert [name for name in images.NAMES if not images.is_lookalike(name)] == ["trixie", "bookworm"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            " docker-ce | 5:28.5.2-1~debian.13~trixie | http://m\n docker-ce | 5:26.1.5-1~debian.13~trixie | http://m\n",
            ("28.5.2", "26.1.5"),
        ),
        ("docker.io | 26.1.5+dfsg1-9+b11 | http://mirror.example/debian trixie/main", ("26.1.5+dfsg1",)),
        (
            "Available Packages\ndocker-ce.x86_64  3:29.1.0-1.el9  docker\ndocker-ce.x86_64  3:29.0.4-1.el9  docker\n",
            ("29.1.0", "29.0.4"),
        ),
        ("3:28.5.2-1.fc43\n3:28.10.0-1.fc43\n", ("28.10.0", "28.5.2")),
        (
            "S | Name | Type | Version | Arch\n--+--\n  | docker | package | 28.5.2_ce-1 | x86_64 | main\n",
            ("28.5.2_ce",),
        ),
        ("docker-engine policy:\n  28.3.3-r5:\n    http://mirror/community\n  27.5.1-r0:\n", ("28.3.3", "27.5.1")),
        ("Name : docker\nVersion : 1:28.5.2-1\nArchitecture : x86_64\n", ("28.5.2",)),
        ("Error: No matching Packages to list\n", ()),
    ],
)
def test_the_versions_that_a_repository_offers(said: str, found: tuple[str, ...]) -> None:
    assert offers.pins(said.splitlines()) == found


#: As pacman 7 prints it: sizes look like versions.
_PACMAN = """\
Repository      : extra
Name            : docker
Version         : 1:28.5.2-1
Description     : Pack, ship and run any application as a lightweight container
Architecture    : x86_64
Download Size   : 38.44 MiB
Installed Size  : 118.70 MiB
Build Date      : Tue 11 Nov 2025 10:04:24 AM
"""


def test_a_size_that_pacman_prints_is_no_version(tmp_path: Path) -> None:
    program = tmp_path / "pacman"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '-Si docker' ] || exit 1\ncat <<'END'\n{_PACMAN}END\n")
    program.chmod(0o755)

    def ask(command: str) -> str:
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", "-c", command], env={"PATH": path}, capture_output=True, text=True, check=True
        ).stdout

    assert offers.offers(ask, "pacman", "docker") == ("28.5.2",)
    assert offers.offers(ask, "pacman", "podman") == ()


# -- the steps --


def test_each_class_of_keys_has_a_sample_of_that_class() -> None:
    assert {samples.class_of(key) for key in keys()} == set(samples.SAMPLES)
    for name, some in samples.SAMPLES.items():
        assert {samples.class_of(one.key) for one in some} == {name}
        assert samples.sample(name, {}, NEWEST) == some[0]
    declared = {one.key: one.value for one in samples.SAMPLES["reload"]}
    assert samples.sample("reload", declared, NEWEST) is None


def test_the_needed_steps_are_steps_of_the_suite() -> None:
    names = [step.name for step in steps()]
    assert len(names) == len(set(names))
    assert set(NEEDED) <= set(names)


def test_a_step_refines_the_users_spec_and_drops_the_rollout(project: Project) -> None:
    project.write(
        "playbooks/site.yml",
        "- name: a\n  hosts: docker\n  rollout: {verify: [settings]}\n  spec: {sysctl: {net.ipv4.ip_forward: 1}}\n"
        "- name: b\n  hosts: docker\n  spec: {engine: {daemon: {debug: true}}, files: {/etc/x: {content: x}}}\n",
    )
    changes = {"engine": {"daemon": {"mtu": 1400}}, "files": {"/etc/y": {"content": "y"}}}
    (made,) = overlaid(project.load(), changes).configs
    assert daemon(made) == {"debug": True, "mtu": 1400}
    assert set(made.spec.files) == {"/etc/x", "/etc/y"}
    first, second = made.plays
    assert (first.spec.engine, first.spec.files, made.rollout_options) == (None, {}, None)
    assert second.spec.engine is not None
    assert second.spec.engine.daemon == {"debug": True, "mtu": 1400}


def test_a_text_of_evidence_does_not_name_the_host() -> None:
    class Bench:
        class trial:
            class host:
                name = "web1"

                class login:
                    address = "192.0.2.1"

    bench: Any = Bench
    assert _hidden(bench, "web1 at 192.0.2.1: web10, 192.0.2.10") == "HOST at HOST: web10, 192.0.2.10"


# -- refusals: nothing is touched --

_NO_ENGINE = "sysctl: {net.ipv4.ip_forward: 1}"


@pytest.mark.parametrize(
    ("host", "words", "spec", "said"),
    [
        ("web1", [], "engine: {}", "confirm with --i-can-lose-this-host"),
        ("web9", ["--i-can-lose-this-host"], "engine: {}", "web9"),
        ("docker", ["--i-can-lose-this-host"], "engine: {}", "the name of one host of the playbook, not 'docker'"),
        ("web1", ["--i-can-lose-this-host"], _NO_ENGINE, "declares no engine for web1"),
        ("web1", ["--i-can-lose-this-host", "--out", "{tmp}/file/x"], "engine: {}", "cannot be made"),
    ],
    ids=["not confirmed", "not in the inventory", "a group", "no engine", "no folder"],
)
def test_certify_refuses_before_it_connects(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str,
    words: list[str],
    spec: str,
    said: str,
) -> None:
    project.spec(spec)
    (tmp_path / "file").write_text("")
    from tools.certify.observed import Observed

    def no_connection(*anything: object) -> None:
        raise AssertionError("it has connected")

    monkeypatch.setattr(Observed, "open", no_connection)
    monkeypatch.chdir(project.folder)
    assert main([host, *(one.format(tmp=tmp_path) for one in words)]) == 1
    assert said in capsys.readouterr().err
    assert not (project.folder / "evidence").exists() or not list((project.folder / "evidence").iterdir())


def test_a_host_that_cannot_be_reached_is_no_evidence(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(
        "inventory/hosts.yml",
        "docker: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: root}}}\n",
    )
    project.spec("engine: {}")
    monkeypatch.chdir(project.folder)
    assert main(["web1", "--i-can-lose-this-host", "--json"]) == 3
    events = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["run.begin", "host.begin", "host.done", "run.done"]
    assert events[2]["status"] == "unreachable"
    assert not list((project.folder / "evidence").iterdir())
