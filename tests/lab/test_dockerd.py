"""Record what real engines answer to daemon.json files. The fast tests compare the linter with the record.

``RECORD=60 pytest -m lab tests/lab/test_dockerd.py -k 29.7`` asks an engine at most 60 cases that have no answer yet:
new cases, and cases whose text changed. The answers are added to the record. Without ``RECORD`` each engine is asked a
share of the cases again, and the test fails when an answer differs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.conftest import LAB, LabHost, NewHost, engine, newer_engine

DATA = Path(__file__).parent.parent / "data"
ENGINES = {"20.10.24": "bookworm", "26.1.5": "trixie", "28.5.2": "trixie", "29.7.2": "trixie"}
RECORD = int(os.environ.get("RECORD") or 0)

_SILENT = "it neither started nor said why"

# An image of the host's own programs; a unit that neither tries again nor counts its starts; directories that files
# often name as data-root, on the same kind of file system as /var/lib/docker (overlay2 does not work on overlay).
_PREPARE = """
set -e
mkdir -p /root/image/bin /root/image/tmp
cd /etc/systemd/system
mkdir -p docker.service.d docker.socket.d
printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nRestart=no\\n' >docker.service.d/case.conf
printf '[Unit]\\nStartLimitIntervalSec=0\\n[Socket]\\nTriggerLimitIntervalSec=0\\n' >docker.socket.d/case.conf
systemctl daemon-reload
for file in $(ldd /bin/sh | grep -o '/[^ )]*'); do
    mkdir -p "/root/image${file%/*}"
    cp -L "$file" "/root/image$file"
done
cp -L /bin/sh /root/image/bin/sh
tar -C /root/image -cf /root/image.tar .
for place in data mnt srv home opt; do
    mkdir -p "/var/lib/docker/.places/$place" "/$place"
    mount --bind "/var/lib/docker/.places/$place" "/$place"
done
"""
# Each start has a data-root without images: Engine 29 keeps the image store that an earlier start chose.
_CASE = """
cat >/root/case.json
systemctl stop docker.socket docker.service
find /var/lib/docker -mindepth 1 -maxdepth 1 ! -name .places -exec rm -rf {} +
find /var/lib/docker/.places -mindepth 2 -maxdepth 2 -exec rm -rf {} +
rm -rf "/var/lib/a docker"
ip link del docker0
nft delete table ip docker-bridges
nft delete table ip6 docker-bridges
exec 3>&1 >/dev/null
if ! dockerd --help | grep -q -- --validate; then
    echo 'validate: there is no such option' >&3
elif said=$(dockerd --validate --config-file /root/case.json 2>&1); then
    echo 'validate: ok' >&3
else
    echo "validate: $(printf '%s' "$said" | tail -n 1)" >&3
fi
mkdir -p /etc/docker /etc/systemd/system/docker.service.d
cp /root/case.json /etc/docker/daemon.json
drop_in=/etc/systemd/system/docker.service.d/unit.conf
if [ "$1" = plain ] && [ ! -e $drop_in ]; then
    printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/dockerd\\n' >$drop_in
    systemctl daemon-reload
elif [ "$1" = packaged ] && [ -e $drop_in ]; then
    rm $drop_in
    systemctl daemon-reload
fi
mark=$(journalctl -q -n 1 --show-cursor | sed -n 's/^-- cursor: //p')
if timeout 60 systemctl start docker && timeout 10 docker version; then
    echo 'start: ok' >&3
    timeout -k 5 60 docker import /root/image.tar case
    if said=$(timeout -k 5 30 docker run --rm case sh -c : 2>&1); then
        echo 'run: ok' >&3
    else
        said=$(printf '%s' "$said" | grep -v '^Run\\|^See .docker\\|^$' | tail -n 1)
        echo "run: ${said:-it neither ran nor said why}" >&3
    fi
else
    said=$(journalctl -q -o cat -u docker --after-cursor "$mark" | grep -v 'level=\\(info\\|warning\\|debug\\)' |
        grep -v '^Start\\|^docker.s\\|^Stopp\\|^Failed to start\\|^Depend\\|^Listen\\|^Clos' |
        grep -v 'goroutine\\|^\\s' | tail -n 1)
    echo "start: ${said:-SILENT}" >&3
    systemctl kill -s KILL docker
fi
rm /etc/docker/daemon.json
true
""".replace("SILENT", _SILENT)


def unit_of(name: str) -> str:
    """``plain``: dockerd without the packaged unit's ``-H`` and ``--containerd``, as a drop-in or a user starts it."""
    return "plain" if name.startswith("plain unit, ") else "packaged"


def ask(host: LabHost, name: str, text: str) -> dict[str, str]:
    """``validate``, ``start`` and, when it started, ``run`` (of a container): ``ok``, or dockerd's own words."""
    command = f"set -- {unit_of(name)}\n{_CASE}"
    for _ in range(3):
        argv = [*LAB.ssh(host.name), command]
        done = subprocess.run(argv, input=text.encode(), capture_output=True, check=True)
        lines = done.stdout.decode(errors="replace").split("\n")
        found = dict(line.split(": ", 1) for line in lines if ": " in line)
        assert {"validate", "start"} <= set(found), done.stderr
        # On a busy machine a start can take longer than the script waits. Then there is no message, and the case is
        # repeated.
        if found["start"] != _SILENT:
            break
    return {key: found[key].strip()[:300] for key in ("validate", "start", "run") if key in found}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def chosen(version: str, cases: dict[str, str], recorded: dict[str, dict[str, str]]) -> list[str]:
    """When recording: the cases without an answer. Otherwise: a share of the recorded cases, another one for each
    engine."""
    if RECORD:
        lacking = [name for name, text in cases.items() if recorded.get(name, {}).get("text") != digest(text)]
        return lacking[:RECORD]
    return [name for name in cases if name in recorded][list(ENGINES).index(version) :: 19]


def write(path: Path, cases: dict[str, str], recorded: dict[str, dict[str, str]]) -> None:
    """Write one line for each case, in the order of the cases. Cases that no longer exist are left out."""
    found = {name: recorded[name] for name in cases if name in recorded}
    text = yaml.safe_dump(found, sort_keys=False, width=1000, default_flow_style=None, allow_unicode=True)
    part = path.with_suffix(".part")
    part.write_text(f"# Recorded by tests/lab/test_dockerd.py.\n{text}")
    part.replace(path)


def declared(version: str) -> dict[str, Any]:
    if version.startswith("29."):
        found = newer_engine()
        if found["version"] != version:
            pytest.skip(f"the lab has {found['version']}, and the record is of {version}")
    else:
        found = {**engine(), "version": version}
    return {**found, "daemon": None}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ENGINES)
def test_the_recorded_answers_equal_the_engines(new_host: NewHost, version: str) -> None:
    cases: dict[str, str] = yaml.safe_load((DATA / "daemon_json.yml").read_text())
    path = DATA / "dockerd_says" / f"{version}.yml"
    recorded: dict[str, dict[str, str]] = yaml.safe_load(path.read_text()) if path.exists() else {}
    names = chosen(version, cases, recorded)
    if not names:
        assert RECORD, f"{path} has no answers"
        pytest.skip("each case has an answer")
    host = new_host(ENGINES[version])
    outcome = host.apply({"engine": declared(version)})
    assert outcome.code == 0, outcome.out + outcome.err
    host.sh(_PREPARE)
    for name in names:
        answer = ask(host, name, cases[name])
        if RECORD:
            recorded[name] = {"text": digest(cases[name]), **answer}
            write(path, cases, recorded)
            continue
        good = {key: word == "ok" for key, word in answer.items()}
        before = {key: word == "ok" for key, word in recorded[name].items() if key != "text"}
        assert good == before, (version, name, answer)
