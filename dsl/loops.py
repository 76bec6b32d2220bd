"""`for`: rolled where it can be, unrolled where it must or where that is cheap.

For: `loop`.
Leaves to others: what a body depends on (`region`).

**The `loop` node.** Sources: the carried values' starts, then the invariants (outer values that the body reads).
Attributes: `body` (a Circuit), `count`, `carried` (how many), `start` and `step` of the index. Results: the carried
values after the last pass, read with `item`; there is at least one. In the body, `param` nodes with attribute `index`
are: 0 the loop's index, `start + step * pass`, a public whole number; 1 to carried the carried values; then the
invariants in order. `body.results` are the carried values for the next pass, one for each. A carried value's type is
that of its `param`, of its result in the body and of the node's result; a start may be seen by more parties (a public 0
that the first pass makes secret). Constants are made again in a body, they are never invariants; nor are the arrays
without a use. Bodies nest; a body reads only its own parameters.

**What is carried.** Every name that the body assigns and that had a value before; and names first assigned in the body
that the text after the loop mentions, which start as zeros and are there because a loop that is rolled runs at least
once. Viewers are found by walking the body until they no longer shrink.

**Unrolled** are loops that are small (`count` times the body's operations at most `SMALL`) where that saves rounds
(`overlap`), those of one pass, and those whose body needs the index, or something made of it or opened in the
body, as a constant: as a size, in a public `if`, as an exponent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl import syntax
from dsl.assign import assigned_names, row
from dsl.masks import in_rows, row_mask
from dsl.overlap import side_by_side
from dsl.region import nodes_of
from dsl.rolling import Loop, Passes, Rolled, carriable, finish, passed, roll, walk_pass
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array, Batches, Range, Tuple, Val, describe, map_leaves
from dsl.walker import NeedsConstant, Walker
from mpc.circuit import Value
from mpc.types import INT, Dim, Size

__all__ = ["loop"]

SMALL = 1500
MAX_UNROLLED = 10_000


def loop(w: Walker, s: syntax.For) -> Val | None:
    """Walk a loop; the value of a `return` that ended it, None when none did."""
    over = w.evaluate_known(s.iterable)
    before = frozenset(n for n, b in w.scope.names.items() if not b.passing)
    result = _over(w, s, over, before)
    passed(w, before)
    return result


def _over(w: Walker, s: syntax.For, over: Val, before: frozenset[str]) -> Val | None:
    if isinstance(over, Tuple):
        return _each(w, s, over.items, before)
    passes = _passes(w, over, s.iterable.span)
    result = _repeat(w, Loop(s, passes), before)
    if result is None and passes.tail is not None:
        passed(w, before)
        result = walk_pass(w, s, passes.tail)
    return result


# --------------------------------------------------------------------------------- what it runs over


def _passes(w: Walker, over: Val, span: Span) -> Passes:
    match over:
        case Range(start, stop, step):
            return _range(w, start, stop, step, span)
        case Batches(arrays, size):
            return _batches(w, arrays, size, span)
        case Array() if over.shape:
            w.full(over, span)
            return Passes(over.shape[0], 0, 1, lambda i: _rows(w, over, i))
    return w.fail(
        "E0301",
        f"{describe(over)} is nothing to loop over",
        span,
        helps=["over numbers: `for i in range(10):`", "over rows: `for xb, yb in batches(X, y, size=128):`"],
    )


def _range(w: Walker, start: Dim, stop: Dim, step: int, span: Span) -> Passes:
    def index(i: Value) -> Val:
        return Array(i, INTEGER)

    if isinstance(start, Size) or isinstance(stop, Size):
        length = stop - start
        if step != 1:
            length = Size.named(w.text(span))
        return Passes(length, start if isinstance(start, int) else 0, step, index)
    return Passes(len(range(start, stop, step)), start, step, index)


def _rows(w: Walker, array: Array, index: Value) -> Val:
    """`array[index]` for an index within bounds."""
    if index.is_const:
        return row(w, array, int(index.constant))
    value = w.region.bring(array.value)
    out = w.builder.emit("dynamic_slice", value, index, axis=0, length=1)
    return replace(array, value=out.reshape(out.shape[1:]), exact=None)


def _batches(w: Walker, arrays: Sequence[Array], size: int, span: Span) -> Passes:
    rows = arrays[0].shape[0]

    def batch(i: Value) -> Val:
        return _together([_window(w, a, i, size) for a in arrays])

    if isinstance(rows, Size):
        return Passes(Size.named(f"{w.text(span)}"), 0, size, batch)
    full, rest = divmod(rows, size)
    tail = None
    if rest:
        start = w.builder.const(np.int64(full * size), INT)
        tail = _together([_window(w, a, start, rest) for a in arrays])
    return Passes(full, 0, size, batch, tail)


def _window(w: Walker, array: Array, start: Value, length: int) -> Array:
    def cut(value: Value) -> Value:
        if start.is_const:
            at = int(start.constant)
            parts = ((at, at + length, 1), *((0, d, 1) for d in value.shape[1:]))
            return w.builder.emit("slice", value, parts=parts)
        return w.builder.emit("dynamic_slice", value, start, axis=0, length=length)

    valid = None if array.valid is None else w.region.bring(array.valid)
    mask = row_mask(w, replace(array, valid=valid))
    whole = replace(array, value=cut(w.region.bring(array.value)), valid=None, exact=None)
    return whole if mask is None else in_rows(whole, cut(mask))


def _together(arrays: Sequence[Array]) -> Val:
    return arrays[0] if len(arrays) == 1 else Tuple(tuple(arrays))


# ---------------------------------------------------------------------------------- pass after pass


def _each(w: Walker, s: syntax.For, items: Sequence[Val], before: frozenset[str]) -> Val | None:
    for item in items:
        passed(w, before)
        result = walk_pass(w, s, item)
        if result is not None:
            return result
    return None


def _unrolled(w: Walker, s: syntax.For, passes: Passes, count: int, before: frozenset[str]) -> Val | None:
    for k in range(count):
        passed(w, before)
        found = _errors(w)
        index = w.builder.const(np.int64(passes.start + passes.step * k), INT)
        result = walk_pass(w, s, passes.at(index))
        if result is not None:
            return result
        if _errors(w) > found:
            return None  # the next passes would say the same
        _carry(w, s, before)
    return None


def _carry(w: Walker, s: syntax.For, before: frozenset[str]) -> None:
    """Hand the names that a pass has changed to the next one, as a loop that is not written out would."""
    for name in assigned_names(s.body):
        binding = w.scope.names.get(name)
        if binding is not None and name in before and carriable(binding.val):
            w.scope.names[name] = replace(binding, val=map_leaves(binding.val, _handed_on))


def _handed_on(v: Value) -> Value:
    return v.builder.emit("carried", v) if v.dtype.kind == "fixed" and not v.is_const else v


def _errors(w: Walker) -> int:
    return sum(d.severity == "error" for d in w.reporter.diagnostics)


def _repeat(w: Walker, this: Loop, before: frozenset[str]) -> Val | None:
    s, passes = this.statement, this.passes
    if isinstance(passes.count, int) and passes.count <= 1:
        return _unrolled(w, s, passes, passes.count, before)
    names, found = dict(w.scope.names), len(w.reporter.diagnostics)
    try:
        rolled = roll(w, this)
        if rolled is None:
            return None
        if not _pays(passes.count, rolled):
            finish(w, this, rolled)
            return None
    except NeedsConstant as needs:
        w.scope.names = names
        del w.reporter.diagnostics[found:]
        if needs.region not in this.regions:
            raise
        if isinstance(passes.count, Size):
            this.opaque = True
            return _repeat(w, this, before)
        if passes.count > MAX_UNROLLED:
            w.fail(
                "E0310",
                f"this loop has to be written out, and {passes.count} times are too many",
                s.iterable.span,
                f"at most {MAX_UNROLLED} when the body needs its index as a size, an exponent or in an `if`",
            )
    w.scope.names = names
    del w.reporter.diagnostics[found:]
    assert isinstance(passes.count, int)
    return _unrolled(w, s, passes, passes.count, before)


def _pays(count: Dim, rolled: Rolled) -> bool:
    """Whether a loop is small, and takes fewer rounds when it is written out."""
    if not isinstance(count, int) or count * max(nodes_of(rolled.body), 1) > SMALL:
        return False
    return side_by_side(rolled.body, len(rolled.starts), count)
