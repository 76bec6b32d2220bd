"""What parties learn, and from what of whom."""

from __future__ import annotations

from dsl.disclosures import disclosures
from dsl.elaborate import elaborate
from dsl.inputs import Bindings, requirements
from dsl.parse import parse

TEXT = """party a, b, c
input X: fixed[n, 2] from a
input y: fixed[n] from b
table t from a, b:
    k: key
    x: int in 0..120
    d: decimal(2)?
    e: enum('u', 'v')
    s: text(9)
    unique (k, x)
table h from c rows <= 50:
    x: int unique
param m: int = 2
input z: int[m + 1, n] from c
u = zeros(2)
w = zeros(2)
v = 0.0
for i in range(3000):
    u = u * 0.5 + w
    w = w * 0.5 + X[0]
    v = v * 0.5 + y[0]
    g = reveal(sum(w) > 3)
reveal u to b
reveal v, m to c as v, m
r = reveal(sum(t.x))
reveal sum(h.x) + r to all as q
"""


def test_sources_go_through_loops() -> None:
    study = parse(TEXT)
    found = disclosures(study, elaborate(study, Bindings()))
    shown = [(d.kind, d.receivers, d.name, d.line, d.sources, d.repeated) for d in found]
    everyone = ("a", "b", "c")
    table = ("a's column `k`", "b's column `k`", "a's column `x`", "b's column `x`")
    assert shown == [
        ("open", everyone, "t", 4, table, False),  # whether its rows are unique, over both owners
        ("open", everyone, "reveal(sum(w) > 3)", 22, ("a's `X`",), True),
        ("reveal", ("b",), "u", 23, ("a's `X`",), False),
        ("reveal", ("c",), "v", 24, ("b's `y`",), False),
        ("reveal", ("c",), "m", 24, (), False),
        ("open", everyone, "reveal(sum(t.x))", 25, ("a's column `x`", "b's column `x`"), False),
        ("reveal", everyone, "q", 26, ("a's column `x`", "b's column `x`", "c's column `x`", "c's `h`"), False),
        ("size", everyone, "n", 2, ("a's `X`", "b's `y`", "c's `z`"), False),
        ("size", everyone, "rows of t at a", 4, ("a's `t`",), False),
        ("size", everyone, "rows of t at b", 4, ("b's `t`",), False),
    ]
    assert found[1].to_json()["repeated"] is True


def test_requirements() -> None:
    specs = requirements(parse(TEXT), {"m": "4"})
    assert [(s.party, s.name, s.table, s.shape, s.max_rows) for s in specs] == [
        ("a", "X", False, ("n", 2), None),
        ("b", "y", False, ("n",), None),
        ("a", "t", True, (), None),
        ("b", "t", True, (), None),
        ("c", "h", True, (), 50),
        ("c", "z", False, (5, "n"), None),
    ]
    t = specs[2]
    assert [(c.name, c.kind, c.places, c.words, c.length, c.nullable, c.range) for c in t.columns] == [
        ("k", "key", 0, (), 0, False, None),
        ("x", "int", 0, (), 0, False, (0, 120)),
        ("d", "decimal", 2, (), 0, True, None),
        ("e", "enum", 0, ("u", "v"), 0, False, None),
        ("s", "text", 0, (), 9, False, None),
    ]
    assert t.unique_together == (("k", "x"),)
    assert specs[4].columns[0].unique
