"""Any study that can be read is elaborated or refused with a StudyError; what is elaborated runs as it is typed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evaluate import execute
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dsl.builtins import BUILTINS
from dsl.diagnostics import StudyError, render
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

HEAD = """party p, q, r
input v: fixed[5] from p
input k: int in 0..4 from q
input X: fixed[n, 3] from p
input I: int[n] from q
input b: bool[5] from p
input o: fixed?[5] from q
input d: date from q
input e: enum('x', 'y')[5] from p
table t from p, q:
    a: int
    c: decimal(2)
    h: key
    m: fixed?
table s from p rows <= 4:
    a: int
    s: text(9)
def f(x, y=2):
    if x > y:
        return x
    z = x + y
    return z * 2
w = zeros(3)
u = zeros(5)
h = 0.5
i = 1
g = 2
"""
SIZES = Bindings({"n": 5}, {("p", "t"): 2, ("q", "t"): 1})
HASH = {"a": [1, 2], "c": [100, 250], "h": [7, 8], "m": [0.5, 0], "m?": [True, False]}
DATA: Any = {
    "p": {
        "v": np.arange(5) / 4,
        "X": np.arange(15).reshape(5, 3) / 8,
        "b": [True, False, True, True, False],
        "e": [0, 1, 1, 0, 1],
        "t": HASH,
        "s": {"a": [3, 4, 0, 0], "s": np.zeros((4, 2)), "#rows": [True, True, False, False]},
    },
    "q": {
        "k": 2,
        "I": [4, -2, 0, 7, 1],
        "o": {"": [1.5, 0, 2, 0, 1], "?": [True, False, True, False, True]},
        "d": 19_000,
        "t": {name: column[:1] for name, column in HASH.items()},
    },
}

ATOMS = [
    "v",
    "k",
    "X",
    "I",
    "b",
    "o",
    "d",
    "e",
    "t",
    "s",
    "w",
    "g",
    "f",
    "0",
    "1",
    "3",
    "-1",
    "2.5",
    "0.25",
    "'x'",
    "true",
    "n",
    "t.a",
    "t.c",
    "t.h",
    "t.m",
    "s.a",
    "s.s",
    "i",
    "q",
]
atoms = st.sampled_from([*ATOMS, "date '2024-01-31'", "(1, 2)", "[1, 2, 0]"])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "==", "!=", "<", "<=", ">", ">=", "and", "or"])
    index = st.sampled_from(["0", "k", "-1", "1:", ":2", "i", "::2", ":, 0", "[0, 1]", "v > 0", "k:3", "i:i + 2"])
    calls = st.sampled_from([*BUILTINS, "f", "matrix", "grad"])
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, index).map(lambda p: f"{p[0]}[{p[1]}]"),
        st.tuples(calls, st.lists(inner, min_size=1, max_size=3)).map(lambda p: f"{p[0]}({', '.join(p[1])})"),
        st.tuples(st.sampled_from(["sum", "mean", "max", "sort", "concat"]), inner).map(
            lambda p: f"{p[0]}({p[1]}, axis=0)"
        ),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        inner.map(lambda x: f"(not {x})"),
        inner.map(lambda x: f"(-{x})"),
        inner.map(lambda x: f"reveal({x})"),
        inner.map(lambda x: f"{x}.T" if x.isidentifier() else x),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} in (1, {p[1]}))"),
    )


wild = st.recursive(atoms, compound, max_leaves=6)


def pick(*templates: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One of the templates, with its parts filled in."""
    return st.sampled_from(templates).flatmap(lambda t: st.fixed_dictionaries(parts).map(lambda p: t.format(**p)))


scalars = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["k", "h", "3", "2.5", "-1", "n", "v[1]", "t.a[0]"]),
        pick(
            "({a} + {b})",
            "({a} * {b})",
            "({a} - {b})",
            "({a} if {c} else {b})",
            "max({a}, {b})",
            a=scalars,
            b=scalars,
            c=conditions,
        ),
        pick(
            "sum({x})",
            "mean({x})",
            "max({x})",
            "{x}[k]",
            "{x}[-2]",
            "sum({x}[1:3])",
            "({x} @ {y})",
            x=vectors,
            y=vectors,
        ),
        pick("f({a})", "abs({a})", "(-{a})", "sigmoid({a})", "argmax({x})", "{x}[i]", a=scalars, x=vectors),
    )
)
vectors: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(
            ["v", "u", "I", "X[:, 0]", "X.T[1]", "zeros(5)", "coalesce(o, 0)", "(X @ w)", "(b * 2)", "(e == 'x')"]
        ),
        pick(
            "({x} + {y})",
            "({x} * {y})",
            "({x} - {a})",
            "({x} if {c} else {y})",
            x=vectors,
            y=vectors,
            a=scalars,
            c=conditions,
        ),
        pick(
            "relu({x})", "sort({x})", "clip({x}, -1, 1.5)", "{x}[::-1]", "concat({x}[2:], {x}[:2])", "f({x})", x=vectors
        ),
    )
)
conditions: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["b[k]", "true", "(k > 2)", "(i == 1)", "(d > date '2020-01-01')"]),
        pick(
            "({a} > {b})",
            "({a} == {b})",
            "(not {c})",
            "({c} and {d})",
            a=scalars,
            b=scalars,
            c=conditions,
            d=conditions,
        ),
        pick("reveal({c})", c=conditions),
    )
)
expressions = st.one_of(scalars, scalars, vectors, vectors, wild)
names = st.sampled_from(["w", "g", "q", "y", "v"])
simple = st.one_of(
    pick("h = {a}", "h += {a}", "q = {a}", "u[k] = {a}", "u[1] = {a}", "u = u * {a}", a=scalars),
    pick("u = {x} * 1.0", "u += {x}", "q = {x}", "u[1:3] = {x}[:2]", "q, y, z = X.T @ {x}", x=vectors),
    st.tuples(names, wild).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(names, st.sampled_from(["0", "k", "i", "1:", ":"]), wild).map(lambda p: f"{p[0]}[{p[1]}] = {p[2]}"),
    st.tuples(names, names, wild).map(lambda p: f"{p[0]}, {p[1]} = {p[2]}"),
    expressions.map(lambda x: f"assert {x}, 'no'"),
)
tame = st.one_of(
    pick("h = {a}", "h += {a}", "q = {a}", "u[k] = {a}", "u[1] = {a}", "u = u * {a}", a=scalars),
    pick("u = {x} * 1.0", "u += {x}", "q_ = {x}", "u[1:3] = {x}[:2]", "q1, q2, q3 = X.T @ {x}", x=vectors),
)
loops = st.sampled_from(
    ["range(3)", "range(300)", "range(g)", "range(4, 0, -1)", "batches(X, I, size=2)", "v", "(1, 2)"]
)


def blocks(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    """Loops and branches over statements."""

    def indented(lines: list[str]) -> list[str]:
        return [f"    {line}" for line in lines]

    body = st.lists(inner, min_size=1, max_size=3).map(
        lambda parts: indented([line for part in parts for line in part])
    )
    target = st.sampled_from(["i", "i, q"])
    return st.one_of(
        st.tuples(target, loops, body).map(lambda p: [f"for {p[0]} in {p[1]}:", *p[2]]),
        st.tuples(conditions, body, body).map(lambda p: [f"if {p[0]}:", *p[1], "else:", *p[2]]),
        st.tuples(conditions, body).map(lambda p: [f"if {p[0]}:", *p[1]]),
    )


def texts(line: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Some statements."""
    statements = st.recursive(line.map(lambda one: [one]), blocks, max_leaves=6)
    return st.lists(statements, min_size=1, max_size=4).map(lambda p: "\n".join(one for part in p for one in part))


studies = st.one_of(texts(tame), texts(st.one_of(tame, simple)), texts(simple))


@pytest.mark.slow
@seed(20_241_124)
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(studies)
def test_any_study(body: str) -> None:
    try:
        study = parse(f"{HEAD}{body}\nreveal w, u, h, g to all\n")
    except StudyError:
        return
    for bindings in (Bindings(), SIZES):
        known: list[Any] = []
        try:
            done = elaborate(study, bindings, known)
            while done.needs is not None and len(known) < 9:
                known.append(execute(done.circuit, DATA)[done.needs])
                done = elaborate(study, bindings, known)
            if not done.abstract:
                execute(done.circuit, DATA)
        except StudyError as error:
            for diagnostic in error.diagnostics:
                render(diagnostic)
        except IndexError:
            continue  # an index that these data put outside, at run time


def test_most_tame_studies_are_elaborated() -> None:
    """So that the test above tests something."""
    lines = [
        "u += (v * h)",
        "if (k > 2):",
        "    h = sum(v)",
        "for i in range(300):",
        "    u[k] = (v @ u) * 0.01",
        "    h += v[1]",
    ]
    done = elaborate(parse(HEAD + "\n".join(lines) + "\nreveal u, h to all\n"), SIZES)
    values = execute(done.circuit, DATA)
    assert [np.shape(values[o.columns[0].node]) for o in done.outputs] == [(5,), ()]
