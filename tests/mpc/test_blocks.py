"""A step on many elements is done in blocks, with the same results and exactly the declared traffic."""

from __future__ import annotations

import numpy as np
import pytest

import mpc.protocol
from mpc.circuit import Builder
from mpc.lower import lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.schedule import schedule
from mpc.simulate import simulate
from mpc.types import INT, Type

PLACES = {
    "rep3": Places(("a", "b", "c")),
    "additive": Places(("a", "b"), dealer="dealer"),
}


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
def test_blocks_change_nothing_but_rounds(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.integers(-(2**40), 2**40, (2, 150), dtype=np.int64)
    b = Builder()
    made = []
    for party, name in (("a", "x"), ("b", "y")):
        attrs = {"party": party, "name": name, "column": "", "range": (-(2**40), 2**40)}
        made.append(b.append("input", (), attrs, Type(INT, (150,), frozenset(party)), pure=False))
    less = made[0] < made[1]
    out = b.emit("select", less, made[0], made[1])
    b.append("reveal", (out,), {"to": None, "name": "least"}, out.type, pure=False)
    b.append("reveal", (less,), {"to": None, "name": "less"}, less.type, pure=False)

    circuit = b.finish()
    at_once = schedule(lower(circuit, PLACES[protocol].nodes).circuit, PLACES[protocol], SCHEMES[protocol])
    monkeypatch.setattr(mpc.protocol, "BLOCK", 64)

    run = simulate(circuit, {"a": {("x", ""): x}, "b": {("y", ""): y}}, SCHEMES[protocol], PLACES[protocol])

    found = run.reports["b"].outputs
    assert np.array_equal(found["least", ""], np.minimum(x, y))
    assert np.array_equal(found["less", ""], x < y)
    assert run.measured.total == run.schedule.links
    assert len(run.measured.rounds) == run.schedule.rounds
    assert run.schedule.rounds > at_once.rounds
