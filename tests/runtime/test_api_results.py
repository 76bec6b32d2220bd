"""What a Python program gets: values in natural units, whatever their type in the study."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import api

TEXT = """party a, b, c
table t from a:
    pay: decimal(2)
    g: enum('x', 'y')
    name: text(6)
    d: date
    bonus: decimal(1)?
    p: bool
table u from b:
    pay: decimal(2)
    name: text(6)
reveal t.pay + u.pay, t.g, t.name to c as pay, g, name
reveal sum(t.pay + u.pay), t.name[0], t.g[1], t.d[0] to c as total, first, word, day
reveal t.bonus, t.p to c as bonus, p
query q:
    select g, sum(pay) as total, max(d) as last from t group by g order by g
reveal q to c
"""
DATA = {
    "a": {
        "t": {
            "pay": ["10.50", "-0.25"],
            "g": ["y", "x"],
            "name": ["Zoë", ""],
            "d": ["2024-02-29", "1969-12-31"],
            "bonus": ["1.5", None],
            "p": [True, False],
        }
    },
    "b": {"u": {"pay": ["0.01", "100.00"], "name": ["b", "c"]}},
}


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_results_are_in_natural_units(protocol: str) -> None:
    preprocessing = "dealer" if protocol == "additive" else None
    got = api.simulate_sync(api.compile(TEXT, protocol=protocol, preprocessing=preprocessing), DATA)["c"]
    assert got["pay"].tolist() == [10.51, 99.75]
    assert got["total"] == 110.26
    assert got["g"].tolist() == ["y", "x"]
    assert got["name"].tolist() == ["Zoë", ""]
    assert (got["first"], got["word"], got["day"]) == ("Zoë", "x", np.datetime64("2024-02-29"))
    assert got["bonus"].tolist() == [1.5, None]
    assert got["p"].tolist() == [True, False]
    assert got["q"]["g"].tolist() == ["x", "y"]
    assert got["q"]["total"].tolist() == [-0.25, 10.5]
    assert got["q"]["last"].tolist() == [np.datetime64("1969-12-31").item(), np.datetime64("2024-02-29").item()]
