"""Write a project to start from: an inventory, a playbook, and a Molecule scenario that tests it. At a terminal, ask
for the hosts and the main settings, and connect once to check the hosts."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from provision.commands import dialog, options
from provision.errors import UsageError
from provision.visible import line, say, show

if TYPE_CHECKING:
    from provision.model import Event
    from provision.project.starter import Answers, Entry

T = TypeVar("T")

_SOURCES = ("docker", "distribution")
_MEASURE = "measure"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="DIRECTORY",
        help="where to write the project (default: here)",
    )
    what, safety = options.group(parser, "what"), options.group(parser, "safety")
    what.add_argument(
        "--hosts",
        metavar="HOSTS",
        help="aliases of ssh or names, with commas: web1,web[02:20],db1=192.0.2.21 (default: examples to replace)",
    )
    options.group(parser, "connection").add_argument(
        "-u", "--user", help="account to log in as; one that is not root uses sudo (default: as ssh chooses)"
    )
    what.add_argument(
        "--mirror",
        metavar="MIRROR",
        help="where Docker's packages come from: a URL, a known mirror (docker, aliyun, azure-china, huawei, tencent,"
        " tuna, ustc), or measure: ask each of these once, and take the fastest (default: docker)",
    )
    what.add_argument(
        "--engine", choices=_SOURCES, help="Docker's own packages, or the distribution's (default: docker)"
    )
    what.add_argument(
        "--live-restore",
        action=argparse.BooleanOptionalAction,
        help="keep containers running while dockerd restarts (default: yes)",
    )
    safety.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="connect to the given hosts once, as doctor does (default: yes)",
    )
    safety.add_argument(
        "--accept-new",
        action="store_true",
        help="in that check, store the key of a host that known_hosts does not have yet",
    )


def run(args: argparse.Namespace) -> int:
    from provision.project import starter

    _may_write(args.folder, starter.files(starter.Answers()))
    given = _given(args)
    answers = _asked(args, given) if dialog.at_terminal() else _defaults(given)
    files = starter.files(answers)
    _may_write(args.folder, files)
    for name, content in files.items():
        target = args.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(target, "xb") as file:
                file.write(content)
        except FileExistsError:
            raise UsageError(f"{target} is already there; init overwrites nothing") from None
        say(str(target), sys.stdout)
    status, unverified = _checked(args) if answers.entries and args.check else (0, False)
    _next(args.folder, answers, status, unverified)
    return status


def _may_write(folder: Path, files: dict[Path, bytes]) -> None:
    """Raises ``UsageError`` before anything is asked or written."""
    for name in files:
        if (folder / name).is_symlink() or (folder / name).exists():
            raise UsageError(f"{folder / name} is already there; init overwrites nothing")


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The answers from the command line. Raises ``UsageError`` for one that is wrong."""
    from provision.project import starter

    found: dict[str, Any] = {}
    if args.hosts is not None:
        found["entries"] = _parsed("--hosts", args.hosts, starter.entries)
    if args.user is not None:
        found["user"] = _parsed("--user", args.user, starter.user)
    if args.engine is not None:
        found["source"] = args.engine
    if args.mirror is not None:
        measure = args.mirror == _MEASURE
        found["mirror"] = _fastest() if measure else _parsed("--mirror", args.mirror, starter.mirror)
    if args.live_restore is not None:
        found["live_restore"] = args.live_restore
    return found


def _parsed(option: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def _fastest() -> str:
    from provision.commands.mirror_speed import measured
    from provision.project.starter import MIRRORS

    found = measured(MIRRORS)
    _show_speed(found)
    if not found:
        raise UsageError("--mirror measure: no known mirror answered; name one, or give its URL")
    return next(iter(found))


def _defaults(given: dict[str, Any]) -> Answers:
    from provision.project.starter import Answers

    return Answers(**given, become=_becomes(given.get("entries", ()), given.get("user", "")))


def _asked(args: argparse.Namespace, given: dict[str, Any]) -> Answers:
    """Ask for each answer that the command line does not give, in the order of the answers."""
    from provision.project import starter
    from provision.project.starter import MIRRORS

    show("Five questions at most. Enter takes the answer in brackets. Nothing is written\nbefore the last answer.\n\n")
    found = dict(given)
    if "entries" not in found:
        show("Hosts: ssh aliases, names, or NAME=ADDRESS; web[01:20] is a range.\n")
        found["entries"] = dialog.ask("Hosts", "", starter.entries, shown="examples")
    if "user" not in found:
        chosen = _ssh_user(found["entries"])
        found["user"] = dialog.ask("User to log in as", chosen, starter.user)
        if found["user"] == chosen and found["entries"]:
            found["user"] = ""  # ssh's own configuration decides, also when it changes
    if "source" not in found:
        show("Engine: docker (Docker's packages), or distribution (its own, often older).\n")
        found["source"] = dialog.ask("Engine", "docker", dialog.one_of(*_SOURCES))
    if "mirror" not in found and found["source"] == "docker":
        found["mirror"] = _mirror()
    if "live_restore" not in found:
        question = "Keep containers running while dockerd restarts (live-restore)"
        found["live_restore"] = dialog.ask(question, "yes", dialog.yes)
    found.setdefault("mirror", MIRRORS[0].url)
    return starter.Answers(**found, become=_becomes(found["entries"], found["user"]))


def _mirror() -> str:
    """The mirror, after a measurement if the operator wants one."""
    from provision.commands.mirror_speed import measured
    from provision.project import starter
    from provision.project.starter import MIRRORS

    width = max(len(one.about) for one in MIRRORS)
    show("Mirrors of Docker's packages (signed by Docker, whatever the mirror):\n")
    for number, one in enumerate(MIRRORS, 1):
        show(f"  {number}  {one.about:{width}}  {one.url}\n")
    default = "1"

    def parse(text: str) -> str:
        if text.lower() in ("m", _MEASURE):
            return _MEASURE
        if text.isdecimal():
            if not 1 <= int(text) <= len(MIRRORS):
                raise ValueError(f"{text}: a number from 1 to {len(MIRRORS)}, a URL, or m")
            return MIRRORS[int(text) - 1].url
        return starter.mirror(text)

    while True:
        answer = dialog.ask("Mirror near the hosts: a number, a URL, or m (ask each once)", default, parse)
        if answer != _MEASURE:
            return answer
        found = measured(MIRRORS)
        _show_speed(found)
        if found:
            urls = [one.url for one in MIRRORS]
            default = str(urls.index(next(iter(found))) + 1)


def _show_speed(found: dict[str, float]) -> None:
    from provision.project.starter import MIRRORS

    for one in sorted(MIRRORS, key=lambda mirror: found.get(mirror.url, float("inf"))):
        seconds = found.get(one.url)
        words = "no answer" if seconds is None else f"{seconds * 1000:.0f} ms"
        show(f"  {words:>9}  {one.name:12} {one.url}\n")


def _ssh_user(entries: tuple[Entry, ...]) -> str:
    """The account that ssh chooses for the first host; root where there is none."""
    if not entries:
        return "root"
    from provision.inventory.tree import hosts_of
    from provision.transport.ssh_config import Question, Resolver

    first = entries[0]
    question = Question(first.address or hosts_of(first.name)[0][0], first.port)
    return Resolver().resolve([question])[0].get("user", "root")


def _becomes(entries: tuple[Entry, ...], user: str) -> bool:
    """True if changes need sudo: the account is not root."""
    return bool(entries) and (user or _ssh_user(entries)) != "root"


def _checked(args: argparse.Namespace) -> tuple[int, bool]:
    """The exit code of the check, and whether a host's key was not accepted. At a terminal the operator may then accept
    the keys of new hosts, as with ssh. The changed key of a known host is always refused."""
    show("\nConnecting once to check the hosts; nothing is changed on them.\n")
    status, unverified = _check(args, args.accept_new)
    if not unverified or args.accept_new or not dialog.at_terminal():
        return status, unverified
    show("\nCompare each key above with the host's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n")
    accepted = dialog.ask(
        "Store the keys of new hosts in known_hosts", "no", dialog.yes, unanswered="no key was stored"
    )
    return _check(args, True) if accepted else (status, True)


def _check(args: argparse.Namespace, accept_new: bool) -> tuple[int, bool]:
    """Log in to the hosts once, by the same rules as every other command."""
    from provision.commands import doctor

    parser = argparse.ArgumentParser()
    doctor.arguments(parser)
    words = [str(args.folder / "playbooks/site.yml"), "-i", str(args.folder / "inventory")]
    words += ["--accept-new"] if accept_new else []
    checked = parser.parse_args(words)
    checked.command = "doctor"
    refused: list[str] = []

    def listen(event: Event) -> None:
        if event.name == "host.done" and getattr(event.data.get("failure"), "kind", "") == "host_key":
            refused.append(event.host)

    return doctor.run(checked, listen), bool(refused)


def _next(folder: Path, answers: Answers, status: int, unverified: bool) -> None:
    place = "" if folder == Path() else f"cd {shlex.quote(line(str(folder)))} && "
    if not answers.entries:
        say(f"Put your hosts into inventory/hosts.yml, then: {place}provision plan", sys.stdout)
    elif unverified:
        say("The project is written. Compare the keys with the hosts' consoles, then store them:", sys.stdout)
        say(f"  {place}provision doctor --accept-new", sys.stdout)
    elif status:
        say(f"The project is written. Correct what the check found, then: {place}provision doctor", sys.stdout)
    else:
        say(f"See what would change on the hosts: {place}provision plan", sys.stdout)
    say("Test it on a throwaway host: molecule test (installed with the extra `molecule`)", sys.stdout)
