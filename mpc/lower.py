"""From numbers to shares: a surface circuit becomes one of protocol primitives, loops and reveals included."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import mpc.rules  # noqa: F401 - fills RULES
from mpc.circuit import Circuit, Node, Value, reachable
from mpc.circuits.noise import noise
from mpc.circuits.relational_columns import moved_from
from mpc.guards import DIVISIONS, guarded_divisions
from mpc.link import NEAR
from mpc.lowerer import Assumption, Lowerer, RangeOverflowError
from mpc.op import Interval
from mpc.passes import optimise
from mpc.types import BOOL, INT, Layout, Type

__all__ = ["NOT_ZERO", "Assumption", "Lowered", "RangeOverflowError", "lower"]


NOT_ZERO: Final = "the divisor is not 0"

DEFINED: Final = {
    "sqrt": (0, 0, "the argument of sqrt is not below 0"),
    "rsqrt": (0, 1, "the argument of rsqrt is above 0"),
    "log": (0, 1, "the argument of log is above 0"),
    "reciprocal": (0, 1, NOT_ZERO),
    **dict.fromkeys(("div", "floordiv", "mod"), (1, 1, NOT_ZERO)),
}
"""Operations that have no result everywhere: (the operand, 1 if it may not be 0, what is taken for granted of it)."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """A circuit of primitives, what was assumed, and the surface nodes whose values its results are, in their order."""

    circuit: Circuit
    assumptions: tuple[Assumption, ...]
    results: tuple[int, ...]


def lower(
    circuit: Circuit,
    nodes: Sequence[str],
    *,
    roots: Sequence[int] | None = None,
    carried: Mapping[int, Type] | None = None,
    round_bytes: int = NEAR,
) -> Lowered:
    """The circuit on shares for the compute nodes named `nodes`, after all passes.

    roots: the surface nodes that are wanted (all reveals, stores and the circuit's results when not given); only what
    they need is lowered.  What is stored in this run is among the results, as shares.  carried: surface nodes that an
    earlier stage computed and kept, with the types of what it kept; what an earlier run stored is carried likewise,
    under the index of its `stored` node.  round_bytes: what a round counts beside bytes (`mpc.link`).
    RangeOverflowError at the first value that may not fit.
    """
    carried = carried or {}
    wanted = set(circuit.results) if roots is None else set(roots)
    wanted |= {i for i, node in circuit if node.op in ("reveal", "store")} if roots is None else set()
    needed = reachable(circuit, wanted, stop=carried.keys())
    builder = Lowerer(nodes, round_bytes=round_bytes)
    where = _walk(builder, circuit, {}, needed, carried, wanted)
    kept = tuple(i for i in sorted(wanted) if circuit.nodes[i].op != "reveal")
    done = optimise(builder.finish(Value(builder, where[i]) for i in kept))
    return Lowered(done, tuple(dict.fromkeys(builder.assumptions)), kept)


def _walk(
    b: Lowerer,
    circuit: Circuit,
    params: dict[int, Value],
    needed: set[int],
    carried: Mapping[int, Type],
    roots: Collection[int],
) -> dict[int, int]:
    """Lower the needed nodes of `circuit` into `b`; `params` are a body's parameters by index."""
    where: dict[int, int] = {}
    guarded = guarded_divisions(circuit, roots)
    for index, node in circuit:
        if index not in needed:
            continue
        with b.at(node.origin):
            if index in carried:
                done = b.append("carry", (), {"label": index}, carried[index], pure=False)
            elif node.op == "stored":
                layout = Layout.BITS if node.type.dtype == BOOL else Layout.ARITH
                attrs = {"label": index, "stored": (node["id"], node["index"])}
                done = b.append("carry", (), attrs, node.type.with_(layout=layout), pure=False)
            else:
                done = _node(b, circuit, index, [Value(b, where[i]) for i in node.src], params, guarded)
        where[index] = done.index
    return where


def _node(
    b: Lowerer, circuit: Circuit, index: int, src: list[Value], params: dict[int, Value], guarded: frozenset[int]
) -> Value:
    node = circuit.nodes[index]
    attrs: dict[str, Any] = dict(node.attrs)
    match node.op:
        case "const":
            return b.append("const", (), attrs, node.type)
        case "input":
            out = b.append("input", (), attrs, node.type, pure=False)
            known = attrs.get("range")
            if known is None and node.type.dtype.kind == "fixed":
                return out
            # What is shared is the nearest number on the grid.
            slack = 2.0 ** -(node.type.dtype.frac + 1) if node.type.dtype.kind == "fixed" else 0
            return b.know(out, Interval(known[0] - slack, known[1] + slack) if known else None)
        case "param":
            return params[int(attrs["index"])]
        case "item":
            return _item(b, src[0], int(attrs["index"]))
        case "reveal":
            told = b.deliver(src[0], attrs["to"])
            return b.append("reveal", (told,), attrs, told.type, pure=False)
        case "store":
            share = b.shared(src[0])
            return share if share.dtype == BOOL else b.scaled(share, node.type.dtype.frac)
        case "loop":
            return _loop(b, node, src)
        case "noise":  # it has no operands that would make it secret
            return noise(b, **attrs)
        case _:
            divides = node.op in DIVISIONS and not node.type.public and index not in guarded
            if divides or (node.op not in DIVISIONS and node.type.secret):
                _noted(b, node.op, src)
            return b.emit(node.op, *src, **attrs)


def _item(b: Lowerer, whole: Value, index: int) -> Value:
    """One of several results; of entries that were moved in the clear the range of all stays known."""
    out = b.items(whole)[index]
    at = moved_from(whole.node, index)
    known = None if at is None else b.range(Value(b, whole.node.src[at]))
    if known is not None and out.dtype != BOOL and not out.is_const:
        b.know(out, Interval(min(known.lo, 0), max(known.hi, 0)))
    return out


def _noted(b: Lowerer, op: str, src: Sequence[Value]) -> None:
    """Note that an operand is taken to be where the operation has a result, if nothing shows it."""
    if op not in DEFINED:
        return
    which, least, what = DEFINED[op]
    x = src[which]
    known = b.range(x)
    unit = 2.0**-x.dtype.frac
    above = known is not None and known.lo > (0.0 if least else -unit)
    if not above and not (op in DIVISIONS and known is not None and known.hi < 0):
        b.taken(what)


def _loop(b: Lowerer, node: Node, src: list[Value]) -> Value:
    """A loop: secret carried values are shares throughout; what a body shares of the outside is shared once, before."""
    body: Circuit = node["body"]
    carried: int = node["carried"]
    types = node.types
    start = [b.shared(v) if t.secret else v for v, t in zip(src[:carried], types, strict=True)]
    start = [
        b.scaled(v, t.dtype.frac) if t.secret and t.dtype != BOOL else v for v, t in zip(start, types, strict=True)
    ]
    inner = Lowerer(b.names, parent=b, carried=carried)
    first, last = node["start"], node["start"] + node["step"] * (node["count"] - 1)
    index = inner.append("param", (), {"index": 0}, Type(INT))
    params = {0: inner.know(index, Interval(min(first, last), max(first, last)))}
    for i, v in enumerate([*start, *src[carried:]], start=1):
        t = v.type.seen(types[i - 1].seen_by) if i <= carried else v.type
        params[i] = inner.append("param", (), {"index": i}, t)
        if i > carried:
            inner.know(params[i], b.range(v))
    where = _walk(inner, body, params, reachable(body, body.results), {}, body.results)
    results = []
    for i, t in zip(body.results, types, strict=True):
        out = Value(inner, where[i])
        if t.secret:
            out = inner.shared(out)
            out = out if t.dtype == BOOL else inner.scaled(out, t.dtype.frac)
        results.append(out)
    invariants = src[carried:]
    twins = [b.shared(_outer(clear, start, invariants)) for clear, _ in inner.hoisted]
    circuit = _renumber(inner.finish(results), 1 + len(src))
    attrs = {**dict(node.attrs), "body": circuit}
    outs = [r.type for r in results]
    return b.append("loop", [*start, *invariants, *twins], attrs, outs, pure=False)


def _outer(param: Value, start: Sequence[Value], invariants: Sequence[Value]) -> Value:
    index = int(param.node["index"]) - 1
    return start[index] if index < len(start) else invariants[index - len(start)]


def _renumber(circuit: Circuit, first: int) -> Circuit:
    """Give the twins' parameters (made as -1, -2, …) the places after the others."""
    nodes = tuple(
        Node("param", (), (("index", first - 1 - n["index"]),), n.type, n.origin)
        if n.op == "param" and n["index"] < 0
        else n
        for n in circuit.nodes
    )
    return Circuit(nodes, circuit.results)
