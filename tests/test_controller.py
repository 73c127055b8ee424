"""``provision doctor --controller``: each check on a machine without faults, and with one fault."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from provision import cli
from provision.commands import controller
from tests.conftest import Project


def level(check: controller.Check) -> str:
    assert bool(check.advice) == (check.level != "ok"), check
    return check.level


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    found = controller.packages()
    assert level(found) == "ok"
    assert "fabric " in found.text
    assert "distributed " not in found.text  # an extra
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["msgspec>=99", "no-such-package", "pyyaml"])
    found = controller.packages()
    assert level(found) == "problem"
    assert "is not >=99; no-such-package is missing" in found.text


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_ssh(tmp_path: Path) -> None:
    good = program(tmp_path / "good", "[ $1 = -G ] || echo OpenSSH_9.9 >&2")
    assert [level(one) for one in controller.ssh(good)] == ["ok", "ok"]
    bad = program(tmp_path / "bad", "[ $1 = -V ] && exit 0; echo 'config: line 3: Bad option' >&2; exit 255")
    _, config = controller.ssh(bad)
    assert level(config) == "problem"
    assert "config: line 3: Bad option" in config.text
    assert [level(one) for one in controller.ssh(program(tmp_path / "broken", "exit 1"))] == ["problem"]
    assert [level(one) for one in controller.ssh(None)] == ["warning"]


def test_keys(tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    assert level(controller.keys([key])) == "warning"
    key.touch(0o600)
    assert level(controller.keys([tmp_path / "none", key])) == "ok"
    key.chmod(0o640)
    found = controller.keys([key])
    assert level(found) == "warning"
    assert "mode 0640" in found.text


def test_agent(tmp_path: Path) -> None:
    assert level(controller.agent("")) == "ok"
    assert level(controller.agent(str(tmp_path / "none"))) == "warning"
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "closed"))
    assert level(controller.agent(str(tmp_path / "closed"))) == "warning"
    silent.close()


def test_known_hosts(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    assert level(controller.known_hosts([file])) == "warning"
    file.write_text("# hosts\n\nweb1 ssh-ed25519 AAAA\n")
    found = controller.known_hosts([tmp_path / "none", file])
    assert level(found) == "ok"
    assert found.text.endswith("known_hosts has 1 line")
    assert level(controller.known_hosts([tmp_path])) == "problem"


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    for free, wanted in ((10 * 2**20, "problem"), (100 * 2**20, "warning"), (2**30, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda place, free=free: usage._replace(free=free))
        assert level(controller.disk(tmp_path / "new")) == wanted
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    assert level(controller.disk(tmp_path)) == "problem"


def test_output() -> None:
    assert level(controller.output("UTF-8", True, "xterm")) == "ok"
    assert level(controller.output("latin-1", False, "")) == "warning"


def verdicts(capsys: pytest.CaptureFixture[str], wanted: int) -> dict[str, dict[str, str]]:
    assert cli.main(["doctor", "--controller", "--json"]) == wanted
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["event"] for one in events} == {"controller.check"}
    return {one["subject"]: one for one in events}


def test_a_project_is_read_and_linted(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.spec("packages: [curl]")
    found = verdicts(capsys, 0)
    assert {"python", "packages", "ssh", "keys", "agent", "known_hosts", "journal", "output"} <= set(found)
    assert found["project"]["text"].startswith("playbooks/site.yml: ")
    assert found["lint"]["level"] == "ok"
    project.spec("engine: {daemon: {bip: 10.200.0.1}}")
    assert verdicts(capsys, 1)["lint"]["level"] == "problem"
    project.spec("egnine: {}")
    found = verdicts(capsys, 1)
    assert found["project"]["level"] == "problem"
    assert 'did you mean "engine"?' in found["project"]["text"]
    assert "lint" not in found
