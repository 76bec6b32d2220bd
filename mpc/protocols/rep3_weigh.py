"""rep3: sums of truth values with public weights, in the ring.

As a bit is brought to the ring (`rep3_bits`): b = u ^ t with u = b_0 ^ b_1 known to P_0 and t = b_2 known to P_1 and
P_2, and b = u + t - 2 u t.  P_0 inputs each u as a ring element, (F(k_0), the rest -> P_1, 0).  But of the sum over
j of w_j u_j t_j, P_2 and P_1 input what they have at once, each one element masked by a separate part of k_2's stream:
so J bits in M sums take J + 2M elements in 2 rounds, where one by one they would take 3J.  Of a bit whose weights are
multiples of 2^s, u matters mod 2^(64-s) only; a sum that is made of others by factors is local.
P_1 sees values masked by k_0, P_0 values masked by k_2, P_2 nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mpc.protocol import Exchange, Step, Template, exchange
from mpc.protocols.rep3_place import Bits, Place, Ring, thirds, turned
from mpc.ring import dtype_for

__all__ = ["Plan", "Weights", "plan", "weigh"]

Weights: TypeAlias = tuple[tuple[int, ...], ...]
"""(J, M): of each bit in each sum."""

_MINUS_TWO = np.uint64((1 << 64) - 2)


class Plan(NamedTuple):
    """Which sums are made, and what the others are of them."""

    made: tuple[int, ...]
    """Columns of the weights, each made by a message."""
    derived: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """(column, its parts): the sum over (made column, factor) of factor times that."""
    widths: tuple[int, ...]
    """For each bit, the bits of its summand that decide all of its products mod 2^64."""


@cache
def plan(weights: Weights) -> Plan:
    """A sum that is made of others with factors, each over truth values of its own, costs nothing."""
    columns = [{j: w for j, w in enumerate(column) if w} for column in zip(*weights, strict=True)]
    made: list[int] = []
    derived = []
    for m in sorted(range(len(columns)), key=lambda m: len(columns[m])):
        rest, parts = dict(columns[m]), []
        for c in made:
            factor = _factor(rest, columns[c])
            if factor:
                parts.append((c, factor))
                rest = {j: w for j, w in rest.items() if j not in columns[c]}
        if rest or not columns[m]:
            made.append(m)
        else:
            derived.append((m, tuple(parts)))
    return Plan(tuple(made), tuple(derived), tuple(map(_width, weights)))


def _factor(whole: dict[int, int], part: dict[int, int]) -> int:
    """How often `part` is in `whole` wherever it is not 0; 0 if that differs."""
    ratios = {(whole.get(j, 0) // w, whole.get(j, 0) % w) for j, w in part.items()}
    (factor, rest), *others = ratios or {(0, 0)}
    return 0 if others or rest else factor


def _width(weights: Sequence[int]) -> int:
    bits = math.gcd(1 << 63, *weights)
    return 65 - bits.bit_length()


def weigh(place: Place, use: int, bits: Sequence[Bits], weights: Weights) -> Step[Ring]:
    """For each m the sum over j of weights[j][m] bits[j]: J arrays (2, n) -> (2, M, n); 2 rounds."""
    found = plan(weights)
    out = np.empty((2, len(weights[0]), bits[0].shape[1]), np.uint64)

    def play(part: Place, at_use: int, at: slice) -> Step[None]:
        return _weigh(part, at_use, [b[:, at] for b in bits], weights, found, out[:, :, at])

    yield from turned(place, use, thirds(out.shape[2]), play)
    for m, parts in found.derived:
        out[:, m] = 0
        for c, factor in parts:
            out[:, m] += out[:, c] * np.uint64(factor % (1 << 64))
    return out


def _weigh(place: Place, use: int, bits: Sequence[Bits], weights: Weights, found: Plan, out: Ring) -> Step[None]:
    """The sums that are made, into their columns of `out` (2, M, n)."""
    n, dtypes = out.shape[2], [dtype_for(w) for w in found.widths]
    ring_sums = Template((len(found.made), n), "<u8")
    if place.me == 0:
        masks = place.near.cursor(use)
        mine = [masks.narrow(n, 8 * d.itemsize) for d in dtypes]
        rest = [np.subtract(b[0] ^ b[1], u, dtype=u.dtype) for b, u in zip(bits, mine, strict=True)]
        got = yield Exchange({1: rest}, {2: [ring_sums]})
        late = yield from exchange({}, {1: ring_sums})
        for side, known, inner in ((out[0], mine, got[2][0]), (out[1], rest, late[1])):
            _less_twice(side, inner, known, weights, found)
        return
    v, w = place.key(2).cursor(use).words((2, *ring_sums.shape))
    if place.me == 1:
        got = yield Exchange({}, {0: [Template((n,), d.str) for d in dtypes]})
        theirs, inner, side = list(got[0]), w, out[0]
    else:
        masks = place.far.cursor(use)
        theirs, inner, side = [masks.narrow(n, 8 * d.itemsize) for d in dtypes], v, out[1]
    own = [b[2 - place.me] for b in bits]
    # The sum of products with own bits, less the mask, goes to P_0.
    inner = np.negative(inner)
    products = [np.multiply(u, t, dtype=u.dtype) for u, t in zip(theirs, own, strict=True)]
    _add_weighted([*inner], products, weights, found)
    yield from exchange({0: inner})
    if place.me == 2:
        yield from exchange()
    _less_twice(side, inner, theirs, weights, found)
    v += w
    _less_twice(out[2 - place.me], v, own, weights, found)


def _less_twice(
    out: npt.NDArray[Any], inner: npt.NDArray[Any], rows: Sequence[npt.NDArray[Any]], weights: Weights, found: Plan
) -> None:
    """The weighted sums of rows, less twice what is in `inner`, into the columns that are made."""
    totals = [out[m] for m in found.made]
    for total, twice in zip(totals, inner, strict=True):
        np.multiply(twice, _MINUS_TWO, out=total)
    _add_weighted(totals, rows, weights, found)


def _add_weighted(
    totals: Sequence[npt.NDArray[Any]], rows: Sequence[npt.NDArray[Any]], weights: Weights, found: Plan
) -> None:
    product = np.empty(rows[0].shape, np.uint64)
    for row, by in zip(rows, weights, strict=True):
        for total, m in zip(totals, found.made, strict=True):
            if by[m]:
                np.multiply(row, np.uint64(by[m] % (1 << 64)), out=product, dtype=np.uint64)
                total += product
