"""The command line. Exit codes: 0 in the desired state; 1 nothing was touched (usage, spec, inventory); 2 changes are
pending (``plan --detailed-exitcode``); 3 some host failed, was unreachable, timed out or rolled back; 130
interrupted."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import importlib
import io
import os
import sys
import threading
import traceback
from types import TracebackType

from provision import __version__
from provision.visible import discard, line, say, show, told, visible

#: Commands in the order of their use; each is a module of ``provision.commands``.
COMMANDS = {
    "init": "write a new project",
    "schema": "print the JSON Schema of a playbook",
    "lint": "report mistakes in a project, without contact to a host",
    "inventory": "show groups, hosts and variables",
    "render": "write the files of a host, without contact to it",
    "ping": "log in to the hosts and report whether that works",
    "ssh": "log in to a host of the inventory with ssh, or run a command there",
    "doctor": "check whether hosts are suitable for Docker",
    "plan": "show what would change",
    "apply": "bring the hosts into the desired state",
    "verify": "check with testinfra that the hosts are in the desired state",
    "rollback": "restore what a run replaced",
    "report": "write an HTML page of a run",
    "support-bundle": "write an archive for a report of a fault, without secrets",
    "explain": "explain an error kind, a lint rule or an exit code",
    "runs": "show earlier runs, of the controller or of the hosts",
    "secrets": "encrypt values for a spec, and edit them",
    "lock": "write the versions of a canary to the lock file",
    "lab": "manage throwaway hosts on this machine",
}


class _Parser(argparse.ArgumentParser):
    """An argument parser that exits with 1 for an error: argparse's 2 means here that changes are pending."""

    def error(self, message: str) -> None:  # type: ignore[override]  # it does not return either
        self.print_usage(sys.stderr)
        say(f"{self.prog}: {message} ({self.prog} --help explains the arguments)")
        self.exit(1)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser; with ``only``, only that command has its arguments (the others need not be imported)."""
    top = _Parser(prog="provision", description="Declare Docker hosts in YAML; apply, verify and roll back over SSH.")
    top.add_argument("--version", action="version", version=f"provision {__version__}")
    _completion(top)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, text in COMMANDS.items():
        if only is not None and name != only:
            commands.add_parser(name, help=text, add_help=False)
            continue
        module = importlib.import_module(f"provision.commands.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=text, description=module.__doc__)
        module.arguments(command)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; every expected error is one message on standard error."""
    words = sys.argv[1:] if argv is None else argv
    # The search for pydantic plugins in all installed packages takes longer than the check of a spec.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    if words[:1] == ["--complete"]:
        return _complete(words[1:])
    try:
        if words[:1] == ["--completion"]:
            from provision.commands import completion

            return completion.run(_completion(_Parser(prog="provision")).parse_args(words))
        if not words:
            parser("").print_help(sys.stderr)
            return 1
        if words[0][:1] != "-" and words[0] not in COMMANDS:
            return _unknown(words[0])
        chosen = next((word for word in words if word in COMMANDS), None)
        if chosen and words[0] not in (chosen, "-h", "--help", "--version"):
            return _command_first(words[0], chosen)
        top = parser(chosen or "")
        args, unknown = top.parse_known_args(words)
        if unknown:
            return _unknown_arguments(top, args.command, unknown)
        return int(importlib.import_module(f"provision.commands.{args.command.replace('-', '_')}").run(args))
    except KeyboardInterrupt:
        say("provision: interrupted")
        return 130
    except BrokenPipeError:
        # The program that read the output has ended; Python must not report that again when it flushes.
        discard(sys.stdout)
        return 1
    except OSError as error:
        # A run that changes hosts handles its own errors, so no host was touched.
        say(f"provision: {told(error)}")
        discard(sys.stdout)
        return 1
    except Exception as error:
        # Imported here: it takes longer than printing a help text does.
        from provision.errors import ProvisionError, SpecError

        if not isinstance(error, ProvisionError):
            raise
        for one in error.each() if isinstance(error, SpecError) else (error,):
            say(f"provision: {one}")
        return 1


#: Words of other programs -> what provision has for them.
_PLAN = "provision plan shows what apply would change, and changes nothing"
_ONE = "provision ssh HOST COMMAND runs one command on one host"
_ABOUT = "provision doctor reports whether a host is suitable, provision inventory --host its variables"
_INSTEAD = {
    **dict.fromkeys(("--check", "--dry-run", "--diff", "-C", "-D", "check", "diff", "preview", "dry-run"), _PLAN),
    **dict.fromkeys(("exec", "shell", "command", "adhoc", "ad-hoc"), _ONE),
    **dict.fromkeys(("facts", "setup", "gather", "grains"), _ABOUT),
    **dict.fromkeys(("validate", "--syntax-check"), "provision lint reports mistakes in a project"),
    **dict.fromkeys(
        ("deploy", "converge", "run", "playbook"), "provision apply brings the hosts into the desired state"
    ),
    "undo": "provision rollback restores what a run replaced",
    "help": "provision --help, and provision COMMAND --help",
    "version": "provision --version",
    "--list-hosts": "provision inventory --list-hosts PATTERN prints the hosts of a pattern",
    "--colour": "--color",
    **dict.fromkeys(
        ("--log-file", "--log"), "provision runs shows the journal of earlier runs; --json prints every event"
    ),
    "--become-user": "ansible_become_user of the inventory; only root can provision a host",
    **dict.fromkeys(("-t", "--tags", "--skip-tags"), "--limit selects hosts; a spec is applied as a whole"),
}


def _unknown(word: str) -> int:
    """Report a word that is no command."""
    from provision.text.yamlfile import nearest

    hint = _INSTEAD.get(word) or nearest(word, COMMANDS) or f"commands: {', '.join(COMMANDS)}"
    say("usage: provision COMMAND ...")
    say(f"provision: no command {line(word)} ({hint}; provision --help explains each)")
    return 1


def _command_first(word: str, command: str) -> int:
    """Report an option before the command: every option but --help, --version and --completion is one of a command."""
    say("usage: provision COMMAND ...")
    say(f"provision: the command comes before {line(word)}: provision {command} {line(word)} ...")
    return 1


def _unknown_arguments(top: argparse.ArgumentParser, command: str, words: list[str]) -> int:
    """Report words that a command does not accept, with its usage."""
    from provision.text.yamlfile import nearest

    commands = next(one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    parser: argparse.ArgumentParser = commands.choices[command]
    parser.print_usage(sys.stderr)
    for word in words:
        name = word.partition("=")[0]
        if not word.startswith("-"):
            say(f"{parser.prog}: unexpected argument {line(word)} ({parser.prog} --help explains the arguments)")
            continue
        if name in parser._option_string_actions:  # an option of the command, behind its action
            say(f"{parser.prog}: {line(name)} comes before the action: {parser.prog} {line(name)} ... ACTION")
            return 1
        hint = _INSTEAD.get(name) or nearest(name, parser._option_string_actions)
        told = f"{hint}; " if hint else ""
        say(f"{parser.prog}: unknown option {line(name)} ({told}{parser.prog} --help explains the arguments)")
    return 1


def _completion(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the arguments of the completion script. With ``--completion`` there is no command."""
    parser.add_argument(
        "--completion",
        nargs="?",
        choices=("bash", "zsh", "fish"),
        metavar="SHELL",
        help="print the completion script of bash, zsh or fish (default: the shell that $SHELL names)",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="with --completion: write the script to the completion directory of your account",
    )
    return parser


def _complete(words: list[str]) -> int:
    """Answer a completion script. An error, also one in provision, is an empty answer: a message would be printed into
    the line that the operator types."""
    with contextlib.suppress(Exception):
        from provision.commands import completing

        show(completing.answer(words[0], words[1:], parser, COMMANDS))
    return 0


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Report a fault of provision itself. Its traceback may contain text from a host or a user, and a secret."""
    from provision.secrets.secret import mask

    show(visible(mask("".join(traceback.format_exception(kind, error, trace)))) + "\n", sys.stderr)


def _standard_streams() -> None:
    """Open each closed descriptor of 0 to 2 (``>&-``) with a file that fails when it is used. Otherwise the next file
    or connection would get its number, and Python would have no ``sys.stdout``."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the closed descriptor. A read returns the end, a write fails.
            os.open(os.devnull, os.O_RDONLY)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _flushed(status: int) -> int:
    """The exit code after all output was written. Lost output is an error; it does not change the result of hosts."""
    try:
        sys.stdout.flush()
    except OSError as error:
        say(f"provision: standard output cannot be written: {told(error)}")
        status = status or 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return status


def console() -> None:
    """The entry point. It exits without a cleanup that the operating system does anyway."""
    _standard_streams()
    # A crash in a compiled module prints where Python was.
    faulthandler.enable()
    # The objects that the imports created stay until the end; a garbage collection among them is wasted time.
    gc.disable()
    # A character that the locale cannot encode is written as an escape.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.excepthook = _crashed
    threading.excepthook = lambda args: _crashed(args.exc_type, args.exc_value, args.exc_traceback)
    os._exit(_flushed(main()))
