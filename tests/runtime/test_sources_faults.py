"""Data that cannot be used: each fault with its code and place, and no value in any message."""

import numpy as np
import pytest
from test_sources_csv import array, load_text, table

from dsl.inputs import ColumnSpec
from runtime.errors import DataError, as_json
from runtime.sources import load_all

INT = ColumnSpec("a", "int")
SECRET = "4711"


def refused(tmp_path, spec, text) -> DataError:
    with pytest.raises(DataError) as caught:
        load_text(tmp_path, spec, text)
    assert SECRET not in str(caught.value).replace(str(tmp_path), "")
    assert caught.value.party == "bank"
    return caught.value


@pytest.mark.parametrize(
    ("column", "cell", "code", "says"),
    [
        (INT, f"x{SECRET}", "E0403", "text where a whole number"),
        (INT, f"{SECRET}.5", "E0403", "a number with a fraction"),
        (INT, f"{SECRET}e2", "E0403", "exponent"),
        (INT, f"1_{SECRET}", "E0403", "text"),
        (INT, f"0x{SECRET}", "E0403", "text"),
        (INT, "nan", "E0405", "NaN"),
        (INT, "", "E0404", "missing"),
        (INT, f"{SECRET}000000000000000000", "E0406", "64 bits"),
        (INT, "9223372036854775808", "E0406", "64 bits"),
        (INT, "-9223372036854775809", "E0406", "64 bits"),
        (ColumnSpec("a", "int", range=(0, 120)), SECRET, "E0407", "0..120"),
        (ColumnSpec("a", "fixed"), "text", "E0403", "text where a number"),
        (ColumnSpec("a", "fixed"), "-Infinity", "E0405", "infinite"),
        (ColumnSpec("a", "fixed"), "NaN", "E0405", "NaN"),
        (ColumnSpec("a", "fixed"), "1e400", "E0406", "too large"),
        (ColumnSpec("a", "fixed"), "-70368744177664", "E0406", "2^46"),
        (ColumnSpec("a", "fixed", range=(-10, 10)), "10.001", "E0407", "-10..10"),
        (ColumnSpec("a", "decimal", places=2), "1.005", "E0406", "more than 2 places"),
        (ColumnSpec("a", "decimal", places=2), "92233720368547758.08", "E0406", "2 places"),
        (ColumnSpec("a", "decimal", places=1, range=(0, 0.3)), "0.4", "E0407", "0..0.3"),
        (ColumnSpec("a", "bool"), "yes", "E0403", "neither true nor false"),
        (ColumnSpec("a", "date"), "2023-02-29", "E0403", "not in the calendar"),
        (ColumnSpec("a", "date"), "0000-01-01", "E0403", "not in the calendar"),
        (ColumnSpec("a", "date"), "2023-13-01", "E0403", "not in the calendar"),
        (ColumnSpec("a", "date"), "29.2.2024", "E0403", "YYYY-MM-DD"),
        (ColumnSpec("a", "date"), "2024-01-01T00:00", "E0403", "YYYY-MM-DD"),
        (ColumnSpec("a", "enum", words=("north", "south")), "North", "E0408", "'north', 'south'"),
        (ColumnSpec("a", "enum", words=("north", "south")), "northern", "E0408", "'north', 'south'"),
        (ColumnSpec("a", "text", length=3), "Zoëy", "E0409", "more than 3 bytes"),
        (ColumnSpec("a", "text", length=3), "", "E0404", "missing"),
        (ColumnSpec("a", "key"), "k" * 257, "E0409", "256 bytes"),
        (ColumnSpec("a", "key"), '""', "E0404", "missing"),
    ],
)
def test_a_bad_value(tmp_path, column, cell, code, says):
    good = {"int": "1", "fixed": "1", "decimal": "0", "bool": "1", "date": "2024-01-01", "enum": "north"}
    fine = good.get(column.kind, "ok")

    error = refused(tmp_path, table(column, ColumnSpec("z", "int")), f"a,z\n{fine},1\n\n{cell},1\n{fine},1\n")

    assert error.code == code
    (fault,) = error.faults
    assert says in fault.message
    assert (fault.row, fault.line, fault.column) == (2, 4, "a")
    assert fault.file == str(tmp_path / "t.csv")
    assert as_json(error)["where"].endswith("t.csv, row 2 (line 4), column a")


def test_the_line_counts_line_ends_inside_cells(tmp_path):
    spec = table(ColumnSpec("t", "text", length=9), INT)

    error = refused(tmp_path, spec, 't,a\n"x\ny ""z""",1\n"p\nq",x\n')

    assert (error.faults[0].row, error.faults[0].line) == (2, 4)


def test_several_faults_at_once_in_the_order_of_the_file(tmp_path):
    spec = table(INT, ColumnSpec("b", "bool"))

    error = refused(tmp_path, spec, "a,b\n1,1\nx,2\n,1\n5.5,1\n")

    assert [(f.row, f.column, f.code) for f in error.faults] == [
        (2, "a", "E0403"),
        (2, "b", "E0403"),
        (3, "a", "E0404"),
        (4, "a", "E0403"),
    ]


def test_no_more_than_ten_are_told_and_the_rest_counted(tmp_path):
    error = refused(tmp_path, table(INT), "a\n" + "x\n" * 25)

    assert len(error.faults) == 10
    assert error.more == 15
    assert "15 more" in str(error)


def test_help_says_what_to_write(tmp_path):
    assert "declare `int?`" in str(refused(tmp_path, table(INT), "a,b\n,1\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("income ,b\n1,2\n", "'Income'; 'income' is there"),
        ("b,c\n1,2\n", "no column 'Income'"),
        (f"{SECRET},8\n1,2\n", "no column 'Income'"),
        ("Income;b\n1;2\n", "not by semicolons"),
        ("Income,Income\n1,2\n", "2 times"),
    ],
)
def test_a_missing_column(tmp_path, text, says):
    error = refused(tmp_path, table(ColumnSpec("Income", "int")), text)

    assert error.code == "E0402"
    assert says in str(error)


def test_lines_with_another_number_of_cells(tmp_path):
    error = refused(tmp_path, table(INT, ColumnSpec("b", "int")), f"a,b\n1,2\n1,2,{SECRET}\n3\n")

    assert [(f.code, f.row, f.line) for f in error.faults] == [("E0411", 2, 3), ("E0411", 3, 4)]
    assert "3 cells, the header 2" in str(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\r\n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        ("a\n1\n".encode("utf-16"), "UTF-16"),
        (b"a\n1\n\xff\n", "line 3"),
        (b"a\n1\n\x00\n", "zero bytes"),
        (b'a\n1\n"2\n', "no partner"),
        (b'a\n1\n2"x"\n', "in the middle"),
        (b'a\n1\n"2"x\n', "in the middle"),
        (b'a\n"2"x"y"\n', "in the middle"),
    ],
)
def test_a_file_that_is_no_csv(tmp_path, content, says):
    error = refused(tmp_path, table(INT), content)

    assert error.code == "E0414"
    assert says in str(error)


def test_a_value_twice_in_a_unique_column(tmp_path):
    error = refused(tmp_path, table(ColumnSpec("a", "key", unique=True)), f"a\n{SECRET}\n1\n{SECRET}\n{SECRET}\n")

    assert [(f.code, f.row) for f in error.faults] == [("E0410", 3), ("E0410", 4)]
    assert "row 1 (line 2) holds the same" in error.faults[0].message
    assert "row 3 (line 4) holds the same" in error.faults[1].message


def test_a_combination_twice(tmp_path):
    columns = (ColumnSpec("a", "int", nullable=True), ColumnSpec("b", "text", length=12))
    spec = table(*columns, unique_together=(("a", "b"),))

    error = refused(tmp_path, spec, "a,b\n1,x\n2,x\n1,y\n,x\n,x\n1,x\n")

    (fault,) = error.faults
    assert (fault.code, fault.row, fault.column) == ("E0410", 6, "a, b")
    assert "row 1 (line 2)" in fault.message


def test_values_equal_as_numbers_are_the_same_value(tmp_path):
    assert refused(tmp_path, table(ColumnSpec("a", "int", unique=True)), "a\n7\n007\n").code == "E0410"
    assert refused(tmp_path, table(ColumnSpec("a", "fixed", unique=True)), "a\n0.0\n-0.0\n").code == "E0410"


def test_more_rows_than_declared(tmp_path):
    assert refused(tmp_path, table(INT, max_rows=2), "a\n1\n2\n3\n").code == "E0413"


@pytest.mark.parametrize(
    ("shape", "text", "code", "says"),
    [
        (("n", 4), "1,2,3\n4,5,6\n", "E0411", "[2, 3], the study declares [n, 4]"),
        ((3,), "1\n2\n", "E0411", "[2], the study declares [3]"),
        (("n",), "1,2\n3,4\n", "E0411", "[2, 2]"),
        ((), "1\n2\n", "E0411", "a single value"),
        (("n", "n"), "1,2\n", "E0412", "n twice"),
        (("n", 2), "x,y,z\n", "E0411", "[0, 3], the study declares [n, 2]"),
        (("n", 2), "1,2\n3\n", "E0411", "1 cell"),
        (("n", 2), f"1,2\n3,x{SECRET}\n", "E0403", "row 2 (line 2), column 2"),
        (("n", 2), "1,x\n3,4\n", "E0403", "row 1 (line 1), column 2"),
        (("n", 2), "a,b\n1,\n3,4\n", "E0404", "row 1 (line 2), column 2"),
        (("n", 2), "nan,nan\n3,4\n", "E0405", "row 1 (line 1), column 1"),
    ],
)
def test_an_array_that_does_not_fit(tmp_path, shape, text, code, says):
    error = refused(tmp_path, array("fixed", *shape), text)

    assert error.code == code
    assert says in str(error)


def test_one_letter_is_one_size(tmp_path):
    folder = tmp_path / "bank"
    folder.mkdir()
    (folder / "x.csv").write_text("1,2\n3,4\n")
    np.save(folder / "y.npy", np.zeros(3))
    x, y = array("int", "n", 2), array("fixed", "n")

    with pytest.raises(DataError) as caught:
        load_all([x, type(y)("bank", "y", False, y.columns, y.shape)], tmp_path)

    assert caught.value.code == "E0412"
    assert "n is 3 here but 2 in `x` of bank" in str(caught.value)
