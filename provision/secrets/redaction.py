"""Removes secrets from texts that leave the machine: a support bundle. It removes too much rather than too little.

In a file of the project only the values of keys that are known to hold no secret stay (:attr:`Redactor.known`). No
list of words finds the name of every secret: ``db_pw``, ``psk``, ``encryption_key``. provision's own texts (journals,
checks) have their secrets masked already; patterns find what programs have printed there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from typing import Any

import yaml
from yaml.nodes import Node

from provision.secrets import secret

MASKED = "<masked>"
#: Shorter values are not searched for: they would be found everywhere.
_SHORTEST = 4
_NAME = (
    r"pass(?!ed)|pwd|(?<![a-z])pw(?![a-z])|bindpw|psk|secret|token|credential|(?<![a-z])auth(?![a-z])"
    r"|(?:api|private|access|encryption|signing|master|shared)[_-]?key"
)
_SENSITIVE = re.compile(_NAME, re.IGNORECASE)
_BLOCK = r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|ENCRYPTED FILE)[A-Z0-9 ]*-----"
_PATTERNS = (
    # The whole block, or to the end of a text that was cut.
    (re.compile(rf"{_BLOCK}.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), MASKED),
    (re.compile(r"\$ANSIBLE_VAULT;[^\n]*(?:\n\s*[0-9a-fA-F]+)*"), MASKED),
    (re.compile(r"AGE-SECRET-KEY-[A-Z0-9]+", re.IGNORECASE), MASKED),
    (re.compile(r"://[^\s/\"'<>]*@"), f"://{MASKED}@"),
    (re.compile(r"(://[^\s?\"'<>]*\?)[^\s\"'<>]+"), rf"\1{MASKED}"),
    (re.compile(r"\b(Bearer|Basic)\s+\S+", re.IGNORECASE), rf"\1 {MASKED}"),
    (re.compile(r"\$(?:1|5|6|y|2[abxy]|apr1)\$\S+"), MASKED),
    (re.compile(r"\b(?:gh[a-z]_|glpat-|xox[a-z]-|dckr_pat_|AKIA|eyJ)[A-Za-z0-9_.-]{8,}"), MASKED),
    # A webhook: its path is its secret.
    (re.compile(r"(https?://(?:hooks\.slack\.com|[\w.-]*webhook[\w.-]*|discord(?:app)?\.com)/)\S+"), rf"\1{MASKED}"),
    # A word that is followed by its value, as in redis.conf and in a docker login.
    (
        re.compile(r"\b((?:requirepass|masterauth|bindpw|password|passwd|psk)[ \t]+)(?=\S*[^\sa-z])\S+"),
        rf"\1{MASKED}",
    ),
    # An option of a command.
    (re.compile(rf"(--?[\w-]*(?:{_NAME})[\w-]*[ =]+)\S+", re.IGNORECASE), rf"\1{MASKED}"),
    # To the end of the line: where a value ends depends on the format.
    (re.compile(rf"([\w.-]*(?:{_NAME})[\w.-]*[\"']?\s*[:=]\s*)(?=\S)[^\n]*", re.IGNORECASE), rf"\1{MASKED}"),
)


#: A line of a file that is neither YAML nor JSON: a comment, or names with their values.
_COMMENT = re.compile(r"(?m)^([ \t]*[#;]).*$")
_PAIR = re.compile(
    r"(?m)(?<![\w.-])([\"']?)([A-Za-z_][\w.-]*)\1([ \t]*[:=][ \t]*)"
    r"(\"[^\"\n]*\"|'[^'\n]*'|\S[^\n]*?(?=[ \t]+[\w.-]+=|$))"
)
_FILLED_IN = re.compile(r"\{\{[^{}]*\}\}|\{%.*%\}|\[|\{")
#: Values that are no secret, whatever their key is.
_HARMLESS = re.compile(
    r"|true|false|yes|no|null|~|[0-9]{1,5}|[0-9a-fA-F:.]+/[0-9]{1,3}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.IGNORECASE
)


class Redactor:
    """``fields`` are names of keys whose values may be secrets, in addition to those whose name suggests a secret.
    ``known`` are the keys whose values stay in a file of the project, unless ``fields`` or its name speaks against it.
    Values that :meth:`yaml` and :meth:`data` have masked are masked wherever :meth:`text` finds them afterwards, also
    encoded (:func:`secret.spelled`)."""

    def __init__(self, fields: Collection[str] = (), known: Collection[str] = ()) -> None:
        self._fields = frozenset(fields)
        self.known = frozenset(known) - self._fields
        #: keys of mappings: names of hosts, groups and objects
        self._names: set[str] = set()
        self._values: set[str] = set()
        #: files that ``!secret`` names
        self.files: set[str] = set()

    def text(self, text: str) -> str:
        for value in sorted(self._values - self._names, key=len, reverse=True):
            text = text.replace(value, MASKED)
        text = secret.mask(text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def lines(self, text: str) -> str:
        """A file of names and values (INI, a template)."""

        def value(found: re.Match[str]) -> str:
            quote, name, between, given = found.groups()
            if self._stays(name, given.strip("\"' ")) or _FILLED_IN.match(given):
                return found[0]
            return f"{quote}{name}{quote}{between}{self._hidden(given)}"

        return self.text(_PAIR.sub(value, _COMMENT.sub(rf"\1 {MASKED}", text)))

    def yaml(self, text: str) -> str:
        """The documents without comments. Raises ``yaml.YAMLError``."""
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        done: set[tuple[int, bool]] = set()
        for node in nodes:
            self._node(node, False, done)
        return str(yaml.serialize_all(nodes, Dumper=yaml.SafeDumper, allow_unicode=True))

    def data(self, value: Any, masked: bool = False, key: str | None = None) -> Any:
        """JSON's values. ``key`` is the name of a value in a file of the project (empty for the file itself)."""
        if isinstance(value, dict):
            self._names |= value.keys()
            return {
                self.text(name): self.data(one, masked or self._sensitive(name), None if key is None else name)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self.data(one, masked, key) for one in value]
        if isinstance(value, str) and key is not None:
            masked = masked or not self._stays(key, value)
        if masked and value is not None:
            return self._hidden(str(value))
        return self.text(value) if isinstance(value, str) else value

    def json(self, text: str) -> str:
        """Raises ``ValueError``."""
        return json.dumps(self.data(json.loads(text), key=""), indent=2) + "\n"

    def _node(self, node: Node, masked: bool, done: set[tuple[int, bool]], key: str = "") -> None:
        if (id(node), masked) in done:
            return
        done.add((id(node), masked))
        if isinstance(node, yaml.ScalarNode):
            hidden = masked or node.tag in ("!vault", "!secret") or not self._stays(key, node.value)
            node.value = self._hidden(node.value) if hidden else self.text(node.value)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._node(one, masked, done, key)
        elif isinstance(node, yaml.MappingNode):
            source = node.tag == "!secret"
            for named, value in node.value:
                name = named.value if isinstance(named, yaml.ScalarNode) else ""
                if source and name in ("file", "age") and isinstance(value, yaml.ScalarNode):
                    self.files.add(value.value)
                elif source and name == "env" and isinstance(value, yaml.ScalarNode):
                    self._hidden(os.environ.get(value.value, ""))
                self._names.add(name)
                if isinstance(named, yaml.ScalarNode):
                    named.value = self.text(named.value)
                # The name of a secret's source is no secret.
                if not source:
                    self._node(value, masked or self._sensitive(name), done, name)

    def _sensitive(self, key: str) -> bool:
        return key in self._fields or _SENSITIVE.search(key) is not None

    def _stays(self, key: str, value: str) -> bool:
        """True if a value of a project's file is known to be no secret."""
        return not self._sensitive(key) and (key in self.known or _HARMLESS.fullmatch(value) is not None)

    def _hidden(self, value: str) -> str:
        # The name of an option is in other texts too.
        if "{{" not in value and value != MASKED and not re.fullmatch(r"--?[a-z-]+", value):
            lines = [line.strip() for line in value.split("\n")]
            for one in (value, *lines):
                if len(one) >= _SHORTEST:
                    self._values |= {one, *secret.spelled(one)}
        return MASKED
