"""The additive protocol: any number of nodes from two on, all but one of which may be curious, and a dealer.

A value is the sum of one share a node, mod 2^64 (or the exclusive or, for truth values): components (1, *shape).
Products and all that is not linear spend correlated randomness from the dealer, a party that takes no part in the
computation and is trusted not to collude with any node; parties follow the protocol (semi-honest).

    product       [Beaver, CRYPTO 1991]: x - a and y - b are opened, z = c + e b + g a + e g.
                  An operand of several matrix products is masked once (`additive_masks.py`).
    truncation    [Dalskov, Escudero, Keller, eprint 2019/131, section 5], probabilistic, one opened element;
                  after a product, the product itself comes out masked, so that no triple is spent on it.
    comparison    c = x + r is opened, r's bits are dealt, a radix-4 tree gives the borrow (`additive_trees.py`).
    bit to ring   [daBits: Rotaru, Wood, eprint 2019/207].
    permutation   one pass for each node's own permutation: the node sees its operand masked, and publishes its order
                  relative to a random one that the dealer chose.

Why nothing leaks: all that nodes send one another between input and output is a value plus a mask that is uniform,
drawn for this use, and shared among all nodes, so the shares of what is opened are uniform with it as their sum.
Outputs are blinded by a fresh sharing of zero before they leave, so that a receiver sees its value and nothing of the
way to it.  A use is spent once: a second draw is refused.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc import ring as kernels
from mpc.bitslice import pack_bool, unpack_bool
from mpc.boolean import one_in_a_byte
from mpc.circuit import Array, Attrs, Circuit
from mpc.leading import Slots
from mpc.prg import Prg
from mpc.protocol import Cost, Dealer, Exchange, Player, ProtocolError, Scheme, Seat, Share, Step, Template, exchange
from mpc.protocols import additive_boolean as boolean
from mpc.protocols import additive_correlations as deal
from mpc.protocols import additive_order, additive_plan
from mpc.protocols.additive_dealer import AdditiveDealer
from mpc.protocols.additive_masks import mask_once
from mpc.protocols.additive_node import Node
from mpc.protocols.additive_plan import SEED_BYTES, data_part, order_part, owners
from mpc.protocols.additive_supply import Draw, Part, decode, encode, join, ring, rows, trim
from mpc.quicksort import Stage
from mpc.types import Type

__all__ = ["ADDITIVE", "Additive", "AdditivePlayer", "Handle"]

MASKED = 2
"""Components of a masked value; a share has one."""

OFFSET = 62
"""Truncation shifts its operand by 2^OFFSET, so that it is not negative."""


class Handle(NamedTuple):
    """This node's part of a secret permutation: the whole is the composition of all nodes' orders."""

    order: Array
    back: Array


def _drawn(part: Part, prg: Prg, use: int) -> Array:
    cursor = prg.cursor(use)
    return cursor.bits(part.shape) if part.kind == "flags" else cursor.narrow(part.shape, part.bits)


def _flat(x: Share) -> Array:
    """BITS as one packed row (1, W)."""
    return pack_bool(x.reshape(-1))[None]


def _operands(x: Share, y: Share, *, matrix: bool) -> tuple[Array, Array, tuple[int, ...]]:
    """Operands as a product's correlation has them, and the shape of its share."""
    if not matrix:
        return x, y, deal.and_shape(x.shape, y.shape)
    left, right, out = deal.matrices(x.shape[1:], y.shape[1:])
    return x.reshape(left), y.reshape(right), (1, *out)


class AdditivePlayer(Player):
    """One node's side."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._node = Node(seat)

    # -- local ---------------------------------------------------------------------------------

    def constant(self, value: Array, bits: bool) -> Share:
        """The value at the first node, 0 at the others."""
        out: Share = np.zeros((1, *value.shape), np.uint8 if bits else value.dtype)
        if self._node.first:
            out[0] = value
        return out

    def add_clear(self, x: Share, value: Array) -> Share:
        """x + value, added by the first node."""
        if self._node.first:
            return x + value
        return np.broadcast_to(x, (1, *np.broadcast_shapes(x.shape[1:], value.shape)))

    def xor_clear(self, x: Share, value: Array) -> Share:
        """x ^ value, by the first node."""
        if self._node.first:
            return x ^ value.astype(np.uint8, copy=False)
        return np.broadcast_to(x, (1, *np.broadcast_shapes(x.shape[1:], value.shape)))

    # -- in and out ----------------------------------------------------------------------------

    def share(self, use: int, value: Array | None, *, owner: int, shape: tuple[int, ...], bits: bool) -> Step[Share]:
        """A node: every other's share comes from the key of the pair, no message.  A client: `client_share`."""
        part = data_part(shape, bits)
        node = self._node
        if owner >= node.seat.nodes:
            return (yield from self._from_client(part, owner))
        if owner != node.me:
            return _drawn(part, node.pairs[owner], use)[None]
        assert value is not None
        rest = np.array(value, part.dtype).reshape(shape)
        for prg in node.pairs.values():
            join(part, rest, _drawn(part, prg, use), take=True)
        return rest[None]

    def _from_client(self, part: Part, owner: int) -> Step[Share]:
        template = part.template if self._node.first else Template((SEED_BYTES,), "|u1")
        got = yield from exchange({}, {owner: template})
        if self._node.first:
            return decode(part, got[owner])[None]
        return _drawn(part, Prg(got[owner].tobytes()), 0)[None]

    def open(self, use: int, x: Share, *, to: tuple[int, ...], bits: bool, width: int = 64) -> Step[Array | None]:
        """Each node sends its share, blinded, to each place of `to`: one round."""
        part, node = data_part(x.shape[1:], bits, width), self._node
        mine = np.array(x[0], part.dtype)
        for p, prg in node.pairs.items():
            # One of a pair adds what the other takes away.
            join(part, mine, _drawn(part, prg, use), take=p < node.me)
        wire = encode(part, mine)
        receives = node.me in to
        send = {p: wire for p in to if p != node.me}
        got = yield from exchange(send, dict.fromkeys(node.peers, part.template) if receives else {})
        if not receives:
            return None
        total = mine.copy()
        for p in node.peers:
            join(part, total, decode(part, got[p]))
        return trim(part, total)

    # -- arithmetic ----------------------------------------------------------------------------

    def mul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """1 round, one element for each of x and of y to each peer; what broadcasts travels at its own size."""
        return (yield from self._product(use, x, y, width, matrix=False))

    def matmul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """1 round, the elements of x and of y to each peer, of masked operands none."""
        if len(x) == MASKED:
            return (yield from self._masked_product(use, x, y, None, width))
        return (yield from self._product(use, x, y, width, matrix=True))

    def mask(self, use: int, x: Share, *, width: int = 64) -> Step[Share]:
        """1 round, one element to each peer: this node's share of the mask, and x less the mask, opened."""
        masking = deal.masking(x.shape[1:], width)
        (a,) = self._node.stream(use).draw(masking).masks
        (e,) = yield from self._node.reveal([(masking.masks[0], x - a)])
        return np.concatenate([a, e])

    def _masked_product(self, use: int, x: Share, y: Share, m: int | None, width: int) -> Step[Share]:
        """x @ y of masked operands, truncated by m if that is given: nothing is opened but, masked, the result."""
        left, right, shape = deal.matrices(x.shape[1:], y.shape[1:])
        a, e, b, g = (v.reshape(s) for v, s in ((x[0], left), (x[1], left), (y[0], right), (y[1], right)))
        b = b + g if self._node.first else b
        if m is None:
            triple = deal.triple(left, right, matrix=True, width=width, given=())
            draw = self._node.stream(use).draw(triple)
            yield from self._node.reveal([], [draw])
            assert draw.dependent is not None
            return self._beaver(draw.dependent[0], e, b, g, a, matrix=True).reshape(1, *shape)
        draw = self._node.stream(use).draw(deal.fused(left, right, m, matrix=True, given=()))
        masked = self._beaver(draw.masks[0], e, b, g, a, matrix=True)
        return (yield from self._open_product(masked, draw, m)).reshape(1, *shape)

    def _product(self, use: int, x: Share, y: Share, width: int, *, matrix: bool) -> Step[Share]:
        x, y, shape = _operands(x, y, matrix=matrix)
        triple = deal.triple(x.shape, y.shape, matrix=matrix, width=width)
        draw = self._node.stream(use).draw(triple)
        a, b = draw.masks
        e, g = yield from self._node.reveal([(triple.masks[0], x - a), (triple.masks[1], y - b)], [draw])
        assert draw.dependent is not None
        if self._node.first:
            b += g
        return self._beaver(draw.dependent[0], e, b, g, a, matrix=matrix).reshape(shape)

    def _beaver(self, c: Array, e: Array, b: Array, g: Array, a: Array, *, matrix: bool) -> Array:
        """c + e b + g a, where b has g added to it at the first node, for e g."""
        if not matrix:
            return kernels.beaver(c, e, b, g, a)
        out = c + kernels.matmul(e, b)
        out += kernels.matmul(a, g)
        return out

    def trunc(self, use: int, x: Share, *, m: int) -> Step[Share]:
        """1 round, one element to each peer."""
        draw = self._node.stream(use).draw(deal.shifted(x.shape, m))
        masked = draw.masks[0]
        masked += x
        if self._node.first:
            masked += np.uint64(1 << OFFSET)
        (c,) = yield from self._node.reveal([(ring(x.shape), masked)], [draw])
        assert draw.dependent is not None
        return self._truncated(c, draw.dependent, m)

    def _truncated(self, c: Array, dealt: Sequence[Array], m: int) -> Share:
        out = boolean.untruncate(self._node, c, dealt[0], dealt[1], m, 64)
        if self._node.first:
            out -= np.uint64(1 << (OFFSET - m))
        return out

    def mul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """2 rounds: the operands as in `mul`, then one element of the result to each peer."""
        return (yield from self._product_truncated(use, x, y, m, matrix=False))

    def matmul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """2 rounds: the operands as in `matmul`, then the elements of the result to each peer, which masked ones take
        alone."""
        if len(x) == MASKED:
            return (yield from self._masked_product(use, x, y, m, 64))
        return (yield from self._product_truncated(use, x, y, m, matrix=True))

    def _product_truncated(self, use: int, x: Share, y: Share, m: int, *, matrix: bool) -> Step[Share]:
        x, y, shape = _operands(x, y, matrix=matrix)
        draw = self._node.stream(use).draw(deal.fused(x.shape, y.shape, m, matrix=matrix))
        a, b, w = draw.masks
        e, g = yield from self._node.reveal([(ring(x.shape), x - a), (ring(y.shape), y - b)])
        if self._node.first:
            b += g
        # w = a b + r, so this is a share of x y + r.
        masked = self._beaver(w, e, b, g, a, matrix=matrix)
        return (yield from self._open_product(masked, draw, m)).reshape(shape)

    def _open_product(self, masked: Array, draw: Draw, m: int) -> Step[Array]:
        """One round: a share of x y + r becomes one of x y / 2^m."""
        if self._node.first:
            masked += np.uint64(1 << OFFSET)
        (c,) = yield from self._node.reveal([(ring(masked.shape), masked)], [draw])
        assert draw.dependent is not None
        return self._truncated(c, draw.dependent, m)

    def shift(self, use: int, x: Share, *, m: int, width: int) -> Step[Share]:
        """`additive_boolean.shift`: width + 1 bits opened, the rounds of a tree over m bits, and one for a daBit."""
        out = yield from boolean.shift(self._node, use, x.reshape(-1), m=m, width=width)
        return out.reshape(x.shape)

    # -- truth values --------------------------------------------------------------------------

    def and_(self, use: int, x: Share, y: Share) -> Step[Share]:
        """1 round, one bit for each of x and of y to each peer."""
        draw = self._node.stream(use).draw(deal.bit_triple(x.shape, y.shape))
        a, b = draw.masks
        e, g = yield from self._node.reveal([(rows(1, x.size), _flat(x) ^ a), (rows(1, y.size), _flat(y) ^ b)], [draw])
        assert draw.dependent is not None
        if self._node.first:
            b = b ^ g
        out = deal.both(e, x.shape, b, y.shape)
        out ^= deal.both(a, x.shape, g, y.shape)
        out ^= draw.dependent[0]
        shape = deal.and_shape(x.shape, y.shape)
        return unpack_bool(out, ring(shape).size).reshape(shape)

    def ltz(self, use: int, x: Share, *, width: int, in_chain: bool = False) -> Step[Share]:
        """`additive_boolean.ltz`: 3 rounds and 97 bits to each peer for 64 bits, 2 rounds up to 17, 1 up to 5.

        In a chain 63 rounds and 126 bits, but 126 in place of 329 from the dealer: not for more than three nodes.
        """
        few = self.seat.nodes <= boolean.CHAINED
        find = boolean.ltz_in_chain if in_chain and few else boolean.ltz
        out = yield from find(self._node, use, x.reshape(-1), width=width)
        return unpack_bool(out, x.size).reshape(x.shape)

    def eqz(self, use: int, x: Share, *, width: int) -> Step[Share]:
        """`additive_boolean.eqz`: 3 rounds and 84 bits to each peer for 64 bits, 2 rounds up to 16, 1 up to 4."""
        out = yield from boolean.eqz(self._node, use, x.reshape(-1), width=width)
        return unpack_bool(out, x.size).reshape(x.shape)

    def bits(self, use: int, x: Share, *, width: int, sparse: int) -> Step[Share]:  # noqa: ARG002
        """`additive_boolean.bit_rows`: 4 rounds, 3 up to 20 bits, 2 up to 8, 1 up to 4."""
        out = yield from boolean.bit_rows(self._node, self._node.stream(use), x.reshape(-1), width=width)
        return _last_axis(out, x.shape)

    def leading(
        self,
        use: int,
        x: Share,
        *,
        width: int,
        signed: bool,
        bottom: int,
        above: int,
        sparse: int,  # noqa: ARG002
    ) -> Step[Share]:
        """`additive_boolean.leading_digits`: 6 rounds, 5 up to 20 bits, 4 up to 16, 3 up to 8, 1 up to 4."""
        slots = Slots(width, signed, bottom, above)
        out = yield from boolean.leading_digits(self._node, self._node.stream(use), x.reshape(-1), slots)
        return _last_axis(out, x.shape)

    def b2a(self, use: int, x: Share, *, width: int = 64) -> Step[Share]:
        """1 round, one bit to each peer."""
        out = yield from boolean.to_ring(self._node, self._node.stream(use), _flat(x), x.size, width)
        return out.reshape(x.shape)

    def weigh(self, use: int, *bits: Share, weights: tuple[tuple[int, ...], ...]) -> Step[Share]:
        """As `b2a` for each bit, 1 round; sums are local."""
        flags = np.concatenate([_flat(b) for b in bits])
        numbers = yield from boolean.to_ring(self._node, self._node.stream(use), flags, bits[0].size)
        by = np.array([[w % (1 << 64) for w in row] for row in weights], np.uint64)
        out: Share = (by.T @ numbers).T.reshape(*bits[0].shape, by.shape[1])
        return out

    # -- randomness ----------------------------------------------------------------------------

    def random_bits(self, use: int, *, shape: tuple[int, ...]) -> Share:
        """Every node's share is its own draw, from a key that it alone can derive."""
        return _drawn(data_part(shape, True), self._node.own, use)[None]

    # -- permutation ---------------------------------------------------------------------------

    def permutation(self, use: int, *, n: int) -> Handle:
        """This node's own order, from a key that it alone can derive."""
        if n >= 1 << 32:
            raise ProtocolError(f"a permutation moves fewer than 2^32 rows, not {n}")
        order = self._node.own.permutation(use, n)
        back = np.empty_like(order)
        back[order] = np.arange(n)
        return Handle(order, back)

    def permute(self, use: int, handle: Any, x: Share, *, inverse: bool, bits: bool, width: int = 64) -> Step[Share]:
        """One round for each node: the others send it their masked shares, it sends them log2 n bits a row."""
        part, places = data_part(x.shape[1:], bits, width), order_part(x.shape[1])
        stream, node = self._node.stream(use), self._node
        share = x[0]
        for owner in owners(node.seat.nodes, inverse):
            draw = stream.draw(deal.permuted(part, None))
            masked = np.array(share, part.dtype)
            join(part, masked, draw.masks[0], take=True)
            expect = {node.dealer: draw.templates} if draw.templates else {}
            if owner == node.me:
                order = handle.back if inverse else handle.order
                # The dealer knows B = A[rho]; B[o] = A[order] for o = rho^-1[order], which is uniform as rho is.
                rho = node.orders.permutation(use, part.shape[0])
                undo = np.empty_like(rho)
                undo[rho] = np.arange(len(rho))
                o = undo[order]
                expect |= {p: [part.template] for p in node.peers}
                got = yield Exchange({p: [encode(places, o)] for p in node.peers}, expect)
                for p in node.peers:
                    join(part, masked, decode(part, got[p][0]))
                share = draw.settle(got.get(node.dealer, ()))[0][o]
                join(part, share, masked[order])
            else:
                expect[owner] = [places.template]
                got = yield Exchange({owner: [encode(part, masked)]}, expect)
                share = draw.settle(got.get(node.dealer, ()))[0][_order(decode(places, got[owner][0]))]
        out: Share = share[None]
        return out

    def order(self, use: int, x: Share, *, stages: Sequence[Stage]) -> Step[Array]:
        """2 + ceil(log3 width) rounds a comparison: see `additive_order`."""
        return (yield from additive_order.order(self._node, use, x, stages))

    def merge(self, use: int, x: Share, *, runs: Sequence[int]) -> Step[Share]:
        """3 + ceil(log3 width) rounds a stage: see `additive_order`."""
        return (yield from additive_order.merge(self._node, use, x, runs))


def _order(received: Array) -> Array:
    if received.size and int(received.max()) >= received.size:
        raise ProtocolError("a peer sent an order with a place beyond the last row")
    return received


def _last_axis(words: Array, shape: tuple[int, ...]) -> Share:
    """BITS (1, *shape, width) from rows (width, W)."""
    return one_in_a_byte(words[None], math.prod(shape)).reshape(*shape, len(words))


class Additive(Scheme):
    """Additive shares among n nodes, with a dealer."""

    name = "additive"
    components = 1
    threat = (
        "All nodes but one may be curious and may join forces; all follow the protocol. "
        "The dealer sees no data but opened values that decide how a study goes on, and is trusted to deal correctly "
        "and not to collude with any node."
    )

    def check(self, nodes: int, dealer: bool) -> None:
        """Two nodes or more, and a dealer."""
        if nodes < 2:
            raise ProtocolError(f"additive takes two nodes or more, not {nodes}")
        if not dealer:
            raise ProtocolError("additive takes a dealer: a party that is none of the nodes")

    def player(self, seat: Seat) -> Player:
        """A node's side."""
        self.check(seat.nodes, seat.dealer is not None)
        return AdditivePlayer(seat)

    def dealer(self, seat: Seat) -> Dealer:
        """The dealer's side."""
        self.check(seat.nodes, seat.dealer is not None)
        return AdditiveDealer(seat)

    def prepare(self, circuit: Circuit) -> Circuit:
        """Operands of several matrix products are masked once."""
        return mask_once(circuit)

    def client_share(self, value: Array, shape: tuple[int, ...], bits: bool, seat: Seat) -> Step[None]:
        """A fresh seed to each node but the first, whose share is the rest: one round."""
        part = data_part(shape, bits)
        rest = np.array(value, part.dtype).reshape(shape)
        send: dict[int, Array] = {}
        for p in range(1, seat.nodes):
            seed = secrets.token_bytes(SEED_BYTES)
            join(part, rest, _drawn(part, Prg(seed), 0), take=True)
            send[p] = np.frombuffer(seed, np.uint8)
        send[0] = encode(part, rest)
        yield from exchange(send, {})

    def client_open(self, shape: tuple[int, ...], bits: bool, seat: Seat, width: int = 64) -> Step[Array]:
        """The sum of what all nodes send: one round."""
        part = data_part(shape, bits, width)
        got = yield from exchange({}, dict.fromkeys(range(seat.nodes), part.template))
        total = np.zeros(part.shape, part.dtype)
        for array in got.values():
            join(part, total, decode(part, array))
        return trim(part, total)

    def cost(self, op: str, types: Sequence[Type], out: Type, attrs: Attrs, seat: Seat) -> Cost:
        """Exact traffic of one step, the dealer's corrections included."""
        return additive_plan.cost(op, types, out, attrs, seat)


ADDITIVE = Additive()
