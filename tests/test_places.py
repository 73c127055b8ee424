"""Writes below directories in which an account other than root can change names. While that account swaps names, no
write and no read leaves the directory. With the programs of coreutils and those of busybox."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.model import Change, Drift, Plan, Platform
from provision.planning.prepare import work
from provision.remote.protocol import Seen
from provision.remote.script import quote
from provision.resources.file import File
from provision.resources.folder import Folder
from provision.steps.files import put_file
from tests.shells import each_shell, run, stub
from tests.test_shell import call

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.getuid() != 0, reason="an attacker needs an account of its own"),
]

NOBODY_ID = 65534
PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt")
PROGRAMS = ["stat", "mv", "rm", "ln", "mkdir", "rmdir", "chown", "chmod", "cp", "readlink", "sync", "base64", "ls"]
PROGRAMS += ["cat", "df", "tail", "mkfifo", "sha256sum"]
each_userland = pytest.mark.parametrize("userland", ["coreutils", "busybox"])
LINKED = "has 2 names (hard links): the others keep the old content, and a rollback restores a file of its own"
#: How often each function runs against the attacker.
ROUNDS = 15


@pytest.fixture
def place() -> Iterator[Path]:
    """``home`` is the attacker's, ``victim`` root's. The attacker can reach both."""
    base = Path(tempfile.mkdtemp(prefix="provision-place-"))
    base.chmod(0o755)
    (base / "home").mkdir()
    (base / "victim").mkdir(mode=0o755)
    os.chown(base / "home", NOBODY_ID, NOBODY_ID)
    for name in ("app.conf", ".provision.new", "shadow"):
        (base / "victim" / name).write_text("root's own\n")
        (base / "victim" / name).chmod(0o600)
    (base / "run" / "runs").mkdir(parents=True)
    yield base
    shutil.rmtree(base)


def state(folder: Path) -> list[tuple[str, int, int, str]]:
    """The directory and its whole content: names, modes, owners, contents."""
    found = [folder, *sorted(folder.rglob("*"))]
    return [
        (str(one), one.lstat().st_mode, one.lstat().st_uid, one.read_text() if one.is_file() else "") for one in found
    ]


def busybox(base: Path, userland: str) -> Path:
    """A directory that comes first on PATH: with busybox's programs, or empty."""
    folder = base / "bin"
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS if userland == "busybox" else ():
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which("busybox") or "busybox")
    return folder


def changes(base: Path, lines: str, userland: str = "coreutils", shell: list[str] | None = None) -> str:
    """Run functions that change files, and return their standard error."""
    head = f"run_home={base}/run/runs run_written={base}/run/written run_folder={base}/run run={base}/run/runs/one\n"
    head += 'mkdir -p "$run"; : >"$run/job"; : >"$run/noise"; emit_to=output run_noise=$run/noise\n'
    _, done = run(
        shell or ["dash"],
        ["fix/files.sh", "look/files.sh"],
        head + lines,
        path=busybox(base, userland),
        frame="fix.sh",
    )
    return done.stderr.decode()


@pytest.fixture
def attack() -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for one in running:
        one.kill()
        one.wait()


#: Swap what is at a name, again and again: for each (name, link) remove the entry, make the link, and restore the
#: entry.
_SWAP = """
import os, sys, itertools
os.chdir(sys.argv[1])
pairs = [pair.split("=", 1) for pair in sys.argv[2:]]
for n in itertools.count():
    for name, target in pairs:
        aside = f"{name}.{n % 7}"
        for do in (lambda: os.rename(name, aside), lambda: os.symlink(target, name), lambda: os.unlink(name),
                   lambda: os.rename(aside, name), lambda: os.rmdir(aside), lambda: os.unlink(aside)):
            try:
                do()
            except OSError:
                pass
    if n == 50:
        print("swapping", flush=True)
"""


def swapping(attack: list[subprocess.Popen[bytes]], home: Path, *pairs: str) -> None:
    argv = ["setpriv", f"--reuid={NOBODY_ID}", f"--regid={NOBODY_ID}", "--clear-groups", sys.executable, "-c", _SWAP]
    attacker = subprocess.Popen([*argv, str(home), *pairs], stdout=subprocess.PIPE)
    attack.append(attacker)
    assert attacker.stdout is not None
    assert attacker.stdout.readline() == b"swapping\n"


def rounds(*words: str) -> str:
    """The function as a step runs it. The attacker may make the function fail, which does no harm."""
    line = " ".join(quote(word) for word in words)
    return f"n=0\nwhile [ $n -lt {ROUNDS} ]; do\nn=$((n + 1))\n(\nset -eu\nexec 3>&-\n{line}\n)\ndone"


@each_shell
@each_userland
@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        (("put_file", "conf/app.conf", "nobody", "root", "0644", "text", "declared\n"), ("conf=../victim",)),
        (
            ("put_file", "app.conf", "nobody", "root", "0644", "text", "declared\n"),
            (".provision.new=../victim/shadow", "app.conf=../victim"),
        ),
        (
            ("put_file", "app.conf", "nobody", "root", "0644", "base64", "b3Vycwo="),
            (".provision.new=../victim", "app.conf=../victim/app.conf"),
        ),
        (("folder_put", ".docker", "nobody", "root", "0711"), (".docker=../victim",)),
        (("folder_put", ".docker", "nobody", "root", "0711"), (".docker=../victim", ".provision.new=../victim")),
        (("own_file", "app.conf", "nobody", "root", "0640", "text", "x"), ("app.conf=../victim/app.conf",)),
        (("remove_file", "conf/app.conf"), ("conf=../victim",)),
    ],
    ids=["directory", "file and new", "new and file", "folder", "folder and new", "own", "remove"],
)
def test_no_change_leaves_a_directory_whose_owner_swaps_its_entries(
    place: Path,
    attack: list[subprocess.Popen[bytes]],
    shell: list[str],
    userland: str,
    words: tuple[str, ...],
    pairs: tuple[str, ...],
) -> None:
    before = state(place / "victim")
    (place / "home" / "conf").mkdir()
    (place / "home" / "app.conf").write_text("other\n")
    for name in ("conf", "app.conf"):
        os.chown(place / "home" / name, NOBODY_ID, NOBODY_ID)
    swapping(attack, place / "home", *pairs)
    function, name, *rest = words
    said = changes(place, rounds(function, f"{place}/home/{name}", *rest), userland, shell)
    assert state(place / "victim") == before, said


@each_shell
@each_userland
def test_keep_and_restore_do_not_follow_a_swapped_name(
    place: Path, attack: list[subprocess.Popen[bytes]], shell: list[str], userland: str
) -> None:
    """root's file behind the link is never read into the record, nor printed from there."""
    before = state(place / "victim")
    path = place / "home" / "app.conf"
    path.write_text("other\n")
    os.chown(path, NOBODY_ID, NOBODY_ID)
    swapping(attack, place / "home", "app.conf=../victim/shadow", ".provision.new=../victim/shadow")
    lines = (
        f"undo_failed=; n=0; while [ $n -lt {ROUNDS} ]; do n=$((n + 1)); rm -rf $run/kept $run/before\n"
        f"(keep file {path} '')\n"
        f'[ ! -f "$run/before" ] || ! grep -q "root.s own" -r "$run/kept" || echo LEAKED >&2\n'
        f'[ ! -f "$run/before" ] || ! grep -q "^file 1 " "$run/before" || undo_each "file 1 {path}$nl"\n'
        "done\ncat $run/noise >&2"
    )
    said = changes(place, lines, userland, shell)
    attack.pop().kill()
    assert "LEAKED" not in said
    assert state(place / "victim") == before, said
    assert all(
        "own" not in one.read_text() for one in (place / "home").iterdir() if one.is_file() and not one.is_symlink()
    )


@each_shell
@each_userland
def test_links_of_other_accounts_are_refused_and_links_of_root_are_followed(
    place: Path, shell: list[str], userland: str
) -> None:
    (place / "home" / "etc").symlink_to("../victim")
    os.chown(place / "home" / "etc", NOBODY_ID, NOBODY_ID, follow_symlinks=False)
    inside = Path("/var/lib") / place.name  # only root can write in each directory from / to it
    inside.mkdir()
    try:
        (inside / "real").mkdir()
        (inside / "link").symlink_to(f"../{inside.name}/./real")
        (inside / "out").symlink_to(place / "home")
        (inside / "other").symlink_to(place / "home")
        os.chown(inside / "other", NOBODY_ID, NOBODY_ID, follow_symlinks=False)
        write = "nobody nogroup 0640 text declared"
        before = state(place / "victim")
        for bad in (f"{place}/home/etc/x", f"{inside}/out/etc/x", f"{inside}/other/x"):
            said = changes(place, f"(\nset -eu\nput_file {bad} {write}\n)", userland, shell)
            assert f"{bad}: " in said
            assert " is a symbolic link of nobody in place of a directory" in said
            assert (f"{place}/home/etc" in said) == ("etc" in bad), "the error names the component"
        assert state(place / "victim") == before
        assert [one.name for one in (place / "home").iterdir()] == ["etc"]
        for good, there in (
            (f"{inside}/link/new/x", inside / "real" / "new" / "x"),
            (f"{inside}/out/sub/x", place / "home" / "sub" / "x"),
        ):
            said = changes(place, f"(\nset -eu\nput_file {good} {write}\n)", userland, shell)
            assert there.read_text() == "declared", said
            assert (there.owner(), there.stat().st_mode & 0o777) == ("nobody", 0o640)
            assert [one.name for one in there.parent.iterdir()] == ["x"], "no other file remains"
    finally:
        shutil.rmtree(inside)


@each_shell
@each_userland
def test_no_step_gives_a_file_or_directory_of_root_to_another_account(
    place: Path, shell: list[str], userland: str
) -> None:
    """Where another account can change names, a name may lead to any file that the account can rename or link to."""
    (place / "home" / "backup").mkdir(mode=0o700)
    (place / "home" / "list").mkdir(mode=0o700)
    os.chown(place / "home" / "list", NOBODY_ID, NOBODY_ID)
    os.link(place / "victim" / "shadow", place / "home" / "app.conf")
    lines = (
        f"(\nset -eu\nfolder_put {place}/home/backup nobody nogroup 0755\n)\n"
        f"(\nset -eu\nfolder_put {place}/home/list nobody nogroup 0755\n)\n"
        f"(\nset -eu\nfolder_put {place}/home/made nobody nogroup 0711\n)\n"
        f"(\nset -eu\nown_file {place}/home/app.conf nobody nogroup 0644 text declared\n)\n"
    )
    said = changes(place, lines, userland, shell)
    assert f"{place}/home/backup belongs to root" in said
    assert "give it to nobody by hand" in said
    assert ((place / "home" / "backup").owner(), (place / "home" / "backup").stat().st_mode & 0o777) == ("root", 0o700)
    for name, mode in (("list", 0o755), ("made", 0o711)):
        assert ((place / "home" / name).owner(), (place / "home" / name).stat().st_mode & 0o777) == ("nobody", mode)
    shadow = place / "victim" / "shadow"
    assert (shadow.owner(), shadow.stat().st_mode & 0o777, shadow.read_text()) == ("root", 0o600, "root's own\n")
    assert (place / "home" / "app.conf").read_text() == "declared"


def cycle(path: Path, change: str) -> str:
    """Keep a path, change it, and roll back."""
    return f'keep file {path} ""\n(\nset -eu\n{change}\n)\nundo_failed=\nundo_each "file 1 {path}$nl"'


@each_shell
@each_userland
@pytest.mark.parametrize("where", ["home", "/var/lib"])
def test_a_fifo_is_restored_and_a_socket_refused_before_the_change(
    place: Path, shell: list[str], userland: str, where: str
) -> None:
    folder = place / where if where == "home" else Path("/var/lib") / place.name
    folder.mkdir(exist_ok=True)
    try:
        os.mkfifo(folder / "pipe", 0o620)
        (folder / "pipe").chmod(0o620)
        os.chown(folder / "pipe", 1, 2)
        said = changes(place, cycle(folder / "pipe", call(put_file(f"{folder}/pipe", content=b"x"))), userland, shell)
        seen = (folder / "pipe").lstat()
        assert (folder / "pipe").is_fifo(), said
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o777) == (1, 2, 0o620)
        shutil.rmtree(place / "run" / "runs" / "one")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / "socket"))
            frames, _ = run(
                shell,
                ["fix/files.sh"],
                f"run_home={place}/run/runs run={place}/run/runs/two; mkdir $run\n"
                "emit_to=output run_noise=$run/noise; exec 2>$run/noise\n"
                f"keep file {folder}/socket ''\necho not reached",
                path=busybox(place, userland),
                frame="fix.sh",
            )
            (kind, why), *_ = frames
            assert kind == "unkept"
            assert f"{folder}/socket is a socket, which a rollback could not restore" in why
            assert (folder / "socket").is_socket()
    finally:
        if where != "home":
            shutil.rmtree(folder)


#: user::rw-, user:1:r--, group::---, mask::r--, other::--- (linux/posix_acl_xattr.h)
ACL = bytes.fromhex("0200000001000600ffffffff020004000100000004000000ffffffff10000400ffffffff20000000ffffffff")


@each_shell
@pytest.mark.parametrize("where", ["home", "/var/lib"])
def test_extended_attributes_and_acls_are_restored_and_their_loss_is_reported(
    place: Path, shell: list[str], where: str
) -> None:
    folder = place / where if where == "home" else Path("/var/lib") / place.name
    folder.mkdir(exist_ok=True)
    path = folder / "x"
    path.write_text("before\n")
    try:
        os.setxattr(path, "user.note", b"kept")
        os.setxattr(path, "system.posix_acl_access", ACL)
        lines = cycle(path, call(put_file(str(path), content=b"x")))
        frames, done = run(
            shell,
            ["fix/files.sh"],
            f"run_home={place}/run/runs run={place}/run/runs/one run_written={place}/run/w; mkdir $run; : >$run/job\n"
            f"emit_to=output\n{lines}",
            frame="fix.sh",
        )
        assert path.read_text() == "before\n", done.stderr
        assert os.getxattr(path, "user.note") == b"kept"
        assert os.getxattr(path, "system.posix_acl_access") == ACL
        notes = [frame[1] for frame in frames if frame[0] == "note"]
        assert notes == [
            f"{path} has extended attributes (or an ACL): the new file has none of them, a rollback restores them"
        ]
    finally:
        if where != "home":
            shutil.rmtree(folder)


#: The same for new files, with read and write for the user nobody: user::rwx, user:65534:rwx, group::rwx, mask::rwx,
#: other::---.
DEFAULT_ACL = bytes.fromhex("0200000001000700ffffffff02000700feff000004000700ffffffff10000700ffffffff20000000ffffffff")


@each_shell
@each_userland
def test_files_are_written_into_a_directory_with_a_default_acl(place: Path, shell: list[str], userland: str) -> None:
    home = place / "home"
    os.setxattr(home, "system.posix_acl_default", DEFAULT_ACL)
    made = call(put_file(f"{home}/x", content=b"declared\n", mode="0600"))
    said = changes(place, f"(\nset -eu\n{made}\n)", userland, shell)
    assert (home / "x").read_text() == "declared\n", said
    assert (home / "x").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in home.iterdir()] == ["x"]


def refusal(place: Path, shell: list[str], path: Path, userland: str = "coreutils") -> str:
    frames, _ = run(
        shell,
        ["fix/files.sh"],
        f"run_home={place}/run/runs run={place}/run/runs/one\n"
        "mkdir $run; : >$run/job; emit_to=output run_noise=$run/noise\n"
        f"exec 2>$run/noise\nkeep file {path} ''\nemit kept",
        path=busybox(place, userland),
        frame="fix.sh",
    )
    (kind, *why), *more = frames
    assert (kind, more) == ("unkept", []), frames
    return why[0]


@each_shell
def test_metadata_that_cp_cannot_keep_is_refused_before_the_change(place: Path, shell: list[str]) -> None:
    path = place / "home" / "x"
    path.write_text("before\n")
    stub(place / "bin", "getfattr", 'printf \'# file: x\\nsecurity.selinux="y"\\nuser.note="x"\\n\\n\'')
    assert f"{path} cannot be kept: it has extended attributes (or an ACL)" in refusal(place, shell, path, "busybox")


@each_shell
@each_userland
@pytest.mark.parametrize("where", ["home", "/var/lib"])
def test_an_immutable_file_or_directory_is_refused_before_the_change(
    place: Path, shell: list[str], userland: str, where: str
) -> None:
    folder = place / where if where == "home" else Path("/var/lib") / place.name
    folder.mkdir(exist_ok=True)
    path = folder / "x"
    path.write_text("before\n")
    of_file = "is immutable or append-only (----i" if where != "home" else "cannot have a hard link (the immutable flag"
    try:
        for flagged, words in ((path, of_file), (folder, f"the directory of {path} is immutable")):
            subprocess.run(["chattr", "+i", flagged], check=True)
            try:
                assert words in refusal(place, shell, path, userland)
            finally:
                subprocess.run(["chattr", "-i", flagged], check=True)
            shutil.rmtree(place / "run" / "runs" / "one")
        assert [one.name for one in folder.iterdir()] == ["x"], "no file remains"
    finally:
        if where != "home":
            shutil.rmtree(folder)


@each_shell
@each_userland
@pytest.mark.parametrize("where", ["home", "/var/lib"])
def test_hard_links_of_a_file_are_reported(place: Path, shell: list[str], userland: str, where: str) -> None:
    folder = place / where if where == "home" else Path("/var/lib") / place.name
    folder.mkdir(exist_ok=True)
    try:
        (folder / "x").write_text("before\n")
        (folder / "single").write_text("before\n")
        os.link(folder / "x", folder / "y")
        lines = f"run_home={place}/run/runs run={place}/run/runs/one; mkdir $run; : >$run/job\n"
        lines += "emit_to=output run_noise=$run/noise\n"
        frames, done = run(
            shell,
            ["fix/files.sh"],
            f"{lines}keep file {folder}/x '' file {folder}/single ''",
            path=busybox(place, userland),
            frame="fix.sh",
        )
        assert frames == [
            (
                "note",
                f"{folder}/x {LINKED}",
            )
        ], done.stderr
        assert {one.name for one in folder.iterdir()} == {"x", "y", "single"}
    finally:
        if where != "home":
            shutil.rmtree(folder)


@each_shell
def test_with_selinux_written_and_restored_files_get_the_labels_of_the_policy(place: Path, shell: list[str]) -> None:
    (place / "enforce").write_text("1")
    stub(place / "bin", "restorecon", f'echo "$PWD $*" >>{place}/labels')
    path = Path("/var/lib") / place.name / "new" / "x"
    path.parent.parent.mkdir()
    try:
        path.parent.parent.joinpath("y").write_text("before\n")
        put_x, put_y = (
            call(put_file(name, content=b"declared\n")) for name in (str(path), str(path.parent.parent / "y"))
        )
        on = f"selinux_enforce={place}/enforce\n"
        changes(place, on + f"(\nset -eu\n{put_x}\n)\n" + cycle(path.parent.parent / "y", put_y), shell=shell)
        labels = (place / "labels").read_text().splitlines()
        folder = path.parent.parent
        assert labels == [f"{folder} -R ./new", f"{folder}/new ./x", f"{folder} ./y", f"{folder} ./y"]
        (place / "labels").unlink()
        changes(place, f"selinux_enforce={place}/none\n(\nset -eu\n{put_x}\n)\n", shell=shell)
        assert not (place / "labels").exists(), "no program is started where SELinux is off"
    finally:
        shutil.rmtree(path.parent.parent)


@each_shell
@each_userland
def test_temporary_files_of_a_killed_run_are_removed_in_another_accounts_directory(
    place: Path, shell: list[str], userland: str
) -> None:
    path = place / "home" / "app.conf"
    lines = f"mkdir $run/kept; printf 'file 1 %s\\nabsent - %s\\nend - -\\n' {path} {place}/home/sub/x >$run/before\n"
    lines += f"(\nset -eu\nplace {path} -\nstage_open\n: >$stage_new\n)\n"
    lines += f"(\nset -eu\nplace {place}/home/sub/x make\nstage_open\nmkdir $stage_new\n)\n"
    changes(place, lines, userland, shell)
    assert (place / "home" / ".provision.new" / ".provision.file").exists()
    assert (place / "home" / "sub" / ".provision.new").exists()
    changes(place, 'sweep "$run"', userland, shell)
    assert [one.name for one in place.joinpath("home").rglob("*")] == ["sub"]
    # provision does not remove another account's file, and does not follow a link there either.
    (place / "home" / ".provision.new").mkdir()
    (place / "home" / ".provision.new" / "other").write_text("x")
    os.chown(place / "home" / ".provision.new", NOBODY_ID, NOBODY_ID)
    said = changes(place, f"(\nset -eu\nput_file {path} root root 0644 text declared\n)", userland, shell)
    assert f"{place}/home/.provision.new was not made by provision, but is where provision writes" in said
    assert not path.exists()


@each_shell
def test_a_directory_of_provision_is_used_only_if_root_alone_can_write_to_it(place: Path, shell: list[str]) -> None:
    own = place / "own"
    make = f"(own_folders {own})\necho status $? >&2"

    def said() -> str:
        return changes(place, make, shell=shell)

    assert "status 0" in said()
    assert own.stat().st_mode & 0o7777 == 0o700
    own.chmod(0o755)
    assert "status 0" in said()
    assert own.stat().st_mode & 0o7777 == 0o700, "an older directory becomes private to root"
    for mode in (0o720, 0o702, 0o1777):
        own.chmod(mode)
        assert f"{own} is not a directory of root's, for root only: accounts other than root can write in it" in said()
    own.chmod(0o700)
    os.chown(own, NOBODY_ID, NOBODY_ID)
    assert "it belongs to nobody; remove it" in said()
    own.rmdir()
    own.symlink_to(place / "victim")
    assert "it is a symbolic link" in said()
    own.unlink()
    own.write_text("")
    assert "it is a regular" in said()
    assert own.is_file()


@each_shell
def test_a_look_does_not_use_a_directory_that_another_account_made(place: Path, shell: list[str]) -> None:
    own = place / "own"
    own.mkdir()

    def look() -> tuple[list[tuple[str, ...]], str]:
        frames, done = run(shell, [], f"at own_look {own} {place}/none\nemit end")
        return frames, done.stderr.decode()

    assert look() == ([("end",)], "")
    os.chown(own, NOBODY_ID, NOBODY_ID)
    frames, said = look()
    assert frames == [("died", "own_look", "1")]
    assert f"{own} is not a directory of root's, for root only: it belongs to another account" in said
    own.rmdir()
    own.symlink_to(place / "victim")
    assert look()[0] == [("died", "own_look", "1")]


@each_shell
def test_a_look_does_not_read_through_a_link_of_another_account(place: Path, shell: list[str]) -> None:
    (place / "victim" / "shadow").chmod(0o644)
    (place / "home" / "etc").symlink_to("../victim")
    path = f"{place}/home/etc/shadow"
    for function in ("look_files", "look_sums"):
        os.chown(place / "home" / "etc", NOBODY_ID, NOBODY_ID, follow_symlinks=False)
        frames, done = run(shell, ["look/files.sh"], f"{function} {path}")
        ((kind, key, seen),) = frames
        assert (kind, key) == ("file", path), done.stderr
        assert seen.startswith("symbolic link on its path:777:nobody:nogroup:")
        base, done = run(shell, ["fix/files.sh"], f"base_check file {path} {quote(seen)}\nemit same", frame="fix.sh")
        assert base == [("same",)], "the base check reads the same state as the look"
        os.chown(place / "home" / "etc", 0, 0, follow_symlinks=False)
        frames, done = run(shell, ["look/files.sh"], f"{function} {path}")
        assert frames[0][2].startswith("regular file:644:root:root:")


@each_shell
@pytest.mark.parametrize(
    ("function", "content", "swapped_by"),
    [
        ("look_files", "small\n", "stat"),
        ("look_files", "large" * 20_000, "stat"),
        ("look_files", "not \0 text\n", "head"),
        ("look_sums", "secret\n", "stat"),
    ],
    ids=["small", "large", "binary", "secret"],
)
def test_a_look_ends_where_another_account_puts_a_fifo_in_place_of_a_file(
    shell: list[str], function: str, content: str, swapped_by: str
) -> None:
    """The exchange comes at the worst moment: behind the program that has inspected the file."""
    with tempfile.TemporaryDirectory(dir="/run") as made:  # other accounts can change names in /tmp
        exchanged_at_the_worst_moment(Path(made), shell, function, content, swapped_by)


def exchanged_at_the_worst_moment(place: Path, shell: list[str], function: str, content: str, swapped_by: str) -> None:
    path, programs = place / "home" / "app.conf", place / "bin"
    path.parent.mkdir()
    path.parent.chmod(0o755)
    place.chmod(0o755)
    real = {name: shutil.which(name) for name in ("stat", "head", "timeout")}
    stub(programs, "timeout", f'echo "$4" >>{place}/limited; shift 3; exec {real["timeout"]} -s KILL 1 "$@"')
    swap = f"rm -f {path}; mkfifo {path}"
    for owner, exchange in ((0, ":"), (NOBODY_ID, ":"), (NOBODY_ID, swap)):
        os.chown(place / "home", owner, owner)
        path.write_text(content)
        stub(programs, swapped_by, f'{real[swapped_by]} "$@"; found=$?; {exchange}; exit $found')
        frames, done = run(shell, ["look/files.sh"], f"{function} {path}", path=programs)
        if exchange == ":":
            assert frames[0][2].startswith("regular"), done.stderr
            assert {frame[0] for frame in frames} & {"contents", "content", "sha256"}
            assert (place / "limited").exists() == (owner != 0), "no further program where root alone has access"
        else:
            assert frames[-1][0] == "died"
            assert f"{path}: a file was exchanged or removed while it was read" in done.stderr.decode()
    assert set((place / "limited").read_text().split()) <= {"head", "base64", "sha256sum"}


@each_shell
def test_a_directory_that_was_changed_since_the_plan_has_drifted(place: Path, shell: list[str]) -> None:
    folder = place / "home"
    frames, _ = run(shell, ["look/files.sh"], f"look_files {folder}")
    kind, *fields = frames[0][2].split(":")
    seen = ":".join([kind, *fields[:3], fields[4]])
    check = f"base_check folder {folder} {quote(seen)}\nemit same"
    (folder / "new").write_text("what is in it is not the plan's")
    assert run(shell, ["fix/files.sh"], check, frame="fix.sh")[0] == [("same",)]
    os.chown(folder, 1, 1)
    assert run(shell, ["fix/files.sh"], check, frame="fix.sh")[0][0][0] == "drifted"


@each_shell
def test_the_owner_and_mode_of_a_directory_are_restored(place: Path, shell: list[str]) -> None:
    folder = Path("/var/lib") / place.name
    folder.mkdir(mode=0o750)
    os.chown(folder, 1, 2)
    try:
        lines = (
            f"keep folder {folder} '' folder {folder}/a/b ''\n(\nset -eu\nfolder_put {folder} root root 0755\n"
            f'folder_put {folder}/a/b root root 0755\n)\ncat "$run/before" >&2\nsvc_reread() {{ :; }}\nundo test'
        )
        said = changes(place, lines, shell=shell)
        assert f"owned 1:2:750 {folder}\nfolder - {folder}/a\nfolder - {folder}/a/b\nend - -\n" in said
        seen = folder.stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o777) == (1, 2, 0o750)
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_the_base_and_the_record_of_a_change_cover_its_directories() -> None:
    seen = "directory:700:root:root:100:7:101:4096"
    report = Seen.of([("file", "/home/deploy/.docker", seen), ("packages", "", "")])
    folder = Folder("/home/deploy/.docker", "deploy", "deploy", "0700")
    drift = Drift(folder.want(), folder.seen(report), ("owner", "group"))
    plan = Plan("web1", PLATFORM, (Change(folder.id, drift, tuple(folder.fix(drift))),))
    found = work("20260101T000000-00000000", plan, report)
    assert found.base == (("folder", "/home/deploy/.docker", "directory:700:root:root:7"),)
    assert found.keep == (("folder", "/home/deploy/.docker", ""),)


def test_a_change_of_owner_sends_the_content_in_case_the_file_is_replaced() -> None:
    file = File("/home/deploy/x", b"a\0b", "deploy", "deploy", "0640")
    (made,) = file.fix(Drift(file.want(), {}, ("mode",)))
    words = ("/home/deploy/x", "deploy", "deploy", "0640", "base64", "YQBi")
    assert (made.function, made.args, made.replaces, made.private) == ("own_file", words, ("/home/deploy/x",), (5,))
    assert made.writes is None, "its content stays"
