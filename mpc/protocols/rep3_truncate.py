"""rep3: division by a power of two, with rounding to a neighbour: alone, or fused into a product.

**Truncation by m, 2 rounds, 64 + 3m bits** (m rounded up to 8, 16, 32 or 64 where it stands for a machine integer).
The identity is that of [Keller, ePrint 2025/919] for two summands c = x_0 + x_1 (known to P_0) and r = x_2 (known to
P_1 and P_2).  With 2^62 - 1 added to c, c + r = x + 2^62 - 1 < 2^63 modulo 2^64, so that a wrap happened exactly if
one of the top bits c2, r2 is set, and

    ceil(x / 2^m) - e = (c >> m) + (r >> m) - 2^(64-m) (c2 + r2 - c2 r2) - (2^(62-m) - 1),    e = 0 or 1,

e = 0 where 2^m divides x, and otherwise as often as the fraction of x / 2^m says, if r is uniform (r is zero in a
fresh input of P_0: its rounding is then always up).  Whatever is multiplied by 2^(64-m) matters only mod 2^m and
travels so.

    P_0 -> P_1   c1 - F(k_0) and c2 - F(k_0):  inputs [c >> m] and [c2 mod 2^m], component 2 zero
    P_2 -> P_0   u_0 r2 - F(k_2):  P_2 knows the first component u_0 of [c2] beforehand        (same round)
    P_1 -> P_0   u_1 r2 - F(k_2):  P_1 has just received the second, u_1                       (next round)

*What each sees.*  P_1 receives two values masked by k_0, which it does not know; P_0 two values masked by separate
parts of k_2's stream; P_2 nothing.  So each view is uniform and can be simulated from nothing.

**Fused product, 3 rounds, 3 * 64 + 3m bits** (240 at m = 16): the local products x_i y_i + x_i y_(i+1) + x_(i+1) y_i =
z_i are not shared anew first.  P_1 and P_2 take r = F(k_2) for component 2, and another q = F(k_2), and send z_1 - q
and z_2 - r + q to P_0, which adds its own: c = z - r.  P_0 knows neither q nor r, so what it receives is uniform.

*One form of each.*  There is no second one to choose by the link.  The product is never better shared anew first: that
takes the same 3 rounds, and 304 bits in place of 240 at m = 16.  Fewer rounds would need r2 to be known to be 0, that
is r drawn below 2^62 and hiding the product statistically, which by 40 bits leaves products below 2^22, or pairs
(r, r / 2^m) dealt before the run.  And of the bits none can be had for a round: 64 are the one element in which P_0
shares what it alone knows, and 3m the product of two bits known apart.

Parts turn over thirds of the flattened result, so that every party computes and sends equally much in each round.  Of
few elements they stay with one party each, which costs no more bytes and a delay less (`rep3_place.turned`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.protocol import Exchange, Step, Template, exchange
from mpc.protocols.rep3_place import Bits, Place, Ring, thirds, turned
from mpc.ring import dtype_for

__all__ = ["floor_parts", "product", "truncate"]

_Small = npt.NDArray[Any]


def truncate(place: Place, use: int, x: Ring, *, m: int) -> Step[Ring]:
    """x / 2^m to a neighbour for |x| < 2^62: a share (2, n) of n elements.  Takes the use number `use`."""
    return (yield from _divide(place, use, x, m, 1))


def floor_parts(place: Place, use: int, x: Ring, *, m: int) -> Step[Ring]:
    """floor(x / 2^m) less the carry out of the low m bits of both summands, for -2^62 <= x < 2^62, 0 < m <= 62.

    The same rounds and messages as `truncate`; 2^62 is added instead, which leaves the low bits as they are.
    """
    return (yield from _divide(place, use, x, m, 0))


def product(place: Place, use: int, z: Ring, *, m: int) -> Step[Ring]:
    """The fused product: z (n,), the local products, is used up -> a share (2, n).  Takes use numbers use, use+1."""
    out = np.empty((2, z.size), np.uint64)
    yield from turned(
        place,
        use,
        thirds(z.size),
        lambda part, at_use, at: _regroup_divide(part, at_use, z[at], m, out[:, at]),
    )
    return out


def _divide(place: Place, use: int, x: Ring, m: int, less: int) -> Step[Ring]:
    out = np.empty((2, x.shape[1]), np.uint64)

    def divide(part: Place, at_use: int, at: slice) -> Step[None]:
        known = x[0, at] + x[1, at] if part.me == 0 else x[2 - part.me, at]
        return _from_summands(part, at_use, known, m, less, out[:, at])

    yield from turned(place, use, thirds(x.shape[1]), divide)
    return out


def _regroup_divide(place: Place, use: int, z: Ring, m: int, out: Ring) -> Step[None]:
    """From local products z_0 + z_1 + z_2 to two summands (round 1), and on."""
    if place.me == 0:
        got = yield from exchange({}, {1: z, 2: z})
        known = z
        known += got[1]
        known += got[2]
    else:
        stream = place.key(2).cursor(use + 1)
        known, q = stream.words(z.size), stream.words(z.size)
        if place.me == 1:
            np.subtract(z, q, out=q)
        else:
            q -= known
            q += z
        yield from exchange({0: q})
    yield from _from_summands(place, use, known, m, 1, out)


def _from_summands(place: Place, use: int, known: Ring, m: int, less: int, out: Ring) -> Step[None]:
    """(c + r + 2^62 - less) / 2^m - 2^(62-m) + less into `out` (2, n), each summand divided for itself.

    `known` is c at P_0, where it is used up, and r at the others.
    """
    if place.me == 0:
        return (yield from _first(place, use, known, m, less, out))
    n, small = known.size, dtype_for(m)
    top = known.view(np.int64) < 0
    stream = place.key(2).cursor(use)
    # One draw for both masks: v for the product that P_2 inputs, w for that of P_1.
    v, w = stream.narrow((2, n), 8 * small.itemsize)
    if place.me == 1:
        got = yield Exchange({}, {0: [Template((n,), "<u8"), Template((n,), small.str)]})
        c1, u1 = got[0]
        inner = u1 * top
        inner -= w
        yield from exchange({0: inner})
        _high(out[0], c1, u1 - inner, m)
    else:
        mine = place.far.cursor(use)
        c1, u0 = mine.words(n), mine.narrow(n, 8 * small.itemsize)
        inner = u0 * top
        inner -= v
        yield from exchange({0: inner})
        yield from exchange()
        _high(out[1], c1, u0 - inner, m)
    v += w
    np.subtract(top, v, out=v, dtype=small)
    _high(out[2 - place.me], known >> np.uint64(m), v, m)
    return None


def _first(place: Place, use: int, c: Ring, m: int, less: int, out: Ring) -> Step[None]:
    """P_0's side of `_from_summands`."""
    n, small = c.size, dtype_for(m)
    stream = place.near.cursor(use)
    c1, u0 = stream.words(n), stream.narrow(n, 8 * small.itemsize)
    c += np.uint64((1 << 62) - less)
    top: npt.NDArray[np.bool_] = c.view(np.int64) < 0
    u1 = np.subtract(top, u0, dtype=small)
    c >>= np.uint64(m)
    c -= np.uint64((1 << (62 - m)) - less)
    c -= c1
    got = yield Exchange({1: [c, u1]}, {2: [Template((n,), small.str)]})
    u0 -= got[2][0]
    _high(out[0], c1, u0, m)
    late = yield from exchange({}, {1: Template((n,), small.str)})
    _high(out[1], c, u1 - late[1], m)
    return None


def _high(out: Ring, low: Ring, t: _Small | Bits, m: int) -> None:
    """out = low - 2^(64-m) t."""
    np.left_shift(t, np.uint64(64 - m), out=out, dtype=np.uint64)
    np.subtract(low, out, out=out)
