"""Kernels that need no message, written once for every protocol: they act alike on each component of a share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpc import ring
from mpc.circuit import Array, Node
from mpc.circuits.structure import slices
from mpc.protocol import Player
from mpc.types import BOOL, Layout, Type

__all__ = ["KERNELS", "Kernel", "decode", "encode"]

LAID_OUT = 1 << 12
"""Below so many elements the order in memory does not matter."""

Kernel = Callable[[Player, Sequence[Array], Node, Sequence[Type]], Array]


def encode(value: Array, t: Type, frac: int, bits: int = 64) -> Array:
    """A clear array of type t as elements of Z_2^bits with `frac` fraction bits, or uint8 0/1.

    Of a narrow ring too, elements stand for signed numbers; `ring.EncodingError` for what is none of them.
    """
    if t.dtype == BOOL:
        return np.asarray(value, np.uint8)
    return ring.encode(value, frac, bits=bits).astype(ring.dtype_for(bits), copy=False)


def decode(value: Array, t: Type) -> Array:
    """Ring elements of type t in natural units: signed, whatever the width of the ring."""
    if t.dtype == BOOL:
        return value.astype(np.bool_)
    if t.dtype.kind == "int":
        return ring.to_signed(value, t.dtype.bits)
    return ring.decode(value, t.dtype.frac)


def _key(axis: int, at: Array, length: int, dim: int) -> tuple[slice, ...]:
    first = int(at)
    if first < 0 or first + length > dim:
        raise IndexError(f"rows {first} to {first + length} are outside an axis of size {dim}")
    return (*(slice(None),) * axis, slice(first, first + length))


def _matmul(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    x, y = src
    if types[0].layout is Layout.ARITH:
        right = ring.split(y) if x.shape[0] > 1 and y.ndim > 1 and y.dtype == np.uint64 else y
        return np.stack([ring.matmul(c, right) for c in x])
    return np.stack([ring.matmul(x, c) for c in y])


def _narrow(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    # Reduction modulo 2^bits is a homomorphism, so it acts on each component for itself; modulo 2 a sum is an xor.
    return src[0].astype(ring.dtype_for(node.type.dtype.bits), copy=False)


def _lift(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    # From Z_2^w to Z_2^64 there is one homomorphism up to a factor, x -> 2^(64-w) x: what is above the width goes.
    return np.left_shift(src[0], np.uint64(64 - types[0].dtype.bits), dtype=np.uint64)


def _sum(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    (x,) = src
    axis, keep = node["axis"], node["keepdims"]
    axes = tuple(range(1, x.ndim)) if axis is None else (axis + 1,)
    return np.asarray(np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype))


def _take(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    x, index = src
    axis = node["axis"] + 1
    if index.size and (index.min() < 0 or index.max() >= x.shape[axis]):
        raise IndexError(f"an index is outside an axis of size {x.shape[axis]}")
    return np.take(x, index, axis=axis)


def _dynamic_slice(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    x, at = src
    axis = node["axis"] + 1
    return x[_key(axis, at, node["length"], x.shape[axis])]


def _update(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    x, v = src
    out = x.copy()
    part = out[(slice(None), *slices(node["parts"]))]
    v = v.reshape((v.shape[0], *(1,) * (part.ndim - v.ndim), *v.shape[1:]))
    part[...] = v
    return out


def _dynamic_update(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    x, v, at = src
    axis = node["axis"] + 1
    out = x.copy()
    out[_key(axis, at, v.shape[axis], x.shape[axis])] = v
    return out


def _broadcast(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    (x,) = src
    shape = node["shape"]
    inner = x.reshape((x.shape[0], *(1,) * (len(shape) - x.ndim + 1), *x.shape[1:]))
    return np.broadcast_to(inner, (x.shape[0], *shape))


def _concat(player: Player, src: Sequence[Array], node: Node, types: Sequence[Type]) -> Array:  # noqa: ARG001
    """Laid out in memory as the largest operand is: bits that lie row after row stay so."""
    axis = node["axis"] + 1
    largest = max(src, key=lambda part: part.size)
    order = sorted(range(1, largest.ndim), key=lambda a: -abs(largest.strides[a]))
    if order == list(range(1, largest.ndim)) or largest.size < LAID_OUT:
        return np.concatenate(src, axis=axis)
    shape = list(largest.shape)
    shape[axis] = sum(part.shape[axis] for part in src)
    order.insert(0, 0)
    out = np.empty([shape[a] for a in order], largest.dtype).transpose(np.argsort(order))
    return np.concatenate(src, axis=axis, out=out)


def _simple(f: Callable[..., Any]) -> Kernel:
    return lambda player, src, node, types: f(*src)


KERNELS: dict[str, Kernel] = {
    "add": _simple(np.add),
    "sub": _simple(np.subtract),
    "neg": _simple(np.negative),
    "mul_clear": _simple(np.multiply),
    "matmul_clear": _matmul,
    "add_clear": lambda player, src, node, types: player.add_clear(src[0], src[1]),
    "sub_clear": lambda player, src, node, types: player.add_clear(src[0], np.negative(src[1])),
    "xor": _simple(np.bitwise_xor),
    "xor_clear": lambda player, src, node, types: player.xor_clear(src[0], src[1]),
    "and_clear": _simple(np.bitwise_and),
    "constant": lambda player, src, node, types: player.constant(src[0], types[0].dtype == BOOL),
    "narrow": _narrow,
    "lift": _lift,
    "parity": lambda player, src, node, types: (src[0] & src[0].dtype.type(1)).astype(np.uint8, copy=False),
    "view": lambda player, src, node, types: src[0],
    "sum": _sum,
    "cumsum": lambda player, src, node, types: np.cumsum(src[0], axis=node["axis"] + 1, dtype=src[0].dtype),
    "reshape": lambda player, src, node, types: src[0].reshape((src[0].shape[0], *node["shape"])),
    "broadcast_to": _broadcast,
    "transpose": lambda player, src, node, types: src[0].transpose((0, *(a + 1 for a in node["axes"]))),
    "slice": lambda player, src, node, types: src[0][(slice(None), *slices(node["parts"]))],
    "dynamic_slice": _dynamic_slice,
    "take": _take,
    "concat": _concat,
    "update": _update,
    "dynamic_update": _dynamic_update,
}
"""Local operations on shares by name: (player, operands, node, operand types) -> share."""
