"""The program's entry point. It imports nothing before Ctrl-C is handled: an interrupt in an import is no traceback."""


def console() -> None:
    """Run the command line; never returns. Exits with 130 where Ctrl-C comes before or after the command itself."""
    try:
        from provision import cli

        cli.console()
    except KeyboardInterrupt:
        import sys

        sys.stderr.write("provision: interrupted\n")
        raise SystemExit(130) from None
