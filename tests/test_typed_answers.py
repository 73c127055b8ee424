"""What a host reports has types. An answer of another type fails the host with the kind ``protocol``, and is never a
traceback or a wrong plan.

Each case changes one value of a report that is right: docker's JSON by its place, any other look by its frame. The
changed values are derived from the value's own type: null, another type, a negative or a huge number, deep nesting, no
value at all.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from provision import tasks
from provision.planning.manifest import LINES
from provision.transport.execute import Finished
from provision.transport.ssh import HostError
from tests.conftest import Project

SPEC = """
hostname: web1
sysctl: {net.ipv4.ip_forward: 1}
modules: [overlay]
packages: [tree]
users: {bob: {uid: 1500, groups: [ops]}}
networks: {front: {subnet: 10.9.0.0/24, options: {a: b}, labels: {a: b}}}
volumes: {data: {options: {a: b}, labels: {a: b}}}
containers:
  app:
    adopt: true
    image: docker.io/library/app:1
    networks: [front]
    volumes: ["data:/data"]
    health: {command: "true"}
engine: {source: installed, daemon: {debug: true, labels: [a=1]}}
"""
ID = "sha256:" + "a" * 64
HEALTH = {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "Timeout": 10**9, "StartPeriod": 0, "Retries": 3}
CONFIG: dict[str, Any] = {
    "User": "",
    "Cmd": ["sh"],
    "Entrypoint": ["sh"],
    "Env": ["A=1"],
    "WorkingDir": "/",
    "Labels": {"a": "b"},
    "Healthcheck": HEALTH,
    "StopTimeout": 5,
}
#: docker inspect, by kind. Each listed value is one that provision uses.
DOCKER: dict[str, dict[str, Any]] = {
    "image": {
        "Id": ID,
        "RepoTags": ["app:1"],
        "RepoDigests": [],
        "Config": CONFIG,
        "Layers": ["sha256:" + "b" * 64],
    },
    "network": {
        "Name": "front",
        "Driver": "bridge",
        "Internal": False,
        "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}]},
        "Options": {"a": "b"},
        "Labels": {"a": "b"},
    },
    "volume": {"Name": "data", "Driver": "local", "Options": {"a": "b"}, "Labels": {"a": "b"}},
    "container": {
        "Name": "/app",
        "Image": ID,
        "Status": "running",
        "Health": "healthy",
        "HostConfig": {
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "Binds": ["data:/data"],
            "Mounts": [{"Target": "/x", "Source": "/y"}],
            "Tmpfs": {"/t": "size=1m"},
            "Memory": 0,
            "MemorySwap": 0,
            "NanoCpus": 0,
            "PidsLimit": 0,
            "CapAdd": ["CAP_CHOWN"],
            "CapDrop": [],
            "SecurityOpt": [],
            "Privileged": False,
            "ReadonlyRootfs": False,
            "Init": False,
        },
        "Networks": {"front": {}},
        "Config": {**CONFIG, "Image": "app:1", "Hostname": "app"},
    },
    "info": {
        "ServerVersion": "28.5.2",
        "CgroupDriver": "systemd",
        "RegistryConfig": {
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "IndexConfigs": {"docker.io": {"Secure": True}},
            "Mirrors": ["https://m/"],
        },
        "Labels": ["a=1"],
        "Runtimes": {"runc": {}},
        "DockerRootDir": "/var/lib/docker",
        "Debug": True,
        "DefaultRuntime": "runc",
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": False,
        "LoggingDriver": "json-file",
        "Driver": "overlay2",
    },
}
#: Values that Go leaves out or prints as null: lists, maps and pointers.
NULLABLE = (list, dict)
POINTERS = {"PidsLimit", "Init", "StopTimeout", "Healthcheck"}
#: Mappings in which null, or nothing, is no valid value.
NEEDED = {"RestartPolicy", "LogConfig", "HostConfig"}
REQUIRED = {"Id", "Name", "Driver", "Internal", "Image", "Status", "Target", "Type", "ServerVersion"} | NEEDED
DEEP: Any = "deep"


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place of a JSON value, and the value there."""
    if at:
        yield at, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def variants(place: tuple[Any, ...], value: Any) -> Iterator[tuple[str, Any]]:
    """Wrong values for a place, each with its name."""
    name = place[-1]
    free = place[0] in ("Networks", "Runtimes") and len(place) > 1  # only its names are used
    if free:
        return
    pointer = name in POINTERS or (isinstance(value, NULLABLE) and name not in NEEDED)
    index = name == "docker.io" or isinstance(name, int)
    if not pointer or index:
        yield "null", None
    if isinstance(value, bool):
        yield from (("number", 1), ("text", "yes"))
    elif isinstance(value, int):
        yield from (("text", str(value)), ("negative", -2), ("huge", 10**30), ("fraction", 0.5), ("list", [value]))
    elif isinstance(value, str):
        yield from (("number", 7), ("list", [value]), ("mapping", {"a": value}))
    elif isinstance(value, list):
        yield from (("text", "x"), ("mapping", {"a": "b"}))
    else:
        yield from (("list", ["a"]), ("text", "x"), ("number", 7))
    yield "deep", DEEP


def json_cases() -> Iterator[Any]:
    for kind, answer in DOCKER.items():
        for place, value in places(answer):
            if (kind, place) in (("info", ("ServerVersion",)), ("container", ("Name",))):
                continue  # without them there is no answer, or no container
            for name, wrong in variants(place, value):
                yield pytest.param(kind, place, wrong, id=f"{kind}-{'.'.join(map(str, place))}-{name}")
            if place[-1] in REQUIRED and not (kind == "container" and place[-1] == "Name" and len(place) > 1):
                if place == ("HostConfig", "RestartPolicy", "Name") or kind == "info":
                    continue
                yield pytest.param(kind, place, ..., id=f"{kind}-{'.'.join(map(str, place))}-missing")


def changed(answer: dict[str, Any], place: tuple[Any, ...], wrong: Any) -> str:
    whole = copy.deepcopy(answer)
    at: Any = whole
    for key in place[:-1]:
        at = at[key]
    if wrong is ...:
        del at[place[-1]]
    else:
        at[place[-1]] = "DEEP" if wrong is DEEP else wrong
    return json.dumps(whole).replace('"DEEP"', "[" * 50_000 + "]" * 50_000)


STAT = "regular file:644:root:root:1:2:3:1"


def report(**docker: str) -> list[tuple[str, ...]]:
    """A report of a host that is right. ``docker`` replaces the JSON of a kind."""
    said = {kind: docker.get(kind, json.dumps(answer)) for kind, answer in DOCKER.items()}
    service = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=7\nNeedDaemonReload=no"
    paths = ("/run/docker.sock", "/run/containerd/containerd.sock", "/etc/hostname", "/etc/hosts", "/etc/docker")
    own = ("/etc/sysctl.d/99-zz-provision-site.conf", "/etc/modules-load.d/provision-site.conf")
    return [
        ("platform", "debian", "13", "trixie", "Debian", "", "", ""),
        ("family", "", "apt"),
        *(("file", path, "absent") for path in (*paths, *own)),
        ("file", "/etc/docker/daemon.json", "regular file:644:root:root:1:2:3:2"),
        ("content", "/etc/docker/daemon.json", "e30="),
        ("hostname", "", "web1"),
        ("sysctls", "", "/proc/sys/net/ipv4/ip_forward\n", "/proc/sys/net/ipv4/ip_forward:1:1"),
        ("module", "overlay", "loaded"),
        ("module_files", "", "overlay"),
        ("apt_sources", ""),
        ("packages", "", "tree ii  2.1"),
        ("users", "", "bob:x:1500:1500::/home/bob:/bin/sh", "bob"),
        ("groups", "", "ops:x:5:bob", "ops"),
        ("set_id", "", ""),
        ("socket_unit", "docker.socket", ""),
        ("store", "/var/lib/docker", "999999999", ""),
        ("store", "/var/lib/containerd", "", ""),
        ("service", "docker", service, "unknown", said["info"]),
        ("docker", "daemon"),
        ("docker", "image", said["image"]),
        ("docker", "network", said["network"]),
        ("docker", "volume", said["volume"]),
        ("docker", "container", ""),
        ("container", "app", said["container"], '"A=1"\n', ""),
        ("end",),
    ]


#: Frames of the other looks: the frame to replace, and what replaces it (``None``: nothing).
_FILE = ("file", "/etc/docker/daemon.json")
FRAMES: list[tuple[tuple[str, str], tuple[str, ...] | None]] = [
    *((("file", "/etc/hosts"), (text,)) for text in ("", "x", "regular file", "regular file:999:root:root:1:2:3:1")),
    *(
        (_FILE, (f"regular file:644:root:root:{text}",))
        for text in ("1:2:3:-1", "1:2:3:x", "1:2:3", "1:2:3:" + "9" * 30)
    ),
    *((_FILE, (f"regular file:{mode}:root:root:1:2:3:2",)) for mode in ("", "-644", "rw", "7777777", "8")),
    (_FILE, ()),
    (_FILE, (STAT, STAT)),
    *(
        (("sysctls", ""), text)
        for text in ((), ("",), ("/proc/sys/x\n", "no number"), ("", "a:x:b=1"), ("", "a:-1:b=1"))
    ),
    *((("packages", ""), text) for text in ((), ("tree",), ("tree ii 2.1 more words",), ("a", "b"))),
    *(
        (("users", ""), (text, "bob"))
        for text in ("bob", "bob:x", "bob:x:one:1:::", "bob:x:-1:1:::", "bob:x:1:1", "b:x:1::::")
    ),
    *((("users", ""), text) for text in ((), ("",))),
    *(
        (("groups", ""), (text, "ops"))
        for text in ("ops", "ops:x", "ops:x:y:bob", "ops:x:-1:bob", "ops:x:" + "9" * 20 + ":bob")
    ),
    *((("service", "docker"), text) for text in ((), ("",), ("", ""), ("no property", "current", ""))),
    *(
        (("store", "/var/lib/docker"), text)
        for text in ((), ("x", ""), ("-1", ""), ("1.5", ""), ("9" * 30, ""), ("1",))
    ),
    *((("hostname", ""), text) for text in ((), ("a", "b"))),
    *((("module", "overlay"), text) for text in ((), ("a", "b"))),
    *(
        (("container", "app"), text)
        for text in ((), ("{}",), ("[]", "", ""), ("null", "", ""), ("7", "", ""), ('"x"', "", ""))
    ),
    *(
        (("container", "app"), (json.dumps(DOCKER["container"]), text, ""))
        for text in ("7", "null", "{}", '["A=1"]', "A=1")
    ),
    *((("docker", kind), ()) for kind in ("image", "network", "volume", "container")),
    (("docker", "daemon"), ("x",)),
    (("set_id", ""), ()),
    (("socket_unit", "docker.socket"), ("", "")),
    *(
        (key, None)
        for key in (
            ("file", "/etc/hosts"),
            ("file", "/run/docker.sock"),
            ("sysctls", ""),
            ("packages", ""),
            ("users", ""),
            ("groups", ""),
            ("service", "docker"),
            ("hostname", ""),
            ("module", "overlay"),
            ("set_id", ""),
            ("socket_unit", "docker.socket"),
        )
    ),
]


#: A run's record on a host, and the frames of what it has kept: each is not what provision has written.
RECORDS: list[tuple[str, tuple[tuple[str, ...], ...]]] = [
    *((text, ()) for word in LINES for text in (word, f"{word} 1", f"{word}\tx /etc/x")),
    *((f"owned {text} /etc/x", ()) for text in ("x", "0:0", "0:0:9", "-1:0:755", "0:0:0755:1", "a:b:755")),
    *(
        ("file 1 /etc/x", (("kept", "/etc/x", stat, ""),))
        for stat in ("", "x", "regular file:644:root", "regular file:9:root:root", "regular file:644:root:root:1")
    ),
    ("file 1 /etc/x", (("kept", "/etc/x", "regular file:644:root:root", "a"),)),
    *(("file 1 /etc/x", (("kept", "/etc/x", *fields),)) for fields in ((), ("x",), ("a", "b", "c"))),
    ("file 1 /etc/x", ()),
    ("network 1 front", ()),
    ("network 1 front", (("made_of", "front", "a", "b"),)),
]


def recorded(before: str, *kept: tuple[str, ...]) -> list[tuple[str, ...]]:
    """``provision rollback RUN`` reads the record first, and then the state of what the record names."""
    record = ("before", "run-1", "there", f"{before}\nend - -")
    states = (("owned", "/etc/x", "directory:0:0:755"), ("file", "/etc/x", "absent"), ("bridge", "docker0", "off", ""))
    return [*report()[:-1], record, *kept, *states, ("end",)]


def look_back(connection: Any, config: Any, context: Any) -> None:
    ask: Any = tasks.look_back
    ask.body(connection, config, context, "run-1")


def looked(
    project: Project, monkeypatch: pytest.MonkeyPatch, frames: list[tuple[str, ...]], question: Any = None
) -> None:
    project.spec(SPEC)
    loaded = project.load()

    def execute(connection: Any, login: Any, script: str, deadline: float, on_frame: Any) -> Finished:
        for frame in frames:
            on_frame(frame)
        return Finished(0, "")

    monkeypatch.setattr(tasks, "execute", execute)
    connection: Any = None
    look: Any = tasks.look
    (question or look.body)(connection, loaded.configs[0], loaded.context)


def refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, frames: list[tuple[str, ...]], question: Any = None
) -> None:
    with pytest.raises(HostError, match="the host reported") as caught:
        looked(project, monkeypatch, frames, question)
    assert caught.value.failure.kind == "protocol"
    assert len(caught.value.failure.message) < 500


def test_the_report_itself_is_right(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    looked(project, monkeypatch, report())


JSON_CASES = list(json_cases())


def test_there_are_many_cases() -> None:
    assert len(JSON_CASES) + len(FRAMES) + len(RECORDS) >= 400


@pytest.mark.parametrize(("kind", "place", "wrong"), JSON_CASES)
def test_a_wrongly_typed_value_of_docker_fails_the_host(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, place: tuple[Any, ...], wrong: Any
) -> None:
    refused(project, monkeypatch, report(**{kind: changed(DOCKER[kind], place, wrong)}))


@pytest.mark.parametrize(("before", "kept"), RECORDS)
def test_a_wrongly_typed_record_fails_the_host(
    project: Project, monkeypatch: pytest.MonkeyPatch, before: str, kept: tuple[tuple[str, ...], ...]
) -> None:
    refused(project, monkeypatch, recorded(before, *kept), look_back)


def test_a_record_that_is_right_is_used(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "owned 0:0:755 /etc/x\nfile 1 /etc/x\nnetwork 1 front\nlater 1 thing"
    kept = (("kept", "/etc/x", "regular file:644:root:root", "eA=="), ("made_of", "front", "--driver\nbridge"))
    looked(project, monkeypatch, recorded(lines, *kept), look_back)


@pytest.mark.parametrize(("key", "fields"), FRAMES, ids=[f"{key[0]}-{n}" for n, (key, _) in enumerate(FRAMES)])
def test_a_wrongly_typed_frame_fails_the_host(
    project: Project, monkeypatch: pytest.MonkeyPatch, key: tuple[str, str], fields: tuple[str, ...] | None
) -> None:
    whole = report()
    assert key in {frame[:2] for frame in whole}
    frames = [(*key, *fields) if frame[:2] == key and fields is not None else frame for frame in whole]
    refused(project, monkeypatch, [frame for frame in frames if fields is not None or frame[:2] != key])
