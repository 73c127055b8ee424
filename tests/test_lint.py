"""The linter against what real engines said (recorded from dockerd 20.10.24, 26.1.5 and 28.5.2), and by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.dockerd import daemon_keys
from provision.dockerd.daemon_keys import keys, version
from provision.lint import loose_json, output_formats, pages
from provision.lint.daemon_file import lint_text
from provision.lint.finding import Finding
from provision.lint.rules import RULES

DATA = Path(__file__).parent / "data"
CASES: dict[str, str] = yaml.safe_load((DATA / "daemon_json.yml").read_text())
#: engine -> case -> what `--validate` said, and what became of the start; "ok" or dockerd's own words
SAID: dict[str, dict[str, dict[str, str]]] = yaml.safe_load((DATA / "dockerd_says.yml").read_text())
#: What an engine refuses for what is (or is not) on the host, and not for what the file says.
MACHINE = {
    "userns-remap of nobody known": "the user may be there",
    "seccomp profile missing": "the file may be there",
    "tls files missing": "the files may be there",
    "authorization plugin missing": "the plugin may be installed",
    "group unknown": "the group may be there",
}
#: The same, of one engine: drivers that a kernel has or has not, a store that Debian's build leaves out.
MACHINE_OF = {("20.10.24", case) for case in ("aufs", "devicemapper", "cluster-store")}
#: The walkthrough's own sample, faults and all.
SAMPLE = """\
{
"gragh": "/data/ docker"
"storage-driver": "overlay2",
"insecure-registries": ["registry.access.redhat.com", "quary.io"]
"registry-mirrors": [ "https:/lq" ]
"bip": "172.168.80.50/24",
"exec-opts" :[ "native.cgroupdriver=systemd" ],
"live-restore": true
}
"""


def lint(text: str, engine: str = "28.5.2") -> list[Finding]:
    found = version(engine)
    assert found is not None
    return lint_text(Path("daemon.json"), text, found)


def ids(text: str, engine: str = "28.5.2") -> set[str]:
    return {finding.rule.id for finding in lint(text, engine)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("engine", SAID)
def test_an_error_is_what_the_engine_does_not_start_with(engine: str, case: str) -> None:
    """None that dockerd refuses for what the file says is missed; none that it works with is called an error."""
    errors = [finding for finding in lint(CASES[case], engine) if finding.level == "error"]
    said = SAID[engine][case]
    if said["start"] == "ok" and said["run"] == "ok":
        assert not errors, f"{engine} works with it"
    elif case not in MACHINE and (engine, case) not in MACHINE_OF:
        assert errors, f"{engine} says: {said}"


def test_there_are_enough_cases() -> None:
    assert len(SAID) == 3
    for said in SAID.values():
        assert set(said) == set(CASES)
        assert sum(one["start"] != "ok" or one["run"] != "ok" for one in said.values()) >= 40


def test_the_walkthroughs_sample() -> None:
    """Every fault in one run, each on its line."""
    found = [(finding.where.line, finding.rule.id, finding.level) for finding in lint(SAMPLE)]
    assert found == [
        (1, "DJ210", "warning"),  # no bound for logs
        (2, "DJ001", "error"),  # comma
        (2, "DJ101", "error"),  # gragh
        (2, "DJ220", "warning"),  # the blank in its path
        (4, "DJ001", "error"),
        (4, "DJ218", "warning"),  # a public registry
        (4, "DJ218", "warning"),  # another, misspelt
        (5, "DJ001", "error"),
        (5, "DJ201", "error"),  # https:/lq
        (6, "DJ204", "warning"),  # 172.168 is not private
    ]
    assert 'did you mean "graph", now "data-root"?' in str(lint(SAMPLE)[2])


@pytest.mark.parametrize(
    ("text", "faults", "value"),
    [
        ('{"a": 1}', [], {"a": 1}),
        ('{"a": 1 "b": 2}', [(1, 8, "a comma is missing")], {"a": 1, "b": 2}),
        ('{"a": [1 2], "b": 2}', [(1, 9, "a comma is missing")], {"a": [1, 2], "b": 2}),
        ('{"a": 1,, "b": 2}', [(1, 9, "a comma too many")], {"a": 1, "b": 2}),
        ('{"a": 1,\n}', [(1, 8, "a comma too many")], {"a": 1}),
        ('{"a" 1}', [(1, 6, "a colon is missing after 'a'")], {"a": 1}),
        ('{"a" = 1}', [(1, 6, "a colon is missing after 'a'")], {"a": 1}),
        ("{'a': 'b'}", [(1, 2, "text stands in double quotes"), (1, 7, "text stands in double quotes")], {"a": "b"}),
        ("{a: b}", [(1, 2, "the key a needs double quotes"), (1, 5, "b needs double quotes")], {"a": "b"}),
        ('{"a": True}', [(1, 7, "JSON has no True")], {"a": True}),
        ('{"a": "b\n"c": 1}', [(1, 7, "the quote is never closed"), (1, 9, "a comma is missing")], {"a": "b", "c": 1}),
        ('{"a": {"b": 1}', [(1, 1, "this { is never closed")], {"a": {"b": 1}}),
        ('{"a": [1}', [(1, 7, "this [ is never closed")], {"a": [1]}),
        ('{"a": 1}}', [(1, 9, "there is something after the end: '}'")], {"a": 1}),
        ('{"a": 1}, "b": 2}', [(1, 9, "the object has ended before this")], {"a": 1, "b": 2}),
        ('{"a": }', [(1, 7, "a value is missing")], {"a": None}),
        ("// x\n{}", [(1, 1, "JSON has no comments")], {}),
        ('{"a": 01}', [(1, 7, "01 needs double quotes")], {"a": "01"}),
        ('{"a": "\\q"}', [(1, 7, "not a text of JSON: Invalid \\escape")], {"a": "\\q"}),
    ],
)
def test_broken_json_is_read_to_its_end(text: str, faults: list[tuple[int, int, str]], value: Any) -> None:
    parsed = loose_json.parse(Path("x"), text)
    assert [(fault.where.line, fault.column, fault.message) for fault in parsed.faults] == faults
    assert parsed.value == value


@pytest.mark.parametrize("text", [*CASES.values(), SAMPLE, '{"a": "\\u00e9\\n", "b": [[], {}, -1.5e3, null]}'])
def test_what_json_takes_has_no_faults_and_the_other_way_round(text: str) -> None:
    parsed = loose_json.parse(Path("x"), text)
    try:
        value = json.loads(text)
    except ValueError:
        assert parsed.faults
    else:
        assert not parsed.faults
        assert parsed.value == value


def test_every_prefix_of_a_file_is_read_without_an_end() -> None:
    for end in range(len(SAMPLE)):
        assert loose_json.parse(Path("x"), SAMPLE[:end]).faults


def test_a_key_in_time() -> None:
    assert ids('{"graph": "/d", "log-driver": "local"}', "20.10") == {"DJ103"}
    assert ids('{"graph": "/d", "log-driver": "local"}', "24.0") == {"DJ102"}
    assert ids('{"ip-forward-no-drop": true, "log-driver": "local"}', "27.5") == {"DJ104"}
    assert ids('{"ip-forward-no-drop": true, "log-driver": "local"}', "28.0") == set()
    assert [str(f) for f in lint('{"graph": "/d", "log-driver": "local"}', "24.0")] == [
        "daemon.json:1: error DJ102 graph was removed in 23.0 (use data-root)"
    ]


def test_the_table_of_keys_is_whole() -> None:
    effects = {"restart", "reload", "reload-resets"}
    for key in keys().values():
        assert key.effect in effects, key
    table = Path(daemon_keys.__file__).with_name("daemon_keys.yml")
    for name, row in yaml.safe_load(table.read_text()).items():
        if "until" in row or "deprecated" in row:
            assert "instead" in row, f"{name}: the table does not say what replaces it"


def test_every_rule_has_a_page_made_from_it_and_a_case() -> None:
    folder = Path(__file__).parent.parent / "docs/lint"
    assert {path.name: path.read_text() for path in folder.glob("*.md")} == pages.pages(), "run `make docs`"
    seen = {finding.rule.id for text in CASES.values() for e in SAID for finding in lint(text, e)}
    assert {id for id in RULES if id.startswith("DJ")} - seen == set()


PLAYBOOK = """\
- name: Docker hosts
  hosts: docker
  spec:
    hostname: "{{ name | default(inventory_hostname) }}"
    engine:
      version: "28.5"
      daemon:
        log-driver: local
        bip: "{{ bip | default('10.200.0.1/24') }}"
        masquerade: no
"""


FORWARDING = """\
- name: Docker hosts
  hosts: docker
  spec:
    sysctl: {net.ipv4.ip_forward: 1}
    engine: {FIREWALLdaemon: {log-driver: local}}
"""
PLAIN = """\
- name: Docker hosts
  hosts: docker
  vars: {pw: !secret {env: HOME}}
  spec:
    engine:
      daemon: {log-driver: local, insecure-registries: [r.example:5000]}
      registries:
        NAME:
          login: {user: ci, password: "{{ pw }}"}
    registry: {name: r.example}
"""
THIRD_PARTY = """\
- name: Docker hosts
  hosts: docker
  spec:
    repositories:
      tools:
        url: https://m.example/apt
        key_url: https://m.example/apt/gpg
"""
MOVED = """\
- name: Docker hosts
  hosts: docker
  spec:
    engine:
      daemon:
        data-root: /srv/docker
        log-driver: local
      MORE
"""


def project(folder: Path, playbook: str, hosts: str) -> list[dict[str, Any]]:
    (folder / "playbooks").mkdir(exist_ok=True)
    (folder / "playbooks/site.yml").write_text(playbook)
    (folder / "inventory.yml").write_text("docker:\n  hosts:\n" + hosts)
    argv = [sys.executable, "-m", "provision", "lint", "-i", "inventory.yml", "--format", "json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == any(row["level"] == "error" for row in found), done.stderr
    return found


HOSTS = "    web1: {ansible_host: 192.0.2.1}\n    web2: {ansible_host: 192.0.2.2}\n"


#: One file by the mode that a file has by itself, one by a declared one, and those that others can't read.
HOLDING = """\
- name: Files
  hosts: docker
  vars: {pw: !secret {env: HOME}}
  spec:
    files:
      /etc/a: {content: "PASSWORD={{ pw }}"}
      /etc/b: {content: "{{ pw }}", mode: "0640"}
      /etc/c: {content: "no secret", mode: "0644"}
      /etc/d: {content: "{{ pw | b64encode }}",
        mode: "0604"}
      /etc/e: {content: "{{ pw }}"} # provision: ignore=SP406
"""


@pytest.mark.parametrize(
    ("playbook", "hosts", "expected"),
    [
        (PLAYBOOK.replace("        masquerade: no\n", ""), HOSTS, []),
        (PLAYBOOK, HOSTS, [("DJ101", 10)]),
        (PLAYBOOK.replace("masquerade: no", "masquerade: no  # provision: ignore=DJ101"), HOSTS, []),
        (PLAYBOOK.replace("masquerade: no", "masquerade: no  # provision: ignore=DJ102"), HOSTS, [("DJ101", 10)]),
        (
            PLAYBOOK.replace("masquerade", "icc"),
            HOSTS.replace("}", ", bip: 192.0.2.9/24}"),
            [("DJ204", 9), ("FL301", 9)],
        ),
        (PLAYBOOK.replace("masquerade: no", "ip-masq: false"), HOSTS, [("FL302", 9)]),
        (PLAYBOOK.replace("masquerade", "icc"), HOSTS.replace("}", ", name: web}"), [("FL303", 4)]),
        (PLAYBOOK.replace("masquerade", "icc"), HOSTS.replace("0.2.2", "0.2.1"), [("FL304", 5)]),
        (FORWARDING.replace("FIREWALL", ""), HOSTS, [("SP401", 4)]),
        (FORWARDING.replace("FIREWALL", "firewall: {forward: drop}, "), HOSTS, []),
        (FORWARDING.replace("FIREWALL", "firewall: {firewalld: true}, "), HOSTS, []),
        (FORWARDING.replace("ip_forward: 1", "ip_forward: 0").replace("FIREWALL", ""), HOSTS, []),
        (MOVED.replace("MORE", ""), HOSTS, [("SP402", 6)]),
        (MOVED.replace("MORE", "containerd_root: /srv/containerd"), HOSTS, []),
        (MOVED.replace("MORE", 'version: "28.5"'), HOSTS, []),
        (MOVED.replace("MORE", "source: distribution"), HOSTS, []),
        (PLAIN.replace("NAME", "r.example:5000"), HOSTS, [("SP403", 9), ("SP404", 10)]),
        (
            PLAIN.replace("NAME", "other.example").replace(
                "e}", "e, tls: {cert: -----BEGIN A -----END A, key: -----BEGIN K -----END K}}"
            ),
            HOSTS,
            [],
        ),
        (THIRD_PARTY, HOSTS, [("SP405", 7)]),
        (THIRD_PARTY + f"        fingerprint: [{'9DC8 5822 ' * 5}]\n", HOSTS, []),
        (HOLDING, HOSTS, [("SP406", 6), ("SP406", 10)]),
        (PLAYBOOK.replace("engine:", "egnine:"), HOSTS, [("PB001", 5)]),
        (PLAYBOOK.replace("bip | default", "bipp | defualt"), HOSTS, [("PB001", 9)]),
    ],
)
def test_projects(tmp_path: Path, playbook: str, hosts: str, expected: list[tuple[str, int]]) -> None:
    found = project(tmp_path, playbook, hosts)
    assert sorted({(row["id"], row["line"]) for row in found}) == expected


def test_a_secret_in_a_template_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "playbooks/templates").mkdir(parents=True)
    (tmp_path / "playbooks/templates/app.j2").write_text("key = {{ pw }}\n")
    entries = "      /etc/a: {template: app.j2}\n      /etc/b: {template: app.j2, mode: '0600'}\n"
    found = project(tmp_path, HOLDING.partition("      /etc/a")[0] + entries, HOSTS)
    assert [(row["id"], row["line"]) for row in found] == [("SP406", 6)]


def test_plan_and_apply_lint_first(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK)
    (tmp_path / "inventory.yml").write_text(
        "docker:\n  hosts:\n    web1: {ansible_host: 127.0.0.1, ansible_port: 1, provision_known_hosts: /dev/null}\n"
    )
    argv = [sys.executable, "-m", "provision", "apply", "--yes", "--json", "-i", "inventory.yml", "site.yml"]
    refused = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "site.yml:10: error DJ101 unknown key masquerade" in refused.stderr
    insisted = subprocess.run([*argv, "--no-lint"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert insisted.returncode == 3, "it went on, to a host that is not there"
    assert "site.yml:10: warning DJ101 unknown key masquerade" in insisted.stderr


def test_formats() -> None:
    found = lint('{"log-driver": "local",\n"debug": "a,b: %"}')
    assert output_formats.text(found).splitlines()[-1] == "1 errors, 0 warnings"
    (row,) = json.loads(output_formats.as_json(found))
    assert (row["id"], row["line"], row["level"]) == ("DJ110", 2, "error")
    run = json.loads(output_formats.sarif(found))["runs"][0]
    assert run["tool"]["driver"]["rules"][0]["id"] == run["results"][0]["ruleId"] == "DJ110"
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert output_formats.github(found).startswith(
        "::error file=daemon.json,line=2,title=DJ110 wrong-type::debug must be"
    )
    assert output_formats.github(found).count("\n") == 1
    assert "%25" in output_formats.github(found)
