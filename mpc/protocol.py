"""What a protocol is: the contract between the engine and the files of `mpc/protocols/`.

A protocol is a `Scheme` (what is the same at every party: name, threat model, number of components, exact costs) and
a `Player` for each place (one party's side).  An interactive primitive is a generator, a `Step`, that never touches a
socket: it yields an `Exchange` once a round and is sent what arrived; the engine runs many steps at once and joins
what they send into one frame a peer.  How many rounds a step takes follows from types alone, never from data.

Places: compute nodes are 0..n-1; then, if there are any, the dealer and the clients (parties that only bring inputs
and receive results).

A share is one array with a leading component axis, uint64 (k, *shape) for ARITH, uint8 0/1 (k, *shape) for BITS, so
that every linear and structural kernel is written once, in `local.py`.  Booleans travel packed, eight a byte.
Narrow ARITH shares, over Z_2^width, are arrays of the narrowest unsigned type that holds them, in which bits above the
width mean nothing, and travel without gaps; `NARROW` names the steps that take them, and are told the width.
Two operands of a binary primitive have the same number of axes (NumPy broadcasting on axes of size 1 is allowed):
`lower` sees to that.

Randomness is addressed, not streamed: each execution of a step has a *use* number, the same at all places, and draws
from F(key, use): the order in which messages arrive can change nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mpc.circuit import Array, Attrs, Circuit, Node
from mpc.types import Type, count

__all__ = [
    "BLOCK",
    "ELEMENTWISE",
    "NARROW",
    "OPENING",
    "STEPS",
    "Cost",
    "Dealer",
    "Exchange",
    "Player",
    "ProtocolError",
    "Scheme",
    "Seat",
    "Share",
    "Step",
    "Template",
    "blocks",
    "exchange",
    "interactive",
    "parallel",
]

Share: TypeAlias = npt.NDArray[Any]
"""(k, *shape): uint64 or narrower (ARITH), or uint8 0/1 (BITS)."""

T = TypeVar("T")


class Template(NamedTuple):
    """Shape and dtype of an array that must arrive; anything else ends the job."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes on the wire."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Exchange(NamedTuple):
    """One round of one step: arrays to send and arrays to expect, by place, in order."""

    send: Mapping[int, Sequence[Array]]
    expect: Mapping[int, Sequence[Template]]


Received: TypeAlias = "Mapping[int, Sequence[Array]]"
Step: TypeAlias = Generator[Exchange, Received, T]


class ProtocolError(Exception):
    """A primitive was used in a way that its protocol refuses (a correlation twice, a wrong number of parties)."""


def exchange(
    send: Mapping[int, Array] | None = None, expect: Mapping[int, Template | Array] | None = None
) -> Step[dict[int, Array]]:
    """One round with at most one array each way for each peer; an array in `expect` stands for its own template."""
    wanted = {p: [t if isinstance(t, Template) else Template(t.shape, t.dtype.str)] for p, t in (expect or {}).items()}
    got = yield Exchange({p: [a] for p, a in (send or {}).items()}, wanted)
    return {p: got[p][0] for p in wanted}


def parallel(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """Run steps side by side: one joint exchange a round, until all are done.  Order is that of `steps`."""
    if len(steps) == 1:
        return [(yield from steps[0])]
    results: list[Any] = [None] * len(steps)
    active: list[tuple[int, Step[T], Exchange]] = []
    for i, step in enumerate(steps):
        try:
            active.append((i, step, next(step)))
        except StopIteration as stop:
            results[i] = stop.value
    while active:
        send: dict[int, list[Array]] = {}
        expect: dict[int, list[Template]] = {}
        for _, _, ex in active:
            for p, arrays in ex.send.items():
                send.setdefault(p, []).extend(arrays)
            for p, templates in ex.expect.items():
                expect.setdefault(p, []).extend(templates)
        got = yield Exchange(send, expect)
        taken = dict.fromkeys(expect, 0)
        following: list[tuple[int, Step[T], Exchange]] = []
        for i, step, ex in active:
            mine: dict[int, Sequence[Array]] = {}
            for p, templates in ex.expect.items():
                start = taken[p]
                taken[p] = start + len(templates)
                mine[p] = got[p][start : taken[p]]
            try:
                following.append((i, step, step.send(mine)))
            except StopIteration as stop:
                results[i] = stop.value
        active = following
    return results


@dataclass(frozen=True, slots=True)
class Cost:
    """Exact traffic of a primitive: for every round, the bytes on each directed link (from place, to place).

    A round in which nothing is sent still counts when a later one depends on its place in the order.
    """

    rounds: tuple[Mapping[tuple[int, int], int], ...] = ()
    demand: Mapping[str, int] = field(default_factory=dict)
    """Correlations consumed, by kind, in elements."""

    def then(self, other: Cost) -> Cost:
        """This, and after it `other`."""
        return Cost((*self.rounds, *other.rounds), _sum(self.demand, other.demand))

    def beside(self, other: Cost) -> Cost:
        """Both at once."""
        length = max(len(self.rounds), len(other.rounds))
        empty: Mapping[tuple[int, int], int] = {}
        pairs = (
            (
                self.rounds[r] if r < len(self.rounds) else empty,
                other.rounds[r] if r < len(other.rounds) else empty,
            )
            for r in range(length)
        )
        return Cost(tuple(_sum(a, b) for a, b in pairs), _sum(self.demand, other.demand))

    @property
    def total(self) -> dict[tuple[int, int], int]:
        """Bytes on each link over all rounds."""
        out: dict[tuple[int, int], int] = {}
        for links in self.rounds:
            for link, n in links.items():
                out[link] = out.get(link, 0) + n
        return out

    @property
    def bytes(self) -> int:
        """Bytes over all links and rounds."""
        return sum(self.total.values())


K = TypeVar("K")


def _sum(a: Mapping[K, int], b: Mapping[K, int]) -> dict[K, int]:
    out = dict(a)
    for key, n in b.items():
        out[key] = out.get(key, 0) + n
    return {key: n for key, n in out.items() if n}


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a player sits.

    keys: for every other place with which this one shares a key (nodes with nodes, the dealer with nodes, clients
    with nobody), 32 bytes agreed for this session and stage.
    """

    me: int
    nodes: int
    places: int
    dealer: int | None = None
    keys: Mapping[int, bytes] = field(default_factory=dict)


class Player(ABC):
    """One compute node's side of a protocol.

    Steps take the use number first; `x`, `y` are shares.  ARITH unless said otherwise.
    Local kernels that are the same for all schemes are in `local.py`; here is what differs.
    """

    seat: Seat

    # -- local ---------------------------------------------------------------------------------

    @abstractmethod
    def constant(self, value: Array, bits: bool) -> Share:
        """A share of a public ring array (of any width, or uint8 0/1 when `bits`): no message."""

    @abstractmethod
    def add_clear(self, x: Share, value: Array) -> Share:
        """x + a public ring array of its dtype, broadcasting."""

    @abstractmethod
    def xor_clear(self, x: Share, value: Array) -> Share:
        """BITS x ^ a public 0/1 array, broadcasting."""

    # -- in and out ----------------------------------------------------------------------------

    @abstractmethod
    def share(self, use: int, value: Array | None, *, owner: int, shape: tuple[int, ...], bits: bool) -> Step[Share]:
        """`owner` (any place but the dealer) shares its ring array (uint64, or uint8 0/1 when bits); None elsewhere."""

    @abstractmethod
    def open(self, use: int, x: Share, *, to: tuple[int, ...], bits: bool, width: int = 64) -> Step[Array | None]:
        """The ring array behind x, below 2^width, at the places `to`; None at the others."""

    # -- arithmetic ----------------------------------------------------------------------------

    @abstractmethod
    def mul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """x * y mod 2^width, element-wise."""

    @abstractmethod
    def matmul(self, use: int, x: Share, y: Share, *, width: int = 64) -> Step[Share]:
        """x @ y mod 2^width, NumPy's matmul on the axes after the first."""

    def mask(self, use: int, x: Share, *, width: int = 64) -> Step[Share]:
        """x of Z_2^width with a mask, as `Layout.MASKED`: for protocols whose `prepare` asks for it."""
        raise ProtocolError(f"this protocol masks no values (use {use}, {x.shape}, {width} bits)")

    @abstractmethod
    def trunc(self, use: int, x: Share, *, m: int) -> Step[Share]:
        """x / 2^m rounded to a neighbour (error 0 or 1 unit, no large failure) for |x| < 2^62, 0 < m < 62."""

    def mul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """trunc(x * y, m), where the product stays below 2^62 in magnitude."""
        z = yield from self.mul(use, x, y)
        return (yield from self.trunc(use + 1, z, m=m))

    def matmul_trunc(self, use: int, x: Share, y: Share, *, m: int) -> Step[Share]:
        """trunc(x @ y, m), where the product stays below 2^62 in magnitude."""
        z = yield from self.matmul(use, x, y)
        return (yield from self.trunc(use + 1, z, m=m))

    @abstractmethod
    def shift(self, use: int, x: Share, *, m: int, width: int) -> Step[Share]:
        """floor(x / 2^m) exactly, for -2^(width-1) <= x < 2^(width-1), 0 < m < width <= 64."""

    # -- truth values --------------------------------------------------------------------------

    @abstractmethod
    def and_(self, use: int, x: Share, y: Share) -> Step[Share]:
        """BITS x & y."""

    @abstractmethod
    def ltz(self, use: int, x: Share, *, width: int, in_chain: bool = False) -> Step[Share]:
        """BITS [x < 0], for -2^(width-1) <= x < 2^(width-1), 1 <= width <= 64.

        in_chain: in fewest bytes rather than rounds, where the protocol has such a way.
        """

    @abstractmethod
    def eqz(self, use: int, x: Share, *, width: int) -> Step[Share]:
        """BITS [x = 0 mod 2^width]."""

    @abstractmethod
    def bits(self, use: int, x: Share, *, width: int, sparse: int) -> Step[Share]:
        """BITS (k, *shape, width): the low `width` bits of x mod 2^64, lowest first.

        sparse: which of `boolean.SHAPES`, from fewest rounds to fewest bytes, where the protocol has such ways.
        """

    @abstractmethod
    def leading(
        self, use: int, x: Share, *, width: int, signed: bool, bottom: int, above: int, sparse: int
    ) -> Step[Share]:
        """BITS (k, *shape, size): the place of the highest set bit by the digits of `mpc.leading.Slots`.

        For 0 <= x < 2^width, or -2^(width-1) <= x < 2^(width-1) if signed; no bit below `bottom` is the highest.
        """

    @abstractmethod
    def b2a(self, use: int, x: Share, *, width: int = 64) -> Step[Share]:
        """ARITH 0 or 1, of Z_2^width, from BITS."""

    @abstractmethod
    def weigh(self, use: int, *bits: Share, weights: tuple[tuple[int, ...], ...]) -> Step[Share]:
        """ARITH (k, *shape, M): for each m the sum over j of weights[j][m] bits[j], BITS of one shape.

        Each bit has a weight that is not 0.
        """

    # -- randomness ----------------------------------------------------------------------------

    @abstractmethod
    def random_bits(self, use: int, *, shape: tuple[int, ...]) -> Share:
        """BITS: uniform truth values, drawn without a message, that nobody knows as long as the threat holds."""

    @abstractmethod
    def permutation(self, use: int, *, n: int) -> Any:
        """A handle on a uniform secret permutation of n rows, drawn without a message."""

    @abstractmethod
    def permute(self, use: int, handle: Any, x: Share, *, inverse: bool, bits: bool, width: int = 64) -> Step[Share]:
        """x with its rows (axis 0 after the components) moved by the handle's permutation, freshly shared.

        out[i] = x[p[i]]; with `inverse` the rows move back: permute(permute(x), inverse=True) = x.
        """

    @abstractmethod
    def order(self, use: int, x: Share, *, stages: Sequence[Any]) -> Step[Array]:
        """In the clear at all nodes: the places of rows in ascending order, int64 (n,), from BITS (k, n, width).

        The rows are distinct numbers, lowest bit first, freshly moved by a uniform permutation that nobody knows.
        stages: `quicksort.Stage`s, each as a tuple.
        """

    @abstractmethod
    def merge(self, use: int, x: Share, *, runs: Sequence[int]) -> Step[Share]:
        """Rows in ascending order, BITS (k, n, width), of runs of so many rows that are each ascending.

        The rows are distinct numbers, lowest bit first.
        """


class Dealer(ABC):
    """The dealer's side: for each primitive, the same rounds, sending corrections, expecting nothing, holding no value.

    `deal(op, use, types, attrs, held)` is a step that yields as many exchanges as the players' do.
    """

    @abstractmethod
    def deal(self, op: str, use: int, types: Sequence[Type], attrs: Attrs, held: Sequence[Any] = ()) -> Step[Any]:
        """Deal what execution `use` of `op` on operands of these types consumes.

        held: what the dealer holds of the operands, None of most: its handle of a permutation, the masks of a masked
        value (1, *shape).  Returns what it holds of the result.
        """


STEPS = frozenset(
    {
        "share", "open", "mul", "matmul", "mask", "trunc", "mul_trunc", "matmul_trunc", "shift", "and_", "ltz", "eqz",
        "bits", "leading", "b2a", "weigh", "permute", "order", "merge",
    }
)  # fmt: skip
"""Interactive primitives: names of Player's step methods and of nodes in a lowered circuit."""


OPENING = frozenset(["open", "order"])
"""Steps whose result is in the clear."""

NARROW = frozenset(["open", "mul", "matmul", "mask", "b2a", "permute"])
"""Primitives that work in narrow rings too: operands and result of one width (of `b2a`, the result alone)."""


def interactive(node: Node) -> bool:
    """True if the node of a lowered circuit is a step: it opens, or is on shares (a private value's `mul` is none)."""
    return node.op in STEPS and (node.op in OPENING or node.type.shared)


ELEMENTWISE = frozenset(["mul", "trunc", "mul_trunc", "shift", "and_", "ltz", "eqz", "bits", "leading", "b2a", "weigh"])
"""Steps that treat every element alike: they may be joined, or done in blocks."""

BLOCK = 1 << 22
"""Elements that such a step does at once: of more, one block after another, so that what it needs beside its operands
and its result stays small.  Rounds are nothing beside the bytes then."""


def blocks(node: Node, types: Sequence[Type]) -> list[tuple[int, int]]:
    """The ranges of flattened elements in which a step is done, one after another."""
    shape = types[0].shape if types else ()
    if node.op not in ELEMENTWISE or any(t.shape != shape for t in types):
        return [(0, 0)]
    n = count(shape)
    # Blocks begin at multiples of 64, where packed truth values do.
    return [(a, min(a + BLOCK, n)) for a in range(0, n, BLOCK)] or [(0, 0)]


USES = 16
"""Use numbers that one step may consume: use, use+1, …, use+15 are its own.  An `order` has so many for each of its
comparisons, a `merge` for each of its stages."""


class Scheme(ABC):
    """A protocol, as far as it is the same everywhere."""

    name: str
    components: int
    threat: str
    """Who may be curious or worse, and whose trust is asked for: printed with the disclosures."""

    @abstractmethod
    def check(self, nodes: int, dealer: bool) -> None:
        """ProtocolError if it cannot run with so many nodes, with or without a dealer."""

    @abstractmethod
    def player(self, seat: Seat) -> Player:
        """A compute node's side."""

    @abstractmethod
    def client_share(self, value: Array, shape: tuple[int, ...], bits: bool, seat: Seat) -> Step[None]:
        """A client's side of `share`: one round, the same frame layout that `Player.share` expects from it."""

    @abstractmethod
    def client_open(self, shape: tuple[int, ...], bits: bool, seat: Seat, width: int = 64) -> Step[Array]:
        """A client's side of `open`: what it receives, put together (and checked where copies allow)."""

    def dealer(self, seat: Seat) -> Dealer:  # noqa: ARG002 - for schemes that have one
        """The dealer's side."""
        raise ProtocolError(f"{self.name} has no dealer")

    def prepare(self, circuit: Circuit) -> Circuit:
        """The same circuit, with what this protocol does better than in the general form; legal by `spec`."""
        return circuit

    @abstractmethod
    def cost(self, op: str, types: Sequence[Type], out: Type, attrs: Attrs, seat: Seat) -> Cost:
        """Exact cost of one execution of a primitive on operands of these types (seat.me is ignored)."""
