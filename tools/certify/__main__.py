"""Run the acceptance suite on one host that may be lost, and write what was seen as evidence: a file about the host's
distribution, without its name and address. The host is changed, restarted (--allow-reboot) and cut off."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provision.commands import options, running
from provision.commands.reporters import reporter, visibly
from provision.errors import ProvisionError, SpecError, UsageError
from provision.load import Loaded
from provision.model import STATUSES, Event
from provision.secrets import secret
from provision.transport.ssh import Connecting, HostError
from provision.visible import say, show, told
from tools.certify.evidence import Evidence, encoded
from tools.certify.observed import Observed
from tools.certify.overlay import overlaid
from tools.certify.steps import Bench
from tools.certify.suite import certify
from tools.certify.summary import summary
from tools.certify.trial import Trial

_EVIDENCE = Path("evidence")


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 every step passed or was skipped; 1 no host was touched; 2 usage; 3 a step failed, or the host was
    unreachable; 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.certify", description=__doc__)
    _arguments(parser)
    try:
        return _run(parser.parse_args(argv))
    except KeyboardInterrupt:
        say("certify: interrupted")
        return 130
    except OSError as error:
        say(f"certify: {told(error)}")
        return 1
    except ProvisionError as error:
        for one in error.each() if isinstance(error, SpecError) else (error,):
            say(f"certify: {one}")
        return 1


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("limit", metavar="HOST", help="the host, by its name in the inventory")
    parser.add_argument("playbook", nargs="?", type=Path, default=options.PLAYBOOK, help=f"default: {options.PLAYBOOK}")
    options.inventory(parser)
    options.logging_in(parser)
    safety = options.group(parser, "safety")
    safety.add_argument(
        "--i-can-lose-this-host",
        action="store_true",
        help="confirm that the host has nothing that is needed (required)",
    )
    safety.add_argument("--allow-reboot", action="store_true", help="also restart the host (default: skip that step)")
    options.group(parser, "output").add_argument(
        "--out",
        type=Path,
        default=_EVIDENCE,
        metavar="DIR",
        help=f"write ID-VERSION.json and the summary in this directory (default: {_EVIDENCE})",
    )
    options.group(parser, "output").add_argument(
        "-v", "--verbose", action="store_true", help="show whole diffs and all lines of an error"
    )


def _run(args: argparse.Namespace) -> int:
    if not args.i_can_lose_this_host:
        raise UsageError(
            "certify changes the host, cuts it off and may leave it broken; confirm with --i-can-lose-this-host that"
            " it can be lost (no host was touched)"
        )
    found = _one(args, running.loaded(args))
    _prepare(args.out)
    if not running.sound(found, no_lint=False):
        return 1
    main = reporter(args)
    try:
        return _certified(args, found, visibly(main))
    finally:
        main.close()


def _one(args: argparse.Namespace, found: Loaded) -> Loaded:
    """The project with the named host. Raises :class:`UsageError` where the name means another or several hosts."""
    if [config.host.name for config in found.configs] != [args.limit]:
        raise UsageError(f"certify needs the name of one host of the playbook, not {args.limit!r}")
    if found.configs[0].spec.engine is None:
        raise UsageError(f"{args.playbook} declares no engine for {args.limit}; certify needs one")
    # Keys of daemon.json are tried, so the file is declared, even as an empty one.
    return overlaid(found, {"engine": {"daemon": {}}})


def _prepare(folder: Path) -> None:
    """Make the directory now: the end of the suite is too late to find out that this fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {told(error)}") from error


def _certified(args: argparse.Namespace, found: Loaded, emit: Callable[[Event], None]) -> int:
    secret.resolve()
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not args.json
    transport = Observed(Connecting(args.connect_timeout, args.accept_new, interactive))
    transport.prepare([found.configs[0].host.login])
    for note in transport.notes:
        say(f"provision: {note}")
    trial = Trial(found, transport, args.deadline, args.look_within, emit)
    began, name = time.monotonic(), args.limit
    evidence: Evidence | None = None
    emit(Event("run.begin", data={"mode": "certify", "hosts": 1}))
    emit(Event("host.begin", name))
    end: dict[str, Any] = {"status": "ok", "changes": 0}
    try:
        evidence = certify(Bench(trial, args.allow_reboot), emit)
        if evidence.failed:
            end["status"] = "failed"
    except HostError as error:
        end |= {"status": "unreachable", "failure": error.failure}
    finally:
        transport.end()
    if evidence is not None:
        file, page = _written(args.out, evidence)
        emit(Event("certified", name, {"file": str(file), "summary": str(page)}))
    seconds = round(time.monotonic() - began, 3)
    emit(Event("host.done", name, {**end, "seconds": seconds}))
    counts = {status: int(status == end["status"]) for status in STATUSES}
    emit(Event("run.done", data={"counts": counts, "seconds": seconds, "mode": "certify"}))
    if evidence is not None and not args.json:
        show("\n" + summary(evidence))
    return 0 if end["status"] == "ok" else 3


def _written(folder: Path, evidence: Evidence) -> tuple[Path, Path]:
    """Write the evidence and its summary. What proves nothing, such as a run that failed, has another name: it is for a
    report of the fault."""
    name = evidence.file if evidence.proves else f"incomplete-{evidence.file}"
    file, page = folder / f"{name}.json", folder / f"{name}.md"
    file.write_bytes(encoded(evidence))
    page.write_text(summary(evidence))
    return file, page


if __name__ == "__main__":
    sys.exit(main())
