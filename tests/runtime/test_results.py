import json
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dsl import outputs as plan
from dsl.inputs import ColumnSpec, InputSpec
from dsl.stypes import SType
from runtime.export import write
from runtime.results import ArrayOutput, TableOutput, collect, show, to_json
from runtime.sources import load, pack_text

INT, FIXED, BOOL, DATE = (SType(kind) for kind in ("int", "fixed", "bool", "date"))
ENUM = SType("enum", words=("north", "south"))
MONEY = SType("decimal", places=2)
TEXT = SType("text", length=8)


def text(*words: str) -> np.ndarray:
    return np.array([list(w.encode().ljust(8, b"\0")) for w in words], np.uint8)


def regions() -> TableOutput:
    types = {"region": ENUM, "n": INT, "income": FIXED, "paid": MONEY, "first": DATE, "open": BOOL, "note": TEXT}
    values = {
        "region": np.array([1, 0]),
        "n": np.array([12, -(2**63)]),
        "income": np.array([52100.5, 0.0999908447265625]),
        "paid": np.array([-5, 123456]),
        "first": np.array([19782, -1]),
        "open": np.array([True, False]),
        "note": text('a,"b"', ""),
    }
    return TableOutput("by_region", types, values, {"paid": np.array([False, True]), "n": None})


def rendered(output) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        for part in show([output]):
            console.print(part)
    return console.export_text()


def test_a_table_is_a_list_of_objects():
    found = to_json([regions()])

    assert found == {
        "by_region": [
            {
                "region": "south",
                "n": 12,
                "income": 52100.5,
                "paid": None,
                "first": "2024-02-29",
                "open": True,
                "note": 'a,"b"',
            },
            {
                "region": "north",
                "n": -(2**63),
                "income": 0.099991,
                "paid": 1234.56,
                "first": "1969-12-31",
                "open": False,
                "note": "",
            },
        ]
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        (FIXED, np.array(0.1), 0.1),
        (FIXED, np.array([-0.0000001]), [0.0]),
        (INT, np.arange(6).reshape(1, 2, 3), [[[0, 1, 2], [3, 4, 5]]]),
        (INT, np.zeros((0, 3), np.int64), []),
        (INT, np.zeros((2, 0), np.int64), [[], []]),
        (BOOL, np.array([True]), [True]),
        (TEXT, text("Zoë"), ["Zoë"]),
        (SType("decimal", places=0), np.array([2**62 + 1]), [2**62 + 1]),
    ],
)
def test_arrays_are_nested_lists(type_, values, expected):
    found = to_json([ArrayOutput("x", type_, values)])["x"]

    assert found == expected
    assert "-0.0" not in json.dumps(found)


def test_missing_elements_of_an_array():
    output = ArrayOutput("x", INT, np.array([[1, 2], [3, 4]]), np.array([[True, False], [True, True]]))

    assert to_json([output])["x"] == [[1, None], [3, 4]]


@given(st.integers(-(10**15), 10**15), st.integers(1, 8))
def test_decimals_show_their_own_digits(units, places):
    found = to_json([ArrayOutput("x", SType("decimal", places=places), np.array(units))])["x"]

    assert Decimal(repr(found)) == Decimal(units).scaleb(-places)


@given(st.floats(-(2.0**20), 2.0**20))
def test_a_rounded_number_is_still_on_its_place_of_the_grid(x):
    on_grid = round(x * 65536) / 65536
    found = to_json([ArrayOutput("x", FIXED, np.array(on_grid))])["x"]

    assert round(found * 65536) / 65536 == on_grid


@pytest.mark.parametrize(
    ("type_", "values"), [(FIXED, np.array([np.nan])), (ENUM, np.array([2])), (SType("key"), np.array([1]))]
)
def test_what_cannot_be_a_result(type_, values):
    with pytest.raises(ValueError, match=r"a result|a key"):
        to_json([ArrayOutput("x", type_, values)])


def test_collect_takes_the_visible_rows_and_what_was_opened():
    outputs = [
        plan.Output(
            "q",
            ("me",),
            True,
            (plan.OutputColumn("a", INT, 3, valid=4), plan.OutputColumn("t", TEXT, 5)),
            (3,),
            visible=6,
        ),
        plan.Output("w", None, False, (plan.OutputColumn("", FIXED, 7),), (1, 2)),
        plan.Output("b", None, False, (plan.OutputColumn("", FIXED, 8),), ()),
        plan.Output("theirs", ("you",), False, (plan.OutputColumn("", FIXED, 9),), ()),
    ]
    opened = {
        3: np.array([1, 2, 3]),
        4: np.array([True, True, False]),
        5: pack_text(text("one", "two", "thirdone")),
        6: np.array([True, False, True]),
        7: np.array([[0.5, 1.5]]),
        8: np.array([0.25]),
    }

    found = to_json(collect(outputs, opened))

    assert found == {"q": [{"a": 1, "t": "one"}, {"a": None, "t": "thirdone"}], "w": [[0.5, 1.5]], "b": 0.25}


def test_a_table_on_the_terminal():
    shown = rendered(regions())

    assert "by_region: 2 rows" in shown
    assert "south" in shown
    assert "1234.56" in shown
    assert " - " in shown


def test_long_values_are_cut_and_say_so():
    rows = 1000
    table = TableOutput("t", {"n": INT}, {"n": np.arange(rows)}, {})
    matrix = ArrayOutput("X", INT, np.arange(10_000).reshape(100, 100))

    assert "t: 1000 rows, the first 20 shown" in rendered(table)
    assert "999" not in rendered(table).splitlines()[-2]
    assert rendered(matrix).count("\n") < 12
    assert rendered(matrix).startswith("X [100, 100] =\n[[0, 1, 2, 3, …, 96, 97, 98, 99],\n [100,")


def test_words_of_a_result_are_no_commands_of_the_terminal():
    output = TableOutput("t", {"[red]": TEXT}, {"[red]": text("\x1b[2J", "[b]x")}, {})

    shown = rendered(output)

    assert "[red]" in shown
    assert "[b]x" in shown
    assert "·[2J" in shown


def test_a_written_table_can_be_loaded_again(tmp_path):
    output = regions()
    (path,) = write([output], tmp_path / "out")
    spec = InputSpec(
        "me",
        "by_region",
        True,
        (
            ColumnSpec("region", "enum", words=ENUM.words),
            ColumnSpec("n", "int"),
            ColumnSpec("paid", "decimal", places=2, nullable=True),
            ColumnSpec("first", "date"),
            ColumnSpec("open", "bool"),
            ColumnSpec("note", "text", length=8),
        ),
    )

    loaded = load(spec, path)

    for name in ("region", "n", "first", "open", "note"):
        assert loaded.columns[name].tolist() == output.values[name].tolist()
    assert loaded.columns["paid"].tolist() == [0, 123456]
    assert loaded.valid["paid"].tolist() == [False, True]


def test_written_arrays(tmp_path):
    outputs = [
        ArrayOutput("w", FIXED, np.array([[0.5, 1.5]]), np.array([[True, False]])),
        ArrayOutput("days", DATE, np.array([0, 1])),
        ArrayOutput("../words", ENUM, np.array([1, 0])),
        ArrayOutput("n", INT, np.array(7)),
    ]

    paths = write(outputs, tmp_path)

    assert all(path.parent == tmp_path for path in paths)
    w, days, words, n = (np.load(path) for path in paths)
    assert np.isnan(w[0, 1])
    assert days.tolist() == [date(1970, 1, 1), date(1970, 1, 2)]
    assert words.tolist() == ["south", "north"]
    assert n == 7
    with pytest.raises(ValueError, match="missing values"):
        write([ArrayOutput("n", INT, np.array([1]), np.array([False]))], tmp_path)
