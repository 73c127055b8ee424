"""What real engines say of broken, odd and sound daemon.json files; the linter's tests stand on the record of it.

``RECORD=1 pytest -m lab tests/lab/test_dockerd.py`` writes the record anew; otherwise a part of it is asked again.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.lab.conftest import LAB, LabHost, NewHost, engine

DATA = Path(__file__).parent.parent / "data"
ENGINES = {"20.10.24": "bookworm", "26.1.5": "trixie", "28.5.2": "trixie"}
RECORD = bool(os.environ.get("RECORD"))

_SILENT = "it neither started nor said why"

# An image of the host's own programs; a unit that neither tries again nor counts its starts.
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
"""
_CASE = """
cat >/root/case.json
systemctl stop docker.socket docker.service
rm -rf /var/lib/docker/network/files "/var/lib/a docker"
ip link del docker0
exec 3>&1 >/dev/null
if ! dockerd --help | grep -q -- --validate; then
    echo 'validate: there is no such option' >&3
elif said=$(dockerd --validate --config-file /root/case.json 2>&1); then
    echo 'validate: ok' >&3
else
    echo "validate: $(printf '%s' "$said" | tail -n 1)" >&3
fi
mkdir -p /etc/docker
cp /root/case.json /etc/docker/daemon.json
sleep 1
since=$(date '+%Y-%m-%d %H:%M:%S')
if timeout 40 systemctl start docker && timeout 10 docker version; then
    echo 'start: ok' >&3
    docker import /root/image.tar case
    if said=$(timeout 20 docker run --rm case sh -c : 2>&1); then
        echo 'run: ok' >&3
    else
        echo "run: $(printf '%s' "$said" | grep -v '^Run\\|^$' | tail -n 1)" >&3
    fi
else
    said=$(journalctl -q -o cat -u docker --since "$since" | grep -v 'level=\\(info\\|warning\\|debug\\)' |
        grep -v '^Start\\|^docker.s\\|^Stopp\\|^Failed to start\\|^Depend\\|^Listen\\|^Clos' |
        grep -v 'goroutine\\|^\\s' | tail -n 1)
    echo "start: ${said:-SILENT}" >&3
    systemctl kill -s KILL docker
fi
rm /etc/docker/daemon.json
true
""".replace("SILENT", _SILENT)


def ask(host: LabHost, text: str) -> dict[str, str]:
    """``validate``, ``start`` and, when it started, ``run`` (of a container): ``ok``, or dockerd's own words."""
    for _ in range(3):
        done = subprocess.run([*LAB.ssh(host.name), _CASE], input=text, capture_output=True, text=True, check=True)
        found = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        assert {"validate", "start"} <= set(found), done.stderr
        # On a busy machine a start can take longer than we wait; then it says nothing, and is asked again.
        if found["start"] != _SILENT:
            break
    return {key: found[key].strip()[:300] for key in ("validate", "start", "run") if key in found}


def chosen(cases: dict[str, str], number: int) -> dict[str, str]:
    """All for the record; to see that it still holds, each engine is asked a share of its own."""
    names = list(cases) if RECORD else list(cases)[number::9]
    return {name: cases[name] for name in names}


@pytest.mark.timeout(1800)
def test_the_record_of_what_engines_say(new_host: NewHost) -> None:
    cases: dict[str, str] = yaml.safe_load((DATA / "daemon_json.yml").read_text())
    hosts = [(version, new_host(suite)) for version, suite in ENGINES.items()]

    def said(number: int) -> dict[str, dict[str, str]]:
        version, host = hosts[number]
        declared = {**engine(), "version": version, "daemon": None}
        assert host.apply({"engine": declared}).code == 0
        host.sh(_PREPARE)
        return {name: ask(host, text) for name, text in chosen(cases, number).items()}

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        found = dict(zip(ENGINES, pool.map(said, range(len(hosts))), strict=True))
    path = DATA / "dockerd_says.yml"
    if RECORD:
        path.write_text(
            "# Recorded by tests/lab/test_dockerd.py.\n" + yaml.safe_dump(found, sort_keys=False, width=120)
        )
    recorded = yaml.safe_load(path.read_text())
    for version, answers in found.items():
        for name, answer in answers.items():
            good = {key: word == "ok" for key, word in answer.items()}
            assert good == {key: word == "ok" for key, word in recorded[version][name].items()}, (version, name, answer)
