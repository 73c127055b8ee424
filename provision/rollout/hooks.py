"""Commands on the controller, before and after a host or a wave: run without a shell, with unchanged words."""

from __future__ import annotations

import subprocess
from pathlib import Path

from provision.secrets import secret


class Hooks:
    """Runs them in the playbook's directory. PROVISION_* describes the run; no secret is in the environment.

    ``seconds`` is the longest run time of one command.
    """

    def __init__(self, folder: Path, run: str, seconds: float) -> None:
        self.folder, self.run, self.seconds = folder, run, seconds

    def __call__(self, argv: list[str], about: dict[str, str]) -> str:
        """Return how the command failed, with its output; an empty text when it exited with 0."""
        words = {f"PROVISION_{name}": value for name, value in {"RUN": self.run, **about}.items()}
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command
                argv,
                cwd=self.folder,
                env={**secret.environment(), **words},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{argv[0]} took longer than {self.seconds:.0f} s"
        except OSError as error:
            return f"{argv[0]}: {error.strerror}"
        if done.returncode == 0:
            return ""
        said = secret.mask(done.stdout.decode("utf-8", "replace")).strip()
        return f"{argv[0]} exited with {done.returncode}{': ' if said else ''}{said[-2000:]}"
