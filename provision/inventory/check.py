"""Parts of an inventory that Ansible reads differently, or that provision does not support. Found in the files, and by
comparison with the installed ``ansible-inventory``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from provision.errors import Note, SpecError, UsageError
from provision.inventory import config, program, sources
from provision.inventory.hosts import Inventory
from provision.inventory.sources import Given
from provision.model import Login
from provision.secrets import secret
from provision.visible import json_text


def check(
    known: Inventory, given: Given | None, judge: Callable[[list[Login]], list[SpecError | None]]
) -> tuple[list[Note], str]:
    """Every difference, and the version of the Ansible that was compared; an empty text without one. ``judge`` returns
    for each login why ssh, or provision's transport, refuses it."""
    errors: dict[str, SpecError | None] = {}
    logins: dict[str, Login] = {}
    for host in known.tree.members("all"):
        # Read the variables here, because that adds their notes.
        known.variables.of(host)
        errors[host] = None
        try:
            logins[host] = known.host(host).login
        except SpecError as error:
            errors[host] = error
    errors |= zip(logins, judge(list(logins.values())), strict=True)
    refused: list[Note] = []
    for host, why in errors.items():
        if why is not None:
            message = f"{host}: {why.key}: {why.message}" if why.key else f"{host}: {why.message}"
            refused.append(Note(f"{message} (Ansible continues)", why.where))
    found = [*known.notes, *refused]
    command = shutil.which("ansible-inventory")
    if command is None:
        return found, ""
    words = [word for source in sources.given(given, config.read()) for word in ("-i", source)]
    ids = [word for id in known.reading.vault_ids for word in ("--vault-id", id)]
    try:
        data = json.loads(program.run([command, "--list", *words, *ids], "ansible-inventory")[0])
        version = program.run([command, "--version"], "ansible-inventory")[0].decode("utf-8", "replace")
    except (UsageError, ValueError) as error:
        return [*found, Note(f"Ansible does not read this inventory: {secret.mask(str(error))}")], "(it failed)"
    found += differences(known.listing(lambda host: dict(known.variables.of(host)[0])), data)
    return found, version.partition("\n")[0].partition("core ")[2].rstrip("]")


def differences(found: Mapping[str, Any], ansible: Mapping[str, Any]) -> Iterator[Note]:
    """Compare two listings, group by group and host by host. Values that either side has encrypted are not compared."""
    for name in dict.fromkeys((*found, *ansible)):
        if name == "_meta":
            continue
        for part in ("hosts", "children"):
            here, there = (list((listing.get(name) or {}).get(part, ())) for listing in (found, ansible))
            if here != there:
                order = " (in another order)" if sorted(here) == sorted(there) else ""
                yield Note(f"group {name}: {part} are {_text(here)} here and {_text(there)} to Ansible{order}")
    mine, other = found["_meta"]["hostvars"], ansible["_meta"]["hostvars"]
    for host in dict.fromkeys((*mine, *other)):
        here, there = mine.get(host, {}), other.get(host, {})
        for variable in dict.fromkeys((*here, *there)):
            if variable == "spec":  # provision refines it, Ansible replaces it
                continue
            left, right = (json.loads(json.dumps(one.get(variable), default=str)) for one in (here, there))
            if left == right or _hidden(left) or _hidden(right):
                continue
            if "pass" in variable:
                left, right = "********", "another value"
            yield Note(f"{host}: {variable} is {_text(left)} here and {_text(right)} to Ansible")


def _hidden(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "__ansible_vault" in value or any(map(_hidden, value.values()))
    return any(map(_hidden, value)) if isinstance(value, list) else isinstance(value, str) and secret.holds(value)


def _text(value: Any) -> str:
    return json_text(value)
