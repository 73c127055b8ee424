"""Random trees of ssh's configuration files, and questions about hosts, for the comparison with ``ssh -G``.

A tree has Include with quotes, globs, variables, tokens and ``~``; Host and Match with every criterion of the installed
ssh; and canonicalisation. Its hosts have names that differ only in case, addresses that are not canonical, and names
that are another host's address.
"""

from __future__ import annotations

import os
import random
import subprocess
from functools import cache
from pathlib import Path

from provision.transport.ssh_config import Question

HOSTS = [
    "web1",
    "web2",
    "WEB1",
    "db1",
    "jump",
    "x",
    "localhost",
    "web1.lab.test",
    "db1.lab.test",
    "10.0.0.7",
    "198.51.100.16",
    "198.51.100.017",
    "198.51.100.020",
    "0xc6.51.100.17",
    "fe80::1",
    "fd53:5348::16",
    "fd53:5348:0::16",
    "FD53:5348:0:0::16",
]
#: Hosts that a mistake would confuse: names that differ in case, and forms of one address.
ALIKE = (HOSTS[:6] + HOSTS[7:9], HOSTS[9:])
PATTERNS = [
    *HOSTS,
    "*",
    "web*",
    "w?b1",
    "!web2",
    "!x",
    "*.lab.test",
    "10.0.*",
    "198.51.100.*",
    "fd53:*",
    "[wd]*",
]
SETTINGS = [
    "User u{n}",
    "User=u{n}",
    "Port 22{n}",
    "HostName h{n}.lab.test",
    "HostName web1",
    "HostName DB1",
    "HostName %h.lab.test",
    "HostName fd53:5348:0::{n}",
    "HostName 198.51.100.01{n}",
    "HostKeyAlias a{n}",
    "ProxyJump j{n}",
    "ProxyJump none",
    "ProxyCommand nc %h %p # {n}",
    "IdentityFile ~/.ssh/%h{n}",
    'IdentityFile "~/.ssh/my key {n}"',
    "CertificateFile ~/.ssh/k{n}-cert.pub",
    "IdentityAgent ${{SSH_TREE}}/agent{n}",
    "UserKnownHostsFile /k{n}/%h /k{n}/%n",
    'UserKnownHostsFile "/my files/{n}"',
    "GlobalKnownHostsFile none",
    "StrictHostKeyChecking yes",
    "BindAddress 10.0.0.{n}",
    "SetEnv A{n}=b",
    "Ciphers -aes128*",
    "ForkAfterAuthentication yes",
]
CANONICAL = [
    "CanonicalizeHostname yes\n",
    "CanonicalizeHostname always\nCanonicalDomains none\n",
    "CanonicalizeHostname yes\nCanonicalDomains lab.invalid\nCanonicalizeMaxDots 0\n",
    "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\nCanonicalDomains lab.invalid\n",
]
#: Criterion of Match -> its arguments. An older ssh does not have all of them.
CRITERIA = {
    "all": [""],
    "final": ["", "host *"],
    "canonical": ["", "host *"],
    "host": PATTERNS,
    "originalhost": PATTERNS,
    "user": ["root", "u*", "alice", "!u1"],
    "localuser": ["root", "daemon,!root", "*"],
    "exec": ['"test %n = web1"', '"test %h = h1.lab.test"', "true", '"test -e {folder}/flag"'],
    "localnetwork": ["127.0.0.0/8", "192.0.2.0/24"],
    "tagged": ["t1", "t*"],
    "command": ['"exec /bin/sh"', "*sh", '"rsync *"'],
    "sessiontype": ["exec", "none", "shell,subsystem"],
    "version": ["OpenSSH_*", "*_9.*"],
}
PLACES = ["part.conf", "hosts.d/1.conf", "hosts.d/2.conf", "my hosts.d/1.conf", "host's/1.conf", "deep/1.conf"]
INCLUDES = [
    "Include {folder}/part.conf",
    "Include={folder}/part.conf",
    'Include "{folder}/hosts.d/*"',
    "Include '{folder}/hosts.d/*'",
    "Include {folder}/hosts.d/?.conf {folder}/part.conf",
    'Include "{folder}/my hosts.d/*"',
    "Include {folder}/my\\ hosts.d/*",
    'Include {folder}/"my hosts.d"/*',
    'Include "{folder}/host\'s/1.conf"',
    "Include ~/../{folder}/hosts.d/[12].conf",
    "Include ${{SSH_TREE}}/hosts.d/*",
    'Include "${{SSH_TREE}}/my hosts.d/*"',
    "Include %d/../{folder}/hosts.d/*",
    "Include %d/../{folder}/%u.conf",
    "Include {folder}/nothing/*.conf",
    'inClude "{folder}"/hosts.d/1.conf # a comment',
]


@cache
def criteria(ssh: str) -> tuple[str, ...]:
    """The criteria of Match that this ssh has."""
    known = {"exec": "true", "localnetwork": "127.0.0.0/8"}

    def works(name: str) -> bool:
        line = f"Match {name} {known.get(name, '' if name in ('all', 'final', 'canonical') else 'exec')}\n"
        argv = [ssh, "-G", "-F", "/dev/stdin", "--", "x", "true"]
        return subprocess.run(argv, input=line.encode(), capture_output=True, check=False).returncode == 0

    return tuple(name for name in CRITERIA if works(name))


class Tree:
    """A tree in a directory, made of a random number. ``edit`` changes one of its files."""

    def __init__(self, choose: random.Random, folder: Path, ssh: str) -> None:
        self.choose, self.folder, self.criteria = choose, folder, criteria(ssh)
        for place in PLACES:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(self._text(include=False))
        (folder / "deep/1.conf").write_text(self._text(include=True))
        head = choose.choice(CANONICAL) if choose.random() < 0.2 else ""
        head += "Tag t1\n" if "tagged" in self.criteria and choose.random() < 0.3 else ""
        deep = f"Include {folder}/deep/1.conf\n" if choose.random() < 0.3 else ""
        (folder / "config").write_text(head + self._text(include=True) + deep)

    def edit(self) -> None:
        (self.folder / self.choose.choice(PLACES)).write_text(self._text(include=False))
        (self.folder / "flag").touch()

    def questions(self, number: int) -> list[Question]:
        choose = self.choose
        config = ("-F", str(self.folder / "config"))
        further = [(), (), (), ("-o", "Port=99"), ("-o", 'User="al ice"'), ("-J", "web2"), ("-4",)]
        hosts = choose.sample(choose.choice([HOSTS, *ALIKE]), number)

        def login() -> tuple[int | None, str | None, tuple[str, ...], tuple[str, ...], bool]:
            port, user = choose.choice([None, None, 22, 2222]), choose.choice([None, None, "root", "alice"])
            return port, user, (*config, *choose.choice(further)), choose.choice(further), choose.random() < 0.1

        # Most fleets have the same login on each host.
        same = login() if choose.random() < 0.7 else None
        return [Question(host, *(same or login())) for host in hosts]

    def __str__(self) -> str:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return "\n".join(f"--- {path}\n{path.read_text()}" for path in files)

    def _text(self, include: bool) -> str:
        choose, lines = self.choose, []
        if include and choose.random() < 0.5:
            lines.append(self._fill(choose.choice(INCLUDES)))
        for _ in range(choose.randint(1, 4)):
            lines.append(self._head())
            lines += [f"  {self._fill(one)}" for one in choose.sample(SETTINGS, choose.randint(1, 3))]
            if include and choose.random() < 0.5:
                lines.append(f"  {self._fill(choose.choice(INCLUDES))}")
        return "\n".join(lines) + "\n"

    def _head(self) -> str:
        choose = self.choose
        if choose.random() < 0.5:
            patterns = choose.sample(PATTERNS, choose.randint(1, 3))
            return choose.choice(["Host {}", "Host={}", 'Host "{}"', "hOST\t{}"]).format(" ".join(patterns))
        names = choose.sample(self.criteria, choose.randint(1, 2))
        if "all" in names:  # it stands alone
            return "Match all"
        return "Match " + " ".join(map(self._criterion, names))

    def _criterion(self, name: str) -> str:
        argument = self.choose.choice(CRITERIA[name])
        if name in ("host", "originalhost"):
            argument = ",".join(self.choose.sample(PATTERNS, self.choose.randint(1, 2)))
        negated = "!" if self.choose.random() < 0.2 and argument else ""
        return f"{negated}{name} {self._fill(argument)}".rstrip(" ")

    def _fill(self, text: str) -> str:
        if "{folder}" in text or "{n}" in text or "{{" in text:
            return text.format(folder=self.folder, n=self.choose.randint(1, 9))
        return text


def variables(folder: Path) -> dict[str, str]:
    """The environment of a tree. A name server that does not answer must not take long."""
    return {**os.environ, "SSH_TREE": str(folder), "RES_OPTIONS": "timeout:1 attempts:1"}
