"""Print the JSON Schema of a playbook, for editors and for programs that write playbooks."""

from __future__ import annotations

import argparse
import json

from provision.visible import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments."""


def run(args: argparse.Namespace) -> int:
    from provision.project.playbook import playbook_schema

    show(json.dumps(playbook_schema(), indent=2) + "\n")
    return 0
