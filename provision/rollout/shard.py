"""Run a few hosts on any machine: the work of a cluster's worker. This module does not import the cluster.

The machine has the same project directory and keys as the controller; no secret is transferred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from provision import __version__
from provision.catalog import Options
from provision.errors import UsageError
from provision.inventory import config, sources, vault
from provision.inventory.sources import Given, Reading
from provision.load import Loaded, Logins, load
from provision.model import Event, Failure
from provision.rollout.fanout import Gate, Queue, process
from provision.rollout.host_run import GOOD, HostRun, with_entry
from provision.rollout.run_request import RunContext, RunRequest
from provision.secrets import secret
from provision.text import sandbox
from provision.text.yamlfile import Map
from provision.transport.ssh import Connecting, Transport

_HOME = Path(__file__).parent.parent
#: Files that a run writes, and files that no host receives.
_NOT_OURS = {".provision", ".git", "__pycache__", ".venv"}


@cache
def release() -> str:
    """This version of provision: its number, and a hash of its code. Versions between releases share a number."""
    found = hashlib.sha256()
    for path in sorted(path for path in _HOME.rglob("*") if path.suffix in (".py", ".sh", ".yml")):
        # A wheel has a project's examples here, a checkout has them elsewhere.
        if "shipped" not in path.relative_to(_HOME).parts:
            found.update(f"{path.relative_to(_HOME)}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{__version__} ({found.hexdigest()[:12]})"


class Project(Struct, frozen=True):
    """The parts of a run, for another machine to load. ``digest`` is that of the files; a machine with other files
    refuses the run. With ``foresees`` (the run changes nothing), a text replaces everything that authorities have not
    issued yet."""

    inventory: Given | None
    playbook: Path
    extra: Map | None
    logins: Logins | None
    options: Options
    connecting: Connecting
    digest: str
    foresees: bool = False
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        """Raises :class:`UsageError` for a variable with a secret: only one process has its token."""
        named = [name for name, value in (self.extra or {}).items() if sandbox.measured([name, value])]
        if named:
            raise UsageError(
                f"with --cluster --extra-vars takes no secret ({', '.join(named)}): provision sends no secret to"
                " workers; declare it in the inventory, which each worker reads itself"
            )

    def load(self, hosts: tuple[str, ...]) -> Loaded:
        """Raises :class:`UsageError` where the files differ from those that the run was started with."""
        if digest(self.inventory, self.playbook) != self.digest:
            raise UsageError(f"{self.playbook.parent} or the inventory is not the same on this machine")
        secret.open_vaults_with(vault.Vault(vault.of_words(self.reading.vault_ids)).open)
        found = load(
            self.inventory,
            self.playbook,
            limit=",".join(hosts),
            extra=self.extra,
            logins=self.logins,
            options=self.options,
            foresees=self.foresees,
            reading=self.reading,
        )
        secret.resolve()
        return found


class Shard(Struct, frozen=True):
    """``again``: another worker began this shard and died, so each host is asked first how far it got. ``request`` has
    no callbacks."""

    project: Project
    request: RunRequest
    hosts: tuple[str, ...]
    preview: bool = False
    again: bool = False


def resolved(inventory: Given | None) -> tuple[str, ...]:
    """The sources of an inventory, as absolute paths: a worker has another working directory."""
    words = sources.given(inventory, config.read())
    return tuple(word if sources.is_list(word) else str(Path(word).resolve()) for word in words)


def digest(inventory: Given | None, playbook: Path) -> str:
    """A hash of every file that a run may read (the playbook's directory, and the inventory), and of Ansible's settings
    of a login."""
    found = hashlib.sha256(repr(sorted(config.read().login().items())).encode())
    folder = playbook.resolve().parent
    for root in sorted({folder, *(Path(word) for word in resolved(inventory) if not sources.is_list(word))}):
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            if not _NOT_OURS & set(path.parts):
                found.update(f"{path}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


class _Gate(Gate):
    """Lets hosts begin until the controller's word is not empty. The controller counts, and receives Ctrl-C."""

    def __init__(self, word: Callable[[], Literal["", "stop", "leave"]]) -> None:
        self._word = word

    @property
    def stopped(self) -> str:
        return "no further host is processed" if self._word() else ""

    @property
    def leaving(self) -> bool:
        return self._word() == "leave"


class _Hosts(Queue):
    """The hosts of a shard."""

    def ended(self, run: HostRun) -> None:
        run.release()
        if not self.preview:
            run.report_good()


def go(shard: Shard, emit: Callable[[Event], None], word: Callable[[], Literal["", "stop", "leave"]]) -> None:
    """Process the hosts up to their verification; every one ends in ``host.done`` or in ``host.good``. ``word`` is the
    controller's latest word."""
    left = set(shard.hosts)

    def told(event: Event) -> None:
        if event.name in ("host.done", GOOD):
            left.discard(event.host)
        # This process's tokens mean nothing in the controller, which compares the plan.
        emit(secret.each(with_entry(event, shard.project.options.salt), secret.stable))

    try:
        _go(shard, told, _Gate(word))
    except Exception as error:  # for example the project can't be loaded here: each host fails with it
        failure = Failure("worker", f"{type(error).__name__}: {error}")
        for host in sorted(left):
            told(Event("host.done", host, {"status": "failed", "changes": 0, "failure": failure}))


def _go(shard: Shard, emit: Callable[[Event], None], gate: _Gate) -> None:
    found = shard.project.load(shard.hosts)
    transport = Transport(shard.project.connecting)
    transport.prepare([config.host.login for config in found.configs])
    request = shard.request
    if shard.preview:
        request = replace(request, confirm=lambda plans: True)
    request = replace(request, again=shard.again)
    run_context = RunContext(found.context, transport, shard.project.options, request, emit)
    runs = [
        HostRun(run_context, config, config.rollout_options and config.rollout_options[1]) for config in found.configs
    ]
    hosts = _Hosts(runs, gate, shard.preview)
    try:
        process(hosts, len(hosts), request.forks)
        for run in hosts.left:
            run.skip(gate.stopped)
    finally:
        transport.close()


def plain(request: RunRequest) -> RunRequest:
    """The part of a request that can be transferred."""
    return replace(request, confirm=None, ask=None, verify=None, hook=None)
