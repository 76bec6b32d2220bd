"""Comparisons and bits in the additive protocol: steps on flat arrays of n elements, truth values in bit-sliced rows.

All open c = x + r mod 2^width for a dealt random r whose bits are shared, and read the rest off a tree of borrows
(`additive_trees.py`).  c is uniform, whatever x is.  Rounds for `width` bits: one for c, and one for each level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.bitslice import slice_bits, unpack_bool
from mpc.circuit import Array
from mpc.leading import Slots
from mpc.protocol import Step, parallel
from mpc.protocols.additive_correlations import compared, dabit, truncated, truncation
from mpc.protocols.additive_gates import ONES, Leaves, Pairs
from mpc.protocols.additive_node import Node
from mpc.protocols.additive_supply import Correlation, Draw, Stream, ring, rows
from mpc.protocols.additive_trees import LeadingTree, Level, Prefix, and_tree, bit_tree, carry_tree, leading_tree

__all__ = [
    "CHAINED",
    "bit_rows",
    "chained",
    "eqz",
    "leading_digits",
    "ltz",
    "ltz_in_chain",
    "pairs_of",
    "reduce",
    "shift",
    "to_ring",
]

CHAINED = 3
"""Up to so many nodes a chain of borrows takes fewer bytes than a tree: each opens more to each other, the dealer sends
less to one."""


def _mask(node: Node, stream: Stream, x: Array, width: int, correlation: Correlation) -> Step[tuple[Array, Draw]]:
    """Open c = x + r mod 2^width: (n,) and the settled draw."""
    draw = stream.draw(correlation)
    part = ring(x.shape, width)
    masked = draw.masks[0]
    masked += x.astype(part.dtype, copy=False)
    (c,) = yield from node.reveal([(part, masked)], [draw])
    return c, draw


def _stack(node: Node, leaves: Leaves, table: Array) -> Array:
    return leaves.stack(table[: leaves.inputs], table[leaves.inputs :], node.first)


def _level(
    node: Node, stream: Stream, level: Level, kind: str, n: int, g: Array, p: Array
) -> Step[tuple[Array, Array]]:
    """One round of a tree: rows of generate and propagate bits of the level's results."""
    layer = level.layer
    draw = stream.draw(layer.correlation(kind, n))
    hidden = level.inputs(g, p)
    hidden ^= draw.masks[0]
    (opened,) = yield from node.reveal([(rows(layer.inputs, n), hidden)], [draw])
    assert draw.dependent is not None
    above, over = layer.evaluate(draw.masks[0], draw.dependent[0], opened, node.first)
    if layer.with_g:
        above ^= g[level.top]
    return above, over


def reduce(
    node: Node, stream: Stream, levels: Sequence[Level], kind: str, n: int, g: Array, p: Array
) -> Step[tuple[Array, Array]]:
    """Level after level of a tree, from rows of generate and propagate bits to those of what is left."""
    for level in levels:
        g, p = yield from _level(node, stream, level, kind, n, g, p)
    return g, p


def pairs_of(node: Node, stream: Stream, pairs: Pairs, kind: str, n: int, left: Array, right: Array) -> Step[Array]:
    """One round of products of rows (left rows, W)."""
    draw = stream.draw(pairs.correlation(kind, n))
    hidden = np.concatenate([left, right[: pairs.inputs - pairs.left]])
    hidden ^= draw.masks[0]
    (opened,) = yield from node.reveal([(rows(pairs.inputs, n), hidden)], [draw])
    assert draw.dependent is not None
    return pairs.evaluate(draw.masks[0], draw.dependent[0], opened, node.first)


def ltz(node: Node, use: int, x: Array, *, width: int) -> Step[Array]:
    """[x < 0] for x of `width` signed bits: (n,) -> (1, W)."""
    n, stream = x.size, node.stream(use)
    leaves, levels = carry_tree(width, width - 1)
    c, draw = yield from _mask(node, stream, x, width, compared("comparison", n, width, [leaves]))
    assert draw.dependent is not None
    table = draw.dependent[0]
    public = slice_bits(c, width)
    sign = table[width - 1 : width] ^ (public[width - 1 :] if node.first else np.uint64(0))
    if leaves.groups:
        g, p = leaves.steps(_stack(node, leaves, table), public)
        g, _ = yield from reduce(node, stream, levels, "comparison step", n, g, p)
        sign ^= g
    return sign


def ltz_in_chain(node: Node, use: int, x: Array, *, width: int) -> Step[Array]:
    """As `ltz`, with one borrow after another: `width` - 1 rounds, one bit opened in each but the first.

    b' = g ^ p b with g = ~c r and p = ~(c ^ r): of the borrow b, e = b ^ m is opened, and r m is dealt.
    """
    n, stream = x.size, node.stream(use)
    c, draw = yield from _mask(node, stream, x, width, chained(n, width))
    assert draw.dependent is not None
    r, products = draw.dependent[0], draw.dependent[1]
    public = slice_bits(c, width)
    sign = r[width - 1 :] ^ (public[width - 1 :] if node.first else np.uint64(0))
    if width == 1:
        return sign
    borrow = ~public[:1] & r[:1]
    for j in range(1, width - 1):
        (opened,) = yield from node.reveal([(rows(1, n), borrow ^ draw.masks[1][j - 1 : j])])
        here = slice(j, j + 1)
        borrow = ~public[here] & (r[here] ^ borrow) ^ opened & r[here] ^ products[j - 1 : j]
    return sign ^ borrow


def chained(n: int, width: int) -> Correlation:
    """(r mod 2^width, m; r's bits, and those from 1 up to below the highest times m) for `ltz_in_chain`."""
    links = max(width - 2, 0)

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        bits = slice_bits(plain[0], width)
        return [bits, bits[1 : 1 + links] & plain[1]]

    masks, dependent = (ring((n,), width), rows(links, n)), (rows(width, n), rows(links, n))
    return Correlation("comparison", masks, dependent, define, n)


def eqz(node: Node, use: int, x: Array, *, width: int) -> Step[Array]:
    """[x = 0 mod 2^width]: (n,) -> (1, W)."""
    n, stream = x.size, node.stream(use)
    leaves, levels = and_tree(width)
    c, draw = yield from _mask(node, stream, x, width, compared("equality", n, width, [leaves]))
    assert draw.dependent is not None
    g, p = leaves.steps(_stack(node, leaves, draw.dependent[0]), slice_bits(c, width), lt=False)
    _, p = yield from reduce(node, stream, levels, "equality step", n, g, p)
    return p


def _prefix(
    node: Node, stream: Stream, prefix: Prefix, kind: str, n: int, g: Array, p: Array
) -> Step[tuple[Array, Array]]:
    """Rows of generate and propagate bits of the joins of each node with all below."""
    for level in prefix.levels:
        above, over = yield from _level(node, stream, level, kind, n, g, p)
        g, p = np.concatenate([g, above]), np.concatenate([p, over])
    return g[prefix.carry], p[prefix.carry]


def bit_rows(node: Node, stream: Stream, x: Array, *, width: int) -> Step[Array]:
    """The low `width` bits of x: (n,) -> (width, W)."""
    n = x.size
    tree = bit_tree(width)
    c, draw = yield from _mask(node, stream, x, width, compared("bits", n, width, [tree.leaves]))
    assert draw.dependent is not None
    table, public = draw.dependent[0], slice_bits(c, width)
    out = table[:width] ^ (public if node.first else np.uint64(0))
    stack = _stack(node, tree.leaves, table)
    below = np.empty((4, tree.leaves.groups, out.shape[1]), np.uint64)
    for depth in (1, 2, 3):
        g, below[depth] = tree.leaves.steps(stack, public, depth=depth)
        here = out[depth::4]
        here ^= g[: len(here)]
    if tree.prefix is None:
        return out
    g, p = tree.leaves.steps(stack, public)
    carry, _ = yield from _prefix(node, stream, tree.prefix, "bits step", n, g[:-1], p[:-1])
    out[4::4] ^= carry
    if tree.pairs is not None:
        left = below[tree.bits % 4, tree.bits // 4]
        out[tree.bits] ^= yield from pairs_of(node, stream, tree.pairs, "bits step", n, left, carry)
    return out


def leading_digits(node: Node, stream: Stream, x: Array, slots: Slots) -> Step[Array]:
    """The digits of the highest place: (n,) -> (slots.size, W).

    Of a signed number the highest 1 and the highest 0 are looked for: one of them is the sign bit, and the other the
    place, or nowhere where x = -1.  Both have one mask, and the same borrows.
    """
    sides = yield from _leading_rows(node, stream, x, width=slots.width, zero=slots.signed)
    if not slots.signed:
        return _digits(slots, sides[0][slots.bottom :][::-1], None)
    upper, lower = sides
    last = np.bitwise_xor.reduce(lower, axis=0)
    if node.first:
        last = last ^ ONES
    below = np.concatenate([lower[-2::-1], last[None]])
    above = np.concatenate([upper[-2::-1], np.zeros_like(last)[None]])
    return _digits(slots, above, below)


def _digits(slots: Slots, places: Array, below: Array | None) -> Array:
    """Digits from one-hot places, highest first: (places, W), of numbers above 0 and of those below."""
    sides = [places] if below is None else [places, below]
    either = places if below is None else places ^ below
    steps, lines, ones = range(slots.steps), range(slots.rows), range(slots.ones)
    parts = [(side, [(k, a, b) for a in lines for b in ones]) for side in sides for k in steps]
    parts += [(either, [(k, a, b) for k in steps for b in ones]) for a in lines[1:]]
    parts += [(either, [(k, a, b) for k in steps for a in lines]) for b in ones[1:]]
    out = np.zeros((slots.size, places.shape[1]), np.uint64)
    for row, (side, triples) in zip(out, parts, strict=True):
        for triple in triples:
            at = slots.slot(*triple)
            if at is not None:
                row ^= side[at]
    return out


def _leading_rows(node: Node, stream: Stream, x: Array, *, width: int, zero: bool) -> Step[list[Array]]:
    """One-hot place of the highest 1 of `width` bits, and if `zero` of the highest 0: (n,) -> (width, W) each.

    With s_j the conjunction of all complemented bits from j up, place j is s_(j+1) ^ s_j: no further product.  So it is
    for the conjunctions of the bits themselves.
    """
    n, kind = x.size, "leading step"
    tree = leading_tree(width)
    c, draw = yield from _mask(node, stream, x, width, compared("leading", n, width, [tree.leaves]))
    assert draw.dependent is not None
    public, stack = slice_bits(c, width), _stack(node, tree.leaves, draw.dependent[0])
    sides = _within_groups(tree.leaves, stack, public, width, zero)
    if tree.prefix is None:
        return [_places(node, suffix) for suffix, _ in sides]
    g, p = tree.leaves.steps(stack, public)
    carry, _ = yield from _prefix(node, stream, tree.prefix, kind, n, g[:-1], p[:-1])
    return (yield from parallel([_among_groups(node, stream, tree, n, carry, *side) for side in sides]))


def _among_groups(
    node: Node, stream: Stream, tree: LeadingTree, n: int, carry: Array, suffix: Array, change: Array
) -> Step[Array]:
    """From conjunctions within groups, and what borrows change of them, to those of all bits, and to places."""
    kind = "leading step"
    assert tree.select is not None
    assert tree.final is not None
    suffix[4:] ^= yield from pairs_of(node, stream, tree.select, kind, n, change[4:], carry)
    joined = suffix
    if tree.within is not None:
        _, more = yield from _level(node, stream, tree.within, kind, n, suffix[:0], suffix)
        joined = np.concatenate([suffix, more])
    _, low = yield from _level(node, stream, tree.final, kind, n, joined[:0], joined)
    return _places(node, np.concatenate([low, suffix[len(low) :]]))


def _places(node: Node, suffix: Array) -> Array:
    out: Array = suffix.copy()
    out[:-1] ^= suffix[1:]
    if node.first:
        out[-1] ^= ONES
    return out


def _within_groups(leaves: Leaves, stack: Array, public: Array, width: int, ones: bool) -> list[tuple[Array, Array]]:
    """`Leaves.alike` by bits: (width, W) each; the top group may be short."""
    low = 4 * (leaves.groups - 1)
    words = public.shape[1]
    out = [(np.empty((width, words), np.uint64), np.empty((width, words), np.uint64)) for _ in range(1 + ones)]
    for at, bits, groups in ((slice(0, low), 4, slice(-1)), (slice(low, width), width - low, slice(-1, None))):
        if at.stop > at.start:
            for side, found in zip(out, leaves.alike(stack, public, bits, groups, ones), strict=True):
                for rows_, part in zip(side, found, strict=True):
                    rows_[at].reshape(part.shape[1], bits, words)[...] = part.swapaxes(0, 1)
    return out


def to_ring(node: Node, stream: Stream, bits: Array, n: int, width: int = 64) -> Step[Array]:
    """0 or 1 of Z_2^width from rows of bits: (count, W) -> (count, n).  One bit is opened for each."""
    count = len(bits)
    draw = stream.draw(dabit(count, n, width))
    (opened,) = yield from node.reveal([(rows(count, n), bits ^ draw.masks[0])], [draw])
    assert draw.dependent is not None
    # t = b ^ v is public, so b = v + t - 2 t v.
    one = draw.dependent[0].dtype.type(1)
    t = unpack_bool(opened, n).astype(one.dtype)
    out: Array = draw.dependent[0] * (one - (t << one))
    if node.first:
        out += t
    return out


def shift(node: Node, use: int, x: Array, *, m: int, width: int) -> Step[Array]:
    """floor(x / 2^m) for x of `width` signed bits: (n,) -> (n,)."""
    stream = node.stream(use)
    x = x + np.uint64(1 << (width - 1)) if node.first else x
    if width < 64:
        out = yield from _shift_narrow(node, stream, x, m, width + 1)
    else:
        out = yield from _shift_full(node, stream, x, m)
    if node.first:
        out -= np.uint64(1 << (width - 1 - m))
    return out


def _shift_narrow(node: Node, stream: Stream, x: Array, m: int, width: int) -> Step[Array]:
    """0 <= x < 2^(width-1): the wrap of c = x + r follows from its highest bit, as in truncation.

    What truncation leaves to chance is the borrow out of the low m bits, which is computed here.
    """
    n = x.size
    leaves, levels = carry_tree(m, m)
    c, draw = yield from _mask(node, stream, x, width, narrow_shift(n, m, width))
    assert draw.dependent is not None
    table, u, top = draw.dependent
    out = untruncate(node, c, u, top, m, width)
    g, p = leaves.steps(_stack(node, leaves, table), slice_bits(c, m))
    g, _ = yield from reduce(node, stream, levels, "comparison step", n, g, p)
    borrow = yield from to_ring(node, stream, g, n)
    out -= borrow[0]
    return out


def untruncate(node: Node, c: Array, u: Array, top: Array, m: int, width: int) -> Array:
    """(c >> m) + u - 2^(width-m) c_top r_top: shares of a truncation, `additive_correlations.truncation`."""
    wide = c.astype(np.uint64, copy=False)
    out = (wide >> np.uint64(width - 1)) * top
    out <<= np.uint64(width - m)
    np.subtract(u, out, out=out)
    if node.first:
        out += wide >> np.uint64(m)
    return out


def narrow_shift(n: int, m: int, width: int) -> Correlation:
    """What `_shift_narrow` takes: r mod 2^width, its low m bits for a borrow, its truncation."""
    leaves = carry_tree(m, m).leaves
    parts = truncated((n,), width, m)
    return compared("shift", n, width, [leaves], lambda r: truncation(r, width, m), parts)


def _shift_full(node: Node, stream: Stream, x: Array, m: int) -> Step[Array]:
    """0 <= x < 2^64, where the wrap of c takes a tree of its own, beside that of the low bits."""
    n = x.size
    low, full = carry_tree(m, m), carry_tree(64, 64)
    c, draw = yield from _mask(node, stream, x, 64, full_shift(n, m))
    assert draw.dependent is not None
    public = slice_bits(c)
    g, p = full.leaves.steps(_stack(node, full.leaves, draw.dependent[1]), public)
    h, q = low.leaves.steps(_stack(node, low.leaves, draw.dependent[0]), public[:m])
    # Side by side: in each round the full tree draws before the other, as in the plan.
    kind = "comparison step"
    trees = [reduce(node, stream, full.levels, kind, n, g, p), reduce(node, stream, low.levels, kind, n, h, q)]
    (g, _), (h, _) = yield from parallel(trees)
    borrow = yield from to_ring(node, stream, np.concatenate([h, g]), n)
    out: Array = (borrow[1] << np.uint64(64 - m)) - borrow[0]
    out -= draw.dependent[2]
    if node.first:
        out += c >> np.uint64(m)
    return out


def full_shift(n: int, m: int) -> Correlation:
    """What `_shift_full` takes: r, its bits for two borrows, and r >> m."""
    trees = [carry_tree(m, m).leaves, carry_tree(64, 64).leaves]
    return compared("shift", n, 64, trees, lambda r: [r >> np.uint64(m)], (ring((n,)),))
