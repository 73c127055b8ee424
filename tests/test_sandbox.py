"""Limits of templates: they can't change the controller or work on a secret's characters, and their size and steps are
bounded."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import limits
from provision.errors import SpecError, Where
from provision.secrets import secret
from provision.text.render import Scope, Templates
from provision.text.sandbox.ansible_data import STRUCTURAL
from provision.text.sandbox.ansible_filters import FILTERS, TESTS
from provision.text.sandbox.bounds import WORKING
from provision.text.sandbox.filters import ENCODERS
from provision.text.yamlfile import Map, Seq, Unsafe
from tests.conftest import Project

VALUE = 'it\'s "50%" <b>/ü\nline 2'


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secret, "_KNOWN", {})
    limits.of.cache_clear()
    yield
    limits.of.cache_clear()


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """Variables with a secret: alone, in a list, in a mapping, in text. And a second secret."""
    monkeypatch.setenv("HUSH", VALUE)
    here = Where(tmp_path / "vars.yml", 7)
    token = Unsafe(secret.declare("db_password", {"env": "HUSH"}, here))
    values = Map(
        {
            "secret": token,
            "url": "postgres://u:{{ secret }}@db",
            "all": ["{{ secret }}", "x"],
            "users": [{"name": "b", "password": "{{ secret }}"}, {"name": "a", "password": "{{ secret }}"}],
            "settings": {"port": 5, "password": "{{ secret }}"},
        }.items()
    )
    return Scope(_seen(values))


def _seen(values: Map) -> Map:
    def made(value: object) -> object:
        if isinstance(value, dict):
            return Map((name, made(one)) for name, one in value.items())
        return Seq(made(one) for one in value) if isinstance(value, list) else value

    found = made(values)
    assert isinstance(found, Map)
    return found


def both(scope: Scope, folder: Path, text: str) -> list[str]:
    """``text`` as a value of YAML and as a template file."""
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates/x.j2").write_text(text)
    value = scope.render(text, "key", Where(folder / "site.yml", 3))
    return [str(value), Templates(folder / "templates").render("x.j2", scope)]


def refused(scope: Scope, folder: Path, text: str, line: int = 2) -> str:
    """The messages of both, which must be errors with file and line. ``line`` is the template file's: 2, the line of
    the text, except where jinja2 gives no line."""
    said = []
    where = Where(folder / "site.yml", 3)
    with pytest.raises(SpecError) as caught:
        scope.render(text, "key", where)
    assert f"{where}: key: " in str(caught.value)
    said.append(str(caught.value))
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates/x.j2").write_text(f"one\n{text}")
    with pytest.raises(SpecError) as caught:
        Templates(folder / "templates").render("x.j2", scope)
    assert f"{folder}/templates/x.j2:{line}: " in str(caught.value)
    said.append(str(caught.value))
    assert not any("\n" in one for one in said), "one message, one line"
    return "\n".join(said)


# --- secrets ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ secret }}", VALUE),
        ("a {{ secret }} b", f"a {VALUE} b"),
        ("{{ 'a' ~ secret ~ 1 }}", f"a{VALUE}1"),
        ("{{ 'a' + secret + 'b' }}", f"a{VALUE}b"),
        ("{{ ('<' | safe) + secret }}", f"<{VALUE}"),
        ("{{ secret | default('x') }}", VALUE),
        ("{{ nope | default(secret) }}", VALUE),
        ("{{ secret if secret is defined else 'none' }}", VALUE),
        ("{{ 'text' if secret is string and secret is not none and secret is not mapping }}", "text"),
        ("{{ 'yes' if secret }}", "yes"),
        ("{{ 'yes' if secret != none }}", "yes"),
        ("{{ all | join(',') }}", f"{VALUE},x"),
        ("{{ ','.join(all) }}", f"{VALUE},x"),
        ("{{ all | first }}{{ all | length }}{{ all[0] }}{{ all[:1] | first }}", f"{VALUE}2{VALUE}{VALUE}"),
        ("{{ users | map(attribute='password') | join(' ') }}", f"{VALUE} {VALUE}"),
        ("{{ (users | sort(attribute='name') | first).password }}", VALUE),
        ("{{ users | selectattr('name', 'equalto', 'b') | map(attribute='password') | first }}", VALUE),
        ("{% for user in users %}{{ user.password }}{% endfor %}", VALUE + VALUE),
        ("{% for key, value in settings | dictsort %}{{ key }}={{ value }} {% endfor %}", f"password={VALUE} port=5 "),
        ("{% for key, value in settings.items() %}{{ loop.index }}{{ value }}{% endfor %}", f"15{2}{VALUE}"),
        ("{{ settings.get('password') }}{{ settings.get('nope', secret) }}", VALUE + VALUE),
        ("{{ 'port' in settings }}{{ 'password' in settings }}", "TrueTrue"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(secret) }}", f"<{VALUE}>"),
        ("{% set x = namespace(y=secret) %}{% set x.y = x.y ~ '!' %}{{ x.y }}", f"{VALUE}!"),
        ("{% set x %}a{{ secret }}{% endset %}{{ x }}", f"a{VALUE}"),
        ("{% with a, b = (secret, 1) %}{{ a }}{{ b }}{% endwith %}", f"{VALUE}1"),
        ("{{ dict(a=secret)['a'] }}", VALUE),
        ("{{ cycler(secret, 'b').next() }}", VALUE),
        ("{{ secret | string }}", VALUE),
        ("{{ url }}", f"postgres://u:{VALUE}@db"),
        ("{{ secret | b64encode }}", base64.b64encode(VALUE.encode()).decode()),
        ("{{ ('u:' ~ secret) | b64encode }}", base64.b64encode(f"u:{VALUE}".encode()).decode()),
        (
            "{{ secret | b64encode | urlencode }}",
            urllib.parse.quote(base64.b64encode(VALUE.encode()).decode(), safe=""),
        ),
        ("{{ secret | urlencode }}", urllib.parse.quote(VALUE, safe="")),
        ("{{ {'a': secret, 'b': '/ &'} | urlencode }}", f"a={urllib.parse.quote(VALUE, safe='')}&b=%2F+%26"),
        ("{{ secret | quote }}", shlex.quote(VALUE)),
        ("{{ url | quote }}", shlex.quote(f"postgres://u:{VALUE}@db")),
        ("{{ secret | to_json }}", json.dumps(VALUE)),
        ("{{ settings | to_json }}", json.dumps({"port": 5, "password": VALUE})),
        ("{{ [url, {'a': [secret]}] | to_json }}", json.dumps([f"postgres://u:{VALUE}@db", {"a": [VALUE]}])),
    ],
)
def test_a_secret_can_be_used_in_these_expressions(scope: Scope, tmp_path: Path, text: str, expected: str) -> None:
    for rendered in both(scope, tmp_path, text):
        assert VALUE not in rendered
        assert secret.reveal(rendered) == expected


def test_tojson_of_a_secret_is_json_of_its_value(scope: Scope, tmp_path: Path) -> None:
    for rendered in both(scope, tmp_path, "{{ {'b': [secret, url], 'a': 'ü<'} | tojson }}"):
        revealed = secret.reveal(rendered)
        assert json.loads(revealed) == {"a": "ü<", "b": [VALUE, f"postgres://u:{VALUE}@db"]}
        assert list(json.loads(revealed)) == ["a", "b"], "the filter of jinja2 sorts the keys"
        assert "<" not in revealed, "the filter of jinja2 escapes HTML"


def test_a_derived_secret_is_the_same_each_time(scope: Scope, tmp_path: Path) -> None:
    """Plans compare values: a file whose text differed from look to look would never be up to date."""
    text = "{{ secret | b64encode }} {{ url | b64encode }} {{ secret | quote }}"
    assert len(set(both(scope, tmp_path, text) + both(scope, tmp_path, text))) == 1
    assert len(set(both(scope, tmp_path, text)[0].split())) == 3


@pytest.mark.parametrize(
    "name", ["indent", "upper", "lower", "capitalize", "title", "trim", "truncate", "replace('a', 'b')"]
)
@pytest.mark.parametrize("value", ["secret", "url", "('x' ~ secret)"])
def test_filters_on_text_with_a_secret_are_refused(scope: Scope, tmp_path: Path, name: str, value: str) -> None:
    said = refused(scope, tmp_path, f"{{{{ {value} | {name} }}}}")
    word = name.partition("(")[0]
    assert said.count(f'filter "{word}" cannot be applied to a secret (db_password)') == 2
    assert "b64encode, quote, to_json, tojson, urlencode, to_nice_json work on its value" in said


@pytest.mark.parametrize(
    ("text", "what"),
    [
        *(
            (f"{{{{ secret | {name} }}}}", f'filter "{name}"')
            for name in sorted(
                [
                    "abs",
                    "count",
                    "e",
                    "escape",
                    "filesizeformat",
                    "first",
                    "float",
                    "forceescape",
                    "int",
                    "items",
                    "last",
                    "length",
                    "list",
                    "max",
                    "min",
                    "pprint",
                    "random",
                    "reverse",
                    "round",
                    "safe",
                    "sort",
                    "striptags",
                    "sum",
                    "unique",
                    "urlize",
                    "wordcount",
                    "wordwrap",
                    "xmlattr",
                    "dictsort",
                    "center",
                    "join",
                    "select",
                ]
            )
        ),
        ("{{ secret | map('upper') | list }}", 'filter "map"'),
        ("{{ all | map('upper') | list }}", 'filter "upper"'),
        ("{{ all | select('equalto', 'x') | list }}", '"=="'),
        ("{{ all | sort }}", 'filter "sort"'),
        ("{{ users | sort(attribute='password') }}", 'filter "sort"'),
        ("{{ users | groupby('password') }}", 'filter "groupby"'),
        ("{{ users | unique }}", 'filter "unique"'),
        ("{{ settings | dictsort(by='value') }}", 'filter "dictsort"'),
        ("{{ all | string }}", 'filter "string"'),
        ("{{ all | b64encode }}", 'filter "b64encode"'),
        ("{{ secret | batch(2) | list }}", 'filter "batch"'),
        ("{{ secret | slice(2) | list }}", 'filter "slice"'),
        ("{{ 'x' | replace('x', secret) }}", 'filter "replace"'),
        ("{{ '%s' | format(secret) }}", 'filter "format"'),
        ("{{ secret | format(1) }}", 'filter "format"'),
        ("{{ secret | attr('upper') }}", 'filter "attr"'),
        ("{% filter upper %}a {{ secret }}{% endfilter %}", 'filter "upper"'),
        ("{% set x | upper %}a {{ secret }}{% endset %}{{ x }}", 'filter "upper"'),
        ("{{ secret.upper() }}", '".upper"'),
        ("{{ secret.encode() }}", '".encode"'),
        ("{{ secret['upper']() }}", "an index []"),
        ("{{ secret.split('a') }}", '".split"'),
        ("{{ 'abc'.replace('b', secret) }}", '".replace"'),
        ("{{ 'abc'.startswith(secret) }}", '".startswith"'),
        ("{{ all.index('x') }}", '".index"'),
        ("{{ all.count('x') }}", '".count"'),
        ("{{ '{}'.format(secret) }}", '".format"'),
        ("{{ '{0[0]}'.format(all) }}", '".format"'),
        ("{{ '{a}'.format_map({'a': secret}) }}", '".format_map"'),
        ("{{ ','.join(secret) }}", '".join"'),
        ("{{ settings.get(secret, 1) }}", '".get"'),
        ("{{ secret[0] }}", "an index []"),
        ("{{ secret[:3] }}", "a slice [:]"),
        ("{{ secret[::-1] }}", "a slice [:]"),
        ("{{ url[2:] }}", "a slice [:]"),
        ("{{ settings[secret] }}", "a key in []"),
        ("{{ '%s' % secret }}", '"%"'),
        ("{{ secret % 1 }}", '"%"'),
        ("{{ '%s' % all }}", '"%"'),
        ("{{ secret * 2 }}", '"*"'),
        ("{{ secret == 'x' }}", '"=="'),
        ("{{ 'x' != secret }}", '"!="'),
        ("{{ secret < 'x' }}", '"<"'),
        ("{{ 'a' < secret <= 'x' }}", '"<"'),
        ("{{ all == ['x'] }}", '"=="'),
        ("{{ {'a': secret} == {'a': 'x'} }}", '"=="'),
        ("{{ 'x' in secret }}", '"in"'),
        ("{{ 'y' not in url }}", '"not in"'),
        ("{{ 'y' in all }}", '"in"'),
        ("{{ secret in ['x'] }}", '"in"'),
        ("{% if secret == 'x' %}{% endif %}", '"=="'),
        ("{{ 1 if secret == 'x' else 2 }}", '"=="'),
        ("{{ secret is eq('x') }}", '"=="'),
        ("{{ secret is in('x') }}", '"in"'),
        ("{{ secret is upper }}", 'test "upper"'),
        ("{{ secret is sameas('x') }}", 'test "sameas"'),
        ("{{ secret is divisibleby(2) }}", 'test "divisibleby"'),
        ("{% for c in secret %}{{ c }}{% endfor %}", "a loop"),
        ("{% for c in all recursive %}{{ loop(c) }}{% endfor %}", "a loop"),
        ("{% for a, b in [secret] %}{% endfor %}", "unpacking"),
        ("{% for a, (b, c) in [(1, secret)] %}{% endfor %}", "unpacking"),
        ("{% for a, b in [(secret, 1)] recursive %}{{ loop([secret]) }}{% endfor %}", "unpacking"),
        ("{% set a, b = secret %}", "unpacking"),
        ("{% with a, b = secret %}{% endwith %}", "unpacking"),
        ("{% for x in all %}{{ loop.changed(x) }}{% endfor %}", '".changed"'),
        ("{{ dict(secret) }}", "dict()"),
        ("{{ all }} in text", "Python's form of a list"),
        ("{{ [namespace(a=secret)] }} x", "Python's form of a list"),
        ("{{ [cycler(secret)] | string }}", 'filter "string"'),
        ("{{ settings.values() == ['x'] }}", '"=="'),
        ("{{ 'x' in settings.values() }}", '"in"'),
        ("{{ 'x' in (all | map('string')) }}", '"in"'),
        ("{{ settings.values() | last | upper }}", 'filter "upper"'),
        ("{{ 'a' ~ all }}", "Python's form of a list"),
        ("{% include secret %}", "the name of a template"),
        ("{{ all | map('string') }} x", "Python's form of a list or mapping"),
    ],
)
def test_expressions_that_read_a_secret_are_refused(scope: Scope, tmp_path: Path, text: str, what: str) -> None:
    for message in refused(scope, tmp_path, text, 1 if text.startswith("{% with") else 2).splitlines():
        assert what in message
        assert "cannot be applied to a secret (db_password)" in message


@pytest.mark.parametrize(
    "text",
    [
        *("{{ settings.values() }} x", "{{ 'a' ~ settings.items() }}", "{{ settings.keys() | string }}"),
        *("{{ namespace(a=secret) }} x", "{{ cycler(secret) }} x"),
    ],
)
def test_values_that_are_not_data_are_refused(scope: Scope, tmp_path: Path, text: str) -> None:
    """Python's form of the value would contain the token, with quotation marks around it."""
    assert refused(scope, tmp_path, text).count("cannot be written as text") == 2


def test_the_error_names_the_file_the_line_and_the_key(project: Project) -> None:
    project.write(
        "inventory/group_vars/all.yml", 'a: 1\npassword: !secret {env: HUSH}\nshout: "{{ password | upper }}"\n'
    )
    project.spec('files: {/etc/app: {content: "{{ shout }}"}}')
    with pytest.raises(SpecError) as caught:
        project.load()
    assert 'inventory/group_vars/all.yml:3: shout: template error: filter "upper" cannot' in str(caught.value)


def test_messages_name_all_encoders() -> None:
    assert tuple(ENCODERS) == WORKING


def test_encoders_work_on_plain_values(scope: Scope, tmp_path: Path) -> None:
    for text, expected in (
        ("{{ 'a b' | b64encode }}", "YSBi"),
        ("{{ 'a b' | quote }}", "'a b'"),
        ("{{ {'b': 1, 'a': '<'} | to_json }}", '{"b": 1, "a": "<"}'),
        ("{{ {'b': 1, 'a': '<'} | tojson }}", '{"a": "\\u003c", "b": 1}'),
        ("{{ 'a/b c' | urlencode }}", "a/b%20c"),
        ("{{ {'a': 'b c'} | urlencode }}", "a=b+c"),
        ("{{ ('[1]' | tojson) + '<' }}", '"[1]"<'),
    ):
        assert both(scope, tmp_path, text) == [expected, expected]


@pytest.mark.parametrize(
    "text", ["{{ '«' ~ 'secret:x:0000000000000000»' }}", "{{ ('«' ~ 'secret:x:0000000000000000»') | b64encode }}"]
)
def test_an_unknown_token_is_refused(scope: Scope, tmp_path: Path, text: str) -> None:
    line = 2 if "b64encode" in text else 1
    assert refused(scope, tmp_path, text, line).count("token of an unknown secret") == 2


def test_a_token_in_a_file_is_refused(project: Project) -> None:
    """For example a token that was copied from a plan: it is a secret of another run."""
    project.spec('files: {/etc/x: {content: "«secret:db:0a1b2c3d»"}}')
    with pytest.raises(SpecError) as caught:
        project.load()
    assert "site.yml:4: [0].spec.files./etc/x.content: text must not hold a secret's token" in str(caught.value)


#: Filters and tests of Ansible that return whole values, or read only their type.
_WHOLE = {*STRUCTURAL, "mandatory", "ternary", "type_debug"}


@pytest.mark.parametrize("place", ["secret | {}('a', 'a')", "'a' | {}(secret, 'a')", "[[{{'k': secret}}]] | {}('a')"])
def test_each_filter_of_ansible_refuses_a_secret_or_passes_whole_tokens(
    scope: Scope, tmp_path: Path, place: str
) -> None:
    """Without a table of the filters: a filter that is added is tested too."""
    for name in FILTERS:
        try:
            found = scope.render("{{ (" + place.format(name) + ") | to_json }}", "key", Where(tmp_path / "site.yml", 3))
        except SpecError as error:
            if name not in _WHOLE and "takes no" not in str(error):
                assert "cannot be applied to a secret" in str(error), (name, str(error))  # noqa: PT017
            continue
        assert name in _WHOLE, (name, found)
        assert not secret.remnant("".join(piece for piece, token in secret.split(str(found)) if not token)), name
        if place.startswith("[["):
            assert VALUE not in str(found)


@pytest.mark.parametrize("name", sorted(TESTS))
def test_each_test_of_ansible_refuses_a_secret(scope: Scope, tmp_path: Path, name: str) -> None:
    for text in (f"secret is {name}('a')", f"'a' is {name}(secret)", f"[[secret]] is {name}('a')"):
        with pytest.raises(SpecError, match="cannot be applied to a secret"):
            scope.render("{{ " + text + " }}", "key", Where(tmp_path / "site.yml", 3))


@pytest.mark.parametrize(
    "text",
    [
        "{{ [secret] | zip([1]) | flatten | first }}",
        "{{ {'a': [secret]} | combine({'a': [1]}, list_merge='append') | extract_a }}",
        "{{ 'password' | extract(settings) }}",
        "{{ (users | subelements('x', skip_missing=true) | length) ~ secret }}",
        "{{ (all | product([1]) | first)[0] }}",
        "{{ (settings | dict2items | items2dict).password }}",
        "{{ (users | rekey_on_member('name')).b.password }}",
    ],
)
def test_a_filter_of_lists_keeps_the_secret(scope: Scope, text: str) -> None:
    rendered = str(scope.render(text.replace(" | extract_a", "")))
    assert VALUE not in rendered
    assert VALUE in secret.reveal(rendered) or "combine" in text


def test_the_output_of_an_imported_template_is_a_text_with_a_secret(project: Project) -> None:
    """An imported template shows its output where it is used as a text."""
    project.write("inventory/group_vars/all.yml", "db: !secret {env: HUSH}\n")
    project.write("playbooks/templates/inner.j2", "{{ db }}")
    project.write("playbooks/templates/x.j2", "{% import 'inner.j2' as m with context %}{{ m | hash }}")
    project.spec("files: {/etc/x: {template: x.j2}}")
    with pytest.raises(SpecError, match="cannot be applied to a secret"):
        project.load()


def test_regex_replace_takes_the_text_of_a_usual_file(scope: Scope) -> None:
    assert scope.render("{{ ('port=1\n' * 900) | regex_replace('port=([0-9])', 'p=\\1') | length }}") == 3600


# --- the sandbox ---

GLOBALS = "__init__.__globals__"
ESCAPES = [
    f"{{{{ cycler.{GLOBALS}.os.popen(cmd).read() }}}}",
    "{{ cycler['__init__']['__globals__'].os.popen(cmd).read() }}",
    f"{{{{ joiner.{GLOBALS}.os.popen(cmd).read() }}}}",
    f"{{{{ namespace.{GLOBALS}.os.popen(cmd).read() }}}}",
    "{{ lipsum.__globals__['os'].popen(cmd).read() }}",
    "{{ dict.mro()[-1].__subclasses__() }}",
    "{{ dict.fromkeys('ab') }}",
    "{{ range.__call__.__self__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ ''|attr('__class__')|attr('__mro__') }}",
    "{{ [''] | map(attribute='__class__') | list | first | attr('mro') }}",
    "{{ ['']|map(attribute='__class__.__mro__')|list|tojson }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{0.__class__.__mro__}'|format('') or ''.__class__.x }}",
    "{{ '{a.__class__.__mro__}'.format_map({'a': ''}) }}",
    "{{ '{a[__class__]}'.format(a='') }}",
    "{{ (('{0.__class__}'|safe).format)('') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{{ hostvars._inventory.source.read_text() }}",
    "{{ hostvars['web1']._scope.raw }}",
    "{{ hostvars.get.__func__.__globals__ }}",
    "{{ hostvars.get.__self__._inventory }}",
    "{{ hostvars | attr('_inventory') }}",
    "{{ groups.where.x }}",
    "{{ (1).to_bytes(4, 'big') }}",
    "{{ 'x'.encode.__self__.__class__.__base__ }}",
    "{{ 'x'.maketrans('a', 'b') }}",
    "{{ __scope__.raw }}",
    "{{ cycler('x').__init__ }}",
    "{{ namespace(a=1)._Namespace__attrs.x }}",
    "{{ ('x' | safe).__html__() }}",
    "{{ ('x' | safe).unescape() }}",
    "{{ nope.__class__.__init__.__globals__ }}",
    "{{ (xs | map('upper')).gi_frame.f_globals }}",
    "{{ (1.0).__class__.fromhex('1') }}",
    "{% import 'x' as x %}{{ x.__init__ }}",
    "{% set cycler.x = 1 %}",
    "{{ '__class__' | extract('') }}",
    "{{ ['__class__'] | map('extract', '') | first }}",
    "{{ 'a' | extract({'a': ''}, ['__class__', '__mro__']) }}",
    "{{ [{'a': ''}] | subelements('a.__class__') }}",
    "{{ [''] | rekey_on_member('__class__') }}",
    "{{ [''] | items2dict('__class__', '__doc__') }}",
    "{{ 'x' | urlsplit('__class__') }}",
    "{{ '!!python/object/apply:os.system [cmd]' | replace(\"'\", '') | from_yaml }}",
    "{{ '!!python/name:os.system' | from_yaml }}",
    "{{ [1] | to_yaml(Dumper=1) }}",
    "{% autoescape true %}{{ x }}{% endautoescape %}",
]


@pytest.mark.parametrize("text", ESCAPES)
@pytest.mark.parametrize("place", ["value", "key", "variable", "login", "template", "own"])
def test_no_template_leaves_the_sandbox(project: Project, text: str, place: str) -> None:
    """As `provision lint` reads it, in each place where a template may be."""
    proof = project.folder / "proof"
    text = text.replace("cmd", f"'touch {proof}'")
    literal = json.dumps(text)
    project.write("inventory/group_vars/all.yml", "xs: [a]\n")
    if place == "value":
        project.spec(f"files: {{/etc/x: {{content: {literal}}}}}")
    elif place == "key":
        project.spec(f"files: {{{literal}: {{content: x}}}}")
    elif place == "variable":
        project.write("inventory/group_vars/all.yml", f"xs: [a]\nevil: {literal}\n")
        project.spec('files: {/etc/x: {content: "{{ evil }}"}}')
    elif place == "login":
        project.write("inventory/group_vars/all.yml", f"xs: [a]\nansible_host: {literal}\n")
        project.spec("files: {/etc/x: {content: x}}")
    elif place == "template":
        project.write("playbooks/templates/x.j2", text)
        project.spec("files: {/etc/x: {template: x.j2}}")
    else:
        project.write("playbooks/templates/sysctl.conf.j2", text)
        project.spec("sysctl: {net.ipv4.ip_forward: 1}")
    with pytest.raises(SpecError, match=r"template error|template failed|undefined variable|no such (host|template)"):
        project.load()
    assert not proof.exists()


def test_names_are_not_templates(project: Project) -> None:
    proof = project.folder / "proof"
    evil = f"{{{{ cycler.{GLOBALS}.os.popen('touch {proof}').read() }}}}"
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\n")
    project.write(
        "playbooks/site.yml",
        f"- name: {json.dumps(evil)}\n  hosts: docker\n  spec: {{files: {{/x: {{content: y}}}}}}\n",
    )
    project.load()
    assert not proof.exists()


def test_the_name_of_a_template_is_not_code(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """jinja2 before 3.1.5 put the name into an f-string (CVE-2024-56201)."""
    monkeypatch.chdir(project.folder)
    name = 'a{open("proof","w")}.j2'
    project.write(f"playbooks/templates/{name}", "{% from 'b.j2' import x %}{{ x }}")
    project.write("playbooks/templates/b.j2", "")
    project.spec(f"files: {{/etc/x: {{template: {json.dumps(name)}}}}}")
    with pytest.raises(SpecError, match="does not export"):
        project.load()
    assert not (project.folder / "proof").exists()


@pytest.mark.parametrize(
    "text",
    [
        "registry.parse_raw('x', content_type='pickle', allow_pickle=True)",
        "registry.parse_file('/etc/passwd')",
        "registry.model_dump()",
        "registry.__class__",
        "registry.model_fields",
        "registry.users['x'].model_dump()",
        "registry.model_copy",
        "registry | attr('parse_file')",
        "'{0.parse_file}'.format(registry)",
    ],
)
def test_a_template_sees_the_fields_of_a_model_and_no_method(project: Project, text: str) -> None:
    """pydantic's models can read files and unpickle bytes by public methods."""
    project.write("playbooks/templates/registry/config.yml.j2", f"{{{{ registry.name }}}}: {{{{ {text} }}}}")
    project.spec("registry: {name: r, storage: /srv/r, port: 5000, tls: {ca: main}}")
    with pytest.raises(SpecError, match=r"config\.yml\.j2:1"):
        project.load()


@pytest.mark.parametrize(
    "text",
    [
        "{{ groups['docker'].append('x') }}",
        "{{ groups.update(a=1) }}",
        "{{ groups.docker.clear() }}",
        "{{ group_names.sort() }}",
        "{{ mine.pop('a') }}",
        "{{ mine.setdefault('b', 1) }}",
        "{{ mine['list'].extend([1]) }}",
    ],
)
def test_no_template_changes_what_another_host_sees(project: Project, text: str) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: , web2: }, vars: {mine: {a: 1, list: []}}}\n")
    project.spec(f"files: {{/etc/x: {{content: {json.dumps(text)}}}}}")
    with pytest.raises(SpecError, match=r"unsafe|cannot call|undefined"):
        project.load()


@pytest.mark.parametrize(
    "name", ["../secret.j2", "a/../../secret.j2", "/etc/passwd", "link.j2", "folder/passwd", "..", "/dev/zero"]
)
@pytest.mark.parametrize("how", ["include", "import", "extends", "top"])
def test_no_template_leaves_its_folders(project: Project, name: str, how: str) -> None:
    project.write("playbooks/secret.j2", "hush")
    project.write("playbooks/templates/a/b.j2", "")
    (project.folder / "playbooks/templates/link.j2").symlink_to("../secret.j2")
    (project.folder / "playbooks/templates/folder").symlink_to("/etc")
    text = {
        "include": "{% include NAME %}",
        "import": "{% import NAME as x %}",
        "extends": "{% extends NAME %}",
        "top": "",
    }
    project.write("playbooks/templates/x.j2", text[how].replace("NAME", json.dumps(name)))
    project.spec(f"files: {{/etc/x: {{template: {json.dumps(name if how == 'top' else 'x.j2')}}}}}")
    with pytest.raises(SpecError, match=r"no such template|a link to a file outside"):
        project.load()


def test_a_link_within_the_folder_is_followed(project: Project) -> None:
    project.write("playbooks/templates/a/b.j2", "text of {{ inventory_hostname }}")
    (project.folder / "playbooks/templates/link.j2").symlink_to("a/b.j2")
    scope = project.inventory().scope("web1")[0]
    assert Templates(project.folder / "playbooks/templates").render("link.j2", scope) == "text of web1"


def test_the_place_of_an_error_is_in_the_included_file(project: Project) -> None:
    project.write("playbooks/templates/x.j2", "one\n{% include 'y.j2' %}\n")
    project.write("playbooks/templates/y.j2", "one\ntwo\n{{ nope }}\n")
    project.spec("files: {/etc/x: {template: x.j2}}")
    with pytest.raises(SpecError, match=r"y\.j2:3: undefined variable"):
        project.load()


def test_a_mapping_may_have_a_key_of_any_name(scope: Scope, tmp_path: Path) -> None:
    scope.raw["odd"] = Map({"where": "a", "here": "b", "pop": "c", "update": "d"}.items())
    assert both(scope, tmp_path, "{{ odd.where }}{{ odd.here }}{{ odd.pop }}{{ odd.update }}") == ["abcd", "abcd"]


def test_a_filter_that_returns_several_values_returns_a_list(scope: Scope) -> None:
    """In an earlier version the result was an iterator: empty at its second use, and its errors had no place."""
    scope.raw["big"] = "{{ ['a', 'b'] | map('upper') }}"
    assert scope.render("{{ big }}") == ["A", "B"]
    assert scope.render("{{ big }}") == ["A", "B"]
    with pytest.raises(SpecError, match="undefined variable"):
        scope.render("{{ [1] | map(attribute='nope') | map('upper') }}")


# --- limits ---

HUGE = [
    ("{{ range(10**9) | list }}", "range() has more than 100,000 numbers"),
    ("{{ range(10**30) | list }}", "range() has more than 100,000 numbers"),
    ("{{ 'x' * 10**10 }}", '"*" makes more than'),
    ("{{ 10**10 * 'x' }}", '"*" makes more than'),
    ("{{ [1] * 10**10 }}", '"*" makes more than'),
    ("{{ 10**(10**10) }}", '"**" results in a number of more than'),
    (
        "{% set n = namespace(x=7) %}{% for i in range(40) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "results in a number of more",
    ),
    (
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        '"+" makes more than',
    ),
    ("{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "makes more than"),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        '"+" makes more than',
    ),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
        "expands to more than 1,000,000 values",
    ),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x == n.x }}",
        "expands to more than 1,000,000 values",
    ),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x,n.x] %}{% endfor %}{{ n.x | tojson }}",
        "expands to more than 1,000,000 values",
    ),
    (
        "{% set n = namespace(x=[1]) %}{% for i in range(900) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
        "nested more than",
    ),
    (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "takes more than 100,000 steps",
    ),
    (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "takes more than 100,000 steps",
    ),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion is too deep"),
    ("{{ 'x' | center(10**9) }}", 'filter "center" has a width'),
    ("{{ 'x'.center(10**9) }}", '".center" has a width'),
    ("{{ 'x'.ljust(10**9) }}", '".ljust" has a width'),
    ("{{ 'x'.zfill(10**9) }}", '".zfill" has a width'),
    ("{{ '\t'.expandtabs(10**9) }}", '".expandtabs" has a width'),
    ("{{ 'x' | indent(10**9, true) }}", 'filter "indent" has a width'),
    ("{{ ('x' * 9999999) | replace('x', 'y' * 999) }}", 'filter "replace" makes more than'),
    ("{{ ('x' * 9999999).replace('', 'y' * 999) }}", '".replace" makes more than'),
    ("{{ ('x' * 9999999) | wordwrap(1, true, 'y' * 999) }}", 'filter "wordwrap" makes more than'),
    ("{{ '%999999999d' % 1 }}", "has a width"),
    ("{{ '%0000000000000000000001000000000d' % 1 }}", "has a width"),
    ("{{ '%*d' % (10**9, 1) }}", "does not support a width from a variable"),
    ("{{ '%(a)999999999d' % {'a': 1} }}", "has a width"),
    ("{{ '%.999999999f' | format(1) }}", "has a width"),
    ("{{ ('%(a)s' * 99999) % {'a': 'x' * 9999} }}", "makes more than"),
    ("{{ '{:999999999}'.format(1) }}", "has a width"),
    ("{{ '{:{}}'.format(1, 10**9) }}", "has a width"),
    ("{{ ('{0}' * 9999).format('x' * 99999) }}", "makes more than"),
    ("{{ [1] | batch(10**9, 0) | list }}", "has a width"),
    ("{{ [1] | slice(10**9) | list }}", "has a width"),
    ("{{ 1.5 | round(10**9, 'ceil') }}", "has a width"),
    ("{{ {'a': [1]} | tojson(indent=10**9) }}", "has a width"),
    *(
        (
            (
                f"{{% set n = namespace(x={leaf}) %}}{{% for i in range(60) %}}"
                f"{{% set n.x = {twice} %}}{{% endfor %}}{use}"
            ),
            said,
        )
        for leaf, twice, use, said in [
            ("[none]", "[n.x, n.x]", "{{ n.x | flatten }}", "takes more than 100,000 steps"),
            ("[]", "[n.x, n.x]", "{{ [n.x] | flatten }}", "takes more than 100,000 steps"),
            ("{}", "{'a': n.x, 'b': n.x}", "{{ n.x | combine(n.x, recursive=true) }}", "more than 100,000 steps"),
            ("[1]", "[n.x, n.x]", "{{ n.x | union([n.x]) }}", "more than 1,000,000 values"),
            ("[1]", "[n.x, n.x]", "{{ n.x | to_yaml }}", "more than 1,000,000 values"),
        ]
    ),
    ("{{ [] | zip_longest(range(99999), *([[]] * 999)) }}", 'filter "zip_longest" makes more than'),
    ("{{ range(99999) | zip(*([range(99999)] * 999)) }}", "takes more than 100,000 steps"),
    ("{{ range(9999) | zip(*([range(9999)] * 120)) }}", 'filter "zip" makes more than'),
    ("{{ [1] | product(*([[1, 2]] * 99999)) }}", 'filter "product" takes at most 100 lists'),
    ("{{ [1] | product(repeat=10**9) }}", 'filter "product" takes at most 100 lists'),
    ("{{ range(999) | product(range(999), range(999)) }}", 'filter "product" makes more than'),
    ("{{ range(99999) | combinations(49999) }}", 'filter "combinations" takes at most 100 items'),
    ("{{ range(99) | combinations(49) }}", 'filter "combinations" makes more than'),
    ("{{ range(99999) | permutations(10**9) }}", 'filter "permutations" takes at most 100 items'),
    ("{% for i in range(99) %}{% set x = range(99999) | list %}{% endfor %}", "takes more than 100,000 steps"),
    ("{{ range(9999) | list | to_nice_json(indent=9999) }}", "makes more than"),
    ("{{ range(9999) | list | to_json(indent=9999) }}", "makes more than"),
    ("{{ range(9999) | list | tojson(indent=9999) }}", "makes more than"),
    ("{{ 1 | to_nice_json(indent=10**9) }}", 'filter "to_json" has a width'),
    ("{{ [1] | to_yaml(indent=10**9) }}", 'filter "to_yaml" has a width'),
    ("{{ 'x' | comment(prefix_count=-9999, postfix_count=9999, postfix='y' * 9999) }}", 'filter "comment" makes more'),
    ("{{ 'x' | comment(prefix_count=-1e9, postfix_count=1e9) }}", 'filter "comment" makes more than'),
    ("{{ 'x' | comment(prefix_count=10**9) }}", 'filter "comment" has a width'),
    ("{{ 'a' | regex_search('(?:a|a)*b') }}", "repeats no group that repeats or chooses itself"),
    ("{{ 'a' | regex_search('(?:a|a)' * 60 ~ 'b') }}", "takes more than 100,000 steps"),
    ("{{ 'a' | regex_search('a' * 9999999) }}", "takes more than 100,000 steps"),
    ("{{ ('a' * 9999) | regex_search('[ab]' * 2000 ~ 'c') }}", "takes more than 100,000 steps"),
    ("{{ ('a' * 9999) | regex_findall('.*.*x') }}", "takes more than 100,000 steps"),
    ("{{ ('a' * 9999) | regex_replace('a', 'b' * 9999) }}", 'filter "regex_replace" makes more than'),
    ("{{ ('a' * 9999) | regex_replace('(a)', '\\\\1' * 9999) }}", 'filter "regex_replace" makes more than'),
    ("{{ (10**400) | human_to_bytes }}", 'filter "human_to_bytes" takes a size'),
    ("{{ ('0x' ~ 'f' * 9999) | from_yaml }}", "takes no number of more than 400 characters"),
    ("{{ ('1:' * 999 ~ '1') | from_yaml }}", "takes no number of more than 400 characters"),
    ("{{ ('[' * 99999) | from_yaml }}", "nested more than"),
    *(
        ("{% set x = ('[' ~ '2305843009213693951,' * 5000 ~ '1]') | from_json %}{{ " + use + " }}", said)
        for use, said in (
            ("x | unique", "takes more than 100,000 steps"),
            ("x | union(x)", "takes more than 100,000 steps"),
            ("x | intersect(x)", "takes more than 100,000 steps"),
            ("x | difference(x)", "takes more than 100,000 steps"),
            ("x is subset(x)", "takes more than 100,000 steps"),
            ("x is superset(x)", "takes more than 100,000 steps"),
            ("x | zip(x) | unique", "takes more than 100,000 steps"),
            ("{x[0]: 1}", "a key must be text, or a number of at most 18 digits"),
            ("dict([[x[0], 1]])", "a key in dict() must be text, or a number of at most 18 digits"),
            ("[{'key': x[0], 'value': 1}] | items2dict", "must be text, or a number of at most 18 digits"),
            ("[{'key': x[0]}] | rekey_on_member('key')", "must be text, or a number of at most 18 digits"),
        )
    ),
    ("{{ ('[' ~ '[],' * 999999 ~ '1]') | from_json }}", 'filter "from_json" makes more than 1,000,000 values'),
    ("{{ ('[' * 99999) | from_json }}", 'filter "from_json" takes more than 100 levels'),
    ("{{ '{2305843009213693951: 1}' | from_yaml }}", "a key must be text, or a number of at most 18 digits"),
    ("{{ ['x' * 9999999] * 99 }}", "expands to more than"),
    ("{{ (['x' * 9999999] * 99) | join }}", "makes more than"),
    ("{{ 'y'.join(['x' * 9999999] * 99) }}", "makes more than"),
]


@pytest.mark.parametrize(("text", "message"), HUGE)
def test_each_limit_of_a_template_is_an_error(
    scope: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("PROVISION_MAX_TEMPLATE_STEPS", "100000")
    assert all(message in said for said in refused(scope, tmp_path, text).splitlines())


def test_the_length_of_a_template_has_a_limit(scope: Scope, tmp_path: Path) -> None:
    said = refused(scope, tmp_path, "{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", 1)
    assert said.count("the template makes more than 16,777,216 characters") == 2


def test_a_template_that_includes_itself_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_MAX_TEMPLATE_STEPS", "100000")
    project.spec("files: {/etc/x: {template: x.j2}}")
    for text in ("{% include 'x.j2' %}", "{% include 'x.j2' %}{% include 'x.j2' %}"):
        project.write("playbooks/templates/x.j2", text)
        with pytest.raises(SpecError, match=r"recursion is too deep|more than 100,000 steps"):
            project.load()


def test_variables_that_grow_by_doubling_are_an_error(project: Project) -> None:
    for value in ('"{{ v%d }}{{ v%d }}"', '["{{ v%d }}", "{{ v%d }}"]'):
        lines = [f"v{number}: {value % (number + 1, number + 1)}\n" for number in range(40)]
        project.write("inventory/group_vars/all.yml", "".join(lines) + "v40: xxxx\n")
        project.spec('engine: {daemon: {labels: "{{ v0 }}"}}')
        with pytest.raises(SpecError, match="more than"):
            project.load()


@pytest.mark.thorough
def test_a_spec_that_repeats_a_large_value_is_refused(project: Project) -> None:
    project.write("inventory/group_vars/all.yml", 'many: "{{ range(99999) | list }}"\n')
    uses = ", ".join(f'k{number}: "{{{{ many }}}}"' for number in range(20))
    project.spec(f"engine: {{daemon: {{{uses}}}}}")
    with pytest.raises(SpecError, match="expands to more than 1,000,000 values"):
        project.load()


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 9999 + "1" + ")" * 9999 + " }}",
        "{{ 1" + " + 1" * 9999 + " }}",
        "{{ 1" + "0" * 9999 + " }}",
        "{{ cycler() }}",
    ],
)
def test_a_template_that_python_cannot_compile_is_an_error_with_its_line(
    scope: Scope, tmp_path: Path, text: str
) -> None:
    with pytest.raises(SpecError) as caught:
        scope.render(text, "key", Where(tmp_path / "site.yml", 3))
    assert f"{tmp_path}/site.yml:3: key: template" in str(caught.value)


def test_a_limit_can_be_raised_by_the_operator(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_MAX_TEMPLATE_STEPS", "1000")
    text = "{% for i in range(1001) %}{% endfor %}x"
    with pytest.raises(SpecError, match="PROVISION_MAX_TEMPLATE_STEPS raises this limit"):
        scope.render(text)
    monkeypatch.setenv("PROVISION_MAX_TEMPLATE_STEPS", "2000")
    limits.of.cache_clear()
    assert scope.render(text) == "x"
