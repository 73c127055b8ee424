"""The sandbox's environment: attributes, items, calls and arithmetic of a template pass through it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import jinja2
import jinja2.runtime
import jinja2.sandbox
from jinja2 import nodes, utils
from jinja2.visitor import NodeTransformer

from provision.errors import SpecError
from provision.text.sandbox.bounds import (
    CALL,
    GROWTH,
    WIDTHS,
    Refused,
    blind,
    check_key,
    is_model,
    numbers,
    percent,
    product,
    room,
    room_for,
    step,
    through,
    width,
)
from provision.text.sandbox.filters import filters, first_through, tests
from provision.text.sandbox.lookups import lookup
from provision.text.sandbox.operators import Format, Shape, each, joined

#: What a template may call besides methods.
_MADE = (dict, utils.Cycler, utils.Joiner, utils.Namespace)


_CALLABLE = (
    *(jinja2.runtime.Macro, jinja2.runtime.BlockReference, jinja2.runtime.LoopContext, jinja2.Undefined),
    *(Format, utils.Joiner),
)


def _range(*args: int) -> range:
    found = range(*args)
    # Not len(): it raises an error for a number of more than 63 bits.
    if (found.stop - found.start) // found.step > jinja2.sandbox.MAX_RANGE:
        raise Refused(f"range() has more than {jinja2.sandbox.MAX_RANGE:,} numbers")
    return found


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The environment of all templates except provision's own HTML page."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, **options: Any) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, autoescape=False, **options)
        self.globals = {
            "range": _range,
            "dict": dict,
            "cycler": utils.Cycler,
            "joiner": utils.Joiner,
            "namespace": utils.Namespace,
            "lookup": lookup,
        }
        self.filters.update(filters(self.filters))
        self.tests.update(tests(self.tests))

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(Intercepting().visit(source), *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return reachable(obj, attr)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``. For a mapping this is the item, unless the name is a method that a template may use."""
        if isinstance(obj, str):
            through(f'".{attribute}"', obj)
        if isinstance(obj, jinja2.Undefined):
            return obj
        if reachable(obj, attribute):
            try:
                value = getattr(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
            if attribute in ("format", "format_map") and isinstance(obj, str):
                return Format(self, str(obj), attribute == "format_map")
            return value
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            pass
        except SpecError as error:
            return self.unset(error)
        if hasattr(type(obj), attribute) or attribute.startswith("_"):
            return self.unsafe_undefined(obj, attribute)
        return self._missing(obj, attribute)

    def _missing(self, obj: Any, name: Any) -> Any:
        kinds = ((Mapping, "the mapping has no key"), ((list, tuple), "the list has no item"))
        what = next((text for kind, text in kinds if isinstance(obj, kind)), "")
        return self.undefined(hint=f"{what} {name!r}") if what else self.undefined(obj=obj, name=name)

    def unset(self, error: SpecError) -> jinja2.Undefined:
        """The undefined value of a variable whose own template needs a variable that is not defined, as in Ansible. Any
        other error is raised. An error without a place gets that of the template that uses the value."""
        if not isinstance(error.__cause__, jinja2.UndefinedError):
            raise error
        if error.where is None:
            return self.undefined(hint=error.message)

        def same(message: str | None = None) -> SpecError:
            return error

        return self.undefined(exc=same)  # type: ignore[arg-type]  # a class of errors in jinja2's annotation

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]``, or else the attribute of that name."""
        if isinstance(obj, str):
            through("an index []", obj)
        if isinstance(obj, jinja2.Undefined):
            return obj
        blind("a key in []", argument)
        try:
            return obj[argument]
        except SpecError as error:
            return self.unset(error)
        except (AttributeError, TypeError, LookupError):
            if isinstance(argument, str):
                return self.getattr(obj, str(argument))
        return self._missing(obj, argument)

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> jinja2.Template:
        step(CALL)
        blind("the name of a template", name)
        return super().get_template(name, parent, globals)

    def select_template(self, names: Any, parent: str | None = None, globals: Any = None) -> jinja2.Template:
        step(CALL)
        names = names if isinstance(names, (str, jinja2.Undefined)) else list(names)
        blind("the name of a template", names)
        return super().select_template(names, parent, globals)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        what = f'"{operator}"'
        lists = (list, tuple)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            room(what, len(left) + len(right))
            # str() removes Markup, which would escape the other text but not the value behind a token.
            return str(left) + str(right)
        if operator == "+" and isinstance(left, lists) and isinstance(right, lists):
            room_for(what, len(left) + len(right))
            return left + right  # type: ignore[operator]  # a list and a tuple: Python says so
        blind(what, left, right)
        if operator == "%" and isinstance(left, str):
            percent(what, left, right)
        if operator in ("*", "**"):
            product(what, operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        step(CALL)
        if isinstance(__obj, jinja2.runtime.LoopContext) and args:
            # The inner loop of a recursive loop.
            args = (each(args[0], getattr(__obj._iterable, "shape", None)), *args[1:])
        elif isinstance(__obj, (types.MethodType, types.BuiltinMethodType)):
            return __self._method(__context, __obj, args, kwargs)
        elif isinstance(__obj, type):
            if __obj not in _MADE:
                raise Refused(f"a template cannot make a {__obj.__name__}")
            if __obj is dict:
                first_through("dict()", args, kwargs)
                if args and not isinstance(args[0], Mapping):
                    args = ([tuple(pair) for pair in args[0]], *args[1:])
                    for pair in args[0]:
                        check_key("a key in dict()", pair[0])
        elif isinstance(__obj, Format):
            blind(f'".{"format_map" if __obj.of_map else "format"}"', *args, *kwargs.values())
        elif not isinstance(__obj, _CALLABLE) and __obj is not _range and __obj is not lookup:
            raise Refused(f"a template cannot call a {type(__obj).__name__}")
        return super().call(__context, __obj, *args, **kwargs)

    def _method(self, context: Any, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        owner, name = method.__self__, method.__name__
        what = f'".{name}"'
        if not reachable(owner, name):
            raise Refused(f"a template cannot call {what} of a {type(owner).__name__}")
        if isinstance(owner, str) and name == "join":
            through(what, owner)
            if len(args) != 1 or kwargs:
                raise Refused(f"{what} takes one list")
            through(what, args[0])
            return joined(args[0], str(owner))
        if isinstance(owner, Mapping) and name == "get":
            blind(what, *args[:1])
        elif not any(isinstance(owner, kind) and name in names for kind, names in CARRYING):
            blind(what, owner, *args, *kwargs.values())
        if name in WIDTHS:
            width(what, *args, *kwargs.values())
        if isinstance(owner, str) and name in GROWTH:
            room(what, GROWTH[name](owner, *args, **kwargs))
        if name == "strftime":
            width(what, *(number for text in args for number in numbers(str(text))))
        return super().call(context, method, *args, **kwargs)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT = _words(
    "capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii"
    " isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip"
    " partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines"
    " startswith strip swapcase title upper zfill"
)
_OF_DATES = _words(
    "year month day hour minute second microsecond date time isoformat isoweekday weekday strftime timestamp"
    " days seconds total_seconds"
)
_OF_LOOPS = _words("index index0 revindex revindex0 first last length depth depth0 previtem nextitem cycle changed")
#: Type -> the attributes that a template may reach; the first matching type counts. All other types have none.
_ATTRIBUTES: tuple[tuple[type | tuple[type, ...], frozenset[str]], ...] = (
    (str, _TEXT),
    (Mapping, _words("get items keys values copy")),
    ((list, tuple), _words("index count copy")),
    ((int, float), _words("bit_length is_integer real imag")),
    (bytes, _words("decode hex")),
    ((date, timedelta), _OF_DATES),
    (jinja2.runtime.LoopContext, _OF_LOOPS),
    (utils.Cycler, _words("next reset current pos items")),
    (jinja2.runtime.BlockReference, _words("super")),
    (jinja2.runtime.Macro, _words("name arguments catch_kwargs catch_varargs caller")),
)


#: Their attributes are a template's own variables.
_OWN = (utils.Namespace, jinja2.environment.TemplateModule)


#: Methods that return values unchanged, and read no character of them: type -> names.
CARRYING: tuple[tuple[type, frozenset[str]], ...] = (
    (Mapping, _words("items keys values copy")),
    (list, _words("copy")),
    (jinja2.runtime.LoopContext, _words("cycle")),
    (utils.Cycler, _words("next reset")),
)


def reachable(value: object, attribute: str) -> bool:
    if attribute.startswith("_"):
        return False
    if isinstance(value, _OWN):
        return True
    if is_model(value):
        return attribute in type(value).model_fields  # type: ignore[attr-defined]  # a model
    return next((attribute in names for kind, names in _ATTRIBUTES if isinstance(value, kind)), False)


def _shape(target: nodes.Node) -> Shape:
    return tuple(_shape(item) for item in target.items) if isinstance(target, nodes.Tuple) else None


class Intercepting(NodeTransformer):
    """Replaces what jinja2 would compile to Python's own operators by a filter of :data:`INTERNAL`."""

    def _by(self, name: str, node: nodes.Node, *arguments: nodes.Expr) -> nodes.Filter:
        first, *rest = arguments
        return nodes.Filter(first, name, rest, [], None, None, lineno=node.lineno, environment=node.environment)

    def _const(self, node: nodes.Node, value: object) -> nodes.Const:
        return nodes.Const(value, lineno=node.lineno, environment=node.environment)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        operands = [part for one in node.ops for part in (self._const(one, one.op), one.expr)]
        return self._by("compare!", node, node.expr, *operands)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return self._by("concat!", node, *node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        ends = [one or self._const(node, None) for one in (node.arg.start, node.arg.stop, node.arg.step)]
        return self._by("slice!", node, node.node, *ends)

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        if not (isinstance(node.key, nodes.Const) and isinstance(node.key.value, str)):
            node.key = self._by("key!", node, node.key)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        shape = self._const(node, _shape(node.target))
        node.iter = self._by("each!", node, node.iter, shape)  # type: ignore[arg-type]  # jinja2 declares it as a Node
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.node, nodes.Expr):
            node.node = self._unpacked(node.target, node.node)
        return node

    def visit_With(self, node: nodes.With) -> nodes.Node:
        self.generic_visit(node)
        node.values = [self._unpacked(*pair) for pair in zip(node.targets, node.values, strict=True)]
        return node

    def _unpacked(self, target: nodes.Node, value: nodes.Expr) -> nodes.Expr:
        shape = _shape(target)
        return value if shape is None else self._by("unpack!", value, value, self._const(value, shape))

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier) -> nodes.Node:
        raise jinja2.TemplateSyntaxError("autoescape is not supported: a value is written unchanged", node.lineno)
