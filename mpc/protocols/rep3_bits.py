"""rep3: truth values and the bits of ring elements.

**AND, 1 round, 1 bit a party** [AFLNO16, ePrint 2016/768, section 2, over Z_2]: z_i = x_i (y_i ^ y_(i+1)) ^ x_(i+1) y_i
^ F(k_i) ^ F(k_(i+1)) is sent to P_(i-1), which lacks k_(i+1): to it the message is uniform.  A local XOR that follows
(`plus`) is folded into the message.

**Two summands.**  x = s + t mod 2^width, s = x_0 + x_1 known to P_0 and t = x_2 known to P_1 and P_2
[ABY3: Mohassel, Rindal, ePrint 2018/403].  P_0 inputs the bits of s, (F(k_0), s ^ F(k_0) -> P_1, 0): width bits,
round 1.  The bits of t are component 2 as they are.  Where carries are wanted, g_j = s_j t_j takes two bits a position:
P_2 inputs F(k_0)_j t_j (round 1), P_1 inputs (s_j ^ F(k_0)_j) t_j (round 2), both towards P_0, masked by separate parts
of k_2's stream.  P_1 sees s masked by k_0, P_0 sees bits masked by k_2, P_2 sees nothing: all uniform.

    ltz     carry out of width - 1 positions:  64 + 126 + 354 = 544 bits, 8 rounds at width 64
    eqz     s = -t, that is s_j ^ (t - 1)_j = 1 for all j:  64 + 189 = 253 bits, 7 rounds at width 64
    bits    all carries, by a prefix network:  8 rounds at width 64
    leading bits, then a prefix of ANDs over what is turned and read from the top:  6 rounds more

What a width saves: all of it is done mod 2^width, so a comparison of numbers below 2^15 costs a quarter.

**Bit to arithmetic, 2 rounds, 3 elements**: b = u ^ b_2, u = b_0 ^ b_1 known to P_0.  P_0 inputs u as a ring element,
and u b_2 is input as above, F(k_0) b_2 by P_2 and (u - F(k_0)) b_2 by P_1; y = u + b_2 - 2 u b_2.

Inside, bits are sliced to words (`mpc.bitslice`); they travel packed, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc import ring
from mpc.bitslice import slice_bits, unpack_bool, words_for
from mpc.boolean import (
    Term,
    Words,
    all_of,
    carries,
    carry,
    from_message,
    leading_one,
    one_in_a_byte,
    to_message,
)
from mpc.protocol import Step, Template, exchange, parallel
from mpc.protocols.rep3_place import Bits, Place, Ring, close, template, unclose
from mpc.protocols.rep3_truncate import floor_parts
from mpc.ring import dtype_for

__all__ = ["WordGates", "and_bits", "bits", "eqz", "leading", "ltz", "shift", "to_ring"]


class WordGates:
    """AND and NOT on bit-sliced words (2, rows, W)."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def and_words(self, use: int, terms: Sequence[Term], n: int) -> Step[Words]:
        """One round, rows * n bits from each party to the one before it."""
        place = self._place
        leads = [t.lead for t in terms]
        counts = [int(np.prod(lead, dtype=np.int64)) for lead in leads]
        rows, width = sum(counts), terms[0].x.shape[-1]
        out = np.empty((2, rows, width), np.uint64)
        z = out[0]
        at = 0
        for (x, y, plus), lead, count in zip(terms, leads, counts, strict=True):
            target = z[at : at + count].reshape(*lead, width)
            ring.and_cross(x[0], x[1], y[0], y[1], out=target)
            if plus is not None:
                target ^= plus[0]
            at += count
        place.blind(use, z.reshape(-1), bits=True)
        message = to_message(z, n)
        got = yield from exchange({place.before: message}, {place.after: message})
        out[1] = from_message(got[place.after], rows, n)
        return out

    def not_words(self, x: Words) -> Words:
        """Turns component 0, without a message."""
        out = x.copy()
        if self._place.me != 1:
            row = out[self._place.me // 2]
            np.invert(row, out=row)
        return out


def and_bits(place: Place, use: int, x: Bits, y: Bits) -> Step[Bits]:
    """x & y for truth values, one in a byte: (2, *shape), broadcasting."""
    z = ring.and_cross(x[0, ...], x[1, ...], y[0, ...], y[1, ...])
    n = z.size
    message = np.packbits(z.reshape(-1), bitorder="little")
    mask = np.zeros(words_for(n), np.uint64)
    place.blind(use, mask, bits=True)
    message ^= mask.view(np.uint8)[: message.size]
    got = yield from exchange({place.before: message}, {place.after: message})
    out = np.empty((2, n), np.uint8)
    for row, octets in zip(out, (message, got[place.after]), strict=True):
        row[...] = np.unpackbits(octets, count=n, bitorder="little")
    return out.reshape(2, *z.shape)


# -- the two summands --------------------------------------------------------------------------


def _summand(place: Place, x: Ring) -> Ring:
    """What this place knows of x, (2, n): s = x_0 + x_1 at P_0, t = x_2 at the others."""
    known: Ring = x[0] + x[1] if place.me == 0 else x[2 - place.me]
    return known


def _sliced(known: Ring, width: int) -> Words:
    return slice_bits(known.astype(dtype_for(width), copy=False), width)


def _sum_bits(place: Place, use: int, known: Words, n: int) -> Step[Words]:
    """Shares of s_j ^ t_j, (2, width, W), from what each place knows, sliced: one round, width bits."""
    width, words = known.shape
    p = np.empty((2, width, words), np.uint64)
    size = Template((-(-width * n // 8),), "|u1")
    if place.me == 0:
        p[0] = place.near.words(use, 0, width * words).reshape(width, words)
        np.bitwise_xor(known, p[0], out=p[1])
        yield from exchange({1: to_message(p[1], n)})
    elif place.me == 1:
        got = yield from exchange({}, {0: size})
        p[0] = from_message(got[0], width, n)
        p[1] = known
    else:
        yield from exchange()
        p[0] = known
        p[1] = place.far.words(use, 0, width * words).reshape(width, words)
    return p


def _sum_and_carry_bits(place: Place, use: int, known: Words, rows: int, n: int) -> Step[tuple[Words, Words]]:
    """Shares of p_j = s_j ^ t_j, (2, width, W), and of g_j = s_j t_j for the low `rows` positions: two rounds."""
    width, words = known.shape
    p = np.empty((2, width, words), np.uint64)
    g = np.empty((2, rows, words), np.uint64)
    first, later = Template((-(-width * n // 8),), "|u1"), Template((-(-rows * n // 8),), "|u1")
    if place.me == 0:
        p[0] = place.near.words(use, 0, width * words).reshape(width, words)
        np.bitwise_xor(known, p[0], out=p[1])
        got = yield from exchange({1: to_message(p[1], n)}, {2: later})
        g[0] = from_message(got[2], rows, n)
        got = yield from exchange({}, {1: later})
        g[1] = from_message(got[1], rows, n)
        return p, g
    v, w = place.key(2).cursor(use).words((2, rows, words))
    if place.me == 1:
        got = yield from exchange({}, {0: first})
        p[0], p[1] = from_message(got[0], width, n), known
        np.bitwise_and(p[0, :rows], known[:rows], out=g[0])
        g[0] ^= w
        yield from exchange({0: to_message(g[0], n)})
        np.bitwise_xor(v, w, out=g[1])
    else:
        p[0] = known
        p[1] = place.far.words(use, 0, width * words).reshape(width, words)
        np.bitwise_and(p[1, :rows], known[:rows], out=g[1])
        g[1] ^= v
        yield from exchange({0: to_message(g[1], n)})
        yield from exchange()
        np.bitwise_xor(v, w, out=g[0])
    return p, g


def ltz(place: Place, use: int, x: Ring, *, width: int) -> Step[Bits]:
    """[x < 0], (2, n) -> (2, n) of 0 and 1; 2 + ceil(log2(width - 1)) rounds, 1 if width = 1.  Uses use..use+6."""
    n = x.shape[1]
    known = _sliced(_summand(place, x), width)
    if width == 1:
        p = yield from _sum_bits(place, use, known, n)
        return unpack_bool(p[:, 0], n)
    p, g = yield from _sum_and_carry_bits(place, use, known, width - 1, n)
    sign = yield from carry(WordGates(place), use + 1, g, p[:, 1:-1], n)
    return unpack_bool(sign[:, 0] ^ p[:, -1], n)


def eqz(place: Place, use: int, x: Ring, *, width: int) -> Step[Bits]:
    """[x = 0 mod 2^width], (2, n) -> (2, n); 1 + ceil(log2 width) rounds.  Uses use..use+6."""
    n = x.shape[1]
    known = _summand(place, x)
    if place.me:
        # s = -t where no bit of s equals that of -t; the bits of -t, turned, are those of t - 1.
        known = known - np.uint64(1)
    equal = yield from _sum_bits(place, use, _sliced(known, width), n)
    every = yield from all_of(WordGates(place), use + 1, equal, n)
    return unpack_bool(every[:, 0], n)


def _bit_words(place: Place, use: int, x: Ring, width: int) -> Step[Words]:
    """The low bits of x, (2, n) -> (2, width, W).  Uses use..use+6."""
    n = x.shape[1]
    known = _sliced(_summand(place, x), width)
    if width == 1:
        return (yield from _sum_bits(place, use, known, n))
    p, g = yield from _sum_and_carry_bits(place, use, known, width - 1, n)
    into = yield from carries(WordGates(place), use + 1, g, p[:, :-1], n)
    out = p.copy()
    out[:, 1:] ^= into
    return out


def bits(place: Place, use: int, x: Ring, *, width: int) -> Step[Bits]:
    """The low bits of x, lowest first: (2, n) -> (2, n, width); rounds as `ltz`.  Uses use..use+6."""
    words = yield from _bit_words(place, use, x, width)
    return one_in_a_byte(words, x.shape[1])


def leading(place: Place, use: int, x: Ring, *, width: int) -> Step[Bits]:
    """One-hot highest set bit: (2, n) -> (2, n, width); ceil(log2 width) rounds after `bits`.  Uses use..use+12."""
    n = x.shape[1]
    words = yield from _bit_words(place, use, x, width)
    first = yield from leading_one(WordGates(place), use + 7, words, n)
    return one_in_a_byte(first, n)


# -- to the ring -------------------------------------------------------------------------------


def to_ring(place: Place, use: int, b: Bits, width: int) -> Step[npt.NDArray[Any]]:
    """0 or 1 of Z_2^width from a bit: (2, n) -> (2, n); 2 rounds, 3 elements."""
    n, dtype = b.shape[1], dtype_for(width)
    out = np.empty((2, n), dtype)
    size = template(n, width)
    # Masks are drawn for the whole type: bits above the width stay where they are.
    drawn = 8 * dtype.itemsize
    if place.me == 0:
        u0 = place.near.cursor(use).narrow(n, drawn)
        u1 = np.subtract(b[0] ^ b[1], u0, dtype=dtype)
        got = yield from exchange({1: close(u1, width)}, {2: size})
        late = yield from exchange({}, {1: size})
        _less_twice(out[0], u0, unclose(got[2], n, width))
        _less_twice(out[1], u1, unclose(late[1], n, width))
        return out
    v, w = place.key(2).cursor(use).narrow((2, n), drawn)
    own = b[2 - place.me]
    if place.me == 1:
        got = yield from exchange({}, {0: size})
        u1 = unclose(got[0], n, width)
        inner = np.multiply(u1, own, dtype=dtype)
        inner -= w
        yield from exchange({0: close(inner, width)})
        _less_twice(out[0], u1, inner)
    else:
        u0 = place.far.cursor(use).narrow(n, drawn)
        inner = np.multiply(u0, own, dtype=dtype)
        inner -= v
        yield from exchange({0: close(inner, width)})
        yield from exchange()
        _less_twice(out[1], u0, inner)
    v += w
    _less_twice(out[2 - place.me], own, v)
    return out


def _less_twice(out: npt.NDArray[Any], u: npt.NDArray[Any], product: npt.NDArray[Any]) -> None:
    """out = u - 2 product."""
    np.add(product, product, out=out)
    np.subtract(u, out, out=out)


def shift(place: Place, use: int, x: Ring, *, m: int, width: int) -> Step[Ring]:
    """floor(x / 2^m) exactly: (2, n) -> (2, n).  Uses use..use+15.

    (s >> m) + (t >> m) + c_m - 2^(64-m) c_64, with the carries out of the low m and of all bits.  Below width 64 there
    is room to add 2^62, and c_64 costs 3m bits (`rep3_truncate`); at 64 it takes a tree of its own.
    Rounds: 4 + ceil(log2 m), or 10 at width 64.
    """
    if width < 64:
        base, low = yield from parallel([floor_parts(place, use, x, m=m), _low_carry(place, use + 6, x, m)])
        base += low
        return base
    return (yield from _shift_whole(place, use, x, m))


def _low_carry(place: Place, use: int, x: Ring, m: int) -> Step[Ring]:
    """The carry out of the low m bits of both summands, as a ring element.  Uses use..use+7."""
    n = x.shape[1]
    p, g = yield from _sum_and_carry_bits(place, use, _sliced(_summand(place, x), m), m, n)
    return (yield from _ring_carry(WordGates(place), place, (use + 1, use + 7), g, p[:, 1:], n, 64))


def _shift_whole(place: Place, use: int, x: Ring, m: int) -> Step[Ring]:
    """`shift` where x may be any ring element, read as signed: 2^63 is added to s, and 2^(63-m) taken off again."""
    n = x.shape[1]
    known = _summand(place, x)
    if place.me == 0:
        known += np.uint64(1 << 63)
    p, g = yield from _sum_and_carry_bits(place, use, _sliced(known, 64), 64, n)
    gates = WordGates(place)
    out, low, whole = yield from parallel(
        [
            _input_floor(place, use + 15, known, m),
            _ring_carry(gates, place, (use + 7, use + 13), g[:, :m], p[:, 1:m], n, 64),
            _ring_carry(gates, place, (use + 1, use + 14), g, p[:, 1:], n, 8 * dtype_for(m).itemsize),
        ]
    )
    out += low
    # What weighs 2^(64-m) matters only mod 2^m.
    out -= np.left_shift(whole, np.uint64(64 - m), dtype=np.uint64)
    return out


def _ring_carry(
    gates: WordGates, place: Place, uses: tuple[int, int], g: Words, p: Words, n: int, width: int
) -> Step[npt.NDArray[Any]]:
    out = yield from carry(gates, uses[0], g, p, n)
    return (yield from to_ring(place, uses[1], unpack_bool(out[:, 0], n), width))


def _input_floor(place: Place, use: int, known: Ring, m: int) -> Step[Ring]:
    """(s >> m) - 2^(63-m), input by P_0 as (F(k_0), the rest -> P_1, 0), plus t >> m, which is component 2."""
    out = np.empty((2, known.size), np.uint64)
    if place.me == 0:
        out[0] = place.near.words(use, 0, known.size)
        np.subtract(known >> np.uint64(m), out[0], out=out[1])
        out[1] -= np.uint64(1 << (63 - m))
        yield from exchange({1: out[1].copy()})
    elif place.me == 1:
        got = yield from exchange({}, {0: Template((known.size,), "<u8")})
        out[0] = got[0]
    else:
        yield from exchange()
        out[1] = place.far.words(use, 0, known.size)
    if place.me:
        np.right_shift(known, np.uint64(m), out=out[2 - place.me])
    return out
