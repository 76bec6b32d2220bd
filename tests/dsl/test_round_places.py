"""`round(x, places)` as Python's decimals and NumPy do it, of secret, private and public numbers."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.circuit import Array
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.simulate import simulate

HEAD = """party a, b, c
input x: {type}[n] from a
input zero: int in 0..0 from c
"""


def learned(kind: str, lines: str, x: Array) -> Array:
    """What b learns of `r`."""
    done = elaborate(parse(HEAD.format(type=kind) + lines, "s.parley"), Bindings({"n": len(x)}), [])
    inputs = {"a": {("x", ""): x}, "c": {("zero", ""): np.zeros((), np.int64)}}
    return simulate(done.circuit, inputs, SCHEMES["rep3"], Places(("a", "b", "c"))).reports["b"].outputs["r", ""]


UNITS = np.concatenate([np.arange(-1000, 1001, 5), [10**17 + 5, -(10**17) - 15, 123_456_789_012_345]])


@pytest.mark.parametrize("places", [2, 1, 0, -1, -3])
@pytest.mark.parametrize("secret", ["x + zero", "x"])
def test_decimals_and_whole_numbers(places: int, secret: str) -> None:
    step = Decimal(1).scaleb(-places)
    for kind, units in (("decimal(2)", UNITS), ("int", UNITS)):
        scale = Decimal("0.01") if kind != "int" else Decimal(1)
        kept = max(places, 0) if kind != "int" else 0
        exact = [(int(u) * scale / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step for u in units]
        if kind == "int" and places > 0:
            exact = [Decimal(int(u)) for u in units]

        got = learned(kind, f"reveal round({secret}, {places}) to b as r\n", units)

        assert [Decimal(int(g)).scaleb(-kept) for g in got] == exact


@pytest.mark.parametrize("places", [3, 1, -1])
def test_fixed_numbers(places: int) -> None:
    x = np.concatenate([np.arange(-800, 801) / 32, np.random.default_rng(1).uniform(-1000, 1000, 500)])
    on_grid = np.rint(x * 2**16) / 2**16

    alone = learned("fixed", f"reveal round(x, {places}) to b as r\n", x)
    shared = learned("fixed", f"reveal round(x + zero, {places}) to b as r\n", x)

    np.testing.assert_allclose(alone, np.round(x, places), rtol=0, atol=2.0**-17)
    np.testing.assert_allclose(shared, np.round(on_grid, places), rtol=0, atol=2.0**-17)


def test_what_is_not_rounded_alone_has_a_derivative() -> None:
    lines = "v = x + zero\nreveal grad(sum(v * v + round(v, 2)), v) to b as r\n"

    np.testing.assert_allclose(learned("fixed", lines, np.array([1.5, -2.0])), [3.0, -4.0])


@pytest.mark.parametrize(
    ("call", "code"), [("round(x, 13)", "E0301"), ("round(x, 0.5)", "E0301"), ("round(x, zero)", "E0303")]
)
def test_places_are_public_whole_numbers(call: str, code: str) -> None:
    text = HEAD.format(type="fixed") + f"reveal {call} to b as r\n"
    with pytest.raises(StudyError) as refused:
        elaborate(parse(text, "s.parley"), Bindings({"n": 3}), [])

    assert [d.code for d in refused.value.diagnostics] == [code]
