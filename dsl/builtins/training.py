"""For training: cross_entropy squared_error standardize."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dsl.builtins.arguments import numeric
from dsl.builtins.table import CallSite, builtin
from dsl.convert import both_valid, to_fixed, to_int
from dsl.masks import in_rows, left_rows, only_rows, row_mask, several
from dsl.operators import binary
from dsl.stypes import FIXED
from dsl.values import Array, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import INT, ShapeError, broadcast_shapes

__all__: list[str] = []

LEAST = 2.0**-15
"""A probability below it counts as it in a logarithm: two units of `fixed`."""

FLAT = 2.0**-13
"""A column whose mean distance from its mean is below counts as constant."""


@builtin("squared_error")
def squared_error(w: Walker, site: CallSite, a: Val, b: Val) -> Val:
    """`(a - b) ** 2`, element by element."""
    x, y = (numeric(w, v, site.of(n), full=False) for v, n in ((a, "a"), (b, "b")))
    d = w.array(binary(w, "-", x, y, site.span), site.span)
    if d.stype.kind == "decimal":
        return binary(w, "*", d, d, site.span)
    return d.with_value(w.builder.emit("square", d.value))


@builtin("cross_entropy")
def cross_entropy(w: Walker, site: CallSite, p: Val, y: Val) -> Val:
    """-y log(p) - (1 - y) log(1 - p) for each of a vector of probabilities, -sum(y log(p)) for each row of a matrix.

    Of `sigmoid(z)` and `softmax(z)` it is taken from z, and is right however near 0 or 1 they are; other probabilities
    count as 2^-15 at least, and as 1 - 2^-15 at most.
    """
    q, t = (only_rows(w, numeric(w, v, site.of(n), full=False), site.of(n)) for v, n in ((p, "p"), (y, "y")))
    q, t = to_fixed(w, to_int(q)), to_int(t)
    if len(q.shape) > 2 or len(q.shape) != len(t.shape):
        label = f"probabilities {describe(q)}, truth {describe(t)}"
        return w.error("E0302", "`cross_entropy` takes two vectors or two matrices", site.span, label)
    if broadcast_shapes(q.shape, t.shape) != q.shape:
        raise ShapeError(f"there are fewer probabilities ({describe(q)}) than truth values ({describe(t)})")
    valid, padded = both_valid([q, t], q.shape)
    if len(q.shape) == 1:
        return Array(_binary(w, q.value, t.value), FIXED, valid, padded)
    losses = Array(_categorical(w, q.value, t.value), FIXED)
    if valid is None:
        return losses
    rows = left_rows(w, replace(q, valid=valid, padded=True), 1, site.span)
    return several(w, q, site.span) if rows is None else in_rows(losses, rows)


def _times(w: Walker, a: Value, b: Value) -> Value:
    return w.builder.emit("mul", a, b)


def _binary(w: Walker, p: Value, y: Value) -> Value:
    b = w.builder
    one = b.const(1.0, w.fixed)
    if p.node.op == "sigmoid":
        z = Value(b, p.node.src[0])
        return b.emit("softplus", z) - _times(w, y, z)
    q = b.emit("clip", p, lo=LEAST, hi=1 - LEAST)
    yes, no = b.emit("log", q), b.emit("log", one - q)
    return -(_times(w, y, yes - no) + no)


def _categorical(w: Walker, p: Value, y: Value) -> Value:
    b = w.builder
    if p.node.op == "softmax" and p.node["axis"] in {1, -1}:
        logs = b.emit("log_softmax", Value(b, p.node.src[0]), axis=p.node["axis"])
    else:
        logs = b.emit("log", b.emit("clip", p, lo=LEAST, hi=1.0))
    return -b.emit("sum", _times(w, y, logs), axis=1, keepdims=False)


@builtin("standardize")
def standardize(w: Walker, site: CallSite, X: Val) -> Val:
    """Each column (a vector is one) with mean 0 and population deviation 1; a constant column becomes 0.
    Invisible rows of a table do not count and stay invisible.

    A column is brought to a size near 1 by a power of two before it is squared, so that neither small nor large columns
    lose places; a column whose mean distance from its mean is below 2^-13 counts as constant.
    """
    a = to_fixed(w, to_int(only_rows(w, numeric(w, X, site.of("X"), full=False), site.of("X"))))
    if not 1 <= len(a.shape) <= 2:
        return w.error("E0302", "`standardize` takes a vector or a matrix", site.of("X"), describe(a))
    if a.shape[0] == 0:
        return w.error("E0302", "there are no rows", site.of("X"), describe(a))
    x = a.value if len(a.shape) == 2 else a.value.reshape((a.shape[0], 1))
    mask = row_mask(w, a)
    if mask is None:
        return Array(_standardized(w, _centred(w, x), None).reshape(a.shape), FIXED)
    on = mask.reshape((x.shape[0], 1))
    z = _centred(w, _centred(w, x, on), on)  # the second time takes back what dividing left of the first
    return in_rows(Array(_standardized(w, z, on).reshape(a.shape), FIXED), mask)


def _mean(w: Walker, x: Value, on: Value | None) -> Value:
    """Of each column; on: of which rows (a column), the others being 0 in x. None: of all."""
    b = w.builder
    if on is None:
        return b.emit("mean", x, axis=0, keepdims=True)
    many = b.emit("to_fixed", b.emit("sum", on.to_int(), axis=0, keepdims=True), frac=w.frac)
    return b.emit("div", b.emit("sum", x, axis=0, keepdims=True), many)


def _centred(w: Walker, x: Value, on: Value | None = None) -> Value:
    b = w.builder
    if on is None:
        first = b.emit("slice", x, parts=((0, 1, 1), (0, x.shape[1], 1)))
        x = x - first  # a constant column is 0 from here on, exactly
        return x - _mean(w, x, None)
    zero = b.const(0.0, w.fixed)
    x = b.emit("select", on, x, zero)
    return b.emit("select", on, x - _mean(w, x, on), zero)


def _standardized(w: Walker, x: Value, on: Value | None) -> Value:
    """Columns of mean 0 with deviation 1; on: as for `_mean`."""
    b = w.builder
    spread = _mean(w, b.emit("abs", x), on)
    flat = spread < FLAT
    for factor in _factors(w, spread):
        x = b.emit("within", _times(w, x, factor), lo=None, hi=None)  # only small columns grow: see `_balanced`
    variance = _mean(w, b.emit("square", x), on)
    variance = b.emit("select", flat, b.const(1.0, w.fixed), variance)
    scale = b.emit("rsqrt", variance)
    scale = b.emit("select", flat, b.const(0.0, w.fixed), scale)
    z, rows = _times(w, x, scale), x.shape[0]
    if not isinstance(rows, int):
        return z
    furthest = 1.125 * np.sqrt(rows) + 1  # of n squares with the mean 1 none is above n; what rounding adds is far less
    return b.emit("within", z, lo=-furthest, hi=furthest)


def _factors(w: Walker, spread: Value) -> list[Value]:
    """Powers of two, one above and two below 1 for each column, that bring `spread` into [1/2, 1).

    Each is 1 plus what every threshold that is passed adds; at least 2^-15 each, so that they are exact. That above 1
    is a whole number, and multiplying by it rounds nothing.
    """
    up, j = np.arange(1, 14), np.arange(15)
    factors = [_steps(w, spread, 2.0**-up, 2 ** (up - 1), below=True)]
    for low in (0, 15):
        factors.append(_steps(w, spread, 2.0 ** (low + j), 2.0 ** -(j + 1) - 2.0**-j, below=False))
    return factors


def _steps(w: Walker, spread: Value, thresholds: np.ndarray, added: np.ndarray, *, below: bool) -> Value:
    b = w.builder
    columns = spread.shape[1]
    limits = b.const(thresholds, w.fixed).reshape((1, len(thresholds)))
    tall = spread.reshape((columns, 1))
    passed = tall < limits if below else tall >= limits
    dtype = INT if added.dtype == np.int64 else w.fixed
    factor = b.emit("matmul", passed.to_int(), b.const(added, dtype)) + b.const(1, dtype)
    ends = sorted((1.0, 1.0 + float(added.sum())))
    return b.emit("within", factor.reshape((1, columns)), lo=ends[0], hi=ends[1])
