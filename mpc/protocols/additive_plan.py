"""What every step of the additive protocol sends, round by round: the dealer's schedule and the exact cost.

A plan is computed from types and attributes alone.  Nodes follow it by construction of their steps, which a test holds
against the declared cost; the dealer runs it as it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpc.circuit import Array, Attrs
from mpc.merging import sizes
from mpc.protocol import Cost, ProtocolError, Seat
from mpc.protocols import additive_correlations as deal
from mpc.protocols.additive_boolean import CHAINED, chained, full_shift, narrow_shift
from mpc.protocols.additive_gates import Pairs
from mpc.protocols.additive_order import KIND, comparison
from mpc.protocols.additive_supply import Correlation, Part, flags, ring, rows
from mpc.protocols.additive_trees import Level, Prefix, and_tree, bit_tree, carry_tree, leading_tree
from mpc.quicksort import Stage, batches
from mpc.types import BOOL, Layout, Type

__all__ = ["SEED_BYTES", "Round", "cost", "data_part", "order_part", "owners", "plan"]

SEED_BYTES = 16
"""What a client sends to each node but the first, in place of a share."""


class Round(NamedTuple):
    """What every node opens to all others, and the correlations whose corrections the dealer sends to the last."""

    opened: tuple[Part, ...] = ()
    dealt: tuple[Correlation, ...] = ()


def data_part(shape: tuple[int, ...], bits: bool, width: int = 64) -> Part:
    """A share of `open`, `share` or `permute` as it travels."""
    return flags(shape) if bits else ring(shape, width)


def _data_part(t: Type) -> Part:
    return data_part(t.sizes, t.dtype == BOOL, t.dtype.bits)


def order_part(n: int) -> Part:
    """Places of n rows as they travel."""
    return ring((n,), max(1, (n - 1).bit_length()))


def _size(t: Type) -> int:
    return ring(t.sizes).size


def _shape(t: Type) -> tuple[int, ...]:
    return (1, *t.sizes)


def _layers(levels: Sequence[Level], kind: str, n: int) -> list[Round]:
    return [Round((rows(x.layer.inputs, n),), (x.layer.correlation(kind, n),)) for x in levels]


def _pairs(pairs: Pairs | None, kind: str, n: int) -> list[Round]:
    return [Round((rows(pairs.inputs, n),), (pairs.correlation(kind, n),))] if pairs else []


def _levels(prefix: Prefix | None) -> Sequence[Level]:
    return prefix.levels if prefix else ()


def _dabits(count: int, n: int, width: int = 64) -> Round:
    return Round((rows(count, n),), (deal.dabit(count, n, width),))


def _products(op: str, types: Sequence[Type], attrs: Attrs, held: Sequence[Array]) -> list[Round]:
    matrix = op.startswith("matmul")
    x, y = _shape(types[0]), _shape(types[1])
    if matrix:
        x, y, _ = deal.matrices(types[0].sizes, types[1].sizes)
    masked = types[0].layout is Layout.MASKED
    given = [a.reshape(shape) for a, shape in zip(held, (x, y), strict=False)] if masked else None
    if not op.endswith("_trunc"):
        triple = deal.triple(x, y, matrix=matrix, width=types[0].dtype.bits, given=given)
        return [Round(triple.masks, (triple,))]
    fused = deal.fused(x, y, attrs["m"], matrix=matrix, given=given)
    last = Round((fused.masks[-1],), (fused,))
    return [last] if masked else [Round((ring(x), ring(y))), last]


def _bits(n: int, width: int) -> list[Round]:
    tree = bit_tree(width)
    first = Round((ring((n,), width),), (deal.compared("bits", n, width, [tree.leaves]),))
    return [first, *_layers(_levels(tree.prefix), "bits step", n), *_pairs(tree.pairs, "bits step", n)]


def _leading(n: int, width: int, signed: bool) -> list[Round]:
    tree, kind = leading_tree(width), "leading step"
    first = Round((ring((n,), width),), (deal.compared("leading", n, width, [tree.leaves]),))
    joins = [*_pairs(tree.select, kind, n), *_layers([x for x in (tree.within, tree.final) if x], kind, n)]
    sides = 1 + signed
    return [
        first,
        *_layers(_levels(tree.prefix), kind, n),
        *(Round(r.opened * sides, r.dealt * sides) for r in joins),
    ]


def _shift(n: int, m: int, width: int) -> list[Round]:
    low = carry_tree(m, m)
    steps = _layers(low.levels, "comparison step", n)
    if width < 64:
        return [Round((ring((n,), width + 1),), (narrow_shift(n, m, width + 1),)), *steps, _dabits(1, n)]
    full = _layers(carry_tree(64, 64).levels, "comparison step", n)
    for k, step in enumerate(steps):
        full[k] = Round(full[k].opened + step.opened, full[k].dealt + step.dealt)
    return [Round((ring((n,)),), (full_shift(n, m),)), *full, _dabits(2, n)]


def _less(width: int, n: int) -> list[Round]:
    gates = comparison(width)
    return [*_pairs(gates.generate, KIND, n), *_layers(gates.levels, KIND, n)]


def _order(width: int, stages: Sequence[Stage]) -> list[Round]:
    return [r for n in batches(stages) for r in (*_less(width, n), Round((rows(1, n),)))]


def _merge(width: int, runs: Sequence[int]) -> list[Round]:
    choice = comparison(width).choice
    return [r for n in sizes(tuple(runs)) for r in (*_less(width, n), *_pairs(choice, KIND, n))]


def plan(op: str, types: Sequence[Type], attrs: Attrs, nodes: int, held: Sequence[Array] = ()) -> list[Round]:
    """The rounds of a step between so many nodes and dealer; all but `share`, `open` and `permute` have theirs here.

    held: at the dealer, the masks of masked operands.
    """
    if op in ("mul", "matmul", "mul_trunc", "matmul_trunc"):
        return _products(op, types, attrs, held)
    if op == "mask":
        return [Round(deal.masking(types[0].sizes, types[0].dtype.bits).masks)]
    if op == "and_":
        x, y = _shape(types[0]), _shape(types[1])
        triple = deal.bit_triple(x, y)
        return [Round(triple.masks, (triple,))]
    if op == "order":
        return _order(types[0].sizes[1], attrs["stages"])
    if op == "merge":
        return _merge(types[0].sizes[1], attrs["runs"])
    n = _size(types[0])
    if op == "trunc":
        shape = _shape(types[0])
        return [Round((ring(shape),), (deal.shifted(shape, attrs["m"]),))]
    if op == "b2a":
        return [_dabits(1, n, attrs.get("width", 64))]
    if op == "weigh":
        return [_dabits(len(attrs["weights"]), n)]
    width = attrs["width"]
    if op == "ltz" and attrs.get("in_chain") and nodes <= CHAINED:
        first = Round((ring((n,), width),), (chained(n, width),))
        return [first, *[Round((rows(1, n),))] * max(width - 2, 0)]
    if op == "ltz":
        leaves, levels = carry_tree(width, width - 1)
        first = Round((ring((n,), width),), (deal.compared("comparison", n, width, [leaves]),))
        return [first, *_layers(levels, "comparison step", n)]
    if op == "eqz":
        leaves, levels = and_tree(width)
        first = Round((ring((n,), width),), (deal.compared("equality", n, width, [leaves]),))
        return [first, *_layers(levels, "equality step", n)]
    if op == "shift":
        return _shift(n, attrs["m"], width)
    if op == "bits":
        return _bits(n, width)
    if op == "leading":
        return _leading(n, width, attrs["signed"])
    raise ProtocolError(f"additive has no step {op}")


def _links(opened: int, dealt: int, seat: Seat) -> dict[tuple[int, int], int]:
    out = {(i, j): opened for i in range(seat.nodes) for j in range(seat.nodes) if i != j and opened}
    if dealt and seat.dealer is not None:
        out[seat.dealer, seat.nodes - 1] = dealt
    return out


def _bytes(parts: Sequence[Part]) -> int:
    return sum(p.template.nbytes for p in parts)


def _permute_cost(x: Type, seat: Seat, inverse: bool) -> Cost:
    part = _data_part(x)
    correlation = deal.permuted(part, None)
    moved, order = _bytes([part]), _bytes([order_part(x.sizes[0])])
    total = Cost()
    for owner in owners(seat.nodes, inverse):
        links = _links(0, _bytes(correlation.dependent), seat)
        for p in range(seat.nodes):
            if p != owner:
                links[p, owner], links[owner, p] = moved, order
        demand = {correlation.kind: correlation.demand}
        total = total.then(Cost(({k: v for k, v in links.items() if v},), {k: v for k, v in demand.items() if v}))
    return total


def owners(nodes: int, inverse: bool) -> list[int]:
    """In which order the nodes' permutations are applied."""
    return list(range(nodes))[:: -1 if inverse else 1]


def cost(op: str, types: Sequence[Type], out: Type, attrs: Attrs, seat: Seat) -> Cost:
    """Exact traffic of one step."""
    if op == "share":
        owner = attrs["owner"]
        if owner < seat.nodes:
            return Cost()
        size = _bytes([_data_part(out)])
        seeds = {(owner, p): SEED_BYTES for p in range(1, seat.nodes)}
        return Cost(({**seeds, **({(owner, 0): size} if size else {})},))
    if op == "open":
        size = _bytes([_data_part(types[0])])
        return Cost(({(p, q): size for q in attrs["to"] for p in range(seat.nodes) if p != q and size},))
    if op == "permute":
        return _permute_cost(types[-1], seat, bool(attrs.get("inverse", False)))
    rounds = plan(op, types, attrs, seat.nodes)
    demand: dict[str, int] = {}
    for r in rounds:
        for c in r.dealt:
            if c.demand:
                demand[c.kind] = demand.get(c.kind, 0) + c.demand
    links = (_links(_bytes(r.opened), sum(_bytes(c.dependent) for c in r.dealt), seat) for r in rounds)
    return Cost(tuple(links), demand)
