"""The progress of downloads, as a host reports it: from the programs' own lines to a few frames."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.shells import each_shell, run, stub

#: What apt 3.0 writes to its status descriptor for a package of some megabytes, and for its installation (Debian 13).
_APT = """\
dlstatus:1:0:Retrieving file 1 of 2
dlstatus:1:4.5:Retrieving file 1 of 2 (1min 3s remaining)
dlstatus:1:40.5:Retrieving file 1 of 2 (3s remaining)
dlstatus:2:44.9:Retrieving file 2 of 2 (3s remaining)
dlstatus:2:100:Retrieving file 2 of 2
pmstatus:dpkg-exec:0:Running dpkg
pmconffile:/etc/x:10.0:'a' 'b' 1 0
pmstatus:jq:60.0000:Installing jq (amd64)
pmstatus:jq:nonsense:x
"""


@each_shell
@pytest.mark.parametrize("status", [0, 100])
def test_apt_reports_tenths(shell: list[str], tmp_path: Path, status: int) -> None:
    (tmp_path / "progress").write_text(_APT)
    stub(
        tmp_path / "bin",
        "apt-get",
        f'echo "$*" >{tmp_path}/asked\necho words; echo warning >&2\n'
        f"for word; do case $word in APT::Status-Fd=*) fd=${{word#*=}} ;; esac; done\n"
        f'eval "cat {tmp_path}/progress >&$fd"\nsleep 600 >/dev/null 2>&1 &\n'
        f"echo $! >{tmp_path}/daemon\nexit {status}",
    )
    stub(tmp_path / "bin", "apt-mark", ":")
    lines = (
        "alive() { :; }\ntouched() { :; }\napt_wait() { :; }\n"
        f"( set -eu; pkg_transaction 5 install jq - ) >{tmp_path}/log 2>&1\nemit ended $?"
    )
    frames, _ = run(shell, ["fix/locks.sh", "fix/pkg_apt.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)
    assert frames == [
        ("progress", "downloading, 0 %"),
        ("progress", "downloading, 40 %"),
        ("progress", "downloading, 100 %"),
        ("progress", "installing, 0 %"),
        ("progress", "installing, 60 %"),
        ("ended", str(status)),
    ]
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["warning", "words"]
    assert (tmp_path / "asked").read_text().split()[-3:] == ["install", "--", "jq"]


#: What package managers print without a terminal when they install two or three packages. Some lines are left out.
#: dnf 4.14 and zypper 1.14 (Debian 12), pacman 6.0, apk as its manual has it.
_PRINTED = {
    "dnf": (
        """\
Dependencies resolved.
Downloading Packages:
(1/2): pkgone-1-1.noarch.rpm                     32 MB/s | 2.9 MB     00:00    \x20
(2/2): pkgtwo-1-1.noarch.rpm                     17 MB/s | 2.9 MB     00:00    \x20
Total                                            33 MB/s | 5.7 MB     00:00    \x20
  Preparing        :                                                        1/1\x20
  Installing       : pkgtwo-1-1.noarch                                      1/2\x20
  Running scriptlet: pkgtwo-1-1.noarch                                      1/2\x20
  Installing       : pkgone-1-1.noarch                                      2/2\x20
  Verifying        : pkgone-1-1.noarch                                      1/2\x20
  Verifying        : pkgtwo-1-1.noarch                                      2/2\x20
Error: the last words
""",
        ["downloading package 1 of 2", "downloading package 2 of 2"],
        ["installing package 1 of 2", "installing package 2 of 2"],
    ),
    "zypper": (
        """\
Retrieving package pkgone-1-1.noarch (1/12),   2.9 MiB (  2.9 MiB unpacked)
Retrieving: pkgone-1-1.noarch.rpm [done]
Retrieving package pkgtwo-1-1.noarch (10/12),   2.9 MiB (  2.9 MiB unpacked)
( 1/12) Installing: pkgone-1-1.noarch [............done]
Additional rpm output:
(10/12) Installing: pkgtwo-1-1.noarch [............done]
Error: the last words
""",
        ["downloading package 1 of 12", "downloading package 10 of 12"],
        ["installing package 1 of 12", "installing package 10 of 12"],
    ),
    "pacman": (
        """\
resolving dependencies...
Packages (3) pone-1-1  pthree-1-1  ptwo-1-1
:: Retrieving packages...
 ptwo-1-1-any downloading...
installing pone...
from scriptlet
installing ptwo...
upgrading pthree...
Packages (1) pone-1-1
removing pone...
Error: the last words
""",
        [],
        [*(f"installing package {number} of 3" for number in (1, 2, 3)), "removing package 1 of 1"],
    ),
    "apk": (
        """\
(1/2) Installing oniguruma (6.9.10-r0)
(2/2) Installing jq (1.8.0-r0)
Executing busybox-1.37.0-r18.trigger
Error: the last words
""",
        [],
        ["installing package 1 of 2", "installing package 2 of 2"],
    ),
}


@each_shell
@pytest.mark.parametrize("status", [0, 104])
@pytest.mark.parametrize("manager", _PRINTED)
def test_package_managers_report_each_package(shell: list[str], tmp_path: Path, manager: str, status: int) -> None:
    """A daemon that a package has started keeps the output open, and nothing waits for it."""
    text, downloads, installations = _PRINTED[manager]
    (tmp_path / "printed").write_text(text)
    body = f"cat {tmp_path}/printed\nsleep 600 &\necho $! >{tmp_path}/daemon\nexit {status}"
    stub(tmp_path / "bin", manager, body)
    lines = f"alive() {{ :; }}\n( set -eu; pkg_followed {manager} install ) >{tmp_path}/log 2>&1\nemit ended $?"
    frames, _ = run(shell, ["fix/progress.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)
    reported = [("progress", one) for one in [*downloads, *installations]]
    assert frames == [*reported, ("ended", str(status))]
    log = (tmp_path / "log").read_text()
    assert log.strip().endswith("Error: the last words")
    assert not any(f"{one}\n" in log for one in text.splitlines() if "nstalling" in one or "/2" in one)


#: docker pull without a terminal (Engine 28); a layer that another image has is there already.
_PULL = """\
1.27: Pulling from library/nginx
aaaaaaaaaaaa: Already exists
bbbbbbbbbbbb: Pulling fs layer
cccccccccccc: Pulling fs layer
cccccccccccc: Waiting
bbbbbbbbbbbb: Verifying Checksum
bbbbbbbbbbbb: Download complete
bbbbbbbbbbbb: Pull complete
cccccccccccc: Pull complete
"""


@each_shell
def test_an_image_reports_its_layers(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "said").write_text(_PULL)
    stub(tmp_path / "bin", "docker", f'cat {tmp_path}/said\necho "$*" >>{tmp_path}/asked\necho end 1\nexit 0')
    lines = f"alive() {{ :; }}\nimage_pull nginx:1.27 - >{tmp_path}/log 2>&1\nemit ended $?"
    frames, _ = run(shell, ["fix/images.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("progress", "1 of 2 layers"), ("progress", "2 of 2 layers"), ("ended", "0")]
    assert (tmp_path / "asked").read_text() == "pull nginx:1.27\n"


@each_shell
@pytest.mark.parametrize("tail", ["", "\\nend 0"])
def test_a_failed_pull_says_why(shell: list[str], tmp_path: Path, tail: str) -> None:
    """A registry may put any line into its error: the status is the last line, which is provision's."""
    (tmp_path / "said").write_text(_PULL.partition("cccccccccccc: Waiting")[0])
    stub(tmp_path / "bin", "docker", f"cat {tmp_path}/said\nprintf 'denied: no{tail}\\n' >&2\nexit 1")
    lines = f"alive() {{ :; }}\n( set -eu; image_pull nginx:1.27 - ) >{tmp_path}/log 2>&1\nemit ended $?"
    frames, _ = run(shell, ["fix/images.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("ended", "1")]
    log = (tmp_path / "log").read_text()
    assert "nginx:1.27: " in log
    assert "denied: no" in log
    assert "Pulling fs layer" not in log
