"""Tables of secret columns: every relational operation against NumPy, on every scheme, at its declared cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_run import PLACES, Outcome, Range, agree, run

from mpc.circuit import Array, Builder, Value
from mpc.circuits import relational_scan
from mpc.circuits.relational_buckets import bucket_sums
from mpc.circuits.relational_expand import expand_rows
from mpc.circuits.relational_group import group_rows, group_totals, row_number
from mpc.circuits.relational_join import join_rows
from mpc.circuits.relational_lookup import lookup_rows, match_rows
from mpc.circuits.relational_move import copy_down, front_rows
from mpc.circuits.relational_scan import running_extremes
from mpc.circuits.relational_sort import group_starts, sort_rows
from mpc.circuits.relational_unique import duplicates
from mpc.circuits.relational_window import group_last, running_sums
from mpc.lowerer import RangeOverflowError
from mpc.op import find
from mpc.types import BOOL, INT, Fixed, ShapeError, Size, Type, TypeRuleError

ENDS = np.iinfo(np.int64)
everywhere = pytest.mark.parametrize("where", list(PLACES))
few = settings(max_examples=10)

Table = list[Array]


def column(kind: str, n: int, rng: np.random.Generator) -> Array:
    """Few different values, so that many are equal, and the ends of their type among them."""
    if kind == "int":
        x = rng.integers(-2, 3, n)
        return np.asarray(np.where(rng.integers(0, 6, n) == 0, rng.choice([ENDS.min, ENDS.max], n), x), np.int64)
    if kind == "fixed":
        return np.asarray(rng.choice([-(2.0**45), -1.25, -(2.0**-16), 0.0, 2.0**-16, 3.5, 2.0**45], n))
    if kind == "bool":
        return rng.integers(0, 2, n).astype(np.bool_)
    return rng.integers(0, 2, (n, 2)) * rng.integers(0, 1 << 56, 2)


def flags(n: int, rng: np.random.Generator) -> Array:
    """All, none, or some."""
    return np.asarray(rng.random(n) < rng.choice([0.0, 0.5, 0.8, 1.0]))


def grid(n: int, rng: np.random.Generator) -> Array:
    """Fixed-point numbers whose sums are exact in floating point."""
    return np.asarray(rng.integers(-(1 << 30), 1 << 30, n) / 2.0**16)


KINDS = ("int", "fixed", "bool", "text")
rngs = st.integers(0, 1 << 32).map(np.random.default_rng)
lengths = st.integers(0, 9)


def same(outcome: Outcome) -> None:
    """Results as defined; where a bound was exceeded only that it was, and that no row is left."""
    over = bool(outcome.wanted[-1])
    assert bool(outcome.got[-1]) == over
    if over:
        assert not outcome.got[0].any()
        return
    for wanted, got in zip(outcome.wanted, outcome.got, strict=True):
        np.testing.assert_array_equal(got, wanted)


def everyone(b: Builder, n: int) -> Value:
    return b.const(np.ones(n, np.bool_))


# -- order -------------------------------------------------------------------------------------


@everywhere
@few
@given(rng=rngs, n=lengths, keys=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), data=st.data())
def test_sorting_by_several_keys(
    where: str, rng: np.random.Generator, n: int, keys: list[str], data: st.DataObject
) -> None:
    down = tuple(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
    columns = [column(k, n, rng) for k in (*keys, *KINDS)]
    agree(lambda b, x: sort_rows(*x, keys=len(keys), descending=down), [*columns, np.arange(n)], where)


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("within", [(-3, 300), None])
def test_sorting_many_rows_by_digits(where: str, within: Range) -> None:
    rng = np.random.default_rng(1)
    n = 1200
    first = flags(n, rng)
    key = rng.integers(-3, 300, n) if within else column("int", n, rng)
    fraction = grid(n, rng) / 2**10
    fraction = np.rint(fraction * 2**16) / 2**16
    columns = [first, key, fraction, column("text", n, rng), np.arange(n)]
    ranges: list[Range] = [None, within, (-16, 16), None, None]
    agree(lambda b, x: sort_rows(*x, keys=3, descending=(False, True, False)), columns, where, ranges)


def test_a_composite_key_costs_its_bits() -> None:
    rng = np.random.default_rng(2)
    n = 1200
    small, flag, row = rng.integers(0, 8, n), flags(n, rng), np.arange(n)

    def cost(columns: list[Array], ranges: list[Range], keys: int) -> Outcome:
        down = (False,) * keys
        return agree(lambda b, x: sort_rows(*x, keys=keys, descending=down), columns, ranges=ranges)

    one = cost([small * 16 + small, flag, small, row], [(0, 127), None, None, None], 1)
    two = cost([small, flag, small, row], [(0, 7), None, (0, 7), None], 3)
    assert two.rounds <= one.rounds
    assert two.bytes <= one.bytes


@everywhere
@few
@given(rng=rngs, n=lengths)
def test_first_rows_of_groups_and_duplicates(where: str, rng: np.random.Generator, n: int) -> None:
    columns = [column(k, n, rng) for k in KINDS]
    for k in range(1, 5):
        agree(lambda b, x: [group_starts(*x)], columns[:k], where)
    agree(lambda b, x: [duplicates(*x)], [*columns, flags(n, rng)], where)
    agree(lambda b, x: [duplicates(x[0], x[1])], [rng.permutation(n), flags(n, rng)], where)
    agree(lambda b, x: [duplicates(x[0], everyone(b, n))], [column("int", n, rng)], where)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_duplicates_among_many(twice: bool, hidden: bool) -> None:
    key = np.random.default_rng(3).permutation(1200)
    visible = np.ones(1200, np.bool_)
    if twice:
        key[77] = key[400]
    visible[400] = not hidden
    outcome = agree(lambda b, x: [duplicates(*x)], [key, visible], ranges=[(0, 1199), None])
    assert outcome.got[0] == (twice and not hidden)


# -- moving ------------------------------------------------------------------------------------


@everywhere
@few
@given(rng=rngs, n=lengths, rows=st.none() | st.integers(0, 12))
def test_flagged_rows_first(where: str, rng: np.random.Generator, n: int, rows: int | None) -> None:
    columns = [column(k, n, rng) for k in KINDS]
    agree(lambda b, x: front_rows(*x, rows=rows), [flags(n, rng), *columns], where)
    agree(lambda b, x: front_rows(*x, rows=rows), [flags(n, rng)], where)


@everywhere
@few
@given(rng=rngs, n=lengths)
def test_copying_down(where: str, rng: np.random.Generator, n: int) -> None:
    agree(lambda b, x: copy_down(*x), [flags(n, rng), *(column(k, n, rng) for k in KINDS)], where)


def test_rounds_do_not_grow_with_rows() -> None:
    rng = np.random.default_rng(4)
    for f in (front_rows, copy_down, group_last, running_sums):
        rounds = {run(lambda b, x: f(*x), [flags(n, rng), np.arange(n)]).rounds for n in (2, 300)}  # noqa: B023
        assert len(rounds) == 1


def test_what_is_known_of_a_column_is_known_after_moving() -> None:
    rng = np.random.default_rng(5)
    n = 200
    columns, ranges = [flags(n, rng), rng.integers(5, 8, n)], [None, (5, 7)]
    for f in (front_rows, copy_down):
        wide = run(lambda b, x: [f(*x)[-1] < 6], columns)  # noqa: B023
        narrow = agree(lambda b, x: [f(*x)[-1] < 6], columns, ranges=ranges)  # noqa: B023
        assert narrow.bytes < wide.bytes - n * 50


# -- groups ------------------------------------------------------------------------------------


@everywhere
@few
@given(rng=rngs, n=lengths, rows=st.none() | st.integers(0, 6))
def test_a_row_for_each_group(where: str, rng: np.random.Generator, n: int, rows: int | None) -> None:
    how = ("last", "first", "sum", "size", "sum", "sum", "last", "first", "last", "first")
    numbers = [column("int", n, rng), grid(n, rng), column("bool", n, rng)]
    ends = [column(k, n, rng) for k in ("bool", "text", "text", "fixed")]
    columns = [column("int", n, rng), column("bool", n, rng), *numbers, *ends]
    visible = np.arange(n) < rng.integers(0, n + 1)
    agree(lambda b, x: group_rows(*x, how=how, rows=rows), [flags(n, rng), visible, *columns[:9]], where)
    agree(lambda b, x: group_rows(x[0], everyone(b, n), how=("size",), rows=rows), [flags(n, rng)], where)


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
def test_a_query_with_groups(where: str) -> None:
    """count, sum, count distinct and the largest by a key, of the rows that a filter leaves, against a dictionary."""
    rng = np.random.default_rng(6)
    n = 400
    key, value, keep = rng.integers(0, 12, n), rng.integers(-50, 50, n), rng.random(n) < 0.6

    def compute(b: Builder, x: Sequence[Value]) -> Sequence[Value]:
        hidden, k, v = sort_rows(~x[2], x[0], x[1], keys=3, descending=(False, False, False))
        new, other = group_starts(hidden, k), group_starts(hidden, k, v)
        return group_rows(new, ~hidden, k, v, other, v, how=("last", "sum", "size", "sum", "last"), rows=16)

    def lined(b: Builder, x: Sequence[Value]) -> Sequence[Value]:
        visible, k, total, size, different, most = compute(b, x)
        return [visible, k, total, size, different, most]

    got = agree(lined, [key, value, keep], where, [(0, 11), (-50, 49), None]).got
    groups = {k: value[keep & (key == k)] for k in sorted(set(key[keep]))}
    want = [(k, v.sum(), len(v), len(set(v)), v.max()) for k, v in groups.items()]
    assert list(zip(*(c[got[0]] for c in got[1:]), strict=True)) == want


@everywhere
@few
@given(rng=rngs, n=lengths)
def test_totals_and_numbers_within_groups(where: str, rng: np.random.Generator, n: int) -> None:
    new = flags(n, rng)
    columns = [column("int", n, rng), grid(n, rng), column("bool", n, rng), column("text", n, rng)]
    agree(lambda b, x: group_totals(*x), [new, *columns], where)
    agree(lambda b, x: [row_number(x[0])], [new], where)


@everywhere
@few
@given(rng=rngs, n=st.integers(0, 20), doubling=st.sampled_from([2, 4096]))
def test_extremes_of_groups(where: str, rng: np.random.Generator, n: int, doubling: int) -> None:
    columns = [column("int", n, rng), column("int", n, rng), column("fixed", n, rng), column("fixed", n, rng)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relational_scan, "DOUBLING", doubling)
        agree(lambda b, x: running_extremes(*x, largest=(True, False, True, False)), [flags(n, rng), *columns], where)


@everywhere
@few
@given(rng=rngs, n=lengths)
def test_sums_down_to_each_row_and_the_last_of_each_group(where: str, rng: np.random.Generator, n: int) -> None:
    new = flags(n, rng)
    columns = [column("int", n, rng), grid(n, rng), column("bool", n, rng), column("text", n, rng)]
    agree(lambda b, x: running_sums(*x), [new, *columns], where)
    agree(lambda b, x: group_last(*x), [new, *(column(k, n, rng) for k in KINDS)], where)


def test_a_sum_that_cannot_fit_is_refused() -> None:
    columns = [np.ones(4, np.bool_), np.ones(4, np.bool_), np.zeros(4)]
    with pytest.raises(RangeOverflowError):
        run(lambda b, x: group_rows(*x, how=("sum",)), columns, ranges=[None, None, (0, 2.0**45)])


@everywhere
@few
@given(rng=rngs, rows=lengths, n=st.sampled_from([1, 2, 3, 5, 8, 17, 40]))
def test_sums_of_buckets(where: str, rng: np.random.Generator, rows: int, n: int) -> None:
    columns = [column("int", rows, rng), grid(rows, rng), column("bool", rows, rng), column("text", rows, rng)]
    visible = flags(rows, rng)
    anywhere = np.where(rng.integers(0, 4, rows) == 0, column("int", rows, rng), rng.integers(0, n, rows))
    agree(lambda b, x: bucket_sums(*x, n=n), [anywhere, visible, *columns], where)
    inside = rng.integers(0, n, rows)
    agree(lambda b, x: bucket_sums(*x, n=n), [inside, visible], where, [(0, n - 1), None])
    everywhere_shown = np.ones(rows, np.bool_)
    small, money = rng.integers(-9, 1001, rows), np.round(rng.uniform(0, 30, rows) * 2**16) / 2**16
    agree(
        lambda b, x: bucket_sums(x[0], b.const(everywhere_shown), *x[1:], n=n),
        [inside, small, money],
        where,
        [(0, n - 1), (-9, 1000), (0, 30)],
    )


@pytest.mark.parametrize("end", [0, 1000])
def test_sums_of_buckets_reach_the_ends_of_their_ranges(end: int) -> None:
    rows = 4099
    bucket, values = np.full(rows, 3), np.full(rows, end)
    agree(
        lambda b, x: bucket_sums(x[0], b.const(np.ones(rows, np.bool_)), x[1], n=4),
        [bucket, values],
        "rep3",
        [(0, 3), (0, 1000)],
    )


# -- joins -------------------------------------------------------------------------------------


@everywhere
@few
@given(rng=rngs, m=lengths, n=lengths)
def test_looking_up_rows(where: str, rng: np.random.Generator, m: int, n: int) -> None:
    payload = [column(k, m, rng) for k in KINDS]
    mine, theirs = rng.permutation(12)[:m] - 3, rng.integers(-5, 12, n)
    mine, theirs = (np.where(k == 4, ENDS.max, np.where(k == 5, ENDS.min, k)) for k in (mine, theirs))
    shown = flags(m, rng), flags(n, rng)
    agree(lambda b, x: lookup_rows(*x, keys=1, payload=4), [mine, shown[0], *payload, theirs, shown[1]], where)
    agree(lambda b, x: lookup_rows(*x, keys=1, payload=0), [mine, shown[0], theirs, shown[1]], where)
    words = [np.stack([k // 3, k % 3], axis=1) for k in (mine, theirs)]
    wide = [words[0], shown[0], payload[0], words[1], shown[1]]
    agree(lambda b, x: lookup_rows(*x, keys=1, payload=1), wide, where)


@everywhere
@few
@given(rng=rngs, m=lengths, n=lengths, kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=2))
def test_matching_rows(where: str, rng: np.random.Generator, m: int, n: int, kinds: list[str]) -> None:
    both = [column(k, m + n, rng) for k in kinds]
    columns = [*(c[:m] for c in both), flags(m, rng), *(c[m:] for c in both), flags(n, rng)]
    agree(lambda b, x: [match_rows(*x, keys=len(kinds))], columns, where)


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("hidden", [False, True])
def test_joins_of_many_rows_sort_them(where: str, hidden: bool) -> None:
    rng = np.random.default_rng(7)
    m, n = 500, 700
    mine, theirs = rng.permutation(1000)[:m], rng.integers(0, 1000, n)
    shown = np.ones(m, np.bool_) if not hidden else rng.random(m) < 0.7
    if hidden:
        mine[~shown] = rng.integers(0, 1000, (~shown).sum())  # a hidden row may repeat a key
    payload = [column(k, m, rng) for k in KINDS]
    kept = flags(n, rng)
    ranges: list[Range] = [(0, 999), None, *(None,) * 4, (0, 999), None]

    def lookup(b: Builder, x: Sequence[Value]) -> Any:
        return lookup_rows(x[0], x[1] if hidden else everyone(b, m), *x[2:], keys=1, payload=4)

    outcome = agree(lookup, [mine, shown, *payload, theirs, kept], where, ranges)
    assert outcome.bytes < 1.5 * m * n * 24 / 3  # all pairs would cost three times that for flags alone
    repeated = mine // 7, theirs // 5
    agree(lambda b, x: [match_rows(*x, keys=1)], [repeated[0], shown, repeated[1], kept], where, [(0, 200), None] * 2)


@everywhere
@few
@given(rng=rngs, n=lengths, rows=st.sampled_from([1, 2, 5, 8, 13]))
def test_rows_as_often_as_they_say(where: str, rng: np.random.Generator, n: int, rows: int) -> None:
    count = rng.integers(0, rng.choice([1, 2, 4]) + 1, n)
    same(run(lambda b, x: expand_rows(*x, rows=rows), [count, *(column(k, n, rng) for k in KINDS)], where))
    same(run(lambda b, x: expand_rows(*x, rows=rows), [count], where))


@pytest.mark.parametrize("count", [[40], [0, 40, 0], [1] * 40, [0] * 9 + [39, 1], [41], [1 << 40, 1]], ids=str)
def test_counts_that_just_fit_or_do_not(count: list[int]) -> None:
    same(run(lambda b, x: expand_rows(*x, rows=40), [np.array(count), np.arange(len(count))]))


@everywhere
@few
@given(rng=rngs, m=lengths, n=lengths, rows=st.sampled_from([1, 6, 20]), different=st.integers(1, 6))
@pytest.mark.slow
def test_joins_where_keys_repeat(
    where: str, rng: np.random.Generator, m: int, n: int, rows: int, different: int
) -> None:
    left = [rng.integers(0, different, m), column("bool", m, rng), flags(m, rng), *(column(k, m, rng) for k in KINDS)]
    right = [rng.integers(0, different, n), column("bool", n, rng), flags(n, rng), column("fixed", n, rng)]
    same(run(lambda b, x: join_rows(*x, keys=2, left=4, right=1, rows=rows), [*left, *right], where))
    same(run(lambda b, x: join_rows(*x, keys=1, left=0, right=0, rows=rows), [*left[::2][:2], *right[::2][:2]], where))


# -- type rules --------------------------------------------------------------------------------


def of(dtype: Any, *shape: Any) -> Type:
    return Type(dtype, shape)


N = Size.named("n")


@pytest.mark.parametrize(
    ("name", "types", "attrs"),
    [
        ("sort_rows", [of(INT, 3), of(INT, 4)], {"keys": 1, "descending": (False,)}),
        ("sort_rows", [of(INT, 3)], {"keys": 2, "descending": (False, False)}),
        ("sort_rows", [of(INT, 3)], {"keys": 1, "descending": ()}),
        ("sort_rows", [of(INT)], {"keys": 1, "descending": (False,)}),
        ("duplicates", [of(INT, 3), of(INT, 3)], {}),
        ("front_rows", [of(INT, 3), of(INT, 3)], {}),
        ("front_rows", [of(BOOL, 3, 1), of(INT, 3)], {}),
        ("front_rows", [of(BOOL, 3)], {"rows": -1}),
        ("copy_down", [of(BOOL, 3)], {}),
        ("group_rows", [of(BOOL, 3), of(BOOL, 3)], {"how": ("sum",)}),
        ("group_rows", [of(BOOL, 3), of(BOOL, 3), of(INT, 3)], {"how": ("median",)}),
        ("group_totals", [of(BOOL, 3)], {}),
        ("running_sums", [of(BOOL, 3)], {}),
        ("group_last", [of(INT, 3), of(INT, 3)], {}),
        ("running_extremes", [of(BOOL, 3), of(BOOL, 3)], {"largest": (True,)}),
        ("running_extremes", [of(BOOL, 3), of(INT, 3)], {"largest": ()}),
        ("bucket_sums", [of(Fixed(), 3), of(BOOL, 3)], {"n": 2}),
        ("bucket_sums", [of(INT, 3), of(BOOL, 3)], {"n": 0}),
        ("lookup_rows", [of(INT, 3), of(BOOL, 3), of(Fixed(), 3), of(BOOL, 3)], {"keys": 1, "payload": 0}),
        ("lookup_rows", [of(INT, 3), of(BOOL, 3), of(INT, 3), of(BOOL, 3)], {"keys": 1, "payload": 1}),
        ("match_rows", [of(INT, 3, 2), of(BOOL, 3), of(INT, 3, 1), of(BOOL, 3)], {"keys": 1}),
        ("expand_rows", [of(INT, 3)], {"rows": 0}),
        ("expand_rows", [of(BOOL, 3)], {"rows": 2}),
        ("join_rows", [of(INT, 3), of(BOOL, 3), of(INT, 3)], {"keys": 1, "left": 0, "right": 0, "rows": 2}),
    ],
)
def test_operands_that_do_not_fit_are_refused(name: str, types: Sequence[Type], attrs: dict[str, Any]) -> None:
    with pytest.raises(TypeRuleError):
        find(name).infer(types, attrs)


def test_sizes_may_be_unknown() -> None:
    flag, x = of(BOOL, N), of(INT, N)
    assert find("sort_rows").infer([x, flag], {"keys": 1, "descending": (False,)}) == [(INT, (N,)), (BOOL, (N,))]
    assert find("row_number").infer([flag], {}) == (INT, (N,))
    cut = find("front_rows").infer([flag, x], {"rows": 5})
    assert cut == [(BOOL, (Size.named("min(n, 5)"),)), (INT, (Size.named("min(n, 5)"),))]
    with pytest.raises(ShapeError):
        find("front_rows").infer([flag, of(INT, 3)], {})
