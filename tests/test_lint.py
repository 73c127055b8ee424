"""The linter compared with the answers of real engines (recorded by tests/lab/test_dockerd.py), and by itself."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.cli import main
from provision.engine import keys as daemon_keys
from provision.engine.keys import keys, version
from provision.lines import lines_of
from provision.lint import loose_json, output_formats, pages, sudoers, variables
from provision.lint.daemon_file import lint as daemon_lint
from provision.lint.daemon_file import lint_text
from provision.lint.finding import Finding
from provision.lint.reading import Target
from provision.lint.rules import RULES
from provision.lint.shapes import is_duration
from tests import lint_table, preloaded
from tests.lint_table import CASES, SAID

#: The least number of cases that each engine has answered. ``RECORD=60`` asks for new ones (tests/lab/test_dockerd.py).
ASKED = {"20.10.24": 711, "26.1.5": 711, "28.5.2": 711, "29.7.2": 711}
#: The sample of the reference setup, with all its faults.
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


@pytest.mark.parametrize("engine", SAID)
def test_the_linter_reports_an_error_for_each_file_that_the_engine_refuses(engine: str) -> None:
    """The linter finds each file that the engine refuses for its content, and reports no error in a file that works."""
    wrong = {}
    for case, said in SAID[engine].items():
        found = lint_table.verdict(engine, case)
        fails = not found.works and not lint_table.of_host(engine, case)
        if bool(found.errors) != fails:
            wrong[case] = ([str(error) for error in found.errors], said)
    assert wrong == {}


def test_each_case_that_depends_on_the_host_fails_on_an_engine() -> None:
    for case in lint_table.HOST:
        name, _, engine = case.removesuffix(")").partition(" (")
        engines = [one for one in ([engine] if engine else SAID) if name in SAID[one]]
        assert any(not lint_table.verdict(one, name).works for one in engines), case


def test_the_recorded_answers_are_of_the_current_texts() -> None:
    assert list(SAID) == ["20.10.24", "26.1.5", "28.5.2", "29.7.2"]
    for engine, said in SAID.items():
        assert list(said) == [case for case in CASES if case in said], f"{engine}: the order of the cases"
        assert len(said) >= ASKED[engine]
        for case, answer in said.items():
            assert answer["text"] == hashlib.sha256(CASES[case].encode()).hexdigest()[:8], (engine, case)
        assert sum(one["start"] != "ok" or one["run"] != "ok" for one in said.values()) >= 90
    assert all(any(case in said for said in SAID.values()) for case in CASES)


def test_the_table_has_no_false_error_and_no_miss() -> None:
    rows = [row.split(" | ") for row in lines_of(lint_table.table())[2:]]
    assert [(row[2], row[4]) for row in rows] == [("0", "0")] * 4
    shown = Path(__file__).parent.parent / "docs/design.md"
    assert lint_table.table() in shown.read_text(), "the page does not show the table of `python -m tests.lint_table`"


def test_the_faulty_sample_of_the_reference_setup() -> None:
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
        ('{"a": 1,, "b": 2}', [(1, 9, "one comma too many")], {"a": 1, "b": 2}),
        ('{"a": 1,\n}', [(1, 8, "one comma too many")], {"a": 1}),
        ('{"a" 1}', [(1, 6, "a colon is missing after 'a'")], {"a": 1}),
        ('{"a" = 1}', [(1, 6, "a colon is missing after 'a'")], {"a": 1}),
        ("{'a': 'b'}", [(1, 2, "text must be in double quotes"), (1, 7, "text must be in double quotes")], {"a": "b"}),
        ("{a: b}", [(1, 2, "the key a needs double quotes"), (1, 5, "b needs double quotes")], {"a": "b"}),
        ('{"a": True}', [(1, 7, "JSON has no True")], {"a": True}),
        ('{"a": "b\n"c": 1}', [(1, 7, "the quote is never closed"), (1, 9, "a comma is missing")], {"a": "b", "c": 1}),
        ('{"a": {"b": 1}', [(1, 1, "this { is never closed")], {"a": {"b": 1}}),
        ('{"a": [1}', [(1, 7, "this [ is never closed")], {"a": [1]}),
        ('{"a": 1}}', [(1, 9, "there is text after the end: '}'")], {"a": 1}),
        ('{"a": 1}, "b": 2}', [(1, 9, "the object ends before this")], {"a": 1, "b": 2}),
        ('{"a": }', [(1, 7, "a value is missing")], {"a": None}),
        ("// x\n{}", [(1, 1, "JSON has no comments")], {}),
        ('{"a": 01}', [(1, 7, "01 needs double quotes")], {"a": "01"}),
        ('{"a": "\\q"}', [(1, 7, "not a JSON string: Invalid \\escape")], {"a": "\\q"}),
    ],
)
def test_all_faults_of_broken_json_are_reported(text: str, faults: list[tuple[int, int, str]], value: Any) -> None:
    parsed = loose_json.parse(Path("x"), text)
    assert [(fault.where.line, fault.column, fault.message) for fault in parsed.faults] == faults
    assert parsed.value == value


def test_a_file_has_no_syntax_faults_exactly_if_json_can_parse_it() -> None:
    for text in [*CASES.values(), SAMPLE, '{"a": "\\u00e9\\n", "b": [[], {}, -1.5e3, null]}']:
        parsed = loose_json.parse(Path("x"), text)
        try:
            value = json.loads(text)
        except ValueError:
            assert parsed.faults, text
        else:
            assert not parsed.faults, text
            assert parsed.value == value


def test_each_prefix_of_a_file_is_linted_without_a_crash() -> None:
    for end in range(len(SAMPLE)):
        assert loose_json.parse(Path("x"), SAMPLE[:end]).faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"log-opts": {"max-file": 3}}', 'log-opts.max-file must be a string: "3"'),
        ('{"builder": {"gc": {"enabled": "true"}}}', "builder.gc.enabled must be true or false: true"),
        ('{"runtimes": {"k": {"path": 5}}}', 'runtimes.k.path must be a string: "5"'),
        ('{"default-address-pools": [{"base": "10.0.0.0/16", "size": "24"}]}', "default-address-pools[0].size must be"),
        ('{"dns": "192.0.2.53"}', 'dns must be a list of strings: ["192.0.2.53"]'),
        ('{"labels": {"rack": "7"}}', 'labels must be a list of strings, not {"rack": "7"}'),
        ('{"debug": true\uff0c"icc": true}', '"\uff0c" is a full-width comma (type ",")'),
        ('{"bip": "10.0.0.0/24"}', 'bip "10.0.0.0/24" is the network address; use 10.0.0.1/24'),
        ('{"bip": "10.0.0.1/255.255.255.0"}', '(write "10.0.0.1/24")'),
        ('{"runtimes": {"k": {}}}', 'runtime "k" needs path or runtimeType'),
        ('{"insecure-registries": [""]}', 'insecure-registries "" is not a host, host:port or CIDR'),
        ('{"registry-mirror": ["https://m.example"]}', "(the key is registry-mirrors)"),
        ('{"log-driver": "json_file"}', 'log-driver "json_file" does not exist (did you mean "json-file"?)'),
        ('{"log-driver": "gelf"}', 'log driver gelf needs log-opts "gelf-address"'),
        ('{"min-api-version": "v1.44"}', 'min-api-version "v1.44" must not begin with v: "1.44"'),
        ('{"default-ulimits": {"nofile": {"Soft": 1, "Hard": 1}}}', 'default-ulimits.nofile needs "Name": "nofile"'),
        ('{"ipv6": true, "bip6": "fd00::/64"}', 'bip6 "fd00::/64" is the network address; use fd00::1/64'),
        ('{"insecure-registries": ["x.example:"]}', 'insecure-registries "x.example:" is not a host, host:port or'),
        ('{"storage-driver": "vfs", "storage-opts": ["vfs.foo=1"]}', "vfs has no option vfs.foo"),
        ('{"userns-remap": "a:b:c"}', 'userns-remap "a:b:c" is not USER or USER:GROUP'),
        (
            '{"builder": {"gc": {"policy": [{"keepDuration": "48h"}]}}}',
            "builder.gc.policy[0].keepDuration is not known",
        ),
        ('{"builder": {"enabled": true}}', "builder.enabled is not known, and dockerd ignores it"),
        ('{"runtimes": {"x": {"path": "/x", "args": []}}}', "runtimes.x.args is not known, and dockerd ignores it"),
        ('{"default-network-opts": {"brigde": {}}}', 'brigde is not a network driver (did you mean "bridge"?)'),
        ('{"bip": "127.0.0.1/24"}', "bip 127.0.0.0/24 is loopback address space"),
    ],
)
def test_a_message_names_the_key_the_value_and_the_correction(text: str, message: str) -> None:
    assert any(message in str(finding) for finding in lint(text, "29.7")), [str(one) for one in lint(text, "29.7")]


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("quay.io", True),
        ("quary.io", True),
        ("ghrc.io", True),
        ("registry.gitlab.com", True),
        ("registry.example.com", False),
        ("registry.local", False),
        ("registry.internal:5000", False),
        ("registry.lan", False),
        ("registry.k8s.corp", False),
        ("quay.de", False),
        ("harbor.io", False),
        ("gitlab.example.org:5050", False),
    ],
)
def test_a_public_insecure_registry_is_reported(name: str, reported: bool) -> None:
    text = json.dumps({"log-driver": "local", "insecure-registries": [name]})
    assert ids(text) == ({"DJ218"} if reported else set())


def test_a_registry_with_the_name_of_a_host_is_not_a_misspelling() -> None:
    daemon = loose_json.parse(Path("x"), '{"log-driver": "local", "insecure-registries": ["quay.oi", "quai.io"]}').value
    found = list(daemon_lint(daemon, Target((28, 5), names=frozenset(("quai.io",)))))
    assert found == []
    assert [one.rule.id for one in daemon_lint(daemon, Target((28, 5)))] == ["DJ218"]


@pytest.mark.parametrize("key", ['"hosts": ["unix:///var/run/docker.sock"]', '"containerd": "/run/c.sock"'])
def test_the_key_hosts_is_an_error_only_where_the_unit_is_known(key: str) -> None:
    text = f'{{"log-driver": "local", {key}}}'
    for packaged, level in ((False, "warning"), (True, "error")):
        found = lint_text(Path("x"), text, (28, 5), packaged=packaged)
        assert [(one.rule.id, one.level) for one in found] == [("DJ214", level)]


ADVICE = {
    "DJ301": '"registry-mirrors": ["https://docker.mirrors.ustc.edu.cn"]',
    "DJ302": '"registry-mirrors": ["http://m.example"]',
    "DJ304": '"insecure-registries": ["0.0.0.0/0"]',
    "DJ305": '"metrics-addr": "0.0.0.0:9323"',
    "DJ306": '"iptables": false',
    "DJ307": '"debug": true',
    "DJ308": '"experimental": true',
    "DJ309": '"features": {"buildkit": true}',
    "DJ310": '"features": {"nonsense": true}',
    "DJ311": '"registry-mirrors": ["https://<id>.m.example"]',
    "DJ312": '"data-root": "/srv/docker"',
    "DJ313": '"storage-driver": "overlay2"',
    "DJ314": '"builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}',
    "DJ316": '"firewall-backend": "nftables"',
    "DJ317": '"proxies": {"http-proxy": "http://u:pw@192.0.2.1:3128"}',
    "DJ111": '"builder": {"gc": {"enabled": false}, "enabled": false}',
}
NO_ADVICE = [
    '"registry-mirrors": ["http://127.0.0.1:5000", "https://xmirror.example"]',
    '"insecure-registries": ["10.0.0.0/8"]',
    '"metrics-addr": "127.0.0.1:9323"',
    '"features": {"cdi": true}, "iptables": true, "debug": false, "experimental": false',
    '"storage-driver": "overlayfs", "builder": {"gc": {"enabled": true, "defaultReservedSpace": "20GB"}}',
    '"firewall-backend": "iptables"',
    '"data-root": "/srv/docker", "features": {"containerd-snapshotter": false}',
    '"log-opts": {"max-size": "10m"}, "labels": ["tag={{.Name}}"]'.replace("{{.Name}}", "x"),
    '"log-opts": {"max-size": "10m", "labels": "{{.Name}}", "env": "id={{ printf .ID }}"}',
    '"userland-proxy": true, "builder": {"gc": {"enabled": true}}, "runtimes": {"a.b": {"path": "/a"}}',
    '"proxies": {"http-proxy": "http://u@192.0.2.1:3128", "no-proxy": "localhost"}',
    '"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}, "weave": {}}',
]


@pytest.mark.parametrize("id", ADVICE)
def test_advice_is_a_warning_that_can_be_switched_off(id: str, tmp_path: Path) -> None:
    text = f'{{"log-driver": "local", {ADVICE[id]}}}'
    assert {(one.rule.id, one.level) for one in lint(text, "29.7")} == {(id, "warning")}
    path = tmp_path / "daemon.json"
    path.write_text(text)
    done = preloaded.run(["lint", str(path), "--ignore", id])
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 errors, 0 warnings\n"


@pytest.mark.parametrize("text", NO_ADVICE)
def test_advice_is_not_given_where_it_does_not_apply(text: str) -> None:
    assert lint(f'{{"log-driver": "local", {text}}}', "29.7") == []


def test_a_placeholder_in_a_log_option_is_reported() -> None:
    text = '{"log-driver": "loki", "log-opts": {"loki-url": "http://{{ loki.host }}", "tag": "{{.Name}}"}}'
    assert ids(text) == {"DJ311"}
    assert ids('{"log-driver": "loki", "log-opts": {"loki-external-labels": "container_name={{.Name}}"}}') == set()


def test_no_finding_shows_a_password() -> None:
    text = '{"proxies": {"http-proxy": "http://u:hunter2@h:1"}, "log-driver": "splunk", "log-opts": OPTIONS}'
    found = lint(text.replace("OPTIONS", '{"splunk-url": "https://h:1", "splunk-token": "hunter2"}'))
    assert [one.rule.id for one in found] == ["DJ317", "DJ317"]
    assert "hunter2" not in output_formats.as_json(found)


def test_advice_that_depends_on_two_keys() -> None:
    listening = '"hosts": ["unix:///var/run/docker.sock", "tcp://0.0.0.0:2376"]'
    certificates = '"tlsverify": true, "tlscacert": "/c/ca.pem", "tlscert": "/c/cert.pem", "tlskey": "/c/key.pem"'
    assert "DJ303" in ids(f'{{"log-driver": "local", {listening}}}')
    assert "DJ303" not in ids(f'{{"log-driver": "local", {listening}, {certificates}}}')
    nftables = '{"log-driver": "local", "firewall-backend": "nftables", "swarm-default-advertise-addr": "eth0"}'
    assert "DJ315" in ids(nftables, "29.7")


def test_an_unquoted_option_does_not_hide_other_faults() -> None:
    assert ids('{"log-opts": {"max-size": "10m", "max-file": 3}}') == {"DJ110"}
    assert ids('{"log-opts": {"max-file": 3}}') == {"DJ110", "DJ208", "DJ210"}


def test_a_key_is_reported_for_engines_that_do_not_know_it_yet() -> None:
    assert ids('{"graph": "/d", "log-driver": "local"}', "20.10") == {"DJ103"}
    assert ids('{"graph": "/d", "log-driver": "local"}', "24.0") == {"DJ102"}
    assert ids('{"ip-forward-no-drop": true, "log-driver": "local"}', "27.5") == {"DJ104"}
    assert ids('{"ip-forward-no-drop": true, "log-driver": "local"}', "28.0") == set()
    assert [str(f) for f in lint('{"graph": "/d", "log-driver": "local"}', "24.0")] == [
        "daemon.json:1: error DJ102 graph was removed in 23.0 (use data-root)"
    ]


def test_a_field_that_an_engine_does_not_know_yet_is_ignored() -> None:
    text = '{"log-driver": "local", "builder": {"gc": {"enabled": false, "defaultReservedSpace": 5}}}'
    assert [(one.rule.id, one.level) for one in lint(text, "26.1")] == [("DJ111", "warning")]
    assert [(one.rule.id, one.level) for one in lint(text, "28.5")] == [("DJ110", "error")]


def test_each_row_of_the_table_of_keys_is_complete() -> None:
    effects = {"restart", "reload", "reload-resets"}
    for key in keys().values():
        assert key.effect in effects, key
    table = Path(daemon_keys.__file__).with_name("keys.yml")
    for name, row in yaml.safe_load(table.read_text()).items():
        if "until" in row or "deprecated" in row:
            assert "instead" in row, f"{name}: the table does not say what replaces it"


def test_each_rule_has_a_generated_page_and_a_case() -> None:
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


NFTABLES = """\
- name: Docker hosts
  hosts: docker
  spec:
    SYSCTL
    engine: {daemon: {log-driver: local, firewall-backend: nftables}}
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
    done = preloaded.run(["lint", "-i", "inventory.yml", "--format", "json"], cwd=folder)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == any(row["level"] == "error" for row in found), done.stderr
    return found


HOSTS = "    web1: {ansible_host: 192.0.2.1}\n    web2: {ansible_host: 192.0.2.2}\n"


#: A file with the default mode, one with a declared mode, and those that other users can't read.
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
        (NFTABLES.replace("SYSCTL", "sysctl: {vm.swappiness: 10}"), HOSTS, [("SP407", 5)]),
        (NFTABLES.replace("SYSCTL", "sysctl: {net.ipv4.ip_forward: 1}"), HOSTS, []),
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
        (PLAYBOOK.replace("bip | default", "bipp | defualt"), HOSTS, [("DJ101", 10), ("PB001", 9)]),
    ],
)
def test_findings_in_playbooks_and_inventories(
    tmp_path: Path, playbook: str, hosts: str, expected: list[tuple[str, int]]
) -> None:
    found = project(tmp_path, playbook, hosts)
    assert sorted({(row["id"], row["line"]) for row in found}) == expected


#: A drop-in that replaces the command of docker.service.
DROP_IN = """\
- name: Docker hosts
  hosts: docker
  spec:
    files:
      /etc/systemd/system/docker.service.d/x.conf: {content: "[Service]\\nExecStart=\\nExecStart=dockerd COMMAND\\n"}
    engine:
      daemon: {log-driver: local, hosts: ["unix:///var/run/docker.sock"], containerd: /run/c.sock}
"""
COMMENTS = """\
- name: Docker hosts
  hosts: docker
  spec:
    engine:
      daemon:
        log-driver: local
        debug: true  # provision: ignore=DJ307, DJ3O7
        proxies: {http-proxy: "http://u:pw@h:1"}
        log-opts: # provision: ignore=dj210
"""


@pytest.mark.parametrize(
    ("playbook", "expected"),
    [
        (DROP_IN.replace("COMMAND", "--containerd=/run/x.sock"), [("DJ214", "containerd")]),
        (DROP_IN.replace("COMMAND", "-H fd://"), [("DJ214", "hosts")]),
        (DROP_IN.replace("COMMAND", ""), []),
        (DROP_IN.replace("ExecStart=", "# "), [("DJ214", "containerd"), ("DJ214", "hosts")]),
        (COMMENTS, [("DJ317", "proxies.http-proxy"), ("LT003", "the"), ("LT003", "the")]),
        ("- name: D\n  hosts: docker\n  spec:\n    engine: {}\n", [("DJ210", "the")]),
        ("- name: D\n  hosts: docker\n  spec:\n    engine: {source: installed}\n", []),
    ],
)
def test_findings_that_depend_on_other_parts_of_a_spec(
    tmp_path: Path, playbook: str, expected: list[tuple[str, str]]
) -> None:
    found = project(tmp_path, playbook, HOSTS)
    assert sorted((row["id"], row["message"].split()[0]) for row in found) == expected
    assert all(row["level"] == ("error" if row["id"] in ("DJ214", "DJ317") else "warning") for row in found)


def test_a_secret_in_a_template_of_a_public_file_is_reported(tmp_path: Path) -> None:
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
    without_lint = subprocess.run([*argv, "--no-lint"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert without_lint.returncode == 3, "the run continued, to a host that does not exist"
    assert "site.yml:10: warning DJ101 unknown key masquerade" in without_lint.stderr


def lint_files(folder: Path, *words: str) -> tuple[int, list[tuple[str, str]]]:
    done = preloaded.run(["lint", "--format", "json", *words], cwd=folder)
    return done.returncode, [(row["file"], row["id"]) for row in json.loads(done.stdout)]


def test_a_file_that_cannot_be_read_does_not_hide_the_findings_of_others(tmp_path: Path) -> None:
    """Each format is complete: the unreadable files are findings too."""
    (tmp_path / "a.json").write_text('{"gragh": 1, "log-driver": "local"}')
    (tmp_path / "b.json").write_bytes(b'{"debug": "\xff"}')
    (tmp_path / "c.json").mkdir()
    (tmp_path / "e.json").write_text('{"log-driver": "local", "mtu": "x"}')
    names = ("b.json", "a.json", "c.json", "d.json", "no.yml", "e.json")
    expected = [("b.json", "LT001"), ("a.json", "DJ101"), ("c.json", "LT001"), ("d.json", "LT001")]
    assert lint_files(tmp_path, *names) == (1, [*expected, ("no.yml", "PB001"), ("e.json", "DJ110")])
    assert lint_files(tmp_path, "d.json") == (1, [("d.json", "LT001")])
    assert lint_files(tmp_path, "--fix", "d.json", "a.json") == (2, [("d.json", "LT001"), ("a.json", "DJ101")])


def test_an_internal_error_does_not_hide_the_findings_of_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(daemon: Any, target: Target) -> list[Finding]:
        return [] if "mtu" not in daemon else [daemon["no such key"]]

    monkeypatch.setattr("provision.lint.daemon_file.CHECKS", (broken,))
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    paths[0].write_text('{"mtu": 1400}')
    paths[1].write_text('{"gragh": 1}')
    assert main(["lint", "--format", "json", *map(str, paths)]) == 1
    out, err = capsys.readouterr()
    assert [(row["file"], row["id"]) for row in json.loads(out)] == [
        (str(paths[0]), "LT002"),
        (str(paths[1]), "DJ101"),
    ]
    assert "KeyError: 'no such key'" in out
    assert "Traceback" in err


def test_a_wrong_engine_is_refused_for_a_playbook_too(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "provision", "lint", "--engine", "banana", "site.yml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "provision: --engine takes a version such as 28.5, not banana\n"


def test_the_same_advice_for_many_files_is_one_line_of_text() -> None:
    found = [one for name in "abc" for one in lint_text(Path(name), '{"debug": true}', (28, 5))]
    lines = output_formats.text(found).splitlines()
    assert [words.split()[2] for words in lines[:-1]] == ["DJ210", "DJ307", "DJ307", "DJ307"]
    assert lines[0].endswith("[and 2 more with this advice]")
    assert lines[-1] == "0 errors, 6 warnings"
    assert len(json.loads(output_formats.as_json(found))) == 6


def test_each_output_format_reports_the_findings() -> None:
    found = lint('{"log-driver": "local",\n"debug": "a,b: %"}')
    assert output_formats.text(found).splitlines()[-1] == "1 errors, 0 warnings"
    (row,) = json.loads(output_formats.as_json(found))
    assert (row["id"], row["line"], row["level"]) == ("DJ110", 2, "error")
    run = json.loads(output_formats.sarif(found))["runs"][0]
    assert run["tool"]["driver"]["rules"][0]["id"] == run["results"][0]["ruleId"] == "DJ110"
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert run["results"][0]["ruleIndex"] == 0
    assert output_formats.github(found).startswith(
        "::error file=daemon.json,line=2,title=DJ110 wrong-type::debug must be"
    )
    assert output_formats.github(found).count("\n") == 1
    assert "%25" in output_formats.github(found)


#: SARIF 2.1.0 (OASIS standard, 27 March 2020): section -> what it requires of an object, as far as it is written here.
def check_sarif(log: dict[str, Any]) -> None:
    """The properties that the standard requires, their types, and no property that it does not know."""

    def known(value: dict[str, Any], section: str, required: set[str], optional: set[str]) -> None:
        assert required <= set(value) <= required | optional, (section, value)

    known(log, "3.13 sarifLog", {"version", "runs"}, {"$schema"})
    assert log["version"] == "2.1.0"  # 3.13.2
    for run in log["runs"]:
        known(run, "3.14 run", {"tool", "results"}, set())
        driver = run["tool"]["driver"]
        known(driver, "3.19 toolComponent", {"name"}, {"version", "rules"})
        identifiers = [rule["id"] for rule in driver["rules"]]
        assert len(set(identifiers)) == len(identifiers)  # 3.19.23: unique
        for rule in driver["rules"]:
            descriptions = {"shortDescription", "fullDescription", "help"}
            known(rule, "3.49 reportingDescriptor", {"id"}, {"name", "defaultConfiguration", *descriptions})
            assert all(set(rule[name]) == {"text"} and rule[name]["text"] for name in descriptions)  # 3.12
            assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")  # 3.50.3
        for result in run["results"]:
            known(result, "3.27 result", {"message"}, {"ruleId", "ruleIndex", "level", "locations"})
            assert identifiers[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
            assert result["level"] in ("none", "note", "warning", "error")  # 3.27.10
            assert set(result["message"]) == {"text"}  # 3.11
            for location in result["locations"]:
                known(location, "3.28 location", {"physicalLocation"}, set())
                place = location["physicalLocation"]
                known(place, "3.29 physicalLocation", {"artifactLocation"}, {"region"})
                uri = place["artifactLocation"]["uri"]
                assert re.fullmatch(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+", uri), uri  # 3.4.3, RFC 3986
                assert isinstance(place["region"]["startLine"], int)
                assert place["region"]["startLine"] >= 1  # 3.30.5


def test_sarif_output_follows_the_standard() -> None:
    found = [one for case in CASES.values() for one in lint_text(Path("a b/\u00e4[1]#%.json"), case, (29, 7))]
    log = json.loads(output_formats.sarif(found))
    check_sarif(log)
    assert len(log["runs"][0]["results"]) == len(found) > 500
    for broken in (
        {**log, "version": "2.0"},
        {**log, "extra": 1},
        {**log, "runs": [{**log["runs"][0], "results": [{**log["runs"][0]["results"][0], "level": "fatal"}]}]},
        {**log, "runs": [{**log["runs"][0], "results": [{**log["runs"][0]["results"][0], "ruleIndex": 1}]}]},
    ):
        with pytest.raises(AssertionError):
            check_sarif(broken)


def test_every_fault_of_a_playbook_is_found_in_one_run(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """\
- name: one
  hosts: docker
  vras: {}
  spec:
    egnine: {}
    hostname: "{{ nme }}"
    files: {/etc/a: {content: a, mode: 640}, /etc/b: {contnet: b}}
    containers:
      app: {image: a, environment: {A: no, B: 1.10}, ports: ["80"]}
      other: {}
    engine: {daemon: {bip: 10.0.0.0/24, hosst: []}, version: 26.1}
- name: two
  hosts: docker
  rollout: {waev: 1}
  spec: {modules: [a b]}
- name: three
  hosts: dockr
  spec: {}
- {name: four, hosts: docker}
""",
        HOSTS,
    )
    faults = [(one["line"], one["id"]) for one in found if one["level"] == "error"]
    project_lines = [3, 5, 6, 7, 7, 9, 9, 9, 10, 11, 14, 15, 17, 19]
    assert [line for line, rule in faults if rule == "PB001"] == project_lines
    assert [rule for line, rule in faults if line == 11] == ["DJ101", "DJ203", "DJ214", "PB001"]


def _host(spec: str) -> str:
    indented = "".join(f"    {line}\n" for line in spec.splitlines())
    return f"- name: one\n  hosts: docker\n  spec:\n{indented}"


ONE = "    web1: {ansible_host: 192.0.2.1}\n"
SHOP = "compose: {shop: {content: 'services: {a: {image: b}}'}}\n"
LOG = "containers: {one: {image: a, log: LOG}}"
SHOP_PORTS = 'compose: {shop: {content: \'services: {a: {image: b, ports: ["8000-8005:80", "81"]}}\'}}\n'
SHOP_LOG = "compose: {shop: {content: 'services: {a: {image: b, logging: {options: {max-size: SIZE, max-file: 3}}}}'}}"
SHOP_NETWORK = "compose: {shop: {content: '{services: {a: {image: b, networks: [x]}}, networks: {x: NETWORK}}'}}\n"
MOUNT = "files: {/srv/conf/a.yml: {content: a}}\ncontainers: {one: {image: a, volumes: [VOLUME]}}"
SUDO = 'files: {/etc/sudoers.d/x: {content: "LINE\\n", mode: "0440"}}'
TCP = (
    "files: {/etc/systemd/system/docker.service.d/x.conf: "
    '{content: "[Service]\\nExecStart=\\nExecStart=dockerd\\n"}}\n'
    "engine: {daemon: {log-driver: local, tlsverify: true, tlscacert: /a, tlscert: /b, tlskey: /c, "
    'hosts: ["tcp://127.0.0.1:2376"]}}\n'
)
METRICS = 'engine: {daemon: {log-driver: local, metrics-addr: "127.0.0.1:9323"}}\n'
WITHIN = [
    ('containers: {one: {image: a, ports: ["80:80"]}, two: {image: a, ports: ["80:81"]}}', "SP408"),
    ('containers: {one: {image: a, ports: ["127.0.0.1:80:80"]}, two: {image: a, ports: ["80:81"]}}', "SP408"),
    ('containers: {one: {image: a, ports: ["0.0.0.0:80:80"]}, two: {image: a, ports: ["[::1]:80:81"]}}', "SP408"),
    ('containers: {one: {image: a, ports: ["127.0.0.1:80:80"]}, two: {image: a, ports: ["127.0.0.2:80:80"]}}', None),
    ('containers: {one: {image: a, ports: ["80:80"]}, two: {image: a, ports: ["80:80/udp"]}}', None),
    ('containers: {one: {image: a, ports: ["80:80"]}, two: {image: a, ports: ["80:80"], running: false}}', None),
    ('containers: {one: {image: a, ports: ["0:80"]}, two: {image: a, ports: ["0:80"]}}', None),
    ('registry: {name: r.example, tls: {ca: x}}\ncontainers: {one: {image: a, ports: ["5000:80"]}}', "SP408"),
    (METRICS + 'containers: {one: {image: a, ports: ["9323:80"]}}', "SP408"),
    ("networks: {one: {subnet: 10.5.0.0/16}, two: {subnet: 10.5.1.0/24}}", "SP409"),
    ("engine: {daemon: {log-driver: local, bip: 10.5.0.1/24}}\nnetworks: {one: {subnet: 10.5.0.0/16}}", "SP409"),
    ("networks: {one: {subnet: 10.5.0.0/16}, two: {subnet: 10.6.0.0/16}}", None),
    ("networks: {one: {subnet: 10.5.0.0/16}, two: {subnet: 10.5.1.0/24, absent: true}}", None),
    ("networks: {front: {}}\ncontainers: {one: {image: a, networks: [frnot]}}", "SP411"),
    ("networks: {front: {}}\ncontainers: {one: {image: a, networks: [front]}}", None),
    (SHOP + "containers: {one: {image: a, networks: [shop_default]}}", None),
    ("containers: {one: {image: a, networks: [host]}}", None),
    ("containers: {one: {image: a, environment: {DB_PASSWORD: hunter2}}}", "SP412"),
    ("containers: {one: {image: a, environment: {DB_PASSWORD: !secret {env: HOME}}}}", None),
    ("containers: {one: {image: a, environment: {DB_PASSWORD_FILE: /run/secrets/db, PASSWORD: ''}}}", None),
    ("compose: {shop: {content: 'services: {a: {image: b}}', environment: {API_KEY: abc}}}", "SP412"),
    ("compose: {shop: {content: 'services: {a: {image: b, environment: {DB_PASSWORD: x}}}'}}", "SP412"),
    ("compose: {shop: {content: 'services: {a: {image: b, environment: [TOKEN=x]}}'}}", "SP412"),
    (
        (
            "compose: {shop: {content: 'services: {a: {image: b, environment: {PW_TOKEN: $T}}}', "
            "environment: {T: !secret {env: HOME}}}}"
        ),
        None,
    ),
    (LOG.replace("LOG", "{driver: splunk, options: {splunk-url: 'https://s', splunk-token: x}}"), "SP412"),
    (LOG.replace("LOG", "{options: {max-size: 10x}}"), "DJ208"),
    (LOG.replace("LOG", "{driver: json-file, options: {max-sise: 10m}}"), "DJ208"),
    (LOG.replace("LOG", "{driver: jsonfile}"), "DJ209"),
    (LOG.replace("LOG", "{driver: gelf}"), "DJ208"),
    (LOG.replace("LOG", "{options: {max-size: 10m, max-file: 3}}"), None),
    (
        "engine: {daemon: {log-driver: gelf, log-opts: {gelf-address: 'udp://192.0.2.1:1'}}}\n"
        + LOG.replace("LOG", "{driver: gelf, options: {tag: a}}"),
        None,
    ),
    (SHOP_PORTS + 'containers: {one: {image: a, ports: ["8003:80"]}}', "SP408"),
    (SHOP_PORTS + 'containers: {one: {image: a, ports: ["8006:80", "81:81"]}}', None),
    (
        (
            "compose: {one: {content: 'services: {a: {image: b, ports: [\"80:80\"]}}'}, "
            "two: {content: 'services: {a: {image: b, ports: [{published: 80, target: 1}]}}'}}"
        ),
        "SP408",
    ),
    (
        (
            'compose: {one: {content: \'services: {a: {image: b, ports: ["80:80"]}, '
            'c: {image: b, ports: ["80:80"], profiles: [x]}}\'}}'
        ),
        None,
    ),
    ("engine: {daemon: {log-driver: local, log-opts: }}", None),
    ("engine: {daemon: {log-opts: {max-size: }}}", "DJ208"),
    ("engine: {daemon: {log-driver: splunk, log-opts: {splunk-url: 'https://s', splunk-token: x}}}", "DJ317"),
    ("engine: {daemon: {log-driver: local, proxies: {http-proxy: 'http://u:pw@h'}}}", "DJ317"),
    (TCP + 'containers: {one: {image: a, ports: ["2376:80"]}}', "SP408"),
    (SHOP_NETWORK.replace("NETWORK", "{ipam: {config: [{subnet: 10.5.0.0/16}]}}") + "networks: {n: {}}", None),
    (
        SHOP_NETWORK.replace("NETWORK", "{ipam: {config: [{subnet: 10.5.0.0/16}]}}")
        + "networks: {n: {subnet: 10.5.1.0/24}}",
        "SP409",
    ),
    (SHOP_NETWORK.replace("NETWORK", "{ipam: {config: [{subnet: 10.5.0.1/16}]}}"), "SP409"),
    (SHOP_NETWORK.replace("NETWORK", "{external: true}") + "networks: {xx: {}}", "SP411"),
    (SHOP_NETWORK.replace("NETWORK", "{external: true}") + "networks: {x: {}}", None),
    (MOUNT.replace("VOLUME", "/srv/web/app.yml:/etc/app.yml"), "SP415"),
    (MOUNT.replace("VOLUME", "/srv/web:/etc/web:ro"), "SP415"),
    (MOUNT.replace("VOLUME", "/srv/conf/a.yml:/etc/a.yml"), None),
    (MOUNT.replace("VOLUME", "/srv/conf:/etc/a:ro"), None),
    (MOUNT.replace("VOLUME", "/srv/data:/data"), None),
    (MOUNT.replace("VOLUME", "/etc/localtime:/etc/localtime:ro"), None),
    (MOUNT.replace("VOLUME", "/var/run/docker.sock:/var/run/docker.sock:ro"), None),
    (MOUNT.replace("VOLUME", "/:/rootfs:ro"), None),
    (MOUNT.replace("VOLUME]", "/srv/d:/d] }, two: {image: a, volumes: [/srv/d/e:/e:ro]"), None),
    ("compose: {shop: {content: 'services: {a: {image: b, volumes: [/srv/web/app.yml:/a.yml]}}'}}", "SP415"),
    ("compose: {shop: {content: 'services: {a: {image: b:$TAG}}'}}", "SP410"),
    ("compose: {shop: {content: 'services: {a: {image: b:$TAG}}', environment: {TAG: 1}}}", None),
    ("volumes: {data: {}}\ncontainers: {one: {image: a, volumes: ['dta:/data']}}", "SP415"),
    ("volumes: {data: {}}\ncontainers: {one: {image: a, volumes: ['data:/data', 'xyz:/x']}}", None),
    (SHOP_LOG.replace("SIZE", "10x"), "DJ208"),
    (SHOP_LOG.replace("SIZE", "10m"), None),
    (SUDO.replace("LINE", "ci ALL=(ALL NOPASSWD: ALL"), "SP416"),
    (SUDO.replace("LINE", "ci ALL=(ALL) NOPASSWD: ALL"), None),
    (SUDO.replace("LINE", "ci ALL=(ALL) ALL").replace("sudoers.d/x", "sudoers.d/x.conf"), "SP416"),
    (SUDO.replace("LINE", "ci ALL=(ALL) ALL").replace("0440", "0646"), "SP416"),
]


def test_the_variables_of_a_compose_file_make_a_limited_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_MAX_TEMPLATE_TEXT", "1000")
    content = f"services: {{a: {{image: b, command: {'$A' * 101}}}}}"
    spec = f"compose: {{shop: {{content: '{content}', environment: {{A: {'x' * 10}}}}}}}"
    found = project(tmp_path, _host(spec), ONE)
    assert [row["id"] for row in found] == ["SP410"]
    assert "its variables make more than 1,000 characters" in found[0]["message"]


def test_a_directory_that_cannot_be_listed_gives_no_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert variables._beside(tmp_path / "x") == []


@pytest.mark.parametrize(("spec", "rule"), WITHIN)
def test_a_host_is_compared_with_itself(spec: str, rule: str | None, tmp_path: Path) -> None:
    if "ca: x" in spec:
        spec = spec.replace("tls: {ca: x}", "tls: {cert: -----BEGIN A -----END A, key: -----BEGIN K -----END K}")
    found = project(tmp_path, _host(spec), ONE)
    assert [row["id"] for row in found] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services: {a: {image: b, volumes: ['./conf:/etc/a']}}",
            "services.a.volumes[0]: the host does not get ./conf",
        ),
        ("services: {a: {image: b, volumes: [{type: bind, source: c, target: /c}]}}", "the host does not get c"),
        ("services: {a: {image: b, volumes: ['~/c:/c']}}", "the host does not get ~/c"),
        ("services: {a: {image: b, env_file: .env}}", "services.a.env_file: the host does not get the file .env"),
        ("services: {a: {image: b, env_file: [{path: c.env, required: false}]}}", "does not get the file c.env"),
        ("services: {a: {build: .}}", "services.a.build: the host does not get the directory ."),
        ("services: {a: {build: {dockerfile: X}}}", "services.a.build: the host does not get the directory ."),
        ("services: {a: {extends: {file: b.yml, service: c}}}", "extends.file: the host does not get the file b.yml"),
        ("services: {a: {image: b}}\nsecrets: {c: {file: ./c}}", "secrets.c.file: the host does not get the file ./c"),
        ("services: {a: {image: b}}\nconfigs: {c: {file: d}}", "configs.c.file: the host does not get the file d"),
        ("include: [b.yml]", "include: the host does not get the file b.yml"),
        ("x-a: &a {env_file: a.env}\nservices: {a: {image: b, <<: *a}}", "does not get the file a.env (line 1)"),
        ("service: {a: {image: b}}", "unknown key service (line 1)"),
        ("services: [", "is not a compose file: not YAML"),
        ("- a", "a compose file is a mapping with services"),
        ("services: {a: {image: b, volumes: ['${C:-./c}/d:/d']}}", "the host does not get ./c/d"),
        ("services: {a: {image: b, label_file: c}}", "services.a.label_file: the host does not get the file c"),
        ("services: {a: {image: b, env_file: [/e.env, .env]}}", "does not get the file .env"),
        ("include: [{path: /b.yml, env_file: c.env}]", "include.env_file: the host does not get the file c.env"),
        (
            "services: {a: {image: b}}\nvolumes: {c: {driver_opts: {type: none, o: bind, device: ./d}}}",
            "volumes.c: the host does not get ./d",
        ),
        ("services: {a: {imge: b}}", "services.a: unknown key imge"),
        ("services: {a: {restart: always}}", "services.a needs image"),
        ("services: {a: {image: b, networks: [c]}}", "services.a uses c, which networks does not have"),
        ("services: {a: {image: b, volumes: ['c:/c']}}", "services.a uses c, which volumes does not have"),
        ("services: {a: {image: b, secrets: [{source: c}]}}", "services.a uses c, which secrets does not have"),
        ("services: {a: {image: b, depends_on: {c: {}}}}", "services.a uses c, which services does not have"),
        ("services: {a: {image: b, depends_on: {c: {condition: service_started, required: false}}}}", None),
        ("services: {a: {image: 'b:${C:?needed}'}}", "C has no value, and compose refuses the file"),
        ("services: {a: {image: b, volumes: ['/c:/c', 'd:/d', /e, '${F-/f}/g:/g']}}\nvolumes: {d: }", None),
        ("services: {a: {image: b, ports: !reset [], env_file: /etc/a.env}}\nx-b: 1\nversion: '3'", None),
        ("services: {a: {build: 'https://git.example/a.git'}}\nconfigs: {c: {content: d}}", None),
        ("services: {a: {image: b}}\nsecrets: {c: {environment: D}, e: {external: true}}", None),
    ],
)
def test_a_compose_file_needs_no_file_of_the_controller(text: str, message: str | None, tmp_path: Path) -> None:
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    found = project(
        tmp_path, _host(f"compose:\n  shop:\n    content: |\n  {indented.replace(chr(10), chr(10) + '  ')}"), ONE
    )
    assert [row["level"] for row in found] == (["error"] if message else [])
    assert message is None or message in found[0]["message"]


def test_a_compose_file_of_its_own_has_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "playbooks/files").mkdir(parents=True)
    (tmp_path / "playbooks/files/c.yml").write_text("services:\n  a:\n    image: b\n    env_file: x.env\n")
    found = project(tmp_path, _host("compose: {shop: {src: c.yml}}"), ONE)
    assert [(row["id"], row["line"], row["file"]) for row in found] == [("SP410", 4, "playbooks/files/c.yml")]


def test_a_password_of_the_inventory_in_the_clear_is_a_warning(tmp_path: Path) -> None:
    found = project(
        tmp_path, _host("hostname: web1"), "    web1: {ansible_host: 192.0.2.1, ansible_password: hunter2}\n"
    )
    assert [(row["id"], row["level"], row["file"]) for row in found] == [("SP412", "warning", "inventory.yml")]
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ansible_hosst: 192.0.2.1", [("SP413", "error", 'did you mean "ansible_host"?')]),
        ("ansible_prot: 22", [("SP413", "error", 'did you mean "ansible_port"?')]),
        ("ansibel_user: ops", [("SP413", "error", 'did you mean "ansible_user"?')]),
        (
            "ansible_become_pasword: !secret {env: HOME}",
            [("SP413", "error", 'did you mean "ansible_become_password"?')],
        ),
        ("provision_known_host: x", [("SP413", "error", 'did you mean "provision_known_hosts"?')]),
        ("ansible_users: [ops]", [("SP413", "warning", 'did you mean "ansible_user"?')]),
        ("ansible_host: 192.0.2.1, ansible_sudo_pass: '', my_hosst: a, possible_host: b", []),
    ],
)
def test_a_misspelt_connection_variable_is_reported(
    given: str, expected: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    found = project(tmp_path, _host("hostname: web1"), f"    web1: {{{given}}}\n")
    assert [(row["id"], row["level"], row["hint"]) for row in found] == expected
    assert all((row["file"], row["line"]) == ("inventory.yml", 3) for row in found)


def test_no_variable_of_ansible_is_a_misspelling() -> None:
    """Every name in the sources of ansible-core: connections, become, facts, magic variables."""
    spec = importlib.util.find_spec("ansible")
    assert spec is not None
    assert spec.origin is not None
    names = {
        name
        for path in Path(spec.origin).parent.rglob("*.py")
        for name in re.findall(r"\bansible_[a-z0-9_]+[a-z0-9]\b", path.read_text())
    }
    assert len(names) > 150
    assert {name: variables.misspelt(name) for name in names if variables.misspelt(name)} == {}


def test_the_missing_file_of_a_secret_is_reported(tmp_path: Path) -> None:
    (tmp_path / "playbooks/secrets").mkdir(parents=True)
    (tmp_path / "playbooks/secrets/token.txt").write_text("x")
    play = """\
- name: one
  hosts: docker
  vars:
    there: !secret {file: secrets/token.txt}
    almost: !secret {file: secrets/tokn.txt}
    lacking: !secret {age: secrets/other.age}
    environment: !secret {env: NOT_SET_ANYWHERE}
    outside: !secret {file: /nonexistent/x}
  spec: {files: {/etc/a: {content: "{{ lacking }}{{ almost }}", mode: "0600"}}}
"""
    found = project(tmp_path, play, "    web1: {x: !secret {file: y}}\n")
    assert [(row["id"], row["file"], row["line"], row["level"]) for row in found] == [
        ("SP414", "inventory.yml", 3, "warning"),
        ("SP414", "playbooks/site.yml", 5, "error"),
        ("SP414", "playbooks/site.yml", 6, "warning"),
    ]
    assert found[1]["hint"] == 'did you mean "token.txt"?'


#: The forms of sudoers(5).
SUDOERS = r"""root ALL=(ALL:ALL) ALL
%sudo	ALL=(ALL:ALL) ALL
ci ALL = NOPASSWD:/usr/bin/docker, PASSWD: /bin/ls -l /a\:b
Defaults env_reset
Defaults:ci !requiretty
Defaults!/bin/ls noexec
Defaults secure_path="/usr/sbin:/usr/bin"
# a comment (
@includedir /etc/sudoers.d
#includedir /etc/sudoers.d
User_Alias OPS = a, b
Cmnd_Alias X = /bin/a, \
    /bin/b
%ops, bob web1, web2 = (root) NOEXEC: SETENV: /usr/bin/vi
#1000 ALL=(ALL) ALL
+net ALL=(ALL) NOPASSWD: ALL # a comment
ci ALL=(ALL) CWD=/home/x NOPASSWD: /bin/true, !/bin/su
ci ALL=(:docker) sha256:abc /bin/ls
"a b" ALL=(ALL) ALL
%c\ d ALL=() NOPASSWD: ALL : web1 = (root) sudoedit /etc/hosts
"""


def test_correct_sudoers_files_have_no_fault() -> None:
    assert list(sudoers.faults(SUDOERS)) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ci ALL=(ALL NOPASSWD: ALL", "a parenthesis is not closed"),
        ("ci ALL=(ALL) NOPASWD: ALL", "unknown tag NOPASWD"),
        ("ci ALL(ALL) ALL", "is neither USER HOST=(RUNAS) COMMAND nor an alias nor Defaults"),
        ("ci ALL=(ALL)", "is neither USER HOST=(RUNAS) COMMAND nor an alias nor Defaults"),
        ('Defaults secure_path="/a', "a quote is not closed"),
        ("ci ALL=(ALL) \\", "the line continues after its last \\"),
    ],
)
def test_a_fault_in_a_sudoers_file_has_its_line(line: str, reason: str) -> None:
    assert list(sudoers.faults(f"# x\n\n{line}\n")) == [(3, reason)]


def test_a_long_list_of_users_is_read_in_linear_time() -> None:
    """With two ways to read each comma this would never end."""
    users = "a," * 5000 + "a"
    assert list(sudoers.faults(f"{users} ALL=(ALL) ALL")) == []
    assert list(sudoers.faults(users)) == [(1, "is neither USER HOST=(RUNAS) COMMAND nor an alias nor Defaults")]


def test_each_port_that_is_used_twice_is_reported_once(tmp_path: Path) -> None:
    ports = '"80:80", "1000-60000:1000-60000"'
    services = f"services: {{a: {{image: b, ports: [{ports}]}}, c: {{image: b, ports: [{ports}]}}}}"
    found = project(tmp_path, _host(f"compose: {{shop: {{content: '{services}'}}}}"), ONE)
    assert [row["message"].partition(": ")[2] for row in found] == [
        f"by compose.shop.services.a.ports[{number}] and by compose.shop.services.c.ports[{number}]"
        for number in (0, 1)
    ]


def test_the_first_example_of_the_spec_page_has_no_error(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs/spec.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    found = project(tmp_path, example, ONE + "staging: {hosts: {web2: }}\n")
    assert "range" in example
    assert [row for row in found if row["level"] == "error"] == []


@pytest.mark.parametrize("value", ["--5", "9" * 5000])
def test_a_text_that_python_takes_for_no_number_is_a_finding(value: str) -> None:
    """int() refuses a second sign, and more than 4300 digits."""
    found = lint(json.dumps({"mtu": value}))
    assert "DJ110" in {one.rule.id for one in found}


@pytest.mark.parametrize(("text", "accepted"), [("24h", True), ("٢٤h", False)])
def test_a_duration_has_the_digits_of_go(text: str, accepted: bool) -> None:
    assert is_duration(text) is accepted
