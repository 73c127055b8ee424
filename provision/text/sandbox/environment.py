"""The sandbox's environment: attributes, items, calls and arithmetic of a template pass through it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.runtime
import jinja2.sandbox
from jinja2 import nodes, utils

from provision.errors import SpecError
from provision.text.sandbox.blind import blind, through
from provision.text.sandbox.bounds import (
    CALL,
    GROWTH,
    WIDTHS,
    Refused,
    check_key,
    numbers,
    percent,
    product,
    room,
    room_for,
    step,
    width,
)
from provision.text.sandbox.filters import filters, first_through, tests
from provision.text.sandbox.lookups import lookup
from provision.text.sandbox.operators import each
from provision.text.sandbox.reach import CARRYING, reachable
from provision.text.sandbox.syntax import Intercepting
from provision.text.sandbox.text import Format, joined

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
