"""The types of a spec's values: what each accepts, the value that it makes, and what it refuses with which reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from provision.engine.keys import Key
from provision.errors import Where
from provision.secrets import secret
from provision.spec import values

TAKEN: list[tuple[str, Any, Any]] = [
    ("Mode", "0644", "0644"),
    ("Mode", "0o644", "0644"),
    ("Mode", "755", "0755"),
    ("Mode", "07777", "7777"),
    ("Mode", "4755", "4755"),
    ("Size", 1024, "1024"),
    ("Size", "64M", "64m"),
    ("Size", "1.5G", "1.5g"),
    ("Size", "10", "10"),
    ("Duration", 30, "30s"),
    ("Duration", "1m30s", "1m30s"),
    ("Duration", "2h1m1s5ms", "2h1m1s5ms"),
    ("Port", "8080:80", "8080:80"),
    ("Port", "127.0.0.1:0:65535/udp", "127.0.0.1:0:65535/udp"),
    ("Port", "[::1]:65535:1/sctp", "[::1]:65535:1/sctp"),
    ("Argv", "sh -c 'a b'", ["sh", "-c", "a b"]),
    ("Argv", ["sh -c", 1], ["sh -c", "1"]),
    ("ProxyUrl", "http://proxy.example:3128", "http://proxy.example:3128"),
    ("ProxyUrl", "http://proxy.example:3128/", "http://proxy.example:3128"),
    ("ProxyUrl", "http://me@proxy.example:3128", "http://me@proxy.example:3128"),
    ("NoProxy", "*", "*"),
    ("NoProxy", ".example.com", ".example.com"),
    ("NoProxy", "10.0.0.0/8", "10.0.0.0/8"),
    ("NoProxy", "[::1]", "[::1]"),
    ("Line", "Alice, of the team", "Alice, of the team"),
    ("Line", " ~\u0080", " ~\u0080"),
    ("SysctlValue", True, "1"),
    ("SysctlValue", False, "0"),
    ("SysctlValue", 5, "5"),
    ("SysctlValue", "1024   65000", "1024 65000"),
    ("Fingerprint", "9dc8 5822" + "9" * 32, "9DC85822" + "9" * 32),
    ("Fingerprint", "a" * 64, "A" * 64),
    ("Fingerprints", None, []),
    ("Fingerprints", "a" * 40, ["A" * 40]),
    ("HostName", "a-1.example", "a-1.example"),
    ("MachineName", "a" * 63, "a" * 63),
    ("Url", "https://mirror.example/a/", "https://mirror.example/a"),
    ("Tmpfs", "/run", "/run"),
    ("Tmpfs", "/run:size=64m,ro", "/run:size=64m,ro"),
    ("Tmpfs", "/run:size=50%,mode=1777,nr_inodes=1k", "/run:size=50%,mode=1777,nr_inodes=1k"),
    ("Pem", "ca.crt", "ca.crt"),
    ("Pem", "\n-----BEGIN X-----\n-----END X-----", "\n-----BEGIN X-----\n-----END X-----"),
    ("Text", True, "true"),
    ("Text", 1.5, "1.5"),
    ("AbsolutePath", "/a b/c", "/a b/c"),
]
REFUSED: list[tuple[str, Any, str]] = [
    ("Mode", True, "is not an octal mode such as 0644"),
    ("Mode", "0999", "is not an octal mode such as 0644"),
    ("Mode", "64", "is not an octal mode"),
    ("Mode", 17777, "17777 is a decimal number, not an octal mode"),
    ("Mode", 644, "644 is a decimal number, not an octal mode"),
    ("Mode", "17777", "is not an octal mode"),
    ("Mode", None, "is not an octal mode"),
    ("Size", True, "is not a size"),
    ("Size", "1t", r"is not a size \(bytes, or a number with b, k, m or g: 64m\)"),
    ("Size", 1.5, "is not a size"),
    ("Duration", "", "is not a duration"),
    ("Duration", True, "is not a duration"),
    ("Duration", "30", "is not a duration"),
    ("Port", "80", "is not a published port"),
    ("Port", "65536:80", "is not a published port"),
    ("Port", "80:0", "is not a published port"),
    ("Port", "80:65536", "is not a published port"),
    ("Port", "300.0.0.1:80:80", "is not a published port"),
    ("Port", "::1:80:80", "an IPv6 address in brackets"),
    ("ProxyUrl", "http://me:plain@proxy.example:3128", "needs its password as a secret"),
    ("ProxyUrl", "http://m e@proxy.example:3128", "needs its password as a secret"),
    ("ProxyUrl", "http://me@proxy.example:3128/?q", "is not an http:// or https:// URL"),
    ("ProxyUrl", "ftp://me@proxy.example", "is not an http:// or https:// URL"),
    ("ProxyUrl", "ftp://proxy.example", "is not an http:// or https:// URL"),
    ("NoProxy", "a b", "is not a host, domain, address or network"),
    ("NoProxy", "", "is not a host"),
    ("Line", "a:b", ", must be one line without a colon"),
    ("Line", "a\nb", "must be one line without a colon"),
    ("Line", "a\x1fb", "must be one line without a colon"),
    ("Line", "a\x7fb", "must be one line without a colon"),
    ("SysctlValue", "a\nb", "must be one line of text"),
    ("Fingerprint", "a" * 39, "must be the whole fingerprint"),
    ("HostName", "-a", "is not a host name"),
    ("MachineName", "a." * 33 + "a", "has 67 characters; the name of a Linux host has at most 64"),
    ("Url", "https://me@mirror.example", "URL without credentials"),
    ("Tmpfs", "/run:size=", "is not a tmpfs"),
    ("Tmpfs", "/run:size=10x", "size=10x is not a value that tmpfs"),
    ("Tmpfs", "/run:mode=rw", "mode=rw is not a value that tmpfs"),
    ("Version", "latest", "is not a version such as 26.1.5"),
    ("Capability", "NET_ADMN", "is not a capability"),
    ("Calendar", "dayly", "is not a calendar of systemd"),
    ("Tmpfs", "run", "is not an absolute path"),
    ("Pem", "", "must be PEM text"),
    ("Pem", "-----BEGIN X-----\n", "it has no END line"),
    ("Text", "a\0b", "must hold no NUL"),
    ("AbsolutePath", "/a/../b", "is not in normal form"),
    ("AbsolutePath", "/a\x7f", "holds control characters"),
    ("SecretText", "plain", "must be a secret"),
    ("UserName", "a b", "'a b' is not a user or group name"),
    ("ModuleName", "a" * 56, "is not the name of a kernel module"),
]


def read(name: str, value: Any) -> Any:
    return TypeAdapter(getattr(values, name)).validate_python(value)


@pytest.mark.parametrize(("name", "given", "taken"), TAKEN)
def test_a_valid_value_is_accepted(name: str, given: Any, taken: Any) -> None:
    assert read(name, given) == taken


@pytest.mark.parametrize(("name", "given", "why"), REFUSED)
def test_an_invalid_value_is_refused_with_the_reason(name: str, given: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read(name, given)


def test_a_proxys_password_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setenv("PW", "x")
    token = secret.declare("pw", {"env": "PW"}, Where(Path("site.yml"), 1))
    url = f"http://me:{token}@proxy.example:3128"
    assert read("ProxyUrl", url) == url
    assert read("SecretText", token) == token


def test_versions_of_a_key_are_compared_with_the_engines() -> None:
    key = Key("x", "text", "restart", since=(20, 10), until=(23, 0))
    assert [key.known_to(version) for version in ((20, 9), (20, 10), (22, 99), (23, 0))] == [False, True, True, False]
    assert Key("x", "text", "restart").known_to((1, 0))
