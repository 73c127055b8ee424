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
    (run / "run.json").write_text(json.dumps({"run": run.name, "hosts": ["web1"], "playbook": "p", "mode": "apply"}))
    events = [
        {"event": "host.plan", "host": "web1", "items": [{"diff": ["+DB_PASSWORD=LEAKdiff", "-x LEAKdeclared"]}]},
        {"event": "host.done", "host": "web1", "error": {"message": "curl -H 'Authorization: Bearer LEAKbearer'"}},
        {"event": "note", "host": "web1", "text": _PEM},
        {"event": "note", "host": "web1", "text": "login with LEAKlogin; LEAK become; LEAKnested; LEAKcontent"},
        {"event": "note", "host": "web1", "text": "docker login --password LEAKflag"},
    ]
    (run / "events.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))

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
    (run / "run.json").write_text(json.dumps({"run": run.name, "hosts": ["web1"], "playbook": "p", "mode": "apply"}))
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
    assert redactor.yaml("a: 1\nb: [x, !secret {file: s.yml}]\n") == "a: 1\nb: [x, !secret {file: s.yml}]\n"
    assert redactor.files == {"s.yml"}
