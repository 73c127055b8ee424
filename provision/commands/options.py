"""Arguments that several commands have, and the values that they select."""

from __future__ import annotations

import argparse
import getpass
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provision.errors import Note, UsageError
from provision.visible import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provision.inventory.sources import Reading
    from provision.load import Logins
    from provision.text.yamlfile import Map


#: The groups of options in a command's help, in their order. The help shows only groups that have an option.
GROUPS = ("what", "connection", "rollout", "output", "safety")


def group(parser: argparse.ArgumentParser, title: str) -> argparse._ArgumentGroup:
    """The group of that title, one of ``GROUPS``, in the help of a command."""
    known = {one.title: one for one in parser._action_groups}
    if title not in known:
        known |= {name: parser.add_argument_group(name) for name in GROUPS}
    return known[title]


def inventory(parser: argparse.ArgumentParser) -> None:
    what = group(parser, "what")
    what.add_argument(
        "-i",
        "--inventory",
        action="append",
        metavar="SOURCE",
        help="file, directory, or hosts with a comma: h1,h2, (repeatable; default: $ANSIBLE_INVENTORY,"
        " else what ansible.cfg names, else inventory/)",
    )
    what.add_argument(
        "--lenient",
        action="store_true",
        help="make a warning of what Ansible accepts: duplicate keys, a host and a group of one name",
    )
    what.add_argument(
        "--vault-id",
        action="append",
        default=[],
        metavar="ID@SOURCE",
        help="password of Ansible Vault by its id: a file, a program, or prompt (repeatable)",
    )
    what.add_argument(
        "--vault-password-file",
        "--vault-pass-file",
        action="append",
        default=[],
        metavar="FILE",
        help="password of Ansible Vault, or a program that prints it (repeatable)",
    )
    what.add_argument(
        "-J",
        "--ask-vault-pass",
        "--ask-vault-password",
        action="store_true",
        help="ask for the password of Ansible Vault",
    )
    what.add_argument(
        "-e",
        "--extra-vars",
        action="append",
        default=[],
        metavar="VARS",
        help="key=value, YAML or @file; overrides every other variable",
    )


PLAYBOOK = Path("playbooks/site.yml")


def selection(parser: argparse.ArgumentParser, purpose: str = "") -> None:
    """``purpose`` says what the playbook is for, where it is not read."""
    text = f"{purpose} (default: {PLAYBOOK})" if purpose else f"default: {PLAYBOOK}"
    parser.add_argument("playbook", nargs="?", type=Path, default=PLAYBOOK, help=text)
    hosts(parser)


def hosts(parser: argparse.ArgumentParser) -> None:
    inventory(parser)
    group(parser, "what").add_argument(
        "-l",
        "--limit",
        metavar="PATTERN",
        help="only these hosts, in Ansible's patterns: web*:!web3:&docker, @file (default: all)",
    )


def logging_in(parser: argparse.ArgumentParser) -> None:
    connection = group(parser, "connection")
    output = group(parser, "output")
    group(parser, "rollout").add_argument(
        "-f", "--forks", type=_positive, default=50, help="hosts at a time (default: 50)"
    )
    connection.add_argument("-u", "--user", help="login name, if the inventory has none (default: ssh's)")
    connection.add_argument(
        "--private-key",
        type=Path,
        metavar="FILE",
        help="private key, if the inventory has none (default: ssh's keys and the agent)",
    )
    connection.add_argument("-k", "--ask-pass", action="store_true", help="ask for the login's password")
    connection.add_argument(
        "-b", "--become", action="store_true", help="become root, unless the inventory sets ansible_become"
    )
    connection.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password of sudo or su")
    group(parser, "safety").add_argument(
        "--accept-new", action="store_true", help="store the key of a host that known_hosts does not have yet"
    )
    connection.add_argument(
        "--connect-timeout",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds for a login, from TCP to authentication, with all attempts (default: 10)",
    )
    connection.add_argument(
        "--deadline",
        type=_seconds,
        default=1800.0,
        metavar="S",
        help="seconds for one host in total (default: 1800)",
    )
    connection.add_argument(
        "--look-within",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="seconds for reading the state of a host; provision does not wait longer (default: 30)",
    )
    output.add_argument("--json", action="store_true", help="JSON Lines on standard output")
    output.add_argument("--plain", action="store_true", help="print lines of text, on a terminal too")
    output.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour the output (default: auto, on a terminal; $NO_COLOR and $FORCE_COLOR count)",
    )


def reporting(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select the reporters of a run."""
    output = group(parser, "output")
    output.add_argument("--metrics", type=Path, metavar="FILE", help="write metrics for Prometheus' textfile collector")
    output.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    output.add_argument(
        "--webhook",
        type=_address,
        metavar="URL",
        help="POST JSON there: begun, wave done, stopped, finished (default: $PROVISION_WEBHOOK)",
    )


def showing(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select how much of a plan is shown to people; ``--json`` has all of it."""
    group(parser, "output").add_argument(
        "--diff",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show the differences of files and values (default: yes, long ones cut in the middle)",
    )
    group(parser, "output").add_argument(
        "-v", "--verbose", action="store_true", help="show whole diffs, every variant and all lines of an error"
    )


def clustering(parser: argparse.ArgumentParser) -> None:
    rollout = group(parser, "rollout")
    rollout.add_argument(
        "--processes",
        type=_processes,
        metavar="N",
        help="worker processes on this machine that share the hosts: a number, or auto (default: auto, one for each"
        " core if there are more than 100 hosts)",
    )
    rollout.add_argument(
        "--cluster",
        metavar="URL",
        help="run on the workers of a Dask cluster: tls://SCHEDULER:8786 (installed with the extra cluster;"
        " default: run on this machine)",
    )
    for name, what in (
        ("ca", "CA certificate that signs the cluster's certificates"),
        ("cert", "certificate that provision shows the cluster"),
        ("key", "private key of that certificate"),
    ):
        rollout.add_argument(f"--cluster-{name}", type=Path, metavar="FILE", help=f"{what} (PEM)")
    rollout.add_argument(
        "--shard",
        type=_positive,
        metavar="N",
        help="number of hosts that a worker receives at once (default: 25 to 100)",
    )


def no_address(url: str) -> str:
    """Why provision cannot post to a URL, or an empty text. The text contains no part of the URL, which may hold a
    token."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        return "must be an http:// or https:// URL"
    # RFC 3986, 2: a URL consists of these characters; and http.client's error for others repeats the whole URL.
    if not url.isascii() or not url.isprintable() or " " in url:
        return "must be a URL of ASCII characters without blanks (encode others, such as %20)"
    return ""


def _address(text: str) -> str:
    if problem := no_address(text):
        raise argparse.ArgumentTypeError(problem)
    return text


def connecting(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the login, and those that plan and apply need in addition."""
    logging_in(parser)
    reporting(parser)
    clustering(parser)
    safety = group(parser, "safety")
    group(parser, "rollout").add_argument(
        "--lock-timeout",
        type=_positive,
        default=300,
        metavar="S",
        help="seconds to wait for another package manager (default: 300)",
    )
    safety.add_argument(
        "--max-impact",
        choices=("none", "reload", "restart", "stop"),
        help="refuse a host on which the changes have a higher impact than this (default: no limit)",
    )
    safety.add_argument(
        "--no-lint", action="store_true", help="continue if lint finds errors, and show them as warnings"
    )
    group(parser, "what").add_argument(
        "--upgrade", action="store_true", help="upgrade engine packages without a pin to the newest version"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _processes(text: str) -> int | None:
    return None if text == "auto" else _positive(text)


def seconds(text: str) -> int:
    """Parse a whole number of seconds, at least 2."""
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError("must be at least 2")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def reading(args: argparse.Namespace, untrusted: Path | None = None) -> Reading:
    """How the inventory is read; from now on values of Ansible Vault can be decrypted. No program of the project of an
    ``untrusted`` playbook is run, and provision reads neither the environment nor files outside the project."""
    from provision import limits
    from provision.inventory import config, vault
    from provision.inventory.sources import Reading
    from provision.secrets import secret
    from provision.text.render import shipped

    given = [Path(word) for word in args.inventory or ()]
    limits.confine([] if untrusted is None else [untrusted, *given], [shipped("templates")])
    trusted = untrusted is None
    settings = config.read()
    places = vault.sources(settings, args.vault_id, args.vault_password_file, args.ask_vault_pass)
    strict = settings.flag("ANSIBLE_VAULT_ID_MATCH", ("defaults", "vault_id_match"))
    secret.open_vaults_with(vault.Vault(places, programs=trusted, strict_ids=strict).open)
    return Reading(args.lenient, trusted, tuple(place.word for place in places if not place.asked))


def warn(notes: Iterable[Note]) -> None:
    """Print what was skipped."""
    for note in notes:
        if note.loud:
            say(f"provision: warning: {note}")


def extra_vars(words: list[str]) -> Map:
    """``-e key=value ...``, ``-e '{a: 1}'``, ``-e @file.yml``, as in Ansible; later ones win.

    Raises a :class:`~provision.errors.ProvisionError` for any other form, and for the token of a secret.
    """
    from provision import limits
    from provision.secrets import secret
    from provision.text.merge import refine
    from provision.text.yamlfile import Map, Reader, check_names, load

    found = Map()
    for word in words:
        if word.startswith("@"):
            data: Any = load(Path(word[1:]), limits.text(Path(word[1:]), named=True), Reader())
        elif word.lstrip().startswith("{"):
            data = load(Path("--extra-vars"), word, Reader())
        else:
            try:
                pairs = [part.partition("=") for part in shlex.split(word)]
            except ValueError as error:
                raise UsageError(f"--extra-vars: {word!r}: {error}") from error
            if secret.marked(word):
                raise UsageError(
                    "--extra-vars: a value must not hold a secret's token, which is valid only in the run that"
                    " made it (declare the secret: -e '{name: !secret {env: NAME}}')"
                )
            if not all(equals and name for name, equals, _ in pairs):
                raise UsageError(f"--extra-vars takes key=value, YAML in braces or @file, not {word!r}")
            data = Map((name, value) for name, _, value in pairs)
        if not isinstance(data, Map):
            raise UsageError(f"--extra-vars: {word!r} is not a mapping")
        check_names(data)
        spec = refine(found.get("spec", Map()), data["spec"]) if "spec" in data else found.get("spec")
        found.update(data)
        found.where.update(data.where)
        if spec is not None:
            found["spec"] = spec
    return found


def _asked(question: str) -> str:
    try:
        return getpass.getpass(f"{question}: ")
    except EOFError:
        raise UsageError(f"the {question} was not given: standard input is at its end") from None


def logins(args: argparse.Namespace) -> Logins:
    from provision.load import Logins

    return Logins(
        user=args.user,
        key_file=args.private_key,
        become=args.become,
        password=_asked("SSH password") if args.ask_pass else None,
        become_password=_asked("become password") if args.ask_become_pass else None,
    )
