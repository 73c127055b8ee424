"""Write the files that a host would get, offline: to a directory, or to the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from provision.commands import options, running
from provision.commands.authorities import announce
from provision.errors import UsageError
from provision.visible import say, show


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="a host of the inventory")
    options.selection(parser)
    options.group(parser, "output").add_argument(
        "-o", "--output", type=Path, metavar="DIRECTORY", help="write below this directory (default: print)"
    )
    options.group(parser, "what").add_argument(
        "--as",
        dest="distribution",
        metavar="ID",
        help="for this distribution, or ID:VERSION:CODENAME (default: provision_distribution, else debian)",
    )


def run(args: argparse.Namespace) -> int:
    from provision.catalog import Options, compile_catalog, contents
    from provision.text.yamlfile import nearest

    found = running.loaded(args, prepare=announce, foresees=True)
    config = next((config for config in found.configs if config.host.name == args.host), None)
    if config is None:
        hint = nearest(args.host, [config.host.name for config in found.configs])
        raise UsageError(f"no play is for {args.host}" + (f" ({hint})" if hint else ""))
    name = args.distribution or str(config.scope.get("provision_distribution", "debian"))
    platform = _platform(name, config.distributions)
    for path, content in contents(compile_catalog(config, platform, found.context, Options())):
        if args.output is None:
            say(f"==> {path} <==", sys.stdout)
            _show(content if content.endswith(b"\n") else content + b"\n")
        else:
            target = args.output / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            say(str(target), sys.stdout)
    return 0


def _show(content: bytes) -> None:
    """Write to a terminal only visible text; write every byte to a program or a file."""
    if sys.stdout.isatty():
        show(content.decode("utf-8", "surrogateescape"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.flush()


def _platform(name: str, extra):  # type: ignore[no-untyped-def]  # distros' and model's classes, imported late
    from provision.distros import example, find, ids, newest, platform
    from provision.text.yamlfile import nearest

    id, *more = name.split(":")
    known = ids(extra)
    if id not in known:
        raise UsageError(f"unknown distribution {id} ({nearest(id, known) or ', '.join(known)})")
    if not more:
        return example(newest(id, extra))
    if len(more) > 2:
        raise UsageError("a distribution is ID, ID:VERSION or ID:VERSION:CODENAME, such as debian:12:bookworm")
    row = find(id, more[0], extra)
    codename = more[1] if more[1:] else row.release_of(more[0]).codename if row is not None else ""
    # The base of a derivative is not known offline: its codename may be given as that of its base.
    found = platform(id, more[0], codename, base=codename, extra=extra)
    if found is None:
        raise UsageError(f"{id} {more[0]} is too old; {newest(id, extra).minimum} is the oldest that works")
    return found
