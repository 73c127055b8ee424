"""The meaning of exit codes and error kinds for an operator: why they occur, what to do, and an example. ``provision
explain`` prints the texts of ``explanations.yml``, and the reference page is made from them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from provision.errors import EXIT_CODES
from provision.model import FAILURES


class Explanation(Struct, frozen=True):
    """``why`` and ``todo`` are sentences; ``example`` has commands of a shell, one on each line."""

    meaning: str
    why: str
    todo: str
    example: str


class _Texts(Struct):
    kinds: dict[str, dict[str, str]]
    codes: dict[int, dict[str, str]]


_TEXTS = msgspec.yaml.decode(Path(__file__).with_suffix(".yml").read_bytes(), type=_Texts)
#: By ``error.kind``, in the order of :data:`FAILURES`.
KINDS = {name: Explanation(FAILURES[name], **texts) for name, texts in _TEXTS.kinds.items()}
#: By exit code.
CODES = {number: Explanation(EXIT_CODES[number], **texts) for number, texts in _TEXTS.codes.items()}
