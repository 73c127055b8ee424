"""Select the reporters of a run: the terminal, a program, the journal, and those that the command line names."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.commands import options
from provision.errors import UsageError
from provision.visible import discard, say, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provision.load import Loaded
    from provision.model import Event
    from provision.report.shown import Shown
    from provision.report.webhook import Webhook
    from provision.rollout.run_request import RunRequest


_OUTPUT = "standard output"


class Listeners:
    """All reporters, as one. ``main`` is the one that can ask the operator. Reporters receive an event's visible text;
    ``also``, which shows nothing, receives the event itself."""

    def __init__(self, args: argparse.Namespace, run: str, also: Callable[[Event], None] | None) -> None:
        self.main = reporter(args)
        self._also = also
        #: by the name of what they write
        self._all: dict[str, Callable[[Shown], None]] = {_OUTPUT: _by_drift(args, self.main)}
        self._webhook = self._named(args, run)
        #: what standard output receives after a question, while one is open
        self._held: list[Shown] | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        from provision.report.shown import shown

        if self._also is not None:
            self._also(event)
        visible = shown(event)
        for name in list(self._all):
            self._pass_on(name, visible)

    def _pass_on(self, name: str, event: Shown) -> None:
        if name != _OUTPUT:
            self._tell(name, event)
            return
        with self._lock:
            if self._held is None:
                self._tell(name, event)
            else:
                self._held.append(event)

    def _tell(self, name: str, event: Shown) -> None:
        try:
            self._all[name](event)
        except OSError as error:
            self._lost(name, error)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Write nothing to the terminal while the operator types an answer; the events follow after it."""
        with self._lock:
            self._held = []
        try:
            with getattr(self.main, "paused", nullcontext)():
                yield
        finally:
            self._resume()

    def _resume(self) -> None:
        with self._lock:
            held, self._held = self._held or [], None
            for event in held:
                self._tell(_OUTPUT, event)

    def add(self, name: str, listener: Callable[[Shown], None]) -> None:
        """Add a reporter. ``name`` is what it writes, for the message when that fails."""
        self._all[name] = listener

    def _lost(self, name: str, error: OSError) -> None:
        """Report once that a reporter cannot write. The run continues, because hosts are being processed."""
        if name == _OUTPUT:
            discard(sys.stdout)
        else:
            del self._all[name]
        say(f"provision: {name} cannot be written: {told(error)}; the run continues without it")

    def close(self) -> None:
        self._resume()
        try:
            self.main.close()
        except OSError as error:
            self._lost(_OUTPUT, error)
        if self._webhook is not None:
            self._webhook.close()

    def _named(self, args: argparse.Namespace, run: str) -> Webhook | None:
        """Add the reporters that the command line and PROVISION_WEBHOOK name; return the webhook, to be closed."""
        if getattr(args, "metrics", None) is not None:
            from provision.report.files import Metrics

            self.add(str(args.metrics), Metrics(writable(args.metrics), str(args.playbook)))
        if getattr(args, "junit", None) is not None:
            from provision.report.files import Junit

            self.add(str(args.junit), Junit(writable(args.junit)))
        if not hasattr(args, "webhook") or not (url := args.webhook or os.environ.get("PROVISION_WEBHOOK")):
            return None
        if problem := options.no_address(url):
            raise UsageError(f"PROVISION_WEBHOOK {problem}")
        from provision.report.webhook import Webhook

        webhook = Webhook(url, {"run": run, "playbook": str(args.playbook)})
        self.add("the webhook", webhook)
        return webhook


def _by_drift(args: argparse.Namespace, listener: Any) -> Callable[[Shown], None]:
    if not getattr(args, "drift_report", False):
        found: Callable[[Shown], None] = listener
        return found
    from provision.report.shown import DriftReport

    return DriftReport(listener)


def visibly(listener: Callable[[Shown], None]) -> Callable[[Event], None]:
    """A receiver of events for a reporter, which reads only visible text."""
    from provision.report.shown import shown

    return lambda event: listener(shown(event))


def writable(path: Path) -> Path:
    """Check now that a file can be written: the end of the run is too late to find out."""
    import tempfile

    from provision.whole_file import is_special

    if path.is_dir():
        raise UsageError(f"{path} cannot be written: it is a directory")
    if is_special(path):
        return path  # a pipe or a device: no file is created in its directory
    try:
        # Not os.access: its answer is wrong for /proc, where even root can't create a file.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            return path
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {path.parent}: {error.strerror}") from error


def reporter(args: argparse.Namespace) -> Any:
    """The reporter of standard output: JSON Lines, a terminal, or lines of text."""
    if args.json:
        from provision.report.jsonlines import JsonLines

        return JsonLines()
    from provision.report.layout import View, coloured, plain

    view = View(getattr(args, "diff", True), getattr(args, "verbose", False))
    colour = _colour(getattr(args, "color", "auto"))
    if sys.stdout.isatty() and not args.plain:
        from provision.report.terminal import Terminal

        return Terminal(view=view, colour=colour)
    from provision.report.text import Text

    return Text(view=view, style=coloured if colour else plain)


def _colour(given: str) -> bool | None:
    """True to colour; ``None``: if the output is a terminal. --color has precedence over NO_COLOR (no-color.org),
    and that over FORCE_COLOR (force-color.org)."""
    if given != "auto":
        return given == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR", "0") not in ("", "0") else None


def journal(args: argparse.Namespace, request: RunRequest, found: Loaded) -> Callable[[Shown], None]:
    from provision.report.journal import Journal

    head = {
        "mode": request.goal.value,
        "playbook": str(args.playbook),
        "by": whoami(),
        "hosts": [config.host.name for config in found.configs],
        "resumes" if request.goal.resumes else "brings_back": request.earlier,
    }
    try:
        return Journal(args.playbook, request.run, head)
    except OSError as error:
        raise UsageError(
            f"the journal of the run cannot be written: {told(error)}; make the directory of the playbook writable"
            " (no host was touched)"
        ) from error


def whoami() -> str:
    import socket

    return f"{getpass.getuser()}@{socket.gethostname()}"
