"""``lint`` of a third-party project opens no file outside of it, and shows nothing of the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.thorough

HUSH = "hush-4e81-hush"
#: Runs provision, and exits with 99 where a file of a directory is opened, whatever the name by which it is reached.
_WATCHED = """
import os, sys
outside = os.environ.pop("OUTSIDE")
def watch(event, found):
    if event in ("open", "os.listdir", "os.scandir") and found and isinstance(found[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(found[0]))
        if path.startswith(outside) or path.endswith("/environ"):
            os.write(2, f"OPENED {path}".encode())
            os._exit(99)
sys.addaudithook(watch)
from provision.cli import main
sys.exit(main(sys.argv[1:]))
"""


def linted(folder: Path, outside: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OUTSIDE": str(outside), "TOKEN": HUSH, "HOME": f"/home/{HUSH}"}
    argv = [sys.executable, "-c", _WATCHED, "lint", *words]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _link(name: str, target: str, spec: str = "packages: []") -> Callable[[Project, Path], None]:
    def make(project: Project, outside: Path) -> None:
        project.spec(spec)
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(outside=outside))

    return make


def _text(name: str, text: str, spec: str = "packages: []") -> Callable[[Project, Path], None]:
    def make(project: Project, outside: Path) -> None:
        project.spec(spec)
        project.write(name, text.format(outside=outside))

    return make


ATTACKS: dict[str, Callable[[Project, Path], None]] = {
    "the inventory is a link to the environment": _link("inventory/hosts.ini", "/proc/self/environ"),
    "the inventory is a link to a text": _link("inventory/hosts.ini", "{outside}/plain"),
    "the inventory is a link to YAML": _link("inventory/more.yml", "{outside}/map.yml"),
    "the inventory is a link to TOML": _link("inventory/more.toml", "{outside}/plain"),
    "the inventory without an ending is a link": _link("inventory/more", "{outside}/plain"),
    "the inventory is a link to an executable file": _link("inventory/more", "{outside}/script"),
    "a directory of the inventory is a link": _link("inventory/more", "{outside}"),
    "variables of a group are a link": _link("inventory/group_vars/all.yml", "{outside}/map.yml"),
    "variables of a group are a link to a text": _link("inventory/group_vars/all.yml", "{outside}/plain"),
    "variables of a host are a link": _link("inventory/host_vars/web1.yml", "{outside}/map.yml"),
    "variables next to the playbook are a link": _link("playbooks/group_vars/all.yml", "{outside}/map.yml"),
    "the directory of variables is a link": _link("inventory/group_vars", "{outside}"),
    "the directory of a group is a link": _link("inventory/group_vars/all", "{outside}"),
    "the playbook is a link": _link("playbooks/site.yml", "{outside}/plain"),
    "the lock file is a link": _link("playbooks/site.lock.yml", "{outside}/map.yml"),
    "the table of distributions is a link": _link("playbooks/distributions.yml", "{outside}/map.yml"),
    "a source of a file is a link": _link("playbooks/files/x", "{outside}/plain", "files: {/etc/x: {src: x}}"),
    "a source of a file leads out": _text("x", "", "files: {/etc/x: {src: ../../outside/plain}}"),
    "a template is a link": _link("playbooks/templates/x.j2", "{outside}/plain", "files: {/etc/x: {template: x.j2}}"),
    "the directory of templates is a link": _link(
        "playbooks/templates", "{outside}", "files: {/etc/x: {template: plain}}"
    ),
    "the directory of files is a link": _link("playbooks/files", "{outside}", "files: {/etc/x: {src: plain}}"),
    "the daemon.json is a link": _link("daemon.json", "{outside}/plain"),
    "the directory of authorities is a link": _link(
        "playbooks/ca", "{outside}", "registry: {name: r.example, tls: {ca: plain}}"
    ),
    "ansible.cfg is a link": _link("ansible.cfg", "{outside}/plain"),
    "ansible.cfg names an inventory": _text("ansible.cfg", "[defaults]\ninventory = {outside}/plain\n"),
    "ansible.cfg names a variable": _text("ansible.cfg", "[defaults]\ninventory = /x/${{TOKEN}}\n"),
    "ansible.cfg names a home": _text("ansible.cfg", "[defaults]\ninventory = ~/x\n"),
    "ansible.cfg names a key in a variable": _text("ansible.cfg", "[defaults]\nprivate_key_file = /x/${{TOKEN}}\n"),
    "a login names a key": _text(
        "inventory/hosts.yml", "docker: {{hosts: {{web1: {{ansible_ssh_private_key_file: '{outside}/plain'}}}}}}"
    ),
    "a login names a key in a home": _text(
        "inventory/hosts.yml", "docker: {{hosts: {{web1: {{ansible_ssh_private_key_file: '~/key'}}}}}}"
    ),
    "hosts names a file": _text("playbooks/site.yml", "- {{name: a, hosts: '@{outside}/plain', spec: {{}}}}\n"),
    "a compose file is a link": _link("playbooks/files/c.yml", "{outside}/plain", "compose: {app: {src: c.yml}}"),
    "a build context is a link": _link("playbooks/files/b", "{outside}", "images: {'app:1': {build: b}}"),
    "an archive is a link": _link("playbooks/files/a.tar", "{outside}/plain", "images: {'app:1': {archive: a.tar}}"),
    "tests are a link": _text(
        "playbooks/site.yml", "- {{name: a, hosts: docker, verify: {outside}/plain, spec: {{packages: []}}}}\n"
    ),
    "a source of a file goes through a directory outside": _text(
        "playbooks/files/x", "a", "files: {/etc/x: {src: ../../../outside/../project/playbooks/files/x}}"
    ),
    "an archive goes through a directory outside": _text(
        "playbooks/files/x", "a", "images: {'app:1': {archive: ../../../outside/../project/playbooks/files/x}}"
    ),
    "a source of a file leads to a directory": _text("x", "", "files: {/etc/x: {src: ../../outside}}"),
    "an archive leads out": _text("x", "", "images: {'app:1': {archive: ../../outside/plain}}"),
    "a secret of a file leads out": _text(
        "playbooks/site.yml",
        "- {{name: a, hosts: docker, spec: {{files: {{/etc/x: {{content: !secret {{file: {outside}/plan}}}}}}}}}}\n",
    ),
    "a template reads a file": _text(
        "playbooks/templates/x.j2",
        "{{{{ lookup('file', '{outside}/plain') }}}}",
        "files: {{/etc/x: {{template: x.j2}}}}",
    ),
    "a link to git's own directory": _link("inventory/group_vars/all.yml", "../../.git/config"),
}


_ELSEWHERE = ("the inventory is a link to a text", "the playbook is a link", "the daemon.json is a link")


@pytest.mark.parametrize(
    ("what", "absolute"), [*((what, False) for what in ATTACKS), *((what, True) for what in _ELSEWHERE)]
)
def test_lint_of_an_untrusted_project_stays_inside(tmp_path: Path, what: str, absolute: bool) -> None:
    project, outside = Project(tmp_path / "project"), tmp_path / "outside"
    outside.mkdir()
    (outside / "plain").write_text(f"{HUSH}\nPASSWORD: [{HUSH}\n")
    (outside / "map.yml").write_text(f"ansible_port: {HUSH}\nunknown: {HUSH}\n{HUSH}: 1\n")
    (outside / "script").write_text(f"#!/bin/sh\n# {HUSH}\n")
    (outside / "script").chmod(0o755)
    (outside / HUSH).write_text("")
    project.write(".git/config", f"[http]\nextraheader = {HUSH}\n")
    ATTACKS[what](project, outside)
    if ("ansible.cfg" in what and "inventory" in what) or "a variable" in what or "names a home" in what:
        (project.folder / "inventory/hosts.yml").unlink()
        (project.folder / "inventory").rmdir()
    files = ["daemon.json"] if "daemon.json" in what else ["playbooks/site.yml"]
    words = [str(project.folder / name) for name in files] if absolute else files
    inventory = (
        ["-i", str(project.folder / "inventory")] if absolute and (project.folder / "inventory").exists() else []
    )
    folder = Path("/") if absolute and "ansible.cfg" not in what else project.folder
    done = linted(folder, outside, *words, *inventory)
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), said
    assert HUSH not in said
    assert "Traceback" not in said
    # Nor does it show whether a file outside exists.
    shutil.rmtree(outside)
    done = linted(folder, outside, *words, *inventory)
    assert done.stdout + done.stderr == said


def test_the_check_notices_a_file_that_is_opened(tmp_path: Path) -> None:
    """Of the test above: a trusted project may open them."""
    project, outside = Project(tmp_path / "project"), tmp_path / "outside"
    outside.mkdir()
    (outside / "map.yml").write_text("x: 1\n")
    _link("inventory/group_vars/all.yml", "{outside}/map.yml")(project, outside)
    assert linted(project.folder, outside, "playbooks/site.yml").returncode == 1
    assert linted(project.folder, outside, "playbooks/site.yml", "--trusted").returncode == 99


def test_what_the_command_line_names_may_be_anywhere(tmp_path: Path) -> None:
    project, outside = Project(tmp_path / "project"), tmp_path / "outside"
    outside.mkdir()
    (outside / "limit").write_text("web1\n")
    (outside / "extra.yml").write_text("x: 1\n")
    project.spec("packages: ['{{ x }}']")
    argv = [sys.executable, "-m", "provision", "lint", "playbooks/site.yml"]
    argv += ["-e", f"@{outside}/extra.yml", "--limit", f"@{outside}/limit"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert "x: 1" not in done.stderr
    assert "leads out" not in done.stdout + done.stderr


def test_a_link_within_the_project_is_followed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("shared/all.yml", "x: 1\n")
    _link("inventory/group_vars/all.yml", "../../shared/all.yml")(project, tmp_path)
    argv = [sys.executable, "-m", "provision", "lint", "playbooks/site.yml"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, "leads out" in done.stdout) == (0, False), done.stdout + done.stderr
