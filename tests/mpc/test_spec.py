"""A pass that breaks the rules of lowered circuits is found, and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mpc.passes
from mpc.circuit import Builder, Circuit
from mpc.lower import lower
from mpc.passes import PASSES, optimise
from mpc.spec import SpecError
from mpc.types import INT, Type


def test_the_pass_at_fault_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last circuit is illegal; the message says which pass made it so."""

    def open_all(circuit: Circuit) -> Circuit:
        nodes = list(circuit.nodes)
        for i in circuit.results:
            nodes[i] = replace(nodes[i], type=nodes[i].type.seen(frozenset("a")))
        return Circuit(tuple(nodes), circuit.results)

    b = Builder()
    x, y = (
        b.append("input", (), {"party": p, "name": p, "column": ""}, Type(INT, (3,), frozenset({p})), pure=False)
        for p in "ab"
    )
    lowered = lower(b.finish([x * y]), ("a", "b", "c")).circuit
    monkeypatch.setattr(mpc.passes, "PASSES", (*PASSES[:2], open_all, *PASSES[2:]))
    with pytest.raises(SpecError, match="after open_all: "):
        optimise(lowered)
