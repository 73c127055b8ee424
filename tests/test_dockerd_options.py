"""verify reads the options of a running dockerd from its command line and its file as dockerd reads them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision.engine.keys import NEWEST, Key, keys
from provision.verify import dockerd_options
from provision.verify.dockerd_options import from_flags, options


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("-H fd:// --containerd=/run/c.sock", {"hosts": ["fd://"], "containerd": "/run/c.sock"}),
        ("-H fd:// -Htcp://127.0.0.1:2375", {"hosts": ["fd://", "tcp://127.0.0.1:2375"]}),
        ("-l debug", {"log-level": "debug"}),
        ("-ldebug", {"log-level": "debug"}),
        ("-l=debug", {"log-level": "debug"}),
        ("--log-level info", {"log-level": "info"}),
        ("--log-level=info", {"log-level": "info"}),
        ("-D", {"debug": True}),
        ("-D=false", {"debug": False}),
        ("-Dl warn", {"debug": True, "log-level": "warn"}),
        ("--iptables=false --icc=0", {"iptables": False, "icc": False}),
        ("--tlsverify --tlscacert /c.pem", {"tlsverify": True, "tlscacert": "/c.pem"}),
        ("--live-restore --log-level error", {"live-restore": True, "log-level": "error"}),
        ("--insecure-registry a:1 --insecure-registry=b:2", {"insecure-registries": ["a:1", "b:2"]}),
        ("--authorization-plugin p --storage-opt dm.x=1", {"authorization-plugins": ["p"], "storage-opts": ["dm.x=1"]}),
        (
            "--default-ulimit nofile=1:2 --log-opt tag=a=b",
            {"default-ulimits": {"nofile": "1:2"}, "log-opts": {"tag": "a=b"}},
        ),
        ("--cgroup-parent= --bip -", {"cgroup-parent": "", "bip": "-"}),
        ("--of-tomorrow --iptables=false", {"of-tomorrow": True, "iptables": False}),
        ("--of-tomorrow x --iptables=false", {"of-tomorrow": "x", "iptables": False}),
        ("-- --iptables=false", {}),
    ],
)
def test_flags_are_parsed_as_dockerd_does(line: str, found: dict[str, Any]) -> None:
    assert from_flags(["/usr/bin/dockerd", *line.split()]) == found


@pytest.mark.parametrize("line", ["--config-file /etc/other.json", "--config-file=/etc/other.json"])
def test_the_file_of_config_file_is_read(line: str) -> None:
    files = {"/etc/docker/daemon.json": '{"log-level": "info"}', "/etc/other.json": '{"log-level": "debug"}'}
    found = options(["dockerd", *line.split(), "--iptables=false"], files.get)
    assert found == {"config-file": "/etc/other.json", "log-level": "debug", "iptables": False}


@pytest.mark.parametrize("text", [None, "", "\n", "{}"])
def test_an_empty_or_missing_file_has_no_keys(text: str | None) -> None:
    assert options(["dockerd"], lambda path: text) == {"config-file": "/etc/docker/daemon.json"}


#: Keys that no flag of their name sets. The flag of host-gateway-ips has the name of the older key.
WITHOUT_FLAG = {
    *("allow-nondistributable-artifacts", "builder", "deprecated-key-path", "min-api-version", "proxies"),
    *("host-gateway-ip", "host-gateway-ips"),
}
LISTS = {"texts", "addresses", "urls", "objects"}
MAPPINGS = {"object", "switches", "table"}


@pytest.mark.parametrize("key", [key for key in keys().values() if key.known_to(NEWEST)], ids=lambda key: key.name)
def test_verify_knows_the_flag_of_each_key_of_the_table(key: Key) -> None:
    """The tables of verify are its own, so each of the two is checked by the other. Only a flag that is known takes a
    word that begins with a hyphen as its value."""
    flag = f"--{key.flag or key.name}"
    if key.type == "bool":
        assert from_flags(["dockerd", flag, "x"]) == {key.name: True}
        return
    found: Any = from_flags(["dockerd", flag, "-a=b"]).get(key.name)
    if key.name in WITHOUT_FLAG:
        assert found in (True, None)  # an unknown flag has no value here
    elif key.type in LISTS:
        assert found == ["-a=b"]
    elif key.type in MAPPINGS and key.name != "nri-opts":
        assert found == {"-a": "b"}
    else:
        assert found == "-a=b"


class _Word(str):
    """Counts the characters that slices copy, of a word and of its rests."""

    copied = 0

    def __getitem__(self, index: Any) -> _Word:
        found = _Word(super().__getitem__(index))
        _Word.copied += len(found)
        return found


def test_the_letters_of_a_word_are_read_once() -> None:
    word = _Word("-" + "D" * 500)
    _Word.copied = 0
    assert from_flags(["dockerd", word]) == {"debug": True}
    assert _Word.copied <= 2 * len(word)


@pytest.mark.parametrize(
    ("cmdline", "message"),
    [("", "has no command line"), ("dockerd\n" + "-D\n" * 40_000, "more than 65536 characters")],
)
def test_a_command_line_of_no_dockerd_is_a_finding(cmdline: str, message: str) -> None:
    """An empty one would have the default of every option, and these pass most checks."""
    host: Any = SimpleNamespace(check_output=lambda command, *words: cmdline if "cmdline" in command else "17")
    with pytest.raises(AssertionError, match=message):
        dockerd_options.of_running(host)
