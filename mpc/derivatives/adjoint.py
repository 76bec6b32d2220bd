"""The adjoint of a value: what a scalar result changes by when the value does, element by element.

It is held as `scale * value`, spread to the primal's shape only when something needs that.  Scale: the public factors
of a loss (a mean's 1/n, a sign, a literal) stay outside until the gradient is whole, so they cost one truncation of the
gradient's few elements, not one of every element on the way, and a small factor does not push an adjoint below the
grid of fixed point.  Spreading: the adjoint of a sum is one number for all elements, and stays so as long as it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mpc.circuit import Builder, Value
from mpc.types import BOOL, INT, Dim, DType, Fixed, Shape, Size, broadcast_shapes, size_of

__all__ = ["Adjoint", "count_of", "padded", "uniform", "zeros"]

WHOLE = 2**15
"""Public factors up to this, when whole, are multiplied as whole numbers: no truncation."""


def uniform(x: Value) -> float | None:
    """The one number that a constant consists of, if it does."""
    if not x.is_const or x.dtype == BOOL or not x.constant.size:
        return None
    first = x.constant.flat[0]
    return float(first) if bool((x.constant == first).all()) else None


def zeros(builder: Builder, dtype: DType, shape: Shape) -> Value:
    """Public zeros."""
    return builder.const(0.0 if dtype.kind == "fixed" else 0, dtype).broadcast_to(shape)


def count_of(builder: Builder, dim: Dim) -> Value:
    """A size as a public whole number: a constant, or worked out where it is not known yet."""
    if isinstance(dim, Size):
        return builder.const(1, INT).broadcast_to((dim,)).sum()
    return builder.const(dim, INT)


def padded(x: Value, rank: int) -> Value:
    """x with leading axes of size 1."""
    return x.reshape((*(1,) * (rank - x.ndim), *x.shape))


@dataclass(frozen=True, slots=True)
class Adjoint:
    """`scale * value`, spread to `shape`; a value of None is 1."""

    builder: Builder
    shape: Shape
    value: Value | None = None
    scale: float = 1.0

    # -- products ------------------------------------------------------------------------------

    def scaled(self, factor: float) -> Adjoint:
        """Times a number."""
        return replace(self, scale=self.scale * factor)

    def times(self, other: Value) -> Adjoint:
        """Times the elements of `other`, which spread with this one's."""
        shape = broadcast_shapes(self.shape, other.shape)
        factor = uniform(other)
        if factor is not None:
            return replace(self, shape=shape, scale=self.scale * factor)
        return replace(self, shape=shape, value=other if self.value is None else self.value * other)

    def divided(self, dim: Dim) -> Adjoint:
        """Divided by a size."""
        if isinstance(dim, Size):
            value = self.builder.const(1.0, Fixed()) if self.value is None else self.value
            return replace(self, value=self.builder.emit("div", value, count_of(self.builder, dim).to_fixed()))
        return self.scaled(1.0 / dim) if dim else self

    def repeated(self, dim: Dim) -> Adjoint:
        """Times a size."""
        return self.times(count_of(self.builder, dim))

    def against(self, other: Value, shape: Shape) -> Adjoint:
        """`times(other).sum_to(shape)`; axes that are multiplied and then summed become one inner product, which
        costs the protocols its result and not its terms.
        """
        whole = broadcast_shapes(self.shape, other.shape)
        rank = len(whole)
        if self.value is None or uniform(other) is not None:
            return self.times(other).sum_to(shape)
        a, b = padded(self.value, rank), padded(other, rank)
        summed = _summed(whole, shape)
        inner = [i for i in summed if a.shape[i] != 1 and b.shape[i] != 1]
        if not inner:
            return self.times(other).sum_to(shape)
        nominal = tuple(
            1 if i in summed and (i in inner or (a.shape[i], b.shape[i]) != (1, 1)) else d for i, d in enumerate(whole)
        )
        for i in summed:
            if i not in inner:
                a = a if a.shape[i] == 1 else a.sum(i, keepdims=True)
                b = b if b.shape[i] == 1 else b.sum(i, keepdims=True)
        return replace(self, shape=nominal, value=_inner(a, b, inner)).sum_to(shape)

    # -- linear maps ---------------------------------------------------------------------------

    def full(self) -> Value:
        """The value without its scale, spread out."""
        value = self.builder.const(1.0, Fixed()) if self.value is None else self.value
        return value.broadcast_to(self.shape)

    def map(self, linear: Callable[[Value], Value]) -> Adjoint:
        """A linear function of the whole adjoint."""
        value = linear(self.full())
        return replace(self, shape=value.shape, value=value)

    def reshaped(self, shape: Shape) -> Adjoint:
        """The same elements in another shape."""
        return replace(self, shape=shape) if self.single else self.map(lambda g: g.reshape(shape))

    def spread(self, shape: Shape) -> Adjoint:
        """Spread to a larger shape."""
        broadcast_shapes(self.shape, shape)
        return replace(self, shape=shape)

    @property
    def single(self) -> bool:
        """Whether all elements are known to be the same number."""
        return self.value is None or not self.value.shape

    def sum_to(self, shape: Shape) -> Adjoint:
        """The adjoint of what was spread from `shape` to this one's: summed over the copies."""
        rank = len(self.shape)
        out = self
        for i in _summed(self.shape, shape):
            value = None if out.value is None else padded(out.value, rank)
            if value is None or value.shape[i] == 1:
                out = out.repeated(self.shape[i])
            else:
                out = replace(out, value=value.sum(i, keepdims=True))
        if out.value is not None and out.value.ndim > len(shape):
            extra = out.value.ndim - len(shape)
            out = replace(out, value=out.value.reshape(out.value.shape[extra:]))
        return replace(out, shape=shape)

    # -- sums ----------------------------------------------------------------------------------

    def plus(self, other: Adjoint) -> Adjoint:
        """The sum of two adjoints of one value."""
        if self.value is None and other.value is None:
            return self.scaled_to(self.scale + other.scale)
        if self.value is None or other.value is None:
            return Adjoint(self.builder, self.shape, self.settled() + other.settled())
        if other.scale == self.scale:
            return replace(self, value=self.value + other.value)
        if other.scale == -self.scale:
            return replace(self, value=self.value - other.value)
        for a, b in ((self, other), (other, self)):
            ratio = b.scale / a.scale if a.scale else 0.0
            if ratio.is_integer() and 0 < abs(ratio) <= WHOLE:
                assert a.value is not None
                assert b.value is not None
                return replace(a, value=a.value + b.value * int(ratio))
        return Adjoint(self.builder, self.shape, self.settled() + other.settled())

    def scaled_to(self, scale: float) -> Adjoint:
        """With another scale."""
        return replace(self, scale=scale)

    def settled(self) -> Value:
        """`scale * value`, of a shape that spreads to this one's."""
        if self.value is None:
            return self.builder.const(self.scale, Fixed())
        if self.scale == 1.0:
            return self.value
        if self.scale == -1.0:
            return -self.value
        if self.scale.is_integer() and abs(self.scale) <= WHOLE:
            return self.value * self.builder.const(int(self.scale), INT)
        return self.value * self.builder.const(self.scale, Fixed())

    def whole(self, dtype: DType) -> Value:
        """All of it, as `dtype`."""
        return self.settled().to_fixed(dtype.frac).broadcast_to(self.shape)


def _summed(whole: Shape, shape: Shape) -> list[int]:
    """The axes of `whole` over which copies of something of `shape` lie."""
    rank = len(whole)
    target = (*(1,) * (rank - len(shape)), *shape)
    return [i for i in range(rank) if target[i] == 1 and whole[i] != 1]


def _inner(a: Value, b: Value, axes: list[int]) -> Value:
    """The sum of a * b over axes of equal size; they stay, with size 1."""
    rank = a.ndim
    kept = [i for i in range(rank) if i not in axes]
    n = size_of([a.shape[i] for i in axes])
    rows = a.transpose((*kept, *axes)).reshape((*(a.shape[i] for i in kept), 1, n))
    columns = b.transpose((*kept, *axes)).reshape((*(b.shape[i] for i in kept), n, 1))
    made = rows @ columns
    dims = iter(made.shape[:-2])
    return made.reshape(tuple(1 if i in axes else next(dims) for i in range(rank)))
