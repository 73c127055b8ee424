"""Replace the tokens and variables in values of ssh_config(5), as ssh does where it uses such a value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from provision.errors import SpecError


def expand(text: str, tokens: Mapping[str, str], *, variables: bool = True) -> str:
    """Replace the tokens of ssh_config(5) and ``${VARIABLE}``. Raises :class:`SpecError` for unknown ones.

    ``variables`` is false for a keyword that "ENVIRONMENT VARIABLES" of ssh_config(5) does not name, as ProxyCommand:
    the shell that runs the command replaces its variables.
    """

    def one(match: re.Match[str]) -> str:
        if match[1] is not None:
            if not variables:
                return match[0]
            if match[1] not in os.environ:
                raise SpecError(f"{text}: the environment variable {match[1]} is not set", key="ssh_config")
            return os.environ[match[1]]
        if not match[2]:
            raise SpecError(f"{text}: no token follows the % at the end (%% is a percent sign)", key="ssh_config")
        if match[2] not in tokens:
            raise SpecError(f"{text}: unsupported token %{match[2]}", key="ssh_config")
        return tokens[match[2]]

    return re.sub(r"\$\{([A-Za-z0-9_]+)\}|%(.?)", one, text)
