"""The settings of OpenSSH for a host, as OpenSSH itself resolves them: ``ssh -G`` (ssh(1)).

provision reads no file of ssh's configuration: only ssh knows which files it reads, and what their lines mean for a
host. So ssh is asked about each host of a run, and no answer is used for another host or stored for another run. An
answer takes ssh 4 to 7 ms of CPU time; several processes run at a time.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from msgspec import Struct

from provision.errors import SpecError
from provision.lines import lines_of
from provision.secrets import secret

#: Seconds for one ``ssh -G``, because ``Match exec`` may run any command.
_TIMEOUT = 60.0
#: Concurrent ``ssh`` processes: nine tenths of the time are ssh's own CPU time. A loop in one thread was slower than a
#: pool, because it waits for each start.
_AT_ONCE = max(4, min(16, os.cpu_count() or 1))
#: The command that ssh is asked about: ``Match command`` and ``Match sessiontype`` depend on it (ssh_config(5)).
_COMMAND = "exec /bin/sh"
#: What ssh is asked about a jump host: ssh connects to it with ``-W`` and no command (ssh.c, ProxyJump).
_FORWARD = ("-W", "localhost:22")
#: What ssh says where its configuration has a RemoteCommand (ssh.c).
_TWO_COMMANDS = "Cannot execute command-line and remote command"
_Values = dict[str, tuple[str, ...]]


class Question(Struct, frozen=True):
    """A question to ssh: the host as the inventory names it, its port and user if the inventory has them, and further
    words of the command line. The words before ``-p`` and ``-l`` are separate from those behind them, because ssh uses
    the first value that it finds for an option. ``hop`` is a jump host."""

    host: str
    port: int | None = None
    user: str | None = None
    before: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    hop: bool = False

    @property
    def words(self) -> list[str]:
        """The words of ssh's command line: the account, the host, and what to do there."""
        end = [*_FORWARD, "--", self.host] if self.hop else ["--", self.host, _COMMAND]
        return [*self.account, *end]

    @property
    def account(self) -> list[str]:
        words = list(self.before)
        words += ["-p", str(self.port)] if self.port is not None else []
        words += ["-l", self.user] if self.user is not None else []
        return [*words, *self.behind]


@cache
def _account(uid: int) -> pwd.struct_passwd:
    """The entry of an account. Cached, because each call of pwd reads ``/etc/passwd``, or asks a directory service."""
    return pwd.getpwuid(uid)


def home() -> Path:
    """The account's home directory: ssh reads it from the account's entry, not from the environment."""
    return Path(_account(os.getuid()).pw_dir)


def local_user() -> str:
    """The account's name, as ssh uses it."""
    return _account(os.getuid()).pw_name


def user_file() -> Path:
    return home() / ".ssh" / "config"


def expanded(name: str) -> Path:
    """A file's name with ``~`` as ssh expands it."""
    if name == "~" or name.startswith("~/"):
        return home() / name[2:]
    return Path(os.path.expanduser(name))


class Resolved(Struct, frozen=True):
    """ssh's answer for one host: option in lower case -> its values, in ssh's order.

    ``defaults`` is what this ssh answers without a configuration; all hosts share it. ``changed`` are the options whose
    values differ from it: they are the operator's choice. An option that has no value here has the empty tuple.
    """

    host: str
    changed: _Values
    defaults: _Values

    def get(self, option: str, default: str = "") -> str:
        """The option's (first) value; ``default`` where ssh has none."""
        found = self.all(option)
        return found[0] if found else default

    def all(self, option: str) -> tuple[str, ...]:
        return self.changed.get(option, self.defaults.get(option, ()))

    @property
    def values(self) -> _Values:
        """The whole answer."""
        return {option: values for option, values in {**self.defaults, **self.changed}.items() if values}


class Resolver:
    """Asks ssh, once in a run for the same question. ``notes`` are for the operator."""

    def __init__(self) -> None:
        self.ssh = shutil.which("ssh")
        self.notes: list[str] = []
        self._defaults: _Values = {}
        self._answers: dict[Question, Resolved | SpecError] = {}

    def ask(self, questions: Iterable[Question]) -> None:
        """Ask ssh about several hosts at a time, for later calls of :meth:`resolve`."""
        new = [one for one in dict.fromkeys(questions) if one not in self._answers]
        if self.ssh is None or not new:
            return
        ssh = self.ssh
        self._defaults = self._defaults or _said(ssh, Question("localhost", before=("-F", "none")))

        def answer(question: Question) -> Resolved | SpecError:
            try:
                said = _said(ssh, question)
            except SpecError as error:
                return error
            differ = {one: said.get(one, ()) for one in said.keys() | self._defaults.keys()}
            changed = {one: values for one, values in differ.items() if values != self._defaults.get(one)}
            return Resolved(question.host, changed, self._defaults)

        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(new))) as pool:
            self._answers.update(zip(new, pool.map(answer, new), strict=True))

    def resolve(self, questions: Iterable[Question]) -> list[Resolved]:
        """The answers, in order. Raises :class:`SpecError` where ssh refuses its configuration."""
        questions = list(questions)
        if self.ssh is None:
            return [self._without(question) for question in questions]
        self.ask(questions)
        found = []
        for question in questions:
            answer = self._answers[question]
            if isinstance(answer, SpecError):
                raise answer
            found.append(answer)
        return found

    def _without(self, question: Question) -> Resolved:
        """The defaults of OpenSSH, for a machine without OpenSSH."""
        if question.before or question.behind:
            raise SpecError("ssh options need an ssh program on this machine", key="ansible_ssh_common_args")
        note = "no ssh program on this machine, so no ssh_config is read; OpenSSH's defaults are used"
        if note not in self.notes:
            self.notes.append(note)
        folder = user_file().parent
        defaults = {
            "userknownhostsfile": (f"{folder}/known_hosts {folder}/known_hosts2",),
            "globalknownhostsfile": ("/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",),
            "identityfile": tuple(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")),
        }
        changed: _Values = {
            "host": (question.host,),
            "hostname": (question.host.lower(),),
            "port": (str(question.port or 22),),
            "user": (question.user or local_user(),),
        }
        return Resolved(question.host, changed, defaults)


def _said(ssh: str, question: Question) -> _Values:
    host = question.host
    if not re.fullmatch(r"[^\s/@\"'`$\\;&<>|(){}\x00-\x1f-][^\s/@\"'`$\\;&<>|(){}\x00-\x1f]*", host):
        raise SpecError(f"{host!r} is not a host name that ssh accepts", key="ansible_host")
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            [ssh, "-G", *question.words],
            env=secret.environment(),  # it is also the environment of Match exec
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SpecError(f"ssh -G {host} did not finish within {_TIMEOUT:.0f} s", key="ssh_config") from error
    if done.returncode != 0:
        errors = lines_of(done.stderr.decode("utf-8", "replace"))
        said = "; ".join(line.strip(" \r") for line in errors if line and not line.startswith("Pseudo-terminal"))
        if _TWO_COMMANDS in said:
            hint = "set RemoteCommand none for this host"
            raise SpecError(f"{host}: RemoteCommand is not supported (ssh: {said})", key="ssh_config", hint=hint)
        raise SpecError(f"ssh -G {host}: {said or f'exited with {done.returncode}'}", key="ssh_config")
    return parsed(done.stdout.decode("utf-8", "surrogateescape"))


def parsed(text: str) -> _Values:
    """Parse the output of ``ssh -G``: option -> its values."""
    found: dict[str, list[str]] = {}
    for line in lines_of(text):
        option, _, value = line.partition(" ")
        found.setdefault(option.lower(), []).append(value)
    return {option: tuple(values) for option, values in found.items()}


def expand(text: str, tokens: Mapping[str, str], *, variables: bool = True) -> str:
    """Replace the tokens of ssh_config(5) and ``${VARIABLE}`` in a value, as ssh does where it uses the value. Raises
    :class:`SpecError` for unknown ones.

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
