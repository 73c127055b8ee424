"""The real shell functions, under dash, bash and busybox sh, on real files. Stubs with recorded output replace commands
that a test machine can't run."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.model import Call
from provision.remote.protocol import Frames, Seen
from provision.remote.script import quote
from provision.remote.sources import SH
from provision.resources.observed import digest, observe
from provision.steps.files import put_file
from provision.transport.execute import Finished
from provision.transport.job import reported
from provision.transport.ssh import HostError
from tests.shells import each_shell, run, stub

EVIL = "'\"$HOME`id`$(id)\\\\ \t!*?[a]{b,c}~;&|<>#\n\n ü€\U0001f433 \x81\u0081 'end"
OWNER = (pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)


def call(made: Call) -> str:
    return " ".join(quote(word) for word in (made.function, *made.args))


@each_shell
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=4))
def test_words_arrive_unchanged(shell: list[str], words: list[str]) -> None:
    frames, done = run(shell, [], "emit " + " ".join(["words", *map(quote, words)]))
    assert frames == [("words", *words)], done.stderr


@each_shell
def test_dockers_variables_in_the_logins_environment_have_no_effect(
    shell: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No docker command of a look or of a step may reach another daemon, or use another format."""
    poison = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "COMPOSE_FILE", "POSIXLY_CORRECT", "TMPDIR", "LANGUAGE")
    for name in poison:
        monkeypatch.setenv(name, "/poison")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    frames, done = run(shell, [], 'emit env "$(env)"')
    seen = dict(line.split("=", 1) for line in frames[0][1].split("\n") if "=" in line)
    assert "/poison" not in frames[0][1], done.stderr
    assert seen["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert seen["LC_ALL"] == "C"
    assert set(poison) & set(seen) == {"DOCKER_HOST", "DOCKER_CONFIG"}


@each_shell
@pytest.mark.parametrize(
    ("made", "undeclared", "asked"),
    [
        ("/etc/docker/daemon.json", "/etc/containerd/config.toml", False),
        ("/etc/docker/daemon.json", "/etc/containerd/config.toml /etc/docker/daemon.json", True),
        ("/etc/containerd/config.toml", "/etc/containerd/config.toml", True),
        ("/etc/motd", "/etc/containerd/config.toml /etc/docker/daemon.json", False),
    ],
)
def test_dockerd_is_started_only_for_a_file_that_is_no_longer_declared(
    shell: list[str], tmp_path: Path, made: str, undeclared: str, asked: bool
) -> None:
    """dockerd takes longer to print its version than all other parts of a look together."""
    stub(tmp_path / "bin", "dockerd", "echo 'Docker version 29.7.2, build 1'")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/site").write_text(f"provision-manifest 1\nplay Site\nfile {made}\n")
    roots = [quote(str(tmp_path / name)) for name in ("docker", "containerd")]
    words = " ".join(f"{root} {quote(undeclared)}" for root in roots)
    lines = f"look_manifests {quote(str(tmp_path / 'manifests'))}\nlook_undeclared {words}"
    frames, done = run(shell, ["look/manifests.sh", "resources/store.sh"], lines, path=tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    assert (("undeclared", "", "Docker version 29.7.2, build 1") in frames) is asked
    assert [frame[1] for frame in frames if frame[0] == "store"] == [
        str(tmp_path / "docker"),
        str(tmp_path / "containerd"),
    ] * asked


@each_shell
def test_each_byte_arrives(shell: list[str], tmp_path: Path) -> None:
    every = bytes(range(1, 256))
    path = tmp_path / "x"
    lines = call(put_file(str(path), content=every, owner=OWNER[0], group=OWNER[1], mode="0600"))
    _, done = run(shell, ["fix/files.sh"], f"run_written={tmp_path}/w\n{lines}", frame="fix.sh")
    assert path.read_bytes() == every, done.stderr


@each_shell
@pytest.mark.parametrize("content", [b"", b"x", b"\n", b"\n\n\n", EVIL.encode(), b"a\0b", bytes(range(256))])
def test_look_reports_the_file_that_put_file_wrote(shell: list[str], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "new folder" / "it's $x"
    put = put_file(str(path), content=content, owner=OWNER[0], group=OWNER[1], mode="0640")
    lines = f"run_written={tmp_path}/w\n{call(put)}"
    _, done = run(shell, ["fix/files.sh"], lines, frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [name.name for name in path.parent.iterdir()] == [path.name], "nothing half-written may stay"
    frames, done = run(shell, ["look/files.sh"], f"look_files {quote(str(path))} /nonexistent")
    seen = Seen.of(frames)
    file = observe(seen, str(path))
    assert (file.content, file.mode, file.owner, file.group) == (content, "0640", *OWNER), done.stderr
    assert observe(seen, "/nonexistent").kind == "absent"


@each_shell
@pytest.mark.parametrize(
    ("sync", "status", "calls"),
    [
        ("exit 0", 0, ["-- F"]),
        # coreutils before 8.24 (src/sync.c)
        ('echo "sync: ignoring all arguments" >&2', 0, ["-- F"]),
        # busybox without its SYNC_FANCY (coreutils/sync.c)
        ("[ $# = 0 ]", 0, ["-- F", "-- /", ""]),
        # a disk that can't be written
        ('[ "$*" != "-- F" ] || { echo "sync: Input/output error" >&2; exit 1; }', 1, ["-- F", "-- /"]),
    ],
    ids=["of one file", "old coreutils", "small busybox", "a broken disk"],
)
def test_durable_fails_only_on_an_error_of_the_disk(
    shell: list[str], tmp_path: Path, sync: str, status: int, calls: list[str]
) -> None:
    stub(tmp_path / "bin", "sync", f'echo "$*" >>{tmp_path}/calls\n{sync}')
    frames, done = run(shell, ["fix/files.sh"], "durable F; emit status $?", path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("status", str(status))]
    assert (tmp_path / "calls").read_text().splitlines() == calls
    assert (b"Input/output error" in done.stderr) == bool(status)


@each_shell
def test_one_look_reports_each_kind_of_file(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\n")
    (tmp_path / "binary").write_bytes(b"a\0b\0")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    names = ["text", "binary", "large", "folder", "link", "none"]
    frames, done = run(shell, ["look/files.sh"], "look_files " + " ".join(str(tmp_path / name) for name in names))
    seen = Seen.of(frames)
    kinds = [observe(seen, str(tmp_path / name)) for name in names]
    assert [file.kind for file in kinds] == [
        "regular file",
        "regular file",
        "regular file",
        "directory",
        "symbolic link",
        "absent",
    ], done.stderr
    assert [file.content for file in kinds[:3]] == [b"a\n", b"a\0b\0", None]
    assert kinds[2].sha256 == digest(b"x" * 70_000)


@each_shell
def test_a_look_reports_the_folders_above_a_file(shell: list[str], tmp_path: Path) -> None:
    """The look reads the directories in the stat that it makes anyway. Watched files in the same stat are not counted
    as directories."""
    (tmp_path / "open * one").mkdir()
    (tmp_path / "closed").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    files = [tmp_path / "open * one/a", tmp_path / "closed/a", tmp_path / "open * one/b"]
    for path in files:
        path.write_text("a\n")
        path.chmod(0o644)
    watched = tmp_path / "watched"
    watched.write_text("x")
    stub(tmp_path / "bin", "stat", f'echo >>{tmp_path}/count; PATH=${{PATH#*:}} exec stat "$@"')
    words = " ".join(quote(str(path)) for path in [*files, "/nonexistent/x"])
    lines = f'files_watched={watched}\nlook_files {words}\nemit known "$files_known"'
    frames, done = run(shell, ["look/files.sh"], lines, path=tmp_path / "bin")
    seen = Seen.of(frames[:-1])
    names, fields = (text.split("\n") for text in seen.fields("folders"))
    assert len(names) == len(fields) == len(set(names)), done.stderr
    told = {name: field.split(":")[:2] for name, field in zip(names, fields, strict=True)}
    assert told[str(tmp_path)] == ["directory", "755"]
    assert told[str(tmp_path / "open * one")] == ["directory", "755"]
    assert told[str(tmp_path / "closed")] == ["directory", "700"]
    assert "/nonexistent" not in told
    (known,) = (frame[1] for frame in frames if frame[0] == "known")
    assert known.startswith("regular file:")
    assert known.endswith(":1")
    assert "\n" not in known
    assert (tmp_path / "count").read_text().count("\n") == 1


@each_shell
def test_a_record_reports_the_folders_of_kept_files(shell: list[str], tmp_path: Path) -> None:
    """A rollback shows only what every user of the host could read. Directories that are removed are not reported."""
    kept = tmp_path / "runs/run-1/kept"
    kept.mkdir(parents=True)
    (kept / "0").write_text("a\n")
    place = tmp_path / "closed"
    place.mkdir(mode=0o700)
    before = f"file 0 {place}/x\nfile 0 /nonexistent/x\nabsent - /etc/y\n"
    (tmp_path / "runs/run-1/before").write_text(before)
    frames, done = run(shell, ["look/files.sh", "look/history.sh"], f"look_run {tmp_path}/runs run-1")
    seen = Seen.of(frames)
    names, fields = (text.split("\n") for text in seen.fields("folders"))
    told = dict(zip(names, fields, strict=True))
    assert told[str(place)].startswith("directory:700:"), done.stderr
    assert "/nonexistent" not in told


@each_shell
def test_a_failed_look_is_an_error_and_never_absent(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "stat", "echo 'stat: I/O error' >&2; exit 1")
    frames, done = run(shell, ["look/files.sh"], "at look_files /etc/passwd\nemit end", path=tmp_path / "bin")
    assert frames == [("died", "look_files", "1")]
    assert b"I/O error" in done.stderr


@each_shell
def test_a_service_manager_that_gives_no_answer_is_named(shell: list[str], tmp_path: Path) -> None:
    """systemctl(1) on a host that was not booted with systemd. The doctor calls such a host unsuitable."""
    stub(tmp_path / "bin", "systemctl", "echo 'System has not been booted with systemd' >&2; exit 1")
    files = ["look/files.sh", "look/services.sh", "look/svc_systemd.sh"]
    frames, done = run(shell, files, "at look_services docker - ''\nemit end", path=tmp_path / "bin")
    assert frames == [("died", "look_services", "1")]
    with pytest.raises(HostError) as caught:
        reported(list(frames), Finished(1, done.stderr.decode()))
    assert "the service manager gives no answer" in caught.value.failure.message
    assert "provision doctor" in caught.value.failure.message
    assert "not been booted with systemd" in caught.value.failure.detail


@each_shell
def test_a_step_can_neither_print_events_nor_read_the_script(shell: list[str], tmp_path: Path) -> None:
    """A step that prints much and reads all input: its output is no event, and it can't read the script."""
    stub(tmp_path / "bin", "noisy", "printf '1;4:evil,\\n'; (printf '1;4:evil,\\n' >&3) 2>/dev/null; cat")
    lines = (
        f"mkdir -p {tmp_path}/run\nrun_log={tmp_path}/run/log run_written={tmp_path}/run/w\n"
        "step 0 180 x noisy\nstep 1 180 y true\nsteps_end\nemit end"
    )
    frames, done = run(shell, [], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [
        ("step.begin", "0", "x", "noisy"),
        ("step.done", "0"),
        ("step.begin", "1", "y", "true"),
        ("step.done", "1"),
        ("steps.end",),
        ("end",),
    ], done.stderr


@each_shell
def test_a_failing_step_ends_the_job_with_its_output(shell: list[str], tmp_path: Path) -> None:
    lines = (
        f"run_log={tmp_path}/log run_written={tmp_path}/w\n"
        "broken() { echo before; false; echo after; }\n"
        "step 0 180 x broken\nstep 1 180 y true\nemit end"
    )
    frames, _ = run(shell, [], lines, frame="fix.sh")
    assert frames == [("step.begin", "0", "x", "broken"), ("step.failed", "0", "1", "before")]


@each_shell
def test_a_process_is_identified_by_pid_and_start(shell: list[str]) -> None:
    lines = (
        f"process {os.getpid()}; emit own $process_id; process 999999999; emit none $process_id; process ''; emit empty"
    )
    frames, done = run(shell, [], lines)
    start = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    assert frames == [("own", f"{os.getpid()}:{start}"), ("none",), ("empty",)], done.stderr
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    (frame,), _ = run(shell, [], "ticks_now; emit now $ticks")
    assert before * 100 - 2 <= int(frame[1]) <= time.clock_gettime(time.CLOCK_BOOTTIME) * 100 + 2


@each_shell
def test_manifests_are_read_with_the_state_of_their_objects(shell: list[str], tmp_path: Path) -> None:
    there = tmp_path / "it's there"
    there.write_text("x")
    folder = tmp_path / "manifests"
    folder.mkdir()
    text = f"provision-manifest 1\nplay A b\nfile {there}\nfile /nonexistent x\nsysctl a.b 0\n"
    (folder / "site").write_text(text)
    frames, done = run(shell, ["look/manifests.sh"], f"look_manifests {quote(str(folder))}\nlook_manifests /none")
    assert frames == [
        ("made", str(there), "present"),
        ("made", "/nonexistent x", "absent"),
        ("manifest", "site", text),
    ], done.stderr


@each_shell
def test_live_sysctls_are_read_completely(shell: list[str]) -> None:
    """The kernel gives a process that reads byte by byte, as a shell does, only the first byte."""
    key = "net/ipv4/ip_local_port_range"
    frames, done = run(shell, ["resources/sysctl.sh"], f"look_sysctls {key} no/such/key")
    (_, _, names, lines) = frames[0]
    value = Path(f"/proc/sys/{key}").read_text().strip()
    assert f"/proc/sys/{key}:1:{value}" in lines.splitlines(), done.stderr
    assert "no/such/key" not in names


@each_shell
def test_packages_as_dpkg_lists_them(shell: list[str], tmp_path: Path) -> None:
    """Recorded on Debian 13: dpkg-query 1.22 with one package that it does not know."""
    stub(
        tmp_path / "bin",
        "dpkg-query",
        "printf 'docker-ce ii  5:28.5.2-1~debian.13~trixie\\njq un  \\n';"
        " echo 'dpkg-query: no packages found matching nope' >&2; exit 1",
    )
    frames, _ = run(shell, ["look/pkg_apt.sh"], "look_packages docker-ce jq nope", path=tmp_path / "bin")
    assert frames == [("packages", "", "docker-ce ii  5:28.5.2-1~debian.13~trixie\njq un  ")]
    stub(tmp_path / "bin", "dpkg-query", "exit 2")
    frames, _ = run(shell, ["look/pkg_apt.sh"], "at look_packages x\nemit end", path=tmp_path / "bin")
    assert frames == [("died", "look_packages", "1")]


@each_shell
@pytest.mark.parametrize(
    ("pin", "found"),
    [
        ("28.5.2", "5:28.5.2-1~debian.13~trixie"),
        ("26.1", "5:26.1.5-1~debian.13~trixie"),
        ("5:26.1.5-1~debian.13~trixie", "5:26.1.5-1~debian.13~trixie"),
        ("2", ""),
        ("26.1.5-1", "5:26.1.5-1~debian.13~trixie"),
    ],
)
def test_pins_as_apt_lists_versions(shell: list[str], tmp_path: Path, pin: str, found: str) -> None:
    """Recorded on Debian 13: apt-cache 3.0 madison."""
    site = "http://mirror/linux/debian trixie/stable amd64 Packages"
    listing = "".join(f" docker-ce | 5:{v}-1~debian.13~trixie | {site}\\n" for v in ("28.5.2", "26.1.5"))
    stub(tmp_path / "bin", "apt-cache", f"printf '{listing}'")
    lines = f"pin_version docker-ce {pin}\nemit found $pin_found"
    frames, done = run(shell, ["fix/locks.sh", "fix/pkg_apt.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == ([("found", found)] if found else [("died", "begin", "1")])
    assert found or b"no version of docker-ce matches 2" in done.stderr


#: Family -> its shell files, what the program prints (recorded: dnf 4.23, zypper 1.14), and how a hold is written.
_RPM = {
    "dnf": (
        ["look/rpm.sh", "look/rpm_locks.sh", "look/pkg_rpm.sh", "look/pkg_dnf.sh"],
        (
            "Available Packages\\n"
            "docker-ce.x86_64                 3:26.1.5-1.el9                 docker-ce-stable\\n"
            "docker-ce.x86_64                 3:28.5.2-1.el9                 docker-ce-stable\\n"
        ),
        "docker-ce-3:28.5.2-1.el9.*",
    ),
    # Not recorded, because no yum was available: the same rows, wrapped as yum 3 wraps rows that are too long for its
    # columns.
    "yum": (
        ["look/rpm.sh", "look/rpm_locks.sh", "look/pkg_rpm.sh", "look/pkg_yum.sh"],
        (
            "Available Packages\\n"
            "docker-ce.x86_64\\n                 3:26.1.5-1.el9                 docker-ce-stable\\n"
            "docker-ce.x86_64                 3:28.5.2-1.el9\\n                 docker-ce-stable\\n"
        ),
        "3:docker-ce-28.5.2-1.el9.*",
    ),
    "zypper": (
        ["look/rpm.sh", "look/rpm_locks.sh", "look/pkg_zypper.sh"],
        (
            "\\nS  | Name   | Type    | Version        | Arch   | Repository\\n"
            "---+--------+---------+----------------+--------+---------------------\\n"
            "i  | docker-ce | package | 3:28.5.2-1.el9 | x86_64 | (System Packages)\\n"
            "   | docker-ce | package | 3:28.5.2-1.el9 | x86_64 | Base of a look-alike\\n"
            "   | docker-ce | package | 3:26.1.5-1.el9 | x86_64 | Base of a look-alike\\n"
        ),
        "solvable_name: docker-ce",
    ),
}


@each_shell
@pytest.mark.parametrize("family", _RPM)
@pytest.mark.parametrize(
    ("pin", "found"),
    [
        ("28.5.2", "3:28.5.2-1.el9"),
        ("26.1", "3:26.1.5-1.el9"),
        ("3:26.1.5-1.el9", "3:26.1.5-1.el9"),
        ("2", ""),
        ("26.1.5-2", ""),
    ],
)
def test_pins_as_rpm_managers_list_versions(
    shell: list[str], tmp_path: Path, family: str, pin: str, found: str
) -> None:
    files, listing, _ = _RPM[family]
    stub(tmp_path / "bin", family, f"printf '{listing}'")
    lines = f"pin_version docker-ce {pin}\nemit found $pin_found"
    frames, done = run(shell, [*files, "fix/rpm.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == ([("found", found)] if found else [("died", "begin", "1")])
    assert found or b"no version of docker-ce matches 2" in done.stderr


@each_shell
def test_an_epoch_of_zero_is_no_epoch(shell: list[str], tmp_path: Path) -> None:
    """rpm reports "0:26.1.5-1" of a package that states its epoch, and a rollback pins that. dnf lists "26.1.5-1"."""
    stub(tmp_path / "bin", "dnf", "printf 'docker.x86_64 26.1.5-1.amzn2023 base\\n'")
    lines = "pin_version docker 0:26.1.5-1.amzn2023\nemit found $pin_found"
    files = [*_RPM["dnf"][0], "fix/rpm.sh"]
    frames, _ = run(shell, files, lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("found", "26.1.5-1.amzn2023")]


@each_shell
@pytest.mark.parametrize("family", _RPM)
def test_packages_as_rpm_lists_them(shell: list[str], tmp_path: Path, family: str) -> None:
    """Recorded: rpm 4.20, whose exit status is the number of packages that are missing."""
    files, _, lock = _RPM[family]
    said = "@ docker-ce 3:28.5.2-1.el9\\npackage jq is not installed\\n@ tree 2.1.0-8.el9\\n"
    stub(tmp_path / "bin", "rpm", f"printf '{said}'; exit 1")
    (tmp_path / "locks").write_text(f"# a comment\n{lock}\n")
    for path, held in (("locks", "hi"), ("none", "ii")):
        lines = f"rpm_lock_file={tmp_path}/{path}\nlook_packages docker-ce jq tree"
        frames, _ = run(shell, files, lines, path=tmp_path / "bin")
        assert frames == [("packages", "", f"docker-ce {held} 3:28.5.2-1.el9\ntree ii 2.1.0-8.el9\n")]


@each_shell
@pytest.mark.parametrize(("manager", "code"), [("dnf", 0), ("dnf", 1), ("yum", 0), ("yum", 1)])
def test_the_host_reports_whether_it_can_hold_versions(
    shell: list[str], tmp_path: Path, manager: str, code: int
) -> None:
    """Without the plugin dnf 4.14 ends with 1: "No such command: versionlock". A plugin at its usual place costs no
    fork."""
    stub(tmp_path / "bin", manager, f'echo "$@" >>{tmp_path}/asked; exit {code}')
    text = (SH / f"look/pkg_{manager}.sh").read_text().replace("/usr/", f"{tmp_path}/usr/")
    (tmp_path / "look.sh").write_text(text)
    files = ["look/pkg_rpm.sh", str(tmp_path / "look.sh")]
    frames, _ = run(shell, files, "look_locks", path=tmp_path / "bin")
    assert frames == [("locks", "", "missing" if code else "work")]
    assert (tmp_path / "asked").read_text() == "-q versionlock list\n"
    (tmp_path / "asked").unlink()
    places = {"dnf": "usr/lib/python3.9/site-packages/dnf-plugins", "yum": "usr/lib/yum-plugins"}
    plugin = tmp_path / places[manager] / "versionlock.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("")
    frames, _ = run(shell, files, "look_locks", path=tmp_path / "bin")
    assert frames == [("locks", "", "work")]
    assert not (tmp_path / "asked").exists()


#: The output of dnf5 according to its source (5.2; dnf5 was not run): `versionlock list` with a lock of its own `add`,
#: one with two conditions, one with another comparison, and one that is not valid.
_DNF5_LOCKS = """\
# Added by 'versionlock add' command on 2026-11-26 06:00:00
Package name: docker-ce
evr = 3:28.5.2-1.fc43

Package name: acpi
evr < 4
evr >= 3

Package name: two
evr = 1-1
arch = x86_64

Package name: tree
evr = 2.1.0-8.fc43

Package name: none # entry is invalid: missing package conditions
"""


def dnf5(tmp_path: Path, versions: str = "") -> None:
    """A dnf5 that records its arguments, and an rpm that has docker-ce and tree."""
    (tmp_path / "locks").write_text(_DNF5_LOCKS)
    body = f"""\
printf '%s\\n' "$*" >>{tmp_path}/asked
case "$*" in
    "-q versionlock list") cat {tmp_path}/locks ;;
    *repoquery*) printf '{versions}' ;;
    *fail*) exit 1 ;;
esac"""
    stub(tmp_path / "bin", "dnf5", body)
    said = "@ docker-ce 3:28.5.2-1.fc43\\n@ tree 0:2.1.0-8.fc43\\n@ two 1-1\\n@ acpi 3-1\\n"
    body = f"""\
case "$*" in
    *"@ "*) printf '{said}'; exit 1 ;;
    *table.sort*) printf '3:9.0-1.fc43\\n3:26.1.5-1.fc43\\n3:28.5.2-1.fc43\\n3:28.10.0-1.fc43' ;;
    *--eval*"'3:26.1.5-1.fc43', '3:28.5.2-1.fc43'"*) echo -1 ;;
    *--eval*) echo 1 ;;
    *docker-ce) echo 3:28.5.2-1.fc43 ;;
    *) exit 1 ;;
esac"""
    stub(tmp_path / "bin", "rpm", body)


_DNF5 = ["look/rpm.sh", "look/pkg_dnf5.sh"]


@each_shell
def test_versionlocks_as_dnf5_lists_them(shell: list[str], tmp_path: Path) -> None:
    dnf5(tmp_path)
    lines = f"rpm_lock_file={tmp_path}/locks\nlook_packages docker-ce tree two acpi"
    frames, _ = run(shell, _DNF5, lines, path=tmp_path / "bin")
    held = "docker-ce hi 3:28.5.2-1.fc43\ntree hi 0:2.1.0-8.fc43\ntwo ii 1-1\nacpi ii 3-1\n"
    assert frames == [("packages", "", held)]
    # A host without a lock does not run versionlock.
    (tmp_path / "asked").unlink()
    lines = f"rpm_lock_file={tmp_path}/none\nlook_packages docker-ce"
    frames, _ = run(shell, _DNF5, lines, path=tmp_path / "bin")
    assert frames[0][2].startswith("docker-ce ii ")
    assert not (tmp_path / "asked").exists()


@each_shell
@pytest.mark.parametrize(
    ("pin", "found"),
    [
        ("28.5", "3:28.5.2-1.fc43"),
        ("9", "3:9.0-1.fc43"),
        ("26.1.5-1.fc43", "3:26.1.5-1.fc43"),
        ("28", "3:28.10.0-1.fc43"),
        ("2", ""),
    ],
)
def test_pins_as_dnf5_lists_versions(shell: list[str], tmp_path: Path, pin: str, found: str) -> None:
    """repoquery sorts its lines as texts, so that 28.5 comes after 28.10."""
    dnf5(tmp_path, "3:26.1.5-1.fc43\\n3:28.10.0-1.fc43\\n3:28.5.2-1.fc43\\n3:9.0-1.fc43\\n")
    lines = f"pin_version docker-ce {pin}\nemit found $pin_found"
    frames, done = run(shell, [*_DNF5, "fix/rpm.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == ([("found", found)] if found else [("died", "begin", "1")])
    assert found or b"no version of docker-ce matches 2" in done.stderr
    asked = (tmp_path / "asked").read_text()
    assert asked == "-q repoquery --available --queryformat %{evr}\\n docker-ce\n"


@each_shell
@pytest.mark.parametrize("version", ["28.5.2-1 --no-gpgchecks", "28.5.2-1\\t--no-gpgchecks", "28.5.2-*"])
def test_a_version_of_an_index_adds_no_word_to_the_command(shell: list[str], tmp_path: Path, version: str) -> None:
    """The index of a repository may be unsigned, and packages are installed by unquoted names and versions."""
    dnf5(tmp_path, f"3:{version}\\n")
    lines = "pin_version docker-ce 28.5\nemit found $pin_found"
    frames, done = run(shell, [*_DNF5, "fix/rpm.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("died", "begin", "1")]
    assert b"no version of docker-ce matches 28.5" in done.stderr


@each_shell
def test_the_newest_version_as_dnf5_knows_it(shell: list[str], tmp_path: Path) -> None:
    dnf5(tmp_path, "3:28.5.2-1.fc43\\n")
    frames, _ = run(shell, _DNF5, "look_candidates docker-ce", path=tmp_path / "bin")
    assert frames == [("candidates", "", "docker-ce:\n  Candidate: 3:28.5.2-1.fc43\n")]
    (asked,) = (tmp_path / "asked").read_text().split("\n")[:-1]
    folder = re.fullmatch(
        r"-q repoquery --available --latest-limit=1 --setopt=system_cachedir=(\S+) --setopt=cachedir=\1 "
        r"--queryformat %\{evr\}\\n docker-ce",
        asked,
    )
    assert folder
    assert not Path(folder[1]).exists()


@each_shell
@pytest.mark.parametrize("fails", [False, True])
def test_dnf5_changes_packages_with_their_locks_released(shell: list[str], tmp_path: Path, fails: bool) -> None:
    """A locked package is unlocked for the transaction, and locked again whether that succeeds or not."""
    dnf5(tmp_path, "3:26.1.5-1.fc43\\n3:28.5.2-1.fc43\\n3:9.0-1.fc43\\n")
    words = "remove podman - install docker-ce 26.1 install jq - install " + ("fail -" if fails else "curl -")
    lines = (
        f"touched() {{ :; }}\nrpm_wait() {{ :; }}\nrpm_lock_file={tmp_path}/locks\n"
        f"pkg_transaction 5 {words} || emit failed"
    )
    frames, _ = run(shell, [*_DNF5, "fix/rpm.sh", "fix/pkg_dnf5.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    asked = [line for line in (tmp_path / "asked").read_text().split("\n") if line]
    changes = [
        "-q -y versionlock delete docker-ce",
        "-q -y remove podman",
        f"-q -y install jq {'fail' if fails else 'curl'}",
        *([] if fails else ["-q -y downgrade docker-ce-26.1.5-1.fc43"]),
        "-q -y versionlock add docker-ce",
    ]
    assert [line for line in asked if "repoquery" not in line and "list" not in line] == changes
    assert frames == ([("failed",)] if fails else [])


@each_shell
def test_dnf5_refreshes_metadata_and_sets_locks(shell: list[str], tmp_path: Path) -> None:
    dnf5(tmp_path)
    (tmp_path / "docker-ce.repo").write_text("[docker-ce-stable]\nname=x\n[other]\n")
    lines = (
        f"rpm_wait() {{ :; }}\npkg_refresh 5 {tmp_path}/docker-ce.repo {tmp_path}/none.repo\n"
        "pkg_hold 5 hold docker-ce gone\npkg_hold 5 unhold docker-ce"
    )
    frames, _ = run(shell, [*_DNF5, "fix/rpm.sh", "fix/pkg_dnf5.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == []
    assert (tmp_path / "asked").read_text().split("\n")[:-1] == [
        "-q -y --repo=docker-ce-stable --repo=other --refresh makecache",
        "-q -y --refresh makecache",
        "-q -y versionlock delete docker-ce gone",
        "-q -y versionlock add docker-ce",
        "-q -y versionlock delete docker-ce",
    ]


_PACMAN_CONF = "[options]\nArchitecture = auto\nIgnorePkg   = linux jq\n#IgnorePkg = x\n[core]\nServer = file:///repo\n"


def pacman(tmp_path: Path) -> list[str]:
    """A pacman that answers as the real one did (recorded: pacman 6.0.2), and its shell files."""
    (tmp_path / "asked").write_text("")
    body = f"""\
printf '%s\\n' "$*" >>{tmp_path}/asked
case "$*" in
    "-Q -- "*) printf 'docker 1:28.3.3-1\\njq 1.8.1-1\\n'; echo "error: package 'nope' was not found" >&2; exit 1 ;;
    *"--print-format %n %v -- docker") echo 'docker 1:28.3.3-1' ;;
    *"--print-format"*) echo "error: target not found: nope" >&2; exit 1 ;;
esac"""
    stub(tmp_path / "bin", "pacman", body)
    for folder in ("db/sync", "cache", "d"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "pacman.conf").write_text(_PACMAN_CONF)
    places = {
        "/etc/pacman.conf": "pacman.conf",
        "/etc/pacman.d": "d",
        "/var/lib/pacman": "db",
        "/var/cache/pacman/pkg": "cache",
    }
    files = []
    for name in ("look", "fix"):
        text = (SH / name / "pkg_pacman.sh").read_text()
        for path, own in places.items():
            text = text.replace(path, f"{tmp_path}/{own}")
        (tmp_path / f"{name}.sh").write_text(text)
        files.append(str(tmp_path / f"{name}.sh"))
    return files


def asked(tmp_path: Path) -> list[str]:
    return (tmp_path / "asked").read_text().split("\n")[:-1]


@each_shell
def test_packages_as_pacman_lists_them(shell: list[str], tmp_path: Path) -> None:
    look, _ = pacman(tmp_path)
    frames, _ = run(shell, [look], "look_packages docker jq nope\nlook_candidates docker nope", path=tmp_path / "bin")
    assert frames == [
        ("packages", "", "docker ii 1:28.3.3-1\njq hi 1.8.1-1\n"),
        ("candidates", "", "docker:\n  Candidate: 1:28.3.3-1\nnope:\n  Candidate: (none)\n"),
    ]
    packages, refresh, *newest = asked(tmp_path)
    assert packages == "-Q -- docker jq nope"
    found = re.fullmatch(r"-q -b (\S+) -Sy", refresh)
    assert found
    assert newest == [f"-b {found[1]} -Sddp --print-format %n %v -- {name}" for name in ("docker", "nope")]
    assert not Path(found[1]).exists()


@each_shell
@pytest.mark.parametrize(
    ("pin", "found"),
    [
        ("28.3", "docker"),
        ("1:28.3.3-1", "docker"),
        ("27", "cache/docker-1:27.0.1-2-x86_64.pkg.tar.zst"),
        ("0.26", ""),
        ("2", ""),
    ],
)
def test_pins_as_pacman_and_its_cache_have_versions(shell: list[str], tmp_path: Path, pin: str, found: str) -> None:
    files = pacman(tmp_path)
    for name in ("docker-1:27.0.1-2", "docker-buildx-0.26.1-1", "docker-1:28.3.3-1"):
        (tmp_path / f"cache/{name}-x86_64.pkg.tar.zst").write_text("")
        (tmp_path / f"cache/{name}-x86_64.pkg.tar.zst.sig").write_text("")
    lines = f'pin_version docker {pin}\nemit found "$pin_what"'
    frames, done = run(shell, files, lines, path=tmp_path / "bin", frame="fix.sh")
    wanted = f"{tmp_path}/{found}" if "/" in found else found
    assert frames == ([("found", wanted)] if found else [("died", "begin", "1")])
    assert found or b"no version of docker matches" in done.stderr


@each_shell
def test_pacman_changes_packages(shell: list[str], tmp_path: Path) -> None:
    """-R and -U have no -q. An existing database is not refreshed, because the system would be upgraded in part."""
    files = pacman(tmp_path)
    (tmp_path / "cache/docker-1:27.0.1-2-x86_64.pkg.tar.zst").write_text("")
    lines = (
        "touched() { :; }\npkg_refresh 1\n"
        f": >{tmp_path}/db/sync/core.db\npkg_refresh 1\n"
        "pkg_transaction 1 remove podman - install docker 27 install jq -"
    )
    frames, _ = run(shell, [*files, "fix/progress.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert frames == []
    assert asked(tmp_path) == [
        "-q -Sy",
        "-Sddp --print-format %n %v -- docker",
        "-R --noconfirm -- podman",
        "-S --noconfirm --needed -- jq",
        f"-U --noconfirm -- {tmp_path}/cache/docker-1:27.0.1-2-x86_64.pkg.tar.zst",
    ]
    (tmp_path / "db/db.lck").write_text("")
    frames, done = run(shell, files, "pkg_transaction 0 install jq -", path=tmp_path / "bin", frame="fix.sh")
    assert frames == [("died", "begin", "1")]
    assert b"another package manager is running, or was interrupted" in done.stderr


@each_shell
def test_pacman_holds_packages_by_ignorepkg(shell: list[str], tmp_path: Path) -> None:
    """An operator's IgnorePkg stays, and the file is included once."""
    files = pacman(tmp_path)
    lines = "chown() { :; }\ndurable() { :; }\nrelabel() { :; }\n{}\nlook_packages docker jq"
    for change, held in (("pkg_hold 5 hold docker", "hi"), ("pkg_hold 5 unhold docker", "ii")):
        for _ in range(2):
            frames, _ = run(shell, files, lines.replace("{}", change), path=tmp_path / "bin", frame="fix.sh")
            assert frames == [("packages", "", f"docker {held} 1:28.3.3-1\njq hi 1.8.1-1\n")]
    include = f"[options]\nInclude = {tmp_path}/d/provision-hold.conf\n"
    assert (tmp_path / "pacman.conf").read_text() == _PACMAN_CONF.replace("[options]\n", include)
    assert (tmp_path / "d/provision-hold.conf").read_text() == ""


@each_shell
def test_the_holder_of_a_lock_is_found_by_its_pid_file(shell: list[str], tmp_path: Path) -> None:
    """As yum and zypper do it. The pid of a process that does not exist holds no lock."""
    (tmp_path / "live.pid").write_text(f"{os.getpid()}\n")
    (tmp_path / "dead.pid").write_text("999999999\n")
    for name, holder in (("live", str(os.getpid())), ("dead", ""), ("none", "")):
        lines = f'lock_holder {tmp_path}/{name}.pid\nemit holder "$lock_pid"'
        frames, _ = run(shell, ["fix/locks.sh"], lines, frame="fix.sh")
        assert frames == [("holder", holder)]


@each_shell
def test_fingerprints_as_gpg_lists_them(shell: list[str]) -> None:
    """Recorded: gpg 2.4 --with-colons --show-keys of two keys, the first with a subkey."""
    listing = (
        "pub:-:255:22:A5FB5A3F6C8889EA:1795512193:::-:::scSC:::::ed25519:::0:\n"
        "fpr:::::::::7BABB45414814066A7895E42A5FB5A3F6C8889EA:\n"
        "uid:-::::1795512193::90C4::provision test::::::::::0:\n"
        "sub:-:255:18:0000000000000000:1795512193::::::e:::::cv25519::\n"
        "fpr:::::::::0000000000000000000000000000000000000000:\n"
        "pub:-:2048:1:A709C636E6FA24A6:1795512193:::-:::scSC::::::::0:\n"
        "fpr:::::::::8AFFEFEA36145CC1D230ECB1A709C636E6FA24A6:\n"
    )
    lines = f'emit prints "$(primary_fingerprints {quote(listing)})"'
    frames, _ = run(shell, ["fix/keys.sh"], lines, frame="fix.sh")
    both = "7BABB45414814066A7895E42A5FB5A3F6C8889EA\n8AFFEFEA36145CC1D230ECB1A709C636E6FA24A6"
    assert frames == [("prints", both)]


SHOW = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNeedDaemonReload=no"


@each_shell
def test_packages_are_queried_once(shell: list[str], tmp_path: Path) -> None:
    """The answer that a job recorded is valid while dpkg's database is unchanged, and only for the same names."""
    stub(tmp_path / "bin", "dpkg-query", f"echo asked >>{tmp_path}/calls\ncat {tmp_path}/answer")
    (tmp_path / "answer").write_text("a ii  1.0\nb ii  2.0\n")
    status, updates, other = (tmp_path / name for name in ("status", "updates", "other"))
    status.write_text("whole")
    updates.mkdir()
    other.write_text("x")
    files = ["look/files.sh", "look/pkg_apt.sh"]

    def look(names: str, job: bool = False) -> tuple[str, int]:
        lines = [f"files_watched='{status} {updates}' packages_memory={tmp_path}/memory"]
        lines += [f"run={tmp_path}/run"] * job + [f"look_files {other}", f"look_packages {names}"]
        frames, done = run(shell, files, "\n".join(lines), path=tmp_path / "bin", frame="fix.sh" if job else "look.sh")
        assert frames, done.stderr
        calls = tmp_path / "calls"
        return frames[-1][2], len(calls.read_text().splitlines()) if calls.exists() else 0

    answer = "a ii  1.0\nb ii  2.0"
    assert look("a b") == (answer, 1)
    assert look("a b") == (answer, 2), "a look writes nothing, so nothing is remembered"
    assert look("a b", job=True) == (answer, 3)
    assert look("a b") == (answer, 3)
    assert look("a")[1] == 4, "other names need a new query"
    assert look("a b") == (answer, 4)
    new = tmp_path / "status-new"
    new.write_text("whole")
    new.rename(status)
    (tmp_path / "answer").write_text("a ii  1.1\n")
    assert look("a b") == ("a ii  1.1", 5), "a different file of the same size and age"
    assert look("a b", job=True)[1] == 6
    assert look("a b")[1] == 6
    os.utime(updates, (1, 1))
    assert look("a b")[1] == 7, "a change that is not in the database yet"
    (tmp_path / "memory").write_text((tmp_path / "memory").read_text().replace("end\n", ""))
    os.utime(updates, None)
    assert look("a b")[1] == 8, "an incomplete record is not used"


@each_shell
def test_the_stamp_shows_which_files_a_service_has_loaded(shell: list[str], tmp_path: Path) -> None:
    """The whole life of a stamp, with this process as the service. systemctl gives recorded answers (257)."""
    watched = tmp_path / "conf"
    watched.write_text("1")
    pid = os.getpid()
    shown = SHOW.replace("\n", "\\n")
    stub(
        tmp_path / "bin",
        "systemctl",
        f"echo systemctl \"$1\" >>{tmp_path}/calls\nprintf '{shown}\\nMainPID={pid}\\nFragmentPath=/bin/sh\\n'",
    )
    stub(tmp_path / "bin", "journalctl", "true")
    here = f"services_stamps={tmp_path}/stamps run_written={tmp_path}/w\n"
    files = ["look/files.sh", "look/services.sh", "look/svc_systemd.sh", "fix/services.sh", "fix/svc_systemd.sh"]
    asked = f'compare() {{ echo "answer $*"; }}\nlook_services x "compare a  b" {watched}'

    def look() -> tuple[str, ...]:
        frames, done = run(shell, files, here + asked, path=tmp_path / "bin")
        assert frames, done.stderr
        return frames[-1][3:]

    # The file is newer than the process, and there is no stamp: unknown, so the daemon is asked.
    assert look() == ("unknown", "answer a  b")
    os.utime(watched, (1, 1))
    assert look() == ("unknown", "answer a  b"), "the change time of the inode counts, and not an old time set by hand"
    # A mark before a write: what is written after it is not loaded.
    _, done = run(shell, files, f"{here}svc_mark x {watched} current", path=tmp_path / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert look() == ("current", "")
    calls = (tmp_path / "calls").read_text()
    assert look() == ("current", "")
    assert (tmp_path / "calls").read_text() == calls, "with a valid stamp systemctl is not run"
    watched.write_text("22")
    assert look() == ("stale", "")
    # svc_settle acts, and stamps the state from before it acted.
    lines = f"{here}svc_settle x reload {watched}"
    _, done = run(shell, files, lines, path=tmp_path / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert look() == ("current", "")
    # Another process with the same pid, by its start: the stamp is not valid for it.
    stamp = tmp_path / "stamps/x"
    stamp.write_text(stamp.read_text().replace(f"stamp-1 {pid}:", f"stamp-1 {pid}:9"))
    assert look()[0] == "unknown"
    # A mark with the argument stale reports stale.
    run(shell, files, f"{here}svc_mark x {watched} stale", path=tmp_path / "bin", frame="fix.sh")
    assert look() == ("stale", "")


@each_shell
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "slowly"])
def test_a_file_that_was_changed_after_the_start_of_a_service_is_not_loaded(
    shell: list[str], tmp_path: Path, slow: bool
) -> None:
    """Without a stamp the times decide. A host may be so busy that seconds pass before date(1) answers."""
    watched = tmp_path / "daemon.json"
    watched.write_text("1")
    text = (SH / "look/services.sh").read_text().replace("/etc/docker/daemon.json", str(watched))
    (tmp_path / "services.sh").write_text(text)
    stub(
        tmp_path / "bin",
        "date",
        f'[ -e {tmp_path}/asked ] || sleep {3 if slow else 0}\n: >{tmp_path}/asked\nPATH=/usr/bin:/bin exec date "$@"',
    )
    # The worst moment for whole seconds: the start early in one, the change in the next.
    time.sleep(1 - time.time() % 1)
    with subprocess.Popen(["sleep", "60"]) as service:
        time.sleep(1.2)
        watched.chmod(0o600)
        lines = f'services_stamps={tmp_path}\nprocess {service.pid}\nloaded x {watched}\nemit loaded "$loaded_state"'
        frames, done = run(shell, ["look/files.sh", str(tmp_path / "services.sh")], lines, path=tmp_path / "bin")
        service.kill()
    assert frames == [("loaded", "unproven")], done.stderr


@each_shell
def test_a_service_that_was_started_after_a_change_has_loaded_it(shell: list[str], tmp_path: Path) -> None:
    watched = tmp_path / "conf"
    watched.write_text("1")
    time.sleep(2.2)
    with subprocess.Popen(["sleep", "60"]) as service:
        lines = f'services_stamps={tmp_path}\nprocess {service.pid}\nloaded x {watched}\nemit loaded "$loaded_state"'
        frames, done = run(shell, ["look/files.sh", "look/services.sh"], lines)
        service.kill()
    assert frames == [("loaded", "current")], done.stderr


@each_shell
def test_the_stamp_of_a_service_without_a_process(shell: list[str], tmp_path: Path) -> None:
    """The network service of EL7 is started once, and no process stays. The stamp identifies it by the time of its
    start."""
    watched = tmp_path / "conf"
    watched.write_text("1")
    now = int(time.time())
    show = (
        "MainPID=0\\nLoadState=loaded\\nActiveState=active\\nSubState=exited\\nUnitFileState=generated\\n"
        "NeedDaemonReload=no\\nActiveEnterTimestamp=$(date -d @$since)\\nActiveEnterTimestampMonotonic=$since"
    )
    stub(
        tmp_path / "bin",
        "systemctl",
        f'read -r since <{tmp_path}/since\ncase "$*" in\n'
        f'*\\ restart\\ *) echo {now + 500} >{tmp_path}/since ;;\n*) printf "{show}\\n" ;;\nesac',
    )
    (tmp_path / "since").write_text(f"{now - 500}\n")
    here = f"services_stamps={tmp_path}/stamps run_written={tmp_path}/w\n"
    files = ["look/files.sh", "look/services.sh", "look/svc_systemd.sh", "fix/services.sh", "fix/svc_systemd.sh"]

    def look() -> str:
        frames, done = run(shell, files, f"{here}look_services network - {watched}", path=tmp_path / "bin")
        assert frames, done.stderr
        return frames[-1][3]

    assert look() == "unknown", "the file is newer than the start"
    _, done = run(shell, files, f"{here}svc_settle network restart {watched}", path=tmp_path / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "since").read_text() == f"{now + 500}\n", "the service was restarted"
    assert look() == "current"
    watched.write_text("22")
    assert look() == "stale"
    (tmp_path / "stamps/network").unlink()
    assert look() == "current", "without a stamp the times decide: the service was started after the change"


@each_shell
def test_services_as_openrc_records_them(shell: list[str], tmp_path: Path) -> None:
    """OpenRC's state is files: librc.c, rc_service_state and rc_service_daemon_set; in the form of OpenRC 0.56."""
    text = (SH / "look/svc_openrc.sh").read_text()
    moved = text.replace("/run/openrc", f"{tmp_path}/run").replace("/etc/", f"{tmp_path}/")
    (tmp_path / "svc.sh").write_text(moved.replace('"/run/$1.pid"', f'"{tmp_path}/$1.pid"'))
    for folder in ("init.d", "runlevels/default", "run/started", "run/daemons/sshd", "run/daemons/cron"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("sshd", "cron", "docker", "idle"):
        (tmp_path / "init.d" / name).touch()
    for name in ("sshd", "cron", "docker"):
        (tmp_path / "run/started" / name).touch()
    (tmp_path / "runlevels/default/sshd").touch()
    (tmp_path / "run/daemons/sshd/001").write_text(f"exec=/usr/sbin/sshd\nargv_0=sshd\npidfile={tmp_path}/sshd.pid_\n")
    (tmp_path / "sshd.pid_").write_text(f"{os.getpid()}\n")
    (tmp_path / "run/daemons/cron/001").write_text(f"exec=/usr/sbin/cron\npidfile={tmp_path}/cron.pid_\n")
    (tmp_path / "cron.pid_").write_text("4194305\n")  # beyond pid_max: a dead process
    (tmp_path / "docker.pid").write_text(str(os.getpid()))  # dockerd writes no newline
    asked = " ".join(f"{unit} - ''" for unit in ("sshd", "cron", "docker", "idle", "nobody"))
    files = ["look/services.sh", str(tmp_path / "svc.sh")]
    frames, done = run(shell, files, f"services_stamps={tmp_path}/stamps\nlook_services {asked}")
    seen = {frame[1]: dict(line.split("=") for line in frame[2].splitlines()) for frame in frames}
    assert list(seen) == ["sshd", "cron", "docker", "idle", "nobody"], done.stderr
    shown = {unit: tuple(show.values())[:4] for unit, show in seen.items()}
    pid = str(os.getpid())
    assert shown == {
        "sshd": ("loaded", "active", "enabled", pid),
        "cron": ("loaded", "failed", "disabled", "0"),
        "docker": ("loaded", "active", "disabled", pid),
        "idle": ("loaded", "inactive", "disabled", "0"),
        "nobody": ("not-found", "inactive", "disabled", "0"),
    }


@each_shell
@pytest.mark.parametrize("program", ["dockerd", "dockerd (deleted)", "sleep", "a user's dockerd"])
def test_only_a_dockerd_of_roots_is_the_process_of_dockers_pid_file(
    shell: list[str], tmp_path: Path, program: str
) -> None:
    """A dockerd that was killed leaves its pid file, and any user's process may have its number later."""
    if os.getuid() != 0:
        pytest.skip("a process of root's takes root")
    place = Path(tempfile.mkdtemp(prefix="provision-", dir="/var/lib"))  # pytest's directory is for root only
    place.chmod(0o755)
    copied = place / ("sleep" if program == "sleep" else "dockerd")
    copied.write_bytes(Path("/bin/sleep").read_bytes())
    copied.chmod(0o755)
    account = pwd.getpwnam("daemon").pw_uid if program.startswith("a user") else 0
    (tmp_path / "prelude.sh").write_text(
        (SH / "prelude.sh").read_text().replace("/run/docker.pid", f"{tmp_path}/docker.pid")
    )
    with subprocess.Popen([copied, "60"], user=account, cwd="/") as process:
        try:
            if program.endswith("(deleted)"):
                copied.unlink()
            (tmp_path / "docker.pid").write_text(str(process.pid))  # dockerd writes no newline
            frames, done = run(shell, [str(tmp_path / "prelude.sh")], 'engine_process\nemit engine "${process_id%%:*}"')
            expected = str(process.pid) if program.startswith("dockerd") else ""
            assert frames == [("engine", expected)], done.stderr
        finally:
            process.kill()
            shutil.rmtree(place)


@each_shell
def test_a_users_stopped_process_with_the_number_of_a_dead_dockerd_does_not_end_a_look(
    shell: list[str], tmp_path: Path
) -> None:
    if os.getuid() != 0:
        pytest.skip("a process of another account takes root")
    for name in ("prelude.sh", "look/docker.sh"):
        moved = (SH / name).read_text().replace("/run/docker.pid", f"{tmp_path}/docker.pid")
        (tmp_path / Path(name).name).write_text(moved)
    stub(tmp_path / "bin", "docker", "exit 1")
    with subprocess.Popen(["/bin/sleep", "60"], user=pwd.getpwnam("daemon").pw_uid, cwd="/") as process:
        try:
            (tmp_path / "docker.pid").write_text(f"{process.pid}\n")
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            files = [str(tmp_path / "prelude.sh"), str(tmp_path / "docker.sh")]
            frames, done = run(shell, files, "at look_docker image app -", path=tmp_path / "bin")
            assert ("docker", "daemon") in frames, done.stderr
        finally:
            process.kill()


#: apk-info(8) and apk-policy(8), in the words of wiki.alpinelinux.org/wiki/Alpine_Package_Keeper.
APK = """\
case "$*" in
"info -e -v docker-engine") echo docker-engine-27.3.1-r5 ;;
"info -e -v "*) printf 'docker-cli-27.3.1-r5\\ndocker-engine-27.3.1-r5\\ncontainerd-2.0.0-r2\\n'; exit 1 ;;
"policy docker-engine") cat <<'END'
docker-engine policy:
  28.3.3-r0:
    https://mirror.example/alpine/v3.22/community
  27.3.1-r5:
    lib/apk/db/installed
    https://mirror.example/alpine/v3.21/community
  26.1.5-r0:
    https://mirror.example/alpine/v3.20/community
END
;;
*" policy docker-engine") exec "$0" policy docker-engine ;;
*) echo "$*" >>CALLS ;;
esac
"""


@each_shell
def test_packages_as_apk_lists_them(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "apk", APK.replace("CALLS", f"{tmp_path}/calls"))
    text = (SH / "look/pkg_apk.sh").read_text().replace("/etc/apk/world", f"{tmp_path}/world")
    (tmp_path / "look.sh").write_text(text)
    (tmp_path / "world").write_text("alpine-base\ndocker-engine=27.3.1-r5\ndocker-cli\n")
    files = [str(tmp_path / "look.sh"), "fix/progress.sh", "fix/pkg_apk.sh"]
    frames, done = run(
        shell,
        files,
        "look_packages docker-engine docker-cli containerd tree\nlook_candidates docker-engine",
        path=tmp_path / "bin",
    )
    listed = "docker-cli ii 27.3.1-r5\ndocker-engine hi 27.3.1-r5\ncontainerd ii 2.0.0-r2\n"
    assert frames == [
        ("packages", "", listed),
        ("candidates", "", "docker-engine:\n  Candidate: 28.3.3-r0\n"),
    ], done.stderr
    words = "install docker-engine 26.1 install docker-cli - remove podman-docker -"
    lines = f"pkg_refresh 5\npkg_transaction 5 {words}\npkg_hold 5 hold docker-engine\npkg_hold 5 unhold docker-cli"
    _, done = run(shell, files, lines, path=tmp_path / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--no-progress --wait 5 update",
        "--no-progress --wait 5 add --upgrade -- docker-engine=26.1.5-r0 docker-cli !podman-docker",
        "--no-progress --wait 5 add -- docker-engine=27.3.1-r5",
        "--no-progress --wait 5 add -- docker-cli",
    ]


@each_shell
def test_the_forward_policy_as_iptables_prints_it(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "iptables", "printf -- '-P FORWARD DROP\\n-A FORWARD -j DOCKER-USER\\n'")
    stub(tmp_path / "bin", "ip6tables", "echo 'Table does not exist' >&2; exit 3")
    frames, done = run(shell, ["resources/forward.sh"], "look_forward", path=tmp_path / "bin")
    assert frames == [("forward", "ipv4", "DROP"), ("forward", "ipv6", "none")], done.stderr


@each_shell
def test_the_images_in_each_store_are_counted(shell: list[str], tmp_path: Path) -> None:
    for name in (
        "docker/image/overlay2/imagedb/content/sha256/a",
        "docker/image/overlay2/imagedb/content/sha256/b",
        "docker/image/vfs/imagedb/content/sha256/a",
        "docker/image/vfs/layerdb/mounts/c/mount-id",
        "docker/containers/c/config.v2.json",
        "docker/containers/d/config.v2.json",
        "docker/overlay2/l/A",
        "docker/100000.100000/image/overlay2/imagedb/content/sha256/a",
        "docker/100000.100000/containers/e/config.v2.json",
        "docker/containerd/daemon/io.containerd.snapshotter.v1.native/snapshots/1",
        "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "docker/zfs").mkdir()  # an empty directory means that the driver was not used
    words = f"{tmp_path}/docker measure {tmp_path}/containerd - {tmp_path}/new/one measure"
    frames, done = run(shell, ["resources/store.sh"], f"look_stores {words}")
    assert [frame[3].splitlines() for frame in frames] == [
        [
            *("images of overlay2", "images of vfs", "containers of vfs", "containers of containerd"),
            *("driver overlay2", "remapped images of overlay2", "remapped containers of containerd"),
            "embedded snapshots of native",
        ],
        ["snapshots of overlayfs"],
        [],
    ], done.stderr
    assert [bool(frame[2]) for frame in frames] == [False, False, True], "only new files are measured"
    free = os.statvfs(tmp_path)
    assert abs(int(frames[2][2]) - free.f_bavail * free.f_frsize // 1024) < 1024 * 1024


@each_shell
def test_a_full_disk_leaves_whole_frames_in_the_journal(shell: list[str], tmp_path: Path) -> None:
    """A limit of the file's size simulates a full disk: a write beyond it is done in part, and then fails. In an
    earlier version one incomplete frame made all later frames unreadable, including the result, and the controller
    asked again for 30 minutes."""
    run_folder = quote(str(tmp_path))
    lines = f"""
run={run_folder} emit_to=journal journal_sent=0
: >"$run/events"
: >"$run/reserve"
long=$(printf '%01000d' 0)
trap '' XFSZ
ulimit -S -f 4
for number in 1 2 3 4 5 6 7; do
    emit note "$number$long" 3>/dev/null
done
ulimit -S -f unlimited
emit note last 3>/dev/null
"""
    _, done = run(shell, [], lines, frame="fix.sh")
    whole = Frames()
    found = list(whole.feed(b"provision 1\n" + (tmp_path / "events").read_bytes()))
    assert not whole.unfinished, done.stderr
    assert [frame[1][:1] for frame in found][-1] == "l"
    assert 2 <= len(found) < 8, "some frames did not fit"


@each_shell
def test_a_full_disk_does_not_leave_an_empty_result(shell: list[str], tmp_path: Path) -> None:
    lines = f"""
run={quote(str(tmp_path))}
trap '' XFSZ
ulimit -f 0
result rolled_back step || printf 'failed\n' >&2
"""
    _, done = run(shell, [], lines, frame="fix.sh")
    assert not (tmp_path / "result").exists()
    assert b"failed" in done.stderr


@each_shell
@pytest.mark.parametrize(("state", "calls"), [("active", ""), ("inactive", "restart")])
@pytest.mark.parametrize("unit", ["srv.mount", "swap.swap", "docker"])
def test_a_rollback_does_not_unmount_what_was_mounted(
    shell: list[str], tmp_path: Path, unit: str, state: str, calls: str
) -> None:
    """A restart of a mount unmounts it while processes use it. So a unit in its old state is left alone."""
    said = tmp_path / "calls"
    lines = f"""
run={quote(str(tmp_path))} services_stamps={quote(str(tmp_path))}
: >"$run/before"
svc_state() {{ service_show="UnitFileState=enabled${{nl}}ActiveState={state}" process_id=; }}
svc_forgive() {{ :; }}
svc_act() {{ printf '%s\\n' "$*" >>{quote(str(said))}; }}
undo_service enabled+active {unit}
"""
    _, done = run(shell, [], lines, frame="fix.sh")
    assert (said.read_text() if said.exists() else "") == (f"{calls} {unit}\n" if calls else ""), done.stderr


@each_shell
@pytest.mark.parametrize(("running", "down"), [("false", False), ("echo 0123", True)])
def test_a_project_without_containers_is_not_ended_by_a_rollback(
    shell: list[str], tmp_path: Path, running: str, down: bool
) -> None:
    """In an earlier version the rollback failed with ``compose absent``: docker came with the first apply, and was
    stopped before the rollback of compose."""
    calls = tmp_path / "calls"
    stub(tmp_path / "bin", "docker", f'[ "$1" = compose ] || {{ {running}; exit $?; }}; echo "$*" >>{calls}')
    (tmp_path / "touched").write_text("compose shop\n")
    lines = f"run={tmp_path}; set -eu; undo_compose absent 'shop /etc/provision/compose/shop/compose.yaml'"
    _, done = run(shell, ["fix/files.sh", "fix/compose.sh"], lines, path=tmp_path / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert calls.exists() == down


@each_shell
def test_docker_gets_the_target_of_a_data_root_that_is_a_link(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "docker", """echo '{"a": 1}'""")
    (tmp_path / "a place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a place")
    here = f"{tmp_path}/link"
    lines = f'emit found "$(docker_compare {here})" "$(docker_compare {here}/none)" "$PWD"'
    frames, done = run(shell, ["look/engine.sh"], lines, path=tmp_path / "bin")
    real = (tmp_path / "a place").resolve()
    assert frames == [("found", f'{{"a": 1}}\n{real}', '{"a": 1}', os.getcwd())], done.stderr


@each_shell
def test_a_look_reports_an_interrupted_dpkg(shell: list[str], tmp_path: Path) -> None:
    stub(tmp_path / "bin", "dpkg-query", "exit 1")
    from provision.remote.sources import SH

    text = (SH / "look/pkg_apt.sh").read_text()
    for name in ("", "0001"):
        folder = tmp_path / f"updates{name}"
        folder.mkdir()
        if name:
            (folder / name).touch()
        lines = text.replace("/var/lib/dpkg/updates/*", f"{folder}/*") + "\nlook_packages tree"
        frames, done = run(shell, [], lines, path=tmp_path / "bin")
        assert (("interrupted", "dpkg") in frames) is bool(name), done.stderr


@each_shell
def test_a_full_run_directory_is_named(shell: list[str], tmp_path: Path) -> None:
    """Elsewhere the message is what systemd-run has said."""
    for folder, full in ((tmp_path, False), (tmp_path / "none", True)):
        lines = f"run_folder={folder}\necho said by systemd-run >&2\njob_refused"
        frames, done = run(shell, [], lines, frame="submit.sh")
        assert frames == [("died", "begin", "1")], done.stderr
        last = done.stderr.decode().strip().split("\n")[-1]
        assert (last == "said by systemd-run", "/run has no space left" in last) == (not full, full), done.stderr
