"""CSV files: what is read from them."""

import csv
import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl.inputs import ColumnSpec, InputSpec
from runtime.errors import DataError
from runtime.sources import Loaded, load, measure

EACH = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def table(*columns: ColumnSpec, **more) -> InputSpec:
    return InputSpec("bank", "t", True, columns, **more)


def array(kind: str, *shape: int | str, **more) -> InputSpec:
    return InputSpec("bank", "x", False, (ColumnSpec("", kind, **more),), shape)


def load_text(tmp_path: Path, spec: InputSpec, text: str | bytes) -> Loaded:
    path = tmp_path / f"{spec.name}.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(spec, path)


def column(tmp_path: Path, spec: ColumnSpec, *cells: str) -> np.ndarray:
    loaded = load_text(tmp_path, table(spec), "\n".join([spec.name, *cells]) + "\n")
    return loaded.columns[spec.name]


def test_every_kind_has_its_natural_array(tmp_path):
    spec = table(
        ColumnSpec("i", "int"),
        ColumnSpec("f", "fixed"),
        ColumnSpec("b", "bool"),
        ColumnSpec("d", "date"),
        ColumnSpec("e", "enum", words=("north", "south")),
        ColumnSpec("m", "decimal", places=2),
        ColumnSpec("t", "text", length=5),
        ColumnSpec("k", "key"),
    )
    text = "i,f,b,d,e,m,t,k\n-7,2.5,true,2024-02-29,south,-1.5,Zoë,007\n12,-1e-3,0,1969-12-31,north,3,ab,7\n"

    loaded = load_text(tmp_path, spec, text)

    columns = loaded.columns
    assert loaded.rows == 2
    assert loaded.shape == (2,)
    assert columns["i"].tolist() == [-7, 12]
    assert columns["f"].tolist() == [2.5, -0.001]
    assert columns["b"].tolist() == [True, False]
    assert columns["d"].tolist() == [19782, -1]
    assert columns["e"].tolist() == [1, 0]
    assert columns["m"].tolist() == [-150, 300]
    assert columns["t"].tolist() == [[0x5A, 0x6F, 0xC3, 0xAB, 0], [0x61, 0x62, 0, 0, 0]]
    assert columns["k"].tolist() == [b"007", b"7"]
    dtypes = [columns[n].dtype.kind for n in "ifbdemtk"]
    assert dtypes == ["i", "f", "b", "i", "i", "i", "u", "S"]
    assert all(mask is None for mask in loaded.valid.values())


def test_missing_values_have_a_mask(tmp_path):
    spec = table(ColumnSpec("a", "int", nullable=True), ColumnSpec("b", "text", length=2, nullable=True))

    loaded = load_text(tmp_path, spec, 'a,b\n1,\n,""\n"",x\n')

    assert loaded.columns["a"].tolist() == [1, 0, 0]
    assert loaded.valid["a"].tolist() == [True, False, False]
    assert loaded.valid["b"].tolist() == [False, True, True]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_with_nothing_is_the_missing_value_of_a_single_column(tmp_path, end):
    lines = ["", "a", "3", "", "5", ""]
    loaded = load_text(tmp_path, table(ColumnSpec("a", "int", nullable=True)), end.join([*lines, ""]))
    elements = load_text(tmp_path, array("int", "n", nullable=True), end.join([*lines[2:], ""]))
    first = load_text(tmp_path, array("date", "n", nullable=True), f"{end}2024-02-29{end}")
    alone = load_text(tmp_path, array("int", nullable=True), end)

    assert loaded.valid["a"].tolist() == elements.valid[""].tolist() == [True, False, True, False]
    assert loaded.columns["a"].tolist() == [3, 0, 5, 0]
    assert first.valid[""].tolist() == [False, True]
    assert alone.valid[""].tolist() is False


def test_elsewhere_a_line_with_nothing_is_skipped(tmp_path):
    loaded = load_text(tmp_path, table(ColumnSpec("a", "int", nullable=True)), "a,b\n\n1,2\n\n,3\n")
    pairs = load_text(tmp_path, array("int", "n", 2, nullable=True), "1,\n\n,4\n")
    full = load_text(tmp_path, array("int", "n"), "1\n\n2\n")

    assert loaded.valid["a"].tolist() == [True, False]
    assert pairs.valid[""].tolist() == [[True, False], [False, True]]
    assert full.columns[""].tolist() == [1, 2]


def test_columns_are_found_by_name_and_others_left_aside(tmp_path):
    spec = table(ColumnSpec("b", "int"), ColumnSpec("a", "int"))

    loaded = load_text(tmp_path, spec, " a , x ,b\n1,?,2\n3,?,4\n")

    assert {n: c.tolist() for n, c in loaded.columns.items()} == {"b": [2, 4], "a": [1, 3]}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\n1,2\n3,4",
        "\ufeffa,b\n1,2\n3,4\n",
        '"a","b"\n"1","2"\n"3","4"\n',
        "\n\na,b\n\n1,2\n\r\n3,4\n\n",
        "a,b\n 1,2\t\n3 , 4\n",
    ],
    ids=["crlf", "no end", "bom", "quoted", "empty lines", "blanks"],
)
def test_forms_of_the_same_file(tmp_path, text):
    loaded = load_text(tmp_path, table(ColumnSpec("a", "int"), ColumnSpec("b", "int")), text)

    assert loaded.columns["a"].tolist() == [1, 3]
    assert loaded.columns["b"].tolist() == [2, 4]


def test_a_table_may_have_no_rows(tmp_path):
    loaded = load_text(tmp_path, table(ColumnSpec("a", "int"), ColumnSpec("t", "text", length=3)), "a,t\n")

    assert loaded.rows == 0
    assert loaded.columns["t"].shape == (0, 3)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("34.0", 34),
        ("007", 7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("00000000000000000000000000000000012", 12),
        ("12.00000000000000000000000000000000", 12),
    ],
)
def test_whole_numbers_are_exact(tmp_path, cell, value):
    assert column(tmp_path, ColumnSpec("a", "int"), cell).tolist() == [value]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0.1", 10),
        ("-.5", -50),
        ("1.50", 150),
        ("1.500", 150),
        ("92233720368547758.07", 2**63 - 1),
        ("7", 700),
        ("7.", 700),
    ],
)
def test_decimals_never_go_through_a_float(tmp_path, cell, value):
    assert column(tmp_path, ColumnSpec("a", "decimal", places=2), cell).tolist() == [value]


def test_truth_values_in_any_case(tmp_path):
    values = column(tmp_path, ColumnSpec("a", "bool"), "true", "False", "TRUE", "1", "0", "false")

    assert values.tolist() == [True, False, True, True, False, False]


@EACH
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_any_int_comes_back(tmp_path, values):
    assert column(tmp_path, ColumnSpec("a", "int"), *map(str, values)).tolist() == values


@EACH
@given(st.lists(st.floats(-(2.0**46), 2.0**46, exclude_min=True, exclude_max=True), min_size=1))
def test_any_float_comes_back(tmp_path, values):
    assert column(tmp_path, ColumnSpec("a", "fixed"), *map(repr, values)).tolist() == values


@EACH
@given(st.integers(0, 12), st.data())
def test_any_decimal_comes_back(tmp_path, places, data):
    units = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
    cells = [f"{Decimal(u).scaleb(-places):f}" for u in units]

    assert column(tmp_path, ColumnSpec("a", "decimal", places=places), *cells).tolist() == units


@EACH
@given(st.lists(st.dates(), min_size=1))
def test_any_date_comes_back(tmp_path, dates):
    values = column(tmp_path, ColumnSpec("a", "date"), *(d.isoformat() for d in dates))

    assert values.astype("M8[D]").tolist() == dates


NUMBER_LIKE = st.text(alphabet="0123456789+-.eE ", max_size=30)


@EACH
@given(NUMBER_LIKE)
def test_a_number_is_what_python_says_it_is(tmp_path, cell):
    """The automaton agrees with `float`, on both sides of the length where it hands over."""
    try:
        expected = float(cell)
    except ValueError:
        expected = None
    inside = expected is not None and abs(expected) < 2.0**46
    try:
        got = column(tmp_path, ColumnSpec("a", "fixed"), f'"{cell}"').tolist()
    except DataError:
        got = None

    assert got == ([expected] if inside else None)


@EACH
@given(st.text(alphabet="0123456789.-", max_size=30), st.integers(0, 4))
def test_a_decimal_is_taken_just_when_it_is_one(tmp_path, cell, places):
    try:
        units = Decimal(cell) * 10**places
        expected = [int(units)] if units == int(units) and -(2**63) <= units < 2**63 else None
    except ArithmeticError:
        expected = None
    try:
        got = column(tmp_path, ColumnSpec("a", "decimal", places=places), f'"{cell}"').tolist()
    except DataError:
        got = None

    assert got == expected


TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=6)


@EACH
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1), st.sampled_from(["\n", "\r\n"]), st.integers(0, 2))
def test_what_the_csv_module_writes_is_read(tmp_path, rows, end, extra):
    """Commas, quotation marks, line ends and empty texts inside cells."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    spec = table(ColumnSpec("a", "text", length=24 + extra), ColumnSpec("b", "text", length=24))

    loaded = load_text(tmp_path, spec, buffer.getvalue())

    for i, name in enumerate("ab"):
        texts = [bytes(row).rstrip(b"\0").decode() for row in loaded.columns[name]]
        assert texts == [row[i] for row in rows]


def test_arrays_with_and_without_a_header(tmp_path):
    spec = array("fixed", "n", 2)

    plain = load_text(tmp_path, spec, "1,2\n3,4\n5,6\n")
    named = load_text(tmp_path, spec, "x,y\n1,2\n3,4\n5,6\n")

    assert plain.shape == named.shape == (3, 2)
    assert plain.columns[""].tolist() == named.columns[""].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        (("n",), "1\n2\n3\n", [1, 2, 3]),
        (("n",), "1,2,3\n", [1, 2, 3]),
        ((), "7\n", 7),
        (("n", 2, 2), "1,2,3,4\n5,6,7,8\n", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
        (("n", 1), "1\n2\n", [[1], [2]]),
    ],
)
def test_arrays_of_any_number_of_axes(tmp_path, shape, text, value):
    assert load_text(tmp_path, array("int", *shape), text).columns[""].tolist() == value


def test_arrays_of_other_kinds(tmp_path):
    dates = load_text(tmp_path, array("date", "n"), "day\n1970-01-02\n1970-01-03\n")
    truths = load_text(tmp_path, array("bool", "n", 2), "true,0\n1,false\n")

    assert dates.columns[""].tolist() == [1, 2]
    assert truths.columns[""].tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize(
    ("spec", "text", "shape"),
    [
        (table(ColumnSpec("a", "text", length=9)), 'a\n"x\ny"\nz\n', (2,)),
        (array("int", "n", "m"), "a,b\n1,2\n3,4\n", (2, 2)),
        (array("int", "n"), "1\n2\n", (2,)),
    ],
)
def test_measure_gives_the_shape_alone(tmp_path, spec, text, shape):
    path = tmp_path / "t.csv"
    path.write_text(text)

    assert measure(spec, path) == shape == load(spec, path).shape


def test_unique_and_padded_tables(tmp_path):
    spec = table(ColumnSpec("a", "key", unique=True), max_rows=3)

    assert load_text(tmp_path, spec, "a\n3\n1\n2\n").rows == 3
    assert load_text(tmp_path, replace(spec, unique_together=(("a",),)), "a\n").rows == 0
