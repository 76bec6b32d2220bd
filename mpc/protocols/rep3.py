"""rep3: three nodes with replicated shares over Z_2^64 and Z_2; any one of them may be curious.

*Sharing* [AFLNO16: Araki, Furukawa, Lindell, Nof, Ohara, ePrint 2016/768, section 2]: x = x_0 + x_1 + x_2 mod 2^64, and
party i holds (x_i, x_(i+1)), an array (2, *shape); truth values are shared by exclusive or in the same way.  Key k_j is
known to the two parties that hold x_j, so masks and zero sharings come without a message.

*Threat.*  Honest majority, semi-honest: each party follows the protocol, and no two pool what they see.  One curious
party learns nothing but what is opened to it: every message it receives is masked by a stream of the key that it does
not hold, or is the one component that an opening to it needs and that the result and its own two determine.

Cost of a primitive is in `rep3_cost`; truncation in `rep3_truncate`, everything bitwise in `rep3_bits`, permutations in
`rep3_shuffle`.  Who sits where, and how keys are agreed, is left to others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc import ring
from mpc.circuit import Array, Attrs
from mpc.leading import Slots
from mpc.prg import Prg, fresh_key
from mpc.protocol import Cost, Exchange, Player, ProtocolError, Scheme, Seat, Share, Step, Template, exchange
from mpc.protocols import rep3_bits, rep3_cost, rep3_order, rep3_shuffle, rep3_truncate, rep3_weigh
from mpc.protocols.rep3_place import DIGEST, PARTIES, SEED, Place, close, template, unclose
from mpc.quicksort import Stage
from mpc.types import Type

__all__ = ["REP3", "Rep3", "Rep3Player"]


class Rep3Player(Player):
    """One node's side."""

    __slots__ = ("place", "seat")

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.place = Place.of(seat)

    # -- local ---------------------------------------------------------------------------------

    def constant(self, value: Array, bits: bool) -> Share:
        """Component 0 is the value, the others are zero."""
        out = np.zeros((2, *value.shape), np.uint8 if bits else value.dtype)
        if self.place.me != 1:
            out[self.place.me // 2] = value
        return out

    def add_clear(self, x: Share, value: Array) -> Share:
        """x + value, at component 0."""
        return self._onto(x, value, np.add)

    def xor_clear(self, x: Share, value: Array) -> Share:
        """x ^ value, at component 0."""
        return self._onto(x, value, np.bitwise_xor)

    def _onto(self, x: Share, value: Array, add: np.ufunc) -> Share:
        shape = np.broadcast_shapes(x.shape[1:], value.shape)
        out = np.empty((2, *shape), x.dtype)
        mine = None if self.place.me == 1 else self.place.me // 2
        for i in range(2):
            if i == mine:
                add(x[i, ...], value, out=out[i, ...], casting="same_kind")
            else:
                out[i] = x[i]
        return out

    # -- in and out ----------------------------------------------------------------------------

    def share(self, use: int, value: Array | None, *, owner: int, shape: tuple[int, ...], bits: bool) -> Step[Share]:
        """1 round.  Node j: x_j = F(k_j), v - x_j to P_(j+1), x_(j+2) = 0: one element, uniform without k_j.

        A client sends seeds of x_0 and x_1 and x_2 in full, each to the two that hold it: two elements and 64 bytes.
        Either seed is unknown to one of the two that receive x_2, so it is uniform to both, and P_0 sees seeds only.
        """
        n = int(np.prod(shape, dtype=np.int64))
        if owner >= PARTIES:
            received = yield Exchange({}, {owner: _from_client(self.place.me, n, bits)})
            out = np.stack(_components(self.place.me, received[owner], n, bits))
            return out.reshape(2, *shape)
        place, template = self.place, _template(n, bits)
        out = np.zeros((2, n), np.uint8 if bits else np.uint64)
        if place.me == owner:
            if value is None:
                raise ProtocolError("the owner of an input has no value to share")
            out[0] = _draw(place.near, use, n, bits)
            out[1] = _minus(value.reshape(-1), out[0], bits)
            yield from exchange({place.after: _wire(out[1], bits)})
        elif place.before == owner:
            got = yield from exchange({}, {owner: template})
            out[0] = _read(got[owner], n, bits)
        else:
            yield from exchange()
            out[1] = _draw(place.far, use, n, bits)
        return out.reshape(2, *shape)

    def open(
        self,
        use: int,  # noqa: ARG002
        x: Share,
        *,
        to: tuple[int, ...],
        bits: bool,
        width: int = 64,
    ) -> Step[Array | None]:
        """1 round.  To node j: x_(j-1) from P_(j-1), one element.

        To a client: x_j from each P_j, three elements, and of x_(j+1) a second copy if it is shorter than a digest, the
        digest (32 bytes) otherwise: no single node can make it take a wrong value.  All three components are uniform
        given the value, so they tell a client no more than the value.
        """
        place = self.place
        shape = x.shape[1:]
        flat = x.reshape(2, -1)
        first = _wire(flat[0], bits, width)
        send: dict[int, list[Array]] = {}
        for p in to:
            if p == place.after:
                send[p] = [first]
            elif p >= PARTIES:
                send[p] = [first, _check(_wire(flat[1], bits, width))]
        n = flat.shape[1]
        if place.me not in to:
            yield Exchange(send, {})
            return None
        received = yield Exchange(send, {place.before: [_template(n, bits, width)]})
        third = _read(received[place.before][0], n, bits, width)
        total = _plus(flat[0], flat[1], bits)
        return _within(_plus(total, third, bits), width).reshape(shape)

    # -- arithmetic ----------------------------------------------------------------------------

    def mul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """[AFLNO16], section 2.  1 round, one element a party.

        z_i = x_i y_i + x_i y_(i+1) + x_(i+1) y_i + F(k_i) - F(k_(i+1)) goes to P_(i-1), which lacks k_(i+1).
        """
        shape = np.broadcast_shapes(x.shape[1:], y.shape[1:])
        out = np.empty((2, *shape), x.dtype)
        _cross(x, y, out[0, ...])
        return (yield from self._reshare(use, out, width))

    def matmul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """As `mul`, with two matrix products a party; one element of the result a party."""
        z = _cross_matmul(x, y)
        out = np.empty((2, *z.shape), z.dtype)
        out[0] = z
        return (yield from self._reshare(use, out, width))

    def _reshare(self, use: int, out: Share, width: int) -> Step[Share]:
        """From the local product in out[0] to a share: a zero sharing is added, and P_(i-1) is sent the sum."""
        place = self.place
        flat = out.reshape(2, -1)
        place.blind(use, flat[0])
        n = flat.shape[1]
        got = yield from exchange({place.before: close(flat[0], width)}, {place.after: template(n, width)})
        flat[1] = unclose(got[place.after], n, width)
        return out

    def trunc(self, use: int, x: Share, *, m: int) -> Step[Share]:
        """2 rounds, 64 + 3m bits an element: see `rep3_truncate`."""
        out = yield from rep3_truncate.truncate(self.place, use, x.reshape(2, -1), m=_checked(m))
        return out.reshape(x.shape)

    def mul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """3 rounds, 192 + 3m bits an element: see `rep3_truncate`."""
        z = _cross(x, y)
        out = yield from rep3_truncate.product(self.place, use, z.reshape(-1), m=_checked(m))
        return out.reshape(2, *z.shape)

    def matmul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """3 rounds, 192 + 3m bits an element of the result: see `rep3_truncate`."""
        z = _cross_matmul(x, y)
        out = yield from rep3_truncate.product(self.place, use, z.reshape(-1), m=_checked(m))
        return out.reshape(2, *z.shape)

    def shift(self, use: int, x: Share, *, m: int, width: int) -> Step[Share]:
        """4 + ceil(log2 m) rounds (10 at width 64): see `rep3_bits.shift`."""
        if not 0 < m < width <= 64:
            raise ProtocolError(f"a number of {width} bits cannot be shifted by {m}")
        out = yield from rep3_bits.shift(self.place, use, x.reshape(2, -1), m=m, width=width)
        return out.reshape(x.shape)

    # -- truth values --------------------------------------------------------------------------

    def and_(self, use: int, x: Share, y: Share) -> Step[Share]:
        """1 round, one bit a party."""
        return (yield from rep3_bits.and_bits(self.place, use, x, y))

    def ltz(self, use: int, x: Share, *, width: int, in_chain: bool = False) -> Step[Share]:
        """2 + ceil(log2(width - 1)) rounds: 8 rounds and 544 bits at width 64; in a chain 64 rounds and 376 bits."""
        out = yield from rep3_bits.ltz(self.place, use, x.reshape(2, -1), width=width, in_chain=in_chain)
        return out.reshape(x.shape)

    def eqz(self, use: int, x: Share, *, width: int) -> Step[Share]:
        """1 + ceil(log2 width) rounds: 7 rounds and 253 bits at width 64."""
        out = yield from rep3_bits.eqz(self.place, use, x.reshape(2, -1), width=width)
        return out.reshape(x.shape)

    def bits(self, use: int, x: Share, *, width: int, sparse: int) -> Step[Share]:
        """Rounds as `ltz`, more if `sparse`."""
        out = yield from rep3_bits.bits(self.place, use, x.reshape(2, -1), width=width, sparse=sparse)
        return out.reshape(*x.shape, width)

    def leading(
        self, use: int, x: Share, *, width: int, signed: bool, bottom: int, above: int, sparse: int
    ) -> Step[Share]:
        """Rounds of `bits`, and up to 7 more."""
        slots = Slots(width, signed, bottom, above)
        out = yield from rep3_bits.leading(self.place, use, x.reshape(2, -1), slots, sparse=sparse)
        return out.reshape(*x.shape, slots.size)

    def b2a(self, use: int, x: Share, *, width: int = 64) -> Step[Share]:
        """2 rounds, 3 elements of `width` bits."""
        out = yield from rep3_bits.to_ring(self.place, use, x.reshape(2, -1), width)
        return out.reshape(x.shape)

    def weigh(self, use: int, *bits: Share, weights: tuple[tuple[int, ...], ...]) -> Step[Share]:
        """2 rounds, an element for each bit and two for each sum: see `rep3_weigh`."""
        flat = [b.reshape(2, -1) for b in bits]
        out = yield from rep3_weigh.weigh(self.place, use, flat, weights)
        return out.swapaxes(1, 2).reshape(*bits[0].shape, out.shape[1])

    # -- randomness ----------------------------------------------------------------------------

    def random_bits(self, use: int, *, shape: tuple[int, ...]) -> Share:
        """Component j is F(k_j) [AFLNO16, section 2.2]: each party lacks one, which is uniform to it."""
        n = int(np.prod(shape, dtype=np.int64))
        keys = (self.place.near, self.place.far)
        return np.stack([_draw(key, use, n, bits=True) for key in keys]).reshape(2, *shape)

    # -- permutation ---------------------------------------------------------------------------

    def permutation(self, use: int, *, n: int) -> rep3_shuffle.Handle:
        """Three permutations one after another, each known to two parties."""
        return rep3_shuffle.draw(self.place, use, n)

    def permute(self, use: int, handle: Any, x: Share, *, inverse: bool, bits: bool, width: int = 64) -> Step[Share]:
        """2 rounds, 4 elements a row and column: see `rep3_shuffle`."""
        rows = x.reshape(2, x.shape[1], int(np.prod(x.shape[2:], dtype=np.int64)))
        out = yield from rep3_shuffle.permute(self.place, use, handle, rows, inverse=inverse, bits=bits, width=width)
        return out.reshape(x.shape)

    def order(self, use: int, x: Share, *, stages: Sequence[Stage]) -> Step[Array]:
        """2 + ceil(log2(width / 3)) rounds a comparison, and 7/3 bits a position: see `rep3_order`."""
        return (yield from rep3_order.order(self.place, use, x, stages))

    def merge(self, use: int, x: Share, *, runs: Sequence[int]) -> Step[Share]:
        """3 + ceil(log2(width / 3)) rounds a stage, and 10/3 bits a comparator and position: see `rep3_order`."""
        return (yield from rep3_order.merge(self.place, use, x, runs))


class Rep3(Scheme):
    """The scheme: what is the same at every place."""

    name = "rep3"
    components = 2
    threat = (
        "Three nodes compute. Any one of them may be curious, and learns nothing but what is opened to it; "
        "any two that pool what they hold learn everything. All three are trusted to follow the protocol."
    )

    def check(self, nodes: int, dealer: bool) -> None:
        """Exactly three nodes, no dealer."""
        if nodes != PARTIES:
            raise ProtocolError(f"rep3 runs on three nodes, not {nodes}")
        if dealer:
            raise ProtocolError("rep3 needs no dealer")

    def player(self, seat: Seat) -> Rep3Player:
        """A node's side."""
        return Rep3Player(seat)

    def client_share(self, value: Array, shape: tuple[int, ...], bits: bool, seat: Seat) -> Step[None]:  # noqa: ARG002
        """Seeds for components 0 and 1, the third in full: see `Rep3Player.share`."""
        n = int(np.prod(shape, dtype=np.int64))
        flat = value.reshape(-1)
        seeds = [fresh_key()[:SEED] for _ in range(2)]
        rest = flat
        for seed in seeds:
            rest = _minus(rest, _draw(Prg(seed), 0, n, bits), bits)
        zero, one = (np.frombuffer(seed, np.uint8) for seed in seeds)
        full = _wire(rest, bits)
        yield Exchange({0: [zero, one], 1: [one, full], 2: [full, zero]}, {})

    def client_open(self, shape: tuple[int, ...], bits: bool, seat: Seat, width: int = 64) -> Step[Array]:  # noqa: ARG002
        """Three components and a check of each from another node; ProtocolError where they differ."""
        n = int(np.prod(shape, dtype=np.int64))
        part = _template(n, bits, width)
        check = Template((min(DIGEST, part.nbytes),), "|u1")
        got = yield Exchange({}, {p: [part, check] for p in range(PARTIES)})
        for p in range(PARTIES):
            if not np.array_equal(_check(got[p][0]), got[(p + 2) % 3][1]):
                raise ProtocolError(f"nodes {(p + 2) % 3} and {p} sent different copies of one component of a result")
        first, second, third = (_read(got[p][0], n, bits, width) for p in range(PARTIES))
        return _within(_plus(_plus(first, second, bits), third, bits), width).reshape(shape)

    def cost(self, op: str, types: Sequence[Type], out: Type, attrs: Attrs, seat: Seat) -> Cost:  # noqa: ARG002
        """Exact cost; attributes as the player's methods take them, parties as places."""
        return rep3_cost.cost(op, types, out, attrs)


REP3 = Rep3()


# -- shares and messages -----------------------------------------------------------------------


def _cross(x: Share, y: Share, out: Share | None = None) -> Share:
    return ring.mul_cross(x[0, ...], x[1, ...], y[0, ...], y[1, ...], out)


def _cross_matmul(x: Share, y: Share) -> Share:
    z = np.asarray(ring.matmul(x[0], y[0] + y[1]))
    z += ring.matmul(x[1], y[0])
    return z


def _checked(m: int) -> int:
    if not 0 < m < 62:
        raise ProtocolError(f"a truncation divides by 2^1 to 2^61, not by 2^{m}")
    return m


def _template(n: int, bits: bool, width: int = 64) -> Template:
    return template(n, 1 if bits else width)


def _wire(flat: Array, bits: bool, width: int = 64) -> Array:
    return np.packbits(flat, bitorder="little") if bits else close(flat, width)


def _read(wire: Array, n: int, bits: bool, width: int = 64) -> Array:
    return np.unpackbits(wire, count=n, bitorder="little") if bits else unclose(wire, n, width)


def _within(elements: Array, width: int) -> Array:
    """Elements below 2^width."""
    return elements if width >= 8 * elements.itemsize else elements & elements.dtype.type((1 << width) - 1)


def _draw(key: Prg, use: int, n: int, bits: bool) -> Array:
    cursor = key.cursor(use)
    return cursor.bits(n) if bits else cursor.words(n)


def _plus(a: Array, b: Array, bits: bool) -> Array:
    return a ^ b if bits else a + b


def _minus(a: Array, b: Array, bits: bool) -> Array:
    return a ^ b if bits else a - b


def _check(wire: Array) -> Array:
    """A second copy of a component, or its digest where that is shorter."""
    octets = np.ascontiguousarray(wire).view(np.uint8)
    if octets.size <= DIGEST:
        return octets
    return np.frombuffer(hashlib.sha256(octets.data).digest(), np.uint8)


def _from_client(me: int, n: int, bits: bool) -> list[Template]:
    seed, full = Template((SEED,), "|u1"), _template(n, bits)
    return [[seed, seed], [seed, full], [full, seed]][me]


def _components(me: int, got: Sequence[Array], n: int, bits: bool) -> list[Array]:
    """The two components of a client's input: 0 and 1 are seeds, 2 is there in full."""
    return [
        _read(part, n, bits) if (me + i) % 3 == 2 else _draw(Prg(part.tobytes()), 0, n, bits)
        for i, part in enumerate(got)
    ]
