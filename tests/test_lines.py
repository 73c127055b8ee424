"""Lines and words of a host's text: only a newline separates lines, and only ASCII blanks separate words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.lines import lines_of, words_of
from provision.planning.manifest import Manifest
from provision.remote.protocol import Seen
from provision.report.journal import folder, read
from provision.resources.apt_source import without
from provision.resources.hostname import Hostname
from provision.resources.packages import installed
from provision.resources.service import Service
from provision.resources.sysctl import Sysctl, SysctlElsewhere
from provision.resources.user import User
from tests.test_journal import begun

#: Characters at which str.splitlines ends a line and no program of a host does, except the newline.
BREAKS = "\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("text", ["", "\n", "a", "a\n", "a\n\n", "\na", "a\nb", "a\nb\n", "\n\n"])
def test_with_newlines_only_lines_equals_splitlines(text: str) -> None:
    assert lines_of(text) == text.splitlines()


@pytest.mark.parametrize("character", BREAKS)
def test_only_a_newline_ends_a_line(character: str) -> None:
    assert lines_of(f"a{character}b\nc{character}\n") == [f"a{character}b", f"c{character}"]


def test_words_are_separated_by_ascii_blanks() -> None:
    assert words_of(" a\t b\r\n") == ["a", "b"]
    assert words_of("a\u00a0b c\x85d") == ["a\u00a0b", "c\x85d"]
    assert words_of(" \n") == []


@pytest.mark.parametrize("character", BREAKS)
def test_a_manifest_is_unchanged_after_reading(character: str) -> None:
    """In an earlier version this raised KeyError: ('made', ...), until an operator removed the manifest."""
    manifest = Manifest("Docker hosts", "s", {f"file /srv/a{character}b": "", f"file /srv/c{character}": ""})
    assert Manifest.parse("s", manifest.text()) == manifest


def test_the_name_of_a_play_is_one_line_of_its_manifest() -> None:
    manifest = Manifest("Docker\nfile /etc/passwd", "s", {"hold docker-ce": ""})
    assert Manifest.parse("s", manifest.text()).entries == {"hold docker-ce": ""}


@pytest.mark.parametrize("character", BREAKS)
def test_a_users_full_name_may_have_any_character(character: str) -> None:
    """In an earlier version this raised IndexError: a user may change the field with chfn(1)."""
    line = f"bob:x:1001:1001:Bob{character}bob,,,:/home/bob:/bin/sh\n"
    seen = User("bob").seen(Seen.of([("users", "", line, "bob")]))
    assert (seen["comment"], seen["shell"]) == (f"Bob{character}bob,,,", "/bin/sh")


@pytest.mark.parametrize("character", BREAKS)
def test_a_comment_in_sysctl_d_may_have_any_character(character: str) -> None:
    file = "/etc/sysctl.d/a.conf"
    lines = f"{file}:1:# a{character}b\n{file}:2:net.ipv4.ip_forward = 1\n/proc/sys/net/ipv4/ip_forward:1:1\n"
    report = Seen.of([("sysctls", "", "/etc/sysctl.d/a.conf\n/proc/sys/net/ipv4/ip_forward\n", lines)])
    seen = Sysctl("net.ipv4.ip_forward", "1", "/etc/sysctl.d/p.conf").seen(report)
    assert (seen["live"], seen["boot"]) == ("1", "1")
    assert SysctlElsewhere({"net.ipv4.ip_forward": "1"})(report)


@pytest.mark.parametrize("character", "\x85\u2028\u2029")
def test_a_journal_is_read_to_its_end(tmp_path: Path, character: str) -> None:
    """JSON may contain these characters unescaped. The text after such a line was lost."""
    playbook = tmp_path / "site.yml"
    begun(playbook, "20260101T000000-aaaaaaaa", ["web1"])
    path = folder(playbook) / "20260101T000000-aaaaaaaa/events.jsonl"
    events = [
        {"event": "note", "host": "web1", "text": character},
        {"event": "host.done", "host": "web1", "status": "ok"},
    ]
    path.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))
    assert "web1" in read(path.parent).ended


@pytest.mark.parametrize("character", BREAKS)
def test_hosts_and_sources_keep_their_lines(character: str) -> None:
    hosts = f"127.0.0.1 localhost\n10.0.0.1 a # b{character}c\n"
    assert Hostname("web1")._hosts(hosts) == f"127.0.0.1 localhost\n127.0.1.1 web1\n10.0.0.1 a # b{character}c\n"
    source = f"# a{character}b\ndeb http://x y z\n"
    assert without(source, "http://other") == source


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_host_without_entries_in_etc_hosts_gets_those_of_localhost(text: str) -> None:
    lines = Hostname("web1.example")._hosts(text).splitlines()
    assert lines[:2] == ["127.0.0.1 localhost", "127.0.1.1 web1.example web1"]
    assert "::1 localhost ip6-localhost ip6-loopback" in lines


def test_unusual_characters_in_services_and_packages_are_kept() -> None:
    unit = Service("docker").seen(
        Seen.of([("service", "docker", "LoadState=loaded\nDescription=a\u2028b\nActiveState=active", "none", "")])
    )
    assert unit["running"] == "yes"
    assert installed(Seen.of([("packages", "", "curl ii  1\x85a\n")])) == {"curl": "1\x85a"}
