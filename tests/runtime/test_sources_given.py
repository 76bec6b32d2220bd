"""Arrays that an application hands over."""

import datetime
from decimal import Decimal

import numpy as np
import pytest
from test_sources_csv import array, load_text, table

from dsl.inputs import ColumnSpec
from runtime.errors import DataError
from runtime.sources import for_circuit, from_arrays, hash_keys, pack_text

NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (ColumnSpec("a", "int"), [1, -2], [1, -2]),
        (ColumnSpec("a", "int"), np.array([1.0, 2.0]), [1, 2]),
        (ColumnSpec("a", "int", nullable=True), [2**62 + 1, None, 3.0], [2**62 + 1, 0, 3]),
        (ColumnSpec("a", "fixed", nullable=True), [0.5, NAN], [0.5, 0.0]),
        (ColumnSpec("a", "fixed"), np.ma.array([0.5, 7.0], mask=[False, False]), [0.5, 7.0]),
        (ColumnSpec("a", "fixed", nullable=True), np.ma.array([0.5, 7.0], mask=[False, True]), [0.5, 0.0]),
        (ColumnSpec("a", "decimal", places=2), [Decimal("0.10"), 3], [10, 300]),
        (ColumnSpec("a", "bool", nullable=True), [True, None, 0], [True, False, False]),
        (ColumnSpec("a", "date"), [datetime.date(1970, 1, 2)], [1]),
        (ColumnSpec("a", "date"), np.array(["1970-01-03"], "M8[D]"), [2]),
        (ColumnSpec("a", "enum", words=("x", "y")), ["y", "x"], [1, 0]),
        (ColumnSpec("a", "key"), np.array([17, 4]), [b"17", b"4"]),
        (ColumnSpec("a", "key"), ["17", 4], [b"17", b"4"]),
        (ColumnSpec("a", "text", length=2, nullable=True), ["ab", "", None], [[97, 98], [0, 0], [0, 0]]),
    ],
)
def test_columns(column, values, expected):
    loaded = from_arrays(table(column), {"a": values})

    assert loaded.columns["a"].tolist() == expected
    assert loaded.shape == (len(expected),)


def test_missing_values():
    spec = table(ColumnSpec("a", "fixed", nullable=True), ColumnSpec("t", "text", length=1, nullable=True))

    loaded = from_arrays(spec, {"a": [NAN, 1.0], "t": ["", None]})

    assert loaded.valid["a"].tolist() == [False, True]
    assert loaded.valid["t"].tolist() == [True, False]


def test_arrays():
    assert from_arrays(array("fixed", "n", 2), [[1, 2], [3, 4]]).columns[""].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert from_arrays(array("int"), 7).columns[""].tolist() == 7


@pytest.mark.parametrize(
    ("spec", "given", "code", "says"),
    [
        (array("fixed", "n"), [1.0, NAN], "E0405", "row 2"),
        (array("fixed", "n", 2), [1.0], "E0411", "[n, 2]"),
        (array("fixed", "n", 2), [[1.0], [1.0, 2.0]], "E0411", "different lengths"),
        (array("fixed", "n"), {"a": [1.0]}, "E0411", "an array is expected"),
        (array("fixed", "n"), ["4711"], "E0403", "texts where numbers"),
        (array("int", "n"), [1, "4711"], "E0403", "texts where whole numbers"),
        (array("int", "n"), [1, None], "E0404", "row 2"),
        (array("int", "n"), [None, "4711"], "E0403", "type str where int"),
        (array("fixed", "n"), [None, True], "E0403", "type bool"),
        (array("int", "n"), [4711, object()], "E0403", "type object"),
        (array("int", "n"), [2**64, 1], "E0406", "row 1"),
        (array("int", "n"), [4711.5], "E0403", "fraction"),
        (table(ColumnSpec("a", "int")), [1], "E0411", "a table is expected"),
        (table(ColumnSpec("a", "int")), {"b": [1]}, "E0402", "'a'"),
        (table(ColumnSpec("a", "int"), ColumnSpec("b", "int")), {"a": [1], "b": [1, 2]}, "E0411", "column b"),
        (table(ColumnSpec("a", "int")), {"a": [[1]]}, "E0411", "one axis"),
        (table(ColumnSpec("a", "decimal", places=1)), {"a": [0.5]}, "E0403", "exact decimal"),
        (table(ColumnSpec("a", "decimal", places=1)), {"a": [0.5, Decimal(1)]}, "E0403", "type float"),
        (table(ColumnSpec("a", "int", unique=True)), {"a": [1, 1]}, "E0410", "row 2"),
        (table(ColumnSpec("a", "date")), {"a": [datetime.datetime(2024, 1, 1)]}, "E0403", "datetime"),
    ],
)
def test_what_cannot_be_used(spec, given, code, says):
    with pytest.raises(DataError) as caught:
        from_arrays(spec, given)

    assert caught.value.code == code
    assert says in str(caught.value)
    assert "4711" not in str(caught.value)


def test_the_form_of_the_circuit(tmp_path):
    spec = table(
        ColumnSpec("k", "key", nullable=True), ColumnSpec("t", "text", length=9), ColumnSpec("a", "int", nullable=True)
    )
    loaded = load_text(tmp_path, spec, "k,t,a\nx,hello,\n,wonderful,2\n")
    salt = bytes(16)

    arrays = for_circuit(loaded, salt)

    assert sorted(arrays) == ["a", "a?", "k", "k?", "t"]
    assert arrays["k"].tolist() == [hash_keys(np.array([b"x"]), salt)[0], 0]
    assert arrays["t"].tolist() == pack_text(loaded.columns["t"]).tolist()
    assert arrays["a?"].tolist() == [False, True]
    with pytest.raises(ValueError, match="salt"):
        for_circuit(loaded)
