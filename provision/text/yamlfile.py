"""YAML with places: plain dicts and lists that have the file and line of each of their values.

Two traps of YAML 1.1 are removed: ``0644`` and ``22:22`` stay text, as in YAML 1.2 (in YAML 1.1 they are the numbers
420 and 1342). ``0o640`` is text, as in YAML 1.1 and so in Ansible (in YAML 1.2 it is 416). A key that occurs twice in
one mapping is an error. A number or boolean that is written in another form than its own (``10.200``, ``0x1a0``,
``no``) keeps what the file has: it never becomes other text in silence.

Size, depth and the number of values are checked before any value is built (:mod:`provision.limits`). A few hundred
bytes of aliases can expand to billions of values, and libyaml's composer crashes the process at some 50,000 levels.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import yaml
from msgspec import Struct, field

from provision import limits
from provision.errors import Note, SpecError, Where
from provision.secrets import secret
from provision.text.yaml_hints import BRACES, WIDE, syntax_error, wide

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
#: In characters. Python refuses longer integers too, and PyYAML would need minutes for long numbers to the base of 60.
_LONGEST_NUMBER = 400
_KEYS = "a key must be text, a number, true, false or null"
#: Characters of a text that count as one more value: aliases must not multiply a long text.
_TEXT_OF_A_VALUE = 64
#: How many pairs of words a process compares for its hints, and the longest of them. Each pair takes microseconds, and
#: a project can have a misspelt name for each of its names.
_PAIRS, _WORD = 200_000, 100


class _Resolving(_Loader):  # type: ignore[misc, valid-type]  # the C loader where PyYAML has it
    """The loader's implicit resolvers as a separate copy, with provision's own for numbers."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
        for first, resolvers in _Loader.yaml_implicit_resolvers.items()
    }


_Resolving.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
# PyYAML's own pattern without numbers to the base of 60, which YAML 1.2 does not have.
_Resolving.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


class Map(dict[str, Any]):
    """A mapping whose ``where[key]`` is the file and line of that key. A key is text; in a variable's value it may also
    be a number, true, false or null (:class:`Reader`)."""

    __slots__ = ("here", "where")

    def __init__(self, values: Iterable[tuple[str, Any]] = (), here: Where | None = None) -> None:
        super().__init__(values)
        self.here = here
        self.where: dict[str, Where] = {}

    def copy(self) -> Map:
        """The same values and places; a later change of either mapping leaves the other as it is."""
        found = Map(self.items(), self.here)
        found.where.update(self.where)
        return found


class Seq(list[Any]):
    """A list whose ``where[index]`` is the file and line of that item."""

    __slots__ = ("here", "where")

    def __init__(self, values: Iterable[Any] = (), here: Where | None = None) -> None:
        super().__init__(values)
        self.here = here
        self.where: list[Where] = []


class Unsafe(str):
    """Text tagged ``!unsafe`` (Ansible's word): never a template, even if it contains braces."""

    __slots__ = ()


class Number:
    """A number that a file has in another form than the number's own: ``10.200`` is 10.2, ``0x1a0`` is 416. It
    calculates and compares as the number. As text it would differ from the file in silence, so ``str()`` of it raises
    :class:`SpecError`; ``repr()`` is the number's own form."""

    written: str
    where: Where
    key: str

    def __str__(self) -> str:
        message = f"is the number {self!r} where it becomes text, not {self.written}"
        raise SpecError(message, where=self.where, key=self.key, hint=quoted(self.written))


class _Int(Number, int):
    pass


class _Float(Number, float):
    pass


class Spelled(Where, frozen=True):
    """The place of a boolean that is not written ``true`` or ``false``: ``no`` may be meant as text."""

    written: str


def number(value: Any, written: str, where: Where, key: str) -> Any:
    """A value that a file writes as ``written``: a :class:`Number`, if it is a number of another form."""
    if type(value) not in (int, float) or repr(value) == written:
        return value
    found = _Int(value) if isinstance(value, int) else _Float(value)
    found.written, found.where, found.key = written, where, key
    return found


class Reader(Struct):
    """How a file with Ansible's variables is read: a key has its type (``80`` is a number), except in a spec, where it
    is text. ``lenient`` uses the last of two equal keys, as Ansible does. ``notes`` collects what Ansible reads
    differently."""

    lenient: bool = False
    notes: list[Note] = field(default_factory=list)


def load(path: Path, text: str | None = None, reader: Reader | None = None) -> Any:
    """The single document of ``path``, as :class:`Map`, :class:`Seq` and scalars; ``None`` when it is empty. A file
    that Ansible Vault has encrypted as a whole is decrypted, and its values are secrets.

    Raises :class:`SpecError` with file and line for what YAML or provision rejects.
    """
    if text is None:
        text = limits.text(path)
    vault = text.startswith(secret.VAULT)
    if vault:
        text = secret.opened(text, Where(path, 1))
    with _parsing(path, text, _Resolving) as loader:
        node = loader.get_single_node()
        return None if node is None else _Builder(path, loader, vault, reader).build(node, "", ())


@contextmanager
def _parsing(
    path: Path, text: str, loaders: Any, wrong: tuple[type[Exception], ...] = (yaml.YAMLError,)
) -> Iterator[Any]:
    """A loader for a text within the limits. The errors of a ``wrong`` text become :class:`SpecError`."""
    loader = None
    try:
        _check_size(path, text)
        loader = loaders(text)
        yield loader
    except yaml.MarkedYAMLError as error:
        raise syntax_error(path, error, text) from error
    except wrong as error:  # a character that YAML does not allow
        raise SpecError(f"not YAML: {' '.join(str(error).split())}", where=Where(path, 1)) from error
    finally:
        if loader is not None:
            loader.dispose()


def shipped(path: Path) -> Any:
    """A YAML file of provision itself, without places and limits, and with every scalar as text. This takes a fraction
    of the time of :func:`load`."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - it makes only text, lists, mappings


def untyped(path: Path, text: str) -> Any:
    """``text`` with places, for a file of another program: every scalar is text, and unknown tags count for nothing.
    An empty text is ``None``. Raises :class:`SpecError` as :func:`bounded`."""
    with _parsing(path, text, _Resolving) as loader:
        node = loader.get_single_node()
        return None if node is None else _Untyped(path, loader).build(node, "", ())


def check_key(value: object, where: Where, key: str) -> None:
    """Raises :class:`SpecError` for a key of which a file could make a slow mapping."""
    if limits.same_hash(value):
        message = (
            f"a key must be text, or a number of at most {limits.KEY_DIGITS} digits"
            if isinstance(value, int)
            else _KEYS
        )
        raise SpecError(message, where=where, key=key, hint="quote the key")


class _Bounded(_Loader):  # type: ignore[misc, valid-type]  # as _Resolving
    """PyYAML's safe loader, with the limit of keys."""

    path = Path()

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> Any:
        for one, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if one.tag == "tag:yaml.org,2002:int":
                check_key(self.construct_object(one), Where(self.path, one.start_mark.line + 1), "")
        return super().construct_mapping(node, deep)


def bounded(path: Path, text: str) -> Any:
    """``text`` as PyYAML's safe loader reads it, for a file of another program, within the limits of :func:`load`.

    Raises :class:`SpecError` for a text beyond the limits, and for one that is not YAML.
    """
    with _parsing(path, text, _Bounded, (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError)) as loader:
        loader.path = path
        return loader.get_single_data()


def _check_size(path: Path, text: str) -> None:
    """Count values and levels, with aliases expanded, from the parser's events: without building or recursion."""
    parser = _Loader(text)
    most, deepest = limits.of(limits.NODES), limits.of(limits.DEPTH)
    anchors: dict[str, tuple[int, int]] = {}  # name -> values, levels
    opened: list[tuple[str | None, int]] = []  # anchor, values before it
    levels: list[int] = [0]  # below each opened collection
    total = 0
    try:
        for event in iter(parser.get_event, None):
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, before = opened.pop()
                height = levels.pop() + 1
                if anchor is not None:
                    anchors[anchor] = (total - before, height)
            elif isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, total))
                levels.append(0)
                total, height = total + 1, 0
            elif isinstance(event, yaml.AliasEvent):
                values, height = anchors.get(str(event.anchor), (1, 0))
                total += values
            elif isinstance(event, yaml.ScalarEvent):
                values, height = 1 + len(event.value) // _TEXT_OF_A_VALUE, 0
                total += values
                if event.anchor is not None:
                    anchors[event.anchor] = (values, 0)
            else:
                continue
            levels[-1] = max(levels[-1], height)
            if total > most or len(opened) + height > deepest:
                limit = limits.NODES if total > most else limits.DEPTH
                what = "the file expands to" if total > most else "the value is nested"
                aliases = " when its aliases are expanded" if isinstance(event, yaml.AliasEvent) else ""
                where = Where(path, event.start_mark.line + 1)
                raise SpecError(f"{what} {limits.more(limit)}{aliases}", where=where, hint=limits.hint(limit))
    finally:
        parser.dispose()


#: Tags of keys that have a type in a file with Ansible's variables.
_KEY_TYPES = (*_NUMBERS, "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
#: The path of a value in a spec: in a file of variables, in a play, in its ``vars``, in an inventory.
_IN_SPEC = re.compile(r"(?:\[\d+\]\.|(?:.+\.|\[\d+\]\.)vars\.|.+\.hosts\..+\.)?spec(?:[.\[].*)?", re.DOTALL)
#: Text for provision that YAML 1.1, and so Ansible, reads as a number.
_OLD_NUMBERS = re.compile(r"[-+]?(?:0[0-7_]+|0b[01_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)")
#: Variables with the address and the login of a host. Messages show them, so they are plain in a vaulted file too.
REACHING = frozenset(
    (
        *("ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user"),
        *("ansible_connection", "ansible_private_key_file", "ansible_ssh_private_key_file", "ansible_become"),
        *("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_become_method"),
        *("ansible_become_user", "ansible_python_interpreter", "ansible_shell_type", "ansible_group_priority"),
        *("provision_known_hosts", "provision_answer_limit", "provision_transport", "provision_distribution"),
    )
)


def sealed(key: str, value: Any, where: Where) -> Any:
    """A value of a vaulted file: text and numbers are secrets, except those of :data:`REACHING`."""
    if isinstance(value, bool) or value is None or key.rpartition(".")[2] in REACHING:
        return value
    if isinstance(value, Map):
        result = Map(((name, sealed(f"{key}.{name}", one, where)) for name, one in value.items()), value.here)
        result.where.update(value.where)
        return result
    if isinstance(value, Seq):
        items = Seq((sealed(f"{key}[{at}]", one, where) for at, one in enumerate(value)), value.here)
        items.where.extend(value.where)
        return items
    return Unsafe(secret.from_vault(key, str(value), where))


def plain(value: Any, where: Where, key: str = "", depth: int = 0) -> Any:
    """Data of another format (JSON, TOML, a Python literal) as :class:`Map` and :class:`Seq`, all with one place. As in
    Ansible's JSON, a mapping that has only ``__ansible_vault`` is a secret; with only ``__ansible_unsafe`` it is text
    that is not a template."""
    if depth > limits.of(limits.DEPTH):
        raise SpecError(f"is nested {limits.more(limits.DEPTH)}", where=where, key=key, hint=limits.hint(limits.DEPTH))
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(text := value.get("__ansible_vault"), str):
            return Unsafe(secret.vaulted(key, text, where))
        if len(value) == 1 and isinstance(text := value.get("__ansible_unsafe"), str):
            return Unsafe(text)
        result = Map(here=where)
        for name, one in value.items():
            check_key(name, where, key)
            if not isinstance(name, (str, int, float, type(None))):
                raise SpecError(_KEYS, where=where, key=key)
            result[name] = plain(one, where, f"{key}.{name}" if key else str(name), depth + 1)  # type: ignore[index]
            result.where[name] = where  # type: ignore[index]  # not text: a variable's value
        return result
    if isinstance(value, (list, tuple, set, frozenset)):
        items = Seq((plain(one, where, f"{key}[{at}]", depth + 1) for at, one in enumerate(value)), where)
        items.where.extend([where] * len(items))
        return items
    if isinstance(value, str) and secret.marked(value):
        raise SpecError("text must not hold a secret's token", where=where, key=key)
    return value


class _Builder:
    def __init__(self, path: Path, loader: Any, vault: bool = False, reader: Reader | None = None) -> None:
        self.path, self.loader, self.vault, self.reader = path, loader, vault, reader
        #: the depth of values with the tag !unsafe around the current one
        self._unsafe = 0

    def _where(self, node: yaml.Node) -> Where:
        return Where(self.path, node.start_mark.line + 1)

    def _place(self, line: yaml.Node, value: yaml.Node) -> Where:
        """The place of a key or an item: the line of ``line``."""
        place = self._where(line)
        if value.tag != "tag:yaml.org,2002:bool" or value.value.lower() in ("true", "false"):
            return place
        return Spelled(place.file, place.line, value.value)

    def build(self, node: yaml.Node, key: str, above: tuple[yaml.Node, ...]) -> Any:
        if any(node is other for other in above):
            raise SpecError("an alias inside the value that it names", where=self._where(node), key=key)
        if node.tag == "!secret":
            return self._secret(node, key, above)
        self._unsafe += node.tag == "!unsafe"
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, key)
            if node.tag not in (*_COLLECTIONS, "!unsafe"):
                name = node.tag.replace("tag:yaml.org,2002:", "!!")
                what = "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
                raise SpecError(f"unknown YAML tag {name} of {what}", where=self._where(node), key=key)
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key, (*above, node))
            return self._sequence(node, key, (*above, node))  # type: ignore[arg-type]  # a sequence
        finally:
            self._unsafe -= node.tag == "!unsafe"

    def _secret(self, node: yaml.Node, key: str, above: tuple[yaml.Node, ...]) -> Unsafe:
        """The token that replaces the secret; it is never a template."""
        given: object = None
        if isinstance(node, yaml.MappingNode):
            given = self._mapping(node, key, (*above, node))
        elif isinstance(node, yaml.ScalarNode):
            given = node.value
        return Unsafe(secret.declare(key, given, self._where(node)))

    def _scalar(self, node: yaml.ScalarNode, key: str) -> Any:
        if secret.marked(node.value):
            hint = "name the variable that is !secret; a token is valid only in the run that made it"
            raise SpecError("text must not hold a secret's token", where=self._where(node), key=key, hint=hint)
        if node.tag in ("!vault", "!vault-encrypted"):
            return Unsafe(secret.vaulted(key, node.value, self._where(node)))
        if node.tag != "!unsafe" and not node.tag.startswith("tag:yaml.org,2002:"):
            raise SpecError(f"unknown YAML tag {node.tag}", where=self._where(node), key=key)
        if self.vault and node.tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
            name = key.rpartition(".")[2]
            if name not in REACHING:
                return Unsafe(secret.from_vault(key, node.value, self._where(node)))
        # The tag !unsafe takes the place of the tag that the value has without it: `!unsafe "5"` is a number.
        tag = self.loader.resolve(yaml.ScalarNode, node.value, (True, False)) if node.tag == "!unsafe" else node.tag
        if self._unsafe and tag == "tag:yaml.org,2002:str":
            return Unsafe(node.value)
        return self._typed(node, tag, key)

    def _typed(self, node: yaml.ScalarNode, tag: str, key: str) -> Any:
        if self.reader is not None and not node.style and tag == "tag:yaml.org,2002:str":
            self._note_number(node, key)
        if tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise SpecError(
                f"not a value: a number of more than {_LONGEST_NUMBER} characters",
                where=self._where(node),
                key=key,
            )
        try:
            value = self.loader.construct_object(yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark))
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, yaml.YAMLError) as error:
            # With an explicit tag, such as !!bool, PyYAML's constructors raise many types of errors.
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            raise SpecError(f"not a value: {reason}", where=self._where(node), key=key) from error
        return value if node.style else number(value, node.value, self._where(node), key)

    def _note_number(self, node: yaml.ScalarNode, key: str) -> None:
        if self.reader is not None and _OLD_NUMBERS.fullmatch(node.value):
            text = f"{key}: {node.value} is text here, and a number to Ansible (YAML 1.1); quote it"
            self.reader.notes.append(Note(text, self._where(node)))

    def _sequence(self, node: yaml.SequenceNode, key: str, above: tuple[yaml.Node, ...]) -> Seq:
        items = Seq(here=self._where(node))
        for index, child in enumerate(node.value):
            items.where.append(self._place(child, child))
            items.append(self.build(child, f"{key}[{index}]", above))
        return items

    def _mapping(self, node: yaml.MappingNode, key: str, above: tuple[yaml.Node, ...]) -> Any:
        result = Map(here=self._where(node))
        merged: list[Map] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                base = self.build(value_node, key, above)
                parts = base if isinstance(base, Seq) else [base]
                if not all(isinstance(part, Map) for part in parts):
                    message = f"<< merges a mapping or a list of mappings, not {named(base)}"
                    raise SpecError(message, where=self._where(key_node), key=f"{key}.<<".lstrip("."))
                merged += reversed(parts)
                continue
            name = self._key(key_node, key)
            path = f"{key}.{key_node.value}" if key else key_node.value
            if name in result and self.reader is not None and self.reader.lenient:
                text = f"{path}: appears twice in one mapping; the last one is used"
                self.reader.notes.append(Note(text, self._where(key_node), loud=True))
            elif name in result:
                first = result.where[name].line
                raise SpecError(
                    f"appears twice in one mapping (first on line {first})",
                    where=self._where(key_node),
                    key=path,
                    hint="YAML keeps only the last one without a warning; remove one",
                )
            result[name] = self.build(value_node, path, above)
            result.where[name] = self._place(key_node, value_node)
        if merged:
            # The merged keys come first, but the mapping's own values have priority over them. Of a list, the first
            # mapping has priority (https://yaml.org/type/merge.html; the order is that of PyYAML, and so of Ansible).
            own, result = result, Map(here=result.here)
            for part in (*merged, own):
                result.update(part)
                result.where.update(part.where)
        if len(result) == 1 and "__ansible_vault" in result:  # the form in which Ansible writes it into JSON
            return Unsafe(secret.vaulted(key, str(result["__ansible_vault"]), self._where(node)))
        return result

    def _key(self, node: yaml.Node, key: str) -> Any:
        """The key of a mapping. It is not a secret in a vaulted file either."""
        where = self._where(node)
        if node.tag == "!secret":
            raise SpecError("a key must not be a secret", where=where, key=key)
        if not node.tag.startswith("tag:yaml.org,2002:") and node.tag != "!unsafe":
            raise SpecError(f"unknown YAML tag {node.tag}", where=where, key=key)
        if not isinstance(node, yaml.ScalarNode):
            message, hint = (
                ("{{ without quotes is a mapping", BRACES) if _is_template(node) else ("a key must be text", "")
            )
            raise SpecError(message, where=where, key=key, hint=hint)
        if secret.marked(node.value):
            raise SpecError("text must not hold a secret's token", where=where, key=key)
        if not node.style and WIDE.match(node.value):
            hint = f"{wide(node.value)}, or quote the key"
            raise SpecError(f"the key {node.value} has a full-width colon", where=where, key=key, hint=hint)
        if self.reader is not None and node.tag in _KEY_TYPES and not _IN_SPEC.fullmatch(key):
            value = self._typed(node, node.tag, key)
            check_key(value, where, key)
            return value + 0 if isinstance(value, Number) else value  # type: ignore[operator]  # an int or a float
        return Unsafe(node.value) if self._unsafe else node.value


def _is_template(node: yaml.Node) -> bool:
    """True if a key is ``{x: }`` of ``{{ x }}``."""
    return (
        isinstance(node, yaml.MappingNode) and node.flow_style is True and [one.value for _, one in node.value] == [""]
    )


def key_text(key: object) -> str:
    """A key as text, as YAML writes it."""
    if key is None or isinstance(key, bool):
        return "null" if key is None else str(key).lower()
    return key if isinstance(key, str) else str(key)


def text_keys(value: Any) -> Any:
    """``value`` with text as the keys of its mappings, as a spec takes them."""
    if isinstance(value, dict):
        return {key_text(name): text_keys(one) for name, one in value.items()}
    return [text_keys(one) for one in value] if isinstance(value, list) else value


def check_names(variables: Map, key: str = "") -> None:
    """Raises :class:`SpecError` where the name of a variable, host or group is not text."""
    for name in variables:
        if not isinstance(name, str):
            where = variables.where.get(name, variables.here)
            raise SpecError(f"a name must be text, not {named(name)}", where=where, key=key, hint="quote the name")


class _Untyped(_Builder):
    def build(self, node: yaml.Node, key: str, above: tuple[yaml.Node, ...]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return node.value
        # A tag of provision means nothing here.
        node.tag = "tag:yaml.org,2002:map" if isinstance(node, yaml.MappingNode) else "tag:yaml.org,2002:seq"
        return super().build(node, key, above)


def locate(data: Any, path: Iterable[object]) -> Where | None:
    """The file and line of the deepest part of ``path`` that exists in ``data``."""
    where: Where | None = getattr(data, "here", None)
    for part in path:
        if isinstance(data, Map) and isinstance(part, str) and part in data:
            where, data = data.where.get(part, where), data[part]
        elif isinstance(data, Seq) and isinstance(part, int) and part < len(data):
            where = data.where[part] if part < len(data.where) else where
            data = data[part]
        else:
            break
    return where


class _Compared:
    left = _PAIRS


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that the user most probably meant by ``word``; ``None`` also for words that are too long, and
    after a process has compared very many."""
    words = [one for one in known if len(one) <= _WORD] if len(word) <= _WORD else []
    if len(words) > _Compared.left:
        return None
    _Compared.left -= len(words)
    close = difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    return close[0] if close else None


def named(value: Any) -> str:
    """A value as YAML writes it, for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple, set)):
        return "a list"
    if isinstance(value, bytes):
        return "binary data"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Number):
        return value.written
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value)


def quoted(written: str) -> str:
    """A hint for a scalar that YAML does not read as text."""
    return f'quote it: "{written}"'


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or ``""``."""
    close = closest(word, known)
    return f'did you mean "{close}"?' if close else ""
