"""Removes secrets from texts that leave the machine: a support bundle. It removes too much rather than too little."""

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
_NAME = r"pass(?!ed)|pwd|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credential|(?<![a-z])auth(?![a-z])"
_SENSITIVE = re.compile(_NAME, re.IGNORECASE)
_BLOCK = r"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|ENCRYPTED FILE)[A-Z0-9 ]*-----"
_PATTERNS = (
    # The whole block, or to the end of a text that was cut.
    (re.compile(rf"{_BLOCK}.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), MASKED),
    (re.compile(r"\$ANSIBLE_VAULT;[^\n]*(?:\n\s*[0-9a-fA-F]+)*"), MASKED),
    (re.compile(r"AGE-SECRET-KEY-[A-Z0-9]+", re.IGNORECASE), MASKED),
    (re.compile(r"://[^\s/\"'<>]*@"), f"://{MASKED}@"),
    (re.compile(r"\b(Bearer|Basic)\s+\S+", re.IGNORECASE), rf"\1 {MASKED}"),
    (re.compile(r"\$(?:1|5|6|y|2[abxy]|apr1)\$\S+"), MASKED),
    (re.compile(r"\b(?:gh[a-z]_|glpat-|xox[a-z]-|dckr_pat_|AKIA|eyJ)[A-Za-z0-9_.-]{8,}"), MASKED),
    # An option of a command.
    (re.compile(rf"(--?[\w-]*(?:{_NAME})[\w-]*[ =]+)\S+", re.IGNORECASE), rf"\1{MASKED}"),
    # To the end of the line: where a value ends depends on the format.
    (re.compile(rf"([\w.-]*(?:{_NAME})[\w.-]*[\"']?\s*[:=]\s*)(?=\S)[^\n]*", re.IGNORECASE), rf"\1{MASKED}"),
)


class Redactor:
    """``fields`` are names of keys whose values may be secrets, in addition to those whose name suggests a secret.
    Values that :meth:`yaml` and :meth:`data` have masked are masked wherever :meth:`text` finds them afterwards, also
    encoded (:func:`secret.spelled`)."""

    def __init__(self, fields: Collection[str] = ()) -> None:
        self._fields = frozenset(fields)
        self._values: set[str] = set()
        #: files that ``!secret`` names
        self.files: set[str] = set()

    def text(self, text: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASKED)
        text = secret.mask(text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def yaml(self, text: str) -> str:
        """The documents without comments. Raises ``yaml.YAMLError``."""
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        done: set[tuple[int, bool]] = set()
        for node in nodes:
            self._node(node, False, done)
        return str(yaml.serialize_all(nodes, Dumper=yaml.SafeDumper, allow_unicode=True))

    def data(self, value: Any, masked: bool = False) -> Any:
        """JSON's values."""
        if isinstance(value, dict):
            return {self.text(key): self.data(one, masked or self._sensitive(key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self.data(one, masked) for one in value]
        if masked and value is not None:
            return self._hidden(str(value))
        return self.text(value) if isinstance(value, str) else value

    def json(self, text: str) -> str:
        """Raises ``ValueError``."""
        return json.dumps(self.data(json.loads(text)), indent=2) + "\n"

    def _node(self, node: Node, masked: bool, done: set[tuple[int, bool]]) -> None:
        if (id(node), masked) in done:
            return
        done.add((id(node), masked))
        if isinstance(node, yaml.ScalarNode):
            hidden = masked or node.tag in ("!vault", "!secret")
            node.value = self._hidden(node.value) if hidden else self.text(node.value)
        elif isinstance(node, yaml.SequenceNode):
            for one in node.value:
                self._node(one, masked, done)
        elif isinstance(node, yaml.MappingNode):
            source = node.tag == "!secret"
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                if source and name in ("file", "age") and isinstance(value, yaml.ScalarNode):
                    self.files.add(value.value)
                elif source and name == "env" and isinstance(value, yaml.ScalarNode):
                    self._hidden(os.environ.get(value.value, ""))
                self._node(key, False, done)
                # The name of a secret's source is no secret.
                self._node(value, not source and (masked or self._sensitive(name)), done)

    def _sensitive(self, key: str) -> bool:
        return key in self._fields or _SENSITIVE.search(key) is not None

    def _hidden(self, value: str) -> str:
        if "{{" not in value and value != MASKED:
            lines = [line.strip() for line in value.split("\n")]
            for one in (value, *lines):
                if len(one) >= _SHORTEST:
                    self._values |= {one, *secret.spelled(one)}
        return MASKED
