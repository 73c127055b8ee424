"""Values in the formats of files: the program that reads the file gets exactly the original text.

The readers in this file follow the rules of the programs. On lab hosts the programs themselves read the files
(tests/lab/test_surroundings.py, test_containers.py).
"""

from __future__ import annotations

import random
import re
import urllib.parse

import pytest
import yaml

from provision.errors import SpecError, UsageError, Where
from provision.secrets import secret
from provision.text.formats import DOTENV, PEM, SYSTEMD, USERINFO, VARIABLE, YAML, Format, written_later
from tests.conftest import Project

DIFFICULT = [
    "",
    " ",
    " both ",
    "\ttab\t",
    "it's",
    'say "x"',
    "\\",
    "\\\\",
    "end\\",
    "C:\\new\\table",
    "\\'",
    "'\\",
    '\\"',
    '"\\',
    "$HOME",
    "${HOME}",
    "$$",
    "'$$",
    "\\$X'",
    "a #b",
    "#x",
    "x=y",
    "`id`'",
    "a\nb",
    "a\nb'\n",
    "\n",
    "a\r\nb'",
    "\r",
    "é'😀",
    "\u2028'\u0085\xa0",
    "\x01\x7f'",
    "''",
    '""',
    "'\\n",
    "'\\0123",
    "\ufeffx",
    "%41%",
    "*@:/?#[]",
    "export x'",
]
CHARACTERS = "ab0123'\"\\$`#=%\n\r\t {}nrx_é😀\u2028\x7f"


def difficult_values() -> list[str]:
    dice = random.Random(7)  # noqa: S311 - no secret
    return DIFFICULT + ["".join(dice.choices(CHARACTERS, k=dice.randrange(12))) for _ in range(400)]


def compose_reads(text: str) -> str:
    """A quoted value, as compose-go 1.20 and later read it (dotenv/parser.go, template/template.go)."""
    quote, escaped, found = text[0], False, ""
    for position, character in enumerate(text[1:], 1):
        if character == quote and not escaped:
            assert position == len(text) - 1, "the value ends too early"
            break
        if character == quote:
            found, escaped = found + character, False
        elif character == "\\" and not escaped:
            escaped = True
        else:
            found, escaped = found + ("\\" if escaped else "") + character, False
    else:
        raise AssertionError("it has no end")
    if quote == "'":
        return found
    known = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", '"': '"', "\\": "\\"}

    def escape(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$$"
        return chr(int(match[1], 8)) if match[1].startswith("0") else known.get(match[1], match[0])

    found = re.sub(r'\\([abcfnrtv$"\\]|0[0-9]{0,3})', escape, found)
    assert "$" not in found.replace("$$", ""), "the value would be read as a variable"
    return found.replace("$$", "$")


def compose_read_before_1_16(text: str) -> str:
    """The same for compose-go before 1.16, whose parser accepts no quote after a backslash as the end."""
    end = next(at for at in range(1, len(text)) if text[at] == text[0] and text[at - 1] != "\\")
    assert end == len(text) - 1
    return compose_reads(text)


def systemd_reads(text: str) -> str:
    """A value of EnvironmentFile=, as systemd reads it (systemd, src/basic/env-file.c)."""
    assert (text[0], text[-1]) == ('"', '"')
    inner = text[1:-1]
    assert not re.search(r'(?<!\\)(\\\\)*"', inner), "the value ends too early"
    return re.sub(r'\\(["\\`$])', r"\1", inner)


@pytest.mark.parametrize(
    ("how", "reads"),
    [
        (DOTENV, compose_reads),
        (DOTENV, compose_read_before_1_16),
        (SYSTEMD, systemd_reads),
        (YAML, yaml.safe_load),
        (USERINFO, urllib.parse.unquote),
        (VARIABLE, str),
    ],
    ids=lambda value: value.name if isinstance(value, Format) else value.__name__,
)
def test_a_reader_gets_the_original_value(how: Format, reads: object) -> None:
    for value in difficult_values():
        assert callable(reads)
        assert reads(how.encode(value)) == value, value


def test_an_encoded_user_info_needs_no_quoting_in_any_format() -> None:
    for value in difficult_values():
        assert re.fullmatch(r"[A-Za-z0-9._~%-]*", USERINFO.encode(value))


@pytest.mark.parametrize("how", [DOTENV, SYSTEMD, YAML, USERINFO, VARIABLE], ids=lambda how: how.name)
def test_values_that_a_format_cannot_express_are_refused(how: Format) -> None:
    with pytest.raises(UsageError, match="must hold no NUL"):
        how.encode("a\0b")
    with pytest.raises(UsageError, match="must be UTF-8 text"):
        how.encode("a\udcffb")


def test_a_variable_has_a_maximum_length() -> None:
    VARIABLE.encode("x" * 130_000)
    with pytest.raises(UsageError, match="is longer than a process can have"):
        VARIABLE.encode("é" * 65_500)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, project: Project) -> Project:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    project.write("inventory/group_vars/docker.yml", "pw: !secret {file: pw}\n")
    return project


def test_a_secret_is_encoded_when_its_value_is_used(given: Project) -> None:
    token = secret.declare("pw", {"file": "pw"}, Where(given.folder / "inventory/x.yml", 3))
    later = written_later(f"x {token}", DOTENV, "spec.compose.shop.environment.A")
    given.write("inventory/pw", "it's\\")
    assert secret.hidden(later)
    assert secret.reveal(later) == '"x it\'s\\0134"'
    assert written_later(f"x {token}", DOTENV, "spec.compose.shop.environment.A") == later, "the same each time"


@pytest.mark.parametrize(
    ("spec", "value", "words"),
    [
        (
            "containers: {web: {image: app, environment: {A: '{{ pw }}'}}}",
            b"a\0b",
            "web.environment.A must hold no NUL",
        ),
        ("containers: {web: {image: app, environment: {A: 'x {{ pw }}'}}}", b"x" * 140_000, "A is longer than"),
        (
            "compose: {shop: {content: '{}', environment: {A: '{{ pw }}'}}}",
            b"a\0b",
            "shop.environment.A must hold no NUL",
        ),
        ("engine: {proxy: {http: 'http://me:{{ pw }}@p:1'}}", b"a\0b", "spec.engine.proxy.http must hold no NUL"),
        (
            "registry: {name: r, users: {me: {password: '{{ pw }}'}}}",
            b"x" * 73,
            "me.password must have 72 bytes at most",
        ),
        (
            "registry: {name: r, proxy: {url: 'https://r', user: me, password: '{{ pw }}'}}",
            b"a\0b",
            "registry.proxy.password must",
        ),
        (
            "engine: {registries: {'r:5000': {cert: c, key: '{{ pw }}'}}}",
            b"client.key",
            "registries.r:5000.key must be PEM text",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_a_host_is_touched(
    given: Project, spec: str, value: bytes, words: str
) -> None:
    """The message has the place of the secret and the key that the value does not fit, but not the value."""
    given.write("playbooks/files/c", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    given.write("inventory/group_vars/pw", value)
    given.spec(spec)
    given.load()
    with pytest.raises(SpecError) as caught:
        secret.resolve()
    assert words in str(caught.value)
    assert "group_vars/docker.yml:1: " in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("containers: {web: {image: app, environment: {A: '{{ \"x\" * 140000 }}'}}}", "is longer than"),
        ("compose: {shop: {content: '{}', environment: {A: \"a\\0b\"}}}", "NUL"),
    ],
)
def test_a_plain_value_that_does_not_fit_is_refused(given: Project, spec: str, words: str) -> None:
    given.spec(spec)
    with pytest.raises(SpecError, match=words) as caught:
        given.load()
    assert "environment.A" in str(caught.value)


def read_env(text: bytes) -> dict[str, str]:
    found = dict(re.findall(r"""^([A-Z]+)=('[^']*'|"(?:[^"\\]|\\.)*")$""", text.decode(), re.MULTILINE | re.DOTALL))
    return {name: compose_reads(value) for name, value in found.items()}


def test_plain_and_secret_variables_of_a_compose_project(given: Project) -> None:
    from provision.catalog import Options, compile_catalog
    from provision.distros import platform
    from provision.resources.file import File

    for value in ["it's", "end\\", "C:\\new\\table", "two\nlines'", "$HOME'\""]:
        secret._KNOWN.clear()
        given.write("inventory/group_vars/pw", value)
        environment = {"PLAIN": value, "SECRET": "{{ pw }}", "MIXED": "x {{ pw }} y"}
        given.spec(yaml.safe_dump({"compose": {"shop": {"content": "{}", "environment": environment}}}))
        loaded, on = given.load(), platform("debian", "13", "trixie")
        assert on is not None
        resources = compile_catalog(loaded.configs[0], on, loaded.context, Options())
        (file,) = [one for one in resources if isinstance(one, File) and one.path.endswith(".env")]
        found = read_env(secret.reveal_bytes(file.content))
        assert found == {"PLAIN": value, "SECRET": value, "MIXED": f"x {value} y"}


def test_a_proxys_password_is_encoded_for_the_url(given: Project) -> None:
    from provision.catalog import Options, compile_catalog
    from provision.distros import platform
    from provision.resources.file import File

    password = "p@ss:/w%rd#\"'$\\\n é"
    given.write("inventory/group_vars/pw", password)
    given.spec("engine: {proxy: {http: 'http://me:{{ pw }}@proxy.example:3128', no_proxy: [.example]}}")
    loaded, on = given.load(), platform("debian", "13", "trixie")
    assert on is not None
    resources = compile_catalog(loaded.configs[0], on, loaded.context, Options())
    (file,) = [one for one in resources if isinstance(one, File) and one.path == "/etc/docker/proxy.env"]
    lines = dict(line.split("=", 1) for line in secret.reveal_bytes(file.content).decode().splitlines())
    url = urllib.parse.urlsplit(systemd_reads(lines["HTTP_PROXY"]))
    assert (url.username, urllib.parse.unquote(str(url.password)), url.hostname, url.port) == (
        "me",
        password,
        "proxy.example",
        3128,
    )
    assert lines["NO_PROXY"] == '".example"'


def test_text_before_a_pem_block_is_left_out() -> None:
    assert PEM.encode("\n -----BEGIN X-----\n-----END X-----") == "-----BEGIN X-----\n-----END X-----"
