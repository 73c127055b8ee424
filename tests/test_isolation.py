"""Each host gets only the secrets that it refers to. A host's text is never a token, and a token belongs to one run."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provision import spec
from provision.errors import SpecError, Where
from provision.model import Call, Change, Drift, Event, Plan, Platform, Resource, Salt
from provision.planning import planfile, prepare
from provision.planning.plan import inspection, inspection_of
from provision.planning.prepare import work
from provision.remote.protocol import BEGIN, Frames, Seen
from provision.remote.script import job_script, look_script, submit_script
from provision.remote.transaction import Step, Work
from provision.resources.apt_source import Entry, OtherEntries
from provision.resources.docker.container import Container
from provision.resources.docker.network import NoNetwork
from provision.resources.file import File
from provision.resources.hostname import Hostname
from provision.resources.obstacle import Unfixable
from provision.secrets import secret
from provision.steps.files import put_file
from provision.text.yamlfile import load
from tests.conftest import Project

HUSH = "hush-hush-7c1f"
SALT = Salt("5a17")
DEBIAN = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """The token of a secret that this process knows."""
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setenv("HUSH", HUSH)
    return secret.declare("db_password", {"env": "HUSH"}, Where(Path("group_vars/db.yml"), 1))


def frame(*fields: str | bytes) -> bytes:
    data = [field if isinstance(field, bytes) else field.encode() for field in fields]
    return b"%d;" % len(data) + b"".join(b"%d:%s," % (len(one), one) for one in data) + b"\n"


def seen(*frames: bytes) -> Seen:
    return Seen.of(list(Frames().feed(BEGIN + b"".join(frames))))


def file(path: str, content: bytes) -> bytes:
    stat = f"regular file:644:root:root:1:2:3:{len(content)}"
    return frame("file", path, stat) + frame("contents", "", content + b"Linux", path)


def sent(calls: list[Call], allowed: frozenset[str]) -> tuple[bytes, dict[str, str]]:
    """The job with these steps in the form that provision sends, and the secrets that it sends with the job."""
    secrets: dict[str, str] = {}
    steps = tuple(Step("x", call) for call in calls)
    keep = tuple(kept for call in calls for kept in call.keeps)
    job = job_script(Work("run", Plan("web1", DEBIAN), steps, (), keep, secrets=allowed), [], secrets)
    return submit_script("run", job, secrets, allowed).encode("utf-8", "surrogateescape"), secrets


def fixed(resource: Resource, report: Seen) -> list[Call]:
    state = resource.seen(report)
    return list(resource.fix(Drift(resource.want(), state, tuple(resource.want()))))


def of_hosts(token: str) -> list[Call]:
    return fixed(
        Hostname("web1"),
        seen(
            frame("hostname", "", "web1"),
            frame("file", "/etc/hostname", "absent"),
            file("/etc/hosts", f"127.0.0.1 localhost\n# {token} «".encode()),
        ),
    )


def of_apt(token: str) -> list[Call]:
    path, other = "/etc/apt/sources.list.d/docker.sources", "/etc/apt/sources.list"
    text = f"deb http://mirror.example bookworm stable # {token}\n"
    report = seen(frame("apt_sources", "", other), frame("file", path, "absent"), file(other, text.encode()))
    return fixed(OtherEntries(path, Entry("http://mirror.example", ("trixie",), ("stable",), "")), report)


def of_network(token: str) -> list[Call]:
    """A network as docker reports it, in JSON with escapes: the field itself has no token in it."""
    labels = json.dumps({"note": token})
    assert token not in labels
    one = f'{{"Name":"net","Driver":"bridge","Internal":false,"IPAM":{{}},"Options":{{}},"Labels":{labels}}}'
    return fixed(NoNetwork("net"), seen(frame("docker", "network", one)))


def of_record(token: str) -> list[Call]:
    encoded = base64.b64encode(f"was {token}\n".encode())
    record = seen(
        frame("before", "run", "there", "file 1 /etc/x\nend - -"),
        frame("kept", "/etc/x", "regular file:644:root:root", encoded),
    )
    (resource,) = prepare.resources("run", record, [], 60)
    return fixed(resource, seen(frame("file", "/etc/x", "absent")))


@pytest.mark.parametrize("of", [of_hosts, of_apt, of_network, of_record])
def test_a_token_in_a_hosts_report_is_plain_text(of: Callable[[str], list[Call]], token: str) -> None:
    """This holds even for the token of this run, of a secret that belongs to this host."""
    data, secrets = sent(of(token), frozenset({token}))
    assert secrets == {}
    job = data.partition(b"submit run")[2]
    assert HUSH.encode() not in job
    assert token.encode() in job, "the host's bytes are written back as they were"


def test_a_token_in_a_hosts_manifest_is_plain_text(project: Project, token: str) -> None:
    project.spec("modules: [overlay]\n")
    loaded = project.load()
    play = loaded.configs[0].plays[0]
    text = f"provision-manifest 1\nplay Site\nfile /etc/{token}\n"
    report = seen(
        frame("manifest", play.slug, text),
        frame("made", f"/etc/{token}", "present"),
        frame("modules", ""),
        file("/etc/x", b""),
    )
    found = inspection(loaded.configs[0], DEBIAN, loaded.context, _options(), _patient(report))
    made = work("run", found.plan, found.report, found.remember, found.forget, secrets=frozenset({token}))
    secrets: dict[str, str] = {}
    job = job_script(made, [], secrets)
    assert secrets == {}
    assert HUSH not in job


def _options() -> Any:
    from provision.catalog import Options

    return Options()


def _patient(report: Seen) -> Seen:
    """A host that reports only this."""

    class Patient(Seen):
        def fields(self, kind: str, key: str = "") -> tuple[str, ...]:
            return self._frames.get((kind, key), ("absent",))

        def after(self, paths: frozenset[str]) -> Seen:
            return Patient(self._frames, self.pending | paths, self._contents)

        def salted(self, salt: Salt) -> Seen:
            return self

    return Patient(report._frames, contents=report._contents)


def test_bytes_that_are_not_utf8_stay_unchanged() -> None:
    calls = fixed(
        Hostname("web1"),
        seen(
            frame("hostname", "", "web1"),
            frame("file", "/etc/hostname", "absent"),
            file("/etc/hosts", b"127.0.0.1 localhost # caf\xe9\n"),
        ),
    )
    content = next(call.args[5] for call in calls if call.args[0] == "/etc/hosts")
    assert b"# caf\xe9\n" in base64.b64decode(content)


def test_a_token_cannot_be_computed(token: str) -> None:
    """A token can't be computed from the path, the line, the name and the source, nor from another run's token."""
    program = (
        "from pathlib import Path; from provision.secrets import secret; from provision.errors import Where;"
        "print(secret.declare('db_password', {'env': 'HUSH'}, Where(Path('group_vars/db.yml'), 1)))"
    )
    others = {subprocess.check_output([sys.executable, "-c", program], text=True).strip() for _ in range(2)}
    assert len(others | {token}) == 3
    again = secret.declare("db_password", {"env": "HUSH"}, Where(Path("group_vars/db.yml"), 1))
    assert again == token, "one secret has one token within a run"


def test_a_step_with_a_secret_of_another_host_is_refused(token: str) -> None:
    put = Call("put_file", ("/etc/x", "root", "root", "0644", "text", f"a {token}\n"))
    with pytest.raises(SpecError, match="which this host's configuration does not refer to"):
        sent([put], frozenset())
    with pytest.raises(SpecError, match="does not refer to"):
        submit_script("run", "", {token: "secret_0"}, frozenset())
    data, secrets = sent([put], frozenset({token}))
    assert list(secrets) == [token]
    assert HUSH.encode() in data


def test_a_host_refers_to_the_secrets_of_its_files_and_logins(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host refers to its files and logins. It does not refer to other variables that it has, nor to passwords of
    which it gets only hashes."""
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_FROM_ENVIRONMENT", set())
    for name in ("A", "B", "C", "D", "E"):
        monkeypatch.setenv(name, f"value-of-{name}")
    project.write("inventory/group_vars/all.yml", "".join(f"{n}: !secret {{env: {n.upper()}}}\n" for n in "abcde"))
    project.write("playbooks/templates/t.j2", "{{ d }}\n")
    project.spec(
        "files: {/etc/a: {content: 'x {{ a }}'}, /etc/d: {template: t.j2}}\n"
        "engine: {registries: {docker.io: {login: {user: ci, password: '{{ b }}', accounts: [root]}}}}\n"
        "registry: {name: reg.example, users: {ci: {password: '{{ c }}'}}}\n"
    )
    loaded = project.load()
    from provision.catalog import compile_catalog

    resources = compile_catalog(loaded.configs[0], DEBIAN, loaded.context, _options())
    found = {secret.reveal(one) for one in secret.referred(resources)}
    plain = {one for one in found if one.startswith("value-of-")}
    assert plain == {"value-of-A", "value-of-B", "value-of-D"}
    assert any(one.startswith("$2y$") for one in found), "the hash is the host's"


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.title,
        lambda token: token[:-1],
        lambda token: token[:14],
        lambda token: token[6:],
        lambda token: token[-12:],
        lambda token: token.replace("«", "%C2%AB").replace("»", "%C2%BB").replace(":", "%3A"),
        lambda token: json.dumps(token),
        lambda token: "«secret:other:0123456789abcdef»",
        lambda token: "«SeCrEt:",
    ],
)
def test_a_part_of_a_token_is_not_sent(change: Callable[[str], str], token: str) -> None:
    word = f"password {change(token)}\n"
    put = Call("put_file", ("/etc/x", "root", "root", "0600", "text", word))
    with pytest.raises(SpecError, match=r"token|not a secret"):
        sent([put], frozenset({token}))
    with pytest.raises(SpecError, match="token"):
        look_script({"apt": [Call("look_files", (f"/etc/{change(token)}",))]})
    with pytest.raises(SpecError, match="token"):
        job_script(Work("run", Plan("web1", DEBIAN), (), (("file", change(token), "x"),), ()), [], {})
    with pytest.raises(SpecError, match=r"token|not a secret"):
        secret.reveal(word)


def test_the_number_of_a_token_is_found_at_any_position(token: str) -> None:
    number = token[-17:-1]
    for before in range(9):
        for text in (f"{'x' * before}{number}", f"{'x' * before}{number.upper()}yy", f"{'0' * before}{number}00"):
            assert secret.remnant(text), text
        assert not secret.remnant(f"{'x' * before}{number[:15]}x{number[15]}")


@pytest.mark.parametrize("text", ["«Bonjour», dit-il\n", "«secret»\n", "« secret: »\n", "«face» «cafe»\n", "x»\n"])
def test_guillemets_without_a_number_are_plain_text(text: str, token: str) -> None:
    put = Call("put_file", ("/etc/x", "root", "root", "0600", "text", text))
    data, _ = sent([put], frozenset({token}))
    assert text.strip().encode() in data
    assert secret.reveal(text) == text
    assert secret.foreign(text) == text


@pytest.mark.parametrize("text", ["a: ok\nb: {c: 'x «secret:pw:c0e10ee8»'}\n", "a: 1\nb: {c: !unsafe '«SECRET:x'}\n"])
def test_a_token_in_yaml_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(Path("site.yml"), text)
    assert (str(caught.value.where), caught.value.key) == ("site.yml:2", "b.c")


def test_a_file_of_the_operator_may_contain_the_text_of_a_token(project: Project) -> None:
    """A ``src`` file is sent unchanged, even a manual that describes tokens."""
    project.write("playbooks/files/manual", "it is a token, «secret:db_password:1a2b3c4d»\n")
    project.spec("files: {/etc/manual: {src: manual}}\n")
    loaded = project.load()
    from provision.catalog import compile_catalog

    (resource,) = (
        one for one in compile_catalog(loaded.configs[0], DEBIAN, loaded.context, _options()) if one.id.endswith("ual")
    )
    data, secrets = sent(fixed(resource, seen(frame("file", "/etc/manual", "absent"))), frozenset())
    assert secrets == {}
    assert "«secret:db_password:1a2b3c4d»".encode() in data
    there = seen(file("/etc/manual", "it is a token, «secret:db_password:1a2b3c4d»\n".encode()))
    assert resource.seen(there)["content"] == resource.want()["content"]


def test_a_template_with_a_part_of_a_token_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setenv("HUSH", HUSH)
    project.write("inventory/group_vars/all.yml", "pw: !secret {env: HUSH}\n")
    token = str(project.inventory().scope("web1")[0]["pw"])
    project.write("playbooks/templates/t.j2", token[:-3])
    project.spec("files:\n  /etc/a:\n    template: t.j2\n")
    with pytest.raises(SpecError, match="the token of an unknown secret") as caught:
        project.load()
    assert str(caught.value.where).endswith("t.j2:1")


def test_a_containers_label_is_the_same_in_every_run(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label names its secrets, and is of no use to another host: only a host that refers to a secret gets it
    again."""
    declared = spec.Container(image="app:1", environment={"PASSWORD": token})
    words = _words(declared)
    label = next(word for word in words if word.startswith("provision.spec="))
    assert token not in json.loads(label.partition("=")[2])["environment"]["PASSWORD"]
    assert "«secret-ref:db_password:" in json.loads(label.partition("=")[2])["environment"]["PASSWORD"]
    later = _later(monkeypatch)
    assert later != token
    assert _words(spec.Container(image="app:1", environment={"PASSWORD": later})) == words

    def again(secrets: frozenset[str], label: str) -> Container:
        record = seen(
            frame("before", "run", "there", "container running:no:0 web\nmade 1 web\nend - -"),
            frame("made_of", "web", f"sha256:aa\n{label}"),
        )
        (found,) = prepare.resources("run", record, [], 60, secrets)
        assert isinstance(found, Container)
        return found

    text = label.partition("=")[2]
    assert again(frozenset({later}), text).declared.environment == {"PASSWORD": later}
    with pytest.raises(Unfixable, match="had the secret db_password, which this host's spec no longer refers to"):
        again(frozenset(), text)
    forged = again(frozenset({later}), json.dumps({"image": "app:1", "environment": {"X": later}}))
    assert secret.referred(forged) == frozenset(), "a token in a label is text"


def _words(declared: spec.Container) -> list[str]:
    (call,) = Container("web", declared).fix(Drift({}, {}, ("image", "state")))
    return [word for word in call.args if word.startswith("provision.")]


def _later(monkeypatch: pytest.MonkeyPatch) -> str:
    """The token of the same secret in another run, in which the secret is on another line."""
    monkeypatch.setattr(secret, "_KEY", b"another run's")
    monkeypatch.setattr(secret, "_KNOWN", {})
    return secret.declare("db_password", {"env": "HUSH"}, Where(Path("elsewhere/db.yml"), 9))


def test_a_plan_file_is_the_same_in_every_run(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(token: str) -> dict[str, Any]:
        put = put_file("/etc/x", content=f"a {token}\n".encode(), mode="0600")
        drift = Drift({"content": token}, {}, ("content",))
        return planfile.entry(Plan("web1", DEBIAN, (Change("file:/etc/x", drift, (put,)),)), SALT)

    first = entry(token)
    assert token not in json.dumps(first, ensure_ascii=False)
    assert entry(_later(monkeypatch)) == first


def test_events_of_a_cluster_worker_have_no_tokens(token: str) -> None:
    """The controller does not know a worker's tokens, and compares the plan there with another worker's."""
    put = put_file("/etc/x", content=token.encode(), mode="0600")
    plan = Plan("web1", DEBIAN, (Change("file:/etc/x", Drift({"content": token}, {}, ("content",)), (put,)),))
    entry = planfile.entry(plan, SALT)
    sent = msgspec.structs.replace(plan, entry=entry)  # as a worker does (rollout/shard.py)
    event = secret.each(Event("host.plan", "web1", {"plan": sent, "texts": [token]}), secret.stable)
    assert token not in repr(event)
    assert planfile.entry(event.data["plan"], SALT) == entry


def test_a_host_in_the_desired_state_needs_no_secret(token: str) -> None:
    declared = File("/etc/x", f"a {token}\n".encode(), mode="0600")
    secret.resolve()
    there = seen(frame("file", "/etc/x", "regular file:600:root:root:1:2:3:17"), frame("sha256", "/etc/x", _sum()))
    assert declared.seen(there) == declared.want()


def test_a_plan_has_the_secrets_of_its_host_where_it_changes_something(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setenv("HUSH", HUSH)
    project.write("inventory/group_vars/all.yml", "pw: !secret {env: HUSH}\n")
    project.spec("files: {/etc/x: {content: \"a {{ pw }}\\n\", mode: '0600'}}\n")
    loaded = project.load()
    secret.resolve()
    there = seen(frame("file", "/etc/x", "regular file:600:root:root:1:2:3:17"), frame("sha256", "/etc/x", _sum()))
    for report, changes, secrets in (
        (seen(frame("file", "/etc/x", "absent")), ["file:/etc/x"], {HUSH}),
        (there, [], set()),
    ):
        found = inspection(loaded.configs[0], DEBIAN, loaded.context, _options(), report)
        assert [change.resource for change in found.plan.changes] == changes
        assert {secret.reveal(one) for one in found.secrets} == secrets


def test_a_plan_of_undeclared_resources_takes_secrets_only_from_declared_ones(token: str) -> None:
    declared = File("/etc/x", f"a {token}\n".encode(), mode="0600")
    other = File("/etc/y", f"b {token}\n".encode(), mode="0600")
    report = seen(frame("file", "/etc/y", "absent"))
    found = inspection_of("web1", DEBIAN, (other,), report, (declared,))
    assert found.secrets == {token}
    with pytest.raises(SpecError, match="which this host's configuration does not refer to"):
        inspection_of("web1", DEBIAN, (other,), report)


def _sum() -> str:
    import hashlib

    return hashlib.sha256(f"a {HUSH}\n".encode()).hexdigest()
