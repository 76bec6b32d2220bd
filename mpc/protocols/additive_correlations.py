"""What each primitive of the additive protocol takes from the dealer: masks, and what follows from them.

Each function describes one correlation for given shapes; player, dealer and cost all read the same description.
Shapes are those of shares with the component axis, but for matrices, which have two axes or more, and for permuted
rows; comparisons take flat arrays of n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpc import ring as kernels
from mpc.bitslice import pack_bool, slice_bits, unpack_bool
from mpc.circuit import Array
from mpc.protocols.additive_gates import Leaves
from mpc.protocols.additive_supply import Correlation, Part, ring, rows

__all__ = [
    "Shape",
    "and_shape",
    "bit_triple",
    "compared",
    "dabit",
    "fused",
    "masking",
    "matrices",
    "permuted",
    "shifted",
    "triple",
    "truncated",
    "truncation",
]

Shape: TypeAlias = "tuple[int, ...]"
Bilinear: TypeAlias = Callable[[Array, Array], Array]


def and_shape(x: Shape, y: Shape) -> Shape:
    """Shape of an element-wise product."""
    return np.broadcast_shapes(x, y)


def matrices(x: Shape, y: Shape) -> tuple[Shape, Shape, Shape]:
    """Operands of NumPy's matmul with vectors as matrices of one row or one column, and the shape of the result."""
    left, right = (1, *x) if len(x) == 1 else x, (*y, 1) if len(y) == 1 else y
    rows_, columns = (x[-2],) if len(x) > 1 else (), (y[-1],) if len(y) > 1 else ()
    return left, right, (*np.broadcast_shapes(left[:-2], right[:-2]), *rows_, *columns)


def product(matrix: bool) -> Bilinear:
    """The element-wise or the matrix product in the ring of its operands."""
    return kernels.matmul if matrix else np.multiply


def product_shape(x: Shape, y: Shape, matrix: bool) -> Shape:
    """Shape of the product."""
    return (*np.broadcast_shapes(x[:-2], y[:-2]), x[-2], y[-1]) if matrix else and_shape(x, y)


Given: TypeAlias = "Sequence[Array] | None"
"""Masks (a, b) that were drawn before, known to the dealer alone; None when they belong to the correlation."""


def masking(shape: Shape, width: int = 64) -> Correlation:
    """A mask for later products, of which nothing depends yet; with the component axis."""
    return Correlation("mask", (ring((1, *shape), width),), (), lambda plain: [], 0)  # noqa: ARG005 - nothing follows


def triple(x: Shape, y: Shape, *, matrix: bool, width: int = 64, given: Given = None) -> Correlation:
    """(a, b; a b) of Z_2^width [Beaver, CRYPTO 1991], a product element-wise or of matrices."""
    out = ring(product_shape(x, y, matrix), width)

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        a, b = plain if given is None else given
        return [product(matrix)(a, b)]

    drawn = (ring(x, width), ring(y, width)) if given is None else ()
    return Correlation("matrix triple" if matrix else "triple", drawn, (out,), define, out.size)


def truncated(shape: Shape, width: int, m: int) -> tuple[Part, Part]:
    """What `truncation` gives of r mod 2^width: u = 2^(width-m) r_top - (r >> m), and r_top mod 2^(64-width+m)."""
    return ring(shape), ring(shape, 64 - width + m)


def truncation(r: Array, width: int, m: int) -> list[Array]:
    """The plain arrays of `truncated`: with y = c - r mod 2^width below 2^(width-1) and c_top the highest bit of c,

    (c >> m) + u - 2^(width-m) c_top r_top is y / 2^m, rounded down, or one more when r's low bits exceed c's.
    """
    wide = r.astype(np.uint64)
    top = wide >> np.uint64(width - 1)
    u = (top << np.uint64(width - m)) - (wide >> np.uint64(m))
    return [u, top.astype(ring((), 64 - width + m).dtype)]


def fused(x: Shape, y: Shape, m: int, *, matrix: bool, given: Given = None) -> Correlation:
    """(a, b, w; truncation of r = w - a b): the product comes out masked by r, which nobody need share for itself."""
    out = product_shape(x, y, matrix)

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        w = plain[-1]
        a, b = plain[:2] if given is None else given
        return truncation(w - product(matrix)(a, b), 64, m)

    kind = "matrix triple with truncation" if matrix else "triple with truncation"
    drawn = (ring(x), ring(y)) if given is None else ()
    return Correlation(kind, (*drawn, ring(out)), truncated(out, 64, m), define, ring(out).size)


def shifted(shape: Shape, m: int) -> Correlation:
    """(r; truncation of r) for a truncation by m."""
    return Correlation(
        "truncation",
        (ring(shape),),
        truncated(shape, 64, m),
        lambda plain: truncation(plain[0], 64, m),
        ring(shape).size,
    )


def bit_triple(x: Shape, y: Shape) -> Correlation:
    """(a, b; a & b), in words of 64 bits."""
    out = rows(1, ring(and_shape(x, y)).size)
    nx, ny = ring(x).size, ring(y).size

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        return [both(plain[0], x, plain[1], y)]

    return Correlation("bit triple", (rows(1, nx), rows(1, ny)), (out,), define, out.size)


def both(a: Array, x: Shape, b: Array, y: Shape) -> NDArray[np.uint64]:
    """Packed rows (1, W) of shapes x and y, broadcast and joined by and."""
    if x == y:
        return np.bitwise_and(a, b).astype(np.uint64, copy=False)
    left = unpack_bool(a[0], ring(x).size).reshape(x)
    right = unpack_bool(b[0], ring(y).size).reshape(y)
    return pack_bool((left & right).reshape(-1))[None]


def dabit(count: int, n: int, width: int = 64) -> Correlation:
    """(v; v in Z_2^width) for `count` rows of n bits [Rotaru and Wood, eprint 2019/207]."""
    part = ring((count, n), width)

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        return [unpack_bool(plain[0], n).astype(part.dtype)]

    return Correlation("dabit", (rows(count, n),), (part,), define, count * n)


def compared(
    kind: str,
    n: int,
    width: int,
    leaves: Sequence[Leaves],
    extra: Callable[[Array], list[Array]] | None = None,
    parts: tuple[Part, ...] = (),
) -> Correlation:
    """(r mod 2^width; its bits and their products for some leaves, and what `extra` gives of r as `parts`)."""
    dependent = (*(rows(x.inputs + len(x.products), n) for x in leaves), *parts)

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        (r,) = plain
        bits = slice_bits(r, max((x.inputs for x in leaves), default=1))
        tables = [np.concatenate([bits[: x.inputs], x.expand(bits[: x.inputs])]) for x in leaves]
        return [*tables, *(extra(r) if extra else [])]

    return Correlation(kind, (ring((n,), width),), dependent, define, n)


def permuted(part: Part, order: Array | None) -> Correlation:
    """(A; A[order]) with rows along axis 0; the dealer alone gives an order."""

    def define(plain: Sequence[Array]) -> Sequence[Array]:
        assert order is not None
        return [plain[0][order]]

    return Correlation("permutation", (part,), (part,), define, part.size)
