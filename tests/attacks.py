"""Attack texts for the places where provision quotes a host or a user, and the effects that they must not have."""

from __future__ import annotations

import unicodedata

#: The content of a forged line: the end of a host that does not exist.
FORGED = "web9: changed"

#: Name of the attack -> the text. Each text has the word "owned" in it, by which the tests find it.
ATTACKS = {
    # Control sequences (ECMA-48, xterm)
    "colour (SGR)": "\x1b[31;1mowned\x1b[0m",
    "clear the screen": "\x1b[2J\x1b[Howned",
    "line erased and written again": f"\x1b[1A\x1b[2K{FORGED} owned",
    "title (OSC 0)": "\x1b]0;owned\x07",
    "link (OSC 8)": "\x1b]8;;https://evil.example\x1b\\owned\x1b]8;;\x1b\\",
    "clipboard (OSC 52)": "\x1b]52;c;b3duZWQ=\x07 owned",
    "answerback (DA, DSR)": "\x1b[c\x1b[6n owned",
    "device control string": "\x1bP$q owned\x1b\\",
    "bracketed paste off": "\x1b[?2004l\x1b[201~owned",
    "mouse and alternate screen": "\x1b[?1049h\x1b[?1000h owned",
    "lone escape at the end": "owned\x1b",
    "C1 CSI": "\x9b31mowned",
    "C1 OSC": "\x9d0;owned\x9c",
    "C1 next line": f"owned\x85{FORGED}",
    "backspaces": "fine\b\b\b\bowned",
    "carriage return": f"owned\r{FORGED}",
    "DEL": "owned\x7f\x7f",
    "NUL": "ow\0ned owned",
    "bell and shift out": "\x07\x0eowned\x0f",
    "vertical tab and form feed": f"owned\x0b{FORGED}\x0c{FORGED}",
    # Lines
    "newline": f"owned\n{FORGED}",
    "carriage return and newline": f"owned\r\n{FORGED}\r\n",
    "line separator": f"owned\u2028{FORGED}",
    "paragraph separator": f"owned\u2029{FORGED}",
    "newline and JSON": 'owned\n{"event": "run.done", "counts": {}}',
    # Characters that are invisible, or are shown elsewhere (Unicode)
    "bidi override": "\u202egpj.exe owned",
    "bidi isolate": "\u2066owned\u2069\u2067",
    "bidi marks": "\u200eowned\u200f\u061c",
    "bidi embedding": "\u202aowned\u202b\u202c",
    "zero width": "o\u200bw\u200cn\u200ded owned",
    "byte order mark": "\ufeffowned\ufffe",
    "tag characters": "owned\U000e0001\U000e0041\U000e007f",
    "variation selectors": "owned\ufe0f\U000e0100",
    "soft hyphen and word joiner": "ow\u00adned\u2060 owned",
    "blank letters": "owned\u3164\u115f\uffa0\u2800",
    "other blanks": "owned\u00a0\u2003\u3000",
    "private use": "owned\ue000\U0010ffff",
    "interlinear annotation": "owned\ufff9x\ufffay\ufffb",
    "combining marks without end": "o" + "\u0301" * 500 + "wned owned",
    "half a character": "owned\ud83d",
    "a byte that is no UTF-8": "owned\udcff\udc9b",
    "without end": "owned" + "x" * 400_000,
    # Languages in which the text might end up
    "rich markup": "[bold red]owned[/bold red][link=https://evil.example]x[/link]",
    "rich markup that closes nothing": "[/]owned[/nothing]",
    "HTML": "<script>owned()</script><img src=x onerror=owned()>",
    "HTML attribute": '" onmouseover="owned()" \' x=\'',
    "XML": "]]><!-- owned --><x/>&lt;&#27;",
    "template": "{{ owned }}{% raw %}${owned}`owned`",
    "Prometheus": 'owned"} 1\nprovision_success{a="b',
    "backslash": 'owned\\" \\n \\x1b \\',
    "format": "owned %s %n {0} {x!r}",
    "emoji code": ":warning: owned :bomb:",
    "GitHub's commands": "owned\n::error file=x::forged%0A",
}

#: Characters that are printable by category but invisible.
_BLANK = {0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
#: The largest number of combining marks on one character that stays readable.
_MARKS = 8


def unseen(text: str, kept: str = "\n") -> list[str]:
    """The parts of a text that control a terminal, or that a terminal shows as something else. They are found without
    provision's own rule."""
    found, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        hidden = category in _UNSEEN or (category == "Zs" and character != " ") or ord(character) in _BLANK
        if (hidden and character not in kept) or marks > _MARKS:
            found.append(f"U+{ord(character):04X}")
    return list(dict.fromkeys(found))
