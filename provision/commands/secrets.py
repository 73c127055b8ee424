"""Encrypt values with age, for `!secret`, and edit what is encrypted; to age and ssh-ed25519 keys."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from provision.commands import options
from provision.errors import UsageError
from provision.visible import say, show


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    encrypt = actions.add_parser("encrypt", help="encrypt standard input, or a file, into armoured text")
    encrypt.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard input")
    options.group(encrypt, "output").add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: standard output"
    )
    edit = actions.add_parser("edit", help="edit an encrypted file with $EDITOR, and create it if it does not exist")
    edit.add_argument("file", type=Path, metavar="FILE")
    ca = actions.add_parser("ca", help="create the certificates of registries, and renew those that expire soon")
    options.selection(ca)
    options.group(ca, "what").add_argument("--renew", action="store_true", help="renew all certificates now")
    for action in (encrypt, edit, ca):
        options.group(action, "what").add_argument(
            "-r",
            "--recipient",
            action="append",
            default=[],
            metavar="KEY",
            help="age1... or ssh-ed25519 ..., or a file of them (repeatable; default: your own key)",
        )


def run(args: argparse.Namespace) -> int:
    if args.action == "ca":
        return _authorities(args)
    from provision.secrets.age import recipients as keys
    from provision.secrets.age import sealed as encrypted
    from provision.secrets.age import write

    recipients = keys(args.recipient)
    if args.action == "encrypt":
        plain = args.file.read_bytes() if args.file is not None else sys.stdin.buffer.read()
        sealed = encrypted(plain.removesuffix(b"\n"), recipients)
        if args.output is not None:
            write(args.output, sealed)
        else:
            show(sealed.decode())
        return 0
    from provision.secrets.secret import decrypted

    before = decrypted(args.file.read_bytes()) if args.file.exists() else ""
    after = _edited(before)
    if after != before or not args.file.exists():
        write(args.file, encrypted(after.encode(), recipients))
    return 0


def _edited(text: str) -> str:
    """Open the operator's own editor on a file that only the operator can read, in memory where possible."""
    from provision.secrets.private_file import write_private

    place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - mode 0600, and removed at the end
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "secret"
        write_private(path, text)
        editor = os.environ.get("EDITOR") or "vi"
        try:
            subprocess.run([*editor.split(), str(path)], check=True)  # noqa: S603 - the operator's own command
        except subprocess.CalledProcessError as error:
            raise UsageError(f"the editor ({editor}) exited with {error.returncode}; nothing was changed") from error
        return path.read_text().removesuffix("\n")


def _authorities(args: argparse.Namespace) -> int:
    """Make and renew the certificates of custom authorities that the playbook's hosts need."""
    from provision.commands.authorities import renewed
    from provision.commands.running import loaded

    said: list[str] = []
    loaded(args, prepare=lambda found: said.extend(renewed(found.configs, found.context, args.recipient, args.renew)))
    for line in said or ["nothing to do"]:
        say(line, sys.stdout)
    return 0
