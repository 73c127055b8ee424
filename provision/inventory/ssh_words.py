"""Words of ssh's command line in an inventory (``ansible_ssh_args`` and others) -> words that ssh can be asked about.

Which options are honoured is not decided here: ssh resolves them, and the table of docs/ssh.md judges the answer. Words
that are no option of a login (a command, ``-N``, ``-W``) are refused.
"""

from __future__ import annotations

import shlex

#: Flags with a value, and what ssh_config(5) calls them where ``ssh -G`` is asked with the option instead.
_VALUED = {"-o", "-J", "-p", "-i", "-F", "-l", "-c", "-m", "-b", "-B", "-L", "-R", "-D", "-e", "-I", "-S"}
#: Flags that say nothing of where to log in.
_PLAIN = set("46aACkKqTvxXYy")


def words(text: str) -> tuple[str, ...]:
    """Raises ``ValueError`` that names the word which is not understood."""
    found: list[str] = []
    rest = shlex.split(text)
    while rest:
        word = rest.pop(0)
        flag, value = word[:2], word[2:]
        if flag in _VALUED:
            if not value and not rest:
                raise ValueError(f"{word} lacks its value")
            value = value or rest.pop(0)
            if flag == "-o" and not value.lstrip(" \t"):
                raise ValueError("-o lacks its option")
            found += [flag, value]
        elif word[:1] == "-" and len(word) > 1 and set(word[1:]) <= _PLAIN:
            found.append(word)
        else:
            raise ValueError(f"{word} is no option of a login")
    return tuple(found)
