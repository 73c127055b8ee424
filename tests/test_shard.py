"""Work that is sent to another machine: the same files must be on that machine, or nothing is sent. And no address is
used at which another user could listen."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from provision import __version__
from provision.catalog import Options
from provision.catalog.files import missing
from provision.cli import main
from provision.errors import SpecError, UsageError
from provision.model import Event
from provision.rollout import cluster
from provision.rollout.cluster import Address, Cluster
from provision.rollout.run_request import Goal, RunRequest
from provision.rollout.shard import Project, Shard, digest, go, plain, release
from provision.transport.ssh import Connecting
from tests.conftest import Project as Folder


@pytest.fixture
def shard(project: Folder) -> Shard:
    project.spec("files: {/etc/x: {content: x}}")
    inventory, playbook = project.folder / "inventory", project.folder / "playbooks/site.yml"
    made = Project(inventory, playbook, None, None, Options(), Connecting(), digest(inventory, playbook))
    return Shard(made, plain(RunRequest(Goal.PLAN, confirm=lambda plans: True, ask=lambda text: True)), ("web1",))


def test_a_shard_can_be_pickled(shard: Shard) -> None:
    there = pickle.loads(pickle.dumps(shard))  # noqa: S301 - the test's own
    assert there == shard
    assert [config.host.name for config in there.project.load(("web1",)).configs] == ["web1"]


def test_a_worker_can_plan_before_an_authority_is_made(shard: Shard, project: Folder) -> None:
    project.spec("engine: {registries: {'registry.example:5000': {authority: lab}}}")
    made = replace(shard.project, digest=digest(shard.project.inventory, shard.project.playbook))
    with pytest.raises(SpecError, match="there is no authority lab"):
        made.load(("web1",))
    found = replace(made, foresees=True).load(("web1",))
    assert missing(found.configs, found.context) == ["lab"]


@pytest.mark.parametrize(
    ("rollout", "words", "message"),
    [
        ("{}", ["--ask-pass"], "--cluster sends no password to workers"),
        ("{}", ["--ask-vault-pass"], "--cluster sends no vault password to workers"),
        ("{}", ["--vault-id", "dev@prompt"], "--cluster sends no vault password to workers"),
        ("{before: {host: [touch, x]}}", [], "--cluster does not support commands for each host"),
        ("{reboot: if-needed}", [], "supports restarts only with a domain"),
    ],
)
def test_options_that_a_cluster_cannot_have_are_refused(
    project: Folder, capsys: pytest.CaptureFixture[str], rollout: str, words: list[str], message: str
) -> None:
    project.spec("files: {/etc/x: {content: x}}")
    playbook = project.folder / "playbooks/site.yml"
    playbook.write_text(playbook.read_text() + f"  rollout: {rollout}\n")
    cluster = ["--cluster", "tls://192.0.2.1:8786", "--plain", *words]
    assert main(["plan", "-i", str(project.folder / "inventory"), str(playbook), *cluster]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("extra", ["{a: {b: [!secret {env: HUSH}]}}", "@more.yml"])
def test_no_secret_of_the_command_line_is_sent_to_a_worker(
    project: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    """A worker does not have the secret of this token, and would deploy the token itself."""
    monkeypatch.setenv("HUSH", "hush-hush")
    monkeypatch.chdir(project.folder)
    project.write("more.yml", "a: !secret {env: HUSH}\n")
    project.spec("files: {/etc/x: {content: x}}")
    words = ["-e", extra, "--cluster", "tcp://127.0.0.1:1", "--plain"]
    assert main(["plan", "-i", "inventory", "playbooks/site.yml", *words]) == 1
    said = capsys.readouterr().err
    assert "with --cluster --extra-vars takes no secret (a): provision sends no secret to workers" in said


@pytest.mark.parametrize(
    "name", ["playbooks/site.yml", "playbooks/templates/x.j2", "playbooks/group_vars/all.yml", "inventory/hosts.yml"]
)
def test_a_worker_with_other_project_files_is_refused(project: Folder, shard: Shard, name: str) -> None:
    project.write("playbooks/.provision/runs/x", "what a run leaves is no part of it")
    assert shard.project.load(("web1",)).configs
    path = project.folder / name
    project.write(name, (path.read_text() if path.exists() else "") + "# more\n")
    received: list[Event] = []
    go(shard, received.append, lambda: "")
    (event,) = received
    assert (event.host, event.data["status"]) == ("web1", "failed")
    assert "is not the same on this machine" in str(event.data["failure"])


@pytest.mark.parametrize("preview", [False, True])
def test_hosts_that_were_not_started_are_reported_as_skipped(shard: Shard, preview: bool) -> None:
    received: list[Event] = []
    go(replace(shard, preview=preview), received.append, lambda: "stop")
    assert [(event.host, event.data["status"]) for event in received] == [("web1", "skipped")]


def test_the_addresses_of_a_cluster_need_tls(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "cert", "key")}
    for path in files.values():
        path.touch()
    security = Address("tls://10.0.0.1:8786", **files).security()
    assert security.require_encryption
    for address, said in (
        (Address("tcp://10.0.0.1:8786"), "accepts commands from every user who can reach it"),
        # Every user of the machine can open a port of the loopback.
        (Address("tcp://127.0.0.1:8786", **files), "accepts commands from every user who can reach it"),
        (Address("tcp://localhost:8786"), "accepts commands from every user"),
        (Address("tcp://[::1]:8786"), "accepts commands from every user"),
        (Address("tls://10.0.0.1:8786"), "needs --cluster-ca, --cluster-cert, --cluster-key"),
        (replace(Address("tls://10.0.0.1:8786", **files), key=tmp_path / "none"), "there is no file"),
        (Address("10.0.0.1:8786"), "is not the address"),
        (Address("http://10.0.0.1:8786"), "is not the address"),
    ):
        with pytest.raises(UsageError, match=said):
            address.security()


class _Client:
    """A client of a cluster, with the answers of its workers."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers, self.closed = answers, False

    def run(self, question: Callable[[], str], on_error: str) -> dict[str, object]:
        assert (question, on_error) == (release, "return")
        return self.answers

    def close(self) -> None:
        self.closed = True


def test_workers_with_another_provision_are_refused() -> None:
    made: Any = object.__new__(Cluster)
    made._client = _Client({"tls://a:1": release(), "tls://b:1": OSError("gone")})
    made._alike("tls://s:1")
    assert not made._client.closed
    made._client = _Client({"tls://a:1": release(), "tls://b:1": "0.0.1 (abc)", "tls://c:1": AttributeError("release")})
    with pytest.raises(UsageError, match=r"tls://b:1 has 0\.0\.1 \(abc\), tls://c:1 has an older one") as caught:
        made._alike("tls://s:1")
    assert release() in str(caught.value)
    assert made._client.closed


def test_a_late_worker_with_another_provision_unpickles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "get_client", lambda: None)
    monkeypatch.setattr(cluster, "get_worker", lambda: argparse.Namespace(address="tls://b:1"))
    with pytest.raises(UsageError, match=r"the worker tls://b:1 has provision .*, the controller 0\.0\.1"):
        cluster.work(b"no pickle", "topic", 1, "0.0.1 (abc)")


def test_the_release_of_a_worker_covers_its_code() -> None:
    assert re.fullmatch(rf"{re.escape(__version__)} \([0-9a-f]{{12}}\)", release())
