"""Write an archive for a report of a fault: versions, the controller's checks, the project and its last runs, without
secrets. Read what is in it before you send it."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from provision import __version__
from provision.commands import options
from provision.errors import ProvisionError, UsageError
from provision.visible import line, show, told

if TYPE_CHECKING:
    from provision.secrets.redaction import Redactor

#: Variables of the environment: with their values, and only whether they are set.
_SHOWN = ("LANG", "LC_ALL", "LC_CTYPE", "TERM", "NO_COLOR", "PYTHONUTF8", "ANSIBLE_CONFIG", "ANSIBLE_INVENTORY")
_SET = ("SSH_AUTH_SOCK", "PROVISION_IDENTITY", "PROVISION_WEBHOOK", "ANSIBLE_VAULT_PASSWORD_FILE", "HTTPS_PROXY")
_YAML, _TEXT = (".yml", ".yaml"), (".ini", ".cfg", ".j2")
#: Names of files and directories that may be secrets as a whole.
_PRIVATE = re.compile(r"secret|vault|passw|credential|^id_|\.(key|pem|age|p12|pfx)\b", re.IGNORECASE)
#: Keys of playbooks, inventories and compose files whose values are no secrets.
_PROJECT = (
    *("hosts", "name", "spec", "serial", "children", "vars"),
    *("services", "ports", "depends_on", "restart", "networks", "volumes", "expose", "profiles", "version"),
    *("ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_python_interpreter"),
    *("ansible_become", "ansible_become_method", "ansible_become_user"),
    *("provision_transport", "provision_known_hosts"),
)
#: Keys of a spec whose values are free text.
_FREE = frozenset(
    [
        *("command", "entrypoint", "environment", "labels", "content", "test", "options", "args"),
        *("comment", "header", "key", "before", "after"),
    ]
)
_LARGEST = 1024 * 1024
_RUNS = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    options.selection(parser)
    options.group(parser, "output").add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: provision-support-TIME.tar.gz"
    )


def run(args: argparse.Namespace) -> int:
    path = args.output or Path(f"provision-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    files, left = collected(args)
    try:
        # Only the owner can read it. It never replaces a file, and is never written through a link.
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _write(file, files)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {told(error)}") from error
    show("".join(f"{len(text.encode()):9}  {line(name)}\n" for name, text in files.items()))
    show("".join(f"left out   {line(name)}: {line(why)}\n" for name, why in left.items()))
    show(f"{line(str(path))}: secrets are masked; read it before you send it\n")
    return 0


def _write(file: io.BufferedWriter, files: dict[str, str]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(f"provision-support/{name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
            archive.addfile(member, io.BytesIO(data))


def collected(args: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """The files of the bundle, and those that were left out with the reason."""
    from provision.commands.controller import checks
    from provision.secrets import secret
    from provision.secrets.redaction import Redactor
    from provision.spec import Spec
    from provision.spec.secrets import takers

    args.private_key = None
    found = [str(one) for one in checks(args)]
    try:
        # Values that were read are masked in every form.
        secret.resolve()
    except ProvisionError as error:
        found.append(f"warning  secrets: {error}")
    fields = {part for path in takers(Spec) for part in path.split(".")[-2:] if part != "*"} - {"*"}
    redactor = Redactor(fields, _known())
    left: dict[str, str] = {}
    # The first reading finds the values to mask in all files.
    for path in _project(args):
        _masked(redactor, path, left)
    left.clear()
    files = {
        "versions.json": _json({"provision": __version__, "python": platform.python_version(), "os": _system()}),
        "environment.json": _json(
            {name: redactor.text(os.environ[name]) for name in _SHOWN if name in os.environ}
            | {name: "set" for name in _SET if name in os.environ}
        ),
        "controller.txt": redactor.text("".join(f"{line(one)}\n" for one in found)),
    }
    secrets = {Path(name).name for name in redactor.files}
    for path in _project(args):
        if path.name in secrets:
            left[str(path)] = "a file of !secret"
        elif (text := _masked(redactor, path, left)) is not None:
            files[f"project/{_name(path)}"] = text
    return files | dict(_runs(args.playbook, redactor, left)), left


def _known() -> set[str]:
    """The keys whose values are known to hold no secret: those of a spec, of daemon.json, and of what a project
    consists of besides. A key with free text is none of them."""
    from provision.engine.keys import keys
    from provision.spec import Spec

    schema = Spec.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    return {*keys(), *(name for one in models for name in one.get("properties", {})), *_PROJECT} - _FREE


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _system() -> str:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _name(path: Path) -> str:
    return "/".join(part for part in path.parts if part not in ("/", ".", ".."))


def _project(args: argparse.Namespace) -> Iterator[Path]:
    """The files of the inventory, the playbook and its templates, each once. No links and no hidden files."""
    sources = [Path(one) for one in args.inventory or ["inventory"] if "," not in one]
    found: dict[Path, None] = {}
    for root in (args.playbook.parent, *sources, Path("templates"), Path("ansible.cfg")):
        if root.is_file():
            found[root] = None
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(one for one in folders if one[0] != ".")
            found |= {Path(folder) / one: None for one in sorted(names) if one[0] != "."}
    yield from (path for path in found if path.is_file() and not path.is_symlink())


def _masked(redactor: Redactor, path: Path, left: dict[str, str]) -> str | None:
    import yaml

    if any(_PRIVATE.search(part) for part in path.parts):
        left[str(path)] = "its name says that it may be secret"
        return None
    known = path.suffix in (*_YAML, *_TEXT, ".json") or path.name == "hosts"
    try:
        if not known or path.stat().st_size > _LARGEST or os.access(path, os.X_OK):
            left[str(path)] = "a program, too large, or of another format"
            return None
        text = path.read_text(encoding="utf-8")
        if path.suffix in _YAML:
            return redactor.text(redactor.yaml(text))
        return redactor.json(text) if path.suffix == ".json" else redactor.lines(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        left[str(path)] = "it can't be parsed, so a secret in it could not be found"
    except OSError as error:
        left[str(path)] = told(error)
    return None


def _runs(playbook: Path, redactor: Redactor, left: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The journals of the last runs, masked once more. Adds to ``left`` the damaged ones, and why."""
    from provision.errors import UsageError
    from provision.report.journal import read, recorded

    for path in recorded(playbook)[-_RUNS:]:
        try:
            one = read(path)
        except (UsageError, OSError) as error:
            left[str(path)] = str(error)
            continue
        yield f"runs/{one.name}/run.json", _json(redactor.data(one.head))
        yield f"runs/{one.name}/events.jsonl", "".join(f"{json.dumps(redactor.data(event))}\n" for event in one.events)
