"""The settings of a login that the inventory does not have: from the command line, then ansible.cfg and the
environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provision.errors import SpecError
from provision.inventory import Inventory
from provision.inventory.login import Logins
from provision.inventory.sources import Reading
from provision.model import Login
from provision.transport import ssh_config
from provision.transport.target import question
from tests.conftest import Project

ANSIBLE = Path(sys.executable).parent / "ansible"


@pytest.fixture(autouse=True)
def _here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)


def login(project: Project, variables: str = "", logins: Logins | None = None) -> Login:
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {{{variables}}}}}}}\n")
    return Inventory("inventory", logins=logins).host("web1").login


CONFIG = """[defaults]
remote_user = ops
remote_port = 2222
private_key_file = keys/id
[ssh_connection]
ssh_args = -o ControlMaster=auto -o StrictHostKeyChecking=no
ssh_common_args = -J jump
ssh_extra_args = -4
[privilege_escalation]
become = True
become_method = su
"""


def test_settings_of_ansible_cfg_are_used(project: Project) -> None:
    project.write("etc/ansible.cfg", CONFIG)
    key = project.write("etc/keys/id", "key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_CONFIG", "etc/ansible.cfg")
        found = login(project)
    assert (found.user, found.port, found.become, found.become_method) == ("ops", 2222, True, "su")
    assert found.key_file is not None
    assert found.key_file.resolve() == key, "relative to ansible.cfg, not to the working directory"
    assert found.ssh_before == ("-o", "ControlMaster=auto")
    assert found.ssh_behind == ("-J", "jump", "-4")


@pytest.mark.parametrize(
    "text", ["$KEYS/id", "${KEYS}/id", "{{CWD}}/keys/id", "~/keys/id", '"keys/id"', "'{{CWD}}/keys/id'"]
)
@pytest.mark.parametrize("place", ["file", "environment"])
def test_the_path_of_a_key_is_expanded_as_ansible_does(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(project.folder))
    monkeypatch.setenv("KEYS", str(project.folder / "keys"))
    key = project.write("keys/id", "key")
    if place == "file":
        project.write("ansible.cfg", f"[defaults]\nprivate_key_file = {text}\n")
    else:
        monkeypatch.setenv("ANSIBLE_PRIVATE_KEY_FILE", text)
    found = login(project).key_file
    assert found is not None
    assert found.resolve() == key


@pytest.mark.parametrize("name", ["ansible_user", "ansible_ssh_user"])
def test_a_setting_has_the_precedence_of_ansible(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project.write("ansible.cfg", "[defaults]\nremote_user = file\n")
    assert login(project).user == "file"
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "environment")
    assert login(project).user == "environment"
    assert login(project, logins=Logins(user="word")).user == "word"
    assert login(project, f"{name}: variable", Logins(user="word")).user == "variable"


def test_become_of_the_inventory_overrides_the_command_line(project: Project) -> None:
    assert login(project, logins=Logins(become=True)).become
    assert not login(project, "ansible_become: false", Logins(become=True)).become


def test_a_setting_is_not_a_variable_of_templates(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\nremote_user = ops\n")
    known = Inventory("inventory")
    assert "ansible_user" not in known.scope("web1")[0]
    assert "ansible_user" not in known.visible("web1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[defaults]\n\ntransport = local",
            "ansible.cfg:3: ansible_connection: provision connects by ssh, not by local",
        ),
        ("[defaults]\nremote_port = ssh", "ansible.cfg:2: ansible_port: must be a port"),
        ("[defaults]\nprivate_key_file = none", "ansible.cfg:2: ansible_private_key_file: key file .* can't be read"),
        ("[ssh_connection]\nssh_args = -N", "ansible.cfg:2: ansible_ssh_args: -N is not an option of ssh's login"),
        ("[ssh_connection]\nssh_executable = /opt/ssh", "ansible.cfg:2: ansible_ssh_executable: is not supported"),
        *(
            (
                f"[defaults]\ntransport = paramiko\n[paramiko_connection]\n{key} = x",
                f"ansible.cfg:4: {variable}: is not supported",
            )
            for key, variable in {
                "proxy_command": "ansible_paramiko_proxy_command",
                "remote_user": "ansible_paramiko_user",
                "remote_port": "ansible_paramiko_port",
                "private_key_file": "ansible_paramiko_private_key_file",
            }.items()
        ),
        ("[privilege_escalation]\nbecome_user = bob", "ansible.cfg:2: ansible_become_user: only root can provision"),
        ("[privilege_escalation]\nbecome_exe = sudo su -", "ansible.cfg:2: ansible_become_exe: provision runs sudo"),
        ("[privilege_escalation]\nbecome_flags = -i", "ansible.cfg:2: ansible_become_flags: sudo is run with"),
    ],
)
def test_an_unsupported_setting_is_refused_with_its_line(project: Project, text: str, message: str) -> None:
    project.write("ansible.cfg", text + "\n")
    with pytest.raises(SpecError) as caught:
        login(project)
    assert re.search(message, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("name", ["ANSIBLE_PRIVATE_KEY", "ANSIBLE_PRIVATE_KEY_PASSPHRASE"])
def test_a_key_in_the_environment_is_refused_and_not_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "hush-91")
    with pytest.raises(SpecError) as caught:
        login(project)
    assert re.search(rf"\${name}\S*: {name.lower()}: is not supported", str(caught.value)), str(caught.value)
    assert "hush-91" not in str(caught.value)


def test_paramikos_settings_do_not_count_for_ssh(project: Project) -> None:
    project.write("ansible.cfg", "[paramiko_connection]\nproxy_command = x\n")
    login(project)


def test_a_project_is_linted_without_the_key_of_ansible_cfg(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\nprivate_key_file = none\n")
    known = Inventory("inventory", reading=Reading(programs=False))
    assert known.host("web1").login.key_file == project.folder / "none"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("[defaults]\nhost_key_checking = False", "ansible_host_key_checking: false is not followed: host keys"),
        (
            "[ssh_connection]\nssh_args = -o StrictHostKeyChecking=no",
            "ansible_ssh_args: -o StrictHostKeyChecking=no is",
        ),
        ("[privilege_escalation]\nbecome_ask_pass = True", "become_ask_pass = True is not read: give -K"),
        ("[sudo_become_plugin]\npassword = s3", r"\[sudo_become_plugin\] password = \.\.\. is not read"),
    ],
)
def test_a_setting_without_effect_on_the_destination_is_a_warning(project: Project, text: str, note: str) -> None:
    project.write("ansible.cfg", text + "\n")
    known = Inventory("inventory")
    known.host("web1")
    known.host("web1")
    (found,) = known.notes
    assert re.search(f"ansible.cfg:2: .*{note}", str(found)), str(found)
    assert found.loud


@pytest.mark.parametrize("text", [None, "[defaults]\nforks = 9\n", "[defaults]\nask_pass = True\n"])
@pytest.mark.parametrize(
    ("variable", "value", "note"),
    [
        ("ANSIBLE_ASK_PASS", "1", "$ANSIBLE_ASK_PASS = 1 is not read: give -k to be asked"),
        ("ANSIBLE_BECOME_ASK_PASS", "True", "$ANSIBLE_BECOME_ASK_PASS = True is not read: give -K to be asked"),
        ("ANSIBLE_CONNECTION_PASSWORD_FILE", "pw", "$ANSIBLE_CONNECTION_PASSWORD_FILE = pw is not read: set ansible_p"),
        ("ANSIBLE_BECOME_PASSWORD_FILE", "pw", "$ANSIBLE_BECOME_PASSWORD_FILE = pw is not read: set ansible_become_p"),
        ("ANSIBLE_SU_USER", "bob", "$ANSIBLE_SU_USER = bob is not read: Ansible follows it"),
        ("ANSIBLE_SUDO_PASS", "s3", "$ANSIBLE_SUDO_PASS = ... is not read: Ansible follows it"),
        ("ANSIBLE_BECOME_PASS", "s3", "$ANSIBLE_BECOME_PASS = ... is not read: Ansible follows it"),
    ],
)
def test_a_variable_without_effect_on_the_destination_is_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str | None, variable: str, value: str, note: str
) -> None:
    if text is not None:
        project.write("ansible.cfg", text)
    monkeypatch.setenv(variable, value)
    known = Inventory("inventory")
    (found,) = [one for one in known.notes if variable in str(one)]
    assert str(found).startswith(note)
    assert found.loud
    of_file = [one for one in known.notes if "[defaults] ask_pass" in str(one)]
    assert bool(of_file) == ("ask_pass" in (text or "") and variable != "ANSIBLE_ASK_PASS")


def test_a_neutral_variable_replaces_the_setting_of_the_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("ansible.cfg", "[defaults]\nask_pass = True\nhash_behaviour = merge\n")
    monkeypatch.setenv("ANSIBLE_ASK_PASS", "no")
    monkeypatch.setenv("ANSIBLE_HASH_BEHAVIOUR", "replace")
    assert Inventory("inventory").notes == []


def test_a_neutral_setting_has_no_note(project: Project) -> None:
    text = "[defaults]\nhost_key_checking = True\ntransport = smart\nask_pass = false\nforks = 9\n"
    project.write("ansible.cfg", text + "[ssh_connection]\nssh_executable = ssh\npipelining = True\n")
    known = Inventory("inventory")
    assert known.host("web1").login.user is None
    assert known.notes == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("ansible_ssh_executable: /opt/ssh", "ansible_ssh_executable: is not supported"),
        ("ansible_private_key: text", "write the key to a file"),
        ("ansible_ssh_private_key_passphrase: x", "add the key to an agent"),
        ("ansible_connection: paramiko, ansible_paramiko_proxy_command: nc x 22", "ansible_paramiko_proxy_command"),
        ("ansible_become_method: su, ansible_su_user: bob", "ansible_su_user: only root can provision a host, not bob"),
        ("ansible_sudo_flags: -i", "ansible_sudo_flags: sudo is run with provision's own flags"),
        ("ansible_sudo_exe: 'sudo su -'", "ansible_sudo_exe: provision runs sudo of the login's PATH"),
    ],
)
def test_unsupported_variables_are_refused(project: Project, variables: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        login(project, variables)
    assert message in f"{caught.value} {caught.value.hint}"


def test_a_password_of_another_become_method_is_not_used(project: Project) -> None:
    both = "ansible_su_pass: one, ansible_sudo_pass: two"
    assert login(project, both).become_password == "two"
    assert login(project, f"ansible_become_method: su, {both}").become_password == "one"


def test_paramiko_variables_have_no_effect_on_ssh(project: Project) -> None:
    assert login(project, "ansible_paramiko_host: 192.0.2.9").address == "web1"


def test_a_host_that_turns_key_checking_off_causes_a_note(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: {ansible_host_key_checking: false}}}\n")
    known = Inventory("inventory", reading=Reading())
    known.host("web1")
    assert "hosts.yml:1: ansible_host_key_checking: false is not followed" in str(known.notes[0])


def test_a_key_of_the_command_line_is_relative_to_the_working_directory(project: Project) -> None:
    project.write("id", "key")
    found = login(project, logins=Logins(key_file=Path("id")))
    assert found.key_file == Path("id")
    with pytest.raises(SpecError, match="--private-key"):
        login(project, logins=Logins(key_file=Path("none")))


#: The input of both programs: variables of the host, words of the command line, the environment.
SAME = {
    "settings alone": ("", [], {}),
    "environment": ("", [], {"ANSIBLE_REMOTE_USER": "environment", "ANSIBLE_SSH_ARGS": "-o Port=2203"}),
    "path of the key": ("", [], {"ANSIBLE_PRIVATE_KEY_FILE": "{{CWD}}/keys/id"}),
    "command line": ("", ["-u", "word"], {"ANSIBLE_REMOTE_USER": "environment"}),
    "variables": (
        "ansible_ssh_user: variable, ansible_port: 2201, ansible_ssh_common_args: '-J other'",
        ["-u", "word"],
        {},
    ),
    "arguments": ("ansible_ssh_args: '-o User=early', ansible_ssh_extra_args: '-o ProxyJump=late'", [], {}),
}


@pytest.mark.skipif(not ANSIBLE.exists() or shutil.which("ssh") is None, reason="there is no Ansible or no ssh here")
@pytest.mark.parametrize("name", SAME)
def test_the_login_is_the_one_of_ansible(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The command line of Ansible's ssh, resolved by ssh, and provision's question to ssh."""
    variables, words, environment = SAME[name]
    project.write("ansible.cfg", CONFIG.replace(" -o StrictHostKeyChecking=no", ""))
    project.write("keys/id", "key")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    found = login(project, variables, Logins(user="word" if words else None))
    project.write("ssh", f'#!/bin/sh\nprintf "%s\\n" "$@" >{project.folder}/said\nexit 255\n').chmod(0o755)
    argv = [str(ANSIBLE), "-i", "inventory/hosts.yml", "all", "-m", "raw", "-a", "true", *words]
    more = {"ANSIBLE_SSH_EXECUTABLE": str(project.folder / "ssh"), "ANSIBLE_BECOME": "False"}
    subprocess.run(argv, env={**os.environ, **more}, capture_output=True, check=False)
    said = (project.folder / "said").read_text().split("web1\n")[0].splitlines()
    ssh_says, provision_says = (resolved([*one, "web1"]) for one in (said, question(found).words))
    for option in ("user", "port", "proxyjump", "addressfamily", "controlmaster"):
        assert provision_says.get(option) == ssh_says.get(option), option
    assert ssh_says["identityfile"] == (str(found.key_file and found.key_file.absolute()),)


def resolved(words: list[str]) -> dict[str, tuple[str, ...]]:
    done = subprocess.run(["ssh", "-G", "-F", "none", *words], capture_output=True, text=True, check=True)
    return ssh_config.parsed(done.stdout)
