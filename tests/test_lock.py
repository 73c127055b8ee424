"""The lock of a host: two runs never hold it at once, in every shell, with flock(1) and without.

``make locks`` runs a thousand rounds; the fast tests run a few.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provision.remote.sources import SH
from tests.shells import SHELLS, each_shell, run

TAKERS = 8
#: The programs that a taker and the driver of a round start, except flock.
PROGRAMS = ("cat", "date", "mkdir", "mv", "rm", "rmdir", "sleep", "stat")
SINCE = "2026-01-01T00:00:00Z"

#: A taker that starts when all takers are ready. mkdir succeeds only once, so the marker shows whether it is alone.
TAKER = """\
alone() {{
    mkdir "$base/marker" || printf 'two at once in %s\\n' "$base" >>"$base/../overlaps"
    sleep 0.03
    rmdir "$base/marker" || printf 'another one has left in %s\\n' "$base" >>"$base/../overlaps"
    printf '%s\\n' "$me" >>"$base/got"
    {{ :; }} >"$base/got.$me"
}}
main() {{
{text}
base=$1 me=$2 run_folder=$1 run_home=$1/runs run_lock=$1/lock run_queue=$1/queue
begin
PATH=$3
{{ :; }} >"$base/ready.$me"
{{ :; }} <"$base/go"
{body}
exit 0
}}
main "$@"
"""
TAKES = "lock_take\nalone"
#: The timer, the boot, the next run and the controller ask at the same time whether a dead run must be rolled back.
#: Some time passes between what they read and what they do.
GUARDS = """\
run=$base/runs/dead
undo_remove() { :; }
process() {
    process_of "$1"
    sleep 0.03
}
undo() {
    alone
    rm -f "$run/undoing"
}
guard"""
#: A round: the lock of a dead process, a run that died during its rollback, and takers that start at the same moment. A
#: taker that is refused tries again, twice.
ROUNDS = """\
base=$1 rounds=$2 takers=$3 path=$4
shift 4
taker() {
    for try in 1 2 3; do
        "$@" "$base/taker" "$dir" "$number" "$path" >>"$base/out" 2>>"$base/err"
        [ ! -e "$dir/got.$number" ] || return 0
    done
}
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1)) dir=$base/$round
    mkdir -p "$dir/lock" "$dir/runs/dead"
    echo "$$:1 2026-01-01T00:00:00Z" | tee "$dir/lock/owner" >"$dir/queue"
    mkfifo "$dir/go"
    DEAD
    number=0
    while [ "$number" -lt "$takers" ]; do
        number=$((number + 1))
        taker "$@" &
    done
    until [ "$(ls "$dir" | grep -c ready)" -eq "$takers" ]; do sleep 0.01; done
    exec 8>"$dir/go" # every taker that has opened it to read continues now
    wait
    exec 8>&-
    cat "$dir/got" || echo "no taker in $dir" >>"$base/overlaps"
    rm -rf "$dir"
done
"""
DEAD = 'echo "$$:1" | tee "$dir/runs/dead/owner" >"$dir/runs/dead/undoing"'


def play(shell: list[str], folder: Path, rounds: int, body: str, *, flock: bool, dead: str = ":") -> tuple[int, str]:
    """How often the lock was taken, and what went wrong, one line for each."""
    names = ("prelude.sh", "fix/transaction.sh", "fix.sh")
    text = "\n".join((SH / name).read_text() for name in names)
    if "process_of" in body:
        text = text.replace("\nprocess() {", "\nprocess_of() {")
    (folder / "taker").write_text(TAKER.format(text=text, body=body))
    (folder / "bin").mkdir()
    for name in (*PROGRAMS, *(["flock"] if flock else [])):
        found = shutil.which(name)
        assert found, f"{name} is needed for this test"
        (folder / "bin" / name).symlink_to(found)
    argv = ["dash", "-c", ROUNDS.replace("DEAD", dead), "rounds", str(folder), str(rounds), str(TAKERS)]
    done = subprocess.run([*argv, str(folder / "bin"), *shell], stdout=subprocess.PIPE, text=True, check=True)
    wrong = folder / "overlaps"
    return len(done.stdout.split()), wrong.read_text() if wrong.exists() else ""


each_kind = pytest.mark.parametrize("flock", [True, False], ids=["flock", "no-flock"])


@pytest.mark.thorough
@each_kind
@each_shell
def test_two_runs_never_hold_the_lock_at_once(
    shell: list[str], flock: bool, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    rounds = int(pytestconfig.getoption("--lock-rounds"))
    taken, wrong = play(shell, tmp_path, rounds, TAKES, flock=flock)
    name = next(name for name, words in SHELLS.items() if words == shell)
    print(
        f"{name:8} {'with' if flock else 'without':7} flock: {rounds} rounds, {TAKERS} takers, "
        f"taken {taken} times, {len(wrong.splitlines())} overlaps"
    )
    assert wrong == "", (tmp_path / "err").read_text()[-2000:]
    assert taken >= rounds


@pytest.mark.thorough
@each_shell
def test_a_dead_run_is_rolled_back_by_exactly_one_process(
    shell: list[str], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    rounds = int(pytestconfig.getoption("--lock-rounds"))
    undone, wrong = play(shell, tmp_path, rounds, GUARDS, flock=False, dead=DEAD)
    assert wrong == "", (tmp_path / "err").read_text()[-2000:]
    assert undone == rounds


def identity(pid: int) -> str:
    return f"{pid}:{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"


def take(shell: list[str], folder: Path, more: str = "") -> list[tuple[str, ...]]:
    """The events of a run that takes the lock in ``folder``, and does ``more`` while it holds the lock."""
    places = f"run_folder={folder} run_home={folder}/runs run_queue={folder}/queue run_lock={folder}/lock"
    frames, done = run(
        shell, [], f"{places} run_log={folder}/log run_written={folder}/w\nlock_take\nemit got\n{more}", frame="fix.sh"
    )
    assert done.returncode == 0, done.stderr
    return frames


@each_shell
def test_the_lock_of_a_dead_process_is_taken_over(shell: list[str], tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    assert take(shell, tmp_path) == [("got",)]
    assert (queue.read_text(), list(tmp_path.iterdir())) == ("", [queue]), "the lock is released at the end"
    own = identity(os.getpid())
    dead = f"{own}0 {SINCE}\n999999999:7 {SINCE}\n"
    queue.write_text(f"{dead}{own} {SINCE}\n")
    assert take(shell, tmp_path) == [("locked", own, SINCE)]
    # A taker that was refused adds the line `left`, so that it does not block other takers.
    assert queue.read_text().startswith(f"{dead}{own} {SINCE}\n")
    queue.write_text(f"{dead}{own} {SINCE}\n999999999:8 {SINCE}\nleft {own}\nleft 999999999:8\n")
    assert take(shell, tmp_path) == [("got",)]
    # A process that has left may have asked again.
    queue.write_text(f"{own} {SINCE}\nleft {own}\n{own} later\n")
    assert take(shell, tmp_path) == [("locked", own, "later")]
    # Half a line, of a process that died while it wrote, or of a full disk.
    queue.write_text(f"{dead}12")
    assert take(shell, tmp_path) == [("got",)]


@each_shell
def test_a_zombie_process_holds_no_lock(shell: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        (tmp_path / "queue").write_text(f"{identity(process.pid)} {SINCE}\n")
        assert take(shell, tmp_path) == [("locked", identity(process.pid), SINCE)]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert take(shell, tmp_path) == [("got",)]


@each_shell
def test_the_lock_folder_of_an_earlier_version_is_respected(shell: list[str], tmp_path: Path) -> None:
    """The run of an earlier provision, whose lock is a directory, is respected, and respects this one."""
    own, lock = identity(os.getpid()), tmp_path / "lock"
    lock.mkdir()
    (lock / "owner").write_text(f"{own} {SINCE}\n")
    assert take(shell, tmp_path) == [("locked", own, SINCE)]
    assert ((lock / "owner").read_text(), (tmp_path / "queue").read_text()) == (f"{own} {SINCE}\n", "")
    (lock / "owner").write_text(f"{own}0 {SINCE}\n")
    assert take(shell, tmp_path) == [("got",)]
    lock.mkdir()  # taken by a process that died before it wrote the owner
    assert take(shell, tmp_path, 'IFS=" " read -r owner _ <"$run_lock/owner"; emit owner "$((${owner%:*} == $$))"') == [
        ("got",),
        ("owner", "1"),
    ]
    assert not lock.exists()


@each_shell
def test_a_run_releases_only_its_own_lock(shell: list[str], tmp_path: Path) -> None:
    """An older provision may have taken the directory."""
    other = f"{identity(os.getpid())} {SINCE}\n"
    assert take(shell, tmp_path, f"printf '%s' '{other}' >\"$run_lock/owner\"") == [("got",)]
    assert (tmp_path / "lock/owner").read_text() == other


def history(folder: Path, count: int) -> Path:
    """``count`` finished runs, and an active run that keeps more than a history may have."""
    for number in range(count):
        one = folder / f"runs/20260101T0000{number:02}-finished"
        one.mkdir(parents=True)
        (one / "result").write_text("done\n")
    at_work = folder / "runs/20250101T000000-at-work"
    (at_work / "kept").mkdir(parents=True)
    (at_work / "owner").write_text(f"{identity(os.getpid())}\n")
    (at_work / "before").write_text("file 1 /etc/big\nend - -\n")
    (at_work / "kept/1").write_bytes(b"\1" * (60 << 20))
    return at_work


@each_shell
def test_a_new_run_does_not_touch_the_record_of_an_active_run(shell: list[str], tmp_path: Path) -> None:
    at_work = history(tmp_path, 3)
    began = f'job_start() {{ cp "$run/owner" {tmp_path}/signed; echo "1;5:began," >&5; }}'
    lines = f"run_home={tmp_path}/runs submit_secrets=\n{began}\nsubmit new -"
    frames, done = run(shell, [], lines, frame="submit.sh")
    assert frames == [("began",), ("result", "")], done.stderr
    assert (at_work / "kept/1").exists()
    pid, _, start = (tmp_path / "signed").read_text().strip().partition(":")
    assert (pid.isdigit(), start.isdigit()) == (True, True), (
        "the submitting process owns the record until its job signs it"
    )


@each_shell
def test_the_history_is_bounded_under_the_lock(shell: list[str], tmp_path: Path) -> None:
    at_work = history(tmp_path, 25)
    (tmp_path / "runs/20240101T000000-unsigned").mkdir()
    (tmp_path / "runs/20240101T000001-dead").mkdir()
    (tmp_path / "runs/20240101T000001-dead/owner").write_text("999999999:1\n")
    for state in ("armed", "undoing", "confirmed"):
        (tmp_path / f"runs/20240101T000002-{state}").mkdir()
        (tmp_path / f"runs/20240101T000002-{state}/{state}").touch()
    before = {path.name for path in (tmp_path / "runs").iterdir()}
    assert take(shell, tmp_path)[0][0] == "locked", "a run waits for its confirmation"
    assert {path.name for path in (tmp_path / "runs").iterdir()} == before
    for state in ("armed", "undoing", "confirmed"):
        shutil.rmtree(tmp_path / f"runs/20240101T000002-{state}")
    assert take(shell, tmp_path) == [("got",)]
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    newest = [f"20260101T0000{number:02}-finished" for number in range(6, 25)]
    assert left == ["20240101T000000-unsigned", at_work.name, *newest]
    assert (at_work / "kept/1").exists()
    assert not (at_work / "result").exists(), "the run has not died"
