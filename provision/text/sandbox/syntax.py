"""The change of the syntax tree that lets the sandbox intercept Python's own operators."""

from __future__ import annotations

import jinja2
from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from provision.text.sandbox.operators import Shape


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
        node.iter = self._by("each!", node, node.iter, self._const(node, _shape(node.target)))  # type: ignore[arg-type]
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
