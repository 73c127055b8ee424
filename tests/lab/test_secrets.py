"""Secrets on real hosts: no host gets another host's secret, and the output of a failing service is not written to
disk."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.conftest import LabHost, NewHost, Outcome, inventory_of

CANARY = "db-secret-4711 'x'"
#: A run whose tokens a host has, as if all of them had leaked to the host.
_KNOWN = (
    "import sys; from provision.secrets import secret; secret._KEY = b'known'; from provision.cli import main;"
    "sys.exit(main(sys.argv[1:]))"
)


def token_of(password: str) -> str:
    """The token that a run with that key gives to a secret."""
    program = (
        "import sys; from pathlib import Path; from provision.secrets import secret; secret._KEY = b'known';"
        "from provision.text.yamlfile import load; print(load(Path(sys.argv[1]))['db_password'])"
    )
    return subprocess.check_output([sys.executable, "-c", program, password], text=True).strip()


def apply(folder: Path, *, known: bool) -> Outcome:
    words = ["apply", "-i", str(folder / "inventory.yml"), str(folder / "site.yml"), "--json", "--yes"]
    start = ["-c", _KNOWN] if known else ["-m", "provision"]
    done = subprocess.run(
        [sys.executable, *start, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def found(host: LabHost, *words: str) -> str:
    """Files of provision and of the host that contain one of these words."""
    patterns = " ".join(f"-e {shlex.quote(word)}" for word in words)
    places = "/etc /var/lib/provision /run/provision /tmp /root"
    return host.sh(f"grep -rlF {patterns} {places} 2>/dev/null || true")


def test_a_host_receives_no_secret_of_another_host(new_host: NewHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """root on one host writes the token of the other host's secret into a file that provision reads and writes
    again."""
    monkeypatch.setenv("DB_PASSWORD", CANARY)
    web, db = new_host(), new_host()
    folder = web.folder
    (folder / "inventory.yml").write_text(inventory_of(web, db))
    variables = folder / "group_vars/all.yml"
    variables.parent.mkdir()
    variables.write_text("db_password: !secret {env: DB_PASSWORD}\n")
    spec: dict[str, Any] = {"hostname": "{{ inventory_hostname }}"}
    files = {"/etc/db.conf": {"content": "password {{ db_password }}\n", "mode": "0600"}}
    plays = [
        {"name": "All", "hosts": "docker", "spec": spec},
        {"name": "Databases", "hosts": db.name, "spec": {"files": files}},
    ]
    (folder / "site.yml").write_text(yaml.safe_dump(plays))
    first = apply(folder, known=True)
    assert first.counts == {"changed": 2}, first.out + first.err
    assert CANARY in db.sh("cat /etc/db.conf")
    # The number in earlier versions, computed from the path, the line, the name and the source.
    number = hashlib.sha256(f"{variables}:1\0db_password\0{{'env': 'DB_PASSWORD'}}".encode()).hexdigest()[:8]
    # The tokens that a run leaves where a host can read them: on its disk, and in the output.
    leaks = db.sh("grep -rhoaE '«secret[^»]*»' /var/lib/provision /etc /run 2>/dev/null || true").split("\n")
    leaks += [word for word in first.out.split('"') if "secret" in word.lower()]
    planted = {f"«secret:db_password:{number}»", token_of(str(variables)), *filter(None, leaks)}
    assert len(planted) >= 2
    for known in (False, True):
        lines = "".join(f"# {word} caf\\351\\n" for word in sorted(planted))
        web.sh(f"printf '127.0.0.1 localhost\\n{lines}' >/etc/hosts")
        before = web.sh("grep '^#' /etc/hosts | md5sum")
        outcome = apply(folder, known=known)
        assert web.sh("grep -c '^127.0.1.1 ' /etc/hosts") == "1"
        assert outcome.counts == {"changed": 1, "ok": 1}, outcome.out + outcome.err
        assert found(web, "db-secret") == "", f"known: {known}"
        assert web.sh("grep '^#' /etc/hosts | md5sum") == before, "byte for byte"
    # The host's own secret too is only in the file of db that is declared to have it.
    db.sh(f"printf '127.0.0.1 localhost\\n# {token_of(str(variables))}\\n' >/etc/hosts")
    outcome = apply(folder, known=True)
    assert outcome.counts == {"changed": 1, "ok": 1}, outcome.out + outcome.err
    assert found(db, CANARY) == "/etc/db.conf"


UNIT = """\
[Service]
ExecStartPre=/bin/sh -c 'cat /etc/leaky.conf; base64 -w0 /etc/leaky.conf; echo'
ExecStartPre=/bin/sh -c 'od -An -tx1 -v -w1000 /etc/leaky.conf | tr -d " "'
ExecStart=/bin/sh -c 'cat /etc/leaky.conf >&2; exit 1'
Type=oneshot
"""


def test_the_output_of_a_failing_service_is_not_written_to_disk(host: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "\n".join(base64.b64encode(bytes([number] * 30)).decode() for number in range(4))
    value = f"{key}\n{CANARY}"
    monkeypatch.setenv("LEAKY", value)
    host.inventory()
    (host.folder / "group_vars").mkdir()
    (host.folder / "group_vars/all.yml").write_text("leaky: !secret {env: LEAKY}\n")
    spec: dict[str, Any] = {
        "files": {
            "/etc/leaky.conf": {"content": "{{ leaky }}", "mode": "0600"},
            "/etc/systemd/system/leaky.service": {"content": UNIT},
        },
        "services": {"leaky": {"running": True, "watch": ["/etc/leaky.conf"]}},
    }
    data = value.encode()
    words = [*value.splitlines(), "secret-4711", base64.b64encode(data).decode(), data.hex()]
    for risky in ([], ["leaky"]):
        outcome = host.apply({**spec, "risky": risky})
        assert outcome.counts == {"rolled_back": 1}, outcome.out + outcome.err
        assert found(host, *words) == ""
        assert host.sh("find /var/lib/provision/runs -name secrets") == ""
        detail = outcome.done["error"]["detail"]
        assert "leaky did not start" in detail
        assert "***" in detail, "the output is reported, without the secret"
        written = {"output": outcome.out, "errors": outcome.err}
        for path in (host.folder / ".provision").rglob("*"):
            if path.is_file():
                written[str(path)] = path.read_text()
        for where, text in written.items():
            for word in words:
                assert word not in text, where
                assert json.dumps(word)[1:-1] not in text, where
        assert (
            host.sh("ls -d /run/provision/noise.* /run/provision/step.* /run/provision/env.* 2>/dev/null || true") == ""
        )
        assert "***" in host.sh("cat /var/lib/provision/runs/*/events")
    assert host.sh("journalctl -q -u leaky | grep -c 4711") != "0", "the service itself printed the secret"


def test_secrets_of_a_job_that_systemd_cannot_start_are_removed(host: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKY", CANARY)
    host.inventory()
    (host.folder / "group_vars").mkdir()
    (host.folder / "group_vars/all.yml").write_text("leaky: !secret {env: LEAKY}\n")
    host.sh(
        "printf '#!/bin/sh\\necho no >&2\\nexit 1\\n' >/usr/local/bin/systemd-run; chmod +x /usr/local/bin/systemd-run"
    )
    outcome = host.apply({"files": {"/etc/x": {"content": "{{ leaky }}", "mode": "0600"}}})
    assert outcome.counts == {"failed": 1}
    assert outcome.done["error"]["message"] == "the job could not be started: no"
    assert found(host, "secret-4711") == ""
    assert host.sh("find /var/lib/provision/runs -name secrets") == ""
    host.sh("rm /usr/local/bin/systemd-run")
    assert host.apply().counts == {"changed": 1}
