"""Every primitive of every scheme: right over its whole domain, at the declared cost, deterministic by use.

`Run.step` compares what is sent with `Scheme.cost` in every round, gives read-only operands and checks the shape and
dtype of what comes out; so each test here is one of those too.
"""

from __future__ import annotations

import numpy as np
import pytest
from conformance_run import Run, Setup, Shared, kind
from conformance_table import AND, EVERY, MUL, TYPICAL, Primitive, arith, ring, signed, truths, words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mpc.circuit import Array
from mpc.protocol import ProtocolError

SHAPES = [(), (0,), (1,), (7,), (64,), (65,), (1000,), (5, 13), (0, 3), (2, 3, 4)]

PAIRS = [
    ((3, 1), (1, 4)),
    ((2, 1, 3), (1, 5, 3)),
    ((1,), (7,)),
    ((40, 1), (1, 40)),
    ((0, 1), (1, 4)),
    ((200, 3), (1, 1)),
]


def compute(run: Run, primitive: Primitive, operands: list[Array]) -> Array:
    shares = [run.share(x, i % run.setup.nodes) for i, x in enumerate(operands)]
    out = primitive.out([x.shape for x in operands])
    return run.plain(run.step(primitive.op, *shares, out=out, **primitive.attrs))


@pytest.mark.parametrize("primitive", EVERY, ids=str)
def test_over_the_domain(run: Run, primitive: Primitive) -> None:
    operands = primitive.operands(np.random.default_rng(len(str(primitive))), (403,))
    primitive.check(operands, compute(run, primitive, operands))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("primitive", TYPICAL, ids=str)
def test_shapes(run: Run, primitive: Primitive, shape: tuple[int, ...]) -> None:
    operands = primitive.operands(np.random.default_rng(len(shape)), shape)
    primitive.check(operands, compute(run, primitive, operands))


@pytest.mark.parametrize("primitive", TYPICAL, ids=str)
def test_many(run: Run, primitive: Primitive) -> None:
    """More than kernels and streams take at a time, and no multiple of anything."""
    operands = primitive.operands(np.random.default_rng(13), (70_003,))
    primitive.check(operands, compute(run, primitive, operands))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("op", ["mul", "mul_trunc", "and_"])
def test_broadcasting(run: Run, op: str, pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(5)
    if op == "mul":
        x, y = (words(rng, s) for s in pair)
        MUL.check([x, y], compute(run, MUL, [x, y]))
    elif op == "and_":
        x, y = (truths(rng, s) for s in pair)
        AND.check([x, y], compute(run, AND, [x, y]))
    else:
        x, y = (ring(rng.integers(-(1 << 30), 1 << 30, s)) for s in pair)
        fused = next(p for p in TYPICAL if p.op == "mul_trunc")
        fused.check([x, y], compute(run, fused, [x, y]))


MATRICES = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((1, 4), (4, 5)),
    ((3, 4), (4, 1)),
    ((1, 6), (6, 1)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((3, 1, 2, 4), (1, 2, 4, 3)),
    ((40, 30), (30, 50)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((70, 70), (70, 70)),
]


@pytest.mark.parametrize("pair", MATRICES, ids=str)
def test_matmul(run: Run, pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(6)
    x, y = (words(rng, s) for s in pair)
    want = x @ y
    out = run.step("matmul", run.share(x), run.share(y, 1), out=arith(np.shape(want)))
    np.testing.assert_array_equal(run.plain(out), want)


@pytest.mark.parametrize("pair", MATRICES, ids=str)
@pytest.mark.parametrize("m", [1, 16, 33])
def test_matmul_trunc(run: Run, pair: tuple[tuple[int, ...], tuple[int, ...]], m: int) -> None:
    rng = np.random.default_rng(7)
    x, y = (ring(rng.integers(-(1 << 27), 1 << 27, s)) for s in pair)
    want = np.asarray(signed(np.asarray(x @ y)) >> m)
    out = run.step("matmul_trunc", run.share(x), run.share(y, 1), out=arith(want.shape), m=m)
    over = signed(run.plain(out)) - want
    assert np.all((over == 0) | (over == 1))


@pytest.mark.parametrize("m", [1, 16, 48])
def test_a_multiple_is_divided_exactly(run: Run, m: int) -> None:
    top = (1 << (62 - m)) - 1
    want = np.array([0, 1, -1, top, -top, top // 3] * 30, np.int64)
    out = run.step("trunc", run.share(ring(want << m)), out=arith(want.shape), m=m)
    over = signed(run.plain(out)) - want
    assert np.all((over == 0) | (over == 1))


@pytest.mark.parametrize("primitive", TYPICAL, ids=str)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9), seed=st.integers(0, 1 << 32))
def test_any_shape_and_values(run: Run, primitive: Primitive, shape: tuple[int, ...], seed: int) -> None:
    operands = primitive.operands(np.random.default_rng(seed), shape)
    primitive.check(operands, compute(run, primitive, operands))


# -- in and out --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (1,), (65,), (3, 7)], ids=str)
@pytest.mark.parametrize("bits", [False, True])
def test_anyone_shares_and_anyone_is_told(run: Run, shape: tuple[int, ...], bits: bool) -> None:
    rng = np.random.default_rng(8)
    value = truths(rng, shape) if bits else words(rng, shape)
    told = [p for p in range(run.setup.places) if p < run.setup.nodes or p in run.setup.clients]
    for owner in told:
        x = run.share(value, owner)
        for to in [*([p] for p in told), told[: run.setup.nodes], told, told[1::2]]:
            for place, got in enumerate(run.open(x, to)):
                if place not in to:
                    assert got is None
                    continue
                assert got is not None
                assert got.dtype == value.dtype
                np.testing.assert_array_equal(got, value)


def test_constants_and_public_terms(run: Run) -> None:
    rng = np.random.default_rng(9)
    value, term = words(rng, (3, 1)), words(rng, (1, 4))
    x = Shared([p.constant(value, False) for p in run.players])
    np.testing.assert_array_equal(run.plain(x), value)
    y = Shared([p.add_clear(s, term) for p, s in zip(run.players, run.share(value).parts, strict=True)])
    np.testing.assert_array_equal(run.plain(y), value + term)
    flags, turn = truths(rng, (3, 1)), truths(rng, (1, 4))
    b = Shared([p.constant(flags, True) for p in run.players])
    np.testing.assert_array_equal(run.plain(b), flags)
    c = Shared([p.xor_clear(s, turn) for p, s in zip(run.players, run.share(flags).parts, strict=True)])
    np.testing.assert_array_equal(run.plain(c), flags ^ turn)


def test_views_are_operands_too(run: Run) -> None:
    value = words(np.random.default_rng(10), (6, 8))
    x = run.share(value)
    turned = Shared([np.moveaxis(p, 1, 2)[:, ::2] for p in x.parts])
    wide = Shared([np.broadcast_to(p[:, :1, :4], (len(p), 6, 4)).swapaxes(1, 2) for p in x.parts])
    out = run.step("mul", turned, wide, out=arith((4, 6)))
    np.testing.assert_array_equal(run.plain(out), value.T[::2] * value[:1, :4].T)
    sign = run.step("ltz", turned, out=kind(np.zeros((4, 6), np.uint8)), width=64)
    np.testing.assert_array_equal(run.plain(sign), signed(value.T[::2].copy()) < 0)


# -- permutations ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (7,), (65,), (300,), (9, 2), (5, 3, 2), (4, 0)], ids=str)
@pytest.mark.parametrize("bits", [False, True])
def test_permutation_moves_rows_and_back(run: Run, shape: tuple[int, ...], bits: bool) -> None:
    rng = np.random.default_rng(11)
    value = truths(rng, shape) if bits else words(rng, shape)
    index = np.broadcast_to(np.arange(shape[0], dtype=np.uint64).reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    handles = run.permutation(shape[0])
    x = run.share(value)
    moved = run.permute(handles, x, inverse=False)
    order = run.plain(run.permute(handles, run.share(index, 1), inverse=False))
    first = order.reshape(shape[0], -1)[:, 0].astype(np.int64) if order.size else np.arange(shape[0])
    assert sorted(first) == list(range(shape[0]))
    np.testing.assert_array_equal(run.plain(moved), value[first])
    np.testing.assert_array_equal(run.plain(run.permute(handles, moved, inverse=True)), value)
    back = run.plain(run.permute(handles, x, inverse=True))
    np.testing.assert_array_equal(back[first], value)


@pytest.mark.slow
def test_permutations_are_all_alike(run: Run) -> None:
    """Each of the 24 orders of four rows comes about as often: 960 draws, 40 of each expected."""
    seen: dict[tuple[int, ...], int] = {}
    index = run.share(np.arange(4, dtype=np.uint64))
    for _ in range(960):
        order = tuple(map(int, run.plain(run.permute(run.permutation(4), index, inverse=False))))
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    chi = sum((n - 40) ** 2 / 40 for n in seen.values())
    assert chi < 80  # 23 degrees of freedom: beyond 80 once in 10^8


# -- randomness by use -------------------------------------------------------------------------


def _trace(setup: Setup, keys: dict[frozenset[int], bytes], primitive: Primitive, use: int) -> list[bytes]:
    run = Run(setup, keys)
    operands = primitive.operands(np.random.default_rng(12), (64,))
    shares = [run.share(x) for x in operands]
    out = primitive.out([x.shape for x in operands])
    result = run.step(primitive.op, *shares, out=out, use=use, **primitive.attrs)
    heard = b"".join(a.tobytes() for place in run.received for a in place)
    return [heard, *(p.tobytes() for p in result.parts)]


@pytest.mark.parametrize("primitive", TYPICAL, ids=str)
def test_a_use_decides_every_draw(run: Run, primitive: Primitive) -> None:
    once = _trace(run.setup, run.keys, primitive, 1 << 20)
    assert _trace(run.setup, run.keys, primitive, 1 << 20) == once
    other = _trace(run.setup, run.keys, primitive, (1 << 20) + 16)
    assert other[0] != once[0]


def test_a_wrong_number_of_nodes_is_refused(run: Run) -> None:
    with pytest.raises(ProtocolError):
        run.scheme.check(1, run.setup.dealer)
    with pytest.raises(ProtocolError):
        run.scheme.check(run.setup.nodes, not run.setup.dealer)
    run.scheme.check(run.setup.nodes, run.setup.dealer)
