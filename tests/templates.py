"""Templates whose values are compared with those of ``ansible -m debug``.

``tests/data/templates.yml`` has the cases, ``templates_ansible.json`` the recorded values with the version of Ansible.
As a program, this module prints the comparison; with ``--record`` it first runs Ansible again::

    python -m tests.templates [--record]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, field

from provision.errors import ProvisionError
from provision.inventory import Inventory
from tests.inventories import BIN, DATA, version, within

RECORD = DATA / "templates_ansible.json"
_HOSTS = "[web]\nw1 x=5 ansible_host=192.0.2.1\nw2 x=6\n\n[web:vars]\nm={'n': [1]}\n\n[cases]\n"
#: What ``debug`` prints in the place of a value that has an undefined part.
_UNDEFINED = re.compile(r"VARIABLE IS NOT DEFINED!|<< error \d+ - ")
_RESULT = re.compile(r"^(case\d+) \| (SUCCESS|FAILED!?).*? => (\{.*\})$", re.MULTILINE)


class Group(Struct, frozen=True):
    """``refused``: templates that provision refuses and Ansible renders, with the reason. ``accepted``: those that
    Ansible refuses and provision renders."""

    name: str
    vars: str
    templates: list[Any]
    refused: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)


class Case(Struct, frozen=True):
    host: str
    group: Group
    template: Any

    @property
    def key(self) -> str:
        return f"{self.group.name}: {shown(self.template)}"

    @property
    def declared(self) -> str:
        """``refused`` or ``accepted`` where the case is declared so."""
        text = shown(self.template)
        return "refused" if text in self.group.refused else "accepted" if text in self.group.accepted else ""


class Value(Struct, frozen=True):
    """A rendered value as JSON text, or the error."""

    json: str | None
    error: str = ""


def shown(template: Any) -> str:
    return template if isinstance(template, str) else json.dumps(template)


def cases() -> list[Case]:
    groups = [Group(**one) for one in yaml.safe_load((DATA / "templates.yml").read_text())]
    pairs = [(group, template) for group in groups for template in group.templates]
    return [Case(f"case{at:04}", group, template) for at, (group, template) in enumerate(pairs)]


def recorded() -> dict[str, Any]:
    """By :attr:`Case.key`, each value as JSON text; None where Ansible reports an error."""
    found: dict[str, Any] = json.loads(RECORD.read_text())
    return found


def write(folder: Path, all_cases: list[Case]) -> None:
    """One inventory: a host for each case, whose variable ``value`` is the template."""
    (folder / "inv" / "host_vars").mkdir(parents=True)
    (folder / "inv" / "hosts.ini").write_text(_HOSTS + "".join(f"{case.host}\n" for case in all_cases))
    for case in all_cases:
        value = yaml.safe_dump({"value": case.template}, allow_unicode=True, width=1000)
        (folder / "inv" / "host_vars" / f"{case.host}.yml").write_text(f"{case.group.vars}\n{value}")


def read_here(folder: Path, all_cases: list[Case]) -> Iterator[tuple[Case, Value]]:
    with within(folder, {}):
        found = Inventory("inv")
        for case in all_cases:
            try:
                value = found.scope(case.host)[0]["value"]
                yield case, Value(_text(value))
            except ProvisionError as error:
                yield case, Value(None, str(error).replace(f"{folder}/", ""))


def _text(value: Any) -> str:
    plain = json.loads(json.dumps(value, default=date.isoformat))  # keys become text
    return json.dumps(plain, sort_keys=True, ensure_ascii=False)


def record() -> None:
    all_cases = cases()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), all_cases)
        with within(Path(folder), {"ANSIBLE_DEPRECATION_WARNINGS": "False"}):
            words = ["-i", "inv", "cases", "-m", "debug", "-a", "var=value", "-o"]
            done = subprocess.run([str(BIN / "ansible"), *words], capture_output=True, text=True, check=False)
    found: dict[str, str | None] = {}
    for host, result, text in _RESULT.findall(done.stdout):
        value = json.loads(text).get("value")
        failed = result != "SUCCESS" or _UNDEFINED.search(text) is not None
        found[host] = None if failed else _text(value)
    values = {case.key: found[case.host] for case in all_cases}
    text = json.dumps({"ansible-core": version(), "values": values}, indent=1, ensure_ascii=False)
    RECORD.write_text(text + "\n")


def verdict(here: Value, ansibles: str | None) -> str:
    """``same``, ``refused`` (here only), ``accepted`` (here only) or ``different``."""
    if here.json is None:
        return "same" if ansibles is None else "refused"
    return "accepted" if ansibles is None else "same" if here.json == ansibles else "different"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="run Ansible again")
    if parser.parse_args().record:
        record()
    said = recorded()["values"]
    count = dict.fromkeys(("same", "refused", "accepted", "different"), 0)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        all_cases = cases()
        write(Path(folder), all_cases)
        for case, here in read_here(Path(folder), all_cases):
            result = verdict(here, said[case.key])
            count[result] += 1
            if result != (case.declared or "same"):
                wrong += 1
                print(f"{result}: {case.key!r}\n  here    {here.json or here.error}\n  Ansible {said[case.key]}")
    print(f"{len(all_cases)} templates: {count}, {wrong} not as declared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
