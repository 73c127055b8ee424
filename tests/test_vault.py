"""Ansible Vault: whole files and single values, decrypted when they are used, by passwords that no other program sees.

The encrypted texts are of ansible-core's own code (tests/data/inventories.yml); here they are made with cryptography
alone, so that damaged ones can be made too.
"""

from __future__ import annotations

import binascii
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from provision.errors import ProvisionError, SpecError, UsageError, Where
from provision.inventory import Inventory
from provision.inventory.config import Config
from provision.inventory.sources import Reading
from provision.inventory.vault import Source, Vault, sources
from provision.secrets import secret
from provision.text.yamlfile import load
from tests.conftest import Project

PASSWORD = "correct horse"
HUSH = "hush-9d2f-hush"
HERE = Where(Path("hosts.yml"), 3)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secret, "_KNOWN", {})
    monkeypatch.setattr(secret, "_OPENER", [])
    monkeypatch.setattr(secret, "_USED", set())
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def encrypted(text: str, password: str = PASSWORD, id: str = "") -> str:
    salt = b"0123456789abcdef0123456789abcdef"
    keys = PBKDF2HMAC(hashes.SHA256(), 80, salt, 10_000).derive(password.encode())
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(keys[:32]), modes.CTR(keys[64:])).encryptor()
    data = encryptor.update(padder.update(text.encode()) + padder.finalize()) + encryptor.finalize()
    keyed = hmac.HMAC(keys[32:64], hashes.SHA256())
    keyed.update(data)
    inner = b"\n".join(map(binascii.hexlify, (salt, keyed.finalize(), data)))
    body = binascii.hexlify(inner).decode()
    head = f"$ANSIBLE_VAULT;1.2;AES256;{id}" if id else "$ANSIBLE_VAULT;1.1;AES256"
    return "\n".join([head, *(body[at : at + 80] for at in range(0, len(body), 80))]) + "\n"


def inline(text: str, indent: int, **how: str) -> str:
    return "!vault |\n" + "".join(f"{' ' * indent}{line}\n" for line in encrypted(text, **how).split("\n")[:-1])


def passwords(tmp_path: Path, *given: str) -> list[Source]:
    found = []
    for number, password in enumerate(given):
        path = tmp_path / f"password-{number}"
        path.write_text(f"{password}\n")
        found.append(Source("default", str(path)))
    return found


def test_a_value_is_decrypted_when_it_is_used_and_not_before(project: Project, tmp_path: Path) -> None:
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1:\n      unused: {inline('no', 8)}")
    project.spec("hostname: web1")
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return PASSWORD

    vault = Vault([Source("default", "prompt")], ask=ask)
    secret.open_vaults_with(vault.open)
    project.load()
    secret.resolve()
    assert asked == [], "a value that is never used needs no password"
    project.spec("files: {/etc/x: {content: '{{ unused }}', mode: '0600'}}")
    (configured,) = project.load().configs
    content = str(configured.spec.files["/etc/x"].content)
    assert "no" not in content.replace("unused", "")
    assert secret.hidden(content)
    secret.resolve()
    assert asked == ["Vault password (default): "]
    assert secret.reveal(content) == "no"


@pytest.mark.parametrize(("typed", "code"), [(f"{PASSWORD}\n", 0), ("wrong\n", 1), ("", 1)])
def test_without_a_terminal_the_password_is_read_from_standard_input(project: Project, typed: str, code: int) -> None:
    project.write("inventory/group_vars/all.yml", encrypted("v: x\n"))
    argv = [sys.executable, "-m", "provision", "inventory", "--host", "web1", "-J"]
    done = subprocess.run(
        argv, cwd=project.folder, input=typed, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert done.returncode == code, done.stderr
    assert "Warning" not in done.stderr
    assert "getpass" not in done.stderr
    if not typed:
        assert done.stderr == "provision: the vault password was not given\n"


def test_a_used_value_without_a_password_is_an_error_before_a_host_is_touched(project: Project) -> None:
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1:\n      used: {inline('x', 8)}")
    project.spec("files: {/etc/x: {content: '{{ used }}', mode: '0600'}}")
    secret.open_vaults_with(Vault([]).open)
    project.load()
    with pytest.raises(SpecError) as caught:
        secret.resolve()
    assert "hosts.yml:4: encrypted by Ansible Vault, and there is no vault password" in str(caught.value)
    assert "--vault-password-file" in str(caught.value)


def test_a_vaulted_password_logs_in_and_is_not_shown(project: Project, tmp_path: Path) -> None:
    project.write(
        "inventory/hosts.yml",
        "docker:\n  hosts:\n    web1:\n      ansible_become_password: '{{ pw }}'\n      pw: " + inline(HUSH, 8),
    )
    secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
    inventory = project.inventory()
    login = inventory.host("web1").login
    assert login.become_password == HUSH
    assert HUSH not in repr(login)
    assert HUSH not in json.dumps(inventory.listing())
    assert secret.mask(f"sudo said {HUSH}") != f"sudo said {HUSH}"


def test_all_values_of_an_encrypted_file_are_secrets_except_addresses(project: Project, tmp_path: Path) -> None:
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: }}\nother: {hosts: {web2: }}\n")
    text = f"ansible_port: 2222\nansible_user: ops\ntoken: {HUSH}\npin: 0815\nnested: {{list: [{HUSH}]}}\nflag: true\n"
    project.write("inventory/group_vars/docker.yml", encrypted(text))
    with pytest.raises(SpecError, match="no vault password"):
        project.inventory().scope("web1")
    project.inventory().scope("web2")  # a host without encrypted values needs no password
    secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
    inventory = project.inventory()
    scope, _ = inventory.scope("web1")
    login = inventory.host("web1").login
    assert (login.port, login.user) == (2222, "ops")
    assert scope["flag"] is True
    for value, plain in ((scope["token"], HUSH), (scope["pin"], "0815"), (scope["nested"]["list"][0], HUSH)):
        assert secret.hidden(value)
        assert secret.reveal(value) == plain
    assert HUSH not in json.dumps(inventory.listing())


def test_of_two_values_with_one_key_the_last_counts(project: Project, tmp_path: Path) -> None:
    path = project.write("hosts.ini", encrypted("[docker]\nweb1 token=first-value token=last-value\n"))
    secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
    assert secret.reveal(Inventory(path).variables.of("web1")[0]["token"]) == "last-value"


def test_numbers_in_an_encrypted_ini_file_are_secrets(project: Project, tmp_path: Path) -> None:
    path = project.write("hosts.ini", encrypted("[docker]\nweb1 pin=4711 ansible_port=2222 l=[1]\n"))
    secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
    values = Inventory(path).variables.of("web1")[0]
    assert values["ansible_port"] == 2222
    assert [secret.hidden(str(value)) for value in (values["pin"], values["l"][0])] == [True, True]
    assert secret.reveal(values["pin"]) == "4711"


def test_the_reference_to_a_value_in_an_encrypted_file_reveals_nothing(project: Project, tmp_path: Path) -> None:
    """The reference comes from the place of the value, so a host that reads it can't test short values."""
    found = []
    for value in ("1111", "2222"):
        project.write("inventory/group_vars/docker.yml", encrypted(f"pin: {value}\n"))
        secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
        found.append(secret.stable(project.inventory().scope("web1")[0]["pin"]))
        secret._KNOWN.clear()
    assert found[0] == found[1]


def test_an_encrypted_address_is_refused(project: Project, tmp_path: Path) -> None:
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1:\n      ansible_host: {inline('192.0.2.1', 8)}")
    with pytest.raises(SpecError, match=r"ansible_host: does not accept a secret.*do not encrypt it"):
        project.inventory().host("web1")


def test_the_named_id_is_tried_first_and_then_the_others() -> None:
    asked: list[str] = []
    known = {"Vault password (dev): ": "for dev", "Vault password (prod): ": "for prod"}

    def ask(question: str) -> str:
        asked.append(question)
        return known[question]

    places = [Source("dev", "prompt"), Source("prod", "prompt")]
    assert Vault(places, ask=ask).open(encrypted("x", "for prod", "prod"), HERE) == "x"
    assert asked == ["Vault password (prod): "]
    assert Vault(places, ask=ask).open(encrypted("y", "for prod", "dev"), HERE) == "y"
    with pytest.raises(SpecError, match=r"no vault password decrypts this value \(vault id dev; tried: dev\)"):
        Vault(places, ask=ask, strict_ids=True).open(encrypted("y", "for prod", "dev"), HERE)


def test_a_wrong_password_and_damage_are_errors_without_the_value() -> None:
    vault = Vault([Source("default", "prompt")], ask=lambda _: "wrong")
    with pytest.raises(SpecError, match="no vault password decrypts"):
        vault.open(encrypted(HUSH), HERE)
    right = Vault([Source("default", "prompt")], ask=lambda _: PASSWORD)
    text = encrypted(HUSH)
    head, body = text.split("\n", 1)
    # The last digits belong to the ciphertext: a change must fail the check, and must not give another text.
    changed = body.rstrip("\n")[:-2] + ("30" if not body.rstrip("\n").endswith("30") else "31")
    for damaged in (f"{head}\n{changed}\n", f"{head}\nzz\n", f"{head}\n", head):
        with pytest.raises(SpecError) as caught:
            right.open(damaged, HERE)
        assert HUSH not in str(caught.value)
    with pytest.raises(SpecError, match=r"unknown format: 1.0;AES"):
        right.open(text.replace("1.1;AES256", "1.0;AES"), HERE)


def test_the_check_covers_the_ciphertext() -> None:
    """A change of any byte fails the check."""
    right = Vault([Source("default", "prompt")], ask=lambda _: PASSWORD)
    inner = binascii.unhexlify("".join(encrypted(HUSH).split("\n")[1:]))
    salt, check, data = inner.split(b"\n")
    for at in range(0, len(data), 8):
        flipped = data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :]
        body = binascii.hexlify(b"\n".join((salt, check, flipped))).decode()
        with pytest.raises(SpecError, match="no vault password decrypts"):
            right.open(f"$ANSIBLE_VAULT;1.1;AES256\n{body}\n", HERE)


def test_a_template_in_an_encrypted_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text(f"a: {inline('{{ other }}', 2)}")
    secret.open_vaults_with(Vault(passwords(tmp_path, PASSWORD)).open)
    with pytest.raises(SpecError, match=r"x.yml:1: a: the decrypted value holds a template"):
        secret.reveal(load(path)["a"])


def test_invalid_vault_text_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("a: 1\nb: !vault plain\n")
    with pytest.raises(SpecError, match=r"x.yml:2: b: a !vault value begins with \$ANSIBLE_VAULT;"):
        load(path)


@pytest.mark.parametrize("name", ["say", "say-client.py"])
def test_a_password_program_returns_the_password(name: str, tmp_path: Path) -> None:
    """Run a script as Ansible does: a script whose name ends in -client gets the vault id."""
    program = tmp_path / name
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nprintf "%s\\r\\n" "{PASSWORD}"\n')
    program.chmod(0o755)
    vault = Vault([Source("prod", str(program))])
    assert vault.open(encrypted("x"), HERE) == "x"
    assert vault.open(encrypted("y"), HERE) == "y"
    assert (tmp_path / "words").read_text() == ("--vault-id prod\n" if "client" in name else "\n")
    with pytest.raises(UsageError, match="is a program"):
        Vault([Source("prod", str(program))], programs=False).open(encrypted("x"), HERE)
    program.write_text("#!/bin/sh\necho no key >&2\nexit 2\n")
    with pytest.raises(UsageError, match="failed with exit code 2: no key"):
        Vault([Source("prod", str(program))]).open(encrypted("x"), HERE)


def test_an_encrypted_password_file_is_decrypted(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("outer\n")
    second.write_text(encrypted(f"{PASSWORD}\n", "outer"))
    vault = Vault([Source("a", str(first)), Source("b", str(second))])
    assert vault.open(encrypted("x", id="b"), HERE) == "x"


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_password_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty").write_text(text)
    with pytest.raises(UsageError, match="is empty"):
        Vault([Source("default", str(tmp_path / "empty"))]).open(encrypted("x"), HERE)
    with pytest.raises(UsageError, match="no vault password file"):
        Vault([Source("default", str(tmp_path / "none"))]).open(encrypted("x"), HERE)


def test_password_sources_are_read_in_ansibles_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(
        tmp_path / "ansible.cfg",
        {
            ("defaults", "vault_identity_list"): "dev@dev.txt, prod@prompt",
            ("defaults", "vault_password_file"): "all.txt",
        },
    )
    found = sources(config, ["cli@x", "only"], ["file"], ask=True)
    assert [f"{one.id}@{one.place}" for one in found] == [
        f"dev@{tmp_path}/dev.txt",
        "prod@prompt",
        "cli@x",
        "default@only",
        "default@file",
        f"default@{tmp_path}/all.txt",
        "default@prompt_ask_vault_pass",
    ]
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "environment.txt")
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "e@e.txt")
    here = Path.cwd()
    assert [one.word for one in sources(config)] == [f"e@{here}/e.txt", f"default@{here}/environment.txt"]
    monkeypatch.setenv("ANSIBLE_ASK_VAULT_PASS", "true")
    assert [one.word for one in sources(Config())][-1] == f"default@{here}/environment.txt", (
        "the operator is asked only when there is no other source"
    )
    with pytest.raises(UsageError, match="ID@FILE"):
        sources(Config(), ["dev@"])


def test_no_program_receives_the_password(project: Project, tmp_path: Path) -> None:
    """Neither an argument nor the environment has the password: of an inventory script, and of the program that prints
    it."""
    shown = tmp_path / "shown"
    dump = f'tr "\\0" "\\n" < /proc/$$/cmdline >> {shown}\nenv >> {shown}\n'
    script = project.write(
        "inventory/zz.sh",
        f'#!/bin/sh\n{dump}echo \'{{"docker": {{"hosts": ["web2"]}}, "_meta": {{"hostvars": {{}}}}}}\'\n',
    )
    script.chmod(0o755)
    project.write("inventory/group_vars/docker.yml", encrypted(f"pw: {HUSH}\n"))
    password = project.write("password", f"#!/bin/sh\n{dump}echo '{PASSWORD}'\n")
    password.chmod(0o755)
    argv = [sys.executable, "-m", "provision", "inventory", "--list", "--vault-password-file", str(password)]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert HUSH not in done.stdout + done.stderr
    listing = json.loads(done.stdout)
    assert listing["docker"]["hosts"] == ["web1", "web2"]
    seen = shown.read_text()
    assert "zz.sh" in seen
    assert "--list" in seen
    assert PASSWORD not in seen
    assert HUSH not in seen


def test_lint_decrypts_no_login_and_runs_no_password_program(project: Project) -> None:
    project.write("inventory/hosts.yml", f"docker:\n  hosts:\n    web1:\n      ansible_password: {inline(HUSH, 8)}")
    project.spec("hostname: web1")
    argv = [sys.executable, "-m", "provision", "lint"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert secret.hidden(str(project.inventory(reading=Reading(programs=False)).host("web1").login.password))


def test_extra_variables_are_read_from_an_encrypted_file(project: Project, tmp_path: Path) -> None:
    project.write("secrets.yml", encrypted(f"pw: {HUSH}\n"))
    project.write("inventory/hosts.yml", "docker: {hosts: {web1: {ansible_become_password: '{{ pw }}'}}}\n")
    (tmp_path / "password").write_text(PASSWORD)
    argv = [sys.executable, "-m", "provision", "inventory", "--host", "web1", "-e", "@secrets.yml"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "secrets.yml:1: encrypted by Ansible Vault" in done.stderr
    argv += ["--vault-id", f"any@{tmp_path}/password"]
    done = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, HUSH in done.stdout) == (0, False), done.stderr


def test_unreadable_password_sources_are_errors_with_a_message(tmp_path: Path) -> None:
    """A directory as a password file, and an unreadable program."""
    with pytest.raises(ProvisionError, match="is a directory"):
        Vault([Source("default", str(tmp_path))]).open(encrypted("x"), HERE)
    program = tmp_path / "broken"
    program.write_text("#!/nonexistent/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(ProvisionError, match="can't be run"):
        Vault([Source("default", str(program))]).open(encrypted("x"), HERE)
