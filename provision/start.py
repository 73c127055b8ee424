"""The program's entry point. It imports nothing before Ctrl-C is handled."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def console() -> None:
    """Run the command line; never returns."""
    try:
        import sys

        sys.unraisablehook = _ignored
        from provision import cli

        cli.console()
    except KeyboardInterrupt:
        _stop()


def _ignored(found: UnraisableHookArgs) -> None:
    """Receive an exception that CPython ignores, because it has no caller to pass it to. For a Ctrl-C in an import that
    is often so: the import locks have a callback of a weak reference for each module (importlib._bootstrap)."""
    import sys

    if found.exc_type is KeyboardInterrupt:
        _stop()
    sys.__unraisablehook__(found)


def _stop() -> None:
    import os

    os.write(2, b"provision: interrupted\n")
    os._exit(130)
