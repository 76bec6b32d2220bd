"""Matrix products modulo 2^64 at the speed of floating point.

Processors have no fast 64-bit integer matrix kernel, but every BLAS has a fast float64 one, and that is exact while all
sums stay within 2^53.  So each operand is split into balanced limbs, x = x0 + x1 2^22 + x2 2^44 with |x0|, |x1| <= 2^21
and |x2| <= 2^19, and the product is put together from products of limbs; terms from 2^66 on vanish.  The middle one is
Karatsuba's, x0 y1 + x1 y0 = (x0 + x1)(y0 + y1) - x0 y0 - x1 y1, which makes five float products in all.  They are exact
up to an inner dimension of 512, since |x0 + x1| <= 2^22; longer ones are cut.  A known bound on entries saves limbs.

Thin and small products, where splitting would cost more than it saves, go through NumPy's integer loops.
Element-wise kernels and codecs are in `ring`.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Limbs", "matmul", "split"]

Ring = NDArray[np.uint64]
AnyRing = NDArray[np.unsignedinteger[Any]]
Planes = NDArray[np.float64]

_LIMB: Final = 22
# The longest inner dimension that stays exact, with two limbs or more on both sides and with one on either.
_INNER_KARATSUBA = 512
_INNER_SINGLE = 2048
# Below so many multiplications call overhead decides, and `@` has least of it.
_TINY = 1 << 12
# Rows and columns of one block of the result, and the elements worked on at a time within the second-level cache.
_BLOCK = 512
_STRIP = 1 << 15

# bits(2^52 + v) = bits(2^52) + v for 0 <= v < 2^52: makes floats of integers without a cast, which AVX2 lacks.
_MAGIC_BITS = np.uint64(0x4330000000000000)
_MAGIC = 2.0**52


@dataclass(frozen=True, slots=True, eq=False)
class Limbs:
    """A matrix or stack of matrices (..., r, c) with its limbs, for an operand of several products; made by `split`.

    `planes` has shape (..., limbs, r, c), float64, the lowest limb first.  The array must stay as it is meanwhile.
    """

    array: Ring
    planes: Planes


def split(a: Ring, *, bits: int = 64) -> Limbs:
    """Return a matrix, or stack of matrices, with its limbs.

    `bits` promises that every entry, read as signed, lies in [-2^(bits-1), 2^(bits-1)): up to 22 bits take one limb, up
    to 44 two, else three.  An entry that the limbs cannot hold is a ValueError.
    """
    if a.ndim < 2:
        raise ValueError("only matrices are split: products with vectors use no limbs")
    limbs = _limbs(bits)
    matrices = [_split(a[index], limbs) for index in np.ndindex(a.shape[:-2])]
    if a.ndim == 2:
        return Limbs(a, matrices[0])
    return Limbs(a, np.array(matrices).reshape(*a.shape[:-2], limbs, *a.shape[-2:]))


def matmul(a: Ring | Limbs, b: Ring | Limbs, *, a_bits: int = 64, b_bits: int = 64) -> Ring:
    """Return a @ b modulo 2^64 for the shapes that NumPy's `matmul` takes: (..., m, k) and (..., k, n) -> (..., m, n).

    Two arrays of uint8, uint16 or uint32 are multiplied modulo 2^8, 2^16 or 2^32.
    Either side may come as `Limbs`; for one that does not, `a_bits` and `b_bits` are promises as in `split`.
    The product of two vectors has no axes.  Shapes that do not match are a ValueError.
    """
    if not isinstance(a, Limbs) and not isinstance(b, Limbs) and a.ndim == b.ndim == 2 and a.size * b.size <= _TINY:
        return a @ b  # a product so small waits for nothing but these lines
    x = a.array if isinstance(a, Limbs) else a
    y = b.array if isinstance(b, Limbs) else b
    if x.dtype != np.uint64:
        return _narrow(x, y)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("matmul takes arrays of at least one axis")
    m, k = (1, *x.shape)[-2:]
    n = y.shape[-1] if y.ndim > 1 else 1
    if k != y.shape[-2:][0]:
        raise ValueError(f"shapes {x.shape} and {y.shape} do not match: {k} columns by {y.shape[-2:][0]} rows")
    if x.ndim > 2 and y.ndim == 2 and not isinstance(a, Limbs):
        # A stack times one matrix is one tall matrix times that matrix.
        tall = x.reshape(math.prod(x.shape[:-1]), k)
        return matmul(tall, b, a_bits=a_bits, b_bits=b_bits).reshape(*x.shape[:-1], n)
    if not _pays(m, k, n, _limbs_of(a, a_bits) * _limbs_of(b, b_bits)):
        return _by_integers(x, y)
    stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    out = np.empty((*stack, m, n), np.uint64)
    for index in np.ndindex(stack):
        _by_limbs(_pick(a, a_bits, stack, index), _pick(b, b_bits, stack, index), out[index])
    return out


class _Matrix(NamedTuple):
    """One operand: its entries, and their limbs if they have been split before."""

    array: Ring
    planes: Planes | None
    limbs: int

    def block(self, rows: slice, columns: slice) -> Planes:
        """The limbs of a part of the matrix: (limbs, rows, columns)."""
        if self.planes is None:
            return _split(self.array[rows, columns], self.limbs)
        return self.planes[:, rows, columns]


def _pick(operand: Ring | Limbs, bits: int, stack: tuple[int, ...], index: tuple[int, ...]) -> _Matrix:
    """The matrix at `index` of an operand that is broadcast to `stack`."""
    if isinstance(operand, Limbs):
        planes = np.broadcast_to(operand.planes, (*stack, *operand.planes.shape[-3:]))[index]
        return _Matrix(np.broadcast_to(operand.array, (*stack, *operand.array.shape[-2:]))[index], planes, len(planes))
    return _Matrix(np.broadcast_to(operand, (*stack, *operand.shape[-2:]))[index], None, _limbs(bits))


def _pays(m: int, k: int, n: int, pairs: int) -> bool:
    """Whether limbs beat the integer loops, by measurement: splitting must be shared by enough rows and columns."""
    least, width = (1 << 21, 40) if pairs > 3 else (1 << 18, 12)
    return m * k * n >= least and m * n >= width * (m + n)


def _limbs_of(operand: Ring | Limbs, bits: int) -> int:
    return operand.planes.shape[-3] if isinstance(operand, Limbs) else _limbs(bits)


def _limbs(bits: int) -> int:
    if not 1 <= bits <= 64:
        raise ValueError(f"entries have 1 to 64 bits, not {bits}")
    return min(3, -(-bits // _LIMB))


def _narrow(x: AnyRing, y: AnyRing) -> AnyRing:
    """The product modulo the width of both operands' type, which is below 64."""
    m, k, n = (1, *x.shape)[-2], x.shape[-1], y.shape[-1] if y.ndim > 1 else 1
    if _pays(m, k, n, 9):
        return matmul(x.astype(np.uint64), y.astype(np.uint64)).astype(x.dtype)
    return _by_integers(x, y)


def _by_integers(x: Ring, y: Ring) -> Ring:
    """The product by whichever of NumPy's integer loops is quickest for the shape."""
    if x.ndim == 1:
        return _by_integers(x[None], y)[..., 0, :] if y.ndim > 1 else _by_integers(x[None], y[:, None])[0, 0, ...]
    if y.ndim == 1:
        return _by_integers(x, y[:, None])[..., 0]
    (m, k), n = x.shape[-2:], y.shape[-1]
    if m * k * n >= _TINY:
        if k >= 16 and (m >= 8 or n == 1):
            # Row by row: einsum unrolls its loop where both operands lie in order.
            return np.asarray(np.einsum("...ij,...kj->...ik", x, np.ascontiguousarray(y.swapaxes(-1, -2))))
        if n >= 16:
            return np.asarray(np.einsum("...ij,...jk->...ik", x, y))
    return x @ y


def _by_limbs(x: _Matrix, y: _Matrix, out: Ring) -> None:
    """Write the product of two matrices into `out`, block by block."""
    (m, k), n = x.array.shape, y.array.shape[1]
    longest = _INNER_SINGLE if min(x.limbs, y.limbs) == 1 else _INNER_KARATSUBA
    for inner in _cuts(k, longest):
        for columns in _cuts(n, _BLOCK):
            right = y.block(inner, columns)
            for rows in _cuts(m, _BLOCK):
                weights = _by_weight(x.block(rows, inner), right)
                _combine(weights, out[rows, columns], add=inner.start > 0)


def _by_weight(x: Planes, y: Planes) -> list[Planes]:
    """The sums of products of limbs that weigh 1, 2^22 and 2^44: exact whole numbers of at most 2^53."""
    if min(len(x), len(y)) == 1:
        return [p @ q for p in x for q in y]
    low, high = x[0] @ y[0], x[1] @ y[1]
    middle = (x[0] + x[1]) @ (y[0] + y[1])
    middle -= low
    middle -= high
    if len(x) == 3:
        high += x[2] @ y[0]
    if len(y) == 3:
        high += x[0] @ y[2]
    return [low, middle, high]


def _combine(weights: list[Planes], out: Ring, *, add: bool) -> None:
    """Put the sums together modulo 2^64, into `out` or onto what is there."""
    step = max(1, _STRIP // out.shape[1])
    scratch = np.empty((2, min(step, len(out)), out.shape[1]), np.int64)
    for first in range(0, len(out), step):
        target = out[first : first + step]
        total, term = scratch[:, : len(target)]
        ring = total.view(np.uint64)
        for i, weight in enumerate(reversed(weights)):
            if i == 0:
                np.copyto(total, weight[first : first + step], casting="unsafe")
                continue
            ring <<= np.uint64(_LIMB)
            np.copyto(term, weight[first : first + step], casting="unsafe")
            total += term
        if add:
            target += ring
        else:
            target[...] = ring


def _split(a: Ring, limbs: int) -> Planes:
    """The balanced limbs of a matrix, (limbs, r, c), laid out as the matrix is: by rows or by columns."""
    if abs(a.strides[0]) < abs(a.strides[1]):
        return _split(a.T, limbs).swapaxes(1, 2)
    planes = np.empty((limbs, *a.shape))
    # Half a limb is added at each place, so that limbs are cut from a number that is not negative.  Of fewer than three
    # the highest is not masked, and may be as large as half a limb: so the largest promised numbers are held too.
    halves = [1 << (_LIMB - 1)] * limbs if limbs < 3 else [1 << 21, 1 << 21, 1 << 19]
    offset = np.uint64(sum(half << (_LIMB * i) for i, half in enumerate(halves)))
    beyond = (1 << (_LIMB * limbs)) + sum(half << (_LIMB * i) for i, half in enumerate(halves[:-1]))
    step = max(1, _STRIP // max(1, a.shape[1]))
    scratch = np.empty((min(step, len(a)), a.shape[1]), np.uint64)
    for first in range(0, len(a), step):
        rows = a[first : first + step]
        shifted = np.add(rows, offset, out=scratch[: len(rows)])
        if limbs < 3 and shifted.size and int(shifted.max()) >= beyond:
            raise ValueError(f"an entry does not fit the {_LIMB * limbs} bits that were promised")
        for i, half in enumerate(halves):
            limb = planes[i, first : first + step]
            raw = limb.view(np.uint64)
            np.right_shift(shifted, np.uint64(_LIMB * i), out=raw)
            if i < limbs - 1:
                raw &= np.uint64((1 << _LIMB) - 1)
            raw |= _MAGIC_BITS
            limb -= _MAGIC + half
    return planes


def _cuts(length: int, longest: int) -> list[slice]:
    """Cut range(length) into as few parts as `longest` allows, of nearly equal length."""
    count = -(-length // longest)
    bounds = [length * i // count for i in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(bounds)]
