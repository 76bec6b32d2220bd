"""What a place sees in any primitive is random and new, jointly, whatever the secrets: see `joint_view`.

Every interactive primitive that there is has its cases here; one without is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance_run import SETUPS, Run, Setup, kind, varied
from conformance_table import TYPICAL, Primitive, arith, numbers, ring, truths, words
from joint_view import Columns, Order, Watch, faults, heard, known, of_values

from mpc import prg
from mpc.circuit import Array
from mpc.lockstep import lockstep
from mpc.protocol import STEPS
from mpc.protocols.rep3_place import Place
from mpc.quicksort import Stage
from mpc.types import INT, Type

N = 4032
"""Elements: many columns can be told from noise, and parts of rep3 do not turn."""

EACH = (N, 1, 1)
PAIRS = (Stage(0, 1, 1, 0), Stage(1, N + 1, 1, 0))
"""Each row but the first is compared with the first, and no two in one gap, whatever comes out."""


def _matrices(op: str, **attrs: Any) -> Primitive:
    def draw(rng: Any, shape: Any) -> list[Array]:
        return [ring(numbers(rng, EACH, -(1 << 30), 1 << 30)) for _ in range(2)]

    return Primitive(op, attrs, draw, lambda x, y: x * y, out=lambda shapes: arith(shapes[0]))


CASES = [
    *TYPICAL,
    _matrices("matmul"),
    _matrices("matmul_trunc", m=16),
    Primitive("order", {"stages": PAIRS}, lambda rng, s: [truths(rng, (N + 1, 24))], lambda x: x),
    Primitive("merge", {"runs": (N, N)}, lambda rng, s: [truths(rng, (2 * N, 10))], lambda x: x),
    Primitive("permute", {}, lambda rng, s: [words(rng, (2, N))], lambda x: x),
    Primitive("permute", {"inverse": True}, lambda rng, s: [truths(rng, (2, N))], lambda x: x),
    Primitive("mask", {}, lambda rng, s: [words(rng, (N,))], lambda x: x),
    Primitive("share", {"owner": 0}, lambda rng, s: [words(rng, (N,))], lambda x: x),
    Primitive("share", {"owner": 1}, lambda rng, s: [truths(rng, (N,))], lambda x: x),
    Primitive("open", {}, lambda rng, s: [words(rng, (N,))], lambda x: x),
]
ONLY = {"mask": "additive"}
"""What one scheme alone has."""

SHOWN = frozenset(["open"])
"""The result itself is seen, so that nothing is asked of sums with it."""


def shares(scheme: str, value: Array, nodes: int, rng: Any) -> list[Array]:
    """Uniform shares of a ring array or of truth values."""
    bits = value.dtype == np.uint8
    drawn = [rng.integers(0, 2 if bits else 1 << 64, value.shape, value.dtype) for _ in range(nodes - 1)]
    last = value.copy()
    for part in drawn:
        last = last ^ part if bits else last - part
    return as_held(scheme, [*drawn, last])


def as_held(scheme: str, parts: list[Array]) -> list[Array]:
    """What each node holds of the summands."""
    if scheme == "additive":
        return [p[None] for p in parts]
    return [np.stack([p, parts[(i + 1) % 3]]) for i, p in enumerate(parts)]


def with_other(scheme: str, held: list[Array], place: int, value: Array) -> list[Array]:
    """Shares of another value of which this place holds the same: another summand makes the difference."""
    parts = [h[0].copy() for h in held]
    at = (place + 2) % 3 if scheme == "rep3" else (place + 1) % len(parts)
    rest = [p for i, p in enumerate(parts) if i != at]
    parts[at] = value.copy()
    for p in rest:
        parts[at] = parts[at] ^ p if value.dtype == np.uint8 else parts[at] - p
    return as_held(scheme, parts)


def play(run: Run, primitive: Primitive, held: list[list[Array]], values: list[Array]) -> Watch:
    """One execution at all places, watched."""
    op, attrs, use, watch = primitive.op, dict(primitive.attrs), 1 << 20, Watch()
    bits = values[0].dtype == np.uint8
    types = [kind(v) for v in values]
    nodes = range(run.setup.nodes)
    told, dealt = dict(attrs), dict(attrs)
    first: list[tuple[Any, ...]] = [() for _ in nodes]
    if op == "permute":
        handles = run.permutation(values[0].shape[0])
        first = [(h,) for h in handles[: run.setup.nodes]]
        told = {"inverse": attrs.get("inverse", False), "bits": bits}
        types, dealt = [Type(INT, (2,)), *types], {"inverse": told["inverse"]}
    if op == "open":
        dealt = {"to": tuple(nodes)}
        told = {"to": tuple(nodes), "bits": bits}
    if op == "share":
        told |= {"shape": values[0].shape, "bits": bits}
        first = [(values[0] if i == attrs["owner"] else None,) for i in nodes]
        held = []
    steps = [getattr(run.players[i], op)(use, *first[i], *(h[i] for h in held), **told) for i in nodes]
    if run.dealer is not None:
        steps.append(run.dealer.deal(op, use, types, dealt))
    with watch.listening():
        lockstep(watch.follow(steps))
    return watch


def opposite(value: Array) -> Array:
    """As unlike as can be, and of the same domain."""
    return np.asarray(value ^ np.uint8(1) if value.dtype == np.uint8 else ~value)


def each(array: Array) -> Columns:
    """The bits of N elements; of one row more the first is left out, which the others are compared with.

    Of twice as many rows the second half stands beside the first, with which it is compared.
    """
    twice = [axis for axis, size in enumerate(array.shape) if size == 2 * N]
    if twice:
        return np.concatenate([of_values(half, N) for half in np.split(array, 2, axis=twice[0])], axis=1)
    return of_values(array[tuple(slice(1, None) if size == N + 1 else slice(None) for size in array.shape)], N)


def found(setup: Setup, primitive: Primitive, place: int) -> list[str]:
    """Why what the place sees is not random: nothing, if it is."""
    rng = np.random.default_rng(5)
    values = primitive.operands(rng, (N,))
    others = [opposite(v) for v in values]
    held = [shares(setup.scheme, v, setup.nodes, rng) for v in values]
    moved = [with_other(setup.scheme, h, place, v) for h, v in zip(held, others, strict=True)]
    one = Run(setup)
    views = play(one, primitive, held, values), play(varied(one, place), primitive, moved, others)
    shown = primitive.op in SHOWN
    base = [known(views[0], place, N)]
    if primitive.op == "share":
        base += [each(v) for v in values if place != primitive.attrs["owner"]]
    elif place < setup.nodes:
        base += [each(h[place]) for h in held] + ([] if shown else [each(v) for v in values])
    out = []
    orders: tuple[Order, ...] = ("elements", "rows")
    last: Columns | None = None
    for order in orders:
        first, second = (heard(v, place, N, order) for v in views)
        if last is not None and np.array_equal(first, last):
            continue  # nothing is packed
        last = first
        out += faults(np.concatenate(base, axis=1), first)
        out += [] if shown else ["difference: " + f for f in faults(np.ones((N, 1), np.uint8), first ^ second)]
    return out


LONG = frozenset(["shift", "bits", "leading"])
"""Of very many columns: with two nodes of the additive protocol, not again with three."""

QUICK = frozenset(["and_", "b2a", "mask", "merge", "open", "order", "trunc"])
"""Of few columns: the others are left to the slow tests."""


def cases() -> list[Any]:
    """Each primitive with each scheme that has it."""
    out = []
    for setup in SETUPS:
        for primitive in CASES:
            again = setup == SETUPS[2] and primitive.op in LONG
            if ONLY.get(primitive.op, setup.scheme) == setup.scheme and not again:
                slow = setup.nodes + setup.dealer > 3 or primitive.op not in QUICK
                marks = [pytest.mark.slow] if slow else []
                out.append(pytest.param(setup, primitive, id=f"{setup}-{primitive}"[:60], marks=marks))
    return out


@pytest.mark.parametrize(("setup", "primitive"), cases())
def test_views_are_random(setup: Setup, primitive: Primitive) -> None:
    faulty = {p: f for p in range(setup.nodes + setup.dealer) if (f := found(setup, primitive, p))}
    assert not faulty


def test_every_primitive_has_a_case() -> None:
    assert {p.op for p in CASES} == STEPS


# -- what such a test finds ------------------------------------------------------------------------


def without_masks(patch: pytest.MonkeyPatch) -> None:
    """Streams of zeros."""
    patch.setattr(prg.Prg, "bytes", lambda self, use, offset, n: np.zeros(n, np.uint8))


def one_use(patch: pytest.MonkeyPatch) -> None:
    """All gates of a step draw the same."""
    drawn = prg.Prg.bytes
    patch.setattr(prg.Prg, "bytes", lambda self, use, offset, n: drawn(self, 1, offset, n))


def never_blind(patch: pytest.MonkeyPatch) -> None:
    """Products, and comparisons that are opened, go out as they are."""
    patch.setattr(Place, "blind", lambda *args, **bits: None)


def typical(*ops: str) -> list[Primitive]:
    """The first case of each."""
    return [next(p for p in CASES if p.op == op) for op in ops]


FEW = ("mul", "trunc", "and_", "ltz", "b2a", "weigh", "matmul_trunc", "order", "merge", "permute")
MANY_GATES = ("ltz", "order", "shift", "eqz")
MUTANTS = [
    # An opening of rep3 has no mask, shares of an input of the additive protocol take no message.
    *((without_masks, SETUPS[0], p) for p in typical(*FEW, "share")),
    *((without_masks, SETUPS[1], p) for p in typical(*FEW, "mask", "open")),
    *((one_use, SETUPS[0], p) for p in typical(*MANY_GATES)),
    *((never_blind, SETUPS[0], p) for p in typical("mul", "matmul", "and_", "ltz", "order", "merge")),
]


@pytest.mark.parametrize(
    ("mutant", "setup", "primitive"),
    [
        pytest.param(
            m,
            s,
            p,
            id=f"{m.__name__}-{s}-{p.op}",
            marks=[] if p.op in ("and_", "merge", "order") else [pytest.mark.slow],
        )
        for m, s, p in MUTANTS
    ],
)
def test_what_is_not_random_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None],
    setup: Setup,
    primitive: Primitive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant(monkeypatch)
    assert any(found(setup, primitive, place) for place in range(setup.nodes))
