"""A support bundle has no secret: secrets are put into every place that it reads, and are searched in it."""

from __future__ import annotations

import base64
import json
import tarfile
import urllib.parse
from pathlib import Path

import pytest
import yaml

from provision import cli
from provision.report.journal import folder
from provision.secrets.redaction import Redactor
from tests.conftest import Project

HEAD = {"playbook": "p", "mode": "apply", "by": "me@here"}
_PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nLEAKpem1line\nLEAKpem2line\n-----END OPENSSH PRIVATE KEY-----\n"


def bundle(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        return {name.removeprefix("provision-support/"): file.read().decode() for name, file in files.items() if file}


def test_no_secret_is_in_a_bundle(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("LEAK_VARIABLE", "LEAKenvironment")
    monkeypatch.setenv("DB_PASSWORD", "LEAKdeclared")
    monkeypatch.setenv("PROVISION_WEBHOOK", "https://hooks.example/LEAKhook")
    project.spec(
        "files:\n"
        '  /etc/a: {content: "LEAKcontent", mode: "0600"}\n'
        '  /etc/b: {content: "{{ db_password }}", mode: "0600"}\n'
    )
    project.write(
        "inventory/hosts.yml",
        "# LEAKless comment: password LEAKcomment\n"
        "docker: {hosts: {web1: {ansible_password: LEAKlogin, ansible_become_pass: 'LEAK become'}}}\n",
    )
    project.write(
        "inventory/group_vars/docker.yml",
        "db_password: !secret {env: DB_PASSWORD}\n"
        "proxy_url: http://LEAKuser:LEAKproxy@p.example:1\n"
        "api_token: {nested: [LEAKnested]}\n"
        "mirror: https://me:LEAK@url@m.example/x\n"
        "note: the old one was LEAKlogin\n"
        "cert: |\n" + "".join(f"  {one}\n" for one in _PEM.splitlines()),
    )
    project.write("templates/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n4c45414b\n")
    project.write("templates/app.env.j2", "APP_PASSWORD=LEAKtemplate with blanks\nurl=x\n")
    project.write("templates/bad.yml", "LEAKbroken: [\n")
    project.write("templates/id_rsa", _PEM)
    project.write("templates/data.json", json.dumps({"auths": {"r": {"auth": "LEAKauth"}}, "mtu": 1400}))
    run = folder(Path("playbooks/site.yml")) / "20260101T000000Z-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"run": run.name, "hosts": ["web1"], **HEAD}))
    events = [
        {
            "event": "host.plan",
            "host": "web1",
            "items": [{"summary": "x", "diff": ["+DB_PASSWORD=LEAKdiff", "-x LEAKdeclared"]}],
        },
        {
            "event": "host.done",
            "host": "web1",
            "status": "failed",
            "error": {"kind": "step", "message": "curl -H 'Authorization: Bearer LEAKbearer'"},
        },
        {"event": "note", "host": "web1", "text": _PEM},
        {"event": "note", "host": "web1", "text": "login with LEAKlogin; LEAK become; LEAKnested; LEAKcontent"},
        {"event": "note", "host": "web1", "text": "docker login --password LEAKflag"},
    ]
    (run / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    damaged = run.with_name("20250101T000000Z-1") / "run.json"
    damaged.parent.mkdir()
    damaged.touch()

    assert cli.main(["support-bundle", "-o", "out.tar.gz"]) == 0
    assert Path("out.tar.gz").stat().st_mode & 0o077 == 0
    files, said = bundle(Path("out.tar.gz")), capsys.readouterr().out
    for name, text in files.items():
        leaks = [one for one in text.splitlines() if "LEAK" in one]
        assert not leaks, f"{name}: {leaks}"
        assert f"  {name}\n" in said
    assert not [one for one in files["controller.txt"].splitlines() if one.startswith("problem")]
    assert {"versions.json", "environment.json", "controller.txt", "project/inventory/hosts.yml"} <= set(files)
    assert json.loads(files["project/templates/data.json"])["mtu"] == 1400
    assert len(files[f"runs/{run.name}/events.jsonl"].splitlines()) == len(events)
    assert json.loads(files["environment.json"])["PROVISION_WEBHOOK"] == "set"
    for name in ("templates/bad.yml", "templates/id_rsa", "templates/vault.yml"):
        assert f"project/{name}" not in files
        assert f"left out   {name}: " in said
    assert f"left out   {damaged.parent}: " in said
    assert cli.main(["support-bundle", "-o", "out.tar.gz"]) == 1


_VALUE = "p\"a/s s&w<o>rd'1"


@pytest.mark.parametrize(
    "form",
    [
        base64.b64encode(_VALUE.encode()).decode(),
        base64.urlsafe_b64encode(f"{_VALUE}\n".encode()).decode().rstrip("="),
        urllib.parse.quote(_VALUE, safe=""),
        urllib.parse.quote_plus(_VALUE),
        json.dumps(_VALUE)[1:-1],
        json.dumps(_VALUE)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        _VALUE.encode().hex(),
        _VALUE.replace("'", "'\\''"),
    ],
)
def test_an_encoded_secret_is_in_no_file_of_a_bundle(
    form: str, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The inventory has the value. A compose file, a template, a comment of the playbook's YAML, the journal and the
    output of a run have it in another form. The names there do not show that it is a secret."""
    monkeypatch.chdir(project.folder)
    quoted = json.dumps(form)
    project.spec("sysctl: {net.ipv4.ip_forward: 1}")
    project.write("inventory/hosts.yml", f"docker: {{hosts: {{web1: {{ansible_password: {json.dumps(_VALUE)}}}}}}}\n")
    service = {"image": "nginx", "command": ["run", form], "environment": [f"A={form}"]}
    compose = yaml.safe_dump({"services": {"web": service}}, default_style='"')
    project.write("templates/compose.yml", compose)
    project.write("templates/app.env.j2", f"# {form}\nA={form}\n")
    project.write("templates/app.json", json.dumps({"a": [form], "mtu": 1400}))
    run = folder(Path("playbooks/site.yml")) / "20260101T000000Z-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"run": run.name, "hosts": ["web1"], **HEAD}))
    events = [{"event": "note", "host": "web1", "text": f"said {form} and went on"}]
    (run / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    assert cli.main(["support-bundle", "-o", "out.tar.gz"]) == 0
    capsys.readouterr()
    files = bundle(Path("out.tar.gz"))
    places = ("templates/compose.yml", "templates/app.env.j2", "templates/app.json")
    assert {f"project/{name}" for name in places} < set(files)
    for name, text in files.items():
        assert form not in text, name
        assert quoted[1:-1] not in text, name
    assert "nginx" in files["project/templates/compose.yml"]
    assert "and went on" in files[f"runs/{run.name}/events.jsonl"]


def test_texts_without_a_secret_stay() -> None:
    redactor = Redactor()
    for text in (
        "12 passed: fine",
        "see https://docs.example/a",
        "bip: 10.0.0.1/24",
        "web1: author: x",
        "needs its password as a secret",
    ):
        assert redactor.text(text) == text
    redactor = Redactor(known=["b"])
    assert redactor.yaml("a: 1\nb: [x, !secret {file: s.yml}]\n") == "a: 1\nb: [x, !secret {file: s.yml}]\n"
    assert redactor.files == {"s.yml"}


#: Forms of a secret whose names no list of words can have, and values that are followed by nothing.
_PLANTED = {
    "playbooks/group_vars/all.yml": (
        "db_pw: LEAK01\npsk: LEAK02\nbindpw: LEAK03\nencryption_key: LEAK04\nhook: https://hooks.slack.com/services/T0/LEAK05\n"
        "other: {deep: [LEAK06, {more: LEAK07}]}\ncity: LEAK08\nnumber: LEAK09x1234567\n"
    ),
    "playbooks/x.yml": "- name: a\n  hosts: docker\n  vars: {wifi: LEAK10}\n  spec:\n"
    "    containers: {web: {image: nginx, command: [redis-server, --requirepass, LEAK11], labels: {a: LEAK12}}}\n",
    "inventory/more.ini": "[docker]\nweb2 ansible_port=22 site_pw=LEAK13 psk='LEAK14 b' note=LEAK15\n; LEAK16\n",
    "templates/app.json": '{"pw": "LEAK17", "mtu": 1400, "data-root": "/srv/docker", "x": {"bindpw": "LEAK18"}}',
    "templates/redis.conf.j2": "# LEAK19\nrequirepass LEAK20\nmasterauth LEAK21\n",
    "templates/app.cfg": "[a]\nsmtp_pw = LEAK22\nurl = https://a.example/?x=LEAK23\nport = 25\n",
}


def test_values_stay_only_where_they_are_known_to_be_safe(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    project.spec("engine: {daemon: {bip: 10.9.0.1/24, data-root: /srv/docker}}\npackages: [curl]\n")
    for name, text in _PLANTED.items():
        project.write(name, text)
    run = folder(Path("playbooks/site.yml")) / "20260101T000000Z-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"run": run.name, "hosts": ["web1"], **HEAD}))
    texts = [
        "said LEAK01, LEAK08",
        "password LEAK24",
        "--requirepass LEAK25",
        "https://hooks.slack.com/services/LEAK26",
    ]
    events = [{"event": "note", "host": "web1", "text": text} for text in texts]
    (run / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    assert cli.main(["support-bundle", "-o", "out.tar.gz"]) == 0
    capsys.readouterr()
    files = bundle(Path("out.tar.gz"))
    leaks = [(name, line) for name, text in files.items() for line in text.splitlines() if "LEAK" in line]
    assert not leaks
    for name in _PLANTED:
        assert f"project/{name}" in files
    assert json.loads(files["project/templates/app.json"])["data-root"] == "/srv/docker"
    site = yaml.safe_load(files["project/playbooks/site.yml"])[0]
    assert site["spec"] == {
        "engine": {"daemon": {"bip": "10.9.0.1/24", "data-root": "/srv/docker"}},
        "packages": ["curl"],
    }
    assert "image: nginx" in files["project/playbooks/x.yml"]
    assert "ansible_port=22" in files["project/inventory/more.ini"]
    assert "port = 25" in files["project/templates/app.cfg"]
    assert "web1" in files[f"runs/{run.name}/events.jsonl"]
