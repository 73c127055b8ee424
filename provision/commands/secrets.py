"""Encrypt values with age, for `!secret`, and edit what is encrypted; to age and ssh-ed25519 keys."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    encrypt = actions.add_parser("encrypt", help="encrypt standard input, or a file, into armoured text")
    encrypt.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard input")
    encrypt.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    edit = actions.add_parser("edit", help="edit an encrypted file with $EDITOR; made when it is not there")
    edit.add_argument("file", type=Path, metavar="FILE")
    for action in (encrypt, edit):
        action.add_argument(
            "-r",
            "--recipient",
            action="append",
            default=[],
            metavar="KEY",
            help="age1... or ssh-ed25519 ..., or a file of them (repeatable; default: your own key)",
        )


def run(args: argparse.Namespace) -> int:
    recipients = _recipients(args.recipient)
    if args.action == "encrypt":
        plain = args.file.read_bytes() if args.file is not None else sys.stdin.buffer.read()
        sealed = _encrypt(plain.removesuffix(b"\n"), recipients)
        if args.output is not None:
            _write(args.output, sealed)
        else:
            sys.stdout.write(sealed.decode())
        return 0
    from provision.secret import decrypted

    before = decrypted(args.file.read_bytes()) if args.file.exists() else ""
    after = _edited(before)
    if after != before or not args.file.exists():
        _write(args.file, _encrypt(after.encode(), recipients))
    return 0


def _recipients(given: list[str]) -> list[Any]:
    import pyrage

    from provision.errors import UsageError
    from provision.secret import age_keys, identities

    lines = []
    for word in given:
        path = Path(word)
        lines += path.read_text().splitlines() if path.is_file() else [word]
    if not given:
        for path in identities():
            if path.is_file() and (keys := age_keys(path.read_bytes())):
                return [key.to_public() for key in keys]
            public = path.with_name(f"{path.name}.pub")
            if public.is_file():
                lines = public.read_text().splitlines()
                break
    try:
        found = [
            pyrage.ssh.Recipient.from_str(line) if line.startswith("ssh-") else pyrage.x25519.Recipient.from_str(line)
            for line in (line.strip() for line in lines)
            if line and not line.startswith("#")
        ]
    except pyrage.RecipientError as error:
        raise UsageError(f"no key to encrypt to: {error}") from error
    if not found:
        raise UsageError("there is nobody to encrypt to; name a key with --recipient")
    return found


def _encrypt(plain: bytes, recipients: list[Any]) -> bytes:
    import pyrage

    return bytes(pyrage.encrypt(plain, recipients, armored=True))


def _edited(text: str) -> str:
    """By the person's own editor, in a file that only they can read, in memory where the system has a place there."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - 0600, and gone at the end
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / "secret"
        path.touch(mode=0o600)
        path.write_text(text)
        editor = os.environ.get("EDITOR") or "vi"
        subprocess.run([*editor.split(), str(path)], check=True)  # noqa: S603 - the person's own words
        return path.read_text().removesuffix("\n")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    new.replace(path)
