"""Definitions computed in the clear so that every whole number is right or known not to be.

For: `compute` (a node of a circuit, by the definition of its operation), `certain` (a value that may leave), `Ranges`
(what is known of the arrays of a run), `unfit`.
Leaves to others: what is computed on shares, where rings are meant to wrap and ranges are proved before (`lower`).

NumPy's whole numbers wrap at 64 bits.  Here the ranges of the operands, through the operation's own rule for intervals
(`Op.bound`), show mostly that nothing can; where they do not, the operation is done again in floating point
(`Op.wide`): what wrapped differs from that by a multiple of 2^64, and what did not by less than 2^62.

What does not fit is an error when something depends on it, as NaN is, and not before: of two branches of which a
private condition chooses one the other may overflow, and so may rows that a query drops.  Until then it is carried as
`Unfit`: the array, and which of its entries are no numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from mpc.circuit import Array, Attrs, Circuit, Node
from mpc.circuits.relational_columns import gathered, moved_from, summed_from
from mpc.op import Interval, Op, OutsideError, OverflowsError, find
from mpc.types import INT, Type

__all__ = ["Ranges", "Unfit", "certain", "compute", "unfit"]

LIMIT: Final = 2.0**62

PIECE: Final = 1 << 16
"""Entries of which the range is taken at once: they stay in the cache between the smallest and the largest."""

ELEMENTWISE: Final = frozenset(
    {
        "abs", "abs_slope", "add", "carried", "ceil", "clip", "clip_slope", "div", "eq", "exp", "floor", "floordiv",
        "gelu", "gelu_slope", "keep", "log", "lt", "maximum", "minimum", "mod", "mul", "neg", "not", "of_units",
        "power", "reciprocal", "relu", "relu_slope", "round", "round_to", "rsqrt", "second_larger", "sigmoid", "sign",
        "softplus", "sqrt", "square", "sub", "tanh", "to_fixed", "to_int", "units", "variable", "within", "wrapping",
        "xor",
    }
)  # fmt: skip
"""Operations of which an entry of the result depends on the entries of the operands that stand where it does."""


def _first(n: int) -> Callable[[Node], Sequence[int]]:
    return lambda node: range(min(n, len(node.src)))


def _after(n: int) -> Callable[[Node], Sequence[int]]:
    return lambda node: range(n, len(node.src))


MOVES: Final[dict[str, Callable[[Node], Sequence[int]]]] = {
    **dict.fromkeys(("reshape", "broadcast_to", "transpose", "slice", "sum", "cumsum", "mean"), _first(1)),
    **dict.fromkeys(("take", "dynamic_slice", "reorder", "shuffle"), _first(1)),
    **dict.fromkeys(("update", "dynamic_update"), _first(2)),
    **dict.fromkeys(
        ("front_rows", "group_totals", "running_sums", "group_last", "copy_down", "expand_rows"), _after(1)
    ),
    **dict.fromkeys(("group_rows", "bucket_sums"), _after(2)),
    **dict.fromkeys(("concat", "shuffle_rows"), _after(0)),
    "gather_rows": lambda node: [at for at, how in zip(gathered(node), node["how"], strict=True) if how == "sum"],
    "sort_rows": lambda node: range(node["keys"], len(node.src)),
    "lookup_rows": lambda node: range(node["keys"] + 1, node["keys"] + 1 + node["payload"]),
    "join_rows": lambda node: [
        *range(node["keys"] + 1, node["keys"] + 1 + node["left"]),
        *range(len(node.src) - node["right"], len(node.src)),
    ],
}
"""Operations that move or add up entries of some operands, as the others say: which these are."""


@dataclass(frozen=True, slots=True, eq=False)
class Unfit:
    """An array of which the entries at `where` (truth values, of the same shape) are no numbers: `error` says why."""

    array: Array
    where: Array
    error: OverflowsError


def certain(value: Any) -> Any:
    """The value, for what may not depend on entries that are no numbers.  OverflowsError where there are any."""
    if isinstance(value, Unfit):
        raise value.error
    return value


@dataclass(slots=True)
class Ranges:
    """The ranges of long arrays, measured once, or known from those of operands, while the arrays live."""

    _known: dict[int, tuple[weakref.ref[Array], Interval, bool]] = field(default_factory=dict)

    def of(self, x: Array, *, measured: bool = False) -> Interval:
        """From the smallest to the largest entry, or some way around; not so if `measured`."""
        if x.size <= PIECE:
            return _range(x)
        known = self._known.get(id(x))
        if known is not None and known[0]() is x and (known[2] or not measured):
            return known[1]
        found = _range(x)
        self.note(x, found, measured=True)
        return found

    def note(self, x: Array, known: Interval, *, measured: bool = False) -> None:
        """Remember the range of x."""
        if x.size > PIECE:
            key = id(x)
            self._known[key] = weakref.ref(x, lambda _: self._known.pop(key, None)), known, measured


def compute(circuit: Circuit, index: int, src: Sequence[Any], ranges: Ranges | None = None) -> Any:
    """A node's results by the definition of its operation: an array, or `Unfit`; a tuple where it has several."""
    node = circuit.nodes[index]
    record, attrs = find(node.op), dict(node.attrs)
    if record.ref is None:
        raise AssertionError(f"{node.op} has no definition in the clear")
    types = [circuit.nodes[i].type for i in node.src]
    doubtful = [v for v in src if isinstance(v, Unfit)]
    arrays = [v.array if isinstance(v, Unfit) else v for v in src]
    with np.errstate(all="ignore"):  # what is no number must not be used, and is refused where it is
        try:
            out = record.ref(*arrays, **attrs)
        except OutsideError as error:
            if doubtful:
                raise doubtful[0].error from None
            error.origin = node.origin
            raise
        results = tuple(map(np.asarray, out)) if node.outs else (np.asarray(out),)
        lost: list[Array | None] = unfit(record, types, arrays, attrs, results, ranges)
        if any(m is not None for m in lost):
            lost = [None if _meant_to_wrap(circuit, index, i) else m for i, m in enumerate(lost)]
        if doubtful:
            found = _following(record, node, src, arrays, attrs, results)
            lost = [a if b is None else b if a is None else a | b for a, b in zip(lost, found, strict=True)]
    done = [_marked(r, m, node, doubtful) for r, m in zip(results, lost, strict=True)]
    return tuple(done) if node.outs else done[0]


def _marked(result: Array, lost: Array | None, node: Node, doubtful: Sequence[Unfit]) -> Any:
    if lost is None or not lost.any():
        return result
    error = doubtful[0].error if doubtful else OverflowsError(node.op, node.type.seen_by, node.origin)
    return Unfit(result, lost, error)


# -- what does not fit -------------------------------------------------------------------------


def unfit(
    record: Op,
    types: Sequence[Type],
    src: Sequence[Array],
    attrs: Attrs,
    results: Sequence[Array],
    ranges: Ranges | None = None,
) -> list[Array | None]:
    """For each result of an operation on numbers, which of its entries are not what 64 bits say; None: all are."""
    if record.wide is None or not _whole(types, results):
        return [None] * len(results)
    ranges = ranges or Ranges()
    for measured in (False, True):
        found = _shown(record, types, src, attrs, [ranges.of(x, measured=measured) for x in src])
        if found is not None:
            for result in results:
                if result.dtype.kind == "i":
                    ranges.note(result, found)
            return [None] * len(results)
    rough = record.wide(*src, **attrs)
    several = rough if isinstance(rough, tuple) else (rough,)
    return [_far(out, about, record) for out, about in zip(results, several, strict=True)]


def _far(out: Array, about: Array, record: Op) -> Array | None:
    if out.dtype.kind != "i" and record.name != "mean":
        return None
    far = ~(np.abs(out.astype(np.float64) - about) < LIMIT)
    return far if far.any() else None


def _whole(types: Sequence[Type], results: Sequence[Array]) -> bool:
    return any(r.dtype.kind == "i" for r in results) or all(t.dtype == INT for t in types)


def _shown(
    record: Op, types: Sequence[Type], src: Sequence[Array], attrs: Attrs, known: Sequence[Interval]
) -> Interval | None:
    """What all results are within, if the ranges of the operands show that they fit."""
    if record.bound is None or record.name == "mean":  # sums of rows, or of all
        most = max(i.magnitude for i in known) * max(len(src[0]) if record.bound is None else src[0].size, 1)
        found: Interval | None = Interval(-most, most)
    else:
        try:
            found = record.bound(known, types, attrs)
        except (OverflowError, ValueError):
            return None
    return found if found is not None and found.magnitude < LIMIT else None


def _range(x: Array) -> Interval:
    """From the smallest to the largest entry."""
    if x.dtype.kind == "b":
        return Interval(0, 1)
    if x.size <= 1:
        return Interval(x.item(), x.item()) if x.size else Interval(0, 0)
    if x.size <= PIECE or not x.flags.c_contiguous:
        return Interval(x.min().item(), x.max().item())
    flat = x.reshape(-1)
    ends = [(p.min(), p.max()) for p in (flat[i : i + PIECE] for i in range(0, flat.size, PIECE))]
    return Interval(np.min([e[0] for e in ends]).item(), np.max([e[1] for e in ends]).item())


# -- what is meant to wrap ---------------------------------------------------------------------


def _meant_to_wrap(circuit: Circuit, index: int, result: int) -> bool:
    """Whether a result comes, by whole numbers alone, from some that are meant modulo 2^64 (`wrapping`)."""
    todo, seen = [(index, result)], set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        node = circuit.nodes[at[0]]
        if node.op == "wrapping":
            return True
        if node.op == "item":
            todo.append((node.src[0], node["index"]))
            continue
        src = node.src if not node.outs else [node.src[k] for k in _sources(node, at[1])]
        todo += [(i, 0) for i in src if circuit.nodes[i].type.dtype == INT or circuit.nodes[i].outs]
    return False


def _sources(node: Node, result: int) -> list[int]:
    """The operand whose entries one of several results has or adds up."""
    moved = moved_from(node, result)
    at = summed_from(node, result) if moved is None else moved
    return [] if at is None else [at]


# -- what depends on it ------------------------------------------------------------------------


def _following(
    record: Op, node: Node, src: Sequence[Any], arrays: Sequence[Array], attrs: Attrs, results: Sequence[Array]
) -> list[Array | None]:
    """For each result, which entries depend on entries that are no numbers."""
    masks = [v.where if isinstance(v, Unfit) else np.zeros((), np.bool_) for v in src]
    if node.op == "select":
        c, x, y = masks
        return [np.broadcast_to(c | np.where(arrays[0], x, y), results[0].shape)]
    if node.op in ("and", "or"):
        decides = node.op == "or"
        (a, b), (x, y) = arrays, masks
        settled = (~x & (a == decides)) | (~y & (b == decides))
        return [(x | y) & ~settled]
    if node.op in ELEMENTWISE:
        return [np.broadcast_to(np.logical_or.reduce(np.broadcast_arrays(*masks)), results[0].shape)]
    moved = MOVES[node.op](node) if node.op in MOVES else range(0)
    if any(isinstance(v, Unfit) and k not in moved for k, v in enumerate(src)):
        return [np.ones(r.shape, np.bool_) for r in results]
    # Entries that are moved or added up: where 1 in their place, and 0 in all others', makes a difference.
    ones = [np.broadcast_to(m, a.shape).astype(a.dtype) if k in moved else a for k, (m, a) in _both(masks, arrays)]
    none = [np.zeros_like(a) if k in moved else a for k, a in enumerate(arrays)]
    assert record.ref is not None
    with_, without = record.ref(*ones, **attrs), record.ref(*none, **attrs)
    pairs = zip(with_, without, strict=True) if node.outs else [(with_, without)]
    return [np.asarray(a) != np.asarray(b) for a, b in pairs]


def _both(masks: Sequence[Array], arrays: Sequence[Array]) -> Any:
    return enumerate(zip(masks, arrays, strict=True))
