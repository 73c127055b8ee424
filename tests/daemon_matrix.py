"""The linter against ``dockerd --validate``: each key of daemon.json, and each nested place, with each of ``VALUES``.

``python -m tests.daemon_matrix 28.5.2 /usr/sbin/dockerd`` asks that program about each file of the matrix, and records
its answers in tests/data/dockerd_validates. ``--validate`` needs no host, and starts no daemon.
``python -m tests.daemon_matrix`` prints the differences between the linter and the records.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from provision.engine.keys import Version, keys, version
from provision.lint.daemon_file import lint_text
from provision.lint.finding import Finding
from provision.visible import show

DATA = Path(__file__).parent / "data/dockerd_validates"
#: Each type of JSON, empty and not, and texts that are right for some keys: JSON, because that is what dockerd reads.
VALUES = (
    *("null", "true", "false", "0", "-1", "1", "1.5", "99999999999999999999"),
    *('""', '"\\u0020"', '"x"', '"10"', '"10m"', '"true"', '"/x"', '"10.0.0.1"', '"fd00::/64"', '"a=b"'),
    *("[]", '["x"]', '[""]', '["\\u0020"]', "[1]", "[null]", '["a=b"]', "[{}]"),
    *("{}", '{"a":"b"}', '{"a":null}', '{"a":1}', '{"a":{}}', '{"debug":true}'),
)
#: Places below a key; 0 is an item of a list.
NESTED = (
    *(f"log-opts/{one}" for one in ("max-size", "max-file", "compress", "tag", "labels", "mode", "x")),
    *(f"default-network-opts/{one}" for one in ("bridge", "brigde", "bridge/com.docker.network.driver.mtu")),
    *(f"builder/{one}" for one in ("gc", "GC", "entitlements", "history", "x", "entitlements/network-host")),
    *(f"builder/history/{one}" for one in ("maxAge", "maxEntries", "x")),
    *(f"builder/gc/{one}" for one in ("enabled", "policy", "defaultKeepStorage", "defaultReservedSpace", "x")),
    *(f"builder/gc/policy/0{one}" for one in ("", "/all", "/filter", "/filter/0", "/keepStorage", "/keepDuration")),
    *(f"runtimes/{one}" for one in ("x", "runc", "x/path", "x/args", "x/runtimeArgs", "x/runtimeType", "x/options")),
    *(f"nri-opts/{one}" for one in ("enable", "plugin-path", "x")),
    *(f"features/{one}" for one in ("buildkit", "containerd-snapshotter", "windows-dns-proxy", "x")),
    *(f"default-ulimits/{one}" for one in ("nofile", "x", "nofile/Name", "nofile/Hard", "nofile/Soft", "nofile/x")),
    *(f"default-address-pools/0{one}" for one in ("", "/base", "/size", "/x")),
    *(f"proxies/{one}" for one in ("http-proxy", "https-proxy", "no-proxy", "x")),
    *(f"x/{one}" for one in ("x", "debug", "mtu", "proxies", "log-opts")),
    *("x", "cluster-store-opts/x", "http-proxy", "host", "storage-opt"),
)
#: Whole files: settings that depend on each other, nested objects of public files, and values of one key alone.
FILES = tuple(
    json.dumps(one)
    for one in (
        *({"userland-proxy": one, "userland-proxy-path": "x"} for one in (False, True)),
        *({"storage-driver": one} for one in ("devmapper", "overlaybd", "overlayfs", "overlay2", "quux", "zfs")),
        *({"api-cors-header": one} for one in ("", "*")),
        *({"userns-remap": one} for one in ("a:b:c", "")),
        *({"fixed-cidr-v6": f"fe80::{one}"} for one in ("/10", "1/80", "1/64", "/64", "1:0:0:0:0/63")),
        *({"fixed-cidr-v6": one} for one in ("ff00::/8", "::/0", "::ffff:10.0.0.0/104", "fd00::/48", "fc00::/7")),
        {"ipv6": True, "fixed-cidr-v6": "ff02::/64"},
        *({"default-shm-size": one} for one in (None, "64M", "1.5g", "1 kb", "-1")),
        *({"hosts": [one]} for one in ("tcp://127.0.0.1:2375 ", " unix:///run/d.sock", "fd://", "tcp://h:x", "udp://h")),
        *({"insecure-registries": [one]} for one in ("x.example:", "x.example:5000", "10.0.0.0/8", "http://x.example")),
        *({"features": {one: False}} for one in ("windows-dns-proxy", "buildkit", "quux")),
        {"log-driver": "loki", "log-opts": {"loki-external-labels": "container_name={{.Name}}"}},
        {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3", "mode": "blocking"}},
        {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": 3}},
        {"builder": {"enabled": True, "defaultKeepStorage": "10GB"}},
        {"builder": {"gc": {"enabled": True, "defaultKeepStorage": "10GB"}}, "experimental": False},
        {"builder": {"gc": {"enabled": True, "policy": [{"keepStorage": "1GB", "keepDuration": "48h"}]}}},
        {"builder": {"gc": {"enabled": True, "policy": [{"keepStorage": "1GB", "filter": ["unused-for=48h"]}]}}},
        {"builder": {"Entitlements": {"network-host": True}}},
        {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}, "default-runtime": "nvidia"},
        {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}},
        {"runtimes": {"gvisor": {"runtimeType": "io.containerd.runsc.v1", "options": {"TypeUrl": "x"}}}},
        {"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}},
        {"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": 1400}}},
        {"default-network-opts": {"brigde": {"com.docker.network.driver.mtu": "1400"}}},
        {"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}}},
        {"default-ulimits": {"nofile": {"Name": "nofile", "Hard": "64000", "Soft": 64000}}},
        {"default-address-pools": [{"base": "172.30.0.0/16", "size": 24}, {"base": "172.31.0.0/16", "size": 24}]},
        {"default-address-pools": [{"base": "172.30.0.0/16", "size": "24"}]},
        {"default-address-pools": {"base": "172.30.0.0/16", "size": 24}},
        {"nri-opts": {"enable": True, "plugin-path": "/opt/nri", "socket-path": "/run/nri.sock"}},
        {"nri-opts": {"enabled": True}},
        {"proxies": {"http-proxy": "http://u:pw@h:1", "https-proxy": "http://h:1", "no-proxy": "*.test"}},
        {"proxies": {"default": {"httpProxy": "http://h:1"}}},
        {"exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file", "log-opts": {"max-size": "100m"}},
        {"registry-mirrors": ["https://m.example", "m.example"], "insecure-registries": []},
        {"dns": ["8.8.8.8", "1.1.1.1"], "dns-search": ["example.com."], "dns-opts": ["ndots:1"]},
        {"live-restore": True, "hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]},
        {"tls": True}, {"tlsverify": False}, {"tls": False, "tlsverify": None},
        {"host-gateway-ip": "10.0.0.1", "host-gateway-ips": ["10.0.0.2"]},
        {"node-generic-resources": ["gpu=1", "gpu=a"]}, {"labels": ["a=1", "a=2"]},
    )
)  # fmt: skip
#: A class of dockerd's answers, and the text by which an answer is of that class.
CLASSES = {
    "t": r"cannot unmarshal|invalid size|invalid suffix|strconv\.|not able to (un)?marshal|invalid JSON",
    "u": r"directives don't match|unknown field",
    "v": r".",
}


_NEVER = (99, 0)
#: Errors that ``--validate`` does not have, because dockerd finds them when it starts, or when a container does: the
#: rule and the key, and the first engine that finds none or finds it in ``--validate``. The recorded starts show such
#: errors (tests/data/dockerd_says).
LATER: dict[tuple[str, str], Version] = {
    **{("DJ203", key): _NEVER for key in ("bip", "bip6", "default-address-pools", "fixed-cidr")},
    **{("DJ222", key): _NEVER for key in ("builder", "default-ulimits", "metrics-addr", "min-api-version", "mtu")},
    **{("DJ223", key): _NEVER for key in ("default-runtime", "runtimes")},
    ("DJ207", "default-gateway"): _NEVER,
    ("DJ208", "log-opts"): _NEVER,
    ("DJ212", "storage-opts"): _NEVER,
    ("DJ219", "insecure-registries"): _NEVER,
    ("DJ221", "data-root"): _NEVER,
    ("DJ203", "ipv6"): (27, 0),
    ("DJ204", "fixed-cidr-v6"): (27, 0),
    ("DJ201", "registry-mirrors"): (28, 0),
    ("DJ211", "storage-driver"): (29, 0),
    ("DJ222", "dns"): (29, 0),
}
#: Keys whose values dockerd compares with the machine, and the answers that follow from that.
OF_HOST = {
    ("host", "userland-proxy-path"): "the file may exist",
    ("host", "userns-remap"): "the user may exist",
}


def rows() -> tuple[str, ...]:
    return (*keys(), *NESTED)


def text(row: str, value: str) -> str:
    """The file with ``value`` at the place of ``row``."""
    whole: Any = json.loads(value)
    for part in reversed(row.split("/")):
        whole = [whole] if part == "0" else {part: whole}
    return json.dumps(whole)


def cells() -> Iterator[tuple[str, str]]:
    for row in rows():
        for value in VALUES:
            yield row, value


def contents() -> list[str]:
    return [*(text(*cell) for cell in cells()), *FILES]


def read(engine: str) -> dict[str, str]:
    """The class of the answer to each file: ``.`` where dockerd accepts it."""
    lines = (DATA / f"{engine}.txt").read_text().splitlines()
    assert json.loads(lines[1].removeprefix("# ")) == list(VALUES), f"{engine}: record the matrix again"
    table = dict(line.split() for line in lines[2 : 2 + len(rows())])
    assert tuple(table) == rows(), f"{engine}: record the matrix again"
    found = {text(row, value): mark for row in table for value, mark in zip(VALUES, table[row], strict=True)}
    return found | {line[2:]: line[0] for line in lines[2 + len(rows()) :]}


def ask(dockerd: str, folder: Path, content: str) -> str:
    """The last line of dockerd's message, or an empty text. dockerd looks for docker-proxy, and does not run it."""
    proxy = folder / "docker-proxy"
    if not proxy.exists():
        proxy.write_text("#!/bin/false\n")
        proxy.chmod(0o755)
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=folder) as file:
        file.write(content)
        file.flush()
        argv = [dockerd, "--validate", "--config-file", file.name]
        done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": f"{folder}:/usr/bin:/bin"})
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2]


def record(engine: str, dockerd: str) -> None:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        assert ask(dockerd, Path(folder), "{}") == "", "dockerd refuses an empty file: this machine lacks something"
        said = list(pool.map(lambda content: ask(dockerd, Path(folder), content), contents()))
    marks = [next((mark for mark, form in CLASSES.items() if re.search(form, one)), ".") for one in said]
    width = max(map(len, rows()))
    lines = [f"# dockerd {engine} --validate: a place, and a mark for each of these values (tests/daemon_matrix.py)."]
    lines.append(f"# {json.dumps(VALUES)}")
    for index, row in enumerate(rows()):
        lines.append(f"{row:{width}} {''.join(marks[index * len(VALUES) : (index + 1) * len(VALUES)])}")
    lines += [f"{mark} {content}" for mark, content in zip(marks[-len(FILES) :], FILES, strict=True)]
    DATA.mkdir(exist_ok=True)
    (DATA / f"{engine}.txt").write_text("\n".join(lines) + "\n")


def compared(engine: str) -> Iterator[tuple[str, str, list[Finding]]]:
    """Each file, the engine's mark, and the linter's errors."""
    target = version(engine)
    assert target is not None
    for content, mark in read(engine).items():
        found = lint_text(Path("f"), content, target)
        yield content, mark, [one for one in found if one.level == "error"]


def excused(engine: str, content: str, mark: str, errors: list[Finding]) -> set[tuple[str, str]]:
    """The entries of ``LATER`` and ``OF_HOST`` that explain a difference."""
    if mark == ".":
        known = {reason for reason, until in LATER.items() if (version(engine) or until) < until}
        return {(one.rule.id, key) for one in errors for key in json.loads(content)} & known
    return {("host", key) for key in json.loads(content) if mark == "v" and not errors} & OF_HOST.keys()


def differences(engine: str) -> list[str]:
    """The files for which the linter and the engine disagree, with both answers."""
    found = []
    for content, mark, errors in compared(engine):
        why = excused(engine, content, mark, errors)
        wrong = [str(one) for one in errors if mark == "." and one.rule.id not in {rule for rule, _ in why}]
        if wrong or (mark != "." and not errors and not why):
            found.append(f"{engine} {content}: {mark} {wrong}")
    return found


if __name__ == "__main__":
    if sys.argv[1:]:
        record(*sys.argv[1:])
    else:
        for path in sorted(DATA.glob("*.txt")):
            show("".join(f"{one}\n" for one in differences(path.stem)), sys.stdout)
