"""A circuit being built and, when it is a loop's body, how it hangs in the circuit around it.

For: `Region` (brings outer values in as a body's parameters, finds what a value depends on), `StudyBuilder` (public
results that fit no 64-bit number are refused while compiling), `prune`.
Leaves to others: what loops mean and their conventions (`loops`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpc.circuit import Builder, Circuit, Node, Value
from mpc.guards import DIVISIONS
from mpc.op import find
from mpc.types import BOOL, EVERYONE, INT, Dim, Size, Type, TypeRuleError

__all__ = ["DomainError", "Region", "StudyBuilder", "nodes_of", "prune"]


class DomainError(TypeRuleError):
    """A public result that is no number or does not fit. code: of the error for the study's author."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StudyBuilder(Builder):
    """A builder that refuses to fold what would not be right."""

    def emit(self, op: str, *src: Value, **attrs: Any) -> Value:
        """As `Builder.emit`; DomainError when the result is public, known, and no number that fits."""
        try:
            find(op)
        except KeyError:
            raise DomainError("E0901", f"the operation {op} is not supported yet") from None
        if op in DIVISIONS and src[-1].is_const and not src[-1].constant.all():
            raise DomainError("E0502", "division by zero")
        try:
            with np.errstate(all="ignore"):
                out = super().emit(op, *src, **attrs)
        except TypeRuleError:
            raise
        except IndexError as error:
            raise DomainError("E0306", str(error)) from None
        except (ValueError, ArithmeticError) as error:
            raise DomainError("E0503", f"{op}: {error}") from None
        if src and out.is_const and out.dtype.kind == "fixed":
            self._check(op, out)
        return out

    def overflows(self, op: str) -> None:  # noqa: ARG002
        """DomainError: the study's author hears of it, whatever the data are."""
        raise DomainError("E0501", "the result does not fit into 64 bits")

    def _check(self, op: str, out: Value) -> None:
        array = out.constant
        if not np.isfinite(array).all():
            raise DomainError("E0503", f"the result of {op} is not a number")
        if array.size and np.abs(array).max() >= 2.0 ** (63 - out.dtype.frac):
            raise DomainError("E0501", "the result does not fit into 64 bits")


@dataclass(slots=True, eq=False)
class Region:
    """A circuit being built. For a loop's body: `outer` is where the loop stands.

    carried: how many values the body carries on; its parameters are the index, the carried values, the invariants.
    first, last: the index's least and largest value, when known. opaque: the index will not become a constant, sizes
    that depend on it stay symbolic (only when a study is checked without its data).
    """

    builder: StudyBuilder
    outer: Region | None = None
    carried: int = 0
    first: int | None = None
    last: int | None = None
    opaque: bool = False
    invariants: list[Value] = field(default_factory=list)
    _brought: dict[int, Value] = field(default_factory=dict)

    def bring(self, value: Value) -> Value:
        """`value`, of this region or of one around it, as a value of this region."""
        if value.builder is self.builder:
            return value
        assert self.outer is not None, "a value of another circuit"
        there = self.outer.bring(value)
        known = self._brought.get(there.index)
        if known is None:
            known = self._bring(there)
            self._brought[there.index] = known
        return known

    def _bring(self, there: Value) -> Value:
        node = there.node
        if node.op in {"const", "size"}:
            return self.builder.append(node.op, (), dict(node.attrs), node.type)
        if node.op in {"broadcast_to", "transpose", "concat"} and node.type.dtype == BOOL:
            # What a mask of rows does not vary along is seen in how it was made (`masks`).
            sources = tuple(self.bring(Value(there.builder, i)) for i in node.src)
            return self.builder.append(node.op, sources, dict(node.attrs), node.type)
        self.invariants.append(there)
        index = self.carried + len(self.invariants)
        return self.builder.append("param", (), {"index": index}, node.type)

    def dim(self, dim: Dim) -> Value:
        """A size as a value: a constant, or a `size` node while it is not known."""
        if isinstance(dim, Size):
            return self.builder.append("size", (), {"dim": dim}, Type(INT, (), EVERYONE))
        return self.builder.const(np.int64(dim), INT)

    def source(self, value: Value) -> tuple[Region, Value]:
        """Where an invariant comes from: the region that computes it, and the value there."""
        region, at = self, value
        while (place := region.outside(at.node)) is not None:
            assert region.outer is not None
            region, at = region.outer, place
        return region, at

    def outside(self, node: Node) -> Value | None:
        """The outer value that an invariant stands for; None for other nodes."""
        if node.op != "param" or node["index"] <= self.carried:
            return None
        place: int = node["index"] - self.carried - 1
        return self.invariants[place]

    def ancestors(self, value: Value) -> Iterator[tuple[Region, Value]]:
        """`value` and all that it is computed from, through the regions around."""
        seen: set[tuple[int, int]] = set()
        stack = [(self, value)]
        while stack:
            region, at = stack.pop()
            key = (id(region), at.index)
            if key in seen:
                continue
            seen.add(key)
            yield region, at
            place = region.outside(at.node)
            if place is not None:
                assert region.outer is not None
                stack.append((region.outer, place))
            stack += [(region, Value(region.builder, i)) for i in at.node.src]

    def loops(self, value: Value) -> list[Region]:
        """The loops that `value` changes with, innermost first: by their index, carried values, or what they open."""
        bound = {id(r): r for r, v in self.ancestors(value) if r.outer is not None and _changes(r, v.node)}
        chain: list[Region] = []
        region: Region | None = self
        while region is not None:
            if id(region) in bound:
                chain.append(region)
            region = region.outer
        return chain

    def affine(self, value: Value) -> tuple[dict[int, int], int]:
        """`value` as (factor of each value by index, constant): the sum of products that it is."""
        node = value.node
        if value.is_const:
            return {}, int(value.constant)
        parts = (
            [self.affine(Value(self.builder, i)) for i in node.src] if node.op in {"add", "sub", "mul", "neg"} else []
        )
        match node.op:
            case "add":
                return _combine(parts[0], parts[1], 1)
            case "sub":
                return _combine(parts[0], parts[1], -1)
            case "neg":
                return _combine(({}, 0), parts[0], -1)
            case "mul" if not parts[0][0] or not parts[1][0]:
                (factors, constant), (_, factor) = (parts[0], parts[1]) if not parts[1][0] else (parts[1], parts[0])
                return {i: k * factor for i, k in factors.items() if k * factor}, constant * factor
        return {value.index: 1}, 0

    def bounds(self, value: Value) -> tuple[int, int] | None:
        """The least and the largest that a public whole number can be, by the ranges of loops; None: not known."""
        factors, constant = self.affine(value)
        lo = hi = constant
        for index, factor in factors.items():
            node = self.builder.nodes[index]
            if node.op != "param" or node["index"] != 0 or self.first is None or self.last is None:
                place = self.outside(node)
                found = None if place is None or self.outer is None else self.outer.bounds(place)
                if found is None:
                    return None
                ends = [factor * found[0], factor * found[1]]
            else:
                ends = [factor * self.first, factor * self.last]
            lo, hi = lo + min(ends), hi + max(ends)
        return lo, hi


def _changes(region: Region, node: Node) -> bool:
    return (node.op == "param" and node["index"] <= region.carried) or node.op == "open"


def _combine(x: tuple[dict[int, int], int], y: tuple[dict[int, int], int], sign: int) -> tuple[dict[int, int], int]:
    factors = dict(x[0])
    for index, k in y[0].items():
        factors[index] = factors.get(index, 0) + sign * k
    return {i: k for i, k in factors.items() if k}, x[1] + sign * y[1]


# --------------------------------------------------------------------------------- finished bodies

KEPT = frozenset({"open", "reveal", "assert"})
"""Operations that act even when nothing uses their result."""


def prune(body: Circuit, carried: int) -> tuple[Circuit, tuple[int, ...]]:
    """`body` without what nothing needs, and which of its invariants (from 0) are left, in order."""
    needed = set(body.results)
    for index in range(len(body) - 1, -1, -1):
        node = body.nodes[index]
        if index in needed or node.op in KEPT:
            needed.add(index)
            needed.update(node.src)
    used = sorted({body.nodes[i]["index"] for i in needed if body.nodes[i].op == "param"})
    kept = tuple(i - carried - 1 for i in used if i > carried)
    place = {k + carried + 1: n + carried + 1 for n, k in enumerate(kept)}
    moved: dict[int, int] = {}
    nodes: list[Node] = []
    for index in sorted(needed):
        node = body.nodes[index]
        attrs = node.attrs
        if node.op == "param" and node["index"] > carried:
            attrs = (("index", place[node["index"]]),)
        moved[index] = len(nodes)
        nodes.append(Node(node.op, tuple(moved[i] for i in node.src), attrs, node.type, node.origin, node.outs))
    return Circuit(tuple(nodes), tuple(moved[i] for i in body.results)), kept


def nodes_of(circuit: Circuit) -> int:
    """How many operations one pass of a body has, loops within it counted by their iterations."""
    total = 0
    for node in circuit.nodes:
        if node.op in {"const", "param", "size", "item", "reshape"}:
            continue
        total += 1
        for _, value in node.attrs:
            if isinstance(value, Circuit):
                count = node.get("count", 1)
                total += nodes_of(value) * (count if isinstance(count, int) else 1)
    return total
