"""jinja2 templates with a host's variables.

- Strict: an undefined name is an error.
- Lazy: a variable may be a template, which is rendered when it is used.
- Native: ``"{{ 5 }}"`` is the number 5.

Text is never evaluated twice: a version ``"26.10"`` is still text after it has passed through a template.

Templates may come from a pull request that is only linted. :mod:`provision.text.sandbox` limits what they can do and
how many steps they may take.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jinja2
import jinja2.loaders
import jinja2.runtime
import jinja2.utils
from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.lexer import TOKEN_STRING, TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END, Lexer
from jinja2.nativetypes import NativeCodeGenerator, NativeEnvironment, NativeTemplate

from provision import limits
from provision.errors import SpecError, Where
from provision.lines import lines_of
from provision.secrets import secret
from provision.text import sandbox
from provision.text.yamlfile import Map, Seq, Spelled, Unsafe, closest, key_text, nearest, text_keys

#: Errors of a template besides jinja2's own. SyntaxError: Python allows at most 20 nested loops.
_FAILURES = (
    *(TypeError, ValueError, ArithmeticError, LookupError, AttributeError, OSError),
    *(RuntimeError, MemoryError, SyntaxError),
)


def _concat(values: Iterable[Any]) -> Any:
    """A single value keeps its type; several become text. As in Ansible null is no part, and no part is null."""
    parts = (value for value in values if value is not None)
    head = list(islice(parts, 2))
    if len(head) < 2:
        return head[0] if head else None
    return _joined(chain(head, parts))


def _joined(values: Iterable[Any]) -> str:
    return sandbox.joined(_shown(value) for value in values if value is not None)


def _shown(value: Any) -> Any:
    """``value`` with lists in the place of tuples, which YAML does not have."""
    if not isinstance(value, (dict, list, tuple)):
        return value
    sandbox.measured(value)  # a list can have the same list in it many times
    return _listed(value)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        parts = {name: _listed(part) for name, part in value.items()}
        return value if all(part is value[name] for name, part in parts.items()) else parts
    if not isinstance(value, (list, tuple)):
        return value
    items = [_listed(item) for item in value]
    same = isinstance(value, list) and all(one is other for one, other in zip(items, value, strict=True))
    return value if same else items


class _Lazy(jinja2.runtime.Context):
    """A context that renders a variable at its first use, by ``scope``."""

    def resolve_or_missing(self, key: str) -> Any:
        scope = self.parent.get("__scope__")
        # A variable has priority over a global of jinja2 (range, dict), as in Ansible; a name that the template sets
        # itself over both.
        if key not in self.vars and scope is not None and key in scope.raw:
            try:
                return scope[key]
            except SpecError as error:
                return self.environment.unset(error)  # type: ignore[attr-defined]  # the sandbox's
        return super().resolve_or_missing(key)


class _Typed(NativeCodeGenerator):
    """Keeps the type of a constant. jinja2 puts a constant's text into the program that it compiles (``{{ 5 }}``
    becomes "5"). Its native templates parse that text as Python again, and provision's do not."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> Any:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class _Lexer(Lexer):
    """In a string of ``{{ }}`` a backslash is a character, as in Ansible: YAML has replaced its own escapes already. In
    ``{% %}`` and in template files jinja2's escapes count (Ansible Porting Guide 2.0, "Templates")."""

    def tokeniter(self, *args: Any, **kwargs: Any) -> Iterator[tuple[int, str, str]]:
        inside = False
        for line, kind, text in super().tokeniter(*args, **kwargs):
            if kind in (TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END):
                inside = kind == TOKEN_VARIABLE_BEGIN
            yield line, kind, text.replace("\\", "\\\\") if inside and kind == TOKEN_STRING else text


class _Native(sandbox.Sandbox, NativeEnvironment):
    """For values in YAML."""

    code_generator_class = _Typed
    concat = staticmethod(_concat)
    context_class = _Lazy

    @cached_property
    def lexer(self) -> Lexer:
        return _Lexer(self)


class _NativeTemplate(NativeTemplate):
    environment_class = _Native  # type: ignore[assignment]  # it is both: the sandbox, and native


_Native.template_class = _NativeTemplate
_NATIVE = _Native(trim_blocks=True)


class _Text(sandbox.Sandbox):
    """For template files."""

    concat = staticmethod(_joined)
    context_class = _Lazy


class Fixed:
    """The mappings and lists in some values that have no template, at any depth. Rendering gives the same result for
    every host, so hosts share one object. Templates read variables, never these values, so no template can change
    them."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        # The values are kept too, because an identity is valid only as long as its object exists.
        self._values = list(values)
        #: identity -> size, as the sandbox measures it
        self.sizes: dict[int, int] = {}
        for value in self._values:
            self._learn(value)

    def __contains__(self, value: object) -> bool:
        return id(value) in self.sizes

    def _learn(self, value: Any) -> bool:
        """True if no template is in ``value``."""
        if isinstance(value, str):
            return not (isinstance(value, Unsafe) or _has_template(value))
        if not isinstance(value, (Map, Seq)):
            return True
        items = [*value, *value.values()] if isinstance(value, Map) else value
        # Every item is visited, also after one with a template.
        without = [self._learn(item) for item in items]
        if not all(without):
            return False
        if isinstance(value, Map) and not all(isinstance(name, str) for name in value):
            return False  # rendering makes text of its names
        try:
            self.sizes[id(value)] = sandbox.measured_size(value, self.sizes)
        except sandbox.Refused:
            return False  # rendering reports it, at its place
        return True


#: A template that is one variable.
_LONE = re.compile(r"\{\{-?\s*(\w+)\s*-?\}\}\s*")


def _has_template(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


_NOTHING = Fixed()


class Scope:
    """A host's variables. ``scope[name]`` is the variable's value with its own templates rendered."""

    def __init__(self, raw: Map, extra: Mapping[str, Any] | None = None) -> None:
        self.raw = raw.copy()
        self.raw.update(extra or {})
        self._done: dict[str, Any] = {}
        self._defaults: frozenset[str] = frozenset()
        #: the variables that are being rendered, with the thread that does so
        self._under_way: list[tuple[int, str]] = []

    def with_defaults(self, values: Map) -> Scope:
        """The same variables, and ``values`` for those that are not set."""
        if not values:
            return self
        found = Scope(Map({**values, **self.raw}.items(), self.raw.here))
        found.raw.where.update({**values.where, **self.raw.where})
        found._defaults = frozenset(values.keys() - self.raw.keys())
        return found

    def is_default(self, name: str) -> bool:
        """True if the variable has only its default value."""
        return name in self._defaults

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def __getitem__(self, name: str) -> Any:
        if name not in self._done:
            here = (threading.get_ident(), name)
            if here in self._under_way:
                names = [one for thread, one in self._under_way if thread == here[0]]
                ring = " -> ".join([*names[names.index(name) :], name])
                raise SpecError(f"a variable that refers to itself: {ring}", where=self.raw.where.get(name), key=name)
            self._under_way.append(here)
            try:
                self._done[name] = self.render(self.raw[name], name, self.raw.where.get(name))
            finally:
                self._under_way.remove(here)
        return self._done[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.raw else default

    def render(
        self, value: Any, key: str = "", where: Where | None = None, fixed: Fixed = _NOTHING, spec: bool = False
    ) -> Any:
        """``value`` with every template in it rendered; mappings and lists keep their places in the file. Those that
        are ``fixed`` are not copied. In a ``spec`` a key is text and may be a template. In a variable a key is no
        template, as in Ansible."""
        if isinstance(value, str):
            if isinstance(value, Unsafe):
                secret.use(value)
                return value
            if not _has_template(value):
                return value
            found = self._text(value, key, where)
            return text_keys(found) if spec else found
        if value in fixed:
            return value
        if isinstance(value, Map):
            result = Map(here=value.here)
            result.where.update(value.where)
            for name, item in value.items():
                path = f"{key}.{name}" if key else key_text(name)
                place = value.where.get(name, where)
                shown = key_text(self.render(name, path, place)) if spec else name
                result[shown] = found = self.render(item, path, place, fixed, spec)
                if (shown != name or found is not item) and place is not None:
                    result.where[shown] = self._place(item, found, place)
            return result
        if isinstance(value, Seq):
            items = Seq(here=value.here)
            items.where.extend(value.where)
            for index, item in enumerate(value):
                place = value.where[index] if index < len(value.where) else where
                items.append(self.render(item, f"{key}[{index}]", place, fixed, spec))
            return items
        return value

    def _place(self, value: Any, rendered: Any, place: Where) -> Where:
        """The place of a rendered value. For a boolean from one variable it has the variable's spelling."""
        while isinstance(rendered, bool) and isinstance(value, str) and (name := _LONE.fullmatch(value)):
            value, origin = self.raw.get(name[1]), self.raw.where.get(name[1])
            if isinstance(origin, Spelled):
                return Spelled(place.file, place.line, origin.written)
        return place

    def whole(self, value: Any, key: str, fixed: Fixed = _NOTHING) -> Any:
        """``value`` rendered, and the result as a whole checked against the limits: a small template can refer to a
        large value many times."""
        rendered = self.render(value, key, fixed=fixed, spec=True)
        try:
            sandbox.measured_size(rendered, fixed.sizes)
        except sandbox.Refused as error:
            raise _explain(error, self, getattr(value, "here", None), key) from error
        return rendered

    def _text(self, text: str, key: str, where: Where | None) -> Any:
        try:
            with sandbox.BOUNDED:
                value = _ended(_data(_compiled(text).render({"__scope__": self})), text)
        except jinja2.TemplateError as error:
            line = _line(error, "<template>") or _line_of_name(text, error)
            place = Where(where.file, where.line + _offset(text, line)) if where and line else where
            raise _explain(error, self, place, key) from error
        except _FAILURES as error:
            raise _failed(error, where, key) from error
        return value


def _data(value: Any) -> Any:
    """The result of a template, as data. This is the last point at which it is computed, measured and checked."""
    if isinstance(value, str):
        return _known(value if isinstance(value, Unsafe) else str(value))
    if isinstance(value, jinja2.Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, (Iterator, KeysView, ValuesView, ItemsView, range, set)):
        value = list(value)
    if callable(value):
        raise sandbox.Refused("is a function, not a value")
    sandbox.measured(value)
    _all_defined(value, set())
    return value


def _all_defined(value: Any, seen: set[int]) -> None:
    """Raises jinja2's error for an undefined value in a list or mapping."""
    if id(value) in seen:
        return
    seen.add(id(value))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        if isinstance(part, jinja2.Undefined):
            part._fail_with_undefined_error()
        if isinstance(part, (dict, list, tuple)):
            _all_defined(part, seen)


def _known(text: str) -> str:
    if sandbox.unknown(text):
        raise sandbox.Refused(
            "holds the token of an unknown secret", "declare the secret where it is used: !secret {env: NAME}"
        )
    return text


def _failed(error: Exception, where: Where | None, key: str = "") -> SpecError:
    if isinstance(error, RecursionError):
        return SpecError("template failed: its recursion is too deep", where=where, key=key)
    return SpecError(f"template failed: {error}", where=where, key=key)


@cache
def _compiled(text: str) -> jinja2.Template:
    """Compiles each text once: hosts share their templates."""
    return _NATIVE.from_string(text)


def _ended(value: Any, text: str) -> Any:
    """``value`` with the newlines at the end of its template ``text``, of which jinja2 removes the last one and tags
    remove others. A list's template may end in newlines too, and the list must stay a list."""
    if not isinstance(value, str):
        return value
    missing = len(text) - len(text.rstrip("\n")) - (len(value) - len(value.rstrip("\n")))
    return type(value)(value + "\n" * missing) if missing > 0 else value


def _offset(text: str, line: int) -> int:
    """Lines from the key to line ``line`` of its text: a block scalar's text starts one line below its key."""
    return line if "\n" in text.rstrip("\n") else 0


def _line(error: jinja2.TemplateError, filename: str) -> int | None:
    """The line in the template: from a syntax error itself, else from the innermost frame inside the template."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == filename:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _line_of_name(text: str, error: jinja2.TemplateError) -> int | None:
    """The line of an undefined name, for an error that was raised only when the finished parts were joined."""
    name = re.match(r"'([^']+)' is undefined", str(error.message))
    if name is None:
        return None
    used = re.compile(r"\{[{%].*\b" + re.escape(name[1]) + r"\b")
    return next((number for number, line in enumerate(lines_of(text), 1) if used.search(line)), None)


def _explain(error: jinja2.TemplateError, scope: Scope, where: Where | None, key: str) -> SpecError:
    if isinstance(error, jinja2.UndefinedError):
        message = str(error.message)
        name = re.match(r"'([^']+)' is undefined", message)
        hint = nearest(name[1], scope.raw) if name else ""
        return SpecError(f"undefined variable: {message}", where=where, key=key, hint=hint)
    if isinstance(error, jinja2.TemplateNotFound):
        return SpecError(f"no such template: {error.message}", where=where, key=key)
    if isinstance(error, sandbox.Refused):
        return SpecError(f"template error: {error.message}", where=where, key=key, hint=error.hint)
    return SpecError(f"template error: {error.message}", where=where, key=key, hint=_near_name(str(error.message)))


#: Ansible's own filters and tests that depend on more than their input (ansible-core 2.19, plugins/filter and test).
_IMPURE = frozenset(
    (
        *("expanduser", "expandvars", "fileglob", "realpath", "shuffle", "strftime", "vault", "unvault"),
        *("password_hash", "directory", "exists", "file", "link", "link_exists", "mount", "same_file", "is_dir"),
        *("is_file", "is_link", "is_mount", "is_same_file", "vaulted_file"),
    )
)


def _near_name(message: str) -> str:
    """The hint for an unknown filter or test, for example one of a collection."""
    name = re.match(r"No (filter|test) named '(?:ansible\.builtin\.)?([^']+)'", message)
    if name is None:
        return ""
    if name[2] in _IMPURE:
        return "it reads the controller's files, clock or random numbers; write the value itself"
    known: Iterable[str] = _NATIVE.filters if name[1] == "filter" else _NATIVE.tests
    close = closest(name[2], [one for one in known if "." not in one], 0.75)
    if close and "." not in name[2]:
        return f'did you mean "{close}"?'
    return f"Ansible's {name[1]}s of collections are not supported; write the value itself"


class _Folders(jinja2.FileSystemLoader):
    """Finds template files in the first directory that has the name. Refuses files outside of that directory, and files
    beyond the size limit."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        # This function refuses names that lead out of the directory.
        parts = jinja2.loaders.split_template_path(template)
        for folder in map(Path, self.searchpath):
            path = folder.joinpath(*parts)
            # The check is first: whether a link's target outside exists is not shown.
            if os.path.lexists(path) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
                hint = "a link may point to another template in the same directory; copy the file instead"
                raise sandbox.Refused(f"the template {template} is a link to a file outside {folder}", hint)
            if not path.is_file():
                continue
            # The directory may be a link too: limits.text checks that.
            return limits.text(path), str(path), lambda: True  # read once for all hosts of a run
        raise jinja2.TemplateNotFound(template)


class Templates:
    """The template files: the user's own ``templates/`` next to the playbook first, then the shipped ones."""

    def __init__(self, own: Path | None) -> None:
        self.shipped = shipped("templates")
        if own is not None:
            limits.check(own)
        self.folders = [folder for folder in (own, self.shipped) if folder is not None and folder.is_dir()]
        self._environment = _Text(
            loader=_Folders([str(folder) for folder in self.folders]),
            finalize=sandbox.finalized,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def is_shipped(self, name: str) -> bool:
        """True if the template of that name is provision's own, and not one of the operator."""
        return not any(os.path.lexists(folder / name) for folder in self.folders if folder != self.shipped)

    def render(self, name: str, scope: Scope, where: Where | None = None, **values: Any) -> str:
        """The text of the template ``name`` over a host's variables and ``values``.

        Raises :class:`SpecError` at the template's own line; ``where`` is the place that names the template.
        """
        try:
            with sandbox.BOUNDED:
                return _known(self._environment.get_template(name).render({"__scope__": scope, **values}))
        except jinja2.TemplateNotFound as error:
            hint = nearest(name, self._environment.list_templates()) or "looked in " + ", ".join(map(str, self.folders))
            raise SpecError(f"no such template: {error.name}", where=where, key="template", hint=hint) from error
        except jinja2.TemplateSyntaxError as error:
            place = Where(Path(error.filename), error.lineno) if error.filename else where
            raise SpecError(f"template error: {error.message}", where=place) from error
        except jinja2.TemplateError as error:
            raise _explain(error, scope, self._place(error, name), "") from error
        except _FAILURES as error:
            raise _failed(error, self._place(error, name)) from error

    def _place(self, error: Exception, name: str) -> Where:
        """The line that failed, in the innermost template: it may be a template that ``name`` includes."""
        file = next((folder / name for folder in self.folders if os.path.lexists(folder / name)), Path(name))
        found, frame = Where(file, 1), error.__traceback__
        while frame is not None:
            path = Path(frame.tb_frame.f_code.co_filename)
            if any(path.is_relative_to(folder) for folder in self.folders):
                found = Where(path, frame.tb_lineno)
            frame = frame.tb_next
        return found


def shipped(name: str) -> Path:
    """A top-level directory of the project: in ``shipped/`` of an installed wheel, next to the package otherwise."""
    package = Path(__file__).parent.parent
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name
