"""Plans as files: unchanged after reading, readable by their owner only, and signed by an allowed signer."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.commands import selection
from provision.errors import UsageError, Where
from provision.inventory import program
from provision.load import Loaded
from provision.model import Call, Change, Drift, Impact, Login, Plan, Platform, Salt
from provision.planning import planfile
from provision.rollout.host_run import Approval
from provision.secrets import secret, signing
from provision.secrets.disclosure import new_salt
from provision.steps.files import put_file
from provision.transport import destination, known_hosts
from provision.transport.failure import HostError
from provision.transport.ssh import Connecting, Transport
from tests.conftest import Project

PLATFORM = Platform("debian", "13", "trixie", "amd64", "apt", "Debian GNU/Linux 13")
SALT = Salt("5a17", stored=True)
#: The old content of the file is not UTF-8.
CHANGE = Change(
    "file:/etc/x",
    Drift({"content": "declared\n", "mode": "0644"}, {"content": "operator \udcff\n", "mode": "0644"}, ("content",)),
    (put_file("/etc/x", content=b"declared\n"),),
)
PLAN = Plan(
    "web1",
    PLATFORM,
    (CHANGE,),
    (Impact("restart", "service:docker", "daemon.json has changed"),),
    (Impact("stop", "containers", "would be stopped: web (no restart policy)"),),
)
ROLLOUT: dict[str, Any] = {"plays": {}, "hosts": {}, "files": {}}
LOGINS: dict[str, Any] = {"web1": {"asked": destination.asked(Login("web1")), "reached": []}}
MADE = planfile.PlanFile({"by": "me"}, SALT, ROLLOUT, {"web1": planfile.entry(PLAN, SALT)}, {}, LOGINS)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    planfile.write(path, planfile.text(MADE))
    return path


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def allowed(folder: Path, *keys: Path) -> Path:
    path = folder / "allowed_signers"
    path.write_text("".join(f"{one.name}@example.com {one.with_suffix('.pub').read_text()}" for one in keys))
    return path


def test_a_plan_is_unchanged_after_reading(plan: Path) -> None:
    found = planfile.parse(plan, planfile.load(plan))
    assert found == MADE
    assert plan.stat().st_mode & 0o777 == 0o600
    host = found.hosts["web1"]
    assert host["changes"][0]["steps"][0] == {
        "do": "put_file",
        "with": ["/etc/x", "root", "root", "0644", "text", "declared\n"],
        "replaces": ["/etc/x"],
    }
    assert host["impacts"] == [
        {"level": "restart", "subject": "service:docker", "reason": "daemon.json has changed"}
    ], "the plan covers restarts"
    assert host["rollback_impacts"] == [
        {"level": "stop", "subject": "containers", "reason": "would be stopped: web (no restart policy)"}
    ], "the plan covers what its rollback ends"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"format": 2, "hosts": {}}',
        '{"hosts": {}}',
        '{"format": "provision-plan-4"}',
        "\xff",
    ],
)
def test_an_invalid_plan_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is not a plan"):
        planfile.parse(path, planfile.load(path))
    with pytest.raises(UsageError, match="can't be read"):
        planfile.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rollout", "plays"), {"all": None}),
        (("rollout", "hosts"), {"web1": {"play": []}}),
        (("rollout", "files"), {"hook": 3}),
        (("logins", "web1", "reached"), [{"host keys": 3}]),
        (("logins", "web1", "reached"), [{"host keys": [[]]}]),
        (("hosts", "web1", "changes"), [{"resource": None}]),
        (("hosts", "web1", "changes"), [{"resource": []}]),
        (("programs",), {"x": {}}),
        (("salt",), ""),
        (("logins",), {}),
    ],
)
def test_a_plan_file_with_a_wrong_type_is_refused(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    whole = json.loads(planfile.text(MADE))
    planfile.parse(tmp_path / "plan.json", json.dumps(whole).encode())
    part = whole
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    with pytest.raises(UsageError, match="is not a plan"):
        planfile.parse(tmp_path / "plan.json", json.dumps(whole).encode())


def test_a_plan_of_an_older_version_is_refused_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"the format provision-plan-3, this version knows provision-plan-4; write a new one"
    ):
        planfile.parse(tmp_path / "plan.json", b'{"format": "provision-plan-3", "hosts": {}}')


def test_a_plan_is_accepted_with_a_signature_of_an_allowed_signer_only(tmp_path: Path, plan: Path) -> None:
    signer, other = key(tmp_path, "signer"), key(tmp_path, "other")
    data = plan.read_bytes()
    with pytest.raises(UsageError, match="it is not signed"):
        signing.signer(plan, data, allowed(tmp_path, signer))
    signing.sign(plan, data, signer)
    assert signing.signer(plan, data, allowed(tmp_path, signer, other)) == "signer@example.com"
    with pytest.raises(UsageError, match="not signed with a key that"):
        signing.signer(plan, data, allowed(tmp_path, other))
    with pytest.raises(UsageError, match="there are no allowed signers"):
        signing.signer(plan, data, tmp_path / "none")
    with pytest.raises(UsageError, match="does not match its content"):
        signing.signer(plan, data.replace(b"declared", b"tampered"), allowed(tmp_path, signer))
    # A signature by an allowed key, but for another purpose, is invalid too.
    signing.signature(plan).unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", signer, "-n", "file", plan], check=True, capture_output=True
    )
    with pytest.raises(UsageError, match="does not match its content"):
        signing.signer(plan, data, allowed(tmp_path, signer))
    with pytest.raises(UsageError, match="could not be signed"):
        signing.sign(plan, data, tmp_path / "no-such-key")


def arguments(project: Project, plan: Path, signers: Path | None = None) -> argparse.Namespace:
    playbook = project.folder / "playbooks/site.yml"
    return argparse.Namespace(plan=plan, signers=signers, limit=None, playbook=playbook)


def test_the_plan_is_made_of_the_verified_bytes(
    tmp_path: Path, plan: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process replaces the file while its signature is verified, and the signature and the signers too."""
    signer = key(tmp_path, "signer")
    signers = allowed(tmp_path, signer)
    signing.sign(plan, plan.read_bytes(), signer)
    keygen = signing._keygen

    def swapping(*words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        plan.write_bytes(planfile.text(planfile.PlanFile({"by": "mallory"}, SALT, ROLLOUT, {})))
        signing.signature(plan).write_bytes(b"")
        signers.write_bytes(b"")
        return keygen(*words, given=given)

    monkeypatch.setattr(signing, "_keygen", swapping)
    found = selection.approved_plan(arguments(project, plan, signers))
    assert found == MADE


def test_the_signed_bytes_are_the_written_plan(tmp_path: Path, plan: Path) -> None:
    data, signer = plan.read_bytes(), key(tmp_path, "signer")
    plan.write_text("another plan, since it was written")
    signing.sign(plan, data, signer)
    assert signing.signer(plan, data, allowed(tmp_path, signer)) == "signer@example.com"


def with_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("HUSH", value)
    monkeypatch.setattr(secret, "_KNOWN", {})
    token = secret.declare("password", {"env": "HUSH"}, Where(Path("site.yml"), 3))
    call = Call("put_file", ("/etc/x", "root", "root", "0644", "text", f"password {token}\n"))
    return Plan("web1", PLATFORM, (Change("file:/etc/x", Drift({"content": token}, {}, ("content",)), (call,)),))


def test_a_plan_covers_the_values_of_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    approved = planfile.entry(with_secret("hush-7c1f", monkeypatch), SALT)
    assert planfile.entry(with_secret("hush-7c1f", monkeypatch), SALT) == approved
    other = planfile.entry(with_secret("hush-another", monkeypatch), SALT)
    assert other["changes"] != approved["changes"]
    assert "hush-7c1f" not in json.dumps(approved)
    elsewhere = planfile.entry(with_secret("hush-7c1f", monkeypatch), new_salt(stored=True))
    assert elsewhere != approved, "another plan has another salt: the hashes of two plans cannot be compared"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("platform", "the platform"),
        ("flavour", "the platform"),
        ("impacts", "the services that it restarts or stops"),
        ("rollback_impacts", "the services that its rollback restarts or stops"),
        (None, "file:/etc/x"),
    ],
)
def test_an_approval_names_the_part_that_differs(part: str | None, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = with_secret("hush-7c1f", monkeypatch)
    approval = Approval(None, SALT)
    approval.show(plan)
    approval.check(plan)
    assert approval.entry is not None
    if part is None:
        plan = with_secret("hush-another", monkeypatch)
    else:
        assert part in approval.entry
        approval.entry[part] = "another"
    with pytest.raises(HostError) as caught:
        approval.check(plan)
    failure = caught.value.failure
    assert (failure.kind, failure.detail) == ("drifted", f"differs from the approved plan: {text}")


PACED = """\
- name: Site
  hosts: docker
  rollout:
    serial: 1
    reboot: if-needed
    before: {{host: ["./drain", "{{{{ pool }}}}"]}}
    after: {{wave: [sh, tell]}}
  vars: {{pool: {pool}}}
  spec: {{packages: []}}
"""


def rollout(project: Project, text: str = PACED, pool: str = "a") -> dict[str, Any]:
    project.write("playbooks/site.yml", text.format(pool=pool))
    found: dict[str, Any] = planfile.rollout(project.load().configs, project.folder / "playbooks")
    return found


def test_a_plan_covers_the_rollout_and_its_commands(project: Project) -> None:
    project.write("playbooks/drain", "#!/bin/sh\n")
    project.write("playbooks/tell", "true\n")
    approved = rollout(project)
    assert approved == json.loads(json.dumps(approved))
    assert approved["hosts"] == {"web1": {"play": "Site", "before": ["./drain", "a"]}}

    def other(now: dict[str, Any]) -> list[str]:
        return planfile.other_rollout(approved, now, ["web1"])

    assert other(rollout(project)) == []
    assert other(rollout(project, pool="b")) == ["the play or the commands of web1"]
    assert other(rollout(project, PACED.replace("tell", "tell-all"))) == ["after of the play 'Site'"]
    assert other(rollout(project, PACED.replace("if-needed", "never"))) == ["reboot of the play 'Site'"]
    assert other(rollout(project, PACED.replace("serial: 1", "serial: 50%"))) == ["serial of the play 'Site'"]
    no_pace = "- {{name: Site, hosts: docker, spec: {{packages: []}}}}\n"
    assert other(rollout(project, no_pace)) == ["the play or the commands of web1"]
    project.write("playbooks/drain", "#!/bin/sh\nreboot\n")
    assert other(rollout(project)) == ["the file ./drain"]


def test_a_different_rollout_is_refused_before_a_host_is_touched(project: Project, plan: Path) -> None:
    approved = rollout(project)
    planfile.write(plan, planfile.text(planfile.PlanFile({}, SALT, approved, {"web1": {"changes": []}}, {}, LOGINS)))
    args = arguments(project, plan)
    found = selection.approved_plan(args)
    assert found is not None
    assert selection.approved_entries(args, found, project.load()) == {"web1": {"changes": []}}
    rollout(project, PACED.replace("sh, tell", "sh, -c, reboot"))
    with pytest.raises(UsageError, match=r"no host was touched: the rollout .* \(after of the play 'Site'\)"):
        selection.approved_entries(args, found, project.load())


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43
INVENTORY = """\
docker:
  hosts:
    web1:
      ansible_host: 192.0.2.1
      ansible_user: root
      provision_known_hosts: known
      ansible_ssh_args: -F ssh_config
"""


def bound(project: Project, args: argparse.Namespace) -> planfile.PlanFile:
    """A plan of the project as it is, written to the file that ``args`` names."""
    program.approve(None)
    found = project.load()
    ways = prepared(found)
    logins = {
        config.host.name: {
            "asked": destination.asked(config.host.login),
            "reached": destination.reached(ways.route(config.host.login)),
        }
        for config in found.configs
    }
    hosts: dict[str, Any] = {name: {"changes": []} for name in logins}
    rollout = planfile.rollout(found.configs, project.folder / "playbooks")
    planfile.write(args.plan, planfile.text(planfile.PlanFile({}, SALT, rollout, hosts, program.started(), logins)))
    return planfile.parse(args.plan, planfile.load(args.plan))


def prepared(found: Loaded) -> Transport:
    known_hosts.read.cache_clear()
    ways = Transport(Connecting())
    ways.prepare([config.host.login for config in found.configs])
    return ways


def applied(project: Project, args: argparse.Namespace) -> None:
    """What ``apply --plan`` checks before the first login."""
    plan = selection.approved_plan(args)
    assert plan is not None
    found = project.load()
    selection.approved_entries(args, plan, found)
    selection.same_places(args, plan, found, prepared(found))


@pytest.fixture
def bind(project: Project, plan: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[argparse.Namespace]:
    monkeypatch.chdir(project.folder)
    project.spec("packages: []")
    project.write("inventory/hosts.yml", INVENTORY)
    project.write("inventory/known", f"192.0.2.1 {HOST_KEY}\n")
    project.write("ssh_config", "Compression yes\n")
    args = arguments(project, plan)
    bound(project, args)
    yield args
    program.approve(None)


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("inventory/hosts.yml", "192.0.2.1", "192.0.2.2", "address: 192.0.2.1 -> 192.0.2.2"),
        ("inventory/hosts.yml", "ansible_user: root", "ansible_user: eve", "user: root -> eve"),
        ("inventory/hosts.yml", "ansible_user: root", "ansible_port: 2222", "port: none -> 2222"),
        ("inventory/hosts.yml", "root", "root\n      ansible_become: true", "become: none -> sudo root"),
        ("inventory/hosts.yml", "root", "root\n      provision_transport: openssh", "transport: ssh -> openssh"),
        ("inventory/hosts.yml", "-F ssh_config", "-o ProxyCommand=/x", "files of ssh words: ssh_config "),
        ("inventory/hosts.yml", "-F ssh_config", "-F ssh_config -J eve.example", "ssh words: "),
        ("ssh_config", "Compression yes", "ProxyCommand ./run %h", "files of ssh words: ssh_config "),
        ("ssh_config", "Compression yes", "Match exec ./run", "files of ssh words: ssh_config "),
        ("inventory/known", HOST_KEY, OTHER_KEY, "host keys: ssh-ed25519 SHA256:"),
        ("inventory/known", "\n", f"\n192.0.2.* {OTHER_KEY}\n", "host keys: ssh-ed25519 SHA256:"),
        ("inventory/known", "\n", f"\n@cert-authority * {OTHER_KEY}\n", "host keys: ssh-ed25519 SHA256:"),
    ],
)
def test_a_plan_binds_where_its_hosts_are(
    project: Project, bind: argparse.Namespace, file: str, old: str, new: str, named: str
) -> None:
    applied(project, bind)
    path = project.folder / file
    marker = project.folder / "ran"
    project.write("run", f"#!/bin/sh\ntouch {marker}\n").chmod(0o755)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UsageError, match=r"is not applied, and no host was touched") as refused:
        applied(project, bind)
    assert f"(web1: {named}" in str(refused.value)
    assert not marker.exists(), "ssh was not asked about a file that the plan does not have"


def test_a_plan_binds_the_files_of_ssh_that_the_inventory_does_not_name(
    project: Project, bind: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An included file, as ssh's own configuration of the account may be."""
    included = project.write("more", "")
    project.write("ssh_config", f"Include {included}\n")
    bound(project, bind)
    applied(project, bind)
    helper = project.write("run", "#!/bin/sh\nexec nc $1 22\n")
    included.write_text(f"ProxyCommand {helper} %h\n")
    with pytest.raises(UsageError, match=r"proxycommand: none -> .*/run %h"):
        applied(project, bind)
    bound(project, bind)
    applied(project, bind)
    helper.write_text("#!/bin/sh\nexec nc 203.0.113.1 22\n")
    with pytest.raises(UsageError, match="files of commands: "):
        applied(project, bind)
    included.write_text("HostKeyAlias other\n")
    with pytest.raises(UsageError, match="hostkeyalias: none -> other"):
        applied(project, bind)
    included.write_text("Host 192.0.2.1\n  ProxyJump eve.example\n")
    with pytest.raises(UsageError, match="jump host 1: host keys"):
        applied(project, bind)


def test_a_plan_binds_the_host_keys_that_ssh_itself_checks(project: Project, bind: argparse.Namespace) -> None:
    """``provision_transport: openssh``: ssh reads the files that its configuration names."""
    known = project.write("my hosts", f"192.0.2.1 {HOST_KEY}\n")
    for transport in ("ssh", "openssh"):
        hosts = INVENTORY.replace("provision_known_hosts", f"provision_transport: {transport}\n      unused")
        project.write("inventory/hosts.yml", hosts)
        name = f'"{known}"' if transport == "openssh" else project.write("hosts", known.read_text())
        project.write("ssh_config", f"UserKnownHostsFile {name}\nGlobalKnownHostsFile none\n")
        bound(project, bind)
        applied(project, bind)
        path = known if transport == "openssh" else project.folder / "hosts"
        path.write_text(f"192.0.2.1 {OTHER_KEY}\n")
        with pytest.raises(UsageError, match="host keys: ssh-ed25519 SHA256:"):
            applied(project, bind)


def test_fewer_host_keys_are_accepted_as_planned(project: Project, bind: argparse.Namespace) -> None:
    project.write("inventory/known", f"192.0.2.1 {HOST_KEY}\n192.0.2.1 {OTHER_KEY}\n")
    bound(project, bind)
    project.write("inventory/known", f"192.0.2.1 {OTHER_KEY}\n")
    applied(project, bind)
    # Without any key, --accept-new would accept every key.
    project.write("inventory/known", "")
    with pytest.raises(UsageError, match="host keys: "):
        applied(project, bind)


def test_a_program_of_the_inventory_runs_only_as_planned(project: Project, bind: argparse.Namespace) -> None:
    marker = project.folder / "ran"
    script = project.write("inventory/more", f"#!/bin/sh\ntouch {marker}\necho '{{}}'\n")
    script.chmod(0o755)
    with pytest.raises(UsageError, match=r"inventory/more is not in the approved plan; it was not run, and no host"):
        applied(project, bind)
    assert not marker.exists()
    assert list(bound(project, bind).programs) == ["inventory/more"]
    assert marker.exists()
    applied(project, bind)
    marker.unlink()
    script.write_text(script.read_text() + "# more\n")
    with pytest.raises(UsageError, match=r"inventory/more has changed since the plan was made; it was not run"):
        applied(project, bind)
    assert not marker.exists()
