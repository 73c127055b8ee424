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
