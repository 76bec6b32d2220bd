"""The walk over a surface circuit: for every node what it may be and how far it may be off.

For: `accuracy`.
Leaves to others: what each operation does to errors (the rules), what to say of it (`runtime.check`).

Ranges are those of the operations' records, as lowering has them, narrowed where a rule knows better; both what is
computed and what is exact lie in them.  The body of a loop is walked pass by pass, until nothing changes any more or
WORK nodes have been looked at: what is not settled then has no bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mpc.accuracy.steps import two_steps
from mpc.accuracy.table import RULES, Claim, Known, Reason, Unknown, Use, going_in
from mpc.circuit import Circuit, Node
from mpc.circuits.relational_columns import moved_from
from mpc.op import Interval, find
from mpc.types import BOOL, DEFAULT_FRAC, Type, TypeRuleError

__all__ = ["accuracy"]

WORK = 2000
"""Nodes in bodies of loops that are looked at, for all loops together."""

MANY = 1 << 40
"""Passes of a loop whose number is not known."""

MOST = 2.0**62
"""No number is larger, so neither is a range or an error that says anything."""

KEEPS = frozenset(["reshape", "broadcast_to", "transpose", "slice", "concat", "take", "neg", "add", "sub", "abs"])
"""Operations in the clear that leave multiples of a unit what they are."""

COUNTS = KEEPS - {"take"} | {"select", "maximum", "minimum", "max", "min"}
"""Operations on whole numbers whose result counts the same units as their operands."""

WHOLE = frozenset(["to_fixed", "floor", "ceil", "round", "of_units"])
"""Operations in the clear that make such multiples."""


def accuracy(circuit: Circuit) -> list[tuple[Known, ...]]:
    """What is known of the results of every node, in the order of the circuit: one for each result."""
    opened = (i for i, node in circuit if node.op == "open")
    # What is opened may decide how the study goes on: a later stage is lowered without the ranges of this one.
    return _Walk()(circuit, {}, firm=next(opened, len(circuit)))


class _Walk:
    """One walk, with the work that is left for bodies of loops."""

    def __init__(self) -> None:
        self.left = WORK

    def __call__(self, circuit: Circuit, params: Mapping[int, Known], firm: int) -> list[tuple[Known, ...]]:
        """What is known of all nodes. firm: the node from which on lowering may know less of ranges than before."""
        values: list[tuple[Known, ...]] = []
        factors: dict[int, tuple[int, float]] = {}
        for index, node in circuit:
            match node.op:
                case "const" | "input" | "stored" | "size":
                    done: tuple[Known, ...] = (_leaf(node),)
                case "param":
                    done = (params[node["index"]],)
                case "item":
                    done = (values[node.src[0]][node["index"]],)
                case "reveal" | "store":
                    done = (values[node.src[0]][0],)
                case "loop":
                    src = [values[i][0] for i in node.src]
                    done = self._loop(node, src, [circuit.nodes[i] for i in node.src], firm=index < firm)
                case _:
                    done = _step(circuit, values, factors, index, firm=index < firm)
            values.append(done)
        return values

    def _loop(self, node: Node, src: Sequence[Known], nodes: Sequence[Node], *, firm: bool) -> tuple[Known, ...]:
        body: Circuit = node["body"]
        carried: int = node["carried"]
        count = node["count"] if isinstance(node["count"], int) else MANY
        state = [_handed(s, n, t) for s, n, t in zip(src, nodes, node.types, strict=False)]
        around = [replace(s, weight=None) for s in src[carried:]]  # which speaks of nodes outside
        index = _index(node)
        why = Reason(f"its error grows with each of the {node['count']} passes of a loop", node.origin)
        for passes in range(count):
            params = dict(enumerate([index, *state, *around]))
            values = self(body, params, len(body) if firm else 0)
            self.left -= len(body)
            made = [(values[i][0], body.nodes[i]) for i in body.results]
            after = [_handed(known, n, t) for (known, n), t in zip(made, node.types, strict=True)]
            # What has no bound any more will have none; and there is no time for as many passes as one likes.
            late = self.left < 0 and passes + 1 < count
            both = zip(after, state, node.types, strict=True)
            after = [a if a == b or not (late or a.error is None) else _lost(a, t, why) for a, b, t in both]
            if after == state:
                break
            state = after
        return tuple(state)


def _index(node: Node) -> Known:
    """A loop's index, over all passes."""
    start, step, count = node["start"], node["step"], node["count"]
    if not all(isinstance(n, int) for n in (start, step, count)):
        return Known(open=Reason("a size is not known yet: give --data or --size", node.origin), grid=True)
    last = start + step * (count - 1)
    span = Interval(min(start, last), max(start, last))
    return Known(span, seen=span, grid=True)


def _handed(known: Known, node: Node, t: Type) -> Known:
    """What a pass of a loop gets: of its range lowering knows nothing."""
    if t.secret:
        known = going_in(known, node)
        if node.type.dtype.frac > t.dtype.frac and known.error is not None:
            known = replace(known, error=known.error + 2.0**-t.dtype.frac)
    return replace(known, seen=None, weight=None)


def _lost(known: Known, t: Type, why: Reason) -> Known:
    """Nothing is known any more: for the reason that the loop gives, unless it would be so without one."""
    bound = Interval(0, 1) if t.dtype == BOOL else None
    exact = known.error == 0 and known.near == 0
    return Known(bound, None, 0.0, known.why if known.why is not None and not known.why.grown else why, why, grid=exact)


# -- leaves ------------------------------------------------------------------------------------


def _leaf(node: Node) -> Known:
    t = node.type
    whole = t.dtype.kind != "fixed"
    if t.dtype == BOOL:
        return Known(Interval(0, 1), seen=Interval(0, 1), grid=True)
    if node.op == "const":
        array = node["value"].array
        if not array.size:
            return Known(Interval(0, 0), seen=Interval(0, 0), grid=True)
        grid = whole or bool((array * 2.0**t.dtype.frac == (array * 2.0**t.dtype.frac).round()).all())
        half = 0.0 if whole else 2.0 ** -(t.dtype.frac + 1)
        lo, hi = array.min().item(), array.max().item()
        known = Interval(lo, hi) if grid else Interval(lo - half, hi + half)
        return Known(known, seen=Interval(lo - half, hi + half), grid=grid)
    limits = node.get("range") if node.op == "input" else None
    if limits is None:
        return Known(open=Reason(_undeclared(node), node.origin), grid=whole or node.op == "stored")
    if whole:
        return Known(Interval(*limits), seen=Interval(*limits), grid=True)
    unit = 2.0**-t.dtype.frac
    lo, hi = (np.rint(v / unit).item() * unit for v in limits)
    seen = Interval(limits[0] - unit / 2, limits[1] + unit / 2)
    return Known(Interval(min(lo, limits[0]), max(hi, limits[1])), seen=seen)


def _undeclared(node: Node) -> str:
    if node.op == "size":
        return "a size is not known yet: give --data or --size"
    if node.op == "stored":
        return f"nothing is known of the range of what is stored as `{node['name']}`"
    column = node.get("column", "")
    name = f"`{column}` of `{node['name']}`" if column else f"`{node['name']}`"
    return f"no range is declared for {name}"


# -- operations --------------------------------------------------------------------------------


def _step(
    circuit: Circuit,
    values: Sequence[tuple[Known, ...]],
    factors: dict[int, tuple[int, float]],
    index: int,
    *,
    firm: bool,
) -> tuple[Known, ...]:
    node = circuit.nodes[index]
    nodes = tuple(circuit.nodes[i] for i in node.src)
    src = tuple(values[i][0] for i in node.src)
    if node.type.secret:
        src = tuple(going_in(s, n) for s, n in zip(src, nodes, strict=True))
    ranges, seen = _ranges(node, src, nodes)
    lost = next((s for s in src if s.error is None), None)
    claims: list[Claim | Reason]
    use = Use(index, node, src, nodes, circuit.nodes, values, ranges, firm, factors)
    try:
        if lost is not None and not node.outs and not _pattern(use):
            raise Unknown(lost.why or Reason("nothing is known of an error", node.origin))
        made = RULES[node.op](use)
        claims = [Claim(made)] if isinstance(made, float) else [made] if isinstance(made, Claim) else list(made)
    except Unknown as unknown:
        claims = [unknown.reason] * len(node.types)
    near = max((s.near for s in src), default=0.0)
    grid = node.type.secret or (node.op in KEEPS and all(s.grid for s in src)) or node.op in WHOLE
    unit = 2.0 ** -node["frac"] if node.op == "units" else _unit(src) if node.op in COUNTS else 1.0
    given = next((s.open for s in src if s.range is None and s.open is not None), None)
    out = []
    for claim, known, also, t in zip(claims, ranges, seen, node.types, strict=True):
        why, condition = given, near
        if isinstance(claim, Claim) and claim.of is not None:
            there = src[claim.of]
            known, why, condition = _or_zero(there.range, t) if claim.range is None else None, there.open, there.near
        why = why or Reason(f"nothing is known of the range of what {node.op} gives", node.origin)
        done = _settled(claim, known, also, condition, why, grid=grid or t.dtype.kind != "fixed")
        out.append(replace(done, unit=unit) if unit != 1 and t.dtype.kind == "int" else done)
    return tuple(out)


def _unit(src: Sequence[Known]) -> float:
    """What a sum or a choice of whole numbers counts: what all do that have an error."""
    units = {s.unit for s in src if s.error}
    return max(units, default=1.0)


def _or_zero(known: Interval | None, t: Type) -> Interval | None:
    """Of entries that were moved, or zeros; of truth values either."""
    if t.dtype == BOOL:
        return Interval(0, 1)
    return None if known is None else Interval(min(known.lo, 0), max(known.hi, 0))


def _pattern(u: Use) -> bool:
    """Whether a rule looks further back than at its operands, one of which has no bound."""
    return u.node.op == "add" and two_steps(u) is not None


def _settled(
    claim: Claim | Reason, known: Interval | None, seen: Interval | None, near: float, why: Reason, *, grid: bool
) -> Known:
    """A result, without what says nothing: an error as large as the range. why: what to say if no range is known."""
    if isinstance(claim, Claim) and claim.range is not None:
        r = claim.range
        known = r if known is None else Interval(max(known.lo, r.lo), min(known.hi, r.hi))
    if known is not None and not math.isfinite(known.magnitude):
        known = None
    elif known is not None and not known.magnitude < 2 * MOST:
        known, why = None, Reason("nothing shows how large it may become", why.origin, grown=True)
    if isinstance(claim, Claim) and not claim.error < MOST:
        claim = Reason("its error may grow beyond all that fits", why.origin, grown=True)
    if isinstance(claim, Claim) and known is not None and 0 < known.hi - known.lo <= claim.error:
        text = f"its error may be as large as its range, {known.lo:.6g} to {known.hi:.6g}"
        claim = Reason(text, why.origin, grown=True)
    open_ = why if known is None else None
    if isinstance(claim, Reason):
        return Known(known, None, 0.0, claim, open_, seen, grid)
    return Known(known, claim.error, max(near, claim.near), None, open_, seen, grid, weight=claim.weight)


def _ranges(
    node: Node, src: Sequence[Known], nodes: Sequence[Node]
) -> tuple[tuple[Interval | None, ...], tuple[Interval | None, ...]]:
    """Of every result, what it may be, and what lowering knows of that."""
    if node.op == "carried":  # which is there to forget the range when it is lowered
        return (src[0].range,), (None,)
    ranges = _of_record(node, [s.range for s in src], nodes)
    if all(s.seen is s.range for s in src):
        return ranges, ranges
    return ranges, _of_record(node, [s.seen for s in src], nodes)


def _of_record(node: Node, known: Sequence[Interval | None], nodes: Sequence[Node]) -> tuple[Interval | None, ...]:
    if node.outs:
        return tuple(_moved(node, i, t, known, nodes) for i, t in enumerate(node.outs))
    if node.type.dtype == BOOL:
        return (Interval(0, 1),)
    record = find(node.op)
    if record.bound is None:
        return (None,)
    try:
        interval = record.bound(known, [n.type for n in nodes], dict(node.attrs))
    except (OverflowError, TypeRuleError):
        return (None,)
    if interval is None or not (math.isfinite(interval.lo) and math.isfinite(interval.hi)):
        return (None,)
    rough = record.expand is not None and (record.tolerance or record.relative)
    if rough and node.type.dtype.kind == "fixed" and node.type.dtype.frac != DEFAULT_FRAC:
        slack = 2.0 ** (2 - node.type.dtype.frac) + interval.magnitude * 2.0**-8
        interval = Interval(interval.lo - slack, interval.hi + slack)
    return (interval,)


def _moved(node: Node, index: int, t: Type, known: Sequence[Interval | None], nodes: Sequence[Node]) -> Interval | None:
    """Of one of several results, as lowering has it, which forgets the range of a constant that it shares."""
    at = moved_from(node, index)
    return _or_zero(None if at is None or nodes[at].op == "const" else known[at], t)
