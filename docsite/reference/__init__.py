"""The reference pages that are made from the code: ``python -m docsite.reference`` writes them (``make docs``).

They are checked in, as the pages of lint's rules are. So the repository's own view of docs/ shows them, without broken
links, and a review shows what a change of the code changes for users. A fast test fails when a page is out of date.
"""

from __future__ import annotations

from docsite.reference import api, commands, errors, events, spec

NOTE = "<!-- Made from the code by `make docs`; edit the code instead. -->\n\n"


def pages() -> dict[str, str]:
    """File name in docs/reference -> text."""
    made = {
        "spec.md": spec.page(),
        "commands.md": commands.page(),
        "errors.md": errors.page(),
        "events.md": events.page(),
        "api.md": api.page(),
    }
    return {name: NOTE + text for name, text in made.items()}
