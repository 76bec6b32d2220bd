"""Groups looked up by another table's rows, and orders that several look-ups share: against NumPy, at declared cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from order_run import PLACES, Range, agree, run
from test_relational import ENDS, column, everyone, flags, grid, lengths, rngs

from mpc.circuit import Array, Builder, Value
from mpc.circuits import relational_lookup
from mpc.circuits.relational_gather import gather_rows
from mpc.circuits.relational_lookup import lookup_rows, match_rows
from mpc.circuits.relational_sort import sort_rows
from mpc.circuits.relational_unique import duplicates
from mpc.lowerer import RangeOverflowError
from mpc.op import find
from mpc.types import BOOL, INT, Fixed, ShapeError, Type, TypeRuleError

everywhere = pytest.mark.parametrize("where", list(PLACES))
few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOW = ("sum", "sum", "max", "min", "sum", "min")
SUMS = ("sum", "sum", "sum")
MANY = 90


@pytest.fixture
def sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are put in order too, in place of comparing all with all."""
    monkeypatch.setattr(relational_lookup, "PAIRS", 0)


def tables(m: int, n: int, rng: np.random.Generator, keys: int = 12) -> list[Array]:
    """A left key, which rows are visible, what is combined, a right key, which rows are visible."""
    mine, theirs = rng.integers(-3, keys, m), rng.integers(-5, keys, n)
    mine, theirs = (np.where(k == 4, ENDS.max, np.where(k == 5, ENDS.min, k)) for k in (mine, theirs))
    combined = [
        rng.integers(-5, 6, m), rng.random(m) < 0.5, column("int", m, rng), np.int64(ENDS.min),
        column("fixed", m, rng), np.float64(2.0**46), grid(m, rng), rng.integers(-9, 9, m), np.int64(100),
    ]  # fmt: skip
    order = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [combined[i].ndim for i in order] == [1, 1, 1, 0, 1, 0, 1, 1, 0]
    return [mine, flags(m, rng), *combined, theirs, flags(n, rng)]


@everywhere
@few
@given(rng=rngs, m=lengths, n=lengths)
def test_what_the_rows_of_a_key_come_to(where: str, rng: np.random.Generator, m: int, n: int) -> None:
    every = tables(m, n, rng)
    agree(lambda b, x: gather_rows(*x, keys=1, how=HOW), every, where)
    sums = [every[0], every[1], every[2], every[3], every[8], *every[-2:]]
    agree(lambda b, x: gather_rows(*x, keys=1, how=SUMS), sums, where)
    agree(lambda b, x: gather_rows(*x, keys=1, how=()), [*every[:2], *every[-2:]], where)
    words = [np.stack([k // 3, k % 3], axis=1) for k in (every[0], every[-2])]
    agree(lambda b, x: gather_rows(*x, keys=2, how=("sum",)), [
        words[0], every[0], every[1], every[2], words[1], every[-2], every[-1]
    ], where)  # fmt: skip


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("hidden", [False, True])
def test_many_rows_are_put_in_one_order(sorting: None, where: str, hidden: bool) -> None:
    rng = np.random.default_rng(5)
    every = tables(MANY, MANY + 50, rng, keys=30)
    every[0], every[-2] = np.clip(every[0], -3, 30), np.clip(every[-2], -5, 30)
    ranges: list[Range] = [(-3, 30), *(None,) * 10, (-5, 30), None]

    def gather(b: Builder, x: Sequence[Value]) -> Any:
        shown = [x[1], x[-1]] if hidden else [everyone(b, MANY), everyone(b, MANY + 50)]
        return gather_rows(x[0], shown[0], *x[2:-1], shown[1], keys=1, how=HOW)

    agree(gather, every, where, ranges)


def _pieces(m: int, n: int, rng: np.random.Generator) -> list[Array]:
    """Left keys that are unique among visible rows, which these are, a payload; right keys, which are visible."""
    mine, theirs = rng.permutation(2 * m)[:m], rng.integers(0, 2 * m, n)
    shown = rng.random(m) < 0.7
    mine[~shown] = rng.integers(0, 2 * m, (~shown).sum())
    return [mine, shown, column("int", m, rng), rng.random(m) < 0.5, theirs, rng.random(n) < 0.8]


LOOKED_UP: dict[str, Any] = {
    "the same way": lambda x: lookup_rows(*x, keys=1, payload=2),
    "the other way": lambda x: gather_rows(x[4], x[5], x[4], x[0], x[1], keys=1, how=("sum",)),
    "whether there is one": lambda x: [match_rows(x[0], x[1], x[4], x[5], keys=1)],
    "whether there is one, the other way": lambda x: [match_rows(x[4], x[5], x[0], x[1], keys=1)],
    "groups": lambda x: gather_rows(x[0], x[1], x[2], x[4], x[5], keys=1, how=("sum",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("first", LOOKED_UP)
@pytest.mark.parametrize("second", LOOKED_UP)
def test_an_order_of_two_tables_serves_twice(sorting: None, where: str, first: str, second: str) -> None:
    pieces = _pieces(MANY, MANY, np.random.default_rng(7))
    pieces[2] = np.clip(pieces[2], -(2**40), 2**40)  # sums of it fit

    def both(b: Builder, x: Sequence[Value]) -> Any:
        # Of other columns the second time, so that it is not the same operation.
        y = [x[0], x[1], x[2] + 1, ~x[3], x[4], ~x[5]]
        return [*LOOKED_UP[first](x), *LOOKED_UP[second](y)]

    ranges: list[Range] = [None, None, (-(2**40), 2**40), None, None, None]
    twice = agree(both, pieces, where, ranges)
    once = run(lambda b, x: LOOKED_UP[first](x), pieces, where, ranges)
    again = run(lambda b, x: LOOKED_UP[second](x), pieces, where, ranges)
    assert twice.bytes < once.bytes + 0.6 * again.bytes


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
def test_an_order_of_one_column_serves_twice(where: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.permutation(5000)[:MANY]

    def sort(b: Builder, v: Sequence[Value]) -> Any:
        return sort_rows(v[0], v[1], keys=1, descending=(False,))

    def both(b: Builder, v: Sequence[Value]) -> Any:
        return [*sort(b, v), duplicates(v[0], everyone(b, MANY))]

    once = run(sort, [x, x % 7], where)
    twice = agree(both, [x, x % 7], where)
    assert twice.bytes < 1.5 * once.bytes


def test_operands_that_do_not_go_together() -> None:
    rule = find("gather_rows").infer
    key, flag = Type(INT, (3,)), Type(BOOL, (3,))

    def refused(error: type[Exception], *types: Type, how: tuple[str, ...], keys: int = 1) -> None:
        with pytest.raises(error):
            rule(list(types), {"keys": keys, "how": how})

    refused(TypeRuleError, key, flag, key, key, flag, how=("mean",))
    refused(TypeRuleError, key, flag, key, flag, how=("sum",))
    refused(TypeRuleError, flag, how=(), keys=0)
    refused(TypeRuleError, key, flag, key, Type(Fixed(), ()), key, flag, how=("max",))
    refused(TypeRuleError, key, flag, flag, Type(BOOL, ()), key, flag, how=("min",))
    refused(TypeRuleError, Type(Fixed(), (3,)), flag, key, flag, how=())
    refused(ShapeError, key, flag, Type(INT, (4,)), key, flag, how=("sum",))


def test_sums_that_may_not_fit_are_refused() -> None:
    x = np.arange(MANY)
    with pytest.raises(RangeOverflowError):
        run(
            lambda b, v: gather_rows(v[0], everyone(b, MANY), v[1], v[0], everyone(b, MANY), keys=1, how=("sum",)),
            [x, x],
            "rep3",
            [None, (0, 1 << 61)],
        )
