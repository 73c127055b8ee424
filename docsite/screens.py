"""Record the screens of the site: real commands on real hosts of the lab, as a terminal of 92 columns shows them.

``make screens`` (Linux, root) boots three hosts, runs each command of :data:`SCREENS` in a project that
`provision init` wrote, and writes docs/img/*.svg. The commands run in a pseudoterminal; rich draws what it shows when
they end.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from provision.lab.labs import Lab

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs/img"
WIDTH = 92

#: The file of the screen, the words of the command, and the number of lines that the screen keeps (None: all).
SCREENS: tuple[tuple[str, tuple[str, ...], int | None], ...] = (
    ("plan", ("plan",), 60),
    ("apply", ("apply", "--yes"), -12),
    ("again", ("apply", "--yes"), None),
    ("verify", ("verify", "--suite", "daemon"), None),
    ("runs", ("runs",), None),
)

#: What only the lab has: its own mirror, the key that signs it, and this machine's control groups. `plan` is recorded
#: with the settings that `provision init` writes. It reads the hosts, and asks no mirror.
_OF_THE_LAB = re.compile(r"^ *(?:# The lab's |package_mirror:|package_fingerprint:|cgroup_driver:).*\n", re.MULTILINE)

#: The screens that need no host.
OFFLINE: tuple[tuple[str, tuple[str, ...], int | None], ...] = (("lint", ("lint", "daemon.json"), None),)

#: Colours with a contrast of at least 4.5 to 1 on the dark background.
_THEME = TerminalTheme(
    (30, 33, 41),
    (226, 228, 233),
    [
        (30, 33, 41),
        (255, 123, 114),
        (126, 201, 120),
        (227, 179, 65),
        (121, 160, 255),
        (214, 140, 255),
        (86, 206, 220),
        (226, 228, 233),
    ],
)

#: rich's own format, without the fonts that it would load from another host.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
}}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Screen:
    """The lines that a terminal shows after a program's output. It supports what rich's live display needs."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def write(self, data: str) -> None:
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", data):
            if part == "\n":
                self._row += 1
                if self._row == len(self.lines):
                    self.lines.append("")
            elif part.endswith("A") and part.startswith("\x1b["):
                self._row = max(0, self._row - int(part[2:-1] or 1))
            elif part.endswith("K") and part.startswith("\x1b["):
                self.lines[self._row] = ""
            elif part != "\r" and not (part.startswith("\x1b[") and not part.endswith("m")):
                self.lines[self._row] += part

    def text(self) -> list[str]:
        lines = list(self.lines)
        while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip():
            lines.pop()
        return lines


def run(words: tuple[str, ...], folder: Path) -> list[str]:
    """The content of a terminal after ``provision WORDS`` has ended."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": "200", "LC_ALL": "C.UTF-8"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(ROOT / ".venv/bin/provision", ("provision", *words), environment)  # noqa: S606
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"provision {' '.join(words)} failed:\n" + b"".join(pieces).decode())
    screen = Screen()
    screen.write(b"".join(pieces).decode())
    return screen.text()


def draw(command: str, lines: list[str]) -> str:
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.assemble(("$ ", "dim"), (command, "bold")), highlight=False)
    for line in lines:
        console.print(Text.from_ansi(line), highlight=False)
    identity = re.sub(r"[^a-z]+", "-", command)
    return console.export_svg(title="", theme=_THEME, code_format=_FORMAT, unique_id=f"screen-{identity}")


def cut(lines: list[str], most: int | None) -> list[str]:
    """The first ``most`` lines (the last ones if it is negative), with a mark for the lines that are left out."""
    if most is None or len(lines) <= abs(most):
        return lines
    return [*lines[:most], "…"] if most > 0 else ["…", *lines[most:]]


def project(folder: Path) -> None:
    """The files that `provision init` writes, and the reference setup's broken daemon.json."""
    answers = ("--hosts", "", "--user", "root", "--engine", "docker", "--mirror", "docker", "--live-restore")
    if run(("init", str(folder), *answers), folder.parent)[-1:] == []:
        raise SystemExit("provision init wrote nothing")
    shutil.copy(ROOT / "tests/data/reference_daemon.json", folder / "daemon.json")


def record(image: str, words: tuple[str, ...], most: int | None, folder: Path) -> None:
    svg = draw(f"provision {' '.join(words)}", cut(run(words, folder), most))
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{image}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "myfleet")
        project(folder)
        for screen in OFFLINE:
            record(*screen, folder)
        if sys.argv[1:] == ["--offline"]:
            return
        lab = Lab("docs")
        try:
            lab.up(dict.fromkeys(lab.names(3), "trixie"))
            hosts, settings = folder / "inventory/hosts.yml", folder / "inventory/group_vars"
            hosts.write_text(_OF_THE_LAB.sub("", lab.inventory()))
            plan, *others = SCREENS
            record(*plan, folder)
            shutil.rmtree(settings)
            hosts.write_text(lab.inventory())
            for screen in others:
                record(*screen, folder)
        finally:
            lab.down()


if __name__ == "__main__":
    main()
