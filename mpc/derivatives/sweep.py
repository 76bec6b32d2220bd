"""The way back over one circuit: from the results to the variables, each node once, in reverse order.

For: `Depends` (which nodes matter), `sweep`, `NotDifferentiable`.
Leaves to others: rules (`table`), loops (`loops`, which hands in what each loop does on the way back).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from mpc.circuit import Builder, Circuit, Node, Origin, Value, reachable
from mpc.derivatives.adjoint import Adjoint
from mpc.derivatives.table import NOT_DIFFERENTIABLE, PIECEWISE_CONSTANT, RULES, Use

__all__ = ["Back", "Depends", "NotDifferentiable", "sweep"]

Back = Callable[[Mapping[int, Adjoint]], Sequence["Adjoint | None"]]
"""From the adjoints of a loop's results, by their number, to those of its operands."""


class NotDifferentiable(ValueError):  # noqa: N818 - the name says it
    """An operation has no derivative. op: its name; origin: its place in the study; reason: why, in a few words."""

    def __init__(self, op: str, origin: Origin | None, reason: str) -> None:
        super().__init__(f"{op} has no derivative: {reason}")
        self.op = op
        self.origin = origin
        self.reason = reason


class Depends:
    """Of the nodes that are needed, those that depend on a variable, the variables among them."""

    def __init__(self, circuit: Sequence[Node], variables: Set[int], needed: Set[int]) -> None:
        self.circuit = circuit
        self.variables = variables
        self.needed = needed
        self.nodes = self._from(variables)

    def _from(self, variables: Set[int]) -> set[int]:
        found: set[int] = set()
        for i in sorted(self.needed):
            if i in variables or not found.isdisjoint(self.circuit[i].src):
                found.add(i)
        return found

    def jump(self, variable: int) -> NotDifferentiable | None:
        """Why a variable has no adjoint: the first operation on its ways, loops' bodies included, that is constant
        between jumps.  None where there is none: a loop makes all that it carries look as if it depended on all.
        """
        after = self._from({variable})
        for i in sorted(after):
            node = self.circuit[i]
            if node.op in PIECEWISE_CONSTANT:
                return NotDifferentiable(node.op, node.origin, PIECEWISE_CONSTANT[node.op])
            if node.op == "loop":
                found = _jump_in(node["body"], {k for k, s in enumerate(node.src) if s in after})
                if found is not None:
                    return found
        return None


def _jump_in(body: Circuit, operands: Set[int]) -> NotDifferentiable | None:
    """As `jump`, within a loop of which some operands depend on the variable."""
    found = set(operands)
    needed = reachable(body, body.results)
    while True:
        variables = {i for i in needed if body.nodes[i].op == "param" and body.nodes[i]["index"] - 1 in found}
        depends = Depends(body.nodes, variables, needed)
        more = {j for j, i in enumerate(body.results) if i in depends.nodes}
        if more <= found:
            break
        found |= more
    jumps = (depends.jump(i) for i in sorted(variables))
    return next((j for j in jumps if j is not None), None)


def sweep(
    builder: Builder, seeds: Mapping[int, Adjoint], depends: Depends, loops: Mapping[int, Back]
) -> dict[int, Adjoint]:
    """The adjoints of the variables, as far as they have one, from those of some nodes of `builder`."""
    adjoints = dict(seeds)
    parts: dict[int, dict[int, Adjoint]] = {}
    for index in sorted(depends.nodes, reverse=True):
        node = builder.nodes[index]
        g = adjoints.get(index) if index in depends.variables else adjoints.pop(index, None)
        with builder.at(node.origin):
            if node.op == "loop":
                shares = loops[index](parts.pop(index)) if index in parts else ()
            elif index in parts:
                raise _refused(node)
            elif g is None:
                continue
            elif node.op == "item":
                into = parts.setdefault(node.src[0], {})
                into[node["index"]] = _plus(into.get(node["index"]), g)
                continue
            else:
                shares = _shares(builder, index, g, depends)
            for i, share in zip(node.src, shares, strict=False):
                if share is not None and i in depends.nodes and builder.nodes[i].type.dtype.kind == "fixed":
                    adjoints[i] = _plus(adjoints.get(i), share)
    return {i: adjoints[i] for i in depends.variables if i in adjoints}


def _plus(known: Adjoint | None, more: Adjoint) -> Adjoint:
    return more if known is None else known.plus(more)


def _shares(builder: Builder, index: int, g: Adjoint, depends: Depends) -> Sequence[Adjoint | None]:
    """What a node passes on to its operands."""
    node = builder.nodes[index]
    src = tuple(Value(builder, i) for i in node.src)
    needs = tuple(v.index in depends.nodes and v.dtype.kind == "fixed" for v in src)
    if not any(needs) or node.op in PIECEWISE_CONSTANT:
        return ()
    found = RULES.get(node.op)
    if found is None:
        raise _refused(node)
    return found(Use(Value(builder, index), src, g, needs))


def _refused(node: Node) -> NotDifferentiable:
    return NotDifferentiable(node.op, node.origin, NOT_DIFFERENTIABLE.get(node.op, "there is no rule for it"))
