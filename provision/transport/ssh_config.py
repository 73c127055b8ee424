"""The settings of OpenSSH for a host, as OpenSSH itself resolves them: ``ssh -G`` (ssh(1)).

``ssh -G`` takes 4 ms a host. Hosts that no pattern of the configuration distinguishes have the same answer, so ssh is
asked once for each such group (:meth:`Config.group`). Answers that depend only on files are cached in the user's cache
directory, under a hash of the contents of all files that ssh reads.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import hashlib
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from provision.errors import SpecError
from provision.lines import lines_of

#: Seconds for one ``ssh -G``, because ``Match exec`` may run any command.
_TIMEOUT = 60.0
#: How deep Include may nest (readconf.c, READCONF_MAX_DEPTH).
_DEPTH = 16
#: Concurrent ``ssh`` processes: nine tenths of the time are ssh's own CPU time. A loop in one thread was slower than a
#: pool, because it waits for each start.
_AT_ONCE = max(4, min(16, os.cpu_count() or 1))
#: Characters of names that are compared with patterns here. ssh is asked separately about any other name.
_PLAIN = re.compile(r"[A-Za-z0-9._:-]+\Z")
#: Options whose value ``ssh -G`` prints unchanged, or that provision does not use: a token in one of them does not make
#: the answers of two hosts differ.
_TOKENS_STAY = {
    "proxycommand",
    "identityfile",
    "certificatefile",
    "controlpath",
    "localcommand",
    "remotecommand",
    "knownhostscommand",
}
#: With one of these options the answer depends on more than files: on commands, name servers or networks.
_OUTSIDE = {"canonicalizehostname"}
_MATCH_OUTSIDE = {"exec", "localnetwork"}


class Question(Struct, frozen=True):
    """A question to ssh: the host as the inventory names it, its port and user if the inventory has them, and further
    words of the command line. The words before ``-p`` and ``-l`` are separate from those behind them, because ssh uses
    the first value that it finds for an option."""

    host: str
    port: int | None = None
    user: str | None = None
    before: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The words of ssh's command line that name the account and the host."""
        words = list(self.before)
        words += ["-p", str(self.port)] if self.port is not None else []
        words += ["-l", self.user] if self.user is not None else []
        return [*words, *self.behind]


class Config(Struct, frozen=True):
    """What ssh's configuration files mention. provision uses it to group hosts and to name a cache entry. Only ssh
    decides the value of an option.

    ``patterns`` are the patterns of all Host and Match lines, ``names`` the values of HostName, ``mentioned`` the
    options that have a value. ``apart`` means that ssh must be asked about each host separately. ``changing`` means
    that an answer is valid for this run only.
    """

    digest: str
    patterns: tuple[str, ...]
    names: frozenset[str]
    mentioned: frozenset[str]
    apart: bool
    changing: bool

    def group(self, host: str) -> object:
        """A value that is equal for two hosts if the configuration does not distinguish them.

        ssh evaluates Host and Match lines from the first to the last. For hosts that match the same patterns each line
        has the same result, so ssh takes the same values. ssh compares some names in lower case; this compares both
        forms. A host that a HostName line names is its own group, so that its name is not mistaken for that value.
        """
        lower = host.lower()
        if self.apart or not _PLAIN.match(host) or lower in self.names:
            return host
        exact, patterns = _sorted(self.patterns)
        return (
            host if host in exact or lower in exact else "",
            tuple(bool(one.match(host)) for one in patterns),
            tuple(bool(one.match(lower)) for one in patterns),
        )


@cache
def _sorted(patterns: tuple[str, ...]) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """Split patterns into names without a wildcard, and regular expressions."""
    exact = frozenset(text for one in patterns if not set(one) & set("*?") for text in (one, one.lower()))
    wild = [one for one in patterns if set(one) & set("*?")]
    texts = dict.fromkeys(text for one in wild for text in (one, one.lower()))
    # fnmatch supports [sets], ssh does not.
    return exact, tuple(re.compile(fnmatch.translate(text.replace("[", "[[]"))) for text in texts)


class _Scan:
    """The lines of a file and of those that it includes."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.patterns: dict[str, None] = {}
        self.names: set[str] = set()
        self.mentioned: set[str] = set()
        self.apart = self.changing = False

    def file(self, path: Path, folder: Path, depth: int = 0) -> None:
        """Read a file. ``folder`` is the base of relative names of Include (ssh_config(5))."""
        try:
            data = path.read_bytes()
        except OSError as error:
            # ssh ignores a file that does not exist, and reports a file without read permission itself.
            self.digest.update(f"{path}\0{error.errno}\0".encode())
            return
        self.digest.update(f"{path}\0{len(data)}\0".encode() + data)
        if depth > _DEPTH:
            return
        for line in lines_of(data.decode("utf-8", "surrogateescape")):
            self.line(line, folder, depth)

    def line(self, line: str, folder: Path, depth: int) -> None:
        found = re.match(r"[\s\"]*([A-Za-z0-9]+)[\s\"=]*(.*)", line)
        if found is None or line.lstrip(" \t").startswith("#"):
            return
        keyword, rest = found[1].lower(), found[2]
        words = rest.replace('"', "").replace("'", "").replace(",", " ").split()
        self.mentioned.add(keyword)
        if keyword in ("host", "match"):
            self.patterns.update(dict.fromkeys(word.lstrip("!") for word in words))
            self.apart = self.apart or "\\" in rest
        if keyword == "match":
            criteria = {part.lower().lstrip("!") for word in words for part in word.split("=")}
            self.patterns.update(dict.fromkeys(part.lstrip("!") for word in words for part in word.split("=")))
            self._outside(bool(criteria & _MATCH_OUTSIDE))
        if keyword == "hostname":
            self.names.update(word.lower() for word in words)
        if keyword == "include":
            self._include(rest, folder, depth)
        elif keyword not in _TOKENS_STAY and "%" in rest:
            self.apart = True
        self._outside(keyword in _OUTSIDE)
        if "${" in rest:
            # A variable of the environment: the same for all hosts, but it may differ in the next run.
            self.changing = True

    def with_words(self, words: tuple[str, ...]) -> Config:
        """The same configuration with the options of a command line; the caller handles ``-F``."""
        if not words:
            return self.config()
        both = _Scan()
        both.digest, both.patterns = self.digest, dict(self.patterns)
        both.names, both.mentioned = set(self.names), set(self.mentioned)
        both.apart, both.changing = self.apart, self.changing
        both.words(words)
        return both.config()

    def config(self) -> Config:
        return Config(
            self.digest.hexdigest(),
            tuple(self.patterns),
            frozenset(self.names),
            frozenset(self.mentioned),
            self.apart,
            self.changing,
        )

    def words(self, words: tuple[str, ...]) -> None:
        for word in words:
            self.line(word.removeprefix("-o"), Path(), _DEPTH + 1)
            self.mentioned.update({"-i": ["identityfile"], "-J": ["proxyjump"]}.get(word[:2], []))

    def _outside(self, outside: bool) -> None:
        if outside:
            self.apart = self.changing = True

    def _include(self, rest: str, folder: Path, depth: int) -> None:
        if "%" in rest or "\\" in rest:
            self.apart = self.changing = True
        for word in re.findall(r'"([^"]*)"|(\S+)', rest):
            name = str(expanded(word[0] or word[1]))
            for path in sorted(glob.glob(name if name.startswith("/") else str(folder / name))):
                self.file(Path(path), folder, depth + 1)


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


SYSTEM_FILE = Path("/etc/ssh/ssh_config")


def _scanned(named: str | None) -> _Scan:
    """Scan the files that ssh reads: the usual ones, or the one that ``-F`` names instead (ssh(1))."""
    scan = _Scan()
    folder = user_file().parent
    if named is None:
        scan.file(user_file(), folder)
        scan.file(SYSTEM_FILE, SYSTEM_FILE.parent)
    elif named != "none":
        scan.file(Path(named), folder)
    return scan


def _named_file(words: tuple[str, ...]) -> str | None:
    for number, word in enumerate(words):
        if word == "-F" and number + 1 < len(words):
            return words[number + 1]
        if word.startswith("-F") and len(word) > 2:
            return word[2:]
    return None


class Resolved(Struct, frozen=True):
    """ssh's answer for one host: option in lower case -> its values, in ssh's order. ``mentioned`` are the options that
    a file or the command line sets, which separates a choice from a default. ``asked`` is false without ssh."""

    host: str
    values: dict[str, tuple[str, ...]]
    mentioned: frozenset[str]
    asked: bool = True

    def get(self, option: str, default: str = "") -> str:
        """The option's (first) value; ``default`` where ssh has none."""
        found = self.values.get(option)
        return found[0] if found else default

    def all(self, option: str) -> tuple[str, ...]:
        return self.values.get(option, ())


class Resolver:
    """Asks ssh, and caches its answers for this run. ``notes`` are for the operator."""

    def __init__(self) -> None:
        self.ssh = shutil.which("ssh")
        self.notes: list[str] = []
        self._scans: dict[str | None, _Scan] = {}
        self._configs: dict[tuple[str, ...], Config] = {}
        self._answers: dict[object, dict[str, tuple[str, ...]]] = {}

    def resolve(self, questions: Iterable[Question]) -> list[Resolved]:
        """The answers, in order. Raises :class:`SpecError` where ssh refuses its configuration."""
        questions = list(questions)
        if self.ssh is None:
            return [self._without(question) for question in questions]
        keys = [self._key(question) for question in questions]
        asked = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._answers}
        if asked:
            self._ask(self.ssh, asked)
        return [self._answer(question, key) for question, key in zip(questions, keys, strict=True)]

    def _config(self, question: Question) -> Config:
        words = (*question.before, *question.behind)
        if words not in self._configs:
            named = _named_file(words)
            if named not in self._scans:
                self._scans[named] = _scanned(named)
            self._configs[words] = self._scans[named].with_words(words)
        return self._configs[words]

    def _key(self, question: Question) -> object:
        config = self._config(question)
        where = (question.port, question.user, question.before, question.behind)
        return (config.group(question.host), *where)

    def _ask(self, ssh: str, asked: dict[object, Question]) -> None:
        stored = _Stored(ssh)
        known = {key: stored.get(self._config(one), one) for key, one in asked.items()}
        new = {key: asked[key] for key, answer in known.items() if answer is None}
        self._answers.update({key: answer for key, answer in known.items() if answer is not None})
        if not new:
            return
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(new))) as pool:
            said = list(pool.map(lambda one: _said(ssh, one, self._config(one)), new.values()))
        for (key, question), answer in zip(new.items(), said, strict=True):
            self._answers[key] = answer
            stored.put(self._config(question), question, answer)
        stored.write()

    def _answer(self, question: Question, key: object) -> Resolved:
        values = self._answers[key]
        config = self._config(question)
        asked_for = values["host"][0]
        if asked_for != question.host:
            values = {**values, "host": (question.host,)}
            if values["hostname"][0] == asked_for.lower():
                values["hostname"] = (question.host.lower(),)
        return Resolved(question.host, values, config.mentioned)

    def _without(self, question: Question) -> Resolved:
        """The defaults of OpenSSH, for a machine without OpenSSH."""
        if question.before or question.behind:
            raise SpecError("ssh options need an ssh program on this machine", key="ansible_ssh_common_args")
        note = "no ssh program on this machine, so no ssh_config is read; OpenSSH's defaults are used"
        if note not in self.notes:
            self.notes.append(note)
        folder = user_file().parent
        values = {
            "host": (question.host,),
            "hostname": (question.host.lower(),),
            "port": (str(question.port or 22),),
            "user": (question.user or local_user(),),
            "userknownhostsfile": (f"{folder}/known_hosts {folder}/known_hosts2",),
            "globalknownhostsfile": ("/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",),
            "identityfile": tuple(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")),
        }
        return Resolved(question.host, values, frozenset(), asked=False)


def _said(ssh: str, question: Question, config: Config) -> dict[str, tuple[str, ...]]:
    if not re.fullmatch(r"[^\s/@\"'`$\\;&<>|(){}\x00-\x1f-][^\s/@\"'`$\\;&<>|(){}\x00-\x1f]*", question.host):
        raise SpecError(f"{question.host!r} is not a host name that ssh accepts", key="ansible_host")
    # Without a command to run, ssh refuses to resolve a configuration that sends it into the background.
    background = ["-o", "ForkAfterAuthentication=no"] if "forkafterauthentication" in config.mentioned else []
    argv = [ssh, "-G", *background, *question.words, "--", question.host]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SpecError(f"ssh -G {question.host} did not finish within {_TIMEOUT:.0f} s", key="ssh_config") from error
    if done.returncode != 0:
        errors = lines_of(done.stderr.decode("utf-8", "replace"))
        said = "; ".join(line.strip(" \r") for line in errors if line and not line.startswith("Pseudo-terminal"))
        raise SpecError(f"ssh -G {question.host}: {said or f'exited with {done.returncode}'}", key="ssh_config")
    return parsed(done.stdout.decode("utf-8", "surrogateescape"))


def parsed(text: str) -> dict[str, tuple[str, ...]]:
    """Parse the output of ``ssh -G``: option -> its values."""
    found: dict[str, list[str]] = {}
    for line in lines_of(text):
        option, _, value = line.partition(" ")
        found.setdefault(option.lower(), []).append(value)
    return {option: tuple(values) for option, values in found.items()}


_Values = dict[str, tuple[str, ...]]


class _Stored:
    """Answers of earlier runs, in a file of the user's cache directory that only the user may write. Each answer is
    stored as its difference from the first one of the file."""

    def __init__(self, ssh: str) -> None:
        stat = os.stat(ssh)
        # An answer also depends on the program, the account and the machine's name.
        self._base = (ssh, stat.st_size, stat.st_mtime_ns, os.getuid(), str(home()), platform.node())
        self._files: dict[str, dict[str, _Values]] = {}
        self._new: dict[str | None, set[str]] = {}

    def get(self, config: Config, question: Question) -> _Values | None:
        if config.changing:
            return None
        found = self._file(config)
        difference = found.get(_name(config, question))
        if difference is None:
            return None
        return {option: values for option, values in {**found[""], **difference}.items() if values}

    def put(self, config: Config, question: Question, answer: _Values) -> None:
        if config.changing:
            return
        first = self._file(config).setdefault("", answer)
        # An option that this answer lacks has no value: the empty tuple.
        difference = {option: answer.get(option, ()) for option in first.keys() | answer.keys()}
        changed = {option: values for option, values in difference.items() if values != first.get(option)}
        self._file(config)[_name(config, question)] = changed
        self._new.setdefault(_named_file((*question.before, *question.behind)), set()).add(self._path(config))

    def write(self) -> None:
        """Write new answers, unless a file changed while ssh was asked. A cache that can't be written is ignored."""
        for named, paths in self._new.items():
            for path in paths & {self._path(_scanned(named).config())}:
                with contextlib.suppress(OSError):
                    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                    with tempfile.NamedTemporaryFile("wb", dir=os.path.dirname(path), delete=False) as file:
                        file.write(msgspec.json.encode(self._files[path]))
                    os.replace(file.name, path)

    def _path(self, config: Config) -> str:
        name = hashlib.sha256(repr((self._base, config.digest)).encode()).hexdigest()
        caches = os.environ.get("XDG_CACHE_HOME") or str(home() / ".cache")
        return os.path.join(caches, "provision", "ssh", f"{name}.json")

    def _file(self, config: Config) -> dict[str, _Values]:
        path = self._path(config)
        if path not in self._files:
            self._files[path] = {}
            with contextlib.suppress(OSError, msgspec.MsgspecError), open(path, "rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_uid == os.getuid() and not stat.st_mode & 0o022:
                    self._files[path] = msgspec.json.decode(file.read(), type=dict[str, _Values])
        return self._files[path]


def _name(config: Config, question: Question) -> str:
    """The name of an answer in the cache. It is the same for hosts that the configuration does not distinguish."""
    return json.dumps([config.group(question.host), *question.words])
