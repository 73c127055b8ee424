"""The values that the boot would set: sysctl.d(5), by example."""

from __future__ import annotations

import pytest

from provision.resources.sysctl import as_path, at_boot

KEY = "net/ipv4/ip_forward"
ETC, USR = "/etc/sysctl.d/", "/usr/lib/sysctl.d/"


@pytest.mark.parametrize(
    ("names", "lines", "expected"),
    [
        ([], [], None),
        ([ETC + "a.conf"], [ETC + "a.conf:3:net.ipv4.ip_forward=1"], ("1", ETC + "a.conf:3")),
        ([ETC + "a.conf"], [ETC + "a.conf:1:-net/ipv4/ip_forward =  0 "], ("0", ETC + "a.conf:1")),
        # The last file by name wins, in any directory.
        (
            [ETC + "a.conf", USR + "b.conf"],
            [ETC + "a.conf:1:net.ipv4.ip_forward=1", USR + "b.conf:1:net.ipv4.ip_forward=0"],
            ("0", USR + "b.conf:1"),
        ),
        # A file of one name in /etc masks the one in /usr/lib, even when it is empty.
        ([ETC + "a.conf", USR + "a.conf"], [USR + "a.conf:1:net.ipv4.ip_forward=1"], None),
        # The last line of a file wins.
        (
            [ETC + "a.conf"],
            [ETC + "a.conf:1:net.ipv4.ip_forward=1", ETC + "a.conf:2:net.ipv4.ip_forward=0"],
            ("0", ETC + "a.conf:2"),
        ),
        # A pattern counts, but a setting by name wins over it at any position.
        ([ETC + "a.conf"], [ETC + "a.conf:1:net.ipv4.ip_*=1"], ("1", ETC + "a.conf:1")),
        (
            [ETC + "a.conf", ETC + "z.conf"],
            [ETC + "a.conf:1:net.ipv4.ip_forward=0", ETC + "z.conf:1:net.ipv4.*=1"],
            ("0", ETC + "a.conf:1"),
        ),
        ([ETC + "a.conf"], [ETC + "a.conf:1:net.ipv4.ip_forward_use_pmtu=1"], None),
        ([ETC + "a.conf"], [ETC + "a.conf:1:no separator here"], None),
    ],
)
def test_the_value_at_boot_follows_sysctl_d(
    names: list[str], lines: list[str], expected: tuple[str, str] | None
) -> None:
    assert at_boot(KEY, names, lines) == expected


def test_the_planned_file_of_provision_counts_with_its_new_content() -> None:
    planned = ETC + "99-provision.conf"
    lines = [f"{planned}:1:net.ipv4.ip_forward=0", ETC + "10.conf:1:net.ipv4.ip_forward=0"]
    assert at_boot(KEY, [planned, ETC + "10.conf"], lines, (planned, "1")) == ("1", planned)
    late = ETC + "zz.conf"
    assert at_boot(KEY, [late], [f"{late}:1:net.ipv4.ip_forward=0"], (planned, "1")) == ("0", f"{late}:1")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_separators_follow_sysctl(key: str, path: str) -> None:
    assert as_path(key) == path
