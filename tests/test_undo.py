"""A rollback depends on the state: it leaves unchanged things alone, even if the run was meant to change them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.engine.impact import rollback_impacts
from provision.model import Call, Change, Drift, Impact, Loading, Plan, Platform
from provision.planning.prepare import stays, work
from provision.remote.protocol import Seen
from provision.resources.sysctl import sysctl_set
from provision.resources.user import member_add, user_add, user_change, user_remove
from provision.steps.files import own_file, put_file, remove_file
from provision.steps.packages import pkg_transaction, pkg_whole
from provision.steps.services import svc_enable, svc_settle, svc_stop
from tests.shells import each_shell, run, stub

HOST = Platform("debian", "13", "trixie", "amd64", "apt")
FILES = [
    "look/files.sh",
    "look/services.sh",
    "look/svc_systemd.sh",
    "look/containers.sh",
    "fix/files.sh",
    "resources/forward.sh",
    "fix/services.sh",
    "fix/svc_systemd.sh",
    "fix/engine.sh",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory in which only root can change names, from / on. In other directories nothing is compared by its
    name."""
    if os.getuid() != 0:
        pytest.skip("such a directory takes root")
    path = Path(tempfile.mkdtemp(prefix="provision-undo-", dir="/var/lib"))
    yield path
    shutil.rmtree(path)


class Host:
    """A host with files below a directory. Its service ``x`` is this process, and records what is done to it."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell, self.folder = shell, folder
        self.run, self.log = folder / "run", folder / "log"
        (self.run / "kept").mkdir(parents=True)
        self.log.touch()
        lines = ("LoadState=loaded", "ActiveState=active", "UnitFileState=enabled", f"MainPID={os.getpid()}")
        show = "\\n".join((*lines, "NeedDaemonReload=no"))
        stub(
            folder / "bin",
            "systemctl",
            f'case "$*" in\n*show*) printf "{show}\\n" ;;\n*) echo "$*" >>{self.log} ;;\nesac',
        )

    @property
    def process(self) -> str:
        return f"{os.getpid()}:{Path(f'/proc/{os.getpid()}/stat').read_text().rpartition(')')[2].split()[19]}"

    def before(self, *lines: str) -> None:
        (self.run / "before").write_text("".join(f"{line}\n" for line in (*lines, "end - -")))

    def undo(self, files: list[str] = FILES) -> tuple[str, ...]:
        """Roll back. Returns the words of its `undone` event."""
        here = f"run={self.run} services_stamps={self.folder}/stamps run_noise=/dev/null"
        frames, done = run(self.shell, files, f"{here}\nundo step", path=self.folder / "bin", frame="fix.sh")
        (undone,) = (frame for frame in frames if frame[0] == "undone")
        assert done.returncode == 0, done.stderr
        assert undone[2] == "", done.stderr
        return tuple(undone[3].splitlines())

    @property
    def acts(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "daemon-reload" not in line]


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@each_shell
def test_a_rollback_restores_only_what_has_changed(shell: list[str], folder: Path) -> None:
    host = Host(shell, folder)
    same, other, mode, new, never = (folder / name for name in ("same", "other", "mode", "new", "never"))
    for number, path in enumerate((same, other, mode), 1):
        path.write_text("old\n")
        path.chmod(0o600)
        kept = host.run / f"kept/{number}"
        kept.write_text("old\n")
        kept.chmod(0o600)
    other.write_text("new\n")
    mode.chmod(0o644)
    new.write_text("new\n")
    link = folder / "link"
    link.symlink_to(same)
    (host.run / "kept/4").symlink_to(other)
    untouched = _identity(same)
    host.before(
        f"file 1 {same}", f"file 2 {other}", f"file 3 {mode}", f"file 4 {link}", f"absent - {new}", f"absent - {never}"
    )
    said = host.undo()
    assert set(said) == {f"restored {other}", f"restored {mode}", f"restored {link}", f"removed {new}"}
    assert _identity(same) == untouched
    assert (other.read_text(), mode.stat().st_mode & 0o777, new.exists()) == ("old\n", 0o600, False)
    assert link.readlink() == other
    # A second rollback does nothing.
    (host.run / "undo.said").unlink()
    assert host.undo() == ()


@each_shell
def test_a_directory_that_is_not_empty_is_not_reported_as_removed(shell: list[str], folder: Path) -> None:
    """The run has made both directories, and another party has written into one of them since then."""
    host = Host(shell, folder)
    used, unused = folder / "used", folder / "unused"
    used.mkdir()
    unused.mkdir()
    (used / "other").write_text("kept\n")
    host.before(f"folder - {used}", f"folder - {unused}")
    assert host.undo() == (f"removed {unused}",)
    assert (used / "other").read_text() == "kept\n"
    assert (host.run / "undo.left").read_text() == f"directory {used}: it is not empty\n"


@each_shell
def test_a_rollback_restores_the_access_that_a_run_has_changed(shell: list[str], folder: Path) -> None:
    host = Host(shell, folder)
    place, program, untouched = folder / "socket", folder / "program", folder / "untouched"
    for path, mode in ((place, 0o660), (program, 0o755), (untouched, 0o4755)):
        path.touch()
        path.chmod(mode)
    host.before(f"access root:root:0666 {place}", f"access -:-:u+s {program}", f"access -:-:u+s {untouched}")
    more = [*FILES, "resources/access.sh"]
    assert set(host.undo(more)) == {f"restored the access to {place}", f"restored the access to {program}"}
    assert [path.stat().st_mode & 0o7777 for path in (place, program, untouched)] == [0o666, 0o4755, 0o4755]
    (host.run / "undo.said").unlink()
    assert host.undo(more) == ()


@each_shell
@pytest.mark.parametrize(
    ("served", "said", "failed"),
    [
        # The repository still has the old version.
        ("tree=1.0", ("installed tree again",), ""),
        # It has another version only.
        ("tree", ("installed tree again",), ""),
        # apt fails with both.
        ("-", (), "tree"),
    ],
)
def test_a_removed_package_is_installed_again_or_named(
    shell: list[str], folder: Path, served: str, said: tuple[str, ...], failed: str
) -> None:
    """The rollback of a job that still sends its events. The progress of apt has no receiver then."""
    host, there = Host(shell, folder), folder / "there"
    log = folder / "apt"
    stub(
        folder / "bin",
        "apt-get",
        f'echo "$*" >>{log}\nfor last do :; done\n'
        "printf 'dlstatus:1:40.5:x\\npmstatus:tree:100:x\\n' >&6 || exit 99\n"
        f'[ "$last" = "{served}" ] || exit 100\ntouch {there}',
    )
    stub(folder / "bin", "apt-mark", "exit 0")
    stub(folder / "bin", "apt-cache", "echo 'tree | 1.0 | http://mirror trixie/main'")
    stub(folder / "bin", "dpkg-query", f"[ -e {there} ] && printf 'ii ' || exit 1")
    host.before("removed 1.0 tree")
    (host.run / "events").touch()
    here = f"run={host.run} services_stamps={folder}/stamps run_noise={folder}/noise"
    frames, done = run(
        shell,
        [*FILES, "fix/locks.sh", "fix/pkg_apt.sh"],
        f"{here}\nemit_to=journal journal_sent=0\nundo step",
        path=folder / "bin",
        frame="fix.sh",
    )
    noise = (folder / "noise").read_text()
    assert done.returncode == 0, (done.stderr, noise)
    (undone,) = (frame for frame in frames if frame[0] == "undone")
    assert tuple(undone[3].splitlines()) == said, noise
    assert failed in undone[2], undone
    assert bool(undone[2]) == bool(failed), (undone, noise)
    assert there.exists() == bool(said)


@each_shell
def test_what_no_rollback_restores_is_named(shell: list[str], folder: Path) -> None:
    """Only what a step has really made: the group `old` existed before."""
    host = Host(shell, folder)
    for name in ("docker", "groupadd", "useradd", "modprobe", "apt-mark"):
        stub(folder / "bin", name, "exit 0")
    stub(folder / "bin", "getent", '[ "$3" = old ]')
    files = ["resources/user.sh", "resources/module.sh", "fix/networks.sh", "fix/locks.sh", "fix/pkg_apt.sh"]
    lines = (
        f"run={host.run}\nuser_add -m op\ngroup_ensure old\ngroup_ensure ops\nvolume_put data\nmodule_load overlay\n"
        "apt_wait() { :; }\npkg_hold 5 hold docker-ce jq\npkg_hold 5 unhold tree"
    )
    _, done = run(shell, files, lines, path=folder / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    made = [
        "user op, which the run added",
        "group ops, which the run created",
        "volume data, which the run created",
        "kernel module overlay, which the run loaded",
        "hold of docker-ce jq, which the run set",
        "hold of tree, which the run released",
    ]
    assert (host.run / "leaves").read_text().splitlines() == made
    host.before("account absent op")
    host.undo(files)
    assert (host.run / "undo.left").read_text().splitlines() == made
    # `provision rollback RUN` names the same.
    home = folder / "runs"
    home.mkdir()
    host.run.rename(home / "r1")
    frames, _ = run(shell, ["look/files.sh", "look/history.sh"], f"look_run {home} r1", path=folder / "bin")
    assert stays("r1", Seen.of(frames)) == tuple(made)


INTERRUPTED = "dpkg was interrupted on this host. provision apply --repair-packages repairs it"


@each_shell
def test_packages_that_a_rollback_leaves_are_named(shell: list[str], folder: Path) -> None:
    """The engine stays at its new version, and dpkg was killed while it unpacked."""
    host = Host(shell, folder)
    stub(
        folder / "bin",
        "dpkg-query",
        "printf 'docker-ce ii  5:28.5.2\\ntree ii  2.1\\nsame ii  1.0\\n' | grep \"^$5 \"",
    )
    stub(folder / "bin", "dpkg", "echo half-unpacked")
    host.before("package docker-ce 5:26.1.5", "package tree absent", "package same 1.0", "package none absent")
    (host.run / "touched").write_text("package -\n")
    host.undo([*FILES, "look/pkg_apt.sh", "fix/locks.sh", "fix/pkg_apt.sh"])
    assert (host.run / "undo.left").read_text().splitlines() == [
        "package docker-ce: 5:28.5.2 (before the run: 5:26.1.5)",
        "package tree: 2.1 (before the run: absent)",
        f"{INTERRUPTED} (it runs: dpkg --configure -a).",
    ]


@each_shell
@pytest.mark.parametrize(
    ("process", "touched", "acts"),
    [
        # The process is the same, and never received a reload after the file was written.
        ("now", "", []),
        # It is another process, so it may have read the file that the rollback restores.
        ("1:1", "", ["reset-failed -- x", "--no-pager restart -- x"]),
        # The run has reloaded the service.
        ("now", "unit x", ["reset-failed -- x", "--no-pager restart -- x"]),
    ],
)
def test_a_rollback_disturbs_a_service_only_if_it_may_have_loaded_the_change(
    shell: list[str], folder: Path, process: str, touched: str, acts: list[str]
) -> None:
    host, watched = Host(shell, folder), folder / "watched"
    watched.write_text("new\n")
    (host.run / "kept/1").write_text("old\n")
    (host.run / "touched").write_text(f"{touched}\n")
    service = [
        "service enabled+active x",
        f"process {host.process if process == 'now' else process} x",
        "loads restart,current,,- x",
        f"watches x {watched}",
    ]
    host.before(f"file 1 {watched}", *service)
    assert f"restored {watched}" in host.undo()
    assert host.acts == acts
    assert watched.read_text() == "old\n"
    # What the service has loaded equals the files: no later run restarts it for that.
    asked = f"services_stamps={folder}/stamps\nlook_services x - {watched}"
    frames, _ = run(shell, FILES[:3], asked, path=folder / "bin")
    assert frames[-1][3] == "current"
    # A rollback that was interrupted after the file: the second one finds the file restored, and continues with the
    # service.
    host.log.write_text("")
    host.undo()
    assert host.acts == acts


@each_shell
def test_a_rollback_does_not_load_an_operators_edit(shell: list[str], folder: Path) -> None:
    host, watched = Host(shell, folder), folder / "watched"
    watched.write_text("new\n")
    (host.run / "kept/1").write_text("edited\n")
    host.before(
        f"file 1 {watched}",
        "service enabled+active x",
        f"process {host.process} x",
        "loads restart,stale,,- x",
        f"watches x {watched}",
    )
    host.undo()
    assert host.acts == []
    asked = f"services_stamps={folder}/stamps\nlook_services x - {watched}"
    frames, _ = run(shell, FILES[:3], asked, path=folder / "bin")
    assert frames[-1][3] == "stale"


@each_shell
def test_processes_of_a_killed_job_are_found_by_its_session(shell: list[str], tmp_path: Path) -> None:
    session = os.getsid(0)
    frames, done = run(
        shell, ["fix/restore.sh"], f'run=; if session_runs {session}; then emit found "$session_who"; fi'
    )
    assert frames, done.stderr
    assert "(pid " in frames[0][1]
    frames, _ = run(shell, ["fix/restore.sh"], "run=; if session_runs 4194305; then emit found; fi")
    assert frames == []


@each_shell
@pytest.mark.parametrize("name", ["x\ny", "x) S 1 1 42\nq"])
def test_the_name_of_a_users_process_neither_ends_the_search_nor_joins_a_session(
    shell: list[str], tmp_path: Path, name: str
) -> None:
    """Some kernels write the newline of a process's name unchanged (prctl(2), PR_SET_NAME)."""
    (tmp_path / "stat").write_text(f"8719 ({name}) R 1 8719 4321 0 -1 0 0\n")
    frames, done = run(shell, [], f'set -u\nstat_read {tmp_path}/stat\nset -- ${{process_stat##*) }}\nemit found "$4"')
    assert frames == [("found", "4321")], done.stderr


#: A process that leads a session, and starts programs in it: two of them ignore the end of the shell.
_SESSION = """\
setsid sh -c 'trap "" TERM HUP; sh -c "sleep 600; :" & sleep 600 & echo ready; wait' >{folder}/ready &
session=$!
until [ -s {folder}/ready ]; do sleep 0.1; done
"""


@each_shell
def test_the_programs_of_a_killed_job_are_ended_before_its_rollback(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lines = _SESSION.format(folder=tmp_path) + (
        f"run={tmp_path}/run\nkill -9 $session; undo_alone $session\n"
        'if session_runs "$session"; then emit left "$session_who"; fi\nemit end'
    )
    frames, done = run(shell, FILES, lines, frame="fix.sh")
    assert frames[-1] == ("end",), done.stderr
    assert [frame for frame in frames if frame[0] == "left"] == []
    assert not (tmp_path / "run/undo.left").exists()


@each_shell
def test_a_later_run_ends_the_programs_of_a_dead_run_and_not_those_of_another_session_of_its_number(
    shell: list[str], tmp_path: Path
) -> None:
    """Both leaders have ended. The second session has the number of a dead run, but it is a user's."""
    (tmp_path / "run").mkdir()
    lines = f"run_home={tmp_path}/runs run_folder={tmp_path}/run run={tmp_path}/run sessions=\n"
    for name, own in (("own", f"PROVISION_RUN={tmp_path}/runs/own"), ("other", "HOME=/")):
        (tmp_path / name).mkdir()
        (tmp_path / "runs" / name).mkdir(parents=True)
        lines += f"export {own}\n{_SESSION.format(folder=tmp_path / name)}unset PROVISION_RUN\n"
        lines += f'echo "$session:1" >{tmp_path}/runs/{name}/owner; : >{tmp_path}/run/step.$session\n'
        lines += 'kill -9 $session; sessions="$sessions $session"\n'
        lines += 'while process "$session"; [ -n "$process_id" ]; do sleep 0.1; done\n'
    lines += "sweep_sessions\nfor session in $sessions; do\n"
    lines += 'if session_runs $session; then emit left "$session_who"; kill -9 $session_all; else emit none; fi\ndone\n'
    frames, done = run(shell, FILES, lines, frame="fix.sh")
    assert [frame[0] for frame in frames] == ["none", "left"], done.stderr
    assert frames[1][1].startswith("sleep (pid ") or frames[1][1].startswith("sh (pid ")


@each_shell
@pytest.mark.parametrize("script", [False, True], ids=["dpkg", "a script of this name"])
@pytest.mark.parametrize("touched", [True, False], ids=["a run that changes packages", "another run"])
def test_a_package_manager_of_a_killed_job_is_not_killed(
    shell: list[str], tmp_path: Path, touched: bool, script: bool
) -> None:
    """The process of a script has the name of its file: that of /etc/init.d/dpkg is no package manager."""
    (tmp_path / "run").mkdir()
    sleep = shutil.which("sleep") or ""
    if script:
        stub(tmp_path, "dpkg", f"{sleep} 600; :")
    else:
        shutil.copy(sleep, tmp_path / "dpkg")
    patience = ""
    if touched:
        (tmp_path / "run/touched").write_text("package -\n")
        patience = f"undo_patience={10 if script else 1}"  # in whole seconds: one may pass at once
    lines = (
        f"setsid sh -c 'trap \"\" HUP; {tmp_path}/dpkg 600 & echo ready; wait' >{tmp_path}/ready &\nsession=$!\n"
        f"until [ -s {tmp_path}/ready ]; do sleep 0.1; done\nrun={tmp_path}/run {patience}\n"
        'kill -9 $session; undo_alone $session\nif session_runs "$session"; then emit left "$session_who"; fi\n'
        "kill -9 $session_all\nemit end"
    )
    frames, done = run(shell, FILES, lines, frame="fix.sh")
    assert frames[-1] == ("end",), done.stderr
    said = tmp_path / "run/undo.left"
    if touched and not script:
        assert [frame[1].partition(" ")[0] for frame in frames if frame[0] == "left"] == ["dpkg"]
        assert said.read_text().startswith("dpkg (pid ")
    else:
        assert [frame for frame in frames if frame[0] == "left"] == []
        assert not said.exists()


@each_shell
@pytest.mark.parametrize("mark", ["undoing", "undone"])
def test_a_step_of_a_job_that_was_rolled_back_does_nothing(shell: list[str], tmp_path: Path, mark: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / mark).touch()
    stub(tmp_path / "bin", "docker", f'echo "$*" >>{tmp_path}/did')
    here = f"run={tmp_path}/run run_log={tmp_path}/log emit_to=output"
    late = f"{here}\n(docker stop web)\nemit second"
    frames, done = run(shell, FILES, late, path=tmp_path / "bin", frame="fix.sh")
    assert frames[-1] == ("second",), done.stderr
    assert b"was rolled back" in done.stderr
    step = f"{here}\nstep 0 60 x touch {tmp_path}/did"
    frames, done = run(shell, FILES, step, path=tmp_path / "bin", frame="fix.sh")
    assert [frame for frame in frames if frame[0].startswith("step")] == []
    assert not (tmp_path / "did").exists()


@each_shell
@pytest.mark.parametrize("state", ["running:no:0", "absent"])
def test_a_late_rollback_keeps_a_container_that_it_cannot_restore(shell: list[str], folder: Path, state: str) -> None:
    """When a run has succeeded, the container that it replaced is removed. A rollback after that (the last look found
    a difference) must not remove the new one too: no container would be left."""
    host = Host(shell, folder)
    stub(
        folder / "bin",
        "docker",
        f'echo "$*" >>{host.log}\ncase "$*" in\n'
        f"*.provision-*) exit 1 ;;\n*provision.run*) echo {host.run.name} ;;\nesac",
    )
    host.before(f"container {state} web")
    lines = f"run={host.run} run_noise=/dev/null\nundo_container {state} web"
    _, done = run(shell, ["fix/containers.sh"], lines, path=folder / "bin", frame="fix.sh")
    assert done.returncode == 0, done.stderr
    assert ("rm -f web" in host.acts) == (state == "absent")
    left = host.run / "undo.left"
    assert left.exists() == (state != "absent")
    assert state == "absent" or left.read_text().startswith("container web: ")


def late(shell: list[str], folder: Path) -> tuple[Host, str]:
    """A run that has succeeded with a change of `changed`, and the lines before a request to roll it back."""
    host, changed = Host(shell, folder), folder / "changed"
    (folder / "run").rename(folder / "moved")
    host.run = folder / "runs/5"
    host.run.parent.mkdir()
    (folder / "moved").rename(host.run)
    changed.write_text("new\n")
    (host.run / "kept/1").write_text("old\n")
    (host.run / "result").write_text("done\n")
    (host.run / "owner").write_text("1:1\n")
    host.before(f"file 1 {changed}")
    return host, (
        f"run_home={folder}/runs run={host.run} run_folder={folder} run_queue={folder}/queue run_lock={folder}/lock\n"
        f"run_noise=/dev/null services_stamps={folder}/stamps\nundo_install() {{ echo install >>{host.log}; }}\n"
        f"undo_remove() {{ echo remove >>{host.log}; }}\n"
    )


@each_shell
def test_a_late_rollback_that_is_killed_is_completed(shell: list[str], folder: Path) -> None:
    """The controller revokes a run that has succeeded, and the rollback is killed before it has restored a file."""
    host, here = late(shell, folder)
    changed = folder / "changed"
    _, done = run(shell, FILES, f"{here}undo_each() {{ kill -9 $$; }}\nrevoke drift", frame="fix.sh")
    assert done.returncode == -9
    assert changed.read_text() == "new\n"
    _, done = run(shell, FILES, f"{here}guard", frame="fix.sh")
    assert changed.read_text() == "old\n", done.stderr
    assert (host.run / "result").read_text() == "rolled_back drift\n"
    assert not (host.run / "undoing").exists()
    assert host.acts == ["install", "remove"]


@each_shell
@pytest.mark.parametrize("name", ["4", "6"])
@pytest.mark.parametrize(("seconds", "restored"), [(-60, "old\n"), (0, "new\n"), (60, "new\n")])
def test_a_late_rollback_is_only_of_the_last_run(
    shell: list[str], folder: Path, name: str, seconds: int, restored: str
) -> None:
    """Another run has changed the host before or after this one: the names begin with the times of two controllers."""
    host, here = late(shell, folder)
    other = folder / "runs" / name
    other.mkdir()
    (other / "result").write_text("done\n")
    (other / "before").write_text("end - -\n")
    os.utime(host.run / "before", (1_000_000_000, 1_000_000_000))
    os.utime(other / "before", (1_000_000_000, 1_000_000_000 + seconds))
    _, done = run(shell, FILES, f"{here}revoke drift", frame="fix.sh")
    assert (folder / "changed").read_text() == restored, done.stderr


@each_shell
def test_a_rollback_waits_for_a_silent_docker_only_once(shell: list[str], folder: Path) -> None:
    """The bound of the first request is shortened for the test; the others get the short bound themselves."""
    host = Host(shell, folder)
    log = folder / "docker"
    stub(folder / "bin", "docker", "sleep 600")
    stub(folder / "bin", "timeout", f'echo "$*" >>{log}\nexit 137')
    host.before("container running:no: web", "container running:no: db")
    here = f"run={host.run} services_stamps={folder}/stamps run_noise=/dev/null"
    frames, done = run(shell, [*FILES, "fix/containers.sh"], f"{here}\nundo step", path=folder / "bin", frame="fix.sh")
    (undone,) = (frame for frame in frames if frame[0] == "undone")
    asked = [line.split()[2] for line in log.read_text().splitlines()]
    assert asked[0] == "120", done.stderr
    assert set(asked[1:]) == {"5"}
    assert "docker did not answer within 120 s (docker container)" in undone[4]


def risky(call: Call, more: tuple[str, ...] = ()) -> bool:
    """Whether a plan with only this call arms a rollback."""
    from provision.remote.protocol import Seen

    change = Change("x", Drift({}, {}, ()), (call,))
    return work("run", Plan("web1", HOST, (change,)), Seen.of([]), risky=more).risky


@pytest.mark.parametrize(
    "path",
    [
        "/etc/motd",
        "/etc/apt/sources.list.d/docker.sources",
        "/etc/apt/keyrings/docker.asc",
        "/etc/docker/certs.d/reg.example/ca.crt",
        "/var/lib/provision/manifests/play",
    ],
)
def test_a_harmless_file_arms_no_rollback(path: str) -> None:
    assert not risky(put_file(path, content=b"x"))
    assert risky(put_file(path, content=b"x"), (path,)), "the spec may declare the file as risky"


@pytest.mark.parametrize(
    "path",
    [
        "/root/.ssh/authorized_keys",
        "/etc/pam.d/sshd",
        "/etc/nologin",
        "/etc/sudoers.d/ops",
        "/etc/passwd",
        "/etc/shells",
        "/etc/netplan/50.yaml",
        "/etc/systemd/network/a.network",
        "/etc/NetworkManager/system-connections/a",
        "/etc/nftables.conf",
        "/etc/sysctl.d/99-x.conf",
        "/etc/docker/daemon.json",
        "/etc/motd.d",
        "/etc/motd/../pam.d/sshd",
        "/opt/app.conf",
    ],
)
def test_every_other_file_arms_a_rollback(path: str) -> None:
    assert risky(put_file(path, content=b"x"))
    assert risky(remove_file(path))
    assert risky(own_file(path, content=b"x", owner="root", group="root", mode="0600"))


def test_steps_that_arm_a_rollback() -> None:
    for call in (
        user_change("op", home="/srv/op"),
        user_remove("op"),
        user_add("op"),
        pkg_transaction(lock_timeout=1, install={"tree": None}),
        svc_enable("ssh"),
        svc_stop("ssh"),
        sysctl_set("net/ipv4/ip_forward", value="0", before="1"),
    ):
        assert risky(call), call.function
    assert risky(Call("a_step_of_tomorrow"))
    assert risky(member_add("op", group="shut"))
    assert risky(pkg_whole(lock_timeout=300, repair=True))
    assert not risky(member_add("op", group="docker"))
    assert not risky(pkg_whole(lock_timeout=300))


@pytest.mark.parametrize(
    ("undo", "live", "containers", "levels"),
    [
        ("reload", "-", {"web": "no"}, []),
        ("restart", "-", {}, ["restart"]),
        ("restart", "-", {"web": "no"}, ["restart", "stop"]),
        ("restart", "live", {"web": "no"}, ["restart"]),
        ("bridge", "live", {"web": "no"}, ["restart", "stop"]),
    ],
)
def test_the_impact_of_a_rollback_is_shown_where_it_exceeds_the_plans(
    undo: str, live: str, containers: dict[str, str], levels: list[str]
) -> None:
    loading = Loading("docker", "", "reload", undo, undo_keys="debug", live=live == "live", ran=True)
    drift = Drift({"loaded": "current"}, {"loaded": "stale"}, ("loaded",))
    change = Change("service:docker", drift, (svc_settle(loading, stale=True),))
    plan = Plan("web1", HOST, (change,), (Impact("reload", "service:docker", ""),))
    assert [one.level for one in rollback_impacts(plan, containers)] == levels
    more = Plan("web1", HOST, (change,), (Impact("stop", "service:docker", ""),))
    assert rollback_impacts(more, containers) == ()
