"""Loops are written out where their passes can run side by side, and stay rolled where each waits for the last."""

from __future__ import annotations

import pytest

from dsl.compile import Compiler
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.places import Places
from mpc.protocols import SCHEMES

HEAD = "party a, b, c\ninput x: fixed in -1..1[8] from a\ninput y: fixed in -1..1[8] from b\nz = x + y\ntotal = 0.0\n"


@pytest.mark.parametrize(
    ("body", "rolled"),
    [
        ("z = z * x", True),
        ("z = sigmoid(z * x)", True),
        ("if z[0] > 0:\n        z = z - x\n    else:\n        z = z + x", True),
        ("z[i] = sigmoid(x[i] * y[i])", False),
        ("total += sum(sigmoid(x * y + i))", False),
        ("total += sigmoid(x[i] + y[i])\n    z = z * x", False),
        ("total = z[0]\n    z = sigmoid(z) * x", True),
    ],
)
def test_what_is_rolled(body: str, rolled: bool) -> None:
    study = parse(f"{HEAD}for i in range(8):\n    {body}\nreveal z, total to c\n")
    stage = Compiler(study, Bindings(), Places(("a", "b", "c")), SCHEMES["rep3"]).stage()

    assert any(node.op == "loop" for _, node in stage.elaborated.circuit) is rolled


def test_passes_that_need_nothing_of_each_other_take_the_rounds_of_one() -> None:
    def rounds(count: int) -> int:
        study = parse(f"{HEAD}for i in range({count}):\n    total += sum(sigmoid(x * y + i))\nreveal total to c\n")
        return Compiler(study, Bindings(), Places(("a", "b", "c")), SCHEMES["rep3"]).stage().schedule.rounds

    assert rounds(8) == rounds(2)
