"""Studies run in the clear from their circuits, against NumPy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from evaluate import run, run_study

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.types import Size

PARTIES = "party p, q, r\n"


def value(expression: str, before: str = "", data: Any = None) -> Any:
    return run_study(f"{PARTIES}{before}\nreveal {expression} to all as result\n", data)["result"]


def integers(*numbers: int) -> tuple[str, dict[str, Any]]:
    """A secret array of whole numbers: its input belongs to one party, and another adds a secret 0."""
    return f"input x_: int[{len(numbers)}] from p\ninput o_: int from q\nx = x_ + o_\n", {
        "p": {"x_": list(numbers)},
        "q": {"o_": 0},
    }


def test_auction() -> None:
    text = """party seller, ana, ben, cai
input bid_ana: int from ana
input bid_ben: int from ben
input bid_cai: int from cai
input reserve: int from seller
bids = stack(bid_ana, bid_ben, bid_cai)
winner = argmax(bids)
ordered = sort(bids)
price = max(ordered[1], reserve)
sold = ordered[2] >= reserve
reveal sold to all
reveal winner if sold else -1 to all as winner
reveal price if sold else 0 to seller as price
reveal (price if sold else 0) * (winner == 2) to cai as pays
"""
    data = {"seller": {"reserve": 1100}, "ana": {"bid_ana": 990}, "ben": {"bid_ben": 1250}, "cai": {"bid_cai": 1410}}
    assert run_study(text, data) == {"sold": True, "winner": 2, "price": 1250, "pays": 1250}
    data["seller"]["reserve"] = 2000
    assert run_study(text, data) == {"sold": False, "winner": -1, "price": 0, "pays": 0}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("2.0 ** 0.5", 2**0.5),
        ("7 / 2", 3.5),
        ("1 + 2.5", 3.5),
        ("true + true", 2),
        ("3 > 2 and not 1 == 2", True),
        ("1 if 2 > 3 else 5", 5),
        ("[1, 2.5, 3]", [1.0, 2.5, 3.0]),
        ("date '2024-02-28' + 2", "2024-03-01"),
        ("date '2024-03-01' - date '2024-02-28'", 2),
        ("extract(year from date '2024-03-01')", 2024),
        ("3 in (1, 2, 3)", True),
        ("-9223372036854775808", -(2**63)),
        ("sum(arange(10))", 45),
        ("arange(2, 11, 3)", [2, 5, 8]),
        ("zeros((2, 3)).shape[1]", 3),
        ("max(3, 7, 5)", 7),
        ("len([4, 5, 6])", 3),
    ],
)
def test_expressions(expression: str, expected: Any) -> None:
    result = value(expression)
    assert result == expected
    assert type(result) is type(expected)


def test_arithmetic_of_secrets_is_pythons() -> None:
    text, data = integers(7, -7, 0, 12)
    x = np.array([7, -7, 0, 12])
    assert value("x // 2", text, data) == (x // 2).tolist()
    assert value("x % 5", text, data) == (x % 5).tolist()
    assert value("x ** 3", text, data) == (x**3).tolist()
    assert value("x * (x > 0)", text, data) == (x * (x > 0)).tolist()
    assert value("sum(x > 0)", text, data) == 2
    assert value("mean(x)", text, data) == 3.0
    assert value("x @ x", text, data) == int(x @ x)


def test_indexing_is_numpys() -> None:
    text, data = integers(*range(12))
    text += "X = reshape(x, (3, 4))\ninput k: int from r\n"
    data = {**data, "r": {"k": 2}}
    X = np.arange(12).reshape(3, 4)
    for code, expected in {
        "X[1]": X[1],
        "X[1, 2]": X[1, 2],
        "X[-1, -2]": X[-1, -2],
        "X[:, 0]": X[:, 0],
        "X[1:, ::2]": X[1:, ::2],
        "X[::-1, 1:3]": X[::-1, 1:3],
        "X.T[2]": X.T[2],
        "X[k]": X[2],
        "X[:, k]": X[:, 2],
        "X[k, k]": X[2, 2],
        "X[0, k]": X[0, 2],
        "X[-k]": X[-2],
        "X[:, -k]": X[:, -2],
        "X[1 - k, k - 4]": X[-1, -2],
        "x[[-k, 1]]": [10, 1],
        "X[[2, 0]]": X[[2, 0]],
        "X[:, [3, -1, 0]]": X[:, [3, -1, 0]],
        "X[[true, false, true]]": X[[0, 2]],
        "x[[k, 1]]": [2, 1],
        "X[5:]": X[5:],
        "X[:-1]": X[:-1],
    }.items():
        assert value(code, text, data) == np.asarray(expected).tolist(), code


def test_assigning_places() -> None:
    text, data = integers(*range(6))
    text += "X = reshape(x, (2, 3))\ninput k: int from r\n"
    data = {**data, "r": {"k": 1}}
    X = np.arange(6).reshape(2, 3)
    changes = {
        "X[0] = 9": lambda X: X.__setitem__(0, 9),
        "X[:, 1] = stack(7, 8)": lambda X: X.__setitem__((slice(None), 1), [7, 8]),
        "X[0] = (7, 8, 9)": lambda X: X.__setitem__(0, (7, 8, 9)),
        "X[1, 2] += 5": lambda X: X.__setitem__((1, 2), 10),
        "X[k] = 4": lambda X: X.__setitem__(1, 4),
        "X[k, k] = 4": lambda X: X.__setitem__((1, 1), 4),
        "X[-k, k - 3] = 4": lambda X: X.__setitem__((-1, -2), 4),
        "X[-k, :2] *= 3": lambda X: X.__setitem__((-1, slice(None, 2)), X[-1, :2] * 3),
        "X[0, k] *= 10": lambda X: X.__setitem__((0, 1), 10),
        "X[:, ::2] = 0": lambda X: X.__setitem__((slice(None), slice(None, None, 2)), 0),
    }
    for code, change in changes.items():
        expected = X.copy()
        change(expected)
        assert value("X", f"{text}{code}\n", data) == expected.tolist(), code


def test_secret_branches_choose() -> None:
    text = """input x: int from p
small = false
if x > 10:
    m = 1
    if x > 20:
        m = 5
elif x > 5:
    m = 2
    small = true
else:
    m = 3
    m = m * x
"""
    for x, m, small in [(25, 5, False), (12, 1, False), (7, 2, True), (2, 6, False)]:
        data = {"p": {"x": x}}
        assert value("m", text, data) == m
        assert value("small", text, data) is small


def test_returns_in_secret_branches() -> None:
    text = """input x: int from p
def f(a):
    if a > 3:
        return a * 2
    b = a + 1
    if b > 2:
        c = 10
        if b == 3:
            return c
    elif b < 0:
        return -1
    return b
"""
    for x in range(-4, 6):
        expected = x * 2 if x > 3 else 10 if x + 1 == 3 else -1 if x + 1 < 0 else x + 1
        assert value("f(x)", text, {"p": {"x": x}}) == expected


def test_functions_see_names_around_and_keep_their_own() -> None:
    text = """scale = 3
def f(x, by=scale, *, extra=0):
    return x * by
""".replace(", *, extra=0", ", extra=0")
    text += """def g(x, y):
    y += 1
    scale = 100
    return x + y, x * y
a, b = g(f(2), f(2, by=5))
c = f(extra=1, x=1)
"""
    assert value("[a, b, c, scale]", text) == [17, 66, 3, 3]


def test_decimals_are_exact() -> None:
    text = """table t from p:
    price: decimal(2)
    many: int
"""
    data = {"p": {"t": {"price": [1999, 5], "many": [3, 7]}}}
    assert value("t.price * t.many", text, data) == [Decimal("59.97"), Decimal("0.35")]
    assert value("t.price * 1.075", text, data) == [Decimal("21.48925"), Decimal("0.05375")]
    assert value("sum(t.price) + 0.005", text, data) == Decimal("20.045")
    assert value("t.price > 19.985", text, data) == [True, False]
    assert value("t.price / 2", text, data) == pytest.approx([9.995, 0.025], abs=1e-4)
    assert value("t.price % 1", text, data) == [Decimal("0.99"), Decimal("0.05")]
    assert value("clip(t.price, 0.10, 5)", text, data) == [Decimal("5.00"), Decimal("0.10")]


def test_tables_of_several_owners_are_put_together() -> None:
    text = """table t from p, q:
    kind: enum('a', 'b')
    day: date
    debt: fixed?
    name: text(9)
"""

    def packed(name: str) -> list[int]:
        data = name.encode().ljust(14, b"\0")
        return [int.from_bytes(data[:7], "big"), int.from_bytes(data[7:], "big")]

    first = {
        "kind": [0, 1],
        "day": [19000, 0],
        "debt": [1.5, 0.0],
        "debt?": [True, False],
        "name": [*map(packed, "xy")],
    }
    second = {"kind": [1], "day": [1], "debt": [2.25], "debt?": [True], "name": [packed("otherwise")]}
    data = {"p": {"t": first}, "q": {"t": second}}
    table = run_study(f"{PARTIES}{text}reveal t to r\n", data)["t"]
    assert table == [
        {"kind": "a", "day": "2022-01-08", "debt": 1.5, "name": "x"},
        {"kind": "b", "day": "1970-01-01", "debt": None, "name": "y"},
        {"kind": "b", "day": "1970-01-02", "debt": 2.25, "name": "otherwise"},
    ]
    assert value("sum(t.debt)", text, data) == 3.75
    assert value("mean(t.debt)", text, data) == 1.875
    assert value("coalesce(t.debt, -1)", text, data) == [1.5, -1.0, 2.25]
    assert value("t.debt > 2 or t.kind == 'b'", text, data) == [False, True, True]
    assert value("t.debt > 2 and t.kind == 'b'", text, data) == [False, None, True]
    assert value("t.name == 'otherwise'", text, data) == [False, False, True]
    assert value("t.name == 'much too long'", text, data) == [False, False, False]
    assert value("t.name < 'xx'", text, data) == [True, False, True]
    assert value("t.name <= 'x' and 'otherwisest' > t.name", text, data) == [False, False, True]
    assert value("t.name >= t.name[1]", text, data) == [False, True, False]
    assert value("t.kind < t.name", text, data) == [True, True, True]
    assert value("concat(t.kind, t.name)", text, data) == ["a", "b", "b", "x", "y", "otherwise"]
    assert value("t.kind if t.day > date '1970-01-01' else t.name", text, data) == ["a", "y", "b"]
    assert value("'a' if t.day[0] > t.day[1] else 'much too long'", text, data) == "a"
    assert value("coalesce(t.debt, t.debt, t.day - t.day[1] - 0.5, 7)", text, data) == [1.5, -0.5, 2.25]
    assert value("t.kind if t.day > date '1970-01-01' else 'a'", text, data) == ["a", "a", "b"]
    for column, line, expected in (
        ("debt", "z[1] = 5", [1.5, 5.0, 2.25]),
        ("debt", "z[0] = z[1]", [None, None, 2.25]),
        ("debt", "z[at] = z[1]\nz[1] = 0\nz[1] += 1", [1.5, 1.0, None]),
        ("debt", "z[:2] = t.debt[1:]", [None, 2.25, 2.25]),
        ("name", "z[0] = 'new'", ["new", "y", "otherwise"]),
        ("name", "z[at] = z[0]", ["x", "y", "x"]),
        ("name", "z[1:] = z[:2]", ["x", "x", "y"]),
        (
            "name",
            "for i in range(3):\n    if t.day[i] - t.day[1] > at:\n        z[i] = 'late'",
            ["late", "y", "otherwise"],
        ),
    ):
        before = f"{text}at = 2 * (t.day[2] - t.day[1])\nz = t.{column}\n{line}\n"
        assert value("z", before, data) == expected, line
    assert value("matrix(t, kind, coalesce(t.debt, 0))", text, data) == [[0.0, 1.5], [1.0, 0.0], [1.0, 2.25]]


def test_invisible_rows_do_not_count() -> None:
    text = "table t from p rows <= 4:\n    x: int in 1..9\n    y: fixed?\n"
    rows = {
        "x": [3, 0, 5, 0],
        "y": [1.5, 0, 0, 0],
        "y?": [True, False, False, False],
        "#rows": [True, False, True, False],
    }
    data = {"p": {"t": rows}}
    assert value("sum(t.x)", text, data) == 8
    assert value("mean(t.x)", text, data) == 4.0
    assert value("compact(t).x", text, data) == [3, 5]
    found = run_study(f"{PARTIES}{text}reveal t to q\n", data)["t"]
    assert sorted(found, key=lambda r: r["x"]) == [{"x": 3, "y": 1.5}, {"x": 5, "y": None}]


def test_parameters() -> None:
    text = """param n: int = 2 + 1
param rate: fixed = 1
param day: date = date '2024-01-31'
param side: enum('l', 'r') = 'l'
param price: decimal(2) = 1.5
param note: text(9) = 'none'
"""
    shown = "reveal n, rate, day, side, price to all\nreveal note to all\n"
    results = run_study(PARTIES + text + shown)
    assert results == {
        "n": 3,
        "rate": 1.0,
        "day": "2024-01-31",
        "side": "l",
        "price": Decimal("1.50"),
        "note": "none",
    }
    given = {"n": "7", "rate": "0.25", "day": "2020-02-29", "side": "r", "price": "2.05", "note": "hi"}
    assert run_study(PARTIES + text + shown, None, given) == {
        "n": 7,
        "rate": 0.25,
        "day": "2020-02-29",
        "side": "r",
        "price": Decimal("2.05"),
        "note": "hi",
    }


def test_who_sees_what() -> None:
    text = (
        PARTIES
        + """input x: fixed[3] from p
input y: fixed[3] from q
a = x * 2
b = x + y
c = reveal(sum(b))
d = a if true else b
w = zeros(3)
for i in range(2000):
    w += b
reveal c to p
"""
    )
    names = dict(elaborate(parse(text), Bindings()).names)
    assert names["a"] == "fixed[3], seen by p"
    assert names["b"] == "fixed[3], secret"
    assert names["c"] == "fixed, public"
    assert names["d"] == "fixed[3], seen by p"
    assert names["w"] == "fixed[3], secret"


def test_the_same_study_gives_the_same_circuit() -> None:
    text = PARTIES + "input x: fixed[30] from p\ns = 0.0\nfor i in range(30):\n    s += x[i] * i\nreveal s to q\n"
    first, second = (elaborate(parse(text), Bindings()).circuit for _ in range(2))
    assert first.digest == second.digest


def test_without_data_sizes_stay_symbolic() -> None:
    text = (
        PARTIES
        + """input X: fixed[n, 4] from p
input y: fixed[n] from q
table t from p, q:
    x: int
Z = X[:455]
T = X[455:]
m = len(y) // 2
H = X[:m]
w = zeros(4)
for xb, yb in batches(X, y, size=128):
    w -= xb.T @ (xb @ w - yb)
k = reveal(sum(y > 0))
q_ = y[:k]
if k > 3:
    w = w * 2
for i in range(k):
    w += X[i]
c = concat(t.x, t.x)
reveal w, Z, T, H, q_, c to all
"""
    )
    done = elaborate(parse(text), Bindings())
    n = Size.named("n")
    shapes = {o.name: o.shape for o in done.outputs}
    assert done.abstract
    assert shapes["w"] == (4,)
    assert shapes["Z"] == (455, 4)
    assert shapes["T"] == (n - 455, 4)
    assert str(shapes["H"][0]) == "len(y) // 2"
    assert str(shapes["q_"][0]) == "k"
    assert str(shapes["c"][0]) == "2*rows of t at p + 2*rows of t at q".replace(
        "p + 2*rows of t at q", "q + 2*rows of t at p"
    )


def test_origins_are_places_in_the_text() -> None:
    text = PARTIES + "input x: int from p\ninput y: int from q\nz = x * (y + 1)\nreveal z to all\n"
    done, _ = run(text, {"p": {"x": 2}, "q": {"y": 3}})
    found = {node.op: text[node.origin.start : node.origin.end] for _, node in done.circuit if node.origin}
    assert found["mul"] == "x * (y + 1)"
    assert found["add"] == "(y + 1)"
    assert found["reveal"] == "z"


def test_a_slice_of_a_tuple_is_a_tuple() -> None:
    text = "party p\nx = (1, 2, 3, 4)\na, b = x[1:3]\nc, d = x[::-2]\nreveal [a, b, c, d] to p as y\n"

    assert run_study(text, {"p": {}})["y"] == [2, 3, 4, 2]
