"""What is known of a value's range is never narrower than the value: comparisons made narrow by it are right."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.circuit import Builder, Value
from mpc.lower import RangeOverflowError, lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.simulate import simulate
from mpc.types import INT, DType, Fixed, Type
from runtime import api

PLACES = {"rep3": Places(("a", "b", "c")), "additive": Places(("a", "b"), dealer="dealer")}


def private(b: Builder, party: str, n: int, dtype: DType, within: tuple[float, float]) -> Value:
    attrs = {"party": party, "name": party, "column": "", "range": within}
    return b.append("input", (), attrs, Type(dtype, (n,), frozenset(party)), pure=False)


def run(b: Builder, out: Value, protocol: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    b.append("reveal", (out,), {"to": ("a",), "name": "out"}, out.type, pure=False)
    inputs = {"a": {("a", ""): x}, "b": {("b", ""): y}}
    return np.asarray(simulate(b.finish(), inputs, SCHEMES[protocol], PLACES[protocol]).reports["a"].outputs["out", ""])


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_a_product_that_rounds_up_is_not_taken_for_negative(protocol: str) -> None:
    n, b = 500, Builder()
    x, y = (private(b, p, n, INT, (0, 1)) for p in "ab")
    c = b.const(32767.5 / 65536)
    ones = np.ones(n, np.int64)
    assert not run(b, (x * c + y * c) < 0, protocol, ones, ones).any()


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
@pytest.mark.parametrize("frac", [8, 16, 24])
def test_many_roundings_add_up_within_the_range(protocol: str, frac: int) -> None:
    n, b = 72, Builder()
    x, y = (private(b, p, n, Fixed(frac), (0, 0.117)) for p in "ab")
    fill = np.full(n, 0.117)
    assert not run(b, (x * y).sum() < 0, protocol, fill, fill).any()


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_clipping_what_lies_wholly_outside(protocol: str) -> None:
    n, b = 20, Builder()
    x = private(b, "a", n, Fixed(), (262145, 275760)) + private(b, "b", n, Fixed(), (0, 0))
    clipped = b.emit("clip", x, lo=0, hi=100)
    got = run(b, clipped < 200, protocol, np.linspace(262145, 275760, n), np.zeros(n))
    assert got.all()


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_a_divisor_just_below_a_power_of_two(protocol: str) -> None:
    b = Builder()
    x = private(b, "a", 2, INT, (0, 2**60))
    y = private(b, "b", 2, INT, (2**50 - 1, 2**51))
    given, by = np.array([2**60, 2**60 - 1]), np.array([2**50 - 1, 2**50 - 1])
    assert np.array_equal(run(b, b.emit("floordiv", x, y), protocol, given, by), given // by)


@pytest.mark.parametrize(
    ("op", "dtype", "within"),
    [
        ("add", INT, (0, 2**62)),
        ("add", INT, (0, 2**63 - 1)),
        ("mul", INT, (0, 2**32)),
        ("add", Fixed(), (0.0, 2.0**46 - 1)),
        ("mul", Fixed(), (0.0, 2.0**15)),
    ],
)
def test_what_may_not_fit_is_refused(op: str, dtype: DType, within: tuple[float, float]) -> None:
    b = Builder()
    out = b.emit(op, *(private(b, p, 1, dtype, within) for p in "ab"))
    b.append("reveal", (out,), {"to": ("a",), "name": "out"}, out.type, pure=False)
    with pytest.raises(RangeOverflowError):
        lower(b.finish(), ("a", "b", "c"))


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_whole_numbers_beside_a_broken_one(protocol: str) -> None:
    b = Builder()
    x = private(b, "a", 4, INT, (-(2**63), 2**63 - 1))
    y = private(b, "b", 4, INT, (0, 0))
    secret = b.emit("select", y.equals(0), x, y)
    given = np.array([2, 3, 2**62, -(2**63)])
    assert run(b, secret < 2.5, protocol, given, np.zeros(4, np.int64)).tolist() == [True, False, False, True]


def test_a_sum_of_products_by_public_numbers_has_room() -> None:
    weights = np.full((6, 2), 1.9)
    text = "party p, q, r\ninput x: fixed in -6..6[4, 6] from p\ninput z: fixed in -1..1[4, 6] from q\n"
    listed = ", ".join("[" + ", ".join(f"{w}" for w in row) + "]" for row in weights)
    x, z = np.full((4, 6), 6.0), np.full((4, 6), -1.0)

    got = api.simulate_sync(
        api.compile(f"{text}reveal (x + z) @ [{listed}] to all as y\n"), {"p": {"x": x}, "q": {"z": z}}
    )

    np.testing.assert_allclose(got["p"]["y"], (x + z) @ weights, atol=2.0**-15)
