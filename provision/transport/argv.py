r"""Split a command line of ssh_config(5) into words as OpenSSH does (misc.c, argv_split). A shell has other rules: here
only \\, \", \' and, outside of quotes, a backslash before a space are escapes; every other backslash is kept."""

from __future__ import annotations


def split(text: str) -> list[str]:
    """Raises :class:`ValueError` for a quote that is not closed."""
    words: list[str] = []
    inside, quote, escaped = False, "", False
    for character, following in zip(text, f"{text[1:]}\0", strict=True):
        if not inside:
            if character in " \t":
                continue
            words.append("")
            inside = True
        if escaped:
            escaped = False
        elif character == "\\" and following in ("\\\"'" if quote else "\\\"' "):
            escaped = True
            continue
        elif quote and character == quote:
            quote = ""
            continue
        elif not quote and character in "\"'":
            quote = character
            continue
        elif not quote and character in " \t":
            inside = False
            continue
        words[-1] += character
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    return words
