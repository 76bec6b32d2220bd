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
    bits    all carries, by a prefix network:  8 rounds at width 64, or more with fewer gates
    leading bits, then the digits of the highest place (`mpc.highest`):  7 rounds more

What a width saves: all of it is done mod 2^width, so a comparison of numbers below 2^15 costs a quarter.

**Bit to arithmetic, 2 rounds, 3 elements**: b = u ^ b_2, u = b_0 ^ b_1 known to P_0.  P_0 inputs u as a ring element,
and u b_2 is input as above, F(k_0) b_2 by P_2 and (u - F(k_0)) b_2 by P_1; y = u + b_2 - 2 u b_2.

The parts of P_0, P_1 and P_2 turn over thirds of many elements (`rep3_place.turned`) in all that is input; gates are
the same at all three.  Inside, bits are sliced to words (`mpc.bitslice`); they travel packed, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc import ring
from mpc.bitslice import slice_bits, unpack_bool, words_for
from mpc.boolean import (
    SHAPES,
    Term,
    Words,
    all_of,
    carries,
    carry,
    chain,
    from_message,
    one_in_a_byte,
    to_message,
)
from mpc.highest import highest
from mpc.leading import Slots
from mpc.protocol import Step, Template, exchange, parallel
from mpc.protocols.rep3_place import Bits, Place, Ring, chain_use, close, template, thirds, turned, unclose
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
        place, z = self._place, self.products(use, terms)
        rows, width = z.shape
        out = np.empty((2, rows, width), np.uint64)
        out[0] = z
        message = to_message(z, n)
        got = yield from exchange({place.before: message}, {place.after: message})
        out[1] = from_message(got[place.after], rows, n)
        return out

    def products(self, use: int, terms: Sequence[Term]) -> npt.NDArray[np.uint64]:
        """This place's part of all terms, with a sharing of zero: (total rows, W)."""
        leads = [t.lead for t in terms]
        counts = [int(np.prod(lead, dtype=np.int64)) for lead in leads]
        width = terms[0].x.shape[-1]
        z = np.empty((sum(counts), width), np.uint64)
        at = 0
        for term, lead, count in zip(terms, leads, counts, strict=True):
            target = z[at : at + count].reshape(*lead, width)
            ring.and_cross(term.x[0], term.x[1], term.y[0], term.y[1], out=target)
            for x, y in term.more:
                target ^= ring.and_cross(x[0], x[1], y[0], y[1])
            if term.plus is not None:
                target ^= term.plus[0]
            at += count
        self._place.blind(use, z.reshape(-1), bits=True)
        return z

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


class Summands(NamedTuple):
    """x, (2, n), whose low `width` bits are looked at, with public numbers that are first added to s and to t."""

    x: Ring
    width: int
    to_s: int = 0
    to_t: int = 0
    heaviest: int = 0
    """Bits of an element by which the thirds are cut, if they are not `width`."""

    @property
    def n(self) -> int:
        """The number of elements."""
        return int(self.x.shape[1])

    @property
    def parts(self) -> list[tuple[int, slice]]:
        """The thirds in which parts turn: the same in all that looks at these summands, since P_0 of a turn knows s."""
        return thirds(self.n, self.heaviest or self.width)

    def known(self, place: Place, at: slice) -> Ring:
        """What this part knows of x: s = x_0 + x_1 at P_0, t = x_2 at the others."""
        x = self.x[:, at]
        known: Ring = x[0] + x[1] if place.me == 0 else x[2 - place.me]
        more = self.to_t if place.me else self.to_s
        return known + np.uint64(more) if more else known

    def sliced(self, place: Place, at: slice) -> Words:
        """The bits of that, (width, W)."""
        return slice_bits(self.known(place, at).astype(dtype_for(self.width), copy=False), self.width)


def _words(at: slice) -> slice:
    """The words of elements from one multiple of 64 on, to another or the end."""
    return slice(at.start // 64, words_for(at.stop))


def _sum_bits(place: Place, use: int, of: Summands) -> Step[Words]:
    """Shares of s_j ^ t_j, (2, width, W): one round, width bits."""
    out = np.empty((2, of.width, words_for(of.n)), np.uint64)
    yield from turned(
        place,
        use,
        of.parts,
        lambda part, at_use, at: _input_sum_bits(part, at_use, of.sliced(part, at), at, out[:, :, _words(at)]),
    )
    return out


def _input_sum_bits(place: Place, use: int, known: Words, at: slice, p: Words) -> Step[None]:
    (width, words), n = known.shape, at.stop - at.start
    if place.me == 0:
        mask = place.near.words(use, 0, width * words).reshape(width, words)
        p[0] = mask
        mask ^= known
        p[1] = mask
        yield from exchange({1: to_message(mask, n)})
    elif place.me == 1:
        got = yield from exchange({}, {0: _octets(width, n)})
        p[0] = from_message(got[0], width, n)
        p[1] = known
    else:
        yield from exchange()
        p[0] = known
        p[1] = place.far.words(use, 0, width * words).reshape(width, words)


def _octets(rows: int, n: int) -> Template:
    return Template((-(-rows * n // 8),), "|u1")


def _sum_and_carry_bits(place: Place, use: int, of: Summands, rows: int) -> Step[tuple[Words, Words]]:
    """Shares of p_j = s_j ^ t_j, (2, width, W), and of g_j = s_j t_j for the low `rows` positions: two rounds."""
    p = np.empty((2, of.width, words_for(of.n)), np.uint64)
    g = np.empty((2, rows, words_for(of.n)), np.uint64)

    def play(part: Place, at_use: int, at: slice) -> Step[None]:
        where = _words(at)
        return _input_both(part, at_use, of.sliced(part, at), at, p[:, :, where], g[:, :, where])

    yield from turned(place, use, of.parts, play)
    return p, g


def _input_both(place: Place, use: int, known: Words, at: slice, p: Words, g: Words) -> Step[None]:
    (width, words), rows, n = known.shape, g.shape[1], at.stop - at.start
    first, later = _octets(width, n), _octets(rows, n)
    if place.me == 0:
        mask = place.near.words(use, 0, width * words).reshape(width, words)
        p[0] = mask
        mask ^= known
        p[1] = mask
        got = yield from exchange({1: to_message(mask, n)}, {2: later})
        g[0] = from_message(got[2], rows, n)
        got = yield from exchange({}, {1: later})
        g[1] = from_message(got[1], rows, n)
        return
    v, w = place.key(2).cursor(use).words((2, rows, words))
    if place.me == 1:
        got = yield from exchange({}, {0: first})
        mask = from_message(got[0], width, n)
        p[0], p[1] = mask, known
        product = mask[:rows] & known[:rows]
        product ^= w
        g[0] = product
        yield from exchange({0: to_message(product, n)})
        np.bitwise_xor(v, w, out=g[1])
    else:
        mask = place.far.words(use, 0, width * words).reshape(width, words)
        p[0], p[1] = known, mask
        product = mask[:rows] & known[:rows]
        product ^= v
        g[1] = product
        yield from exchange({0: to_message(product, n)})
        yield from exchange()
        np.bitwise_xor(v, w, out=g[0])


def ltz(place: Place, use: int, x: Ring, *, width: int, in_chain: bool = False) -> Step[Bits]:
    """[x < 0], (2, n) -> (2, n) of 0 and 1; 2 + ceil(log2(width - 1)) rounds, 1 if width = 1.  Uses use..use+6.

    In a chain, `width` rounds and 3 (width - 2) bits for gates.
    """
    n, of = x.shape[1], Summands(x, width)
    if width == 1:
        p = yield from _sum_bits(place, use, of)
        return unpack_bool(p[:, 0], n)
    p, g = yield from _sum_and_carry_bits(place, use, of, width - 1)
    gates = WordGates(place)
    if in_chain:
        sign = yield from chain(gates, chain_use(use), g, p[:, 1:-1], n)
    else:
        sign = yield from carry(gates, use + 1, g, p[:, 1:-1], n)
    return unpack_bool(sign[:, 0] ^ p[:, -1], n)


def eqz(place: Place, use: int, x: Ring, *, width: int) -> Step[Bits]:
    """[x = 0 mod 2^width], (2, n) -> (2, n); 1 + ceil(log2 width) rounds.  Uses use..use+6."""
    n = x.shape[1]
    # s = -t where no bit of s equals that of -t; the bits of -t, turned, are those of t - 1.
    equal = yield from _sum_bits(place, use, Summands(x, width, to_t=(1 << 64) - 1))
    every = yield from all_of(WordGates(place), use + 1, equal, n)
    return unpack_bool(every[:, 0], n)


def _bit_words(place: Place, use: int, x: Ring, width: int, sparse: int) -> Step[Words]:
    """The low bits of x, (2, n) -> (2, width, W), by the carries of `SHAPES[sparse]`.  Uses use..use+8."""
    of = Summands(x, width)
    if width == 1:
        return (yield from _sum_bits(place, use, of))
    p, g = yield from _sum_and_carry_bits(place, use, of, width - 1)
    shape = SHAPES[sparse]
    first = chain_use(use) if shape.chain else use + 1
    into = yield from carries(WordGates(place), first, g, p[:, :-1], of.n, shape)
    out = p.copy()
    out[:, 1:] ^= into
    return out


def bits(place: Place, use: int, x: Ring, *, width: int, sparse: int) -> Step[Bits]:
    """The low bits of x, lowest first: (2, n) -> (2, n, width); rounds as `ltz`, more if `sparse`."""
    words = yield from _bit_words(place, use, x, width, sparse)
    return one_in_a_byte(words, x.shape[1])


def leading(place: Place, use: int, x: Ring, slots: Slots, *, sparse: int) -> Step[Bits]:
    """The digits of the highest place: (2, n) -> (2, n, slots.size); 7 rounds after `bits`.  Uses use..use+15."""
    n = x.shape[1]
    words = yield from _bit_words(place, use, x, slots.width, sparse)
    first = yield from highest(WordGates(place), use + 9, words, slots, n)
    return one_in_a_byte(first, n)


# -- to the ring -------------------------------------------------------------------------------


def to_ring(place: Place, use: int, b: Bits, width: int) -> Step[npt.NDArray[Any]]:
    """0 or 1 of Z_2^width from a bit: (2, n) -> (2, n); 2 rounds, 3 elements."""
    n = b.shape[1]
    out = np.empty((2, n), dtype_for(width))
    yield from turned(
        place, use, thirds(n, width), lambda part, at_use, at: _to_ring(part, at_use, b[:, at], width, out[:, at])
    )
    return out


def _to_ring(place: Place, use: int, b: Bits, width: int, out: npt.NDArray[Any]) -> Step[None]:
    n, dtype = b.shape[1], out.dtype
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
        return
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
    # Cut as in `floor_parts`, so that both speak of one s and one t.
    p, g = yield from _sum_and_carry_bits(place, use, Summands(x, m, heaviest=64), m)
    return (yield from _ring_carry(WordGates(place), place, (use + 1, use + 7), g, p[:, 1:], n, 64))


def _shift_whole(place: Place, use: int, x: Ring, m: int) -> Step[Ring]:
    """`shift` where x may be any ring element, read as signed: 2^63 is added to s, and 2^(63-m) taken off again."""
    n, of = x.shape[1], Summands(x, 64, to_s=1 << 63)
    p, g = yield from _sum_and_carry_bits(place, use, of, 64)
    gates = WordGates(place)
    out, low, whole = yield from parallel(
        [
            _input_floor(place, use + 15, of, m),
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


def _input_floor(place: Place, use: int, of: Summands, m: int) -> Step[Ring]:
    """(s >> m) - 2^(63-m), input by P_0 as (F(k_0), the rest -> P_1, 0), plus t >> m, which is component 2."""
    out = np.empty((2, of.n), np.uint64)

    def play(part: Place, at_use: int, at: slice) -> Step[None]:
        return _input_high(part, at_use, of.known(part, at), m, out[:, at])

    yield from turned(place, use, of.parts, play)
    return out


def _input_high(place: Place, use: int, known: Ring, m: int, out: Ring) -> Step[None]:
    if place.me == 0:
        out[0] = place.near.words(use, 0, known.size)
        rest = np.subtract(known >> np.uint64(m), out[0])
        rest -= np.uint64(1 << (63 - m))
        out[1] = rest
        yield from exchange({1: rest})
        return
    if place.me == 1:
        got = yield from exchange({}, {0: Template((known.size,), "<u8")})
        out[0] = got[0]
    else:
        yield from exchange()
        out[1] = place.far.words(use, 0, known.size)
    np.right_shift(known, np.uint64(m), out=out[2 - place.me])
