"""Truncations that follow one another become one, and so do public factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mpc.circuit import Builder, Circuit, Value
from mpc.lower import lower
from mpc.types import NOBODY, Fixed, Type

Build = Callable[[Value, Value], list[Value]]


def lowered(build: Build) -> Circuit:
    """What becomes of secret matrices (3, 4) and (4, 2)."""
    b = Builder()
    x, y = (
        b.append("input", (), {"party": p, "name": p, "column": ""}, Type(Fixed(), s, frozenset({p})), pure=False)
        for p, s in (("a", (3, 4)), ("b", (4, 2)))
    )
    zero = b.append(
        "input", (), {"party": "c", "name": "z", "column": ""}, Type(Fixed(), (), frozenset({"c"})), pure=False
    )
    x, y = x + zero, y + zero
    assert x.type.seen_by == NOBODY
    return lower(b.finish(build(x, y)), ("a", "b", "c")).circuit


def truncations(circuit: Circuit) -> list[tuple[str, int]]:
    return [(node.op, node["m"]) for _, node in circuit if node.op in ("trunc", "mul_trunc", "matmul_trunc")]


CASES: dict[str, tuple[Build, list[tuple[str, int]]]] = {
    "a power of two goes with the product": (lambda x, y: [(x @ y) * 0.125], [("matmul_trunc", 19)]),
    "through local operations": (lambda x, y: [-((x @ y) * 0.5).reshape((2, 3)) * 0.25], [("matmul_trunc", 19)]),
    "element by element": (lambda x, y: [x * x * 0.5], [("mul_trunc", 17)]),
    "factors are one": (lambda x, y: [(x * 0.01) * 0.5], [("trunc", 23)]),
    "a whole factor": (lambda x, y: [(x @ y) * 3.0], [("matmul_trunc", 16)]),
    "a negative power of two": (lambda x, y: [x * -0.5], [("trunc", 1)]),
    "another use": (lambda x, y: [(x @ y) * 0.5, x @ y], [("matmul_trunc", 16), ("trunc", 1)]),
    "too many bits": (lambda x, y: [-(x * x * 2.0**-30) * 2.0**-25], [("mul_trunc", 16), ("trunc", 55)]),
}


@pytest.mark.parametrize("name", CASES)
def test_truncations(name: str) -> None:
    build, wanted = CASES[name]

    assert truncations(lowered(build)) == wanted


def test_in_the_body_of_a_loop() -> None:
    def build(x: Value, y: Value) -> list[Value]:
        body = Builder()
        body.append("param", (), {"index": 0}, Builder().const(0).type)
        state = body.append("param", (), {"index": 1}, x.type)
        attrs = {"body": body.finish([state * state * 0.5]), "count": 3, "carried": 1, "start": 0, "step": 1}
        return list(x.builder.items(x.builder.append("loop", (x,), attrs, [x.type], pure=False)))

    (loop,) = (node for _, node in lowered(build) if node.op == "loop")

    assert truncations(loop["body"]) == [("mul_trunc", 17)]


def test_a_small_factor_keeps_its_digits() -> None:
    circuit = lowered(lambda x, y: [x * (1 / 1500)])
    (factor,) = (node["value"].array for _, node in circuit if node.op == "const")
    ((_, m),) = truncations(circuit)

    assert abs(int(np.asarray(factor).reshape(())) / 2.0**m * 1500 - 1) < 2.0**-16
