"""What modules of the library have beside the language: `_record`, `_within`, `_rows`,
`_in_rows_of`, `_capped`, `_items`, `_layers` and `_balanced`.

Their names begin with `_`, and only the library's own text finds them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dsl import syntax
from dsl.builtins.arguments import numeric, shape_of, typed
from dsl.builtins.table import CallSite, builtin, special
from dsl.convert import to_fixed, to_int
from dsl.masks import emptied, in_rows, only_rows, row_mask
from dsl.source import Span
from dsl.stypes import FIXED, INTEGER
from dsl.values import Array, Record, Text, Tuple, Unknown, Val, describe
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import Dim, size_of

__all__: list[str] = []


@special("_record")
def record(w: Walker, e: syntax.Call) -> Val:
    """`_record('ridge regression', weights=w, …)`: a thing with named parts; its `kind` is the text."""
    kinds = [w.evaluate_known(a) for a in e.arguments]
    if len(kinds) != 1 or not isinstance(kinds[0], Text):
        return w.error("E0205", "`_record` takes a kind and parts by name", e.span)
    fields: dict[str, Val] = {"kind": kinds[0]}
    for part in e.keywords:
        fields[part.name.text] = w.evaluate(part.value)
    if any(isinstance(v, Unknown) for v in fields.values()):
        raise Reported
    return Record(kinds[0].text, fields)


@builtin("_within")
def within(w: Walker, site: CallSite, x: Val, lo: Val | None = None, hi: Val | None = None) -> Val:
    """x, which by the way it was made lies within the public lo and hi; without them nothing is known of its range."""
    a = numeric(w, x, site.of("x"))
    ends = [None if v is None else numeric(w, v, site.span).value for v in (lo, hi)]
    known = [float(v.constant) if v is not None and v.is_const else None for v in ends]
    if None in known:
        known = [None, None]
    return a.with_value(w.builder.emit("within", a.value, lo=known[0], hi=known[1]))


@builtin("_rows")
def rows(w: Walker, site: CallSite, *arrays: Val, sample_weight: Val | None = None) -> Val:
    """Which rows count, and the arrays with 0 in rows that are not there: (1, X, y, …) when all count, else (n times
    1 or 0, X, y, …): 0 for rows that are invisible in one of them, and for those of which `sample_weight` says so."""
    found = [_as_rows(w, a, s) for a, s in zip(arrays, site.items, strict=True)]
    masks = [row_mask(w, a) for a in found]
    weight: Value | None = None
    if sample_weight is not None:
        says = _as_rows(w, sample_weight, site.of("sample_weight"))
        if says.shape:
            if says.stype.kind not in {"bool", "int"}:
                return w.error("E0301", "`sample_weight` is truth values, or 0 and 1", site.span, describe(says))
            masks.append(row_mask(w, says))
            if says.stype.kind == "bool":
                masks.append(says.value)
            else:
                weight = says.value
    on: Value | None = None
    for mask in masks:
        if mask is not None and (on is None or on.index != mask.index):
            on = mask if on is None else on & mask
    if on is not None:
        counts = on.to_int() if weight is None else w.builder.emit("mul", on.to_int(), weight)
    elif weight is not None:
        counts = weight
    else:
        counts = w.integer(1).value
    return Tuple((Array(counts, INTEGER), *(emptied(w, a) for a in found)))


def _as_rows(w: Walker, val: Val, span: Span) -> Array:
    """An array that may lack rows, but no value within one."""
    return only_rows(w, w.array(val, span), span)


@builtin("_in_rows_of")
def in_rows_of(w: Walker, site: CallSite, x: Val, X: Val) -> Val:
    """x, whose rows are invisible where those of X are."""
    a = w.array(x, site.of("x"))
    mask = row_mask(w, w.array(X, site.of("X")))
    return a if mask is None else in_rows(a, mask)


@builtin("_capped")
def capped(w: Walker, site: CallSite, size: Val, most: Val) -> Val:
    """The smaller of two public sizes; `size` while the other is not known."""
    ends = [w.whole(v, site.of(n), "a size") for v, n in ((size, "size"), (most, "most"))]
    known = [e for e in ends if isinstance(e, int)]
    return Array(w.region.dim(min(known) if len(known) == 2 else ends[0]), INTEGER)


@builtin("_items")
def items(w: Walker, site: CallSite, *xs: Val) -> Val:
    """All arguments in one tuple, those that are tuples taken apart."""
    del w, site
    return Tuple(tuple(item for x in xs for item in (x.items if isinstance(x, Tuple) else (x,))))


@builtin("_layers")
def layers(w: Walker, site: CallSite, x: Val, widths: Val) -> Val:
    """A vector as what networks have between layers of so many units: a tuple of matrices, each of a layer's units by
    the next one's, and a tuple of the next ones' intercepts, which stand behind each matrix."""
    a = numeric(w, x, site.of("x"))
    sizes = shape_of(w, widths, site.of("widths"), 1)
    at: Dim = 0
    parts: list[Array] = []
    for before, after in pairwise(sizes):
        for shape in ((before, after), (after,)):
            many = size_of(shape)
            part = w.builder.emit("slice", a.value, parts=((at, at + many, 1),))
            parts.append(a.with_value(part.reshape(shape)))
            at = at + many
    return Tuple((Tuple(tuple(parts[::2])), Tuple(tuple(parts[1::2]))))


UPS, DOWNS = 13, 15
"""The largest power of two that a column is multiplied by, and, as exponents below 1, each of the two least ones."""


@builtin("_balanced")
def balanced(w: Walker, site: CallSite, X: Val, floor: Val, many: Val | None = None) -> Val:
    """Columns with mean 0 and a like size: (Z, centre, factors, inverses).

    Z = (X - centre) * factors[0] * factors[1] * factors[2]; a factor is a power of two for each column, the first from
    1 to 2^13, the others from 1 down to 2^-15, such that the mean of |Z| lies in [1/2, 1), or below where the mean
    distance of a column from its mean is below 2^-13 or below the public `floor`. A constant column becomes 0, exactly.
    many: over how many rows the mean of |Z| is, when others are at their columns' means.
    Factors of 1 and above are whole numbers, so that multiplying by them rounds nothing.
    """
    a = to_fixed(w, to_int(numeric(w, X, site.of("X"))))
    if len(a.shape) != 2:
        return w.error("E0302", "expected a matrix, a row for each case", site.of("X"), describe(a))
    if a.shape[0] == 0:
        return w.error("E0302", "there are no rows", site.of("X"), describe(a))
    b, x = w.builder, a.value
    first = b.emit("slice", x, parts=((0, 1, 1), (0, x.shape[1], 1)))
    x = x - first  # a constant column is 0 from here on, exactly
    middle = b.emit("mean", x, axis=0, keepdims=True)
    x = x - middle
    if many is None:
        spread = b.emit("mean", b.emit("abs", x), axis=0, keepdims=False)
    else:
        count = to_fixed(w, numeric(w, many, site.of("many"))).value
        spread = b.emit("div", b.emit("sum", b.emit("abs", x), axis=0, keepdims=False), count)
    least = numeric(w, floor, site.of("floor")).value
    powers = _powers(w, spread, float(least.constant) if least.is_const else 0.0)
    factors = [b.emit("within", _row(v, k), lo=lo, hi=hi) for v, k, (lo, hi) in powers]
    for factor in factors[:3]:  # only small columns grow, far less than the product of all that is declared
        x = b.emit("within", b.emit("mul", x, factor), lo=None, hi=None)
    centre = (first + middle).reshape((x.shape[1],))
    rows = [typed(factor.reshape((x.shape[1],))) for factor in factors]
    return Tuple((Array(x, FIXED), Array(centre, FIXED), Tuple(tuple(rows[:3])), Tuple(tuple(rows[3:]))))


def _powers(w: Walker, spread: Value, floor: float) -> list[tuple[Value, int, tuple[float, float]]]:
    """The three factors of each column, then their inverses: each as (values, which column of them, range).

    Each is a sum over the thresholds that the column does not reach.
    """
    b = w.builder
    up, down = np.arange(1, UPS + 1), np.arange(DOWNS)
    limits = np.concatenate([2.0**-up, 2.0**down, 2.0 ** (DOWNS + down)])
    added = np.zeros((len(limits), 6))
    base = np.array([1.0, 2.0**-DOWNS, 2.0**-DOWNS, 1.0, 2.0**DOWNS, 2.0**DOWNS])
    added[:UPS, 0], added[:UPS, 3] = 2.0 ** (up - 1), -(2.0**-up)
    for k, start in ((1, UPS), (2, UPS + DOWNS)):
        added[start : start + DOWNS, k] = 2.0 ** -(down + 1)
        added[start : start + DOWNS, k + 3] = -(2.0**down)
    added[limits <= floor] = 0.0  # reached, whatever the spread is
    tall = spread.reshape((spread.shape[0], 1))
    below = (tall < b.const(limits, w.fixed).reshape((1, len(limits)))).to_int()
    whole, parts = [0, 4, 5], [1, 2, 3]
    numbers = b.emit("matmul", below, b.const(added[:, whole].astype(np.int64))) + b.const(base[whole].astype(np.int64))
    fractions = b.emit("matmul", below, b.const(added[:, parts], w.fixed)) + b.const(base[parts], w.fixed)
    ends = [sorted((one, one + float(more))) for one, more in zip(base, added.sum(axis=0), strict=True)]
    return [
        (numbers, whole.index(k), (ends[k][0], ends[k][1]))
        if k in whole
        else (fractions, parts.index(k), (ends[k][0], ends[k][1]))
        for k in range(6)
    ]


def _row(powers: Value, k: int) -> Value:
    column = powers.builder.emit("slice", powers, parts=((0, powers.shape[0], 1), (k, k + 1, 1)))
    return column.reshape((1, powers.shape[0]))
