"""The sources that ``-i`` names. And cases that once silently gave another host, user, port or value than Ansible's,
and are errors now."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import ProvisionError, SpecError
from provision.inventory import Inventory, config, ssh_words
from provision.inventory.check import differences
from provision.inventory.sources import Reading
from provision.model import Login
from provision.transport.ssh_config import Resolver
from provision.transport.target import question, target
from tests import preloaded
from tests.conftest import Project
from tests.inventories import BIN
from tests.process_tree import alive


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def provision(project: Project, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(list(words), cwd=project.folder, env={**os.environ, **env})


def loud(inventory: Inventory) -> list[str]:
    return [note.text for note in inventory.notes if note.loud]


# -- what -i names --


def test_each_i_is_read_and_a_comma_makes_a_list(project: Project) -> None:
    project.write("more.ini", "[docker]\nweb2\n")
    words = ["inventory", "-i", "inventory", "-i", "more.ini", "-i", "192.0.2.1,192.0.2.2,", "--list-hosts"]
    assert provision(project, *words, "all").stdout.split() == ["192.0.2.1", "192.0.2.2", "web1", "web2"]
    assert provision(project, *words, "docker[1]").stdout == "web2\n"


def test_without_i_ansibles_settings_come_before_the_folder(project: Project, tmp_path: Path) -> None:
    project.write("ansible.cfg", "[defaults]\ninventory = fleet.ini\n")
    project.write("fleet.ini", "[web]\nfrom_cfg\n")
    project.write("other.ini", "[web]\nfrom_environment\n")
    words = ["inventory", "--list-hosts", "all"]
    assert provision(project, *words).stdout == "from_cfg\n", "an explicit setting is never ignored in silence"
    (project.folder / "inventory").rename(project.folder / "elsewhere")
    assert provision(project, *words).stdout == "from_cfg\n"
    assert provision(project, *words, ANSIBLE_INVENTORY="other.ini").stdout == "from_environment\n"
    assert provision(project, *words, "-i", "elsewhere").stdout == "web1\n"


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u2003"])
def test_a_setting_whose_name_is_full_of_blanks_is_refused(project: Project, blank: str) -> None:
    """configparser takes quadratic time for it: minutes for 60,000 blanks."""
    project.write("ansible.cfg", f"[defaults]\ninventory{blank * 60_000}x\n")
    done = provision(project, "lint")
    assert done.returncode == 1
    assert "ansible.cfg:2: error LT001 100 blanks in a row in the name of a setting" in done.stdout
    # Blanks of a value, before a comment and in one cost nothing.
    project.write("ansible.cfg", f"[defaults]\n #{blank * 60_000}x\ninventory = inventory{blank * 60_000}; here\n")
    assert "blanks" not in provision(project, "lint").stdout


def test_an_ansible_cfg_in_a_world_writable_directory_is_not_read(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\ninventory = fleet.ini\n")
    project.write("fleet.ini", "[web]\nfrom_cfg\n")
    (project.folder / "inventory").rename(project.folder / "elsewhere")
    project.folder.chmod(0o777)
    done = provision(project, "inventory", "--list-hosts", "all")
    assert done.returncode == 1
    assert "no such inventory: inventory" in done.stderr


def test_settings_that_provision_does_not_follow_are_reported(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\nremote_user = deploy\nhash_behaviour = merge\nforks = 5\n")
    done = provision(project, "inventory", "--list-hosts", "all")
    assert (done.returncode, done.stdout) == (0, "web1\n")
    assert "remote_user" not in done.stderr
    assert "hash_behaviour = merge is not read" in done.stderr
    assert "forks" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["h[1:3],"], "expands no range in a list of hosts"),
        (["hosts.ini,other"], "hosts.ini is a file, and a comma makes a list of hosts"),
        (["a b,"], "not a host name: 'a b'"),
        (["nowhere.yml"], "no such inventory: nowhere.yml"),
    ],
)
def test_sources_that_are_refused(
    words: list[str], message: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("hosts.ini", "h\n")
    monkeypatch.chdir(project.folder)
    with pytest.raises(ProvisionError) as caught:
        Inventory(words)
    assert message in str(caught.value)


# -- directories --


def test_each_ignored_file_of_a_folder_is_reported(project: Project) -> None:
    project.write("inventory/hosts.yml.example", "docker:\n  hosts:\n    example:\n")
    project.write("inventory/notes.sh", "echo 'not executable' | cat\n")
    project.write("inventory/eu/hosts.ini", "[docker]\nweb2\n")
    project.write("inventory/eu/group_vars/docker.yml", "x: 1\n")
    project.write("inventory/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc=\n")
    project.write("inventory/known_hosts", "# known\nweb1,192.0.2.1 ssh-ed25519 AAAAC3Nz\n")
    project.write("inventory/README.md", "# no inventory\n")
    inventory = project.inventory()
    assert inventory.select("all") == ["web2", "web1"]
    assert [text.split("/")[-1].split(" is not")[0] for text in loud(inventory)] == [
        "hosts.yml.example",
        "id_ed25519",
        "known_hosts",
        "notes.sh",
    ]
    assert any("eu/group_vars is not read" in note.text for note in inventory.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LICENSE", "Apache\nVersion 2.0, January 2004\n\n   [yyyy] [name of copyright owner]\n"),
        ("Makefile", "all:\n\t[ -f hosts ] || exit 1\n"),
        ("hosts.example", "[docker]\nweb2 x=1\n[docker:vars]\nv=2\n[other]\nweb3\nweb4 ansible_host = 192.0.2.1\n"),
    ],
)
def test_no_line_of_a_file_that_is_no_inventory_counts(project: Project, name: str, text: str) -> None:
    project.write("inventory/ab.ini", "[docker]\nweb0 a=1\n")
    project.write(f"inventory/{name}", text)
    project.write("inventory/zz.ini", "[docker]\nweb5\n")
    inventory = project.inventory()
    assert inventory.select("all") == inventory.select("docker")
    assert set(inventory.select("all")) == {"web0", "web1", "web5"}
    assert inventory.variables.of("web0")[0] == {"a": 1}
    assert set(inventory.tree.groups) == {"all", "ungrouped", "docker"}
    (note,) = loud(inventory)
    assert f"{name} is not read: it is not an inventory" in note


@pytest.mark.parametrize("name", ["Production", "NOTES"])
@pytest.mark.parametrize("text", ["[docker]\nweb2 a b\n", "docker:\n  hosts:\n    web2: {a: 1, a: 2}\n"])
def test_an_invalid_inventory_whose_name_has_a_capital_is_an_error(project: Project, name: str, text: str) -> None:
    project.write(f"inventory/{name}", text)
    with pytest.raises(SpecError, match=f"{name}:[23]: "):
        project.inventory()


@pytest.mark.parametrize("name", ["broken.ini", "hosts", "broken.yml"])
def test_an_invalid_inventory_file_in_a_folder_is_an_error(project: Project, name: str) -> None:
    project.write(f"inventory/{name}", "[docker]\nweb2 a b\n")
    with pytest.raises(SpecError, match=f"{name}:2: web2: a variable is NAME=VALUE"):
        project.inventory()


def test_a_folder_of_variables_that_hides_a_file_is_reported(project: Project) -> None:
    project.write("inventory/group_vars/docker.yml", "x: file\n")
    project.write("inventory/group_vars/docker/main.yml", "y: folder\n")
    inventory = project.inventory()
    scope, _ = inventory.scope("web1")
    assert "x" not in scope
    assert scope["y"] == "folder"
    (text,) = loud(inventory)
    assert "docker.yml is not read: docker in the same directory takes precedence" in text


# -- strictness --


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("docker: {hosts: {web1: {a: 1, a: 2}}}\n", "docker.hosts.web1.a: appears twice in one mapping"),
        ("web: {hosts: {web: {a: 2}}}\ndocker: {hosts: {web1: {a: 2}}}\n", "web is a host and a group"),
        ("docker: {host: {x: }, hosts: {web1: {a: 2}}}\n", "unknown key in a group"),
    ],
)
def test_lenient_turns_the_error_into_a_warning(project: Project, text: str, message: str) -> None:
    project.write("inventory/hosts.yml", text)
    with pytest.raises(SpecError) as caught:
        project.inventory()
    assert message in str(caught.value)
    inventory = project.inventory(reading=Reading(lenient=True))
    assert message in loud(inventory)[0]
    assert inventory.scope("web1")[0]["a"] == 2
    project.spec("hostname: x")
    done = provision(project, "render", "web1", "--lenient")
    assert done.returncode == 0
    assert f"provision: warning: {project.folder.name}"[:19] in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    "text", ["web: {children: {all: }}\n", "web: {children: {web: }}\n", "[a:children]\nb\n[b:children]\na\n[c]\n"]
)
def test_a_group_inside_itself_is_an_error(project: Project, text: str) -> None:
    project.write("inventory/hosts.yml", text)
    with pytest.raises(SpecError, match="a group inside itself"):
        project.inventory()


# -- INI --


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[web]\nw1\n[web:chidlren]\n", 'hosts.ini:3: web: a section of an unknown kind: chidlren (did you mean "chil'),
        ("[w eb]\nw1\n", "hosts.ini:1: not a section: [w eb]"),
        ("[web\nw1\n", "hosts.ini:1: not a section: [web ([group], [group:vars] or [group:children])"),
        (
            '[web]\nw1\n[web:vars]\nx={(1, 2): "t"}\n',
            "hosts.ini:4: x: a key must be text, a number, true, false or null",
        ),
        ("[web:vars]\nnovalue\n", "hosts.ini:2: web:vars: a variable is NAME=VALUE, not 'novalue'"),
        ("[web]\nw1 'open\n", "hosts.ini:2: web: not a host and its variables: No closing quotation"),
        ("[web]\nw1 a = b\n", "hosts.ini:2: w1: a variable is NAME=VALUE, not 'a'"),
        ("all:\n  hosts:\n", "hosts.ini:1: ungrouped: not a host name: 'all:' (a YAML file needs a name"),
        ("---\n", "not a host name: '---'"),
        ("[web]\nw1:99999\n", "a port is a number from 1 to 65535, not 99999"),
        ("[web]\nw[3:1]\n", "the range ends (1) before it begins (3)"),
        ("[site:children]\nwbe\n[web]\n", 'names a group that is not declared: wbe (did you mean "web"?)'),
        ("[web]\nansible_group_priority\n[web:vars]\nansible_group_priority=high\n", "must be a number, not 'high'"),
        ("[web]\nw1 a=" + "[" * 150 + "]" * 150 + "\n", "nested"),
    ],
)
def test_an_invalid_ini_inventory_is_an_error_with_its_place(project: Project, text: str, message: str) -> None:
    path = project.write("hosts.ini", text)
    with pytest.raises(SpecError) as caught:
        Inventory(path)
    assert message in str(caught.value)


def test_ini_values_have_ansibles_types(project: Project) -> None:
    path = project.write("hosts.ini", "[web]\nw1 mode=0644 flag=yes n=5 l=[1,2] t='{{ n }}'\n")
    values = Inventory(path).variables.of("w1")[0]
    assert values == {"mode": "0644", "flag": "yes", "n": 5, "l": [1, 2], "t": "{{ n }}"}
    assert Inventory(path).scope("w1")[0]["t"] == 5


# -- programs --


def script(project: Project, body: str) -> Path:
    path = project.write("inventory/fleet.sh", f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo oh no >&2; exit 3", "inventory script: .*fleet.sh failed with exit code 3: oh no"),
        ("echo hello", "what it prints is not JSON"),
        ("echo '[]'", "what it prints is not a JSON object"),
        ('printf \'{"a": "\\377"}\'', "not UTF-8"),
        ('echo \'{"web": {"hosts": {"a": 1}}}\'', "web.hosts: must be a list"),
        ("echo '{\"web\": 5}'", "web: a group is a mapping"),
        ('echo \'{"web": ["a b"]}\'', "not a host name: 'a b'"),
        ('echo \'{"web": ["h"], "_meta": {"hostvars": []}}\'', "_meta.hostvars: must be a mapping"),
    ],
)
def test_a_failing_inventory_script_is_an_error(project: Project, body: str, message: str) -> None:
    script(project, body)
    with pytest.raises(ProvisionError, match=message):
        project.inventory()


def test_every_line_of_a_failed_program_is_in_the_message(project: Project) -> None:
    script(project, "echo No module named ansible_collections.amazon >&2; echo Completely failed >&2; exit 1")
    with pytest.raises(ProvisionError, match=r"exit code 1: No module named ansible_collections.amazon / Completely"):
        project.inventory()


def test_a_script_without_its_interpreter_is_named(project: Project) -> None:
    script(project, "").write_text("#!/nonexistent/python3\n")
    with pytest.raises(ProvisionError, match="its first line names '/nonexistent/python3', which does not exist"):
        project.inventory()


def test_a_script_that_prints_nothing_is_named(project: Project) -> None:
    script(project, "true")
    with pytest.raises(ProvisionError, match=r"fleet.sh:1: it printed nothing, and JSON is expected"):
        project.inventory()


def test_a_script_that_hangs_is_killed_with_its_children(project: Project) -> None:
    script(project, f"sleep 1000 & echo $! > {project.folder}/child; wait")
    done = provision(project, "inventory", "--list", PROVISION_INVENTORY_TIMEOUT="1")
    assert done.returncode == 1
    assert "did not end within 1 s (PROVISION_INVENTORY_TIMEOUT raises this limit" in done.stderr
    assert not alive(int((project.folder / "child").read_text()))


@pytest.mark.parametrize(
    "name",
    [
        *("playbooks/site.yml", "playbooks/site.lock.yml", "playbooks/ca/lab.crt", "ansible.cfg"),
        *("inventory/pipe.yml", "inventory/hosts", "inventory/more.ini", "inventory/more.toml", "keys/id"),
        *("inventory/group_vars/all.yml", "inventory/group_vars/docker/x.yml", "inventory/host_vars/web1"),
        *("inventory/host_vars/web1/deep/x.json", "limit"),
    ],
)
def test_a_pipe_in_place_of_a_file_is_an_error(project: Project, name: str) -> None:
    project.spec("engine: {registries: {registry.example: {authority: lab}}}")
    if name == "limit":
        project.write("playbooks/site.yml", "- {name: Site, hosts: '@limit', spec: {packages: [curl]}}\n")
    if name == "keys/id":
        project.write("inventory/host_vars/web1.yml", "ansible_ssh_private_key_file: ../../keys/id\n")
    path = project.folder / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    argv = [sys.executable, "-m", "provision", "lint"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is a pipe, not a file" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["group_vars/docker.yml", "group_vars/all/x.yml", "host_vars/web1", "more.yml"])
def test_a_link_without_its_target_is_an_error(project: Project, name: str) -> None:
    path = project.folder / "inventory" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("nowhere.yml")
    with pytest.raises(SpecError, match=f"{name}:1: can't be read: No such file"):
        project.inventory().scope("web1")


def test_the_config_that_the_environment_names_is_the_one_that_ansible_reads(project: Project) -> None:
    project.write("ansible.cfg", "[defaults]\ninventory = fleet.ini\n")
    project.write("fleet.ini", "[web]\nfrom_cfg\n")
    words = ["inventory", "--list-hosts", "all"]
    assert provision(project, *words, ANSIBLE_CONFIG="/dev/null").stdout == "web1\n"
    done = provision(project, *words, ANSIBLE_CONFIG="nowhere.cfg")
    assert done.stdout == "from_cfg\n", "as in Ansible"
    assert "warning: ANSIBLE_CONFIG: there is no nowhere.cfg; the next ansible.cfg is read" in done.stderr


def test_a_pipe_that_the_shell_opened_is_read(project: Project) -> None:
    words = f"{sys.executable} -m provision inventory --list-hosts all -i <(echo web7)"
    done = subprocess.run(["bash", "-c", words], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.stdout == "web7\n", done.stderr


@pytest.mark.parametrize("end", ["\f", "\x85", "\u2028", "\v"])
def test_ini_lines_end_where_ansible_ends_them(project: Project, end: str) -> None:
    project.write("inventory/more.ini", f"[docker]\nweb2{end}web3\n")
    assert project.inventory().select("docker") == ["web1", "web2", "web3"]


def test_standard_error_of_a_script_is_a_warning(project: Project) -> None:
    script(project, 'echo careful >&2; echo \'{"docker": ["web2"], "_meta": {"hostvars": {}}}\'')
    inventory = project.inventory()
    assert inventory.select("docker") == ["web2", "web1"]
    assert loud(inventory) == ["the script printed on standard error: careful"]


def test_lint_runs_no_program_of_the_project(project: Project) -> None:
    mark = project.folder / "was-run"
    script(project, f'touch {mark}; echo \'{{"docker": ["web2"], "_meta": {{"hostvars": {{}}}}}}\'')
    project.spec("packages: [curl]")
    done = provision(project, "lint")
    assert done.returncode == 1
    assert "is an inventory script, and no program of the project is run here" in done.stdout
    assert "--trusted" in done.stdout
    assert not mark.exists()
    assert provision(project, "lint", "--trusted").returncode == 0
    assert mark.exists()


def test_a_plugin_needs_ansible_inventory_by_its_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("inventory/aws.yml", "plugin: amazon.aws.aws_ec2\nregions: [eu-west-1]\n")
    monkeypatch.setenv("PATH", str(project.folder))
    with pytest.raises(SpecError) as caught:
        project.inventory()
    assert "aws.yml:1: plugin: a configuration of Ansible's inventory plugin amazon.aws.aws_ec2" in str(caught.value)
    assert "ansible-inventory" in str(caught.value)
    with pytest.raises(SpecError, match="no program of the project is run"):
        project.inventory(reading=Reading(programs=False))


def test_a_failing_plugin_is_an_error_and_not_an_empty_inventory(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ansible")
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    project.write("inventory/zz.yml", "plugin: nosuch.collection.plugin\n")
    with pytest.raises(
        SpecError, match=r"zz.yml:1: plugin: inventory plugin: .*ansible-inventory failed with exit code"
    ):
        project.inventory()


# -- how a host is reached --


@pytest.fixture
def login(project: Project) -> Callable[[str], Login]:
    def of(variables: str) -> Login:
        project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {variables}}}}}\n")
        return project.inventory().host("web1").login

    return of


def test_of_two_variables_for_one_setting_the_one_that_ansible_uses_counts(
    login: Callable[[str], Login], project: Project
) -> None:
    """Measured with ansible-core 2.19: -o Port, User, IdentityFile and the address that Ansible passes to ssh."""
    project.write("inventory/a", "key")
    project.write("inventory/b", "key")
    found = login(
        "{ansible_host: A, ansible_ssh_host: B, ansible_user: u, ansible_ssh_user: su, ansible_port: '11',"
        " ansible_ssh_port: '12', ansible_private_key_file: a, ansible_ssh_private_key_file: b,"
        " ansible_password: p, ansible_ssh_pass: sp}"
    )
    assert (found.address, found.user, found.port, found.password) == ("B", "su", 12, "sp")
    assert found.key_file == project.folder / "inventory/b"
    found = login("{ansible_ssh_host: B, ansible_ssh_port: 12, ansible_ssh_pass: sp}")
    assert (found.address, found.port, found.password) == ("B", 12, "sp")


@pytest.mark.parametrize("connection", ["ssh", "smart", "paramiko", "ansible.builtin.ssh"])
def test_connections_by_ssh_are_accepted(login: Callable[[str], Login], connection: str) -> None:
    assert login(f"{{ansible_connection: {connection}}}").address == "web1"


@pytest.mark.parametrize("connection", ["local", "docker", "winrm", "network_cli", "community.docker.docker"])
def test_other_connections_are_refused(login: Callable[[str], Login], connection: str) -> None:
    with pytest.raises(SpecError, match=f"ansible_connection: provision connects by ssh, not by {connection}"):
        login(f"{{ansible_connection: {connection}}}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("-J ops@jump:2222", ("-J", "ops@jump:2222")),
        ("-Jjump", ("-J", "jump")),
        ("-o ProxyJump=a,b -p 2222", ("-o", "ProxyJump=a,b", "-p", "2222")),
        ("-oPort=22 -o 'Port 23'", ("-o", "Port=22", "-o", "Port 23")),
        ("-o ProxyCommand='ssh -W %h:%p jump'", ("-o", "ProxyCommand=ssh -W %h:%p jump")),
        ("-4ACp22 -F ~/other", ("-4", "-A", "-C", "-p", "22", "-F", "~/other")),
        (
            "-c aes256-ctr -m umac -b 10.0.0.1",
            ("-o", "Ciphers=aes256-ctr", "-o", "MACs=umac", "-o", "BindAddress=10.0.0.1"),
        ),
        ("-S none -e none", ("-o", "ControlPath=none", "-o", "EscapeChar=none")),
        ("-q -vvv -tT", ()),
        ("-o StrictHostKeyChecking=yes", ("-o", "StrictHostKeyChecking=yes")),
        ("-o StrictHostKeyChecking=accept-new", ("-o", "StrictHostKeyChecking=accept-new")),
        ("-o UserKnownHostsFile='known /dev/null'", ("-o", "UserKnownHostsFile=known /dev/null")),
    ],
)
def test_ssh_arguments_are_parsed_as_ssh_does(text: str, found: tuple[str, ...]) -> None:
    passed_over: list[str] = []
    assert ssh_words.words(text, passed_over) == found
    assert passed_over == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-o StrictHostKeyChecking=no", "host keys are verified; --accept-new"),
        ("-oStrictHostKeyChecking=off", "host keys are verified; --accept-new"),
        ("-o 'stricthostkeychecking NO'", "host keys are verified; --accept-new"),
        ("-o 'StrictHostKeyChecking = \"no\"'", "host keys are verified; --accept-new"),
        ("-o UserKnownHostsFile=/dev/null", "turns off the check of host keys"),
        ("-o 'UserKnownHostsFile=/dev/null none'", "turns off the check of host keys"),
        ("-W host:22", "-W is not an option of ssh's login"),
        ("-CN", "-N is not an option of ssh's login"),
        ("-M", "-M is not an option of ssh's login"),
        ("-p", "-p lacks its value"),
        ("-o ''", "-o lacks its option"),
        # ssh reads each of these as StrictHostKeyChecking no.
        ("-o '\"StrictHostKeyChecking\" no'", "is not an option and its value"),
        ("-o 'Strict\"HostKeyChecking\" no'", "is not an option and its value"),
        ("jump", "jump is not an option of ssh's login"),
        ("-o 'Port", "No closing quotation"),
    ],
)
def test_unsupported_ssh_arguments_are_refused(login: Callable[[str], Login], text: str, message: str) -> None:
    for variable in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
        with pytest.raises(SpecError) as caught:
            login(f"{{{variable}: {json.dumps(text)}}}")
        assert message in str(caught.value)
        assert f"hosts.yml:1: {variable}" in str(caught.value)


def test_lenient_still_verifies_host_keys(project: Project) -> None:
    project.write(
        "inventory/hosts.yml",
        "docker: {hosts: {web1: {ansible_ssh_common_args: '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        " -J jump'}}}\n",
    )
    with pytest.raises(SpecError, match="StrictHostKeyChecking=no is refused: host keys are verified; --accept-new"):
        project.inventory().host("web1")
    inventory = project.inventory(reading=Reading(lenient=True))
    login = inventory.host("web1").login
    assert (login.ssh_before, login.ssh_behind) == ((), ("-J", "jump"))
    assert [text.partition(" is refused")[0] for text in loud(inventory)] == [
        "ansible_ssh_common_args: -o StrictHostKeyChecking=no",
        "ansible_ssh_common_args: -o UserKnownHostsFile=/dev/null",
    ]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
def test_the_order_in_which_ansible_gives_options_to_ssh(login: Callable[[str], Login]) -> None:
    """ssh_args, then the inventory's port and user, then common and extra args: ssh uses the first value."""

    def there(variables: str) -> tuple[int, str, str | None]:
        one = login(variables)
        # The developer's own ssh configuration is not read.
        asked = question(dataclasses.replace(one, ssh_before=("-F", "none", *one.ssh_before)))
        (answer,) = Resolver().resolve([asked])
        found = target(one, answer, accept_new=False)
        return found.port, found.user, found.jump

    assert there("{ansible_ssh_args: '-p 1', ansible_port: 2, ansible_ssh_common_args: '-p 3'}")[0] == 1
    assert there("{ansible_ssh_args: '-o Port=1 -l a', ansible_ssh_port: 2, ansible_user: b}")[:2] == (1, "a")
    assert there("{ansible_port: 2, ansible_ssh_common_args: '-p 3 -o Port=4'}")[0] == 2
    assert there("{ansible_ssh_common_args: '-p 3', ansible_ssh_extra_args: '-p 4'}")[0] == 3
    assert there("{ansible_ssh_extra_args: '-p 4 -l ops -J j'}") == (4, "ops", "j")
    assert there("{ansible_ssh_extra_args: '-p 4 -l ops -J j', ansible_user: me}") == (4, "me", "j")


# -- the command --


def test_list_hosts_and_graph_of_a_pattern(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker: {children: {db: {hosts: {d1: }}, web: {hosts: {w1: }}}}\n")
    assert provision(project, "inventory", "--list-hosts", "docker:!db").stdout == "w1\n"
    assert provision(project, "inventory", "--list-hosts", "dokcer").returncode == 1
    assert provision(project, "inventory", "--graph", "db").stdout == "@db:\n  |--d1\n"
    assert provision(project, "inventory", "--graph", "[dw]?b").stdout == "@web:\n  |--w1\n"
    assert 'did you mean "docker"?' in provision(project, "inventory", "--graph", "dokcer").stderr


@pytest.mark.parametrize("pattern", ["docker:!docker", "docker[1:]", "empty"])
def test_list_hosts_without_a_host_is_a_warning(project: Project, pattern: str) -> None:
    project.write("inventory/more.ini", "[empty]\n")
    done = provision(project, "inventory", "--list-hosts", pattern)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"provision: warning: the pattern {pattern!r} selects no host\n"


def test_check_reports_what_ansible_reads_differently(project: Project) -> None:
    pytest.importorskip("ansible")
    project.write(
        "inventory/hosts.yml",
        "docker:\n  hosts:\n    web1: {ansible_connection: local}\n    web2:\n  vars: {mode: 0644, plain: 1}\n",
    )
    done = provision(project, "inventory", "--check", PATH=f"{BIN}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "hosts.yml:5: docker.vars.mode: 0644 is text here, and a number to Ansible" in done.stdout
    assert "web1: ansible_connection: provision connects by ssh, not by local" in done.stdout
    assert 'web2: mode is "0644" here and 420 to Ansible' in done.stdout
    assert "plain" not in done.stdout
    assert "4 differences (compared with ansible-inventory 2." in done.stdout
    done = provision(project, "inventory", "--check", PATH="/nonexistent")
    assert "2 differences (ansible-inventory is not installed: not compared)" in done.stdout


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
def test_check_reports_what_ssh_and_the_table_of_options_refuse(project: Project) -> None:
    project.write(
        "inventory/hosts.yml",
        "docker:\n  hosts:\n    web1: {ansible_ssh_args: -o BindInterface=lo}\n"
        "    web2: {ansible_ssh_common_args: -o Port=none}\n"
        "    web3: {ansible_ssh_extra_args: -o ServerAliveInterval=5}\n",
    )
    done = provision(project, "inventory", "--check", PATH=f"/nonexistent:{os.path.dirname(shutil.which('ssh') or '')}")
    assert done.returncode == 0, done.stderr
    assert "web1: ssh_config: web1: BindInterface lo is not supported" in done.stdout
    assert "web2: ssh_config: ssh -G web2: " in done.stdout
    assert "web3" not in done.stdout


def test_differences_show_no_password_and_no_secret() -> None:
    def listing(hosts: list[str], **variables: object) -> dict[str, object]:
        return {"web": {"hosts": hosts}, "_meta": {"hostvars": {"w1": variables}}}

    read_here = listing(["w1", "w2"], ansible_password="a", pw={"__ansible_vault": "x"}, n=1, spec={})
    said_by_ansible = listing(["w2", "w1"], ansible_password="b", pw={"__ansible_vault": "y"}, n=1)
    assert [str(note) for note in differences(read_here, said_by_ansible)] == [
        'group web: hosts are ["w1", "w2"] here and ["w2", "w1"] to Ansible (in another order)',
        'w1: ansible_password is "********" here and "another value" to Ansible',
    ]


def test_an_invalid_ansible_cfg_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    project.write("ansible.cfg", "inventory = x\n")
    with pytest.raises(SpecError, match=r"not an ansible.cfg"):
        config.read()
    project.write("ansible.cfg", "[inventory]\nignore_patterns = (\n")
    with pytest.raises(SpecError, match="not a regular expression"):
        Inventory("inventory")
