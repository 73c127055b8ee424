"""Checks of the controller itself (``provision doctor --controller``): what a run needs on this machine. They connect
to no host."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from provision import __version__
from provision.errors import ProvisionError
from provision.lines import lines_of
from provision.visible import line, show, told

_DISTRIBUTION = "provision-hosts"
#: Seconds for ssh to print its version or its configuration.
_PATIENCE = 60
_MIB = 1024 * 1024
#: Free bytes below which a journal may not fit, and below which the disk will soon be full.
_TOO_LITTLE, _LITTLE = 20 * _MIB, 500 * _MIB


class Check(Struct, frozen=True):
    """``problem``: it prevents a run; ``warning``: it works, but has a drawback. ``advice`` says what to do."""

    subject: str
    level: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.level:7}  {self.subject}: {self.text}" + (f" ({self.advice})" if self.advice else "")


def report(args: argparse.Namespace) -> int:
    """Print all checks; the exit code is 1 for a problem."""
    from provision.model import Event
    from provision.report.jsonlines import JsonLines
    from provision.report.shown import shown

    found = []
    for one in checks(args):
        found.append(one)
        if args.json:
            event = Event(
                "controller.check",
                data={"subject": one.subject, "level": one.level, "text": one.text, "advice": one.advice},
            )
            JsonLines()(shown(event))
        else:
            show(f"{line(str(one))}\n")
    return 1 if any(one.level == "problem" for one in found) else 0


def checks(args: argparse.Namespace) -> Iterator[Check]:
    from provision.transport import ssh_config

    yield python()
    yield packages()
    program = shutil.which("ssh")
    yield from ssh(program)
    said = _output([program, "-G", "--", "localhost"]) if program is not None else None
    settings = ssh_config.parsed(said.stdout) if said is not None and said.returncode == 0 else {}
    folder = ssh_config.user_file().parent
    files = settings.get("identityfile") or tuple(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519"))
    paths = [args.private_key] if args.private_key is not None else [ssh_config.expanded(name) for name in files]
    socket = os.environ.get("SSH_AUTH_SOCK", "")
    yield keys(paths)
    yield agent(socket)
    yield known_hosts([folder / "known_hosts", Path("/etc/ssh/ssh_known_hosts")])
    yield from project(args)
    yield disk(args.playbook.parent)
    yield output(sys.stdout.encoding, sys.stdout.isatty(), os.environ.get("TERM", ""))


def python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{found} ({sys.executable}), provision {__version__}")


def packages() -> Check:
    """The packages that provision depends on, with the versions that it permits."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(text) for text in importlib.metadata.requires(_DISTRIBUTION) or []]
    except importlib.metadata.PackageNotFoundError:
        advice = "install the wheel or the checkout by its path: pipx install ./NAME"
        return Check("packages", "warning", f"{_DISTRIBUTION} is not installed as a package", advice)
    versions: dict[str, str] = {}
    wrong = []
    for one in needed:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            versions[one.name] = importlib.metadata.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(versions[one.name], prereleases=True):
            wrong.append(f"{one.name} {versions[one.name]} is not {one.specifier}")
    if wrong:
        return Check("packages", "problem", "; ".join(wrong), "install provision again, in a separate environment")
    return Check("packages", "ok", ", ".join(f"{name} {number}" for name, number in versions.items()))


def ssh(program: str | None) -> Iterator[Check]:
    if program is None:
        text = "no ssh program: ssh_config is not read, and OpenSSH's defaults are used"
        yield Check("ssh", "warning", text, "install OpenSSH's client")
        return
    version = _output([program, "-V"])
    if version is None or version.returncode != 0:
        yield Check("ssh", "problem", f"{program} -V failed", "install OpenSSH's client again")
        return
    yield Check("ssh", "ok", f"{(version.stderr or version.stdout).strip()} ({program})")
    said = _output([program, "-G", "--", "localhost"])
    if said is None or said.returncode != 0:
        why = "; ".join(lines_of(said.stderr.strip())) if said is not None else f"no answer within {_PATIENCE} s"
        yield Check("ssh_config", "problem", f"ssh -G failed: {why}", "correct ssh's configuration")
    else:
        yield Check("ssh_config", "ok", "ssh -G resolves it")


def _output(argv: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603 - no shell
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def keys(paths: Iterable[Path]) -> Check:
    """The private keys that a login may use: whether they exist, and which accounts can read them."""
    found, faults = [], []
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            with open(path, "rb"):
                found.append(str(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            faults.append(f"{told(error)}")
            continue
        if mode & 0o077:
            faults.append(f"{path} has the mode {mode:04o}, and ssh refuses a key that others may read")
    if faults:
        return Check("keys", "warning", "; ".join(faults), "chmod 600, and the owner is you")
    if not found:
        return Check("keys", "warning", "no private key", "ssh-keygen -t ed25519, or name one with --private-key")
    return Check("keys", "ok", ", ".join(found))


def agent(socket: str) -> Check:
    from provision.transport.private_keys import Agent

    if not socket:
        return Check("agent", "ok", "none (SSH_AUTH_SOCK is not set); keys without a passphrase need none")
    one = Agent(socket)
    try:
        held = len(one.get_keys())
    finally:
        one.close()
    if not held:
        text = f"{socket} has no key, or does not answer"
        return Check("agent", "warning", text, "ssh-add adds a key; unset SSH_AUTH_SOCK where there is no agent")
    return Check("agent", "ok", f"{socket} has {held} key{'s' if held > 1 else ''}")


def known_hosts(paths: Iterable[Path]) -> Check:
    found = []
    for path in paths:
        try:
            lines = lines_of(path.read_text(errors="replace"))
        except FileNotFoundError:
            continue
        except OSError as error:
            return Check("known_hosts", "problem", told(error), "make it readable for you")
        count = sum(bool(one.strip()) and not one.startswith("#") for one in lines)
        found.append(f"{path} has {count} line{'' if count == 1 else 's'}")
    if not found:
        text = "no file: no host's key is known"
        return Check("known_hosts", "warning", text, "--accept-new stores the key of a new host")
    return Check("known_hosts", "ok", ", ".join(found))


def project(args: argparse.Namespace) -> Iterator[Check]:
    """Inventory and playbook as a run reads them, and what lint finds in them."""
    from provision.catalog import Options
    from provision.commands import running
    from provision.lint.project import lint
    from provision.secrets.disclosure import new_salt

    try:
        found = running.loaded(args, Options(salt=new_salt()), foresees=True)
        findings = lint(found.configs, found.context)
    except (ProvisionError, OSError) as error:
        text = told(error) if isinstance(error, OSError) else str(error)
        yield Check("project", "problem", text, "correct it; provision lint checks it again")
        return
    count = len(found.configs)
    yield Check("project", "ok", f"{args.playbook}: {count} host{'' if count == 1 else 's'}")
    errors = sum(one.level == "error" for one in findings)
    text = f"{errors} errors, {len(findings) - errors} warnings"
    if findings:
        yield Check("lint", "problem" if errors else "warning", text, "provision lint shows them")
    else:
        yield Check("lint", "ok", text)


def disk(folder: Path) -> Check:
    """The space for the journal of runs, in the playbook's directory."""
    journal = folder.absolute() / ".provision" / "runs"
    place = next(one for one in (journal, *journal.parents) if one.is_dir())
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("journal", "problem", f"{place} is not writable", "make the directory of the playbook writable")
    free = shutil.disk_usage(place).free
    text = f"{free // _MIB} MiB free in {place}"
    if free < _LITTLE:
        return Check("journal", "problem" if free < _TOO_LITTLE else "warning", text, "free space")
    return Check("journal", "ok", text)


def output(encoding: str, terminal: bool, kind: str) -> Check:
    what = f"a terminal ({kind or 'TERM is not set'})" if terminal else "no terminal: lines of text"
    if encoding.lower().replace("-", "") != "utf8":
        text = f"{what}, {encoding}: other characters are shown as escapes"
        return Check("output", "warning", text, "set LC_ALL=C.UTF-8")
    return Check("output", "ok", f"{what}, {encoding}")
