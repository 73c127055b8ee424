"""Questions at a terminal. The default is in brackets. After an invalid answer, the question is asked again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from provision.errors import UsageError
from provision.visible import line, show

T = TypeVar("T")


def at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def ask(
    question: str,
    default: str,
    parse: Callable[[str], T],
    shown: str | None = None,
    unanswered: str = "nothing was written",
) -> T:
    """The answer, as ``parse`` returns it. Where that raises ``ValueError``, its message is shown and the question is
    asked again. An empty answer is ``default``, which is described by ``shown``. ``unanswered`` is part of the error
    message if the input ends."""
    while True:
        try:
            # readline needs the prompt: it would overwrite a text that was printed before.
            answer = input(line(f"{question} [{default if shown is None else shown}]: "))
        except EOFError:
            raise UsageError(f"the questions have no answer (end of input); {unanswered}") from None
        try:
            return parse(answer.strip() or default)
        except ValueError as error:
            show(f"  {line(str(error))}\n")


def yes(text: str) -> bool:
    """Raises ``ValueError`` for neither yes nor no."""
    words = {"y": True, "yes": True, "n": False, "no": False}
    if text.lower() not in words:
        raise ValueError(f"{text}: answer yes or no")
    return words[text.lower()]


def one_of(*words: str) -> Callable[[str], str]:
    """A parser for one of these words, or the beginning of one."""

    def parse(text: str) -> str:
        found = [word for word in words if word.startswith(text.lower())]
        if len(found) != 1:
            raise ValueError(f"{text}: answer {' or '.join(words)}")
        return found[0]

    return parse
