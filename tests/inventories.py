"""Inventories and host patterns that are compared with Ansible's reading of them.

``tests/data/inventories.yml`` and ``inventory_patterns.yml`` have the cases. ``inventories_ansible.json`` has the
output of ``ansible-inventory --list`` and ``ansible --list-hosts``, with their version. As a program, this module
prints the comparison as a table; with ``--record`` it first runs Ansible again::

    python -m tests.inventories [--record]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, field

from provision.errors import ProvisionError
from provision.inventory import Inventory
from provision.inventory.sources import Reading
from provision.inventory.vault import Source, Vault
from provision.secrets import secret

DATA = Path(__file__).parent / "data"
RECORD = DATA / "inventories_ansible.json"
BIN = Path(sys.executable).parent


class Case(Struct, frozen=True):
    """``vault`` are ids with their passwords. ``differs`` is the reason why the two programs read the case
    differently."""

    name: str
    files: dict[str, str]
    sources: list[str] = field(default_factory=list)
    executable: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    vault: list[list[str]] = field(default_factory=list)
    differs: str = ""
    lenient: bool = False
    #: Ansible refuses the case too
    error: bool = False
    #: needs the program ansible-inventory
    program: bool = False

    def write(self, folder: Path) -> None:
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        for name in self.executable:
            (folder / name).chmod(0o755)
        for id, password in self.vault:
            (folder / f".vault-{id}").write_text(f"{password}\n")

    @property
    def ids(self) -> list[str]:
        return [f"{id}@.vault-{id}" for id, _ in self.vault]


def cases() -> list[Case]:
    return [Case(**case) for case in yaml.safe_load((DATA / "inventories.yml").read_text())]


def patterns() -> tuple[dict[str, str], list[str]]:
    """The files of one inventory, and patterns."""
    data = yaml.safe_load((DATA / "inventory_patterns.yml").read_text())
    return data["files"], data["patterns"]


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text())
    return found


@contextlib.contextmanager
def within(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A run of an Ansible program in a directory, with none of the operator's settings of Ansible."""
    kept, here = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        del os.environ[name]
    os.environ.update({"HOME": str(folder / ".home"), "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", **environment})
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(kept)


def read_here(case: Case, folder: Path) -> dict[str, Any]:
    """provision's result, with the values of secrets."""
    with within(folder, case.environment):
        secret.open_vaults_with(Vault([Source(id, f".vault-{id}") for id, _ in case.vault]).open)
        found = Inventory(case.sources or None, reading=Reading(lenient=case.lenient, vault_ids=tuple(case.ids)))

        def variables(host: str) -> dict[str, Any]:
            values, spec = found.variables.of(host)
            return secret.each({**values, **({"spec": spec} if spec else {})}, secret.reveal)  # type: ignore[no-any-return]

        return json.loads(json.dumps(found.listing(variables), default=str))  # type: ignore[no-any-return]


def ansibles(case: Case, folder: Path) -> dict[str, Any] | None:
    """Ansible's result; None where it ends with an error."""
    words = [word for source in case.sources for word in ("-i", source)]
    words += [word for id in case.ids for word in ("--vault-id", id)]
    with within(folder, case.environment):
        command = [str(BIN / "ansible-inventory"), "--list", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    found: dict[str, Any] = _opened(json.loads(done.stdout), case)
    found["_meta"].pop("profile", None)
    return found


def _opened(value: Any, case: Case) -> Any:
    """Encrypted values decrypted by Ansible's own code."""
    if isinstance(value, dict) and list(value) == ["__ansible_vault"]:
        from ansible.parsing.vault import VaultLib, VaultSecret  # type: ignore[import-untyped]

        known = VaultLib([(id, VaultSecret(password.encode())) for id, password in case.vault])
        return known.decrypt(value["__ansible_vault"]).decode()
    if isinstance(value, dict) and list(value) == ["__ansible_unsafe"]:
        return value["__ansible_unsafe"]
    if isinstance(value, dict):
        return {name: _opened(one, case) for name, one in value.items()}
    return [_opened(one, case) for one in value] if isinstance(value, list) else value


def hosts_here(folder: Path, pattern: str) -> list[str] | None:
    with within(folder, {}):
        try:
            return Inventory("inv").select(pattern)
        except ProvisionError:
            return None


def ansibles_hosts(folder: Path, pattern: str) -> list[str] | None:
    """The hosts of a pattern in their order. None where Ansible refuses the pattern, or warns that it names no host."""
    with within(folder, {}):
        done = subprocess.run(
            [str(BIN / "ansible"), "-i", "inv", "--list-hosts", "--", pattern],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0 or "Could not match" in done.stderr:
        return None
    return [line.strip() for line in done.stdout.splitlines()[1:]]


def version() -> str:
    done = subprocess.run([str(BIN / "ansible"), "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"core ([\d.]+)", done.stdout)
    return match[1] if match else "unknown"


def record() -> None:
    found: dict[str, Any] = {"ansible-core": version(), "inventories": {}, "patterns": {}}
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            case.write(Path(folder))
            found["inventories"][case.name] = ansibles(case, Path(folder))
    files, known = patterns()
    with tempfile.TemporaryDirectory() as folder:
        Case("patterns", files).write(Path(folder))
        for pattern in known:
            found["patterns"][pattern] = ansibles_hosts(Path(folder), pattern)
    RECORD.write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def verdict(case: Case, said: dict[str, Any] | None) -> tuple[str, str]:
    """``same``, ``differs`` or ``error``, and the error's text."""
    with tempfile.TemporaryDirectory() as folder:
        case.write(Path(folder))
        try:
            found = read_here(case, Path(folder))
        except ProvisionError as error:
            return "error", str(error).replace(f"{folder}/", "")
    return ("same" if found == said else "differs"), ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="ask Ansible again")
    if parser.parse_args().record:
        record()
    said = recorded()
    print(f"| inventory | like Ansible {said['ansible-core']} |\n| --- | --- |")
    wrong = 0
    for case in cases():
        result, message = verdict(case, said["inventories"][case.name])
        alike = result == "same" or (case.error and result == "error" and said["inventories"][case.name] is None)
        wrong += alike != (not case.differs or case.lenient or case.error)
        shown = "same" if alike else f"{result} {message}"
        print(f"| {case.name} | {shown}{f' ({case.differs})' if case.differs else ''} |")
    files, known = patterns()
    with tempfile.TemporaryDirectory() as folder:
        Case("patterns", files).write(Path(folder))
        for pattern in known:
            found_here, found_there = hosts_here(Path(folder), pattern), said["patterns"][pattern]
            # Both find no host: an error in provision, a warning in Ansible.
            alike = (found_here or []) == (found_there or [])
            wrong += not alike
            shown = "same" if alike else f"DIFFERS: {found_here} and not {found_there}"
            print(f"| `{pattern}` | {shown}{' (an error here, no host there)' if found_here is None else ''} |")
    print(f"\n{len(cases())} inventories, {len(known)} patterns, {wrong} not as declared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
