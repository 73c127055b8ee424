"""Ansible's inventory: structure, ranges, precedence, patterns. Expected values were taken from Ansible's manual
("How to build your inventory", "Patterns", "Variable precedence")."""

from __future__ import annotations

import pytest

from provision.errors import SpecError
from provision.inventory import Inventory
from provision.inventory.tree import expand
from tests.conftest import Project


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("web[01:20].example.com", 20, "web01.example.com", "web20.example.com"),
        ("n[0:10:5]", 3, "n0", "n10"),
        ("db-[a:f]", 6, "db-a", "db-f"),
        ("r[1:2]n[1:3]", 6, "r1n1", "r2n3"),
        ("[8:11]", 4, "8", "11"),
        ("plain", 1, "plain", "plain"),
    ],
)
def test_ranges_of_host_names_are_expanded(name: str, count: int, first: str, last: str) -> None:
    names = expand(name)
    assert (len(names), names[0], names[-1]) == (count, first, last)


@pytest.mark.parametrize("name", ["web[1:", "web[3:1]", "web[a:3]", "web[01:100]", "web[1:2:0]", "web]1["])
def test_invalid_ranges_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="range"):
        expand(name)


HOSTS = """
all:
  vars: {level: all, only_all: yes}
  children:
    web:
      hosts:
        web[1:3]:
      vars: {level: web}
    db:
      hosts:
        db1: {level: host}
        web3:
    docker:
      children: {web: , db: }
      vars: {level: docker, from: docker}
  hosts:
    alone:
"""


@pytest.fixture
def inventory(project: Project) -> Project:
    project.write("inventory/hosts.yml", HOSTS)
    return project


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("all", "alone web1 web2 web3 db1"),
        ("*", "alone web1 web2 web3 db1"),
        ("web", "web1 web2 web3"),
        ("web*:!web3:&docker", "web1 web2"),
        ("&docker:web*:!web3", "web1 web2"),
        ("web,db", "web1 web2 web3 db1"),
        ("web:&db", "web3"),
        ("!web", "alone db1"),
        ("~(web|db)1", "web1 db1"),
        ("web[0]", "web1"),
        ("web[-1]", "web3"),
        ("web[0:1]", "web1 web2"),
        ("web[1:]", "web2 web3"),
        ("web[-3]", "web1"),
        ("web[2]", "web3"),
        # A pattern of fnmatch, as in Ansible: [:1] is a colon or a 1.
        ("web[:1]", "web1"),
        ("ungrouped", "alone"),
        ("db1:alone", "db1 alone"),
    ],
)
def test_patterns_select_hosts_as_in_ansible(inventory: Project, pattern: str, hosts: str) -> None:
    assert inventory.inventory().select(pattern) == hosts.split()


def test_a_pattern_is_read_from_a_file(inventory: Project) -> None:
    path = inventory.write("limit", "# failed last time\nweb1\ndb1\n")
    assert inventory.inventory().select(f"@{path}") == ["web1", "db1"]
    assert inventory.inventory().select(f"@{path}:!db1") == ["web1"]


@pytest.mark.parametrize("pattern", ["web[3]", "web[-4]", "all:!web[3]", "all:&web[3]", "web[0],web[3]"])
def test_an_index_beyond_the_group_is_an_error(inventory: Project, pattern: str) -> None:
    with pytest.raises(SpecError, match=r"web\[(3|-4)\] selects no host: web has 3 \(the last is web\[2\]\)"):
        inventory.inventory().select(pattern)
    with pytest.raises(SpecError, match=r"--limit: web\[3\] selects no host"):
        inventory.inventory().limit(["web1"], "web[3]")


@pytest.mark.parametrize("pattern", ["web[3:]", "web[5:9]", "web:!web"])
def test_a_slice_beyond_the_group_selects_no_host(inventory: Project, pattern: str) -> None:
    assert inventory.inventory().select(pattern) == []


def test_the_error_of_an_unknown_pattern_suggests_the_nearest_name(inventory: Project) -> None:
    with pytest.raises(SpecError) as caught:
        inventory.inventory().select("dokcer")
    assert "no host or group matches 'dokcer'" in str(caught.value)
    assert 'did you mean "docker"?' in str(caught.value)


def test_variables_have_ansibles_precedence(inventory: Project) -> None:
    def level(host: str = "web1") -> object:
        return inventory.inventory().scope(host)[0]["level"]

    assert level("alone") == "all"
    assert level() == "web", "a deeper group overrides its parent"
    assert level("db1") == "host"
    inventory.write("inventory/group_vars/all.yml", "level: gv-all\n")
    assert level() == "gv-all", "group_vars/all overrides the variables of any group in the inventory file"
    inventory.write("playbooks/group_vars/all.yml", "level: pb-gv-all\n")
    assert level() == "pb-gv-all"
    inventory.write("inventory/group_vars/docker.yml", "level: gv-docker\n")
    assert level() == "gv-docker"
    inventory.write("inventory/group_vars/web/b.yml", "level: gv-web-b\n")
    inventory.write("inventory/group_vars/web/a.yml", "level: gv-web-a\n")
    assert level() == "gv-web-b", "files of a directory in the order of their names"
    inventory.write("playbooks/group_vars/docker.yml", "level: pb-gv-docker\n")
    assert level() == "pb-gv-docker", "the playbook's group_vars override the inventory's at any depth"
    assert level("db1") == "host"
    inventory.write("inventory/host_vars/db1.yml", "level: hv\n")
    assert level("db1") == "hv"
    inventory.write("playbooks/host_vars/db1.yaml", "level: pb-hv\n")
    assert level("db1") == "pb-hv"


def test_groups_of_the_same_depth_are_merged_by_priority_and_name(project: Project) -> None:
    project.write("inventory/hosts.yml", "a: {hosts: {h: }, vars: {v: a}}\nb: {hosts: {h: }, vars: {v: b}}\n")
    assert project.inventory().scope("h")[0]["v"] == "b"
    project.write(
        "inventory/hosts.yml",
        "a: {hosts: {h: }, vars: {v: a, ansible_group_priority: 10}}\nb: {hosts: {h: }, vars: {v: b}}\n",
    )
    assert project.inventory().scope("h")[0]["v"] == "a"


def test_several_files_are_merged_into_one_inventory(project: Project) -> None:
    project.write("inventory/10-more.yml", "docker: {hosts: {web2: {x: 1}}}\n")
    project.write("inventory/20-vars.yml", "docker: {vars: {y: 2}, hosts: {web2: {z: 3}}}\n")
    project.write("inventory/notes.md", "# not: an inventory\n")
    inventory = project.inventory()
    assert inventory.select("docker") == ["web2", "web1"]
    assert {name: inventory.scope("web2")[0][name] for name in "xyz"} == {"x": 1, "y": 2, "z": 3}


def test_magic_variables_have_ansibles_values(inventory: Project) -> None:
    scope, _ = inventory.inventory().scope("web3")
    assert scope["inventory_hostname"] == "web3"
    assert scope["group_names"] == ["db", "docker", "web"]
    assert scope.render("{{ groups['db'] }}") == ["db1", "web3"]
    assert scope.render("{{ hostvars['db1'].level }}") == "host"
    assert scope["ansible_host"] == "web3"


def test_graph_prints_ansibles_form(inventory: Project) -> None:
    inventory.write("inventory/hosts.yml", "docker: {children: {db: {hosts: {db1: }}}}\nx: {hosts: {y: }}\n")
    assert inventory.inventory().graph().splitlines() == [
        "@all:",
        "  |--@ungrouped:",
        "  |--@docker:",
        "  |  |--@db:",
        "  |  |  |--db1",
        "  |--@x:",
        "  |  |--y",
    ]


def test_the_listing_masks_passwords(project: Project) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: {ansible_become_password: hunter2, a: 1}}}\n")
    variables = project.inventory().listing()["_meta"]["hostvars"]["web1"]
    assert variables == {"ansible_become_password": "********", "a": 1}


def test_the_listing_masks_by_whole_words_and_inside_of_mappings(project: Project) -> None:
    text = "{compass: n, bypass: 1, api_token: t, PASSWD: p, db: {password: q, port: 5}, l: [{token: r}], key_file: k}"
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {text}}}}}\n")
    variables = project.inventory().listing()["_meta"]["hostvars"]["web1"]
    mask = "********"
    assert variables == {
        "compass": "n",
        "bypass": 1,
        "api_token": mask,
        "PASSWD": mask,
        "key_file": "k",
        "db": {"password": mask, "port": 5},
        "l": [{"token": mask}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {children: {b: }}\nb: {children: {a: }}\n", "hosts.yml:1: a: a group inside itself: a -> b -> a"),
        ("web: {hosts: {web: }}\n", "web is a host and a group"),
        ("web: {host: {w: }}\n", 'hosts.yml:1: web.host: unknown key in a group (did you mean "hosts"?)'),
        ("web: {hosts: [a, b]}\n", "web.hosts: must be a mapping, not a list (write each host as a name and a colon)"),
        ("web: {vars: {x: {{ y }}}}\n", "hosts.yml:1: web.vars.x: {{ without quotes is a mapping (quote a value"),
        ("web: {hosts: {1: }}\n", "hosts.yml:1: web.hosts: a name must be text, not 1 (quote the name)"),
        ("web: {hosts: {on: }}\n", "web.hosts: a name must be text, not true"),
        ("~: {hosts: {a: }}\n", "a name must be text, not nothing"),
        ("web: {children: {2.5: }}\n", "web.children: a name must be text, not 2.5"),
        ("web: {hosts: {a b: }}\n", "not a host name"),
        ("web: [\n", "not YAML"),
        ("- a\n", "an inventory is a mapping"),
        ("a: {hosts: {web1: {x\uff1a a\uff0cy: 2}}}\n", "the key x\uff1a a\uff0cy has a full-width colon"),
        ("a:\n  hosts:\n    web1\uff1a\n", "a.hosts: must be a mapping, not 'web1\uff1a' (the full-width colon"),
        (
            "a:\n  vars:\n    x\uff1a 3\n",
            "hosts.yml:2: a.vars: must be a mapping, not 'x\uff1a 3' (the full-width colon",
        ),
    ],
)
def test_an_invalid_inventory_is_an_error_with_its_place(project: Project, text: str, message: str) -> None:
    project.write("inventory/hosts.yml", text)
    with pytest.raises(SpecError) as caught:
        project.inventory()
    assert message in str(caught.value)


def test_a_full_width_colon_in_a_value_is_text(project: Project) -> None:
    text = "docker:\n  hosts: {web1: }\n  vars:\n    a: 注意\uff1ax\n    'note\uff1a': b\n"
    project.write("inventory/hosts.yml", text)
    assert project.inventory().tree.groups["docker"].vars == {"a": "注意\uff1ax", "note\uff1a": "b"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ("{ansible_port: 99999}", "must be a port"),
        (f"{{ansible_port: '{'9' * 5000}'}}", "must be a port"),
        (f"{{provision_answer_limit: '{'9' * 5000}'}}", "must be a number of MiB"),
        ("{ansible_become_flags: '\"'}", "ansible_become_flags: No closing quotation"),
        ("{ansible_become: perhaps}", "must be true or false"),
        ("{ansible_ssh_private_key_file: /nonexistent}", "key file /nonexistent can't be read: No such file"),
        ("{ansible_ssh_common_args: '-W other:22'}", "-W is not an option of ssh's login"),
        ("{ansible_ssh_args: '-o'}", "-o lacks its value"),
        ("{provision_transport: telnet}", "must be ssh or openssh, not telnet"),
        ("{ansible_become_method: pbrun}", "must be sudo or su or doas, not pbrun"),
        ("{ansible_become_flags: -i}", "sudo is run with provision's own flags; -i is not supported"),
        ("{ansible_become_method: doas, ansible_become_password: x}", "doas reads its password from a terminal only"),
        ("{ansible_ssh_common_args: '-o StrictHostKeyChecking=no'}", "host keys are verified"),
        ("{ansible_become_user: bob}", "only root can provision a host"),
        ('{ansible_host: "a\\nb"}', "control characters"),
    ],
)
def test_an_invalid_login_variable_is_refused(project: Project, variables: str, message: str) -> None:
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {variables}}}}}\n")
    with pytest.raises(SpecError) as caught:
        project.inventory().host("web1")
    assert message in str(caught.value)
    assert "hosts.yml:1" in str(caught.value)


def test_proxy_jump_and_relative_key_paths_are_read(project: Project) -> None:
    project.write("inventory/keys/id", "key")
    project.write(
        "inventory/hosts.yml",
        "docker: {hosts: {web1: {ansible_ssh_common_args: '-J ops@jump:2222', ansible_ssh_private_key_file: keys/id,"
        " ansible_become: 'yes', ansible_become_password: '{{ p }}', p: s3}}}\n",
    )
    login = project.inventory().host("web1").login
    assert login.ssh_behind == ("-J", "ops@jump:2222")
    assert login.key_file == project.folder / "inventory/keys/id"
    assert (login.become, login.become_password) == (True, "s3")
    assert "s3" not in repr(login)


@pytest.mark.parametrize("pattern", ["~(a+)+b$", "~" + "(a|a)" * 60 + "b", "~" + ".*" * 9 + "b"])
def test_a_pattern_that_could_run_for_ever_is_refused(project: Project, pattern: str) -> None:
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: , {'a' * 60}: }}}}\n")
    with pytest.raises(SpecError, match="the regular expression"):
        project.inventory().select(pattern)


def test_an_ignore_pattern_that_could_run_for_ever_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\n")
    monkeypatch.setenv("ANSIBLE_INVENTORY_IGNORE_REGEX", "(a+)+b$")
    with pytest.raises(SpecError, match="ignore_patterns: a regular expression repeats no group"):
        project.inventory()


def test_a_setting_of_ansible_has_priority_over_the_default_inventory(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\n")
    project.write("prod/hosts.yml", "docker: {hosts: {prod1: }}\n")
    project.write("ansible.cfg", "[defaults]\ninventory = prod\n")
    monkeypatch.chdir(project.folder)
    assert list(Inventory().tree.hosts) == ["prod1"]
    monkeypatch.setenv("ANSIBLE_INVENTORY", "inventory")
    assert list(Inventory().tree.hosts) == ["web1"]
