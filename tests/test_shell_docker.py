"""The shell that reads docker's state, under every shell that a host may have, with recorded output of docker."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from provision.remote.script import quote
from tests.shells import each_shell, programs_first, run, stub

CONTAINER = {"Name": "/web", "Image": "sha256:aa", "Config": {"Labels": {"provision.secrets": ",OLD,"}}}


def docker(folder: Path, body: str) -> Path:
    """A docker that runs (its pid file exists) and gives these answers."""
    stub(folder, "docker", body)
    return folder


def with_pid(text: str, folder: Path) -> str:
    """The functions, with the path of the daemon's pid file in the test's directory."""
    (folder / "docker.pid").write_text("1\n")
    return text.replace("/run/docker.pid", str(folder / "docker.pid"))


@pytest.fixture
def placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of provision's shell files that has docker's pid file, and root's logins, below the test's directory."""
    from provision.remote import sources
    from tests import shells

    copy = tmp_path / "sh"
    shutil.copytree(sources.SH, copy)
    for name in ("docker", "registry", "compose"):
        path = copy / "look" / f"{name}.sh"
        text = with_pid(path.read_text(), tmp_path)
        path.write_text(text.replace("/root/.docker", str(tmp_path / "root")))
    monkeypatch.setattr(shells, "SH", copy)
    return tmp_path


@each_shell
def test_secret_variables_of_containers_are_reported_as_a_hash(shell: list[str], placed: Path) -> None:
    """Values of variables that are declared as secrets, or that the container's own label marks as secrets, are sent as
    one hash. A variable of several lines is one line, as docker's JSON has it."""
    variables = [r'"PATH=/bin"', r'"PASSWORD=it\"s $HOME\\"', r'"OLD=gone"', r'"TEXT=two\nlines"']
    said = "\n".join([json.dumps(CONTAINER, separators=(",", ":")), *variables])
    (placed / "said").write_text(said + "\n")
    body = f"cat {placed}/said; echo 'Error response from daemon: No such container: other' >&2; exit 1"
    path = docker(placed / "bin", body)
    frames, done = run(
        shell, ["look/docker.sh"], "at look_docker container web ,PASSWORD, container other -", path=path
    )
    assert done.returncode == 0, done.stderr
    hidden = f"{variables[1]}\n{variables[2]}\n"
    sum_ = hashlib.sha256(hidden.encode()).hexdigest()
    whole = json.dumps(CONTAINER, separators=(",", ":"))
    assert frames[0] == ("docker", "daemon")
    assert frames[1] == ("container", "web", whole, f"{variables[0]}\n{variables[3]}\n", sum_)
    assert frames[2] == ("docker", "container", "Error response from daemon: No such container: other\n")
    assert b"gone" not in done.stdout


@each_shell
def test_a_long_variable_is_parsed_once(shell: list[str], placed: Path) -> None:
    """1 MB: code that tries each length of the variable would not finish (60 KB took 4.6 s)."""
    long = f'"LONG={"x" * 1_000_000}"'
    labels = {"a": "y" * 1_000_000, "provision.secrets": ",OLD,", "provision.spec": "z" * 1_000_000}
    container = json.dumps({"Name": "/web", "Config": {"Labels": labels}}, separators=(",", ":"))
    (placed / "said").write_text("\n".join([container, long, '"OLD=gone"', '"A=*"', '"B=a b"']) + "\n")
    path = docker(placed / "bin", f"cat {placed}/said")
    frames, done = run(shell, ["look/docker.sh"], "at look_docker container web -", path=path)
    assert done.returncode == 0, done.stderr
    sum_ = hashlib.sha256(b'"OLD=gone"\n').hexdigest()
    assert frames[1] == ("container", "web", container, f'{long}\n"A=*"\n"B=a b"\n', sum_)


@each_shell
def test_objects_of_earlier_runs_are_reported_too(shell: list[str], placed: Path) -> None:
    path = docker(placed / "bin", f"printf '%s\\n' \"$*\" >>{placed}/asked")
    lines = "manifests_container=' old' manifests_network=' back' manifests_compose=' shop'; at look_docker"
    frames, done = run(shell, ["look/docker.sh"], lines, path=path)
    assert done.returncode == 0, done.stderr
    asked = (placed / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["network", "ps", "container"]
    assert asked[0].endswith(" back")
    assert asked[2].endswith(" old")
    assert ("project", "shop", "") in frames


@each_shell
def test_no_docker_command_runs_while_docker_is_stopped(shell: list[str], tmp_path: Path) -> None:
    path = docker(tmp_path / "bin", "echo asked >&2; exit 1")
    frames, done = run(shell, ["look/docker.sh"], "at look_docker container web - image app:1 -", path=path)
    assert (frames, done.stderr) == ([], b"")


@each_shell
@pytest.mark.parametrize("password", ["plain", 'quote" and \\ back', "with:colon", "ümlaut"])
def test_a_registry_is_queried_with_the_stored_login(shell: list[str], placed: Path, password: str) -> None:
    (placed / "root").mkdir()
    auths = {
        "other:5000": {"auth": base64.b64encode(b"x:y").decode()},
        "reg.example:5000": {"auth": base64.b64encode(f"ci:{password}".encode()).decode()},
    }
    (placed / "root/config.json").write_text(json.dumps({"auths": auths}, indent="\t"))
    stub(placed / "bin", "timeout", 'shift; exec "$@"')
    path = docker(placed / "bin", f"cat >{placed}/request; printf 'HTTP/1.0 200 OK\\r\\n\\r\\n{{}}'")
    frames, done = run(shell, ["look/registry.sh"], "at look_moved reg.example:5000/app:1", path=path)
    assert done.returncode == 0, done.stderr
    assert frames == [("moved", "reg.example:5000/app:1", "HTTP/1.0 200 OK\r\n\r\n{}")]
    head, *lines = (placed / "request").read_bytes().decode().split("\r\n")
    assert head == "GET /distribution/reg.example:5000/app:1/json HTTP/1.0"
    header = next(line.removeprefix("X-Registry-Auth: ") for line in lines if line.startswith("X-Registry"))
    assert json.loads(base64.urlsafe_b64decode(header)) == {"username": "ci", "password": password}
    assert lines[-2:] == ["", ""]


@each_shell
def test_a_registry_is_queried_without_a_login(shell: list[str], placed: Path) -> None:
    stub(placed / "bin", "timeout", 'shift; exec "$@"')
    path = docker(placed / "bin", f"cat >{placed}/request")
    _, done = run(shell, ["look/registry.sh"], "at look_moved app:1", path=path)
    assert done.returncode == 0, done.stderr
    assert b"X-Registry-Auth" not in (placed / "request").read_bytes()


@each_shell
def test_ports_with_a_listener_are_reported(shell: list[str]) -> None:
    """The kernel's own list of this machine. A port without a listener is free."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        frames, done = run(shell, ["resources/port.sh"], f"at look_ports {port}")
        assert frames == [("port", str(port), "yes")], done.stderr
    frames, _ = run(shell, ["resources/port.sh"], f"at look_ports {port}")
    assert frames == [("port", str(port), "no")]


#: Image -> seconds since it was tagged, and its names. A container uses `used`.
IMAGES = {"sha256:old": (500, "old:1 "), "sha256:young": (5, "young:1 "), "sha256:used": (900, "used:1 ")}
#: Pulled to a storage driver, where a pull does not set the time of the tag: its config has just arrived.
PULLED = "sha256:pulled"
IMAGES |= {PULLED: (63000000000, "pulled:1 ")}
IMAGES |= {"sha256:named": (900, "other:1 named:1 "), "sha256:none": (900, ""), "sha256:two": (900, "two:1 two:2 ")}


@each_shell
@pytest.mark.parametrize(("room", "removed"), [("", ["old:1", "sha256:none", "two:1 two:2"]), ("plenty", [])])
def test_prune_removes_old_unused_images_until_there_is_room(
    shell: list[str], tmp_path: Path, room: str, removed: list[str]
) -> None:
    arms = "".join(
        f"*' {image}') echo \"$(($(date +%s) - {age})) {names}\" ;;\n" for image, (age, names) in IMAGES.items()
    )
    root = tmp_path / "data"
    arrived = root / "image/overlay2/imagedb/content/sha256" / PULLED.removeprefix("sha256:")
    arrived.parent.mkdir(parents=True)
    arrived.touch()
    body = f"""
case "$*" in
    'info '*) echo '{root}|overlay2|[["Backing Filesystem","extfs"]]' ;;
    'ps '*) echo container ;;
    'container inspect '*) echo sha256:used ;;
    'image ls -aq '*) printf '%s\\n' {" ".join(IMAGES)} ;;
    'image rm '*) shift 2; echo "$*" >>{tmp_path}/removed ;;
    'image inspect '*) case "$*" in {arms} esac ;;
esac"""
    path = docker(tmp_path / "bin", body)
    stub(path, "df", "echo Filesystem; echo '/dev/x 9 9 2000 9% /data'")
    from provision.remote.sources import SH

    least = "1000" if room else "0"
    script = f"PATH={quote(str(path))}:$PATH; set -- 60 {least} named:1 kept:1\n{(SH / 'host/prune.sh').read_text()}"
    done = subprocess.run(shell, input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = (tmp_path / "removed").read_text().splitlines() if (tmp_path / "removed").exists() else []
    assert sorted(found) == removed


#: Values that a line of docker's file can hold, and values that go through the environment of docker's client.
VARIABLES = {
    "ONE": 'it\'s "x" \\ $HOME #',
    "TWO": "two\nlines'\n",
    "BLANKS": "  both ",
    "EMPTY": "",
    "RETURN": "end\r",
    "QUOTED": '"quoted"',
    "LONG": "x" * 70_000,
    "put_name": "a name of\nthe function's own",
    "run": "é😀\n",
    "LAST": "\\",
}
#: docker's client: its arguments, and the variables that it would give to the container (docker/cli, pkg/kvfile).
CLIENT = """\
[ "$1" = create ] || exit 1
printf '%s\\0' "$@" >{folder}/argv
while [ "$1" != --env-file ]; do shift; done
cp "$2" {folder}/file
env -0 >{folder}/environ
"""


def given(folder: Path) -> dict[str, str]:
    """What docker reads from its file: a line is NAME=VALUE, or a NAME whose value is read from docker's own
    environment."""
    own = dict(entry.split("=", 1) for entry in (folder / "environ").read_bytes().decode().split("\0") if "=" in entry)
    found = {}
    for line in (folder / "file").read_bytes().split(b"\n")[:-1]:
        assert len(line) < 65536
        name, equal, value = line.removesuffix(b"\r").decode().partition("=")
        found[name] = value if equal else own[name]
    return found


@each_shell
def test_secrets_of_a_container_arrive_unchanged_and_in_no_argument(shell: list[str], tmp_path: Path) -> None:
    path = docker(tmp_path / "bin", CLIENT.format(folder=tmp_path))
    pairs = " ".join(f"{name} {quote(value)}" for name, value in VARIABLES.items())
    lines = (
        f"run_folder={tmp_path} run=/var/lib/provision/runs/r1\n"
        f"container_put web created 1 0 '' {len(VARIABLES)} {pairs} --env PLAIN=1 app:1 serve"
    )
    # Separate tests cover the commands after `docker create`.
    stubs = "container_gone() { :; }\ncontainer_aside() { :; }\n"
    _, done = run(shell, ["fix/containers.sh", "fix/restore.sh"], stubs + lines, path=path, frame="submit.sh")
    assert b"rename" not in done.stdout
    assert given(tmp_path) == VARIABLES, done.stderr
    assert list(given(tmp_path)) == list(VARIABLES), "in their order, because their hash depends on it"
    argv = (tmp_path / "argv").read_text().split("\0")[:-1]
    file = argv[argv.index("--env-file") + 1]
    assert argv == [
        *("create", "--name", "web.provision-new", "--label", "provision.run=r1", "--env-file", file),
        *("--env", "PLAIN=1", "app:1", "serve"),
    ]
    assert not Path(file).exists(), "removed at once"


@each_shell
@pytest.mark.parametrize("declared", ["", "/srv/containerd"])
def test_free_space_is_measured_where_the_images_are(shell: list[str], tmp_path: Path, declared: str) -> None:
    """In containerd's store that is containerd's root, and not docker's."""
    toml = tmp_path / "config.toml"
    if declared:
        toml.write_text(f'version = 2\nroot = "{declared}"\n')
    said = '/data|overlayfs|[["driver-type","io.containerd.snapshotter.v1"]]'
    path = docker(tmp_path / "bin", f"""case "$*" in 'info '*) echo '{said}' ;; 'image ls '*) echo sha256:a ;; esac""")
    stub(path, "df", f"echo \"$*\" >>{tmp_path}/asked; echo Filesystem; echo '/dev/x 9 9 2000 9% /data'")
    from provision.remote.sources import SH

    text = (SH / "host/prune.sh").read_text().replace("/etc/containerd/config.toml", str(toml))
    script = f"{programs_first(shell[0])}PATH={quote(str(path))}:$PATH; set -- 60 1000\n{text}"
    done = subprocess.run(shell, input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == f"-Pk -- {declared or '/var/lib/containerd'}\n"


@each_shell
@pytest.mark.parametrize(
    ("users", "status", "removed", "later"),
    [
        ("", 0, "volume rm data", ""),
        ("web.provision-old", 0, "", "data"),
        ("web.provision-old other", 1, "", ""),
    ],
)
def test_a_volume_is_removed_after_the_container_that_was_set_aside(
    shell: list[str], tmp_path: Path, users: str, status: int, removed: str, later: str
) -> None:
    body = f"""case $1 in ps) printf '%s\\n' {users} ;; *) echo "$*" >>{tmp_path}/calls ;; esac"""
    path = docker(tmp_path / "bin", body)
    stub(path, "sync", "exit 0")
    lines = f"run={tmp_path}; (set -eu; volume_remove data); emit status $?"
    frames, done = run(shell, ["fix/files.sh", "fix/networks.sh"], lines, path=path, frame="fix.sh")
    assert ("status", str(status)) in frames, done.stderr
    calls = (tmp_path / "calls").read_text().strip() if (tmp_path / "calls").exists() else ""
    assert calls == removed
    assert ((tmp_path / "volumes").read_text().strip() if (tmp_path / "volumes").exists() else "") == later


#: IMAGE ID SERVICE HASH STATE ONEOFF LABEL STATUS: two containers whose image docker shows by its id.
RUNS = "\n".join(
    [
        "app:1 0a1 web 3f running False sha256:aa Up 2 hours",
        "sha256:bb 0b2 db 4f exited False sha256:bb Exited (0) 1 hour ago",
        "sha256:cc 0c3 old 5f running   Up 2 minutes",
    ]
)


@each_shell
def test_the_image_name_of_a_container_is_read_where_docker_shows_an_id(shell: list[str], placed: Path) -> None:
    """docker ps shows an id both if the name now refers to another image and if the image never had a name."""
    (placed / "runs").write_text(RUNS)
    for name in ("compose.yaml", ".env"):
        (placed / name).write_text("")
    path = docker(
        placed / "bin",
        f'printf "%s\\n" "$*" >>{placed}/asked; case $1 in ps) cat {placed}/runs;; container) echo "0b2 sha256:bb"; '
        'echo "0c3 app:2";; compose) echo "web 3f";; esac',
    )
    frames, done = run(shell, ["look/compose.sh"], f"at look_compose shop {placed}/compose.yaml", path=path)
    assert done.returncode == 0, done.stderr
    assert frames == [("compose", "shop", RUNS, "web 3f", "0b2 sha256:bb\n0c3 app:2")]
    asked = (placed / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["ps", "compose", "container"]
    assert asked[2].endswith("{{.Config.Image}} 0b2 0c3")
    # If docker shows only names, no further question is needed.
    (placed / "runs").write_text(RUNS.partition("\n")[0])
    frames, _ = run(shell, ["look/compose.sh"], f"at look_compose shop {placed}/compose.yaml", path=path)
    assert frames[0][2:] == (RUNS.partition("\n")[0], "web 3f", "")
    assert len((placed / "asked").read_text().splitlines()) == 5
