"""rep3: exact traffic of each primitive, from types alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mpc.boolean import carry_levels, depth, tree_rows
from mpc.circuit import Attrs
from mpc.highest import highest_levels
from mpc.leading import Slots
from mpc.merging import sizes
from mpc.protocol import Cost
from mpc.protocols.rep3_order import nodes_of
from mpc.protocols.rep3_place import DIGEST, PARTIES, SEED, thirds
from mpc.protocols.rep3_shuffle import packed_bits
from mpc.protocols.rep3_weigh import Weights, plan
from mpc.quicksort import Stage, batches
from mpc.ring import dtype_for
from mpc.types import BOOL, Type, count

__all__ = ["cost"]

_Links = dict[tuple[int, int], int]


def cost(op: str, types: Sequence[Type], out: Type, attrs: Attrs) -> Cost:
    """Cost of one execution; attributes as the player's methods take them, parties as places."""
    match op:
        case "share":
            return _share(_size(out), attrs["owner"])
        case "open":
            return _open(_size(types[0]), attrs["to"])
        case "mul" | "matmul" | "and_":
            return _ring_around(_size(out))
        case "trunc":
            return _divide(count(out.sizes), attrs["m"])
        case "mul_trunc" | "matmul_trunc":
            n = count(out.sizes)
            return _turned(n, 64, _regroup).then(_divide(n, attrs["m"]))
        case "shift":
            return _shift(count(out.sizes), attrs["m"], attrs["width"])
        case "ltz":
            return _ltz(count(types[0].sizes), attrs["width"], bool(attrs.get("in_chain")))
        case "eqz":
            return _eqz(count(types[0].sizes), attrs["width"])
        case "bits":
            return _bits(count(types[0].sizes), attrs["width"], attrs["sparse"])
        case "leading":
            n, sparse = count(types[0].sizes), attrs["sparse"]
            slots = Slots(*(attrs[name] for name in Slots._fields))
            return _bits(n, slots.width, sparse).then(_gates(n, highest_levels(slots)))
        case "weigh":
            return _weigh(count(types[0].sizes), attrs["weights"])
        case "b2a":
            return _to_ring(count(out.sizes), out.dtype.bits)
        case "permute":
            return _permute(_moved(out), attrs["inverse"])
        case "order":
            return _order(types[0].sizes[1], attrs["stages"])
        case "merge":
            return _merge(types[0].sizes[1], attrs["runs"])
    raise AssertionError(f"rep3 has no primitive {op}")


def _size(t: Type) -> int:
    """Bytes of one component on the wire."""
    n = count(t.sizes)
    return _packed(n if t.dtype == BOOL else t.dtype.bits * n)


def _moved(t: Type) -> int:
    """Bytes of one component of rows that are permuted."""
    if t.dtype != BOOL or not t.sizes[0]:
        return _size(t)
    return _packed(packed_bits(t.sizes[0], count(t.sizes[1:])))


def _packed(bits: int) -> int:
    return -(-bits // 8)


def _rounds(*rounds: _Links) -> Cost:
    return Cost(tuple({link: n for link, n in links.items() if n} for links in rounds))


def _ring_around(size: int) -> Cost:
    return _rounds({(p, (p + 2) % 3): size for p in range(PARTIES)})


def _gates(n: int, rows: Sequence[int]) -> Cost:
    total = Cost()
    for r in rows:
        total = total.then(_ring_around(_packed(r * n)))
    return total


def _share(size: int, owner: int) -> Cost:
    if owner < PARTIES:
        return _rounds({(owner, (owner + 1) % 3): size})
    return _rounds({(owner, 0): 2 * SEED, (owner, 1): SEED + size, (owner, 2): SEED + size})


def _open(size: int, to: Sequence[int]) -> Cost:
    links: _Links = {}
    for p in to:
        if p < PARTIES:
            links[(p + 2) % 3, p] = size
        else:
            links.update({(j, p): size + min(size, DIGEST) for j in range(PARTIES)})
    return _rounds(links)


def _turned(n: int, width: int, part: Callable[[int], Cost]) -> Cost:
    """Of `part`, which tells the cost of so many elements with P_0, P_1 and P_2 in their places."""
    total = Cost()
    for turn, at in thirds(n, width):
        rounds = part(at.stop - at.start).rounds
        total = total.beside(
            Cost(tuple({((p + turn) % PARTIES, (q + turn) % PARTIES): b for (p, q), b in r.items()} for r in rounds))
        )
    return total


def _regroup(n: int) -> Cost:
    return _rounds({(1, 0): 8 * n, (2, 0): 8 * n})


def _divide(n: int, m: int) -> Cost:
    small = dtype_for(m).itemsize
    return _turned(n, 64, lambda n: _rounds({(0, 1): (8 + small) * n, (2, 0): small * n}, {(1, 0): small * n}))


def _sum_bits(n: int, width: int, carries: int, heaviest: int = 0) -> Cost:
    """The bits of two summands, and the products of the low `carries` of them."""

    def part(n: int) -> Cost:
        if not carries:
            return _rounds({(0, 1): _packed(width * n)})
        each = _packed(carries * n)
        return _rounds({(0, 1): _packed(width * n), (2, 0): each}, {(1, 0): each})

    return _turned(n, heaviest or width, part)


def _carry(n: int, positions: int) -> Cost:
    return _gates(n, tree_rows(positions))


def _ltz(n: int, width: int, in_chain: bool) -> Cost:
    gates = _gates(n, [1] * (width - 2)) if in_chain else _carry(n, width - 1)
    return _sum_bits(n, width, width - 1).then(gates)


def _eqz(n: int, width: int) -> Cost:
    rows, left = [], width
    for _ in range(depth(width)):
        rows.append(left // 2)
        left -= left // 2
    return _sum_bits(n, width, 0).then(_gates(n, rows))


def _bits(n: int, width: int, sparse: int) -> Cost:
    return _sum_bits(n, width, width - 1).then(_gates(n, carry_levels(width - 1, sparse) if width > 1 else []))


def _weigh(n: int, weights: Weights) -> Cost:
    found = plan(weights)
    first = sum(dtype_for(w).itemsize for w in found.widths)
    sums = 8 * len(found.made)
    return _turned(n, 64, lambda n: _rounds({(0, 1): first * n, (2, 0): sums * n}, {(1, 0): sums * n}))


def _to_ring(n: int, width: int) -> Cost:
    def part(n: int) -> Cost:
        size = _packed(width * n)
        return _rounds({(0, 1): size, (2, 0): size}, {(1, 0): size})

    return _turned(n, width, part)


def _shift(n: int, m: int, width: int) -> Cost:
    if width < 64:
        carry = _sum_bits(n, m, m, 64).then(_carry(n, m)).then(_to_ring(n, 64))
        return _divide(n, m).beside(carry)
    low = _carry(n, m).then(_to_ring(n, 64))
    whole = _carry(n, 64).then(_to_ring(n, 8 * dtype_for(m).itemsize))
    floor = _turned(n, 64, lambda n: _rounds({(0, 1): 8 * n}))
    return _sum_bits(n, 64, 64).then(floor.beside(low).beside(whole))


def _permute(size: int, inverse: bool) -> Cost:
    one, two, three = (2, 1, 0) if inverse else (0, 1, 2)
    return _rounds({(one, two): size, (two, three): size}, {(two, three): size, (three, two): size})


def _less(width: int) -> list[int]:
    """Gates of each round of a comparison."""
    nodes = nodes_of(width)
    return [3 * nodes, 2 * nodes - 1, *tree_rows(nodes)]


def _merge(width: int, runs: Sequence[int]) -> Cost:
    rows = [*_less(width), width]
    return Cost(tuple(r for n in sizes(tuple(runs)) for r in _gates(n, rows).rounds))


def _order(width: int, stages: Sequence[Stage]) -> Cost:
    rows = _less(width)
    rounds: list[Mapping[tuple[int, int], int]] = []
    for n in batches(stages):
        rounds += _gates(n, rows[:-1]).rounds
        last = _packed(rows[-1] * n)
        rounds.append({(p, q): last for p in range(PARTIES) for q in range(PARTIES) if p != q})
    return Cost(tuple(rounds))
