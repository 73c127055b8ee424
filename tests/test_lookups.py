"""Ansible's lookups and filters in templates: their results, which of them are refused by name, and their limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import limits
from provision.errors import SpecError
from provision.inventory.vault import Source, Vault
from provision.secrets import secret
from provision.text.expressions import Costly, counted
from tests.conftest import Project
from tests.test_vault import PASSWORD, encrypted

HUSH = "hush-5b1e-hush"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_OPENER", [])
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    yield
    limits.confine([])
    limits.of.cache_clear()


@pytest.fixture
def value(project: Project) -> Any:
    def of(template: str) -> Any:
        variables = f"v: {json.dumps(template)}\n      x: abc-12\n      flag: 'Yes'\n      zero: '0'\n"
        project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1:\n      {variables}")
        return project.inventory().scope("web1")[0]["v"]

    return of


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ x | regex_replace('-(\\d+)$', '+\\1') }}", "abc+12"),
        ("{{ x | regex_replace('[^a-z]', '_') }}", "abc___"),
        ("{{ x | regex_replace('B', 'x', ignorecase=true) }}", "axc-12"),
        ("{{ x | regex_search('[a-z]+') }}", "abc"),
        ("{{ x | regex_search('([a-z]+)-(?P<n>\\d+)', '\\1', '\\g<n>') }}", ["abc", "12"]),
        ("{{ x | regex_search('Z') is none }}", True),
        ("{{ (x == 'abc-12') | ternary('yes', 'no') }}", "yes"),
        ("{{ none | ternary('yes', 'no', 'none') }}", "none"),
        ("{{ flag | bool }}", True),
        ("{{ zero | bool }}", False),
        ("{{ nothing | default('there') }}", "there"),
        ("{{ '/a/b.c' | basename }} {{ '/a/b.c' | dirname }}", "b.c /a"),
        ("{{ x | split('-') | first }}", "abc"),
        ("{{ x | mandatory }}", "abc-12"),
    ],
)
def test_filters_have_ansibles_results(value: Any, template: str, expected: object) -> None:
    assert value(template) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ x | ipaddr }}", "hosts.yml:4: v: template error: No filter named 'ipaddr'"),
        (
            "{{ x | json_query('a') }}",
            "No filter named 'json_query'. (Ansible's filters of collections are not supported",
        ),
        ("{{ x | regex_repalce('a', 'b') }}", 'did you mean "regex_replace"?'),
        ("{{ x | combin({}) }}", 'did you mean "combine"?'),
        ("{{ x | flaten }}", 'did you mean "flatten"?'),
        ("{{ x is serch('a') }}", "No test named 'serch'. (did you mean \"search\"?)"),
        ("{{ x | realpath }}", "No filter named 'realpath'. (it reads the controller's files, clock or random numbers"),
        ("{{ x | ansible.builtin.shuffle }}", "(it reads the controller's files, clock or random numbers"),
        ("{{ x is exists }}", "No test named 'exists'. (it reads the controller's files"),
        ("{{ x is ansible.utils.in_network('a') }}", "(Ansible's tests of collections are not supported"),
        ("{{ hostvars['nope'].x }}", "hosts.yml:4: v: undefined variable: hostvars: no such host: nope"),
        ("{{ hostvars[inventory_hostname].zz.yy }}", "hosts.yml:4: v: undefined variable: the mapping has no key 'zz'"),
        ("{{ {'a': 1}.zz.yy }}", "hosts.yml:4: v: undefined variable: the mapping has no key 'zz'"),
        ("{{ hostvars[x] }}", "hosts.yml:4: v: undefined variable: hostvars: no such host: abc-12"),
        (
            "{{ lookup('password', '/dev/null') }}",
            "hosts.yml:4: v: template error: the lookup 'password' is not supported",
        ),
        ("{{ lookup('pipe', 'id') }}", "the lookup 'pipe' is not supported"),
        ("{{ query('env', 'HOME') }}", "'query' is undefined"),
        ("{{ lookup('file', 'nowhere.txt') }}", "lookup('file', 'nowhere.txt'): no such file (looked in "),
        ("{{ lookup('env', 'NO_SUCH_PASSWORD') }}", "the environment variable NO_SUCH_PASSWORD is not set"),
        ("{{ lookup('env', 'HOME', errors='ignore') }}", "lookup('env') takes no errors"),
        ("{{ lookup('env') }}", "lookup('env') needs a name"),
        ("{{ nothing | mandatory }}", "a mandatory variable is not defined"),
        ("{{ 'perhaps' | bool }}", 'filter "bool" takes yes, no'),
        ("{{ x | regex_replace('(', '') }}", "not a regular expression"),
        ("{{ x | regex_replace('a', '\\9') }}", "invalid group reference"),
        ("{{ x | regex_search('(a)', '\\7') }}", "no such group"),
    ],
)
def test_a_refused_lookup_is_an_error_with_its_line(value: Any, template: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        value(template)
    assert message in str(caught.value)
    assert "hosts.yml:4" in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|b)*",
        "((a+)b)+",
        "(?:a*)*",
        "(a+){2,}",
        "(a?)*",
        r"(a)\1",
        "(?P<n>a)(?P=n)",
        "((a|b)c)+",
        "(?>a)",
        r"[\]]+(a*)+",
    ],
)
def test_expressions_that_could_run_for_ever_are_refused(pattern: str) -> None:
    with pytest.raises(Costly):
        counted(pattern)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("abc", 0),
        ("a+b*", 2),
        (r"\(a+\)", 1),
        ("[a+(]*", 1),
        ("[]*]+", 1),
        ("(ab)+", 1),
        (r"^(.*)-(\d{1,3})$", 2),
        ("(?i)a?", 1),
    ],
)
def test_quantifiers_are_counted(pattern: str, count: int) -> None:
    assert counted(pattern)[0] == count


def test_the_cost_of_an_expression_grows_with_its_quantifiers(value: Any) -> None:
    """Each quantifier multiplies the ways to divide the text: several of them over a long text need too many steps."""
    assert value("{{ x | regex_replace('^(.*)-(.*)$', '\\2') }}") == "12"
    with pytest.raises(SpecError, match="the template takes more than 1,000,000 steps"):
        value("{{ ('a' * 5000) | regex_search('a*a*a*b') }}")


def test_lookups_read_the_environment_and_files(value: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE", "eu")
    project.write("playbooks/files/motd", "from files\n\n")
    project.write("inventory/near.txt", "near the inventory\n")
    assert value("{{ lookup('env', 'SITE') }}") == "eu"
    assert value("{{ lookup('ansible.builtin.env', 'NOT_THERE') }}") == ""
    assert value("{{ lookup('env', 'NOT_THERE', default='x') }}") == "x"
    assert value("{{ lookup('env', 'NO_PASSWORD') | default('x') }}") == "x"
    assert value("{{ lookup('env', 'NO_PASSWORD', default='x') }}") == "x"
    monkeypatch.setenv("SSH_KEY_PATH", "/keys/id")
    assert value("{{ lookup('env', 'SSH_KEY_PATH') | default('~/.ssh/id', true) }}") == "/keys/id"
    assert value("{{ lookup('file', 'motd') }}") == "from files"
    assert value("{{ lookup('file', 'motd', rstrip=false) }}") == "from files\n\n"
    assert value("{{ lookup('file', 'motd', 'near.txt') }}") == "from files,near the inventory"


def test_a_lookup_of_a_secret_returns_a_token(value: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", HUSH)
    project.write(
        "playbooks/files/key", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{HUSH}\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    project.write("playbooks/files/vaulted", encrypted(HUSH))
    project.write("password", f"{PASSWORD}\n")
    secret.open_vaults_with(Vault([Source("default", str(project.folder / "password"))]).open)
    for template in (
        "{{ lookup('env', 'DB_PASSWORD') }}",
        "{{ lookup('file', 'key') }}",
        "{{ lookup('file', 'vaulted') }}",
    ):
        found = value(template)
        assert secret.hidden(found)
        assert HUSH in secret.reveal(found)
    assert "DB_PASSWORD" not in secret.environment()
    with pytest.raises(SpecError, match="cannot be applied to a secret"):
        value("{{ lookup('env', 'DB_PASSWORD') | upper }}")
    with pytest.raises(SpecError, match="cannot be applied to a secret"):
        value("{{ lookup('env', 'DB_PASSWORD') | regex_replace('h', '') }}")


def test_a_linted_project_reads_nothing_outside_of_it(
    value: Any, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside.txt"
    outside.write_text(HUSH)
    project.write("inventory/near.txt", "near")
    (project.folder / "inventory/link.txt").symlink_to(outside)
    monkeypatch.setenv("SITE", "eu")
    limits.confine([project.folder / "playbooks/site.yml", project.folder / "inventory"])
    assert value("{{ lookup('file', 'near.txt') }}") == "near"
    for template in (
        "{{ lookup('env', 'SITE') }}",
        f"{{{{ lookup('file', '{outside}') }}}}",
        "{{ lookup('file', 'link.txt') }}",
        f"{{{{ lookup('file', '../../{outside.name}') }}}}",
    ):
        with pytest.raises(SpecError, match="not trusted") as caught:
            value(template)
        assert HUSH not in str(caught.value)
    package = Path(limits.__file__).parent
    assert limits.inside(package / "distros/distros.yml"), "provision's own files are read"
    assert not limits.inside(package.parent / "other/secret.yml"), "and nothing that is installed next to it"
    limits.confine([])
    assert value(f"{{{{ lookup('file', '{outside}') }}}}") == HUSH
